"""Is one method better than another: tests and effect sizes over sections and patients."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from reg2st.evaluation.aggregate import GROUP, over_seeds
from reg2st.evaluation.intervals import patient_interval, section_interval


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a one-sided Wilcoxon signed-rank test.

    Attributes:
        p: probability of ranks at least this much in favour of the first, were both alike.
        rank_biserial: effect size from -1 to 1, the share of the rank sum in favour of the
            first less the share against it (Kerby 2014).
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
        The outcome; p and effect size are NaN where no pair differs.
    """
    from scipy.stats import wilcoxon

    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    difference = difference[~np.isnan(difference)]
    if not difference.any():
        return PairedTest(np.nan, np.nan, len(difference))
    test = {"zero_method": "pratt", "alternative": "greater"}
    in_favour = wilcoxon(difference, **test)
    against = wilcoxon(-difference, **test).statistic
    effect = (in_favour.statistic - against) / (in_favour.statistic + against)
    return PairedTest(float(in_favour.pvalue), float(effect), len(difference))


def compare(
    scores: pd.DataFrame, method: str, variant: str = "full", seed: int = 0
) -> pd.DataFrame:
    """Test one method against every other of the same dataset and split, section by section.

    Args:
        scores: tidy scores, one row a run, section and gene; seeds are averaged first.
        method: the method that is claimed to be better.
        variant: the variant of that method.
        seed: of the bootstrap.

    Returns:
        One row for each of the method's presets and each other (method, variant, preset):
        the columns of ``GROUP`` for the claimed one, ``other_method``, ``other_variant``,
        ``other_preset``; ``n_sections``, ``n_patients`` that both have; ``p``, the paper's test
        on medians over genes of each section; ``p_bonferroni``, times the tests of the claimed
        one in that dataset and split; ``rank_biserial``; ``difference``, the mean over sections
        of the difference in mean PCC over the genes that both have a PCC for; its
        ``section_low`` to ``section_high`` and ``patient_low`` to ``patient_high``.
    """
    scores = over_seeds(scores)
    patients = scores.drop_duplicates(["dataset", "section"]).set_index(["dataset", "section"])
    matrices = {
        key: rows.pivot_table("pcc", index="section", columns="gene", dropna=False)
        for key, rows in scores.groupby(GROUP, sort=False)
    }
    tables = []
    for ours in matrices:
        if ours[2:4] != (method, variant):
            continue
        rows = [
            {
                **dict(zip(GROUP, ours, strict=True)),
                "other_method": other[2],
                "other_variant": other[3],
                "other_preset": other[4],
                **_compare_pair(
                    matrices[ours], matrices[other], patients.loc[ours[0], "patient"], seed
                ),
            }
            for other in matrices
            if other[:2] == ours[:2] and other != ours
        ]
        table = pd.DataFrame(rows)
        if len(table):
            table["p_bonferroni"] = np.minimum(1, table["p"] * table["p"].notna().sum())
            tables.append(table)
    columns = [
        *GROUP,
        *("other_method", "other_variant", "other_preset", "n_sections", "n_patients"),
        *("p", "p_bonferroni", "rank_biserial", "difference"),
        *("section_low", "section_high", "patient_low", "patient_high"),
    ]
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )


def _compare_pair(
    ours: pd.DataFrame, other: pd.DataFrame, patients: pd.Series, seed: int
) -> dict[str, float | int]:
    sections = ours.index.intersection(other.index)
    ours, other = ours.loc[sections], other.loc[sections]
    test = paired_wilcoxon(ours.median(axis=1), other.median(axis=1))
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
