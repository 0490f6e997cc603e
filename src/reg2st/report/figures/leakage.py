"""Leaving one section against one patient out, for every method: how much of a score is leakage."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from reg2st.evaluation.aggregate import summarise
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import counted, in_fixed_order, method_label, split_label
from reg2st.report.style import (
    COLUMN_IN,
    GREY,
    OURS,
    PUBLISHED,
    NothingToShow,
    legend_above,
    method_keys,
    new_figure,
    rows_in,
    styled,
    wrapped,
)

LABEL_CHARACTERS = 18
LOOK = {"section_out": (PUBLISHED, "o", -0.14), "patient_out": (OURS, "D", 0.14)}


@styled
def leakage(
    scores: pd.DataFrame, *, variants: Collection[str] = ("full",), metric: Metric = PCC
) -> Figure:
    """Mean score of each method on both splits, and their difference at the right.

    Lines through the marks are 95 % intervals over patients. Both means are over the sections
    that both splits test, so their difference is not one of sections.

    Args:
        scores: tidy scores of one dataset with both splits; others are left out.
        variants: variants to draw.
        metric: which score.

    Raises:
        NothingToShow: the splits test no section in common, or no method has a score.
    """
    dataset = scores["dataset"].iloc[0]
    mine = scores[scores["variant"].isin(variants) & scores["split"].isin(LOOK)]
    mine = mine[mine.groupby("section")["split"].transform("nunique") == len(LOOK)]
    if mine.empty:
        raise NothingToShow(f"{dataset}: the two splits test no section in common.")
    summary = in_fixed_order(summarise(mine, metric)).dropna(subset=[metric.mean])
    if summary.empty:
        raise NothingToShow(f"{dataset}: no method has a {metric.label} for any gene.")
    keys = method_keys(summary)
    labels = [wrapped(method_label(*key), LABEL_CHARACTERS) for key in keys]
    figure = new_figure(COLUMN_IN, 0.95 + rows_in(labels, 2.5))
    axes = figure.add_subplot()
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    by_key = summary.set_index(["method", "variant", "preset", "split"]).sort_index()
    for place, key in enumerate(keys):
        means = {}
        for split, (colour, marker, offset) in LOOK.items():
            if (*key, split) not in by_key.index:
                continue
            row = by_key.loc[(*key, split)]
            means[split] = row[metric.mean]
            axes.plot(row[metric.mean], place + offset, marker, color=colour, zorder=3)
            ends = row[["patient_low", "patient_high"]].to_numpy(dtype=float)
            if np.isfinite(ends).all():
                axes.hlines(place + offset, *ends, color=colour, linewidth=0.9)
        if len(means) == len(LOOK):
            lost = means["patient_out"] - means["section_out"]
            text = f"{lost:+.3f}".replace("-", "−")
            axes.text(1.03, place, text, transform=beside, va="center")
    axes.text(1.03, -0.5, "Difference", transform=beside, va="bottom")
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(keys)), labels)
    axes.set_ylim(len(keys) - 0.5, -0.5)
    axes.set_xlabel(f"Mean {metric.with_unit}")
    sections = mine.drop_duplicates(["split", "section"]).groupby("split")["section"].size()
    entries = {
        f"{split_label(split)}, {counted(sections.get(split, 0), 'section')}": Line2D(
            [], [], color=colour, marker=marker, linestyle="-"
        )
        for split, (colour, marker, _) in LOOK.items()
    }
    title = f"{dataset}: {counted(mine['patient'].nunique(), 'patient')}"
    legend_above(figure, title, list(entries.values()), list(entries), line_width_em=2.0)
    return figure
