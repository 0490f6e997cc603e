"""Agreement of predicted with observed expression, gene by gene within one section."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

ROUNDING = 16
"""Spread, in float32 rounding units of the column's largest value, that counts as constant."""


def is_constant(values: ArrayLike) -> NDArray[np.bool_]:
    """Which columns do not vary beyond float32 rounding.

    Predictions are stored as float32, so a model that predicts one value per gene may differ
    by a few rounding units from spot to spot; such a column has no correlation to speak of.

    Args:
        values: ``[n, G]``, spots by genes.

    Returns:
        bool ``[G]``; all True for fewer than two spots.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.ones(values.shape[1], dtype=bool)
    largest = np.abs(values).max(axis=0)
    return np.ptp(values, axis=0) <= ROUNDING * np.finfo(np.float32).eps * largest


def pearson(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation of each column, in float64.

    Args:
        observed: ``[n, G]``.
        predicted: ``[n, G]``.

    Returns:
        float64 ``[G]``; NaN where either side is constant or there are fewer than two spots.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    observed, predicted = _matrices(observed, predicted)
    undefined = is_constant(observed) | is_constant(predicted)
    correlation = np.full(observed.shape[1], np.nan)
    if undefined.all():
        return correlation
    first = _unit_columns(observed[:, ~undefined])
    second = _unit_columns(predicted[:, ~undefined])
    correlation[~undefined] = np.clip((first * second).sum(axis=0), -1.0, 1.0)
    return correlation


def spearman(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Spearman correlation of each column: Pearson of the ranks, ties sharing a mean rank.

    Shapes, NaN and errors as in :func:`pearson`.
    """
    observed, predicted = _matrices(observed, predicted)
    correlation = pearson(_ranks(observed), _ranks(predicted))
    correlation[is_constant(observed) | is_constant(predicted)] = np.nan
    return correlation


def score_section(observed: ArrayLike, predicted: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Score one section: a column per metric, a row per gene.

    Args:
        observed: target expression, ``[n, G]``, spots by genes.
        predicted: predicted expression in the same units, ``[n, G]``. A method that is not
            available for the section predicts NaN throughout, and scores NaN.

    Returns:
        ``pcc``, ``spearman`` (NaN where undefined: a side is constant; nothing is filled in)
        and ``mse`` (in squared units of the target), each float64 ``[G]``.

    Raises:
        ValueError: the two differ in shape, or are not matrices.
    """
    observed, predicted = _matrices(observed, predicted)
    n_spots, n_genes = observed.shape
    squared_error = (
        np.square(observed - predicted).mean(axis=0) if n_spots else np.full(n_genes, np.nan)
    )
    return {
        "pcc": pearson(observed, predicted),
        "spearman": spearman(observed, predicted),
        "mse": squared_error,
    }


def _matrices(
    observed: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    observed = np.asarray(observed, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if observed.ndim != 2 or observed.shape != predicted.shape:
        raise ValueError(
            f"observed {observed.shape} and predicted {predicted.shape} expression must be "
            "matrices of one shape, spots by genes"
        )
    return observed, predicted


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return pd.DataFrame(values).rank().to_numpy()


def _unit_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Scaling first keeps the squares of very small columns from underflowing.
    centred = values - values.mean(axis=0)
    centred /= np.abs(centred).max(axis=0)
    return centred / np.linalg.norm(centred, axis=0)
