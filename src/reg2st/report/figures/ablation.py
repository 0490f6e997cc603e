"""Bars of a method's ablation, ours beside the published ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import METHOD_LABELS, variant_label
from reg2st.report.style import (
    DARK,
    GREY,
    OURS,
    PAGE_IN,
    PUBLISHED,
    legend_above,
    new_figure,
    place_title,
    rows_in,
    styled,
    wrapped,
)
from reg2st.report.tables.experiment_tables import ablation_values

LABEL_CHARACTERS = 24


@styled
def ablation_bars(
    scores: pd.DataFrame,
    *,
    split: str,
    variants: Sequence[str],
    method: str,
    published: Sequence[Mapping] = (),
    metric: Metric = PCC,
) -> Figure:
    """Mean and median score of each variant; whiskers are 95 % intervals over patients.

    Args:
        scores: tidy scores of one dataset.
        split: the split to draw; published bars stand beside section_out only.
        variants: in the order wanted, from the top; the full method is drawn first.
        method: whose variants.
        published: as for :func:`reg2st.report.tables.experiment_tables.ablation`.
    """
    mine = scores[scores["split"] == split]
    values = ablation_values(mine, variants, method, published, metric)
    labels = [
        wrapped(variant_label(row.variant, row.preset), LABEL_CHARACTERS)
        for row in values.itertuples()
    ]
    figure = new_figure(PAGE_IN, 0.85 + rows_in(labels, 2.5))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    rows = np.arange(len(values))
    printed = values[f"published_{metric.mean}"].notna().any()
    height = 0.38 if printed else 0.6
    shift = height / 2 if printed else 0.0
    for axes, statistic in zip(panels, ("mean", "median"), strict=True):
        axes.barh(
            rows - shift,
            values[f"{statistic}_{metric.name}"],
            height,
            color=OURS,
            edgecolor=DARK,
            linewidth=0.5,
        )
        if printed:
            axes.barh(
                rows + shift,
                values[f"published_{statistic}_{metric.name}"],
                height,
                color=PUBLISHED,
                edgecolor=DARK,
                linewidth=0.5,
            )
        axes.axvline(0, color=GREY, linewidth=0.6)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"{statistic.capitalize()} {metric.with_unit}")
    means = values[metric.mean].to_numpy()
    ends = values[["patient_low", "patient_high"]].to_numpy()
    known = np.isfinite(ends).all(axis=1)
    panels[0].hlines(rows[known] - shift, *ends[known].T, color="black", linewidth=0.9)
    panels[0].plot(means[known], rows[known] - shift, "|", color="black", markersize=3)
    panels[0].set_yticks(rows, labels)
    panels[0].invert_yaxis()
    bars = {"This workflow": OURS} | ({"Published": PUBLISHED} if printed else {})
    swatches = [Patch(facecolor=colour, edgecolor=DARK, linewidth=0.5) for colour in bars.values()]
    title = f"{METHOD_LABELS.get(method, method)} on {place_title(mine, split)}"
    legend_above(figure, title, swatches, list(bars))
    return figure
