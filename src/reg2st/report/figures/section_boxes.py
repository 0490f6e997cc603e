"""Box plots of genes' scores in every section by method, after the Reg2ST paper's main figure."""

import math
from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reg2st.evaluation.aggregate import over_seeds
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import MethodKey, in_fixed_order
from reg2st.report.style import (
    DARK,
    GREY,
    LIGHT,
    PAGE_IN,
    NothingToShow,
    legend_above,
    method_colours,
    method_keys,
    method_patches,
    new_figure,
    place_title,
    styled,
    text_width_in,
)

WHISKERS = (5, 95)
BOX_IN = 0.055
ROW_IN = 1.55
MARGIN_IN = 0.6
TOP_IN = 0.8
"""Room for title, legend and the label below."""


@styled
def section_boxes(
    scores: pd.DataFrame,
    *,
    split: str,
    variants: Collection[str] = ("full",),
    metric: Metric = PCC,
) -> Figure:
    """One box a section and method: quartiles of the scores of all genes.

    Whiskers reach the 5th and 95th percentile; genes without a score are left out. Two last
    groups, Mean and Median, hold each gene's mean and median over the sections. Sections are
    grouped by patient; the background distinguishes patients.

    Args:
        scores: tidy scores of one dataset.
        split: the split to draw.
        variants: variants to draw.
        metric: which score.

    Raises:
        NothingToShow: no method has a score.
    """
    chosen = scores[(scores["split"] == split) & scores["variant"].isin(variants)]
    patients = _patients(chosen)
    title = place_title(chosen, split)
    chosen = in_fixed_order(over_seeds(chosen)).dropna(subset=[metric.name])
    if chosen.empty:
        raise NothingToShow(f"{title}: no method has a {metric.label} for any gene.")
    keys = method_keys(chosen)
    colours = method_colours(keys)
    by_method = dict(iter(chosen.groupby(["method", "variant", "preset"], sort=False)))
    groups = [*patients.index, "Mean", "Median"]
    boxes = {key: _boxes(by_method[key], list(patients.index), metric) for key in keys}

    # A box more than the methods is the gap between two groups.
    group_in = max(BOX_IN * (len(keys) + 1.5), 0.14)
    n_rows = math.ceil(len(groups) * group_in / (PAGE_IN - MARGIN_IN))
    per_row = math.ceil(len(groups) / n_rows)
    figure = new_figure(PAGE_IN, TOP_IN + ROW_IN * n_rows)
    widest = max(text_width_in(figure, name) for name in groups)
    upright = widest > 0.9 * (PAGE_IN - MARGIN_IN) / per_row
    figure.set_size_inches(PAGE_IN, TOP_IN + (ROW_IN + upright * widest) * n_rows)
    panels = figure.subplots(n_rows, 1, squeeze=False, sharey=True)[:, 0]
    shades = dict(zip(patients.unique(), range(patients.nunique()), strict=True))
    for row, axes in enumerate(panels):
        names = groups[row * per_row : (row + 1) * per_row]
        _draw_groups(axes, names, keys, boxes, colours)
        for place, name in enumerate(names):
            if name in patients.index and shades[patients[name]] % 2:
                axes.axvspan(place - 0.5, place + 0.5, color=LIGHT, zorder=0, linewidth=0)
        if "Mean" in names and names[0] != "Mean":
            axes.axvline(names.index("Mean") - 0.5, color=DARK, linewidth=0.8)
        axes.set_xlim(-0.5, per_row - 0.5)
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(f"{metric.label} of a gene")
    panels[-1].set_xlabel("Test section (Mean, Median: of each gene over the sections)")
    legend_above(figure, title, *method_patches(colours))
    return figure


def _patients(scores: pd.DataFrame) -> pd.Series:
    """The patient of each section, the sections of a patient together."""
    patients = scores.drop_duplicates("section").set_index("section")["patient"]
    first = {name: rank for rank, name in enumerate(patients.unique())}
    return patients.sort_values(key=lambda names: names.map(first), kind="stable")


def _boxes(
    scores: pd.DataFrame, sections: list[str], metric: Metric
) -> dict[str, dict[str, float]]:
    """Box statistics of a method by group: a section's name, Mean or Median."""
    values = scores.pivot_table(metric.name, "section", "gene").reindex(sections)
    groups = dict(zip(values.index, values.to_numpy(), strict=True))
    groups |= {"Mean": values.mean().to_numpy(), "Median": values.median().to_numpy()}
    return {name: _statistics(score[np.isfinite(score)]) for name, score in groups.items()}


def _statistics(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    low, first, middle, third, high = np.percentile(values, [WHISKERS[0], 25, 50, 75, WHISKERS[1]])
    return {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}


def _draw_groups(
    axes: Axes,
    names: list[str],
    keys: list[MethodKey],
    boxes: dict[MethodKey, dict[str, dict[str, float]]],
    colours: dict[MethodKey, tuple[float, float, float]],
) -> None:
    width = 1 / (len(keys) + 1.5)
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=0.5)
    for rank, key in enumerate(keys):
        offset = (rank - (len(keys) - 1) / 2) * width
        drawn = [(place + offset, boxes[key][name]) for place, name in enumerate(names)]
        drawn = [(place, box) for place, box in drawn if box]
        if not drawn:
            continue
        axes.bxp(
            [box for _, box in drawn],
            positions=[place for place, _ in drawn],
            widths=0.85 * width,
            patch_artist=True,
            showfliers=False,
            showcaps=False,
            manage_ticks=False,
            boxprops={"facecolor": colours[key], "edgecolor": DARK, "linewidth": 0.4},
            medianprops={"color": "white" if _dark(colours[key]) else "black", "linewidth": 0.9},
            whiskerprops={"color": DARK, "linewidth": 0.5},
        )


def _dark(colour: tuple[float, float, float]) -> bool:
    return sum(weight * part for weight, part in zip((0.3, 0.59, 0.11), colour, strict=True)) < 0.35
