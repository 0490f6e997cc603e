"""Calibration: from standardised patterns to the target's units, with spread and expected PCC.

It is estimated by cross-validation within the training sections.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
LEAST_FACTOR = 0.05

LEAST_SLOPE = 0.05
"""Minimum slope of a gene, as a share of its standard deviation: a constant has no PCC."""


@dataclass(frozen=True)
class HeldOut:
    """A section (or a part) predicted by a fit that did not see it.

    Attributes:
        pattern: predicted standardised expression, float32 ``[n, G]``.
        expression: the target minus its mean over the spots, float32 ``[n, G]``.
    """

    pattern: NDArray[np.float32]
    expression: NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Prediction ``mean + slope * pattern``; its variance is ``variance * factor + between``.

    Shapes:
        mean, slope, variance, between, expected_pcc: ``[G]``.
        edges: ``[BINS - 1]``, of the bins of the pattern's value.
        factors: ``[BINS]``, of the variance in each bin.
    """

    mean: NDArray[np.float64]
    slope: NDArray[np.float64]
    variance: NDArray[np.float64]
    between: NDArray[np.float64]
    expected_pcc: NDArray[np.float64]
    edges: NDArray[np.float64]
    factors: NDArray[np.float64]


def calibrate(
    held_out: list[HeldOut],
    group_means: NDArray[np.float64],
    section_means: NDArray[np.float64],
    amplitude: NDArray[np.float64],
) -> Calibration:
    """Calibration from held-out predictions.

    Args:
        held_out: predicted training sections.
        group_means: mean target of each patient (of each section if there is one patient),
            ``[groups, G]``.
        section_means: mean target of each section, ``[sections, G]``.
        amplitude: standard deviation of each gene's pattern in training, ``[G]``.
    """
    spots = sum(len(each.pattern) for each in held_out)
    product, square, energy = (
        sum(np.einsum("ng,ng->g", a(each), b(each), dtype=np.float64) for each in held_out)
        for a, b in (
            (_pattern, _expression),
            (_pattern, _pattern),
            (_expression, _expression),
        )
    )
    slope = _slopes(product, square, np.sqrt(energy / spots))
    variance = np.maximum(energy - 2 * slope * product + slope**2 * square, 0) / spots + 1e-6
    edges, factors = _factors(held_out, slope, variance)
    mean = section_means.mean(axis=0)
    return Calibration(
        mean=mean,
        slope=slope,
        variance=variance,
        between=_between(group_means),
        expected_pcc=_expected(held_out, amplitude, mean, spots),
        edges=edges,
        factors=factors,
    )


def _pattern(part: HeldOut) -> NDArray[np.float32]:
    return part.pattern


def _expression(part: HeldOut) -> NDArray[np.float32]:
    return part.expression


def _slopes(
    product: NDArray[np.float64], square: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Least-squares slopes through 0, shrunken towards the slope of all genes together."""
    pooled = product.sum() / max(square.sum(), np.finfo(float).tiny)
    weight = np.median(square)
    total = square + weight
    slope = np.divide(product + pooled * weight, total, out=np.zeros_like(product), where=total > 0)
    return np.maximum(slope, LEAST_SLOPE * spread)


def _factors(
    held_out: list[HeldOut], slope: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of bins of the pattern's value, and the mean squared standardised residual in each."""
    sample = np.concatenate([each.pattern[_thin(len(each.pattern))].ravel() for each in held_out])
    edges = np.quantile(sample, np.linspace(0, 1, BINS + 1)[1:-1])
    total, count = np.zeros(BINS), np.zeros(BINS)
    for each in held_out:
        bins = np.digitize(each.pattern, edges).ravel()
        residual = np.square(each.expression - slope * each.pattern) / variance
        total += np.bincount(bins, residual.ravel(), BINS)
        count += np.bincount(bins, minlength=BINS)
    return edges, np.maximum(np.where(count > 0, total / np.maximum(count, 1), 1), LEAST_FACTOR)


def _thin(n: int, count: int = 1000) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(int))


def _between(group_means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of a new group's mean about the training mean; 0 with one group.

    With few groups a gene's variance is uncertain, so the mean over genes contributes one degree
    of freedom.
    """
    groups = len(group_means)
    if groups < 2:
        return np.zeros(group_means.shape[1])
    own = group_means.var(axis=0, ddof=1)
    return ((groups - 1) * own + own.mean()) / groups * (1 + 1 / groups)


def _expected(
    held_out: list[HeldOut],
    amplitude: NDArray[np.float64],
    mean: NDArray[np.float64],
    spots: int,
) -> NDArray[np.float64]:
    """Expected PCC of each gene in a new section.

    The PCC on held-out sections, shrunken by empirical Bayes towards a linear function of the
    genes' amplitude and mean: the noisier the PCC, the more.
    """
    seen = np.mean([correlation(each) for each in held_out], axis=0)
    terms = np.column_stack([np.ones_like(mean), amplitude, mean])
    line = terms @ np.linalg.lstsq(terms, seen, rcond=None)[0]
    noise = 1 / max(spots - 3, 1)
    signal = max(np.var(seen - line) - noise, 1e-4)
    return np.clip(line + (seen - line) * signal / (signal + noise), -1, 1)


def correlation(part: HeldOut) -> NDArray[np.float64]:
    """Correlation of each gene; 0 if either side is constant."""
    pattern, expression = part.pattern, part.expression
    pattern = pattern - pattern.mean(axis=0)
    product = np.einsum("ng,ng->g", pattern, expression, dtype=np.float64)
    lengths = np.sqrt(
        np.einsum("ng,ng->g", pattern, pattern, dtype=np.float64)
        * np.einsum("ng,ng->g", expression, expression, dtype=np.float64)
    )
    return np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 1e-9)
