"""The table of tests: one method against every other, section by section."""

import pandas as pd

from reg2st.report.labels import method_labels, method_order, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import Table, intervals, number, signed, whole, without_repeats


def significance(comparisons: pd.DataFrame) -> Table:
    """Wilcoxon tests, effect sizes and differences with their intervals.

    Args:
        comparisons: rows of :func:`reg2st.evaluation.statistics.compare`, of any datasets.

    Returns:
        ``values`` has their columns, runs and other_runs (folders of the runs behind each side).
    """
    values = in_order_of_others(comparisons)
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
        "p: one-sided Wilcoxon signed-rank test that the method's median PCC of a section is "
        "higher, over sections (zero_method pratt), as in the Reg2ST paper. It takes sections of "
        "one patient as independent, which they are not: trust the interval over patients.",
        "Difference: of mean PCC, over sections. 95 % over patients: bootstrap of whole patients, "
        "for three patients or more. Rank-biserial: effect size from -1 to 1.",
    )
    shown = without_repeats(shown, ["Dataset", "Split", "Method"])
    return Table("significance", "Differences between methods", values, shown, notes)


def in_order_of_others(comparisons: pd.DataFrame) -> pd.DataFrame:
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
