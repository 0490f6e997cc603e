"""What models are trained to predict, from the raw counts of the panel's genes."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LIBRARY = 1e4
"""Library size that each spot is scaled to before the logarithm."""

SPOTS_AT_A_TIME = 8192
"""Spots whose target is computed at once, in float64: memory does not grow with the others."""


def log_expression(counts: np.ndarray) -> np.ndarray:
    """Target ``log10(1 + 1e4 c / sum c)``, the sum over the panel's genes.

    The target of a spot without counts is 0 in every gene.

    Shapes: ``[n, G]`` to float32 ``[n, G]``.
    """
    expression = np.empty(np.shape(counts), dtype=np.float32)
    for start in range(0, len(expression), SPOTS_AT_A_TIME):
        some = np.asarray(counts[start : start + SPOTS_AT_A_TIME], dtype=np.float64)
        library = some.sum(axis=1, keepdims=True)
        scaled = np.divide(LIBRARY * some, library, out=np.zeros_like(some), where=library > 0)
        expression[start : start + SPOTS_AT_A_TIME] = np.log10(1 + scaled)
    return expression


def size_factors(counts: "Tensor") -> "Tensor":
    """Each spot's library size divided by the section's median library size.

    Spots without counts have size factor 0 and are included in the median (the mean of the two
    middle values for an even number of spots, as in NumPy; ``torch.median`` takes the lower).
    Where they are more than half of the section, the median is that of the other spots.

    Shapes: ``[n, G]`` to float32 ``[n]``.
    """
    library = counts.float().sum(dim=1)
    median = library.quantile(0.5)
    if median == 0:
        median = library[library > 0].quantile(0.5) if library.any() else median + 1
    return library / median
