"""The table of tests: one method against every other, section by section."""

import pandas as pd

from reg2st.evaluation.metrics import PCC, Metric
from reg2st.evaluation.statistics import compare
from reg2st.report.labels import method_labels, method_order, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import Table, intervals, number, signed, whole


def significance(scores: pd.DataFrame, *, reference: str, metric: Metric = PCC) -> Table:
    """Wilcoxon tests, effect sizes and differences with their intervals.

    Args:
        scores: tidy scores, of any datasets and splits; methods are compared as configured.
        reference: the method that is tested against every other.
        metric: by which it is claimed to be better.

    Returns:
        ``values`` has the columns of :func:`reg2st.evaluation.statistics.compare`, runs and
        other_runs (folders of the runs behind each side).
    """
    values = _in_order(compare(scores[scores["variant"] == "full"], reference, metric=metric))
    values["runs"] = run_folders(values)
    values["other_runs"] = run_folders(values, "other_")
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Method": method_labels(values),
            "Against": method_labels(values, "other_"),
            "Difference": values["difference"].map(signed),
            "95 % over patients": intervals(values, "patient"),
            "p": values["p"].map(p_value),
            "p, Bonferroni": values["p_bonferroni"].map(p_value),
            "Rank-biserial": values["rank_biserial"].map(number),
            "Sections": values["n_sections"].map(whole),
            "Patients": values["n_patients"].map(whole),
        }
    )
    notes = (
        f"p: one-sided Wilcoxon signed-rank test that the method's median {metric.label} of a "
        f"section is {metric.better}, over sections (zero_method pratt), as in the Reg2ST paper. "
        "It takes sections of one patient as independent, which they are not: trust the interval "
        "over patients. One section alone is not tested.",
        f"Difference: of mean {metric.label}, over sections. 95 % over patients: bootstrap of "
        "whole patients, for three patients or more. Rank-biserial: effect size from -1 to 1.",
    )
    leading = ("Dataset", "Split", "Method")
    return Table("significance", "Differences between methods", values, shown, leading, notes)


def _in_order(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Comparisons with the other methods in the fixed order."""
    order = {name: rank for rank, name in enumerate(method_order(comparisons["other_method"]))}
    ranks = pd.DataFrame(
        {
            "dataset": pd.factorize(comparisons["dataset"])[0],
            "split": comparisons["split"].ne("section_out"),
            "other": comparisons["other_method"].map(order),
            "variant": comparisons["other_variant"].ne("full"),
        },
        index=comparisons.index,
    )
    index = ranks.sort_values(list(ranks), kind="stable").index
    return comparisons.loc[index].reset_index(drop=True)


def p_value(p: float) -> str:
    """A p value with two significant digits."""
    return number(p) if pd.isna(p) or p >= 0.0995 else f"{p:.2g}"
