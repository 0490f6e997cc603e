"""The table of genes: the best and the worst predicted, and how many spots express them."""

import pandas as pd

from reg2st.evaluation.aggregate import per_gene
from reg2st.evaluation.limits import limits_by_gene, limits_of
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import (
    LIMIT_LABELS,
    in_fixed_order,
    method_label,
    method_labels,
    split_label,
    target_units,
)
from reg2st.report.provenance import run_folders
from reg2st.report.writers import MISSING, Table, number, percent, whole

LEADING = ("Dataset", "Split", "End")


def gene_table(
    scores: pd.DataFrame,
    *,
    reference: str,
    count: int = 10,
    limits: pd.DataFrame | None = None,
    metric: Metric = PCC,
) -> Table:
    """The best and the worst predicted genes, by their mean over sections.

    Args:
        scores: tidy scores, of any datasets and splits; methods are shown as configured.
        reference: the method that ranks the genes; the others stand beside it.
        count: genes from each end.
        limits: rows of :func:`reg2st.evaluation.limits.section_limits` of every tested section.
            They are noisy gene by gene, so no share is made of them.
        metric: which score.

    Returns:
        ``values`` holds every gene and method, with the columns of
        :func:`reg2st.evaluation.aggregate.per_gene`, runs and label;
        ``shown`` the chosen genes, none where the reference has no score.
    """
    values = per_gene(scores[scores["variant"] == "full"], metric)
    values["runs"] = run_folders(values)
    values["label"] = method_labels(values)
    labels = list(dict.fromkeys(in_fixed_order(values)["label"]))
    limits = limits_of(metric, limits)
    limits = None if limits is None else limits_by_gene(limits)

    ranking = values[values["method"] == reference].dropna(subset=[metric.mean])
    ranking = ranking.sort_values(metric.mean, ascending=metric.better == "lower", kind="stable")
    parts = []
    for (dataset, split), genes in ranking.groupby(["dataset", "split"], sort=False):
        few = min(count, len(genes) // 2)
        ends = [("best", genes.head(few)), ("worst", genes.tail(few))]
        for end, rows in ends:
            part = pd.DataFrame(
                {
                    "Dataset": dataset,
                    "Split": split_label(split),
                    "End": end,
                    "Gene": rows["gene"],
                    "Expressing spots": rows["n_expressing"].map(whole),
                    "Of all": (rows["n_expressing"] / rows["n_spots"]).map(percent),
                    "Mean expression": rows["mean_expression"].map(number),
                }
            )
            if limits is not None:
                mine = limits[limits["dataset"] == dataset]
                for name, reachable in mine.groupby("limit", sort=False):
                    mean = reachable.set_index("gene")[metric.mean]
                    part[LIMIT_LABELS[name]] = mean.reindex(rows["gene"]).map(number).to_numpy()
            here = values[(values["dataset"] == dataset) & (values["split"] == split)]
            for label in labels:
                mean = here[here["label"] == label].set_index("gene")[metric.mean]
                part[label] = mean.reindex(rows["gene"]).map(number).to_numpy()
            parts.append(part)
    notes = (
        f"Ranked by the {metric.label} of {method_label(reference)}, mean over sections where it "
        "is defined.",
        "Expressing: spots of all sections with a count above 0. Mean expression: of "
        f"{target_units(scores)}.",
    )
    if not parts:
        parts = [pd.DataFrame(columns=[*LEADING, "Gene"])]
        notes = (f"{method_label(reference)} has no {metric.label}, so it ranks no genes.",)
    shown = pd.concat(parts, ignore_index=True).fillna(MISSING)
    return Table("per_gene", "Best and worst predicted genes", values, shown, LEADING, notes)
