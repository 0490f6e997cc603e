"""The table of gene sets: every method's score over all genes and over each set."""

import pandas as pd

from reg2st.evaluation.aggregate import others_in, summarise
from reg2st.evaluation.metrics import PCC, STANDARD, Metric
from reg2st.report.labels import in_fixed_order, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import Table, intervals, number, whole

ALL_GENES = "all"


def gene_set_table(scores: pd.DataFrame, gene_sets: pd.DataFrame, *, metric: Metric = PCC) -> Table:
    """Mean score over all genes and over each set, by dataset, split and method.

    Args:
        scores: tidy scores, of any datasets and splits; methods are shown as configured.
        gene_sets: columns dataset, gene_set and gene.
        metric: which score. Those beyond the standard ones have a column too.

    Returns:
        ``values`` has the columns of :func:`reg2st.evaluation.aggregate.summarise`, gene_set and
        runs.
    """
    scores = scores[scores["variant"] == "full"]
    parts = []
    for dataset, mine in scores.groupby("dataset", sort=False):
        sets = gene_sets[gene_sets["dataset"] == dataset].groupby("gene_set", sort=False)["gene"]
        named = {ALL_GENES: mine["gene"].unique(), **dict(iter(sets))}
        for name, genes in named.items():
            part = summarise(mine[mine["gene"].isin(genes)], metric)
            parts.append(in_fixed_order(part).assign(gene_set=name))
    values = pd.concat(parts, ignore_index=True)
    values["runs"] = run_folders(values)
    further = [other for other in others_in(scores, metric) if other not in STANDARD]
    order = values.groupby(["dataset", "split", "gene_set"], sort=False).ngroup()
    values = values.loc[order.sort_values(kind="stable").index].reset_index(drop=True)
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Genes": values["gene_set"],
            "Number": values["n_genes"].map(whole),
            "Method": method_labels(values),
            f"Mean {metric.label}": values[metric.mean].map(number),
            "95 % over patients": intervals(values, "patient"),
            **{other.label: values[other.mean].map(number) for other in further},
        }
    )
    notes = (
        "Gene sets serve this table alone: they may have been chosen on tested sections, as in the "
        "benchmark of Wang et al. 2025, and no method sees them.",
        *(f"{each.label}: {each.undefined}" for each in further if each.undefined),
    )
    title = f"Mean {metric.label} over sets of genes"
    return Table("gene_sets", title, values, shown, ("Dataset", "Split", "Genes"), notes)
