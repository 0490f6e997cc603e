"""Maps of genes on the slide: truth beside the predictions of each method."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from reg2st.errors import UserError
from reg2st.evaluation.aggregate import over_seeds
from reg2st.evaluation.metrics import is_constant, pearson
from reg2st.figures.style import (
    EXPRESSION_COLOURS,
    FONT_PT,
    LINE_IN,
    PAGE_IN,
    MethodKey,
    new_figure,
    styled,
    title_above,
    wrapped,
)
from reg2st.names import closest
from reg2st.sections import SectionArrays, load_section_arrays, load_thumbnail
from reg2st.tables.labels import counted, in_fixed_order, method_label, split_label
from reg2st.tables.writers import number
from reg2st.targets import log_expression

LIMIT_SD = 2.0
BARS_UM = (5000, 2000, 1000, 500, 200, 100, 50)
MANY_SPOTS = 2000
TALLEST_IN = 2.2
CHARACTER_IN = 0.058
"""Width of a character that text is wrapped by."""


@styled
def gene_maps(
    section: str | os.PathLike,
    predictions: Mapping[MethodKey, str | os.PathLike],
    genes: Sequence[str],
    *,
    split: str,
) -> Figure:
    """A row a gene: the slide, the observed expression, and each method's prediction.

    Every map is standardised over the spots of the section (mean 0, SD 1) and all share one
    colour scale: PCC compares patterns, and predictions vary far less than observations, which
    one scale in raw units would show as blank maps. Each title gives the SD before that, in
    log10(1 + 1e4 c / sum c), and the PCC of a prediction. Spots are discs at their place on the
    slide, as wide as the array's pitch so that their colour can be seen in print. A method whose
    predictions of all these genes are constant or undefined is not drawn.

    Args:
        section: section file.
        predictions: prediction file of a run that tested the section, by method, variant and
            preset.
        genes: genes to draw, of the predicted panel.
        split: how the section was held out.

    Raises:
        UserError: no gene is given, a gene was not predicted, or a file holds no prediction of
            the section.
    """
    if not genes:
        raise UserError(
            f"There is no gene to map on {section}: name genes of the panel in figures.genes, or "
            "raise figures.best_genes."
        )
    panel, predicted = _read_predictions(predictions, load_section_arrays(section))
    for gene in genes:
        if gene not in panel:
            raise UserError(f"Gene '{gene}' was not predicted{closest(gene, panel)}.")
    observed = load_section_arrays(section, panel)
    columns = [panel.index(gene) for gene in genes]
    truth = log_expression(observed.counts)[:, columns]
    maps = {"Observed": truth}
    for name, values in predicted.items():
        chosen = values[:, columns]
        if not (is_constant(chosen) | np.isnan(chosen).any(axis=0)).all():
            maps[name] = chosen

    frame = _frame(observed)
    panel_in = (PAGE_IN - 0.3) / (len(maps) + 1)
    characters = max(6, int(panel_in / CHARACTER_IN))
    headers = [wrapped(name, characters) for name in ("H&E", *maps)]
    header_in = LINE_IN * max(header.count("\n") for header in headers)
    row_in = min(panel_in * frame.height / frame.width, TALLEST_IN) + 3 * LINE_IN
    figure = new_figure(PAGE_IN, 0.95 + header_in + row_in * len(genes))
    title_above(
        figure,
        f"{observed.dataset}, {split_label(split)}: section {observed.name} of patient "
        f"{observed.patient}, {counted(len(observed.barcodes), 'spot')}",
    )
    panels = figure.subplots(len(genes), len(maps) + 1, squeeze=False)
    scale = Normalize(-LIMIT_SD, LIMIT_SD)
    picture, extent = _cropped(*load_thumbnail(section), frame)
    for row, gene in enumerate(genes):
        panels[row, 0].imshow(picture, extent=extent, interpolation="antialiased")
        _cut(panels[row, 0], frame)
        name_characters = int((row_in - 2 * LINE_IN) / CHARACTER_IN)
        panels[row, 0].set_ylabel(wrapped(gene, max(8, name_characters)), fontstyle="italic")
        for column, (name, values) in enumerate(maps.items(), start=1):
            axes = panels[row, column]
            _draw_spots(axes, observed.pixel_xy, values[:, row], frame, scale)
            lines = [headers[column]] if row == 0 else []
            if name != "Observed":
                lines.append(_correlation(truth[:, row], values[:, row]))
            lines.append(f"SD {number(values[:, row].std(), 2)}")
            axes.set_title("\n".join(lines), fontsize=FONT_PT, loc="center", pad=2)
    panels[0, 0].set_title(headers[0], fontsize=FONT_PT, loc="center", pad=2)
    _draw_scale_bar(panels[-1, 0], frame, observed.um_per_px)
    figure.colorbar(
        ScalarMappable(scale, EXPRESSION_COLOURS),
        ax=panels,
        location="bottom",
        label="Expression, SD from the section's mean",
        extend="both",
        shrink=0.4,
        aspect=30,
    )
    return figure


def genes_to_map(
    scores: pd.DataFrame, *, split: str, section: str, named: Sequence[str], best: int
) -> list[str]:
    """Genes for a section's maps: the named ones that were predicted, then the best predicted.

    Args:
        scores: tidy scores of one dataset.
        split: the split of the maps.
        section: the section that is mapped.
        named: genes that are mapped wherever they are in the panel.
        best: how many further genes; those with the highest PCC, mean over seeds, of the last
            full method in the fixed order that has any.
    """
    here = (scores["split"] == split) & (scores["section"] == section)
    mine = scores[here & (scores["variant"] == "full")]
    chosen = [gene for gene in named if gene in set(mine["gene"])]
    ranked = in_fixed_order(over_seeds(mine)).dropna(subset=["pcc"])
    if ranked.empty:
        return chosen
    ranked = ranked[ranked["method"] == ranked["method"].iloc[-1]]
    ranked = ranked[~ranked["gene"].isin(chosen)]
    return chosen + ranked.nlargest(best, "pcc")["gene"].tolist()


@dataclass(frozen=True)
class _Frame:
    """What part of the slide is drawn, px of level 0."""

    left: float
    top: float
    width: float
    height: float
    pitch: float


def _frame(observed: SectionArrays) -> _Frame:
    places = observed.pixel_xy
    pitch = _pitch(places) if len(places) > 1 else observed.spot_diameter_px
    left, top = places.min(axis=0) - pitch
    width, height = np.ptp(places, axis=0) + 2 * pitch
    return _Frame(left, top, width, height, pitch)


def _pitch(places: np.ndarray) -> float:
    """Median distance of a spot to its nearest other spot, px."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(places).query(places, k=2)
    return float(np.median(distances[:, 1]))


