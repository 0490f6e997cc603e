"""Read a section's counts from a text table: spots in rows or in columns.

A spot is known by its array position, "XxY". Programs write it as ``10x14``, ``10.02x13.98``,
``10X14``, ``10_14`` or ``10x14_1`` (the last number is the array's); R puts an X before it.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.gene_names import (
    are_ensembl,
    spreadsheet_dates,
    symbols_of,
    unique_symbols,
)
from reg2st.sections.tables import NumberTable, repeated

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

log = logging.getLogger(__name__)

KIND = "count file"

NUMBER = r"(-?\d+(?:\.\d+)?)"
POSITION = re.compile(rf"X?{NUMBER}(?:[xX]{NUMBER}(?:_(\w+))?|_{NUMBER})")
TOTALS = ("total", "totals", "sum", "grand total")


class Counts(NamedTuple):
    """Raw counts of one section: float32 CSR ``[n spots, n genes]``."""

    matrix: "csr_matrix"
    genes: list[str]
    spots: list[str]


def read_counts(path: str | os.PathLike) -> Counts:
    """Read a count table, in any text form that ``reg2st.sections.tables`` reads.

    Spots stand in rows or in columns, which their names tell. The header may or may not name the
    first column. Where genes stand in rows, a second column may name them: symbols beside
    Ensembl ids. A row or column of totals is left out and said in the log.

    Raises:
        UserError: the file is empty, damaged or no table; a gene or spot name is missing or
            occurs twice; a value is missing, no number, negative or fractional.
    """
    table = NumberTable.of(path, KIND)
    read = _genes_in_rows if _has_spots_in_columns(table) else _spots_in_rows
    counts = _without_total_gene(read(table), path)
    for place, gene in enumerate(counts.genes, start=1):
        if not gene:
            raise UserError(f"{_named(path)} has no gene name in column {place}.")
    for kind, names in (("gene", counts.genes), ("spot", counts.spots)):
        if (name := repeated(names)) is not None:
            raise UserError(f"{_named(path)} names the {kind} {name} twice.")
    if dates := spreadsheet_dates(counts.genes):
        log.warning(
            "%s: %d gene names are dates that a spreadsheet made of names: %s",
            path,
            len(dates),
            ", ".join(dates),
        )
    return counts


def _has_spots_in_columns(table: NumberTable) -> bool:
    head = table.columns[1:]
    named = sum(map(_is_position, head))
    if not _is_position(table.layout.first[0]):
        return named > 0
    if named > len(head) / 2:
        raise UserError(
            f"{_named(table.path)} has array positions both in its header and in its rows; one of "
            "them must hold gene names."
        )
    return False


def _spots_in_rows(table: NumberTable) -> Counts:
    if _is_position(table.columns[0]):
        raise UserError(
            f"{_named(table.path)} has no header: its first line is of spot {table.columns[0]}; "
            "add a line of gene names."
        )
    matrix, names = _read(table, 1, lambda row, column: (row[0], table.columns[column]))
    genes = symbols_of(table.columns[1:])
    rows = names[0].tolist()
    if rows[-1].casefold() in TOTALS:
        log.info("%s: the last row, '%s', is left out.", table.path, rows[-1])
        matrix, rows = matrix[:-1], rows[:-1]
    return Counts(matrix, genes, _spot_keys(rows, table, "row"))


def _genes_in_rows(table: NumberTable) -> Counts:
    named_by = 1 + next(place for place, name in enumerate(table.columns[1:]) if _is_position(name))
    if named_by > 2:
        further = ", ".join(table.columns[1:named_by])
        raise UserError(
            f"{_named(table.path)} has the columns {further} before its first spot; leave one of "
            "gene names, or symbols beside Ensembl ids."
        )
    matrix, names = _read(table, named_by, lambda row, column: (table.columns[column], row[0]))
    spots = table.columns[named_by:]
    if spots[-1].casefold() in TOTALS:
        log.info("%s: the last column, '%s', is left out.", table.path, spots[-1])
        matrix, spots = matrix[:, :-1], spots[:-1]
    genes = names[0].tolist()
    if named_by == 2:
        genes = _paired(genes, names[1].tolist(), table)
    keys = _spot_keys(spots, table, "column")
    return Counts(matrix.T.tocsr(), symbols_of(genes), keys)


def _read(
    table: NumberTable, named_by: int, place: Callable[[pd.Series, int], tuple[str, str]]
) -> tuple["csr_matrix", pd.DataFrame]:
    """All counts as they stand, float32 CSR, and the names at the begin of the rows.

    Args:
        place: gives spot and gene of a value from the names of its row and its column.
    """
    from scipy.sparse import csr_matrix, vstack

    blocks, names = [], []
    for chunk in table.chunks(named_by):
        chunk = chunk[chunk.iloc[:, named_by:].notna().any(axis=1) | chunk[0].ne("")]
        values = chunk.iloc[:, named_by:]
        counts = _numbers(values)
        with np.errstate(invalid="ignore"):
            good = np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))
        if not good.all():
            row, column = np.argwhere(~good)[0]
            spot, gene = place(chunk.iloc[row], column + named_by)
            raise UserError(
                f"{_named(table.path)} has {_complaint(values.iloc[row, column])} at spot {spot}, "
                f"gene {gene}; counts must be whole numbers of 0 or more."
            )
        blocks.append(csr_matrix(counts, dtype=np.float32))
        names.append(chunk.iloc[:, :named_by])
    return vstack(blocks, format="csr"), pd.concat(names, ignore_index=True)


def _numbers(values: pd.DataFrame) -> np.ndarray:
    try:
        return values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        return values.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)


def _is_position(name: str) -> bool:
    return POSITION.fullmatch(name) is not None


def _spot_keys(names: list[str], table: NumberTable, kind: str) -> list[str]:
    """Array positions "XxY" of spot names, both numbers rounded."""
    found = [POSITION.fullmatch(name) for name in names]
    if None in found:
        place = found.index(None)
        shown = f"'{names[place]}'" if names[place] else "no name"
        raise UserError(
            f"{_named(table.path)} has {shown} for {kind} {place + 1}; a {kind} is named after "
            "its array position, such as 10x14."
        )
    arrays = Counter(match[3] for match in found)
    if len(arrays) > 1:
        several = ", ".join(f"_{array}" if array else "none" for array in list(arrays)[:5])
        raise UserError(
            f"{_named(table.path)} has spots of {len(arrays)} arrays (their names end in "
            f"{several}); give each section its own file."
        )
    return [spot_key(float(match[1]), float(match[2] or match[4])) for match in found]


def spot_key(x: float, y: float) -> str:
    """The name of a spot from its position on the array: both numbers rounded."""
    return f"{x:.0f}x{y:.0f}"


def _paired(first: list[str], second: list[str], table: NumberTable) -> list[str]:
    """Gene names from two columns, one of which holds Ensembl ids."""
    for ids, symbols in ((first, second), (second, first)):
        if are_ensembl(ids):
            return unique_symbols(symbols, ids)
    raise UserError(
        f"{_named(table.path)} has two columns of gene names, and none holds Ensembl ids; leave "
        "one of them."
    )


def _without_total_gene(counts: Counts, path: str | os.PathLike) -> Counts:
    """Counts without a last gene that holds the sum of the others."""
    if len(counts.genes) < 2 or counts.genes[-1].casefold() not in TOTALS:
        return counts
    others, last = counts.matrix[:, :-1], counts.matrix[:, -1].toarray()
    if not np.array_equal(np.asarray(others.sum(axis=1)), last):
        return counts
    log.info("%s: '%s', the sum of all genes, is left out.", path, counts.genes[-1])
    return Counts(others.tocsr(), counts.genes[:-1], counts.spots)


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


def _named(path: str | os.PathLike) -> str:
    return f"The {KIND} {path}"
