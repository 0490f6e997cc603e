"""Training curves: the loss and its parts by epoch."""

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reg2st.report.labels import counted, in_fixed_order, method_label
from reg2st.report.style import (
    COLUMN_IN,
    PAGE_IN,
    SPARE_COLOURS,
    MethodKey,
    legend_above,
    new_figure,
    styled,
    wrapped,
)

COLUMNS = 3
TITLE_CHARACTERS = 34
ABBREVIATIONS = ("mse", "zinb")


@styled
def training_curves(
    title: str, histories: Mapping[MethodKey, Sequence[str | os.PathLike]]
) -> Figure:
    """A panel a method: the median over runs of the training loss, the band their range.

    Where a loss has several parts each has a line of its own. Panels have their own scales:
    losses of different methods are not comparable.

    Args:
        title: dataset, split and how much was held out.
        histories: files history.tsv of the runs of each method; methods that have no epochs
            (the controls) are left out.
    """
    runs = {
        key: [pd.read_csv(path, sep="\t") for path in paths] for key, paths in histories.items()
    }
    runs = {key: tables for key, tables in runs.items() if any(len(table) for table in tables)}
    order = in_fixed_order(pd.DataFrame(list(runs), columns=["method", "variant", "preset"]))
    keys = list(order.itertuples(index=False, name=None))
    n_columns = min(COLUMNS, max(1, len(keys)))
    n_rows = max(1, math.ceil(len(keys) / n_columns))
    parts = dict.fromkeys(part for key in keys for part in _parts(runs[key]))
    colours = dict(zip(parts, ("black", *SPARE_COLOURS * 3), strict=False))
    figure = new_figure(COLUMN_IN if n_columns == 1 else PAGE_IN, 0.75 + 1.9 * n_rows)
    for place, key in enumerate(keys):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        _draw_losses(axes, runs[key], colours)
        label = f"{method_label(*key)}, {counted(len(runs[key]), 'run')}"
        axes.set_title(wrapped(label, TITLE_CHARACTERS))
    entries = [Line2D([], [], color=colour) for colour in colours.values()]
    labels = [_part_label(part) for part in colours]
    legend_above(figure, title, entries, labels, line_width_em=2.0)
    return figure


def _parts(tables: list[pd.DataFrame]) -> list[str]:
    """The columns of a method's losses, the total first; a single part is the total itself."""
    parts = [name for name in tables[0] if name.startswith("loss_") and name != "loss_total"]
    return ["loss_total", *(parts if len(parts) > 1 else [])]


def _part_label(column: str) -> str:
    name = column.removeprefix("loss_")
    return name.upper() if name in ABBREVIATIONS else name.replace("_", " ")


def _draw_losses(axes: Axes, tables: list[pd.DataFrame], colours: dict[str, str]) -> None:
    epochs = pd.concat(tables).groupby("epoch")
    parts = _parts(tables)
    for part in parts:
        values = epochs[part]
        middle = values.median()
        axes.plot(middle.index, middle, color=colours[part])
        axes.fill_between(
            middle.index, values.min(), values.max(), color=colours[part], alpha=0.15, linewidth=0
        )
    drawn = pd.concat(tables)[parts].to_numpy()
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    if 0 < 5 * low < high:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Training loss (no unit)")
