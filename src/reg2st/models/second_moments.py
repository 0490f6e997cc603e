"""Ridge regression from sums over spots: memory does not grow with the spots."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SecondMoments:
    """Sums over some spots of features x ``[d]``, expression y ``[G]`` and their products.

    Shapes:
        x, y: ``[d]``, ``[G]``; xx: ``[d, d]``; xy: ``[d, G]``; yy: sum of the squares of all y.
    """

    spots: int
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: float

    @classmethod
    def of(cls, x: Array, y: Array) -> "SecondMoments":
        """Of features ``[n, d]`` and expression ``[n, G]``."""
        return cls(len(x), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, float(np.vdot(y, y)))

    def __add__(self, other: "SecondMoments") -> "SecondMoments":
        names = [field.name for field in fields(self)]
        return SecondMoments(*(getattr(self, name) + getattr(other, name) for name in names))

    def along(self, axes: Array) -> "SecondMoments":
        """Of the features ``x @ axes``; axes are ``[d, q]``."""
        return SecondMoments(
            self.spots,
            self.x @ axes,
            self.y,
            axes.T @ self.xx @ axes,
            axes.T @ self.xy,
            self.yy,
        )

    def about(self, x: Array, y: Array) -> "SecondMoments":
        """Of x and y minus these values."""
        n = self.spots
        between = np.outer(self.x, x)
        return SecondMoments(
            n,
            self.x - n * x,
            self.y - n * y,
            self.xx - between - between.T + n * np.outer(x, x),
            self.xy - np.outer(self.x, y) - np.outer(x, self.y) + n * np.outer(x, y),
            self.yy - 2 * float(self.y @ y) + n * float(y @ y),
        )

    def principal_axes(self, count: int) -> Array:
        """The leading principal axes of the features, ``[d, q]``, orthonormal."""
        from scipy.linalg import eigh

        d = len(self.x)
        spread = self.about(self.x / self.spots, self.y / self.spots).xx
        return eigh(spread, subset_by_index=(max(d - count, 0), d - 1))[1][:, ::-1]


@dataclass(frozen=True)
class RidgeFit:
    """Expression ``intercept + x @ weight``; ``weight`` is ``[d, G]``."""

    weight: Array
    intercept: Array

    @classmethod
    def of(cls, moments: SecondMoments, alpha: float) -> "RidgeFit":
        """The fit with penalty ``alpha``; the intercept is not penalised."""
        from scipy.linalg import solve

        x, y = moments.x / moments.spots, moments.y / moments.spots
        centred = moments.about(x, y)
        penalised = centred.xx + alpha * np.eye(len(x))
        weight = solve(penalised, centred.xy, assume_a="pos")
        return cls(weight, y - x @ weight)

    def squared_error(self, moments: SecondMoments) -> float:
        """Mean squared error on the spots of some moments."""
        left = moments.about(np.zeros(len(moments.x)), self.intercept)
        energy = np.sum((left.xx @ self.weight - 2 * left.xy) * self.weight) + left.yy
        return float(energy) / left.spots / len(left.y)


def best_penalty(parts: Sequence[SecondMoments], alphas: Sequence[float]) -> float:
    """The penalty of least error, averaged over the parts, each predicted from the others.

    Of equally good ones it is the first.
    """
    errors = np.zeros(len(alphas))
    for index, held_out in enumerate(parts):
        others = [part for place, part in enumerate(parts) if place != index]
        training = reduce(add, others)
        errors += [RidgeFit.of(training, alpha).squared_error(held_out) for alpha in alphas]
    return alphas[int(np.argmin(errors))]
