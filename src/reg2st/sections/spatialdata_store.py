"""Write sections and predicted slides as SpatialData, for sopa, napari and other tools of scverse.

The package spatialdata is optional: it brings some forty others.
"""

import os
from types import ModuleType
from typing import TYPE_CHECKING

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.sections.slides import Slide, open_slide

if TYPE_CHECKING:
    from dask.array import Array

IMAGE_COORDINATES = "global"
"""The coordinate system of pixels of level 0 of the image."""

TILE_PX = 1024
HALVINGS = 4
"""Coarser copies of the image, each of half the size."""


def import_spatialdata() -> ModuleType:
    """The package spatialdata.

    Raises:
        UserError: it is not installed.
    """
    try:
        import spatialdata
    except ImportError as error:
        raise UserError(
            "SpatialData needs the package spatialdata; run snakemake with `--sdm conda`, or "
            "install it by pip install -c constraints.txt -e '.[spatialdata]'."
        ) from error
    return spatialdata


def write_spatialdata(
    section: str | os.PathLike,
    image: str | os.PathLike,
    store: str | os.PathLike,
    *,
    table_name: str = "counts",
) -> None:
    """Write the spots of a slide, with the slide, as a SpatialData store.

    It holds the image ``slide`` with coarser copies, the shapes ``spots`` (circles) and a table
    of the spots, in pixels of level 0 of the slide.

    Args:
        section: a section file, or the predictions for a slide.
        image: its slide.
        store: folder to write; one that exists is replaced.
        table_name: name of the table.

    Raises:
        UserError: spatialdata is not installed, or a file is bad.
    """
    spatialdata = import_spatialdata()
    import anndata
    from spatialdata.models import Image2DModel, ShapesModel, TableModel

    table = anndata.read_h5ad(section)
    (place,) = table.uns.pop("spatial").values()
    radius = place["scalefactors"]["spot_diameter_fullres"] / 2
    spots = ShapesModel.parse(
        table.obsm["spatial"], geometry=0, radius=radius, index=table.obs_names
    )
    table.obs["region"] = "spots"
    table.obs["region"] = table.obs["region"].astype("category")
    table.obs["spot"] = table.obs_names
    table = TableModel.parse(table, region="spots", region_key="region", instance_key="spot")
    with open_slide(image) as slide:
        picture = Image2DModel.parse(
            _tiles(slide), dims=("c", "y", "x"), scale_factors=[2] * HALVINGS, c_coords=list("rgb")
        )
        data = spatialdata.SpatialData(
            images={"slide": picture}, shapes={"spots": spots}, tables={table_name: table}
        )
        with written_whole(store) as temporary:
            data.write(temporary)


def _tiles(slide: Slide) -> "Array":
    """The slide as uint8 ``[3, height, width]``, read tile by tile when it is needed."""
    import dask.array as da
    from dask import delayed

    width, height = slide.size_px

    def tile(x: int, y: int) -> "Array":
        size = (min(TILE_PX, width - x), min(TILE_PX, height - y))
        pixels = delayed(slide.read)(x, y, *size)
        return da.from_delayed(pixels, (size[1], size[0], 3), dtype="uint8")

    rows = [
        da.concatenate([tile(x, y) for x in range(0, width, TILE_PX)], axis=1)
        for y in range(0, height, TILE_PX)
    ]
    return da.concatenate(rows, axis=0).transpose(2, 0, 1)
