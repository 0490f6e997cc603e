"""Read a section's raw files (counts, spots, labels) and join them.

A spot is known everywhere by its array position, "XxY": column x, row y, whole numbers.
"""

import csv
import gzip
import itertools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.geometry import LEGACY_ST
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

log = logging.getLogger(__name__)

COLUMNS = ("image", "counts", "spots")

SPOT_COLUMNS = ("x", "y", "pixel_x", "pixel_y")
LABEL_COLUMNS = ("x", "y", "label")


class Counts(NamedTuple):
    """Raw counts of one section: float32 CSR ``[n spots, n genes]``."""

    matrix: "csr_matrix"
    genes: list[str]
    spots: list[str]


def read_counts(path: str | os.PathLike) -> Counts:
    """Read a count matrix: a TSV of "XxY" rows and gene columns, gzipped or not.

    The header may or may not name the column of spots.

    Raises:
        UserError: the file is missing, empty or damaged; a gene or spot name is missing or
            occurs twice; a value is missing, no number, negative or fractional.
    """
    from scipy.sparse import csr_matrix

    path = _existing(path, "count file")
    genes = _gene_names(path)
    for position, gene in enumerate(genes, start=1):
        if not gene.strip():
            raise UserError(f"The count file {path} has no gene name in column {position}.")
    _refuse_repeated(genes, f"The count file {path}", "gene")

    values = _read_tsv(path, header=None, skiprows=1, names=["spot", *genes], index_col=False)
    spots = _spot_keys(values.pop("spot"), path)
    try:
        counts = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        counts = values.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise UserError(
            f"The count file {path} has {_complaint(values.iloc[row, column])} at spot "
            f"{spots[row]}, gene {genes[column]}; counts must be whole numbers of 0 or more."
        )
    return Counts(csr_matrix(counts, dtype=np.float32), genes, spots)


