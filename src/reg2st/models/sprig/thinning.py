"""Targets of SPRIG's programs: standardised expression, as measured and thinned."""

import numpy as np
from numpy.typing import NDArray

from reg2st.models.interface import SectionTensors
from reg2st.models.sprig.section_features import in_array_order
from reg2st.models.sprig.sprig_settings import SprigSettings
from reg2st.sections.targets import TARGETS, Target

THINNING_SEED = 0
OTHERS_SEED = 1


def section_targets(section: SectionTensors, settings: SprigSettings) -> NDArray[np.float32]:
    """Targets ``[n, G]`` as measured, or ``[n, 2 G]`` with the thinned copy appended.

    Each column has zero mean and unit variance over the section; a constant gene is 0.
    """
    parts = [standardised(section.expression.cpu().numpy())]
    if settings.thinned_library is not None:
        thinned = thinned_expression(
            section.counts.cpu().numpy(),
            section.totals.cpu().numpy(),
            TARGETS[section.target],
            settings.thinned_library,
            settings.thinning_draws,
            in_array_order(section),
        )
        parts.append(parts[0] if thinned is None else standardised(thinned))
    return np.concatenate(parts, axis=1)


def spot_weights(section: SectionTensors, floor: float) -> NDArray[np.float64]:
    """Weight of each spot ``[n]``: min(1, library size / section's median) + floor.

    A target that is divided by a library size is noisier the smaller that is. Where the target is
    not, every spot weighs as much.
    """
    target = TARGETS[section.target]
    if target.scaled_by is None:
        return np.full(section.n_spots, 1 + floor)
    counts, totals = (part.double().cpu().numpy() for part in (section.counts, section.totals))
    library = target.library(counts, totals)
    median = np.median(library)
    return np.minimum(1, library / median if median > 0 else library > 0) + floor


def standardised(expression: NDArray[np.floating]) -> NDArray[np.float32]:
    """Zero mean and unit variance of each column; a constant one is 0."""
    mean = expression.mean(axis=0, dtype=np.float64)
    spread = expression.std(axis=0, dtype=np.float64)
    varies = spread > 1e-6
    scale = np.where(varies, 1 / np.where(varies, spread, 1), 0)
    return ((expression - mean) * scale).astype(np.float32)


def thinned_expression(
    counts: NDArray[np.floating],
    totals: NDArray[np.floating],
    target: Target,
    library: float,
    draws: int,
    order: NDArray[np.int64],
) -> NDArray[np.float32] | None:
    """Mean target of binomially thinned counts, float32 ``[n, G]``.

    Args:
        counts: whole numbers ``[n, G]``, of the panel.
        totals: counts of all genes of each spot, ``[n]``; other genes are thinned as much.
        target: what is predicted.
        library: median library size of the panel after thinning.
        draws: number of thinnings to average.
        order: the order in which spots are drawn.

    Returns:
        None if the section's median library size is not larger than ``library``.
    """
    median = np.median(counts.sum(axis=1, dtype=np.float64))
    if median <= library:
        return None
    ordered = counts[order]
    spot, gene = np.nonzero(ordered)
    molecules = ordered[spot, gene].astype(np.int64)
    others = (totals[order] - ordered.sum(axis=1, dtype=np.float64)).astype(np.int64)
    rng, rng_of_others = (np.random.default_rng(each) for each in (THINNING_SEED, OTHERS_SEED))
    total = np.zeros(len(molecules))
    for _ in range(draws):
        kept = rng.binomial(molecules, library / median)
        libraries = np.bincount(spot, kept, len(ordered))
        if target.scaled_by == "all genes":
            libraries += rng_of_others.binomial(others, library / median)
        total += target.of_counts(kept, libraries[spot])
    expression = np.zeros(counts.shape, dtype=np.float32)
    expression[order[spot], gene] = total / draws
    return expression
