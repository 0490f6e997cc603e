"""Maps of genes on the slide: observed beside the predictions of each method."""

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from reg2st.evaluation.aggregate import over_seeds
from reg2st.evaluation.correlations import is_constant
from reg2st.evaluation.metrics import PCC, Metric, score_section
from reg2st.evaluation.spatial_patterns import Places
from reg2st.report.figures.slide_maps import (
    CHARACTER_IN,
    Frame,
    draw_scale_bar,
    draw_slide,
    draw_spots,
    read_predictions,
    rows_and_columns,
    section_title,
)
from reg2st.report.labels import MethodKey, in_fixed_order
from reg2st.report.style import (
    EXPRESSION_COLOURS,
    FONT_PT,
    LINE_IN,
    PAGE_IN,
    NothingToShow,
    new_figure,
    styled,
    title_above,
    wrapped,
)
from reg2st.report.writers import number
from reg2st.sections.section_file import load_section_arrays

log = logging.getLogger(__name__)

LIMIT_SD = 2.0
COLUMNS = 8
"""Most maps side by side: of more, the numbers above them would overlap."""

COLOUR_BAR_IN = 0.5
"""Height that is kept for the colour scale."""


@styled
def gene_maps(
    scores: pd.DataFrame,
    section_file: str | os.PathLike,
    predictions: Mapping[MethodKey, str | os.PathLike],
    *,
    split: str,
    section: str,
    genes: Sequence[str] = (),
    best_genes: int = 3,
    metric: Metric = PCC,
) -> Figure:
    """A row a gene, or several: the slide, the observed expression, and each method's prediction.

    Every map is standardised over the spots of the section (mean 0, SD 1) and all share one
    colour scale: PCC compares patterns, and predictions vary far less than observations, which
    one scale in raw units would show as blank maps. Each title gives the SD before that, in units
    of the target, and the metric of a prediction. Spots are discs at their place on the
    slide. A method whose predictions of all these genes are constant or undefined is not drawn.

    Args:
        scores: tidy scores of one dataset, by which the best genes are found.
        section_file: the section's file.
        predictions: file of predictions by method, variant and preset.
        split: how the section was held out.
        section: its name.
        genes: genes to draw if they were predicted.
        best_genes: how many of the others to draw: those with the best values of the metric.
        metric: which score.

    Raises:
        NothingToShow: no gene is left to draw, or nothing was predicted.
        UserError: a file lacks the section or a spot of it.
    """
    slide = load_section_arrays(section_file)
    panel, predicted, target = read_predictions(predictions, section, slide.barcodes)
    title = section_title(slide, split)
    if not panel:
        raise NothingToShow(f"{title}: no method has a prediction.")
    if absent := [gene for gene in genes if gene not in panel]:
        log.warning("%s: the panel lacks %s of figures.genes.", title, ", ".join(absent))
    genes = genes_to_map(
        scores, panel, split=split, section=section, named=genes, best=best_genes, metric=metric
    )
    if not genes:
        raise NothingToShow(
            f"{title}: there is no gene to map. The panel has none of figures.genes, and "
            "figures.best_genes is 0 or no method has a {metric.label}."
        )
    observed = load_section_arrays(section_file, panel)
    columns = [panel.index(gene) for gene in genes]
    truth = target.expression(observed.counts, observed.totals)[:, columns]
    counts, places = observed.counts[:, columns], Places.of(observed)
    maps, reached = {"Observed": truth}, {}
    for name, values in predicted.items():
        chosen = values[:, columns]
        if not (is_constant(chosen) | np.isnan(chosen).any(axis=0)).all():
            maps[name] = chosen
            scored = score_section(truth, chosen, counts=counts, places=places, metrics=[metric])
            reached[name] = scored[metric.name]

    frame = Frame.around(observed)
    n_panels = len(maps) + 1
    rows_a_gene, n_columns = rows_and_columns(n_panels, COLUMNS)
    n_rows = rows_a_gene * len(genes)
    named_rows = n_rows if rows_a_gene > 1 else 1
    panel_in = (PAGE_IN - 0.3) / n_columns
    characters = max(6, int(panel_in / CHARACTER_IN))
    headers = [wrapped(name, characters) for name in ("H&E", *maps)]
    header_in = LINE_IN * max(header.count("\n") + (rows_a_gene > 1) for header in headers)
    row_in = frame.height_in(panel_in) + 3 * LINE_IN
    figure = new_figure(PAGE_IN, 0.95 + header_in * named_rows + row_in * n_rows)
    title_above(figure, title)
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    scale = Normalize(-LIMIT_SD, LIMIT_SD)
    name_characters = max(8, int((row_in - 2 * LINE_IN) / CHARACTER_IN))
    of_genes = panels.reshape(len(genes), rows_a_gene * n_columns)
    for row, (gene, of_gene) in enumerate(zip(genes, of_genes, strict=True)):
        above = headers if row * rows_a_gene < named_rows else [""] * n_panels
        draw_slide(of_gene[0], section_file, frame, above[0])
        of_gene[0].set_ylabel(wrapped(gene, name_characters), fontstyle="italic")
        for axes, header, (name, values) in zip(of_gene[1:], above[1:], maps.items(), strict=False):
            spots = draw_spots(axes, observed.pixel_xy, frame, norm=scale, cmap=EXPRESSION_COLOURS)
            spots.set_array(_standardised(values[:, row]))
            lines = [header] if header else []
            if name != "Observed":
                lines.append(_told(metric, reached[name][row]))
            lines.append(f"SD {number(values[:, row].std(), 2)}")
            axes.set_title("\n".join(lines), fontsize=FONT_PT, loc="center", pad=2)
        for axes in of_gene[n_panels:]:
            axes.set_visible(False)
    draw_scale_bar(of_genes[-1, 0], frame, observed.um_per_px)
    figure.colorbar(
        ScalarMappable(scale, EXPRESSION_COLOURS),
        ax=panels,
        location="bottom",
        fraction=COLOUR_BAR_IN / figure.get_size_inches()[1],
        label=f"{target.unit}, SD from the section's mean",
        extend="both",
        shrink=0.4,
        aspect=30,
    )
    return figure


