"""Correlations of observed with predicted expression, gene by gene within one section."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.matrices import matrices

ROUNDING = 16
"""Spread, in float32 rounding units of the column's largest value, that counts as constant."""


def is_constant(values: ArrayLike) -> NDArray[np.bool_]:
    """Which columns do not vary beyond float32 rounding.

    Predictions are stored as float32, so a model that predicts one value per gene may differ
    by a few rounding units from spot to spot. Such a column has no correlation.

    Args:
        values: ``[n, G]``, spots by genes.

    Returns:
        bool ``[G]``; all True for fewer than two spots.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.ones(values.shape[1], dtype=bool)
    low, high = values.min(axis=0), values.max(axis=0)
    return high - low <= ROUNDING * np.finfo(np.float32).eps * np.maximum(-low, high)


def pearson(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation of each column, in float64.

    ``scipy.stats.pearsonr`` along an axis also computes p-values: up to twice the time.

    Args:
        observed: ``[n, G]``.
        predicted: ``[n, G]``.

    Returns:
        float64 ``[G]``; NaN where either side is constant or there are fewer than two spots.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    observed, predicted = matrices(observed, predicted)
    varies = ~(is_constant(observed) | is_constant(predicted))
    correlation = np.full(observed.shape[1], np.nan)
    if varies.any():
        products = _unit_columns(observed[:, varies]) * _unit_columns(predicted[:, varies])
        correlation[varies] = np.clip(products.sum(axis=0), -1.0, 1.0)
    return correlation


def spearman(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Spearman correlation of each column: Pearson of the ranks; ties share their mean rank.

    Shapes, NaN and errors as in :func:`pearson`.
    """
    from scipy.stats import rankdata

    observed, predicted = matrices(observed, predicted)
    correlation = pearson(rankdata(observed, axis=0), rankdata(predicted, axis=0))
    correlation[is_constant(observed) | is_constant(predicted)] = np.nan
    return correlation


def pearson_or_zero(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation of each column, 0 where a side is constant, as MISO's benchmark counts.

    Shapes and errors as in :func:`pearson`; NaN where a prediction is not a number.
    """
    correlation = pearson(observed, predicted)
    correlation[is_constant(observed) | is_constant(predicted)] = 0.0
    return correlation


def _unit_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean(axis=0)
    centred /= np.abs(centred).max(axis=0)  # keeps squares of very small columns from underflow
    return centred / np.linalg.norm(centred, axis=0)
