"""The table of genes: the best and the worst predicted, and how many spots express them."""

from collections.abc import Collection

import pandas as pd

from reg2st.evaluation.aggregate import per_gene
from reg2st.report.labels import in_fixed_order, method_label, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import Table, number, percent, whole, without_repeats


def gene_table(
    scores: pd.DataFrame,
    *,
    ranked_by: str = "reg2st",
    variants: Collection[str] = ("full",),
    count: int = 10,
    limits: pd.DataFrame | None = None,
) -> Table:
    """The genes with the highest and the lowest PCC, mean over sections.

    Args:
        scores: tidy scores, of any datasets and splits.
        ranked_by: the method (its full variant) whose PCC ranks the genes; the PCC of the
            others stands beside it.
        variants: variants that have a column of their own.
        count: genes from each end.
        limits: columns dataset, gene, limit (its name), mean_pcc: what a predictor could reach,
            mean over sections; it is noisy gene by gene, so no share is made of it.

    Returns:
        ``values`` holds every gene and method, with the columns of
        :func:`reg2st.evaluation.aggregate.per_gene`, runs and label;
        ``shown`` the chosen genes.
    """
    chosen = scores[scores["variant"].isin(variants)]
    values = per_gene(chosen)
    values["runs"] = run_folders(values)
    values["label"] = method_labels(values)
    labels = list(dict.fromkeys(in_fixed_order(values)["label"]))

    ranking = values[(values["method"] == ranked_by) & (values["variant"] == "full")]
    ranking = ranking.dropna(subset=["mean_pcc"]).sort_values(
        "mean_pcc", ascending=False, kind="stable"
    )
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
                    pcc = reachable.set_index("gene")["mean_pcc"].reindex(rows["gene"])
                    part[f"Limit: {name.replace('_', ' ')}"] = pcc.map(number).to_numpy()
            here = values[(values["dataset"] == dataset) & (values["split"] == split)]
            for label in labels:
                pcc = here[here["label"] == label].set_index("gene")["mean_pcc"]
                part[label] = pcc.reindex(rows["gene"]).map(number).to_numpy()
            parts.append(part)
    notes = (
        f"Ranked by the PCC of {method_label(ranked_by)}, mean over sections where it is defined.",
        "Expressing: spots of all sections with a count above 0. Mean expression: of "
        "log10(1 + 1e4 c / sum c).",
    )
    shown = without_repeats(pd.concat(parts, ignore_index=True), ["Dataset", "Split", "End"])
    return Table("per_gene", "Best and worst predicted genes", values, shown, notes)
