"""AnnData: raw counts and obsm["spatial"] in an h5ad file, and the image they belong to."""

from collections.abc import Mapping
from pathlib import Path

import h5py

from reg2st.base.errors import UserError
from reg2st.sections.anndata_file import (
    open_anndata,
    raw_section,
    read_frame,
    read_raw_counts,
    read_spatial,
)
from reg2st.sections.geometry import VISIUM, SpotArray
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow

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
        spatial = read_spatial(file, path)
        if spatial is None:
            raise UserError(
                f'{path} has no obsm["spatial"]; store the spot centres there, x and y in px of '
                "the image."
            )
        array = _array_of(file)
        counts, genes = read_raw_counts(file, row.layer, path)
        obs = read_frame(file, "obs")
    return raw_section(row, path, counts, genes, obs, spatial, array)


def _array_of(file: h5py.File) -> SpotArray:
    """The array that squidpy's uns["spatial"] tells by its chemistry; else nothing is known."""
    spatial = file.get("uns/spatial")
    for library in spatial.values() if isinstance(spatial, h5py.Group) else ():
        chemistry = library.get("metadata/chemistry_description")
        told = "" if chemistry is None else str(chemistry.asstr()[()])
        if told.startswith("Spatial 3'") or ("Visium" in told and "HD" not in told):
            return SpotArray(VISIUM.pitch_um, VISIUM.diameter_um)
    return SpotArray()
