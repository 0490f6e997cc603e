"""One look for every figure: sizes, fonts, colours, and how figures are saved."""

import os
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path

import matplotlib
import pandas as pd
from PIL import Image

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reg2st.base.files import written_whole
from reg2st.report.labels import MethodKey, counted, method_label, split_label

COLUMN_IN = 3.35
PAGE_IN = 6.9
"""Widths of one and of two columns of a journal page, inches."""

FONT_PT = 7.0
TITLE_PT = 8.0
LINE_IN = 0.13
"""Height of a line of text, inches."""

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": FONT_PT,
    "axes.titlesize": TITLE_PT,
    "axes.labelsize": FONT_PT,
    "xtick.labelsize": FONT_PT,
    "ytick.labelsize": FONT_PT,
    "legend.fontsize": FONT_PT,
    "figure.titlesize": TITLE_PT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "figure.dpi": 100,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "reg2st",
}

GREY = "#999999"
LIGHT = "#efefef"
DARK = "#333333"

METHOD_COLOURS = {
    "train_mean": GREY,
    "brightness": "#F0E442",
    "ridge": "#E69F00",
    "sister_section": "#000000",
    "histogene": "#56B4E9",
    "hist2st": "#009E73",
    "thitogene": "#CC79A7",
    "bleep": "#44AA99",
    "mclstexp": "#332288",
    "hggep": "#0072B2",
    "stnet": "#117733",
    "triplex": "#DDCC77",
    "deepspot": "#AA4499",
    "miso": "#999933",
    "sprig": "#882255",
    "reg2st": "#D55E00",
}
"""Okabe and Ito's palette, told apart with any colour vision; grey for the training mean,
Tol's muted palette for SPRIG and the newer methods."""

SPARE_COLOURS = ("#EE8866", "#77AADD", "#BBCC33", "#FFAABB", "#AAAA00")
"""For methods beyond those above (Tol's light palette)."""

FURTHER_COLOURS = ("#999933", "#AA4499", "#117733", "#44AA99", "#332288")
"""For what is not a method (Tol's muted palette): dark enough for lines on white."""

REGION_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"),
    *FURTHER_COLOURS,
)
"""Of labelled regions, in the order of their names."""

OURS = "#D55E00"
PUBLISHED = "#0072B2"
"""Our numbers and printed ones, side by side."""

EXPRESSION_COLOURS = "viridis"

PRINT_DPI = 300
SCREEN_DPI = 150
FORMATS = {
    "pdf": {"dpi": PRINT_DPI, "metadata": {"CreationDate": None}},
    "svg": {"dpi": PRINT_DPI, "metadata": {"Date": None}},
    "png": {"dpi": PRINT_DPI, "metadata": {"Software": None}},
    "jpg": {"dpi": SCREEN_DPI, "pil_kwargs": {"quality": 75, "optimize": True}},
}
"""How figures are saved, by suffix. JPEG is for figures that show slides, which are photographs: a
tenth of their PNG, so that the report of many sections stays small."""


class NothingToShow(Exception):
    """There is nothing that a figure could show; the message says why, in one sentence."""


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under the project's style, whatever the settings outside."""

    @wraps(draw)
    def drawn(*args: object, **kwargs: object) -> Figure:
        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of a given printed size, laid out without overlaps."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@styled
def page_that_says(reason: str) -> Figure:
    """An empty figure with the reason why there is nothing to show."""
    lines = wrapped(reason, 90)
    figure = new_figure(PAGE_IN, 0.6 + LINE_IN * (lines.count("\n") + 1))
    figure.text(0.5, 0.5, lines, ha="center", va="center", color=DARK)
    return figure


def save(figure: Figure, *paths: str | os.PathLike) -> None:
    """Write a figure at its printed size; each path's suffix is its format.

    The same figure gives the same bytes: no dates, fixed ids.
    """
    for path in paths:
        kind = os.fspath(path).rsplit(".", 1)[-1]
        with rc_context(STYLE), written_whole(path) as temporary:
            figure.savefig(temporary, format=kind, **FORMATS[kind])
            figure.set_layout_engine("none")  # it is laid out, which takes as long as drawing
            if kind == "png":
                _reduce_to_palette(temporary)


