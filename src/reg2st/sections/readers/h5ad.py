"""AnnData: raw counts and obsm["spatial"] in an h5ad file, and the image they belong to."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.anndata_file import (
    array_positions,
    open_anndata,
    read_frame,
    read_raw_counts,
    read_spatial,
)
from reg2st.sections.geometry import VISIUM, SpotArray
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.tenx_matrix import unique_genes

COLUMNS = ("counts", "image", "layer")


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return ("counts", "image")


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name."""
    return {"counts": root / row.counts, "image": root / row.image}


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The spots of an AnnData file that are in tissue, if it says so.

    ``obsm["spatial"]`` holds x and y in pixels of the image. ``uns["spatial"]``, as scanpy and
    squidpy write it, tells the array; its scale factors and pictures may be of another image.

    Raises:
        UserError: the file is bad, has no raw counts or no positions.
    """
    path = files["counts"]
    with open_anndata(path) as file:
        spatial = read_spatial(file)
        if spatial is None:
            raise UserError(
                f'{path} has no obsm["spatial"]; store the spot centres there, x and y in px of '
                "the image."
            )
        array = _array_of(file)
        counts, genes = read_raw_counts(file, row.layer, path)
        obs = read_frame(file, "obs")
    return join_parts(row, path, counts, genes, obs, spatial, array)


def join_parts(
    row: SectionRow,
    path: Path,
    counts,
    genes: pd.DataFrame,
    obs: pd.DataFrame,
    spatial: np.ndarray,
    array: SpotArray,
) -> RawSection:
    """A raw section of the parts of an AnnData file.

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
    array_xy = array_positions(obs)
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


def _array_of(file: h5py.File) -> SpotArray:
    """The array that squidpy's uns["spatial"] tells by its chemistry; else nothing is known."""
    spatial = file.get("uns/spatial")
    for library in spatial.values() if isinstance(spatial, h5py.Group) else ():
        chemistry = library.get("metadata/chemistry_description")
        told = "" if chemistry is None else str(chemistry.asstr()[()])
        if told.startswith("Spatial 3'") or ("Visium" in told and "HD" not in told):
            return SpotArray(VISIUM.pitch_um, VISIUM.diameter_um)
    return SpotArray()
