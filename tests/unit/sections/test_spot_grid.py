"""Grids of spots: their distances, their places, and how a dense one is cut into coarser ones."""

import numpy as np
import pytest
import shapely
from scipy.spatial import KDTree

from reg2st.sections.spot_grid import LATTICES, interleaved, lay_grid

DISC = shapely.MultiPolygon([shapely.Point(1000, 800).buffer(500, quad_segs=64)])


@pytest.mark.parametrize(("grid", "neighbours"), [("square", 4), ("hexagonal", 6)])
def test_spots_are_a_pitch_apart_on_tissue_only(grid, neighbours):
    spots = lay_grid(DISC, grid, 40.0)
    assert shapely.contains_xy(DISC, spots.pixel_xy).all()
    per_spot = 40.0**2 * (1 if grid == "square" else np.sqrt(3) / 2)
    assert len(spots.pixel_xy) == pytest.approx(DISC.area / per_spot, rel=0.03)
    near = KDTree(spots.pixel_xy).query([1000, 800])[1]
    around = KDTree(spots.pixel_xy).query_ball_point(spots.pixel_xy[near], 40.5)
    assert len(around) == neighbours + 1
    in_pitches = spots.array_xy * np.array(LATTICES[grid])
    np.testing.assert_allclose(in_pitches * 40.0 + 20.0, spots.pixel_xy)


def test_the_same_place_of_a_slide_gets_the_same_spot_whatever_else_is_tissue():
    whole = lay_grid(DISC, "hexagonal", 40.0)
    half = lay_grid(
        shapely.MultiPolygon([DISC.geoms[0].intersection(shapely.box(1000, 0, 2000, 2000))]),
        "hexagonal",
        40.0,
    )
    assert {*map(tuple, half.array_xy)} < {*map(tuple, whole.array_xy)}


def test_tissue_smaller_than_a_spot_holds_none():
    assert len(lay_grid(shapely.MultiPolygon([shapely.box(1, 1, 9, 9)]), "square", 40.0)[0]) == 0


@pytest.mark.parametrize("grid", ["square", "hexagonal"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_dense_grid_is_cut_into_grids_as_wide_as_training(grid, times):
    spots = lay_grid(DISC, grid, 40.0 / times)
    which = interleaved(grid, spots.array_xy, times)
    assert len(np.unique(which)) == times**2
    for each in np.unique(which):
        some = spots.pixel_xy[which == each]
        nearest = KDTree(some).query(some, k=2)[0][:, 1]
        assert np.median(nearest) == pytest.approx(40.0)
        assert nearest.min() == pytest.approx(40.0)
