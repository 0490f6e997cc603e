"""Sample sheets: which sections a dataset has and where their files are."""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest

REQUIRED_COLUMNS = ("section", "patient", "image", "counts", "spots")
OPTIONAL_COLUMNS = ("um_per_px", "labels")
FILE_COLUMNS = ("image", "counts", "spots", "labels")


def read_sheet(path: str | Path) -> pd.DataFrame:
    """A dataset's sections, one a row, in the order of the sheet.

    Columns are section, patient, image, counts, spots (file names relative to the dataset's
    root), and optionally um_per_px (µm; NaN: the slide knows) and labels (empty: none). The
    result is indexed by section and has every column.

    Raises:
        UserError: no such file, a column missing or unknown, a value missing, a section
            listed twice, or a pixel size that is no positive number.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Sample sheet {path} does not exist; check `sheet` in the config.")
    sheet = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    return check_sheet(sheet, str(path))


def check_sheet(sheet: pd.DataFrame, origin: str) -> pd.DataFrame:
    """A sheet of strings, checked and typed as ``read_sheet`` says; errors name ``origin``."""
    for column in REQUIRED_COLUMNS:
        if column not in sheet.columns:
            raise UserError(f"{origin} has no column '{column}'{closest(column, sheet.columns)}.")
    for column in sheet.columns:
        if column not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS:
            known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
            raise UserError(f"{origin} has an unknown column '{column}'{closest(column, known)}.")
    if sheet.empty:
        raise UserError(f"{origin} lists no section; add one row for each.")
    for line, row in enumerate(sheet.itertuples(index=False), start=2):
        for column in REQUIRED_COLUMNS:
            if not getattr(row, column).strip():
                raise UserError(f"{origin}, line {line}: '{column}' is missing; fill it in.")
        for column in ("section", "patient", *FILE_COLUMNS):
            _check_stays_inside(str(getattr(row, column, "")), column, f"{origin}, line {line}")
    repeated = sheet["section"][sheet["section"].duplicated()]
    if len(repeated):
        line = repeated.index[0] + 2
        raise UserError(
            f"{origin}, line {line}: section '{repeated.iloc[0]}' is listed twice; delete one row."
        )
    sheet = sheet.reindex(columns=[*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS], fill_value="")
    um_per_px = pd.to_numeric(sheet["um_per_px"], errors="coerce")
    wrong = sheet["um_per_px"].str.strip().ne("") & ~(um_per_px > 0)
    if wrong.any():
        line = int(wrong.idxmax()) + 2
        raise UserError(
            f"{origin}, line {line}: um_per_px is '{sheet['um_per_px'][line - 2]}'; give a "
            "positive number, or leave it empty if the slide file says it."
        )
    return sheet.assign(um_per_px=um_per_px).set_index("section", drop=False)


def _check_stays_inside(name: str, column: str, where: str) -> None:
    """Refuse names that would make the workflow write outside its own folders."""
    path = PurePosixPath(name)
    if column not in FILE_COLUMNS:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise UserError(
                f"{where}: {column} '{name}' must be a name of letters, digits, '_', '-' and '.' "
                "that begins with none of the last two; correct it."
            )
    elif path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        raise UserError(
            f"{where}: {column} '{name}' must be a plain file below the dataset's root; correct it."
        )


def subset(sheet: pd.DataFrame, sections: list[str], origin: str) -> pd.DataFrame:
    """The named sections of a sheet, in the order of the sheet.

    Raises:
        UserError: a section that the sheet does not list.
    """
    for section in sections:
        if section not in sheet.index:
            raise UserError(f"{origin} has no section '{section}'{closest(section, sheet.index)}.")
    return sheet[sheet.index.isin(sections)]
