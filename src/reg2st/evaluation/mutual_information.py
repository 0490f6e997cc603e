"""Mutual information of observed with predicted expression, gene by gene within one section."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.correlations import is_constant
from reg2st.evaluation.matrices import matrices

FEWEST_BINS = 10


def normalised_mutual_information(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Mutual information of binned values, divided by the root of the product of their entropies.

    The definition of Wang et al. 2025 (``calculate_MI`` of SydneyBioX/HEtoSGEBench): bins of
    equally many spots, the larger of 10 and the cube root of their number; equal values share a
    bin. Few spots raise it: independent values of 200 spots have about 0.1.

    Args:
        observed: ``[n, G]``.
        predicted: ``[n, G]``.

    Returns:
        float64 ``[G]``, 0 to 1; NaN where either side is constant or a prediction is not a number.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    from sklearn.metrics import normalized_mutual_info_score

    observed, predicted = matrices(observed, predicted)
    information = np.full(observed.shape[1], np.nan)
    constant = is_constant(observed) | is_constant(predicted)
    for gene in np.flatnonzero(~constant & ~np.isnan(predicted).any(axis=0)):
        information[gene] = normalized_mutual_info_score(
            _bins(observed[:, gene]), _bins(predicted[:, gene]), average_method="geometric"
        )
    return information


def _bins(values: NDArray[np.float64]) -> NDArray[np.int_]:
    """The bin of each value, int ``[n]``."""
    bins = max(FEWEST_BINS, int(len(values) ** (1 / 3)))
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(np.unique(edges), values, side="left")
