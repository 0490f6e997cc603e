"""Structural similarity and Moran's I against libraries, and by hand on small arrays."""

from types import SimpleNamespace

import numpy as np
import pytest
from scanpy.metrics import morans_i as scanpys
from scipy.ndimage import convolve
from scipy.stats import entropy, pearsonr
from skimage.metrics import structural_similarity as skimages
from sklearn.metrics import normalized_mutual_info_score

from reg2st.evaluation.mutual_information import normalised_mutual_information
from reg2st.evaluation.spatial_patterns import (
    Places,
    moran_difference,
    morans_i,
    pearson_with_smoothed,
    structural_similarity,
)
from reg2st.sections.geometry import HEXAGONAL


def array(columns, rows):
    return np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2)


def places(xy):
    return Places(np.asarray(xy, dtype=float), np.asarray(xy))


@pytest.fixture
def images():
    """Observed and predicted images of three genes, and the spots of the array in any order."""
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(12, 9, 3)).cumsum(axis=0)
    predicted = observed + rng.normal(size=observed.shape)
    return observed, predicted, rng.permutation(array(9, 12))


def test_structural_similarity_is_scikit_images(images):
    observed, predicted, xy = images
    columns, rows = xy.T
    found = structural_similarity(observed[rows, columns], predicted[rows, columns], places(xy))
    for gene in range(3):
        one, other = observed[..., gene], predicted[..., gene]
        _, similarities = skimages(one, other, data_range=np.ptp(one), full=True)
        assert found[gene] == pytest.approx(similarities.mean(), rel=1e-9)
    assert (found < 1).all()


def test_structural_similarity_of_one_window_by_hand():
    """Four formulas of Wang et al. 2004 on an array of one window."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 9))
    found = structural_similarity(x[:, None], y[:, None], places(array(3, 3)))[0]
    _, similarities = skimages(
        x.reshape(3, 3), y.reshape(3, 3), win_size=3, data_range=np.ptp(x), full=True
    )
    c1, c2 = (0.01 * np.ptp(x)) ** 2, (0.03 * np.ptp(x)) ** 2
    covariance = np.cov(x, y)
    centre = (2 * x.mean() * y.mean() + c1) * (2 * covariance[0, 1] + c2)
    centre /= (x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance.trace() + c2)
    assert similarities[1, 1] == pytest.approx(centre)
    assert found == pytest.approx(similarities.mean())


def test_positions_without_a_spot_do_not_count():
    xy = array(10, 10)
    xy = xy[(xy != 9).all(axis=1) | (xy == 9).all(axis=1)]
    values = np.random.default_rng(2).normal(size=(len(xy), 2))
    np.testing.assert_allclose(structural_similarity(values, values, places(xy)), 1)
    shrunken = structural_similarity(values, 0.1 * values, places(xy))
    assert (shrunken < 0.5).all()


def test_without_an_array_there_is_no_structural_similarity():
    values = np.random.default_rng(2).normal(size=(9, 2))
    for where in (Places(array(3, 3) * 1.0, None), places(array(9, 1))):
        assert np.isnan(structural_similarity(values, values, where)).all()


def test_morans_i_is_scanpys_and_that_of_a_checkerboard():
    xy = array(8, 8)
    rng = np.random.default_rng(3)
    values = np.column_stack([rng.normal(size=(64, 3)), xy[:, 0], np.ones(64)])
    weights = places(xy).neighbours
    assert weights.diagonal().sum() == 0
    assert weights.sum(axis=1).max() == 8
    found = morans_i(values, weights)
    np.testing.assert_allclose(found[:4], scanpys(weights, values[:, :4].T.copy()), rtol=1e-6)
    assert np.isnan(found[4])
    # Of four spots in a row, by hand: weights 1-2, 2-3, 3-4, both ways.
    row = places([[0, 0], [1, 0], [2, 0], [3, 0]])
    assert morans_i(np.array([[1.0], [-1], [1], [-1]]), row.neighbours)[0] == pytest.approx(-1)
    assert morans_i(np.array([[1.0], [2], [3], [4]]), row.neighbours)[0] == pytest.approx(1 / 3)
    one, other = np.array([[1.0], [-1], [1], [-1]]), np.array([[1.0], [2], [3], [4]])
    assert moran_difference(one, other, row)[0] == pytest.approx(4 / 3)


def test_labels_are_smoothed_over_three_by_three_spots(images):
    observed, predicted, xy = images
    columns, rows = xy.T
    found = pearson_with_smoothed(observed[rows, columns], predicted[rows, columns], places(xy))
    window = np.ones((3, 3))
    counted = convolve(np.ones((12, 9)), window, mode="constant")
    for gene in range(3):
        smoothed = convolve(observed[..., gene], window, mode="constant") / counted
        expected = pearsonr(smoothed.ravel(), predicted[..., gene].ravel()).statistic
        assert found[gene] == pytest.approx(expected, abs=1e-12)


def test_spots_without_neighbours_have_no_morans_i():
    where = places([[0, 0], [5, 0], [9, 9]])
    assert np.isnan(moran_difference(np.eye(3), np.eye(3), where)).all()


def test_an_image_of_a_hexagonal_array_has_a_pixel_a_spot():
    xy = array(12, 6)[::-1]
    xy = xy[xy.sum(axis=1) % 2 == 1] + [0, 40]
    where = Places.of(SimpleNamespace(array_xy=xy, lattice=HEXAGONAL))
    assert len(np.unique(where.grid_xy, axis=0)) == len(xy)
    assert np.prod(where.grid_xy.max(axis=0) + 1) == len(xy)
    assert where.neighbours.sum(axis=1).max() == 6
    shared = SimpleNamespace(array_xy=np.concatenate([xy, xy[:1]]), lattice=HEXAGONAL)
    assert Places.of(shared).grid_xy is None


def test_mutual_information_is_scikit_learns_of_equally_full_bins():
    rng = np.random.default_rng(4)
    observed = rng.normal(size=(300, 2))
    predicted = observed + 0.1 * rng.normal(size=observed.shape)
    found = normalised_mutual_information(observed, predicted)
    for gene in range(2):
        ranks = [values[:, gene].argsort().argsort() // 30 for values in (observed, predicted)]
        joint = np.histogram2d(*ranks, bins=10)[0].ravel() / 300
        by_hand = 2 * np.log(10) - entropy(joint)
        assert found[gene] == pytest.approx(by_hand / np.log(10), rel=1e-6)
        assert found[gene] == pytest.approx(normalized_mutual_info_score(*ranks), rel=1e-6)
    np.testing.assert_allclose(normalised_mutual_information(observed, -observed), 1)
    assert np.isnan(normalised_mutual_information(observed, np.ones_like(observed))).all()


def test_equal_values_share_a_bin():
    counts = np.array([0] * 60 + [1] * 30 + [2] * 10)[:, None].astype(float)
    assert normalised_mutual_information(counts, counts)[0] == pytest.approx(1)
    assert normalised_mutual_information(counts, 10 * counts)[0] == pytest.approx(1)
