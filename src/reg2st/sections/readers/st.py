"""Read a section's raw files (counts, spots, labels) and join them.

A spot is known everywhere by its array position, "XxY": column x, row y, whole numbers.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.count_tables import read_counts, spot_key
from reg2st.sections.geometry import LEGACY_ST
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.tables import read_columns, repeated

log = logging.getLogger(__name__)

COLUMNS = ("image", "counts", "spots")

SPOT_FILE, LABEL_FILE = "spot file", "label file"
SPOT_COLUMNS = ("x", "y", "pixel_x", "pixel_y")
LABEL_COLUMNS = ("x", "y", "label")
MISSING = ("", "NA", "nan")
"""What R and pandas write where a label or its position is missing."""

TRUTHS = dict.fromkeys(("1", "1.0", "true", "yes"), True)
TRUTHS |= dict.fromkeys(("0", "0.0", "false", "no"), False)


def read_spots(path: str | os.PathLike) -> pd.DataFrame:
    """Read a spot file: a table with x, y, pixel_x (column), pixel_y (row), maybe selected.

    An alignment table is one without ``selected``.

    Returns:
        One row a spot, indexed "XxY": array_col, array_row (int64), pixel_x, pixel_y
        (float64, level 0) and selected (bool, True where the file does not say).

    Raises:
        UserError: the file is missing, empty or no table, lacks a column or a value, or names a
            spot twice.
    """
    table = read_columns(path, SPOT_FILE, SPOT_COLUMNS, optional=("selected",))
    numbers = table[list(SPOT_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = table[SPOT_COLUMNS[column]].iloc[row]
        raise UserError(
            f"The spot file {path} has no number in column {SPOT_COLUMNS[column]} of row {row + 1}"
            f"{f', but {value!r}' if value else ''}; correct line {table.index[row]}."
        )
    spots = pd.DataFrame(
        {
            "array_col": np.rint(numbers["x"]).astype(np.int64),
            "array_row": np.rint(numbers["y"]).astype(np.int64),
            "pixel_x": numbers["pixel_x"].astype(np.float64),
            "pixel_y": numbers["pixel_y"].astype(np.float64),
            "selected": _truths(table["selected"], path) if "selected" in table else True,
        }
    )
    spots.index = pd.Index(_keys(numbers), name="spot")
    _refuse_repeated(spots.index, f"The spot file {path}")
    return spots


def read_labels(path: str | os.PathLike) -> pd.Series:
    """Read a pathologist's labels: a table with label, and either barcode or x and y.

    x and y are rounded to array positions. Labels are text, whatever they look like. Rows without
    a place or a label (empty, ``NA`` or ``nan``) are left out and counted in the log.

    Returns:
        Labels by barcode or by "XxY", as the name of the index says: ``barcode`` or ``spot``.

    Raises:
        UserError: the file is missing, empty or no table, lacks a column, has a position that is
            no number, or labels a spot twice.
    """
    table = read_columns(path, LABEL_FILE, ("label",), optional=("barcode",))
    by_barcode = "barcode" in table
    if not by_barcode:
        table = read_columns(path, LABEL_FILE, LABEL_COLUMNS)
    complete = table[~table.isin(MISSING).any(axis=1)]
    if len(complete) < len(table):
        log.info("%s: %d rows without position or label", path, len(table) - len(complete))
    if by_barcode:
        places = pd.Index(complete["barcode"], name="barcode")
    else:
        places = pd.Index(_keys(_positions(complete, path)), name="spot")
    labels = pd.Series(
        complete["label"].to_numpy(),
        index=places,
        name="label",
        dtype=object,
    )
    _refuse_repeated(labels.index, f"The label file {path}")
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


def _truths(values: pd.Series, path: str | os.PathLike) -> pd.Series:
    """Whether each value says yes, in one of the usual words."""
    words = values.str.casefold()
    known = words.map(TRUTHS)
    if known.isna().any():
        row = int(np.argmax(known.isna()))
        shown = f"'{values.iloc[row]}'" if values.iloc[row] else "no value"
        raise UserError(
            f"The spot file {path} has {shown} in column selected of row {row + 1}; write 1 for a "
            "spot on the tissue and 0 for another."
        )
    return known.astype(bool)


def _positions(table: pd.DataFrame, path: str | os.PathLike) -> pd.DataFrame:
    """Columns x and y as numbers."""
    positions = table[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(positions.to_numpy(dtype=np.float64)).all(axis=1)
    if bad.any():
        line = table.index[bad][0]
        raise UserError(
            f"The label file {path}, line {line}: x '{table.loc[line, 'x']}' and y "
            f"'{table.loc[line, 'y']}' must be numbers; correct them."
        )
    return positions


def _keys(positions: pd.DataFrame) -> list[str]:
    return [spot_key(x, y) for x, y in zip(positions["x"], positions["y"], strict=True)]


def _refuse_repeated(spots: pd.Index, source: str) -> None:
    if (spot := repeated(spots)) is not None:
        raise UserError(f"{source} names the spot {spot} twice.")
