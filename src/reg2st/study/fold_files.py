"""Folds of one's own, from a table of sections and their roles."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import refusal
from reg2st.sections.tables import read_columns
from reg2st.study.folds import Fold

COLUMNS = ("section", "fold", "role")
SAMPLE = "sample_id"
"""The column of sections in HEST-Bench's splits."""

SPLIT = re.compile(r"(?P<role>train|test)_(?P<fold>\d+)\.csv")
ROLES = ("train", "test", "validation", "unused")


def read_folds(path: str | Path, sections: Collection[str]) -> list[Fold]:
    """The folds of a file, sorted by name.

    The file is a table with the columns section, fold and role; others are
    ignored. A section that a fold does not list is unused in it; so is one for validation, since
    no model of the workflow is chosen on one.

    Args:
        path: the file; or HEST-Bench's folder of splits, with two tables a fold.
        sections: names of the sections of the sample sheet.

    Raises:
        UserError: the file is missing or no such table, a section or role is unknown, a section
            stands twice in a fold or is tested by two, or a fold lacks sections to train or test;
            lists all mistakes.
    """
    table = _read_table(Path(path))
    mistakes = list(_wrong_rows(table, sections))
    if not mistakes:
        mistakes = list(_wrong_folds(table))
    if mistakes:
        raise refusal(str(path), mistakes)
    return [
        Fold(
            name,
            train=tuple(sorted(rows.loc[rows["role"] == "train", "section"])),
            test=tuple(sorted(rows.loc[rows["role"] == "test", "section"])),
        )
        for name, rows in table.groupby("fold", sort=True)
    ]


def _read_table(path: Path) -> pd.DataFrame:
    """Names as text, indexed by the line in the file."""
    if path.is_dir():
        return _read_splits(path)
    if not path.is_file():
        raise UserError(f"The folds {path} do not exist; check `folds_file` in the config.")
    return read_columns(path, "file of folds", COLUMNS)[list(COLUMNS)]


def _read_splits(folder: Path) -> pd.DataFrame:
    """HEST-Bench's splits: ``train_0.csv`` and ``test_0.csv`` of fold 0, and so on.

    Raises:
        UserError: there is none, or one is no table.
    """
    files = {
        (found["role"], found["fold"]): path
        for path in sorted(folder.iterdir())
        if (found := SPLIT.fullmatch(path.name))
    }
    if not files:
        raise UserError(f"The folder {folder} has no splits train_0.csv, test_0.csv and so on.")
    tables = []
    for (role, fold), path in files.items():
        table = read_columns(path, "split", (SAMPLE,))[[SAMPLE]]
        tables.append(table.rename(columns={SAMPLE: "section"}).assign(fold=fold, role=role))
    return pd.concat(tables)


def _wrong_rows(table: pd.DataFrame, sections: Collection[str]) -> Iterator[str]:
    lines: dict[tuple[str, str], int] = {}
    tested: dict[str, str] = {}
    for row in table.itertuples():
        if row.section not in sections:
            known = closest(row.section, sections)
            yield f"line {row.Index}: the sample sheet has no section '{row.section}'{known}."
        if not re.fullmatch(r"\w[\w.-]*", row.fold):
            yield (
                f"line {row.Index}: fold '{row.fold}' must be a name of letters, digits, '_', '-' "
                "and '.' that begins with a letter, a digit or '_'; correct it."
            )
        if row.role not in ROLES:
            known = closest(row.role, ROLES)
            yield f"line {row.Index}: '{row.role}' is no role{known}."
        first = lines.setdefault((row.fold, row.section), row.Index)
        if first != row.Index:
            yield (
                f"line {row.Index}: fold '{row.fold}' has section '{row.section}' in line {first} "
                "too; delete one."
            )
        elif row.role == "test" and tested.setdefault(row.section, row.fold) != row.fold:
            yield (
                f"line {row.Index}: section '{row.section}' is tested by fold "
                f"'{tested[row.section]}' too; a section is tested once."
            )


def _wrong_folds(table: pd.DataFrame) -> Iterator[str]:
    for name, rows in table.groupby("fold"):
        for role in ("train", "test"):
            if not rows["role"].eq(role).any():
                yield f"line {rows.index[0]}: fold '{name}' has no section to {role}; add one."
