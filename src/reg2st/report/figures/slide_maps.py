"""What all maps on a slide share: the part that is drawn, spots as discs, the scale."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.transforms import ScaledTranslation

from reg2st.evaluation.predictions import section_predictions, target_of
from reg2st.report.labels import MethodKey, counted, in_fixed_order, method_label, split_label
from reg2st.report.style import FONT_PT
from reg2st.sections.section_file import SectionArrays, load_thumbnail
from reg2st.sections.targets import Target

BARS_UM = (5000, 2000, 1000, 500, 200, 100, 50)
MANY_SPOTS = 2000
LONE_SPOT_PX = 100.0
"""How wide a section's only spot is drawn if pitch and diameter are unknown."""
TALLEST_IN = 2.2
CHARACTER_IN = 0.058
"""Width of a character that text is wrapped by."""


@dataclass(frozen=True)
class Frame:
    """What part of the slide is drawn, px of level 0; ``pitch`` is the distance of two spots."""

    left: float
    top: float
    width: float
    height: float
    pitch: float

    @classmethod
    def around(cls, section: SectionArrays) -> "Frame":
        """The part that a section's spots cover, with a margin of their distance."""
        places = section.pixel_xy
        known = np.nan_to_num(section.spot_diameter_px)
        pitch = section.spot_pitch_px or known or LONE_SPOT_PX
        left, top = places.min(axis=0) - pitch
        width, height = np.ptp(places, axis=0) + 2 * pitch
        return cls(left, top, width, height, pitch)

    def height_in(self, width_in: float) -> float:
        """Printed height of a map of a printed width, inches."""
        return min(width_in * self.height / self.width, TALLEST_IN)


def rows_and_columns(n_panels: int, most_columns: int) -> tuple[int, int]:
    """The fewest rows that hold the panels, and the fewest columns that these rows need."""
    n_rows = math.ceil(n_panels / most_columns)
    return n_rows, math.ceil(n_panels / n_rows)


def read_predictions(
    predictions: Mapping[MethodKey, str | os.PathLike], section: str, spots: np.ndarray
) -> tuple[list[str], dict[str, np.ndarray], Target]:
    """The genes that the methods predict, and each method's ``[n, G]`` in the order of the spots.

    Args:
        predictions: file of predictions by method, variant and preset.
        section: its name.
        spots: barcodes of its spots, str ``[n]``.

    Returns:
        The genes; predictions by label of the method, in the fixed order, without methods that
        predict nothing of the section; and the target, which all methods of a dataset share.

    Raises:
        UserError: a file lacks the section or a spot of it.
    """
    order = in_fixed_order(pd.DataFrame(list(predictions), columns=["method", "variant", "preset"]))
    tables = {}
    for key in order.itertuples(index=False, name=None):
        mine = section_predictions(predictions[key], section)
        if mine.genes:
            tables[method_label(*key)] = pd.DataFrame(mine.of_spots(spots), columns=mine.genes)
    first = next(iter(tables.values()), ())
    panel = [gene for gene in first if all(gene in table for table in tables.values())]
    arrays = {label: table[panel].to_numpy() for label, table in tables.items()}
    return panel, arrays, target_of(next(iter(predictions.values())))


def section_title(section: SectionArrays, split: str) -> str:
    """Dataset, split, section, patient and number of spots."""
    return (
        f"{section.dataset}, {split_label(split)}: section {section.name} of patient "
        f"{section.patient}, {counted(len(section.barcodes), 'spot')}"
    )


def draw_slide(axes: Axes, section: str | os.PathLike, frame: Frame, header: str = "") -> None:
    """The picture of the slide within the frame."""
    picture, extent = _cropped(*load_thumbnail(section), frame)
    axes.imshow(picture, extent=extent, interpolation="antialiased")
    _cut(axes, frame)
    axes.set_title(header, fontsize=FONT_PT, loc="center", pad=2)


def draw_spots(axes: Axes, places: np.ndarray, frame: Frame, **look: object) -> EllipseCollection:
    """Spots as discs as wide as their distance, so that their colour can be seen in print."""
    spots = _discs(axes, places, frame.pitch, linewidths=0, **look)
    _cut(axes, frame)
    return spots


def draw_circles(axes: Axes, places: np.ndarray, diameter: float, colour: str) -> None:
    """Spots as empty circles of a diameter in px of level 0."""
    _discs(axes, places, diameter, facecolors="none", edgecolors=colour, linewidths=0.8)


def _discs(axes: Axes, places: np.ndarray, diameter: float, **look: object) -> EllipseCollection:
    size = np.full(len(places), diameter)
    discs = EllipseCollection(
        size,
        size,
        np.zeros(len(places)),
        units="xy",
        offsets=places,
        offset_transform=axes.transData,
        rasterized=len(places) > MANY_SPOTS,
        **look,
    )
    axes.add_collection(discs)
    return discs


def draw_scale_bar(axes: Axes, frame: Frame, um_per_px: float | None, longest: float = 0.6) -> None:
    """A bar below the axes with the scale, where it is known, up to a share of their width."""
    if um_per_px is None:
        return
    longest = longest * frame.width * um_per_px
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


def _cropped(
    picture: np.ndarray, scale: float, frame: Frame
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """The part of a slide's picture within a frame, and its extent in px of level 0."""
    left, top = (max(int(edge * scale), 0) for edge in (frame.left, frame.top))
    right = int(np.ceil((frame.left + frame.width) * scale))
    bottom = int(np.ceil((frame.top + frame.height) * scale))
    part = picture[top:bottom, left:right]
    height, width = part.shape[:2]
    return part, (left / scale, (left + width) / scale, (top + height) / scale, top / scale)


def _cut(axes: Axes, frame: Frame) -> None:
    """Show the frame alone, without axes."""
    axes.set_xlim(frame.left, frame.left + frame.width)
    axes.set_ylim(frame.top + frame.height, frame.top)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
