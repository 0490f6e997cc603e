"""Sample sheets: which sections a dataset has and where their files are."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import refusal
from reg2st.sections.tables import read_rows

REQUIRED_COLUMNS = ("section", "patient", "image", "counts", "spots")
OPTIONAL_COLUMNS = ("um_per_px", "labels")
FILE_COLUMNS = ("image", "counts", "spots", "labels")

MISSPELT = 0.8
"""Similarity (``difflib``) at or above which an unknown column counts as misspelt."""


def read_sheet(path: str | Path) -> pd.DataFrame:
    """A dataset's sections, one a row, in the order of the sheet.

    Columns are section, patient, image, counts, spots (file names relative to the dataset's
    root), and optionally um_per_px (µm; NaN: read it from the slide) and labels (empty: none).
    The result is indexed by section and has these columns; other columns are ignored. Names are
    text, including ``NA`` and ``001``.

    Raises:
        UserError: the file is missing or not text, a column is missing or misspelt, a value is
            missing, a section is listed twice, or a pixel size is not a positive number; lists
            all mistakes.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Sample sheet {path} does not exist; check `sheet` in the config.")
    rows = read_rows(path, "sample sheet")
    if not rows:
        raise UserError(f"Sample sheet {path} is empty; list one section a row below a header.")
    (_, columns), *lines = rows
    width = len(columns)
    longer = [
        f"line {line} has more cells than the header." for line, row in lines if any(row[width:])
    ]
    if longer:
        raise refusal(str(path), longer)
    sheet = pd.DataFrame(
        [[*row, *[""] * width][:width] for _, row in lines],
        columns=columns,
        index=[line for line, _ in lines],
        dtype=str,
    )
    return check_sheet(sheet, str(path))


def check_sheet(sheet: pd.DataFrame, origin: str) -> pd.DataFrame:
    """A sheet of text, checked and typed as described in ``read_sheet``.

    Args:
        sheet: rows indexed by their line in the file.
        origin: name of the sheet in errors.
    """
    mistakes = list(_wrong_columns(sheet))
    if mistakes:
        raise refusal(origin, mistakes)
    wanted = [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]
    sheet = sheet.loc[:, sheet.columns.isin(wanted)].reindex(columns=wanted, fill_value="")
    um_per_px = pd.to_numeric(sheet["um_per_px"], errors="coerce")
    mistakes = list(_wrong_rows(sheet, um_per_px))
    if mistakes:
        raise refusal(origin, mistakes)
    return sheet.assign(um_per_px=um_per_px).set_index("section", drop=False)


def _wrong_columns(sheet: pd.DataFrame) -> Iterator[str]:
    columns = list(sheet.columns)
    absent = [name for name in OPTIONAL_COLUMNS if name not in columns]
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            yield f"the header has no column '{name}'{closest(name, columns)}."
    for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if columns.count(name) > 1:
            yield f"the header has the column '{name}' twice; rename one."
    for name in columns:
        if name in absent:
            continue
        meant = difflib.get_close_matches(name, absent, n=1, cutoff=MISSPELT)
        if meant:
            yield f"the header has a column '{name}'; rename it, for example to '{meant[0]}'."
    if sheet.empty:
        yield "it lists no section; add one row for each."


def _wrong_rows(sheet: pd.DataFrame, um_per_px: pd.Series) -> Iterator[str]:
    repeated = sheet["section"].ne("") & sheet["section"].duplicated()
    for line, row in zip(sheet.index, sheet.to_dict("records"), strict=True):
        where = f"line {line}"
        for column in REQUIRED_COLUMNS:
            if not row[column]:
                yield f"{where}: '{column}' is missing; fill it in."
        for column in ("section", "patient"):
            if row[column] and not re.fullmatch(r"\w[\w.-]*", row[column]):
                yield (
                    f"{where}: {column} '{row[column]}' must be a name of letters, digits, '_', "
                    "'-' and '.' that begins with a letter, a digit or '_'; correct it."
                )
        for column in FILE_COLUMNS:
            if not _is_inside(row[column]):
                yield (
                    f"{where}: {column} '{row[column]}' must be a plain file below the dataset's "
                    "root; correct it."
                )
        if repeated[line]:
            yield f"{where}: section '{row['section']}' is listed twice; delete one row."
        if row["um_per_px"] and not 0 < um_per_px[line] < np.inf:
            yield (
                f"{where}: um_per_px is '{row['um_per_px']}'; give a positive number such as "
                "0.92, or leave it empty if the slide file has it."
            )


def _is_inside(file: str) -> bool:
    """Whether a relative file name stays inside its folder."""
    path = PurePosixPath(file)
    return not (path.is_absolute() or ".." in path.parts or "\\" in file) and file.isprintable()
