"""Is one method better than another: tests and effect sizes over sections and patients."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from reg2st.evaluation.aggregate import GROUP, over_seeds
from reg2st.evaluation.intervals import patient_interval, section_interval
from reg2st.evaluation.metrics import PCC, Metric

COLUMNS = [
    *GROUP,
    *("other_method", "other_variant", "other_preset", "n_sections", "n_patients"),
    *("p", "p_bonferroni", "rank_biserial", "difference"),
    *("section_low", "section_high", "patient_low", "patient_high"),
]


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a one-sided Wilcoxon signed-rank test.

    Attributes:
        p: one-sided p-value for the first being larger.
        rank_biserial: effect size from -1 to 1: the share of the rank sum in favour of the
            first minus the share against it (Kerby 2014), which SciPy does not report.
        n: pairs tested.
    """

    p: float
    rank_biserial: float
    n: int


def paired_wilcoxon(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """One-sided Wilcoxon signed-rank test that ``first`` exceeds ``second``.

    Ties of a pair count in the ranking and not in the sums (Pratt), as in the Reg2ST paper.

    Args:
        first: one value a section, ``[S]``.
        second: the same sections, ``[S]``; pairs with a NaN are left out.

    Returns:
        The outcome; p and effect size are NaN where no pair differs, and for a single pair.
    """
    from scipy.stats import wilcoxon

    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    difference = difference[~np.isnan(difference)]
    if len(difference) < 2 or not difference.any():
        return PairedTest(np.nan, np.nan, len(difference))
    test = {"zero_method": "pratt", "alternative": "greater"}
    in_favour = wilcoxon(difference, **test)
    against = wilcoxon(-difference, **test).statistic
    effect = (in_favour.statistic - against) / (in_favour.statistic + against)
    return PairedTest(float(in_favour.pvalue), float(effect), len(difference))


def compare(
    scores: pd.DataFrame,
    method: str,
    variant: str = "full",
    metric: Metric = PCC,
    seed: int = 0,
) -> pd.DataFrame:
    """Test one method against every other of the same dataset and split, section by section.

    Args:
        scores: tidy scores, one row a run, section and gene; seeds are averaged first.
        method: the method claimed to be better.
        variant: the variant of that method.
        metric: by which it is claimed to be better.
        seed: of the bootstrap.

    Returns:
        One row for each of the method's presets and each other (method, variant, preset):
        the columns of ``GROUP`` for the claimed one, ``other_method``, ``other_variant``,
        ``other_preset``; ``n_sections``, ``n_patients`` that both have; ``p``, the paper's test
        on medians over genes of each section; ``p_bonferroni``, p times the number of tests of
        the claimed one in that dataset and split; ``rank_biserial``; ``difference``, the mean
        over sections of the difference in the mean of the metric over the genes for which both
        have it; its intervals ``section_low`` to ``section_high`` and ``patient_low`` to
        ``patient_high``.
    """
    scores = over_seeds(scores)
    patients = scores.drop_duplicates(["dataset", "section"]).set_index(["dataset", "section"])
    matrices = {
        key: rows.pivot_table(metric.name, index="section", columns="gene", dropna=False)
        for key, rows in scores.groupby(GROUP, sort=False)
    }
    rows = [
        {
            **dict(zip(GROUP, ours, strict=True)),
            **dict(zip(("other_method", "other_variant", "other_preset"), other[2:], strict=True)),
            **_compare_pair(
                matrices[ours], matrices[other], patients.loc[ours[0], "patient"], metric, seed
            ),
        }
        for ours, other in itertools.permutations(matrices, 2)
        if ours[2:4] == (method, variant) and other[:2] == ours[:2]
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    # Not statsmodels' multipletests: it counts a NaN as a test.
    tests = table.groupby(GROUP)["p"].transform("count")
    return table.assign(p_bonferroni=(tests * table["p"]).clip(upper=1))


def _compare_pair(
    ours: pd.DataFrame, other: pd.DataFrame, patients: pd.Series, metric: Metric, seed: int
) -> dict[str, float | int]:
    sections = ours.index.intersection(other.index)
    ours, other = ours.loc[sections], other.loc[sections]
    sign = 1 if metric.better == "higher" else -1
    test = paired_wilcoxon(sign * ours.median(axis=1), sign * other.median(axis=1))
    difference = (ours - other).mean(axis=1).dropna()
    of_section = patients.loc[difference.index]
    section_low, section_high = section_interval(difference)
    patient_low, patient_high = patient_interval(difference, of_section, seed=seed)
    return {
        "n_sections": test.n,
        "n_patients": of_section.nunique(),
        "p": test.p,
        "rank_biserial": test.rank_biserial,
        "difference": difference.mean(),
        "section_low": section_low,
        "section_high": section_high,
        "patient_low": patient_low,
        "patient_high": patient_high,
    }
