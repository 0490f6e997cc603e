"""What models are trained to predict, from the raw counts of the panel's genes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

LIBRARY = 1e4
"""Library size that each spot is scaled to before the logarithm."""

SPOTS_AT_A_TIME = 8192
"""Spots whose target is computed at once, in float64: memory does not grow with the others."""


@dataclass(frozen=True)
class Target:
    """A target: the logarithm of 1 plus counts, which may be scaled to a common library size.

    Attributes:
        name: as in the config.
        unit: how values are labelled; c is a count of the spot.
        scaled_by: the library size that counts are divided by: of the panel's genes, of all genes
            of the spot, or none.
        logarithm: of 1 plus what it is given, element by element.
    """

    name: str
    unit: str
    scaled_by: Literal["panel", "all genes"] | None
    logarithm: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def expression(self, counts: ArrayLike, totals: ArrayLike) -> NDArray[np.float32]:
        """The target of spots; 0 in every gene for a spot whose library size is 0.

        Args:
            counts: of the panel's genes, ``[n, G]``.
            totals: counts of all genes of each spot, ``[n]``.

        Shapes: float32 ``[n, G]``.
        """
        counts, totals = np.asarray(counts), np.asarray(totals)
        expression = np.empty(counts.shape, dtype=np.float32)
        for start in range(0, len(counts), SPOTS_AT_A_TIME):
            some = slice(start, start + SPOTS_AT_A_TIME)
            part = counts[some].astype(np.float64)
            expression[some] = self.of_counts(part, self.library(part, totals[some])[:, None])
        return expression

    def of_counts(self, counts: NDArray, library: NDArray) -> NDArray[np.float64]:
        """The target of single counts, from the library sizes of their spots."""
        if self.scaled_by is None:
            return self.logarithm(counts)
        scaled = np.zeros(np.broadcast_shapes(counts.shape, library.shape))
        return self.logarithm(np.divide(LIBRARY * counts, library, out=scaled, where=library > 0))

    def library(self, counts: ArrayLike, totals: ArrayLike) -> NDArray:
        """Library size of each spot, ``[n]``: over the panel, or over all genes of the spot."""
        return np.asarray(counts).sum(axis=1) if self.scaled_by == "panel" else np.asarray(totals)


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log10(1 + values)


TARGETS = {
    target.name: target
    for target in (
        Target("paper", "log10(1 + 1e4 c / sum c)", "panel", _log10),
        Target("log_normalised", "ln(1 + 1e4 c / sum over all genes)", "all genes", np.log1p),
        Target("log_counts", "ln(1 + c)", None, np.log1p),
    )
}
"""Targets by name: of the Reg2ST paper, of scanpy's normalisation, and of HEST-Bench."""


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