def _reduce_to_palette(path: Path) -> None:
    """Keep 256 colours of a PNG: lines and areas need no more, and it becomes a third as large."""
    with Image.open(path) as picture:
        colours = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)
        colours.save(path, dpi=picture.info["dpi"], optimize=True)


def method_colours(methods: Iterable[MethodKey]) -> dict[MethodKey, tuple[float, float, float]]:
    """A colour for each method, fixed for known ones; further variants are paler."""
    colours, spare = {}, iter(SPARE_COLOURS * 9)
    bases = dict(METHOD_COLOURS)
    seen: dict[str, int] = {}
    for key in methods:
        if key[0] not in bases:
            bases[key[0]] = next(spare)
        seen[key[0]] = seen.get(key[0], 0) + 1
        paleness = 1 - 0.6 ** (seen[key[0]] - 1)
        colours[key] = tuple(part + (1 - part) * paleness for part in to_rgb(bases[key[0]]))
    return colours


def method_keys(scores: pd.DataFrame) -> list[MethodKey]:
    """The methods of a table with columns method, variant and preset, in the table's order."""
    columns = scores[["method", "variant", "preset"]].drop_duplicates()
    return list(columns.itertuples(index=False, name=None))


def wrapped(text: str, characters: int) -> str:
    """Text broken into lines; words longer than a line are broken too."""
    return "\n".join(textwrap.wrap(text, characters, break_on_hyphens=False)) or text


def rows_in(labels: Sequence[str], least_lines: int = 2) -> float:
    """Height of rows that are all high enough for the tallest of their labels, inches."""
    lines = max([least_lines, *(label.count("\n") + 1.5 for label in labels)])
    return LINE_IN * lines * len(labels)


def method_patches(
    colours: dict[MethodKey, tuple[float, float, float]],
) -> tuple[list[Patch], list[str]]:
    """Legend entries: a swatch and a label for each method."""
    swatches = [
        Patch(facecolor=colour, edgecolor=DARK, linewidth=0.5) for colour in colours.values()
    ]
    return swatches, [method_label(*key) for key in colours]


def place_title(scores: pd.DataFrame, split: str, *, genes: bool = True) -> str:
    """Dataset, split and how much was scored, from the tidy scores drawn."""
    n_genes = counted(scores["gene"].nunique(), "gene") + ", " if genes else ""
    return (
        f"{scores['dataset'].iloc[0]}, {split_label(split)}: {n_genes}"
        f"{counted(scores['section'].nunique(), 'section')} of "
        f"{counted(scores['patient'].nunique(), 'patient')}"
    )


def fitted(figure: Figure, title: str) -> str:
    """A title broken into lines that the figure is wide enough for."""
    share = 0.97 * figure.get_figwidth() / text_width_in(figure, title, TITLE_PT)
    return title if share >= 1 else wrapped(title, int(share * len(title)))


def title_above(figure: Figure, title: str) -> None:
    """A title across the figure's top."""
    figure.suptitle(fitted(figure, title), x=0.01, ha="left")


def legend_above(
    figure: Figure,
    title: str,
    handles: Sequence[Artist],
    labels: Sequence[str],
    *,
    line_width_em: float | None = None,
) -> None:
    """A title and a legend across the figure's top, in as few rows as its width allows."""
    if not handles:
        title_above(figure, title)
    labels = [wrapped(label, 60) for label in labels]
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles,
            labels,
            title=fitted(figure, title),
            title_fontsize=TITLE_PT,
            alignment="left",
            loc="outside upper left",
            ncols=columns,
            handlelength=line_width_em,
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def text_width_in(figure: Figure, text: str, size_pt: float = FONT_PT) -> float:
    """Printed width of a line of text, inches."""
    probe = figure.text(0, 0, text, fontsize=size_pt)
    width = probe.get_window_extent().width / figure.dpi
    probe.remove()
    return width
