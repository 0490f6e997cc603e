"""Agreement of predicted with observed expression, gene by gene within one section."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

GENES_AT_A_TIME = 64
"""Genes whose values are ranked and correlated at once: memory does not grow with the others."""

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
    observed, predicted = _matrices(observed, predicted)
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

    observed, predicted = _matrices(observed, predicted)
    correlation = pearson(rankdata(observed, axis=0), rankdata(predicted, axis=0))
    correlation[is_constant(observed) | is_constant(predicted)] = np.nan
    return correlation


def mean_squared_error(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error of each column, in squared units of the target.

    Shapes and errors as in :func:`pearson`; NaN where there is no spot.
    """
    observed, predicted = _matrices(observed, predicted)
    if not len(observed):
        return np.full(observed.shape[1], np.nan)
    return np.square(observed - predicted).mean(axis=0)


@dataclass(frozen=True)
class Metric:
    """How predicted and observed expression of a gene are compared over the spots of a section.

    Attributes:
        name: its column in the tidy scores.
        label: what tables and figures call it.
        function: observed and predicted ``[n, G]`` to a value of each gene, float64 ``[G]``; NaN
            where it is undefined.
        better: which values are the better ones.
        unit: empty if it has none.
    """

    name: str
    label: str
    function: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]
    better: Literal["higher", "lower"]
    unit: str = ""

    @property
    def mean(self) -> str:
        """The column of its mean in tables."""
        return f"mean_{self.name}"

    @property
    def median(self) -> str:
        """The column of its median in tables."""
        return f"median_{self.name}"

    @property
    def with_unit(self) -> str:
        """Its label for an axis."""
        return f"{self.label} ({self.unit or 'no unit'})"


PCC = Metric("pcc", "PCC", pearson, "higher")
SPEARMAN = Metric("spearman", "Spearman correlation", spearman, "higher")
MSE = Metric("mse", "MSE", mean_squared_error, "lower", "squared units of the target")

METRICS = {metric.name: metric for metric in (PCC, SPEARMAN, MSE)}


def score_section(observed: ArrayLike, predicted: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Score one section by every metric.

    Args:
        observed: target expression, ``[n, G]``, spots by genes.
        predicted: predicted expression in the same units, ``[n, G]``. A method that is not
            available for the section predicts NaN throughout, and scores NaN.

    Returns:
        A value of each gene, float64 ``[G]``, by the metric's name; nothing is filled in where it
        is undefined.

    Raises:
        ValueError: the two differ in shape, or are not matrices.
    """
    observed, predicted = _alike(observed, predicted)
    cuts = range(GENES_AT_A_TIME, observed.shape[1], GENES_AT_A_TIME)
    parts = [np.split(each, cuts, axis=1) for each in (observed, predicted)]
    return {
        name: np.concatenate([metric.function(*some) for some in zip(*parts, strict=True)])
        for name, metric in METRICS.items()
    }


def _matrices(
    observed: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    observed, predicted = _alike(observed, predicted)
    return observed.astype(np.float64, copy=False), predicted.astype(np.float64, copy=False)


def _alike(observed: ArrayLike, predicted: ArrayLike) -> tuple[NDArray, NDArray]:
    observed, predicted = np.asarray(observed), np.asarray(predicted)
    if observed.ndim != 2 or observed.shape != predicted.shape:
        raise ValueError(
            f"observed {observed.shape} and predicted {predicted.shape} expression must be "
            "matrices of one shape, spots by genes"
        )
    return observed, predicted


def _unit_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean(axis=0)
    centred /= np.abs(centred).max(axis=0)  # keeps squares of very small columns from underflow
    return centred / np.linalg.norm(centred, axis=0)
