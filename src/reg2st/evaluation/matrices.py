"""Observed and predicted expression as matrices of one shape, spots by genes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def matrices(
    observed: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 ``[n, G]``.

    Raises:
        ValueError: the two differ in shape or are not matrices.
    """
    observed, predicted = alike(observed, predicted)
    return observed.astype(np.float64, copy=False), predicted.astype(np.float64, copy=False)


def alike(observed: ArrayLike, predicted: ArrayLike) -> tuple[NDArray, NDArray]:
    """Both as arrays ``[n, G]``; errors as of :func:`matrices`."""
    observed, predicted = np.asarray(observed), np.asarray(predicted)
    if observed.ndim != 2 or observed.shape != predicted.shape:
        raise ValueError(
            f"observed {observed.shape} and predicted {predicted.shape} expression must be "
            "matrices of one shape, spots by genes"
        )
    return observed, predicted
