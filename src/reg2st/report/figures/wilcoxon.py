"""Box plots of sections' medians by method with the outcome of each paired test."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from reg2st.evaluation.aggregate import per_section
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.evaluation.statistics import compare
from reg2st.report.labels import in_fixed_order, method_label
from reg2st.report.style import (
    COLUMN_IN,
    DARK,
    GREY,
    NothingToShow,
    method_colours,
    method_keys,
    new_figure,
    place_title,
    rows_in,
    styled,
    title_above,
    wrapped,
)
from reg2st.report.tables.significance import p_value

LABEL_CHARACTERS = 16


@styled
def wilcoxon_boxes(
    scores: pd.DataFrame,
    *,
    split: str,
    reference: str,
    variants: Collection[str] = ("full",),
    metric: Metric = PCC,
) -> Figure:
    """A box a method: the median score over genes of each section, a dot a section.

    Whiskers span all sections. Beside the tested method stands "tested", beside each other one
    the one-sided Wilcoxon test's p, after Bonferroni, that the tested method is better, and the
    rank-biserial effect size.

    Args:
        scores: tidy scores of one dataset.
        split: the split to draw.
        reference: the method that is tested against every other.
        variants: variants to draw.
        metric: which score.

    Raises:
        NothingToShow: no method has a score.
    """
    mine = scores[(scores["split"] == split) & scores["variant"].isin(variants)]
    title = place_title(mine, split)
    sections = in_fixed_order(per_section(mine, metric)).dropna(subset=[metric.median])
    if sections.empty:
        raise NothingToShow(f"{title}: no method has a {metric.label} for any gene.")
    keys = method_keys(sections)
    colours = method_colours(keys)
    medians = dict(iter(sections.groupby(["method", "variant", "preset"])[metric.median]))
    beside = {}
    for row in compare(mine, reference, metric=metric).itertuples():
        beside[row.method, row.variant, row.preset] = "tested"
        beside[row.other_method, row.other_variant, row.other_preset] = _outcome(row)
    labels = [wrapped(method_label(*key), LABEL_CHARACTERS) for key in keys]
    figure = new_figure(COLUMN_IN, 0.75 + rows_in(labels, 2.5))
    axes = figure.add_subplot()
    axes.bxp(
        [_statistics(medians[key].to_numpy()) for key in keys],
        positions=range(len(keys)),
        widths=0.6,
        orientation="horizontal",
        patch_artist=True,
        showfliers=False,
        showcaps=False,
        manage_ticks=False,
        boxprops={"edgecolor": DARK, "linewidth": 0.5},
        medianprops={"color": "black", "linewidth": 1.0},
        whiskerprops={"color": DARK, "linewidth": 0.5},
    )
    for patch, key in zip(axes.patches, keys, strict=True):
        patch.set_facecolor((*colours[key], 0.6))
    jitter = np.random.default_rng(0)
    right_of_axes = blended_transform_factory(axes.transAxes, axes.transData)
    for place, key in enumerate(keys):
        values = medians[key].to_numpy()
        heights = place + jitter.uniform(-0.18, 0.18, len(values))
        axes.plot(values, heights, ".", color="black", markersize=2.2, markeredgewidth=0)
        axes.text(1.03, place, beside.get(key, ""), transform=right_of_axes, va="center")
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(keys)), labels)
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.set_xlabel(f"Median {metric.label} over the genes of a section")
    title_above(figure, title)
    return figure


def _statistics(values: np.ndarray) -> dict[str, float]:
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100])
    return {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}


def _outcome(test: tuple) -> str:
    if np.isnan(test.p_bonferroni):
        return ""
    return f"p = {p_value(test.p_bonferroni)}\nr = {test.rank_biserial:.2f}".replace("= -", "= −")
