"""Sample sheets: which sections a dataset has and where their files are."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import refusal
from reg2st.sections.readers import READERS, reader
from reg2st.sections.section_row import Picture, SectionRow
from reg2st.sections.tables import read_rows

NAME_COLUMNS = ("section", "patient")
FILE_COLUMNS = ("image", "counts", "spots", "labels")
SIZE_COLUMNS = ("um_per_px", "spot_pitch_um", "spot_diameter_um")
READER_COLUMNS = ("platform", "folder", "hest_id", "layer", "picture", "bin_um")
COLUMNS = (*NAME_COLUMNS, *FILE_COLUMNS, *READER_COLUMNS, *SIZE_COLUMNS)

DEFAULTS = {"platform": SectionRow.platform, "picture": SectionRow.picture}

OF_EVERY_PLATFORM = ("labels", "platform", *NAME_COLUMNS, *SIZE_COLUMNS)
"""Columns that a row of any platform may fill in."""

PATH_COLUMNS = (*FILE_COLUMNS, "folder")
PICTURES = get_args(Picture)

EXAMPLES = {"um_per_px": 0.92, "spot_pitch_um": 200, "spot_diameter_um": 100}
EMPTY_MEANS = {
    "um_per_px": " if the slide file has it",
    "spot_pitch_um": " for the platform's own",
    "spot_diameter_um": " for the platform's own",
}

MISSPELT = 0.8
"""Similarity (``difflib``) at or above which an unknown column counts as misspelt."""


def read_sheet(path: str | Path) -> pd.DataFrame:
    """A dataset's sections, one a row, in the order of the sheet.

    The result is indexed by section and has the columns ``COLUMNS``, empty text where the sheet
    has none; other columns are ignored. Files and folders are relative to the dataset's root;
    sizes are numbers, NaN where unknown. Names are text, including ``NA`` and ``001``.

    Raises:
        UserError: the file is missing or not text, a column is missing or misspelt, a value is
            missing that the row's platform needs, a section is listed twice, or a size is not a
            positive number; lists all mistakes.
    """
    return check_sheet(read_text_sheet(path, "section"), str(path))


def read_text_sheet(path: str | Path, row: str) -> pd.DataFrame:
    """A sheet as it is written: cells of text, rows indexed by their line in the file.

    Args:
        row: what a row of it is, for messages.

    Raises:
        UserError: the file is missing, empty or not text, or a row is longer than the header.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Sample sheet {path} does not exist; check `sheet` in the config.")
    rows = read_rows(path, "sample sheet")
    if not rows:
        raise UserError(f"Sample sheet {path} is empty; list one {row} a row below a header.")
    (_, columns), *lines = rows
    width = len(columns)
    longer = [
        f"line {line} has more cells than the header."
        for line, cells in lines
        if any(cells[width:])
    ]
    if longer:
        raise refusal(str(path), longer)
    return pd.DataFrame(
        [[*cells, *[""] * width][:width] for _, cells in lines],
        columns=columns,
        index=[line for line, _ in lines],
        dtype=str,
    )


def check_sheet(sheet: pd.DataFrame, origin: str) -> pd.DataFrame:
    """A sheet of text, checked and typed as described in ``read_sheet``.

    Args:
        sheet: rows indexed by their line in the file.
        origin: name of the sheet in errors.
    """
    mistakes = list(_wrong_columns(sheet))
    if mistakes:
        raise refusal(origin, mistakes)
    sheet = _completed(sheet)
    mistakes = list(_wrong_rows(sheet))
    if mistakes:
        raise refusal(origin, mistakes)
    for column in SIZE_COLUMNS:
        sheet[column] = pd.to_numeric(sheet[column], errors="coerce")
    return sheet.set_index("section", drop=False)


def _completed(sheet: pd.DataFrame) -> pd.DataFrame:
    """The known columns of a sheet of text, those that it lacks empty, with their defaults."""
    known = sheet.loc[:, sheet.columns.isin(COLUMNS)].reindex(columns=[*COLUMNS], fill_value="")
    return known.assign(
        **{name: known[name].replace("", value) for name, value in DEFAULTS.items()}
    )


def section_row(sheet: pd.DataFrame, section: str) -> SectionRow:
    """What a checked sheet says of a section, for its platform's reader."""
    return _parsed(sheet.loc[section].to_dict())


def _parsed(row: Mapping[str, Any]) -> SectionRow:
    """A row of a sheet, its numbers parsed; what is no number counts as missing."""
    values = {field.name: row[field.name] for field in fields(SectionRow)}
    for column in (*SIZE_COLUMNS, "bin_um"):
        number = pd.to_numeric(row[column], errors="coerce")
        values[column] = None if np.isnan(number) else float(number)
    if values["bin_um"] is not None:
        values["bin_um"] = int(values["bin_um"])
    return SectionRow(**values)


