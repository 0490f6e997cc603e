"""The ridge regression of HEST-Bench (Jaume et al. 2024), as its code fits it.

``src/hest/bench`` of mahmoodlab/HEST 0512f57: features standardised, at most 256 principal
components, rounded to float32; ``sklearn.linear_model.Ridge`` with the solver ``lsqr``, without an
intercept, alpha = 100 / (components x genes). Nothing is chosen on anything. Without an intercept
its predictions vary around 0: their PCC is that of HEST-Bench, their errors mean nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 1
"""HEST-Bench's default, of scikit-learn's randomised principal components."""


class BenchRidge(NamedTuple):
    """A fitted regression: ``embedding @ weight + bias``.

    Attributes:
        weight: float64 ``[d, G]``.
        bias: float64 ``[G]``, which centres the embeddings.
        alpha: the penalty.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    alpha: float


def fit_as_hest_bench(embedding: NDArray, expression: NDArray, components: int) -> BenchRidge:
    """Fit the ridge regression of HEST-Bench.

    Args:
        embedding: of all training spots, ``[n, d]``.
        expression: their targets, ``[n, G]``.
        components: most principal components (HEST-Bench: 256, and it needs as many spots and
            features).
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    embedding = embedding.astype(np.float32)  # as HEST-Bench stores it
    scaler = StandardScaler().fit(embedding)
    pca = PCA(min(components, *embedding.shape), random_state=SEED)
    scores = pca.fit_transform(scaler.transform(embedding)).astype(np.float32)
    alpha = 100 / (scores.shape[1] * expression.shape[1])
    ridge = Ridge(alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=SEED)
    slopes = np.atleast_2d(ridge.fit(scores, expression).coef_)  # of one gene it has one axis
    axes = pca.components_.astype(np.float64)
    weight = (slopes @ axes / scaler.scale_).T
    bias = -scaler.mean_ @ weight - pca.mean_ @ axes.T @ slopes.T
    return BenchRidge(weight, bias, alpha)
