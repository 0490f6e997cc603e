"""Training curves: the loss and its parts by epoch."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reg2st.report.labels import counted, in_fixed_order, method_label, split_label
from reg2st.report.style import (
    COLUMN_IN,
    FURTHER_COLOURS,
    PAGE_IN,
    NothingToShow,
    legend_above,
    method_keys,
    new_figure,
    styled,
    wrapped,
)

COLUMNS = 3
TITLE_CHARACTERS = 34
ABBREVIATIONS = ("mse", "zinb")
DASHES = ("-", "--", ":")
"""Solid lines first; when all colours are used, they start again with the next dash."""


@styled
def training_curves(histories: pd.DataFrame, *, split: str) -> Figure:
    """A panel a method: the median over runs of the training loss, the band their range.

    Where a loss has several parts each has a line of its own. Panels have their own scales:
    losses of different methods are not comparable.

    Args:
        histories: columns of a run's key, epoch, loss_total and the parts of the losses, of one
            dataset.
        split: how sections were held out.

    Raises:
        NothingToShow: no run has an epoch.
    """
    if histories.empty:
        raise NothingToShow(f"{split_label(split)}: no network was trained for an epoch.")
    histories = in_fixed_order(histories)
    keys = method_keys(histories)
    runs = dict(iter(histories.groupby(["method", "variant", "preset"])))
    n_columns = min(COLUMNS, len(keys))
    n_rows = math.ceil(len(keys) / n_columns)
    parts = dict.fromkeys(part for key in keys for part in _parts(runs[key]))
    looks = dict(zip(parts, _looks(), strict=False))
    figure = new_figure(COLUMN_IN if n_columns == 1 else PAGE_IN, 0.75 + 1.9 * n_rows)
    for place, key in enumerate(keys):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        _draw_losses(axes, runs[key], looks)
        n_runs = runs[key].groupby(["seed", "fold"]).ngroups
        axes.set_title(wrapped(f"{method_label(*key)}, {counted(n_runs, 'run')}", TITLE_CHARACTERS))
    entries = [Line2D([], [], **look) for look in looks.values()]
    labels = [_part_label(part) for part in looks]
    title = f"{histories['dataset'].iloc[0]}, {split_label(split)}: training of the networks"
    legend_above(figure, title, entries, labels, line_width_em=2.0)
    return figure


def _looks() -> Iterator[dict[str, str]]:
    """How the line of each part of a loss looks; the total is first."""
    yield {"color": "black"}
    for dash, colour in itertools.cycle(itertools.product(DASHES, FURTHER_COLOURS)):
        yield {"color": colour, "linestyle": dash}


def _parts(runs: pd.DataFrame) -> list[str]:
    """The columns of a method's losses, the total first; a single part is the total itself."""
    given = runs.dropna(axis="columns", how="all")
    parts = [name for name in given if name.startswith("loss_") and name != "loss_total"]
    return ["loss_total", *(parts if len(parts) > 1 else [])]


def _part_label(column: str) -> str:
    name = column.removeprefix("loss_")
    return name.upper() if name in ABBREVIATIONS else name.replace("_", " ")


def _draw_losses(axes: Axes, runs: pd.DataFrame, looks: dict[str, dict[str, str]]) -> None:
    epochs = runs.groupby("epoch")
    parts = _parts(runs)
    for part in parts:
        values = epochs[part]
        middle = values.median()
        axes.plot(middle.index, middle, **looks[part])
        axes.fill_between(
            middle.index,
            values.min(),
            values.max(),
            color=looks[part]["color"],
            alpha=0.15,
            linewidth=0,
        )
    drawn = runs[parts].to_numpy()
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    if 0 < 5 * low < high:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Training loss (no unit)")
