"""Metrics of the pattern of a gene over the tissue: similarity, smoothed labels and Moran's I."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.correlations import is_constant, pearson
from reg2st.evaluation.matrices import matrices
from reg2st.sections.geometry import CHECKERBOARD, HEXAGONAL
from reg2st.sections.positions import pitch_xy
from reg2st.sections.section_file import SectionArrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEIGHBOURS_WITHIN = 1.5
"""Largest distance of neighbours, in pitches: eight on a square array, six on a hexagonal one."""

WINDOW = 7
"""Side of the windows of structural similarity, array positions: scikit-image's default."""


@dataclass(frozen=True)
class Places:
    """Where the spots of a section are, n spots.

    Attributes:
        pitch_xy: positions in pitches, float64 ``[n, 2]``.
        grid_xy: column and row of each spot in an image with a pixel a spot, int64 ``[n, 2]`` from
            0; None where the section has no array, or two spots share a position.
    """

    pitch_xy: NDArray[np.float64]
    grid_xy: NDArray[np.int64] | None

    @classmethod
    def of(cls, section: SectionArrays) -> "Places":
        """The places of a section's spots.

        Every second column of a row is empty on a hexagonal array and on a checkerboard: two
        columns become one.
        """
        grid = section.array_xy
        if grid is not None:
            grid = grid - grid.min(axis=0)
            if section.lattice in (HEXAGONAL, CHECKERBOARD):
                grid = grid // [2, 1]
            if len(np.unique(grid, axis=0)) < len(grid):
                grid = None
        return cls(pitch_xy(section), grid)

    @cached_property
    def neighbours(self) -> "csr_matrix":
        """1 for two spots at most ``NEIGHBOURS_WITHIN`` pitches apart, else 0, ``[n, n]``."""
        from scipy.sparse import coo_matrix
        from scipy.spatial import KDTree

        n = len(self.pitch_xy)
        pairs = KDTree(self.pitch_xy).query_pairs(NEIGHBOURS_WITHIN, output_type="ndarray")
        both = np.concatenate([pairs, pairs[:, ::-1]])
        return coo_matrix((np.ones(len(both)), tuple(both.T)), shape=(n, n)).tocsr()


def structural_similarity(
    observed: ArrayLike, predicted: ArrayLike, places: Places
) -> NDArray[np.float64]:
    """Structural similarity (SSIM, Wang et al. 2004) on the array grid, mean over the spots.

    scikit-image's map with square windows of ``WINDOW`` positions (fewer on a smaller array) and
    the range of the observed values as dynamic range. Positions without a spot have the mean of
    their side, and do not count in the mean. Both sides are in units of the target, so a
    prediction that varies too little is punished.

    Args:
        observed: ``[n, G]``.
        predicted: ``[n, G]``.
        places: of the n spots.

    Returns:
        float64 ``[G]``, -1 to 1; NaN where the observed values are constant or a prediction is not
        a number, and for all genes without a grid of at least 3 x 3 positions.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    from skimage.metrics import structural_similarity as similarity

    observed, predicted = matrices(observed, predicted)
    values = np.full(observed.shape[1], np.nan)
    if places.grid_xy is None or not len(observed):
        return values
    columns, rows = places.grid_xy.T
    shape = rows.max() + 1, columns.max() + 1
    side = min(WINDOW, *shape)
    side -= 1 - side % 2  # windows have a centre
    if side < 3:
        return values
    for gene in np.flatnonzero(~is_constant(observed) & ~np.isnan(predicted).any(axis=0)):
        sides = []
        for expression in (observed[:, gene], predicted[:, gene]):
            image = np.full(shape, expression.mean())
            image[rows, columns] = expression
            sides.append(image)
        _, similarities = similarity(
            *sides, win_size=side, data_range=np.ptp(observed[:, gene]), full=True
        )
        values[gene] = similarities[rows, columns].mean()
    return values


def pearson_with_smoothed(
    observed: ArrayLike, predicted: ArrayLike, places: Places
) -> NDArray[np.float64]:
    """PCC of the prediction with the observed values averaged over each spot and its neighbours.

    Chung et al. (TRIPLEX, CVPR 2024) and those who follow them smooth labels so, over 3 x 3 spots
    of a square array, before training and before scoring. Shapes, arguments and errors as in
    :func:`structural_similarity`; NaN where either side is constant.
    """
    observed, predicted = matrices(observed, predicted)
    if not len(observed):
        return np.full(observed.shape[1], np.nan)
    near = places.neighbours
    counted = 1 + np.asarray(near.sum(axis=1))
    return pearson((observed + near @ observed) / counted, predicted)


def moran_difference(
    observed: ArrayLike, predicted: ArrayLike, places: Places
) -> NDArray[np.float64]:
    """Absolute difference of Moran's I between predicted and observed expression.

    0: the prediction is as smooth as the observation. Shapes, arguments and errors as in
    :func:`structural_similarity`; NaN where either side is constant, and for all genes where no
    two spots are neighbours.
    """
    observed, predicted = matrices(observed, predicted)
    if not len(observed):
        return np.full(observed.shape[1], np.nan)
    weights = places.neighbours
    return np.abs(morans_i(predicted, weights) - morans_i(observed, weights))


def morans_i(values: NDArray[np.float64], weights: "csr_matrix") -> NDArray[np.float64]:
    """Moran's I of each column (Moran 1950): the spatial autocorrelation, about -1 to 1.

    scanpy's ``morans_i`` gives the same; it is not in the environment of the job that scores.

    Args:
        values: ``[n, G]``.
        weights: of pairs of spots, ``[n, n]``.

    Returns:
        float64 ``[G]``; NaN where a column is constant, and everywhere without weights.
    """
    autocorrelation = np.full(values.shape[1], np.nan)
    varies = ~is_constant(values)
    if not weights.nnz or not varies.any():
        return autocorrelation
    centred = values[:, varies] - values[:, varies].mean(axis=0)
    covariance = (centred * (weights @ centred)).sum(axis=0) / weights.sum()
    autocorrelation[varies] = covariance / np.square(centred).mean(axis=0)
    return autocorrelation
