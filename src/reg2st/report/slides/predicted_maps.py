"""Maps of predicted genes on a slide without counts, beside how far it is from training."""

import os

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from reg2st.report.figures.slide_maps import Frame, draw_scale_bar, draw_slide, draw_spots
from reg2st.report.labels import counted, method_label
from reg2st.report.slides.predicted_slide import PredictedSlide
from reg2st.report.style import (
    EXPRESSION_COLOURS,
    FONT_PT,
    LINE_IN,
    PAGE_IN,
    new_figure,
    styled,
    title_above,
    wrapped,
)
from reg2st.sections.section_file import load_section_arrays

IN_A_ROW = 3
DISTANCE_COLOURS = "cividis"
FARTHEST_SHOWN = 2.0
LIMITS = (1, 99)
"""Percentiles of a gene's prediction between which colours differ."""


@styled
def predicted_maps(slide: PredictedSlide, predictions: str | os.PathLike) -> Figure:
    """The slide, the distance of each spot from training, and a map of each gene.

    Args:
        slide: the genes to draw.
        predictions: the file that they were read of; it holds the picture of the slide.
    """
    section = load_section_arrays(predictions)
    frame = Frame.around(section)
    title = (
        f"Slide {slide.name}: {counted(len(section.barcodes), 'spot')}, predicted by "
        f"{method_label(slide.method, 'full', 'published')}"
    )
    lines = [wrapped(note, 110) for note in slide.notes]
    panels = 2 + len(slide.genes)
    rows = -(-panels // IN_A_ROW)
    row_in = frame.height_in(PAGE_IN / IN_A_ROW - 0.4) + 4.5 * LINE_IN
    extra = LINE_IN * sum(line.count("\n") + 1 for line in lines)
    figure = new_figure(PAGE_IN, 0.5 + extra + row_in * rows)
    title_above(figure, "\n".join([title, *lines]))
    axes = figure.subplots(rows, IN_A_ROW, squeeze=False).ravel()
    draw_slide(axes[0], predictions, frame, "Slide")
    draw_scale_bar(axes[0], frame, section.um_per_px)
    far = (slide.distance > 1).mean()
    spots = draw_spots(
        axes[1],
        section.pixel_xy,
        frame,
        norm=Normalize(0, FARTHEST_SHOWN),
        cmap=DISTANCE_COLOURS,
    )
    spots.set_array(slide.distance)
    axes[1].set_title(f"Distance from training, {far:.0%} above 1", fontsize=FONT_PT, loc="center")
    _colour_bar(figure, spots, axes[1], "1 = farthest 1 % of new patients")
    for place, (gene, values) in zip(
        axes[2:], zip(slide.genes.itertuples(), slide.expression.T, strict=True), strict=False
    ):
        low, high = np.percentile(values, LIMITS)
        spots = draw_spots(
            place,
            section.pixel_xy,
            frame,
            norm=Normalize(low, high if high > low else low + 1),
            cmap=EXPRESSION_COLOURS,
        )
        spots.set_array(values)
        place.set_title(_header(gene), fontsize=FONT_PT, loc="center")
        _colour_bar(figure, spots, place, slide.target.unit)
    for place in axes[panels:]:
        place.set_visible(False)
    return figure


def _header(gene: tuple) -> str:
    """The gene, and the PCC to expect of it."""
    if not np.isnan(gene.expected_pcc):
        return f"{gene.Index}: expected PCC {gene.expected_pcc:.2f}"
    if not np.isnan(gene.cross_validated_pcc):
        return f"{gene.Index}: PCC {gene.cross_validated_pcc:.2f} in other patients"
    return f"{gene.Index}: PCC unknown"


def _colour_bar(figure: Figure, spots: object, axes: object, label: str) -> None:
    bar = figure.colorbar(
        spots, ax=axes, location="bottom", shrink=0.8, aspect=25, extend="both", pad=0.02
    )
    bar.set_label(label)
    bar.ax.locator_params(nbins=4)
