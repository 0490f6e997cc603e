"""Parts of an AnnData file: raw counts, never dense as a whole, and where its spots lie."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.geometry import SpotArray
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.tenx_matrix import check_counts, unique_genes

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
    layers = ", ".join(file.get("layers", {}))
    if layer:
        if f"layers/{layer}" not in file:
            raise UserError(f"{path} has no layer '{layer}' (its layers: {layers or 'none'}).")
        places = [(f"layers/{layer}", "var")]
    else:
        places = [each for each in (("X", "var"), ("raw/X", "raw/var")) if each[0] in file]
    remedy = f"; name the layer that holds them in the column `layer` (there are {layers})"
    refusal: UserError | None = None
    for values, genes in places:
        counts = _read_sparse(file[values])
        try:
            check_counts(counts.data, path, remedy if layers and not layer else "")
        except UserError as error:
            refusal = refusal or error
        else:
            return counts, read_frame(file, genes)
    raise refusal or UserError(f"{path} holds no counts: it has neither X nor raw.")


def read_spatial(file: h5py.File, path: Path) -> np.ndarray | None:
    """obsm["spatial"], float64 ``[n, 2]``, x and y; None if the file has none.

    Raises:
        UserError: it does not hold two numbers for each spot.
    """
    if "obsm/spatial" not in file:
        return None
    from anndata.io import read_elem

    spatial = np.asarray(read_elem(file["obsm/spatial"]))
    if spatial.ndim != 2 or spatial.shape[1] < 2 or not np.issubdtype(spatial.dtype, np.number):
        raise UserError(f'{path}: obsm["spatial"] must hold x and y of each spot, as numbers.')
    return spatial[:, :2].astype(np.float64)


def raw_section(
    row: SectionRow,
    path: Path,
    counts: "csr_matrix",
    genes: pd.DataFrame,
    obs: pd.DataFrame,
    spatial: np.ndarray,
    array: SpotArray,
) -> RawSection:
    """The spots of an AnnData file that are in tissue, if ``obs["in_tissue"]`` says so.

    Shapes:
        counts CSR ``[n, G]``, genes a row each of G (``var``), spatial float64 ``[n, 2]``, x and y
        in pixels.

    Raises:
        UserError: a name occurs twice, a position is no number, or no spot is in tissue.
    """
    if obs.index.has_duplicates:
        twice = obs.index[obs.index.duplicated()][0]
        raise UserError(f"{path} names the spot {twice} twice.")
    if not np.isfinite(spatial).all():
        spot = obs.index[np.argmin(np.isfinite(spatial).all(axis=1))]
        raise UserError(f"{path} has no position for the spot {spot}; correct or delete it.")
    names, repeated = unique_genes(genes.index)
    kept = np.ones(len(obs), dtype=bool)
    if "in_tissue" in obs:
        kept = pd.to_numeric(obs["in_tissue"], errors="coerce").eq(1).to_numpy()
    if not kept.any():
        raise UserError(f"{path} has no spot in tissue; leave section {row.section} out.")
    array_xy = _array_positions(obs)
    numbered = f"{row.section}: {repeated} genes bear the name of another gene; they are numbered."
    return RawSection(
        name=row.section,
        platform=row.platform,
        counts=counts[kept],
        genes=names,
        gene_ids=_known_ids(genes),
        barcodes=obs.index[kept].astype(str).tolist(),
        pixel_xy=spatial[kept],
        array_xy=None if array_xy is None else array_xy[kept],
        array=array,
        dropped={"not in tissue": int((~kept).sum())},
        notes=[numbered] if repeated else [],
    )


def _known_ids(genes: pd.DataFrame) -> list[str] | None:
    """Identifiers as scanpy and Space Ranger name their column; empty where one is missing."""
    if "gene_ids" not in genes:
        return None
    return genes["gene_ids"].astype(object).fillna("").astype(str).tolist()


def _array_positions(obs: pd.DataFrame) -> np.ndarray | None:
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
