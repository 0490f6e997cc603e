"""Confidence intervals of a mean over sections, taken as independent or grouped by patient."""

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
RESAMPLES = 10_000
FEWEST_PATIENTS = 3
"""Fewer patients than this have no interval: a bootstrap has too few samples to draw."""


def section_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's t interval of the mean over sections, as if all of them were independent.

    Args:
        values: one value a section, ``[S]``; NaN are left out.
        confidence: probability with which the interval should cover the mean.

    Returns:
        Lower and upper end; NaN for fewer than two sections.
    """
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return np.nan, np.nan
    # stats.t.interval is NaN where all values are equal, as with two identical methods.
    half = stats.sem(values) * stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
    return float(values.mean() - half), float(values.mean() + half)


def patient_interval(
    values: ArrayLike,
    patients: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of the mean over sections, resampling whole patients.

    Every resample draws as many patients as there are, with replacement, each with all of its
    sections, and takes the mean over these sections. The ends are percentiles of the means,
    widened for the number of patients P as Hesterberg (2015, The American Statistician
    69:371, "expanded percentile interval") proposes: the tail is
    ``Φ(−√(P/(P−1)) · t(P−1))`` instead of ``Φ(−z)``.

    Args:
        values: one value a section, ``[S]``; NaN are left out.
        patients: the patient of each section, ``[S]``.
        confidence: probability with which the interval should cover the mean;
            docs/concepts/intervals.md gives the coverage reached with few patients.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        Lower and upper end; NaN for fewer than three patients.
    """
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(values)
    names, of_section = np.unique(np.asarray(patients)[defined], return_inverse=True)
    n_patients = len(names)
    if n_patients < FEWEST_PATIENTS:
        return np.nan, np.nan
    totals = np.bincount(of_section, weights=values[defined])
    sizes = np.bincount(of_section)

    def mean_over_sections(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return totals[drawn].sum(axis=axis) / sizes[drawn].sum(axis=axis)

    quantile = stats.t.ppf(0.5 - confidence / 2, n_patients - 1)
    tail = stats.norm.cdf(np.sqrt(n_patients / (n_patients - 1)) * quantile)
    interval = stats.bootstrap(
        (np.arange(n_patients),),
        mean_over_sections,
        n_resamples=resamples,
        confidence_level=1 - 2 * tail,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
