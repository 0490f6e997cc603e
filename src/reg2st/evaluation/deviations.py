"""Deviations of predicted from observed expression, gene by gene within one section."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.correlations import is_constant
from reg2st.evaluation.matrices import matrices


def mean_squared_error(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error of each column, in squared units of the target.

    Args:
        observed: ``[n, G]``.
        predicted: ``[n, G]``.

    Returns:
        float64 ``[G]``; NaN where there is no spot.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    observed, predicted = matrices(observed, predicted)
    if not len(observed):
        return np.full(observed.shape[1], np.nan)
    return np.square(observed - predicted).mean(axis=0)


def root_mean_squared_error(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Square root of :func:`mean_squared_error`, in units of the target."""
    return np.sqrt(mean_squared_error(observed, predicted))


def normalised_error(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """:func:`root_mean_squared_error` divided by the range of the observed values.

    The normalisation of Wang et al. 2025 (``calculate_nrmse`` of SydneyBioX/HEtoSGEBench). Shapes
    and errors as in :func:`mean_squared_error`; NaN also where the observed values are constant.
    """
    observed, predicted = matrices(observed, predicted)
    error = root_mean_squared_error(observed, predicted)
    constant = is_constant(observed)
    error[constant] = np.nan
    error[~constant] /= np.ptp(observed[:, ~constant], axis=0)
    return error


def mean_absolute_error(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error of each column, in units of the target.

    Shapes and errors as in :func:`mean_squared_error`.
    """
    observed, predicted = matrices(observed, predicted)
    if not len(observed):
        return np.full(observed.shape[1], np.nan)
    return np.abs(observed - predicted).mean(axis=0)