def _wrong_columns(sheet: pd.DataFrame) -> Iterator[str]:
    columns = list(sheet.columns)
    needed = _needed_columns(sheet)
    absent = [name for name in COLUMNS if name not in (*columns, *needed)]
    for name in needed:
        if name not in columns:
            yield f"the header has no column '{name}'{closest(name, columns)}."
    for name in COLUMNS:
        if columns.count(name) > 1:
            yield f"the header has the column '{name}' twice; rename one."
    for name in columns:
        if name in COLUMNS:
            continue
        meant = difflib.get_close_matches(name, absent, n=1, cutoff=MISSPELT)
        if meant:
            yield f"the header has a column '{name}'; rename it, for example to '{meant[0]}'."
    if sheet.empty:
        yield "it lists no section; add one row for each."


def _needed_columns(sheet: pd.DataFrame) -> list[str]:
    """Columns that the header must have, given the platforms of its rows."""
    rows = _completed(sheet.loc[:, ~sheet.columns.duplicated()])
    needed = set(NAME_COLUMNS)
    for row in rows[rows["platform"].isin(READERS)].to_dict("records"):
        needed |= set(reader(row["platform"]).required(_parsed(row)))
    return [name for name in COLUMNS if name in needed]


def _wrong_rows(sheet: pd.DataFrame) -> Iterator[str]:
    repeated = sheet["section"].ne("") & sheet["section"].duplicated()
    for line, row in zip(sheet.index, sheet.to_dict("records"), strict=True):
        mistakes = [
            *_wrong_names(row),
            *_wrong_choices(row),
            *_wrong_paths(row),
            *_wrong_numbers(row),
        ]
        if repeated[line]:
            mistakes.append(f"section '{row['section']}' is listed twice; delete one row.")
        yield from (f"line {line}: {mistake}" for mistake in mistakes)


def _wrong_names(row: Mapping[str, str]) -> Iterator[str]:
    for column in NAME_COLUMNS:
        if not row[column]:
            yield f"'{column}' is missing; fill it in."
    for column in (*NAME_COLUMNS, "hest_id"):
        if row[column] and not is_name(row[column]):
            yield (
                f"{column} '{row[column]}' must be a name of letters, digits, '_', "
                "'-' and '.' that begins with a letter, a digit or '_'; correct it."
            )


def _wrong_choices(row: Mapping[str, str]) -> Iterator[str]:
    """A platform or picture that there is not; columns that the platform needs or does not take."""
    platform = row["platform"]
    if row["picture"] not in PICTURES:
        yield f"picture '{row['picture']}' is not one{closest(row['picture'], PICTURES)}."
    if platform not in READERS:
        yield f"platform '{platform}' is not one{closest(platform, READERS)}."
        return
    known = reader(platform)
    for column in known.required(_parsed(row)):
        if not row[column]:
            instead = ""
            if column == "image" and "picture" in known.COLUMNS:
                instead = ", or set 'picture' to use Space Ranger's hires or lowres one"
            yield f"'{column}' is missing, which platform {platform} needs; fill it in{instead}."
    for column in COLUMNS:
        given = row[column] != DEFAULTS.get(column, "")
        if given and column not in (*OF_EVERY_PLATFORM, *known.COLUMNS):
            yield f"platform {platform} takes no '{column}'; leave it empty."


def _wrong_paths(row: Mapping[str, str]) -> Iterator[str]:
    for column in PATH_COLUMNS:
        kind = "folder" if column == "folder" else "file"
        if not is_inside(row[column]):
            yield (
                f"{column} '{row[column]}' must be a plain {kind} below the dataset's "
                "root; correct it."
            )


def _wrong_numbers(row: Mapping[str, str]) -> Iterator[str]:
    for column in SIZE_COLUMNS:
        if row[column] and not 0 < pd.to_numeric(row[column], errors="coerce") < np.inf:
            yield (
                f"{column} is '{row[column]}'; give a positive number such as "
                f"{EXAMPLES[column]}, or leave it empty{EMPTY_MEANS[column]}."
            )
    if row["bin_um"] and not re.fullmatch(r"0*[1-9]\d{0,2}", row["bin_um"]):
        yield f"bin_um is '{row['bin_um']}'; give whole µm such as 8 or 16."


def is_name(text: str) -> bool:
    """Whether text can name a section or a slide, and so a file."""
    return re.fullmatch(r"\w[\w.-]*", text) is not None


def is_inside(file: str) -> bool:
    """Whether a relative file name stays inside its folder."""
    path = PurePosixPath(file)
    return not (path.is_absolute() or ".." in path.parts or "\\" in file) and file.isprintable()
