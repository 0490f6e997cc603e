"""The spots of a section on its slide, to check their places by eye."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from reg2st.features.fields import View
from reg2st.report.figures.slide_maps import Frame, draw_circles, draw_scale_bar, draw_slide
from reg2st.report.labels import counted
from reg2st.report.style import OURS, PAGE_IN, PUBLISHED, legend_above, new_figure, styled
from reg2st.sections.section_file import load_section_arrays, load_thumbnail

TALLEST_IN = 7.5
BOX = {"fill": False, "edgecolor": "black", "linewidth": 0.8}


@styled
def spots(
    section_file: str | os.PathLike, *, section: str, view: Mapping[str, float | None]
) -> Figure:
    """The whole slide with every spot to scale, and what was left out of the section.

    Args:
        section_file: the section's file.
        section: its name.
        view: of the patches, as :class:`reg2st.features.fields.View` takes it. Spots whose patch
            leaves the slide have another colour.
    """
    arrays = load_section_arrays(section_file)
    picture, scale = load_thumbnail(section_file)
    size = np.array(picture.shape[1::-1]) / scale
    field = View(**view).field_of(arrays.um_per_px)
    centres = arrays.pixel_xy
    leaves = ((centres < field / 2) | (centres > size - field / 2)).any(axis=1)
    diameter = arrays.spot_diameter_px if np.isfinite(arrays.spot_diameter_px) else field

    height_in = min(PAGE_IN * size[1] / size[0], TALLEST_IN)
    figure = new_figure(PAGE_IN, height_in + 0.9)
    axes = figure.add_subplot()
    frame = Frame(0.0, 0.0, *size, pitch=diameter)
    draw_slide(axes, section_file, frame)
    draw_circles(axes, centres[~leaves], diameter, PUBLISHED)
    draw_circles(axes, centres[leaves], diameter, OURS)
    if len(centres):
        axes.add_patch(Rectangle(centres[0] - field / 2, field, field, **BOX))
    draw_scale_bar(axes, frame, arrays.um_per_px, longest=0.2)
    entries = {
        f"{counted(int((~leaves).sum()), 'spot')}": _circle(PUBLISHED),
        f"{counted(int(leaves.sum()), 'spot')} whose patch leaves the slide": _circle(OURS),
        "patch of the first spot": Patch(**BOX),
    }
    left_out = [f"{number:,} {reason}" for reason, number in arrays.dropped.items() if number]
    title = (
        f"{arrays.dataset}: section {section} of patient {arrays.patient}. "
        f"Left out: {', '.join(left_out) or 'nothing'}"
    )
    legend_above(figure, title, list(entries.values()), list(entries))
    return figure


def _circle(colour: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="o", markerfacecolor="none", color=colour)
