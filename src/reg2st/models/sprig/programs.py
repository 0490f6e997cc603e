"""Programs: a few directions of expression that images predict, by reduced-rank ridge regression.

A fit needs only second moments, which are sums over sections. To fit without a section, subtract
its moments. Memory does not grow with genes times spots.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_AT_A_TIME = 8192

LEAST_SHRINKAGE = 0.05


@dataclass(frozen=True)
class Moments:
    """Weighted second moments of components T ``[n, q]`` and targets Y ``[n, m]``.

    Shapes:
        gram: ``T'WT [q, q]``.
        cross: ``T'WY [q, m]``.
        energy: ``tr Y'WY``.
    """

    gram: NDArray[np.float64]
    cross: NDArray[np.float64]
    energy: float
    spots: int
    weight: float

    @classmethod
    def of(
        cls,
        components: NDArray[np.float32],
        targets: NDArray[np.float32],
        weights: NDArray[np.float64],
    ) -> "Moments":
        """Moments of some spots."""
        q, m = components.shape[1], targets.shape[1]
        gram, cross, energy = np.zeros((q, q)), np.zeros((q, m)), 0.0
        for start in range(0, len(weights), ROWS_AT_A_TIME):
            some = slice(start, start + ROWS_AT_A_TIME)
            root = np.sqrt(weights[some])[:, None]
            t, y = root * components[some], root * targets[some]
            gram += t.T @ t
            cross += t.T @ y
            energy += float(np.square(y).sum())
        return cls(gram, cross, energy, len(weights), float(weights.sum()))

    def __add__(self, other: "Moments") -> "Moments":
        return self._combined(other, 1)

    def __sub__(self, other: "Moments") -> "Moments":
        return self._combined(other, -1)

    def _combined(self, other: "Moments", sign: int) -> "Moments":
        return Moments(
            self.gram + sign * other.gram,
            self.cross + sign * other.cross,
            self.energy + sign * other.energy,
            self.spots + sign * other.spots,
            self.weight + sign * other.weight,
        )


@dataclass(frozen=True)
class Programs:
    """Latents ``z = T directions`` and standardised expression ``(z * shrinkage) loadings``.

    Shapes:
        directions: ``[q, rank]``.
        shrinkage: ``[rank]``, 0 to 1.
        loadings: ``[rank, G]``.
    """

    directions: NDArray[np.float64]
    shrinkage: NDArray[np.float64]
    loadings: NDArray[np.float64]


def fit_programs(
    moments: Moments, genes: int, *, ridge: float, rank: int, noise_factor: float
) -> Programs:
    """Reduced-rank ridge regression with Wiener shrinkage of its programs.

    With weights of mean 1, the fitted values F = H Y of ridge regression are truncated to
    U diag(s) V'. Program k has squared length s_k², of which noise contributes |H u_k|² times the
    residual variance of the targets. The shrinkage factor is 1 - ``noise_factor`` * noise / s_k²,
    at least 0; the first program keeps at least ``LEAST_SHRINKAGE``, so that no prediction is
    constant.

    Targets may be several concatenated copies of G genes; a gene's loading is their mean.
    """
    from scipy.linalg import eigh

    if not moments.gram.any():
        q = len(moments.gram)
        return Programs(np.zeros((q, 0)), np.zeros(0), np.zeros((0, genes)))
    scale = moments.spots / moments.weight
    squares, basis = eigh(moments.gram * scale)
    kept = squares > 1e-10 * squares.max()
    squares, basis = squares[kept], basis[:, kept]
    hat = squares / (squares + ridge)
    # Targets along the orthonormal basis of the components: U0' sqrt(W) Y.
    along = basis.T @ moments.cross * (scale / np.sqrt(squares))[:, None]
    fitted = hat[:, None] * along
    rank = min(rank, len(squares))
    lengths, left = eigh(fitted @ fitted.T, subset_by_index=(len(hat) - rank, len(hat) - 1))
    lengths, left = lengths[::-1], left[:, ::-1]
    real = lengths > max(1e-12 * lengths[0], np.finfo(float).tiny)
    lengths, left = lengths[real], left[:, real]
    right = fitted.T @ (left / np.sqrt(lengths))
    right *= np.where(right.sum(axis=0) < 0, -1, 1)

    residual = moments.energy * scale + float(np.sum((hat**2 - 2 * hat)[:, None] * along**2))
    variance = max(residual, 0) / max(moments.spots - hat.sum(), 1)
    noise = variance * np.square(hat[:, None] * left).sum(axis=0)
    shrinkage = np.maximum(0, 1 - noise_factor * noise / lengths)
    shrinkage[:1] = np.maximum(shrinkage[:1], LEAST_SHRINKAGE)
    directions = basis @ ((np.sqrt(squares) / (squares + ridge))[:, None] * (along @ right))
    loadings = right.T.reshape(len(lengths), -1, genes).mean(axis=1)
    return Programs(directions, shrinkage, loadings)