def _read_predictions(
    predictions: Mapping[MethodKey, str | os.PathLike], section: SectionArrays
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The genes that all predict and each method's ``[n, G]``, in the order of the spots."""
    import anndata

    order = in_fixed_order(pd.DataFrame(list(predictions), columns=["method", "variant", "preset"]))
    tables = {}
    for key in order.itertuples(index=False, name=None):
        table = anndata.read_h5ad(predictions[key])
        mine = table[(table.obs["section"] == section.name).to_numpy()]
        places = pd.Index(mine.obs["barcode"]).get_indexer(section.barcodes)
        if (places < 0).any():
            raise UserError(
                f"{predictions[key]} has no prediction of spot "
                f"{section.barcodes[places < 0][0]} of section {section.name}; predict it again."
            )
        tables[method_label(*key)] = mine[places]
    names = [set(table.var_names) for table in tables.values()]
    first = next(iter(tables.values()))
    panel = [gene for gene in first.var_names if all(gene in genes for genes in names)]
    return panel, {label: np.asarray(table[:, panel].X) for label, table in tables.items()}


def _correlation(truth: np.ndarray, values: np.ndarray) -> str:
    correlation = pearson(truth[:, None], values[:, None])[0]
    return "no PCC" if np.isnan(correlation) else f"PCC {correlation:.2f}"


def _cropped(
    picture: np.ndarray, scale: float, frame: _Frame
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """The part of a slide's picture within a frame, and its extent in px of level 0."""
    left, top = (max(int(edge * scale), 0) for edge in (frame.left, frame.top))
    right = int(np.ceil((frame.left + frame.width) * scale))
    bottom = int(np.ceil((frame.top + frame.height) * scale))
    part = picture[top:bottom, left:right]
    height, width = part.shape[:2]
    return part, (left / scale, (left + width) / scale, (top + height) / scale, top / scale)


def _draw_spots(
    axes: Axes, places: np.ndarray, values: np.ndarray, frame: _Frame, scale: Normalize
) -> None:
    constant = is_constant(values[:, None])[0]
    size = np.full(len(places), frame.pitch)
    spots = EllipseCollection(
        size,
        size,
        np.zeros(len(places)),
        units="xy",
        offsets=places,
        offset_transform=axes.transData,
        norm=scale,
        cmap=EXPRESSION_COLOURS,
        linewidths=0,
        rasterized=len(places) > MANY_SPOTS,
    )
    spots.set_array(np.zeros_like(values) if constant else (values - values.mean()) / values.std())
    axes.add_collection(spots)
    _cut(axes, frame)


def _cut(axes: Axes, frame: _Frame) -> None:
    axes.set_xlim(frame.left, frame.left + frame.width)
    axes.set_ylim(frame.top + frame.height, frame.top)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _draw_scale_bar(axes: Axes, frame: _Frame, um_per_px: float | None) -> None:
    if um_per_px is None:
        return
    longest = 0.6 * frame.width * um_per_px
    length = max((bar for bar in BARS_UM if bar <= longest), default=BARS_UM[-1])
    below = axes.transAxes + ScaledTranslation(0, -4 / 72, axes.figure.dpi_scale_trans)
    axes.plot(
        [0.0, length / um_per_px / frame.width],
        [0.0, 0.0],
        transform=below,
        color="black",
        linewidth=1.5,
        clip_on=False,
        solid_capstyle="butt",
    )
    axes.set_xlabel(f"{length:,.0f} µm", loc="left", labelpad=7)
