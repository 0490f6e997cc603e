"""The limit that the depth of the counts sets to the PCC of any predictor, and a reference.

Both are by gene, and need the counts of the section that is scored, which no model sees.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.correlations import pearson
from reg2st.sections.targets import Target

REPEATS = 20
"""Random halvings averaged; the mean over genes then varies by about 0.002 between seeds."""

RIDGE_PENALTIES = np.logspace(2, 6, 9)


def split_half_ceiling(
    counts: ArrayLike, totals: ArrayLike, target: Target, repeats: int = REPEATS, seed: int = 0
) -> NDArray[np.float64]:
    """Square root of the reliability of each gene's observed expression in one section.

    Counts are thinned: each molecule goes to one of two halves with probability 1/2. The PCC r
    of the halves' targets, averaged over ``repeats``, is the reliability at half the depth;
    2r/(1+r) is the reliability at full depth (Spearman-Brown), and the expected PCC of a
    predictor that does not see the counts cannot exceed its square root. Where r is negative
    there is no signal and the ceiling is 0; leaving such genes out would raise the mean.

    Args:
        counts: raw counts of the panel's genes, whole numbers, ``[n, G]``.
        totals: counts of all genes of each spot, ``[n]``; those of other genes are thinned too.
        target: what is scored.
        repeats: number of random halvings.
        seed: of the halvings.

    Returns:
        float64 ``[G]``, 0 to 1; NaN where every halving left one half constant.
    """
    counts, totals = (np.asarray(each).astype(np.int64) for each in (counts, totals))
    others = totals - counts.sum(axis=1)
    rng, rng_of_others = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    total = np.zeros(counts.shape[1])
    defined = np.zeros(counts.shape[1], dtype=int)
    for _ in range(repeats):
        half = rng.binomial(counts, 0.5)
        half_total = half.sum(axis=1) + rng_of_others.binomial(others, 0.5)
        correlation = pearson(
            target.expression(half, half_total),
            target.expression(counts - half, totals - half_total),
        )
        total += np.nan_to_num(correlation)
        defined += ~np.isnan(correlation)
    reliability = np.divide(total, defined, out=np.full(len(total), np.nan), where=defined > 0)
    reliability = np.maximum(reliability, 0)
    return np.sqrt(2 * reliability / (1 + reliability))


def linear_reference(
    counts: ArrayLike,
    totals: ArrayLike,
    others: Sequence[tuple[ArrayLike, ArrayLike]],
    target: Target,
    seed: int = 0,
) -> NDArray[np.float64]:
    """PCC of a linear predictor that sees each spot's library size and half of its genes.

    It stands beside :func:`split_half_ceiling`: the depth of a spot changes every gene's target,
    which raises that ceiling although no image shows the depth. Here the panel is split in two at
    random, and ridge regression, trained on the other sections, predicts the targets of each half
    from those of the other half and the spot's library size (its logarithm and the square of
    that, not penalised). Each gene's mean in the section is given, since the PCC within a section
    does not depend on it; so is the target 0 of spots without counts.

    Args:
        counts: raw counts of the panel's genes in the section to predict, ``[n, G]``.
        totals: counts of all genes of its spots, ``[n]``.
        others: both of the training sections, each ``[m, G]`` and ``[m]``.
        target: what is scored. The library size is the one that it is scaled by; where it is not
            scaled, that of all genes.
        seed: of the split.

    Returns:
        float64 ``[G]``; NaN where the PCC is undefined, and for all genes where there is no
        other section with counts, a panel of one gene, or no counts.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    counts, totals = np.asarray(counts), np.asarray(totals)
    n_genes = counts.shape[1]
    filled = counts.sum(axis=1) > 0
    others = [other for other in others if np.any(other[0])]
    if not len(others) or n_genes < 2 or not filled.any():
        return np.full(n_genes, np.nan)
    observed = target.expression(counts, totals)
    level = observed[filled].mean(axis=0)
    expression, library = _centred(counts, totals, target)
    centred = [_centred(*map(np.asarray, other), target) for other in others]
    train_expression, train_library = (np.vstack(parts) for parts in zip(*centred, strict=True))
    slopes = np.linalg.lstsq(train_library, train_expression, rcond=None)[0]
    scaler = StandardScaler(with_mean=False)
    train_rest = scaler.fit_transform(train_expression - train_library @ slopes)
    rest = scaler.transform(expression - library @ slopes)

    predicted_rest = np.empty_like(rest)
    genes = np.random.default_rng(seed).permutation(n_genes)
    first, second = genes[: n_genes // 2], genes[n_genes // 2 :]
    for seen, hidden in ((first, second), (second, first)):
        ridge = RidgeCV(alphas=RIDGE_PENALTIES, fit_intercept=False)
        ridge.fit(train_rest[:, seen], train_rest[:, hidden])
        # Of one gene scikit-learn's prediction has one axis.
        predicted_rest[:, hidden] = ridge.predict(rest[:, seen]).reshape(len(rest), -1)
    predicted = np.zeros_like(observed)
    predicted[filled] = level + library @ slopes + scaler.inverse_transform(predicted_rest)
    return pearson(observed, predicted)


def _centred(
    counts: NDArray, totals: NDArray, target: Target
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Target ``[n, G]`` and library terms ``[n, 2]`` of spots with counts, means removed."""
    filled = counts.sum(axis=1) > 0
    counts, totals = counts[filled], totals[filled]
    expression = target.expression(counts, totals).astype(np.float64)
    depth = np.log10(target.library(counts, totals))
    library = np.column_stack([depth, depth**2])
    return expression - expression.mean(axis=0), library - library.mean(axis=0)
