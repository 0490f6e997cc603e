"""Curves of a method's score along its settings, ours and the published ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import METHOD_LABELS, setting_label
from reg2st.report.style import (
    OURS,
    PAGE_IN,
    PUBLISHED,
    legend_above,
    new_figure,
    place_title,
    styled,
)
from reg2st.report.tables.experiment_tables import Curves, sensitivity_values

STATISTICS = {"mean": ("o", "-"), "median": ("s", "--")}


@styled
def sensitivity_curves(
    scores: pd.DataFrame,
    *,
    split: str,
    curves: Curves,
    method: str,
    published: Sequence[Mapping] = (),
    metric: Metric = PCC,
) -> Figure:
    """A panel a setting; bands are 95 % intervals of our mean over patients.

    Args:
        scores: tidy scores of one dataset.
        split: the split to draw; published curves stand beside section_out only.
        curves: as for :func:`reg2st.report.tables.experiment_tables.sensitivity`.
        method: whose settings.
        published: as for :func:`reg2st.report.tables.experiment_tables.sensitivity`.
    """
    mine = scores[scores["split"] == split]
    values = sensitivity_values(mine, curves, method, published, metric)
    parameters = list(values["parameter"].unique())
    printed = values[f"published_{metric.mean}"].notna().any()
    figure = new_figure(PAGE_IN, 2.4)
    panels = figure.subplots(1, len(parameters), squeeze=False, sharey=True)[0]
    for axes, parameter in zip(panels, parameters, strict=True):
        points = values[values["parameter"] == parameter]
        places = np.arange(len(points))
        band = points[["patient_low", "patient_high"]].to_numpy(dtype=float)
        if np.isfinite(band).all():
            axes.fill_between(places, *band.T, color=OURS, alpha=0.15, linewidth=0)
        for statistic, (marker, dashes) in STATISTICS.items():
            look = {"marker": marker, "linestyle": dashes}
            axes.plot(places, points[f"{statistic}_{metric.name}"], color=OURS, **look)
            if printed:
                axes.plot(
                    places,
                    points[f"published_{statistic}_{metric.name}"],
                    color=PUBLISHED,
                    markerfacecolor="white",
                    **look,
                )
        axes.set_xticks(places, points["value"].map("{:g}".format))
        axes.set_xlim(-0.3, len(points) - 0.7)
        axes.set_xlabel(setting_label(parameter))
    panels[0].set_ylabel(metric.with_unit)
    presets = sorted(set(values["preset"]) - {"published"})
    ours = "This workflow" + "".join(f" ({name})" for name in presets)
    sources = {ours: OURS} | ({"Published": PUBLISHED} if printed else {})
    entries = {
        f"{source}, {statistic}": Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            linestyle=dashes,
            markerfacecolor=colour if colour == OURS else "white",
        )
        for source, colour in sources.items()
        for statistic, (marker, dashes) in STATISTICS.items()
    }
    title = f"{METHOD_LABELS.get(method, method)} on {place_title(mine, split)}"
    legend_above(figure, title, list(entries.values()), list(entries), line_width_em=2.6)
    return figure
