"""Parts of an AnnData file: raw counts, never dense as a whole, and where its spots lie."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.tenx_matrix import check_counts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ROWS_A_CHUNK = 1000


@contextmanager
def open_anndata(path: Path) -> Iterator[h5py.File]:
    """Open an AnnData file for reading.

    Raises:
        UserError: it is damaged or no AnnData file, also if that is found in the block.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} is damaged or no h5ad file; fetch it again.") from error
    with file:
        if not {"obs", "var"} <= set(file):
            raise UserError(f"{path} is no h5ad file: it lacks obs or var.")
        try:
            yield file
        except (OSError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} is damaged or no h5ad file ({reason}).") from error


def read_frame(file: h5py.File, name: str) -> pd.DataFrame:
    """``obs``, ``var`` or ``raw/var``."""
    from anndata.io import read_elem

    return read_elem(file[name])


def read_raw_counts(file: h5py.File, layer: str, path: Path) -> tuple["csr_matrix", pd.DataFrame]:
    """Raw counts, float32 CSR ``[n, G]``, and the table of the genes (``var``).

    They are taken from the named layer, else from X, else from raw: the first that holds whole
    numbers.

    Raises:
        UserError: there is no such layer, or nothing holds raw counts.
    """
    if layer:
        if f"layers/{layer}" not in file:
            layers = ", ".join(file.get("layers", {})) or "none"
            raise UserError(f"{path} has no layer '{layer}' (its layers: {layers}).")
        counts = _read_sparse(file[f"layers/{layer}"])
        check_counts(counts.data, path)
        return counts, read_frame(file, "var")
    refused = UserError(f"{path} holds no counts: it has neither X nor raw.")
    for values, genes in (("X", "var"), ("raw/X", "raw/var")):
        if values not in file:
            continue
        counts = _read_sparse(file[values])
        try:
            check_counts(counts.data, path)
        except UserError as error:
            refused = error
            continue
        return counts, read_frame(file, genes)
    layers = ", ".join(file.get("layers", {}))
    hint = f" Name the layer of raw counts in the column `layer` (there are {layers})."
    raise UserError(f"{refused}{hint if layers else ''}")


def read_spatial(file: h5py.File) -> np.ndarray | None:
    """obsm["spatial"], float64 ``[n, 2]``, x and y; None if the file has none."""
    if "obsm/spatial" not in file:
        return None
    from anndata.io import read_elem

    spatial = read_elem(file["obsm/spatial"])
    return np.asarray(spatial, dtype=np.float64)[:, :2]


def array_positions(obs: pd.DataFrame) -> np.ndarray | None:
    """Array column and row of the spots, int64 ``[n, 2]``; None if obs has no whole ones."""
    if not {"array_row", "array_col"} <= set(obs):
        return None
    positions = obs[["array_col", "array_row"]].apply(pd.to_numeric, errors="coerce").to_numpy()
    if not np.array_equal(positions, np.rint(positions)):
        return None
    return positions.astype(np.int64)


def _read_sparse(element: h5py.Group | h5py.Dataset) -> "csr_matrix":
    from anndata.io import read_elem
    from scipy.sparse import csr_matrix, vstack

    if isinstance(element, h5py.Group):
        return csr_matrix(read_elem(element), dtype=np.float32)
    starts = range(0, max(len(element), 1), ROWS_A_CHUNK)
    chunks = [csr_matrix(element[start : start + ROWS_A_CHUNK]) for start in starts]
    return csr_matrix(vstack(chunks), dtype=np.float32)