def genes_to_map(
    scores: pd.DataFrame,
    panel: Sequence[str],
    *,
    split: str,
    section: str,
    named: Sequence[str],
    best: int,
    metric: Metric = PCC,
) -> list[str]:
    """Genes for a section's maps: the named ones that were predicted, then the best predicted.

    Args:
        scores: tidy scores of one dataset.
        panel: the genes that were predicted.
        split: the split of the maps.
        section: the section that is mapped.
        named: genes that are mapped wherever they are in the panel.
        best: how many further genes; those with the best values of the metric, mean over seeds,
            of the last full method in the fixed order that has any.
        metric: which score.
    """
    here = (scores["split"] == split) & (scores["section"] == section)
    mine = scores[here & (scores["variant"] == "full")]
    chosen = [gene for gene in named if gene in panel]
    ranked = in_fixed_order(over_seeds(mine)).dropna(subset=[metric.name])
    if ranked.empty:
        return chosen
    ranked = ranked[ranked["method"] == ranked["method"].iloc[-1]]
    ranked = ranked[~ranked["gene"].isin(chosen)]
    ranked = ranked.assign(rank=metric.ranked(ranked[metric.name]))
    return chosen + ranked.nlargest(best, "rank")["gene"].tolist()


def _told(metric: Metric, value: float) -> str:
    if np.isnan(value):
        return f"no {metric.label}"
    return f"{metric.label} {value:.2f}".replace("-", "−")


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and SD 1; 0 where they are constant."""
    if is_constant(values[:, None])[0]:
        return np.zeros_like(values)
    return (values - values.mean()) / values.std()
