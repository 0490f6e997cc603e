"""Box plots of section medians by method with the outcome of each paired test."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from reg2st.evaluation.aggregate import per_section
from reg2st.report.labels import in_fixed_order, method_label
from reg2st.report.style import (
    COLUMN_IN,
    DARK,
    GREY,
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
    comparisons: pd.DataFrame,
    *,
    split: str,
    variants: Collection[str] = ("full",),
) -> Figure:
    """A box a method: the median PCC over genes of each section, a dot a section.

    Whiskers span all sections. Beside the tested method stands "tested", beside each other one
    the one-sided Wilcoxon test's p, after Bonferroni, that the tested method is better, and the
    rank-biserial effect size.

    Args:
        scores: tidy scores of one dataset.
        comparisons: of :func:`reg2st.evaluation.statistics.compare`.
        split: the split to draw.
        variants: variants to draw.
    """
    mine = scores[(scores["split"] == split) & scores["variant"].isin(variants)]
    sections = in_fixed_order(per_section(mine)).dropna(subset=["median_pcc"])
    keys = method_keys(sections)
    colours = method_colours(keys)
    medians = dict(iter(sections.groupby(["method", "variant", "preset"])["median_pcc"]))
    beside = {}
    for row in comparisons[comparisons["split"] == split].itertuples():
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
    axes.set_ylim(max(len(keys), 1) - 0.4, -0.6)
    axes.set_xlabel("Median PCC over the genes of a section")
    title_above(figure, place_title(mine, split))
    return figure


def _statistics(values: np.ndarray) -> dict[str, float]:
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100])
    return {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}


def _outcome(test: tuple) -> str:
    if np.isnan(test.p_bonferroni):
        return ""
    return f"p = {p_value(test.p_bonferroni)}\nr = {test.rank_biserial:.2f}".replace("= -", "= −")