def read_spots(path: str | os.PathLike) -> pd.DataFrame:
    """Read a spot file: a TSV with x, y, pixel_x (column), pixel_y (row), maybe selected.

    Returns:
        One row a spot, indexed "XxY": array_col, array_row (int64), pixel_x, pixel_y
        (float64, level 0) and selected (bool, True where the file does not say).

    Raises:
        UserError: the file is missing or empty, lacks a column or a value, or names a spot
            twice.
    """
    path = _existing(path, "spot file")
    table = _with_columns(_read_tsv(path), SPOT_COLUMNS, path)
    numbers = table[list(SPOT_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise UserError(
            f"The spot file {path} has no number in column {SPOT_COLUMNS[column]} of row {row + 1}."
        )
    spots = pd.DataFrame(
        {
            "array_col": np.rint(numbers["x"]).astype(np.int64),
            "array_row": np.rint(numbers["y"]).astype(np.int64),
            "pixel_x": numbers["pixel_x"].astype(np.float64),
            "pixel_y": numbers["pixel_y"].astype(np.float64),
            "selected": table["selected"].astype(float) == 1 if "selected" in table else True,
        }
    )
    spots.index = pd.Index(_key(spots["array_col"], spots["array_row"]), name="spot")
    _refuse_repeated(spots.index.tolist(), f"The spot file {path}", "spot")
    return spots


def read_labels(path: str | os.PathLike) -> pd.Series:
    """Read a pathologist's labels: a TSV with label, and either barcode or x and y.

    x and y are rounded to array positions. Rows without a place or a label are left out and
    counted in the log.

    Returns:
        Labels by barcode or by "XxY", as the name of the index says: ``barcode`` or ``spot``.

    Raises:
        UserError: the file is missing or empty, lacks a column, or labels a spot twice.
    """
    path = _existing(path, "label file")
    table = _read_tsv(path)
    columns = ("barcode", "label") if "barcode" in table else LABEL_COLUMNS
    complete = _with_columns(table, columns, path).dropna(subset=list(columns))
    if len(complete) < len(table):
        log.info("%s: %d rows without position or label", path, len(table) - len(complete))
    labels = pd.Series(
        complete["label"].to_numpy(),
        index=(
            pd.Index(complete["barcode"].astype(str), name="barcode")
            if "barcode" in complete
            else pd.Index(_key(np.rint(complete["x"]), np.rint(complete["y"])), name="spot")
        ),
        name="label",
        dtype=object,
    )
    _refuse_repeated(labels.index.tolist(), f"The label file {path}", "spot")
    return labels


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return ("image", "counts", "spots")


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name."""
    return {"image": root / row.image, "counts": root / row.counts, "spots": root / row.spots}


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """Join counts and spots on the array position; the order is that of the count file.

    A spot is kept when it is selected and has counts.

    Raises:
        UserError: a file is bad, or no spot matches a row of counts.
    """
    matrix, genes, keys = read_counts(files["counts"])
    places = read_spots(files["spots"])
    in_places = np.isin(keys, places.index)
    if not in_places.any():
        raise UserError(
            f"No spot of {files['spots']} matches a row of {files['counts']} (the first are "
            f"{places.index[0]} and {keys[0]}); check that both belong to section {row.section}."
        )
    joined = places.reindex(keys)
    selected = joined["selected"].eq(True).to_numpy()
    joined = joined[selected]
    return RawSection(
        name=row.section,
        platform=row.platform,
        counts=matrix[selected],
        genes=genes,
        barcodes=joined.index.tolist(),
        pixel_xy=joined[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float64),
        array_xy=joined[["array_col", "array_row"]].to_numpy(dtype=np.int64),
        array=LEGACY_ST,
        slide_before_pitch=True,
        dropped={
            "spots without counts": int((~places.index.isin(keys)).sum()),
            "counts without a spot": int((~in_places).sum()),
            "not selected": int((in_places & ~selected).sum()),
        },
    )


def _existing(path: str | os.PathLike, kind: str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"The {kind} {path} does not exist; check the sample sheet.")
    return path


def _read_tsv(path: Path, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", low_memory=False, **options)
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty; fetch it again.") from error
    except (EOFError, OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise _unreadable(path, error) from error


def _gene_names(path: Path) -> list[str]:
    """The header of a count file, less the name of the column of spots if it has one."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", newline="") as file:
            rows = list(itertools.islice(csv.reader(file, delimiter="\t"), 2))
    except (EOFError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error
    if len(rows) < 2:
        raise UserError(f"The count file {path} is empty; fetch it again.")
    header, first = rows
    names_the_spots = len(header) == len(first)
    if not names_the_spots and (len(header) != len(first) - 1 or not header[0]):
        raise UserError(
            f"The count file {path} has {len(header)} columns in its header and {len(first)} in "
            "its first row; fetch it again."
        )
    return header[1:] if names_the_spots else header


def _with_columns(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(
            f"{path} lacks the column {missing[0]}; it must have {', '.join(columns)}, "
            "separated by tabs."
        )
    if table.empty:
        raise UserError(f"{path} holds no rows; fetch it again.")
    return table


def _spot_keys(names: pd.Series, path: Path) -> list[str]:
    """Row names "XxY" with both numbers rounded to whole array positions."""
    parts = names.astype(str).str.extract(r"^(-?\d+(?:\.\d+)?)x(-?\d+(?:\.\d+)?)$").astype(float)
    if parts.isna().any(axis=None):
        row = int(np.argmax(parts.isna().any(axis=1)))
        shown = "no name" if pd.isna(names.iloc[row]) else f"'{names.iloc[row]}'"
        raise UserError(
            f"The count file {path} has {shown} for row {row + 1}; a row is named after its "
            "array position, such as 10x14."
        )
    keys = _key(np.rint(parts[0]), np.rint(parts[1]))
    _refuse_repeated(keys, f"The count file {path}", "spot")
    return keys


def _key(x: pd.Series, y: pd.Series) -> list[str]:
    return [f"{column:.0f}x{row:.0f}" for column, row in zip(x, y, strict=True)]


def _refuse_repeated(names: list[str], source: str, kind: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{source} names the {kind} {name} twice.")
        seen.add(name)


def _complaint(value: object) -> str:
    if pd.isna(value):
        return "no value"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"'{value}'"
    if number < 0:
        return f"a negative count ({number:g})"
    return f"a fractional count ({number:g})" if np.isfinite(number) else f"'{value}'"


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{path} cannot be read as a table ({reason}); fetch it again.")
