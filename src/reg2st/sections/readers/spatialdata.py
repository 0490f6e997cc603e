"""SpatialData: a zarr store of one table of spots or bins, and the image they belong to.

Needs the optional environment ``spatialdata``, see docs/reference/platforms/spatialdata.md.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reg2st.base.errors import UserError
from reg2st.sections.anndata_file import raw_section, read_frame, read_raw_counts
from reg2st.sections.geometry import SpotArray
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.spatialdata_store import IMAGE_COORDINATES, import_spatialdata

if TYPE_CHECKING:
    from spatialdata import SpatialData

COLUMNS = ("folder", "image", "layer")

METADATA = ("zarr.json", ".zgroup")
"""A file at the top of every store, by version of zarr."""


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return ("folder", "image")


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name; the store is known by its metadata.

    Raises:
        UserError: there is no store.
    """
    store = root / row.folder
    for name in METADATA:
        if (store / name).is_file():
            return {"store": store / name, "image": root / row.image}
    raise UserError(f"{store} is no SpatialData store (a zarr folder); correct the sample sheet.")


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The spots of the store's only table, placed by the centres of the shapes it annotates.

    Coordinates are those of the coordinate system "global", or of the only one, which must be
    pixels of the image.

    Raises:
        UserError: the package spatialdata is missing, the store has not one table, or the table
            has no raw counts or no shapes.
    """
    import zarr

    store = files["store"].parent
    data = import_spatialdata().read_zarr(store)
    if len(data.tables) != 1:
        names = ", ".join(data.tables) or "none"
        raise UserError(f"{store} must hold one table; it has {len(data.tables)} ({names}).")
    name = next(iter(data.tables))
    table = zarr.open_group(store / "tables" / name, mode="r")
    counts, genes = read_raw_counts(table, row.layer, store)
    obs = read_frame(table, "obs")
    return raw_section(row, store, counts, genes, obs, _centres(data, name, store), SpotArray())


def _centres(data: "SpatialData", table: str, store: Path) -> np.ndarray:
    """Centres of the shapes that a table annotates, float64 ``[n, 2]``, in its order."""
    from spatialdata import get_centroids, get_element_instances

    rows = data.tables[table]
    about = rows.uns.get("spatialdata_attrs")
    if about is None:
        raise UserError(f"The table {table} of {store} annotates no shapes; it has no positions.")
    regions = rows.obs[about["region_key"]].unique()
    if len(regions) != 1:
        raise UserError(
            f"The table {table} of {store} annotates {len(regions)} elements "
            f"({', '.join(map(str, regions))}); write one store for each section."
        )
    element = data[regions[0]]
    systems = list(data.coordinate_systems)
    system = IMAGE_COORDINATES if IMAGE_COORDINATES in systems else systems[0]
    if system != IMAGE_COORDINATES and len(systems) > 1:
        raise UserError(
            f"{store} has no coordinate system '{IMAGE_COORDINATES}' in pixels of the image but "
            f"{', '.join(systems)}; add one."
        )
    centres = get_centroids(element, coordinate_system=system).compute()
    centres.index = get_element_instances(element)
    return centres.loc[rows.obs[about["instance_key"]], ["x", "y"]].to_numpy(dtype=float)
