"""Scores against how strongly and how widely a gene is expressed."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reg2st.evaluation.aggregate import per_gene
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import counted, in_fixed_order, method_label
from reg2st.report.style import (
    DARK,
    GREY,
    PAGE_IN,
    NothingToShow,
    legend_above,
    method_colours,
    method_keys,
    new_figure,
    place_title,
    styled,
)
from reg2st.sections.targets import TARGETS

BINS = 10
MARKERS = "os^Dv<>pPX*h"
LOOK = {"markersize": 3.8, "markeredgecolor": DARK, "markeredgewidth": 0.4}


@styled
def expression_level(
    scores: pd.DataFrame,
    *,
    split: str,
    variants: Collection[str] = ("full",),
    metric: Metric = PCC,
) -> Figure:
    """Mean score of genes binned by mean expression (left) and by expressing spots (right).

    Bins hold equally many genes (fewer where values are tied); a mark stands at the bin's
    median and its mean score.

    Args:
        scores: tidy scores of one dataset.
        split: the split to draw.
        variants: variants to draw.
        metric: which score.

    Raises:
        NothingToShow: no method has a score.
    """
    mine = scores[(scores["split"] == split) & scores["variant"].isin(variants)]
    title = place_title(mine, split)
    genes = in_fixed_order(per_gene(mine, metric)).dropna(subset=[metric.mean])
    if genes.empty:
        raise NothingToShow(f"{title}: no method has a {metric.label} for any gene.")
    genes["expressing"] = 100 * genes["n_expressing"] / genes["n_spots"]
    keys = method_keys(genes)
    colours = method_colours(keys)
    marker = {key: MARKERS[rank % len(MARKERS)] for rank, key in enumerate(keys)}
    unit = TARGETS[mine["target"].iloc[0]].unit
    figure = new_figure(PAGE_IN, 2.7)
    panels = figure.subplots(1, 2, sharey=True)
    a_bin = f"{counted(max(1, round(mine['gene'].nunique() / BINS)), 'gene')} a bin"
    labels = {
        "mean_expression": f"Mean of {unit}, {a_bin}",
        "expressing": f"Spots that express the gene, %, {a_bin}",
    }
    by_method = dict(iter(genes.groupby(["method", "variant", "preset"])))
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        for key in keys:
            places, means = _binned(by_method[key], column, metric)
            axes.plot(places, means, marker=marker[key], color=colours[key], **LOOK)
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        axes.set_xlabel(label)
    panels[0].set_ylabel(f"Mean {metric.label} of a bin's genes")
    entries = [Line2D([], [], color=colours[key], marker=marker[key], **LOOK) for key in keys]
    legend_above(figure, title, entries, [method_label(*key) for key in keys], line_width_em=2.0)
    return figure


def _binned(genes: pd.DataFrame, column: str, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    bins = pd.qcut(genes[column], min(BINS, len(genes)), duplicates="drop")
    grouped = genes.groupby(bins, observed=True)
    return grouped[column].median().to_numpy(), grouped[metric.mean].mean().to_numpy()
