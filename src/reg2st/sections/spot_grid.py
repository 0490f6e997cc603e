"""Spots on a slide without an array: the places of a regular grid that lie on tissue."""

from typing import Literal, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from reg2st.sections.geometry import HEXAGONAL, SQUARE, Lattice

GridName = Literal["square", "hexagonal"]

LATTICES: dict[GridName, Lattice] = {"square": SQUARE, "hexagonal": HEXAGONAL}


class SpotGrid(NamedTuple):
    """Places of a grid, n spots, row by row.

    Shapes:
        array_xy: int64 ``[n, 2]``, column and row; in a hexagonal grid neighbours in a row are two
            columns apart, as in Visium.
        pixel_xy: float64 ``[n, 2]``, px of level 0.
    """

    array_xy: NDArray[np.int64]
    pixel_xy: NDArray[np.float64]


def lay_grid(regions: shapely.MultiPolygon, grid: GridName, pitch_px: float) -> SpotGrid:
    """The places of a grid whose centres lie in the regions; none if they are too small.

    Place (0, 0) is half a pitch from the slide's upper left corner, so the same regions of the
    same slide always get the same spots.

    Args:
        regions: px of level 0.
        pitch_px: distance of neighbouring spots, px of level 0.
    """
    left, top, right, bottom = regions.bounds
    step = np.array(LATTICES[grid]) * pitch_px
    first = np.floor(np.array([left, top]) / step - 1).astype(int).clip(min=0)
    last = np.ceil(np.array([right, bottom]) / step).astype(int)
    column, row = (axis.ravel() for axis in np.meshgrid(*map(np.arange, first, last + 1)))
    array_xy = np.stack([column, row], axis=1)
    if grid == "hexagonal":
        array_xy = array_xy[array_xy.sum(axis=1) % 2 == 0]
    pixel_xy = array_xy * step + pitch_px / 2
    shapely.prepare(regions)
    on_tissue = shapely.contains_xy(regions, pixel_xy)
    return SpotGrid(array_xy[on_tissue], pixel_xy[on_tissue])


def interleaved(grid: GridName, array_xy: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    """The coarser grid of each spot, int64 ``[n]``, when one is cut into grids of ``times`` pitch.

    A grid of every ``times``-th place is again a grid of the same kind, ``times`` as wide.

    Args:
        array_xy: ``[n, 2]``, column and row.
        times: how many times the pitch.
    """
    column, row = array_xy.T
    if grid == "hexagonal":
        # Steps along a row and along a diagonal, which a hexagonal grid is made of.
        column = (column - row) // 2
    return (column % times) * times + row % times
