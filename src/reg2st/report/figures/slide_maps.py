"""What all maps on a slide share: the part that is drawn, spots as discs, the scale."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.transforms import ScaledTranslation

from reg2st.base.errors import UserError
from reg2st.report.labels import counted, in_fixed_order, method_label, split_label
from reg2st.report.style import FONT_PT, MethodKey
from reg2st.sections.section_file import SectionArrays, load_thumbnail

BARS_UM = (5000, 2000, 1000, 500, 200, 100, 50)
MANY_SPOTS = 2000
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
        pitch = _pitch(places) if len(places) > 1 else section.spot_diameter_px
        left, top = places.min(axis=0) - pitch
        width, height = np.ptp(places, axis=0) + 2 * pitch
        return cls(left, top, width, height, pitch)

    def height_in(self, width_in: float) -> float:
        """Printed height of a map of a printed width, inches."""
        return min(width_in * self.height / self.width, TALLEST_IN)


def _pitch(places: np.ndarray) -> float:
    """Median distance of a spot to its nearest other spot, px."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(places).query(places, k=2)
    return float(np.median(distances[:, 1]))


def read_predictions(
    predictions: Mapping[MethodKey, str | os.PathLike], section: SectionArrays
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The genes that all methods predict, and each method's ``[n, G]`` in the order of the spots.

    Args:
        predictions: prediction file of a run that tested the section, by method, variant and
            preset.
        section: the section.

    Returns:
        The genes, and predictions by label of the method, in the fixed order.

    Raises:
        UserError: a file holds no prediction of a spot of the section.
    """
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
    size = np.full(len(places), frame.pitch)
    spots = EllipseCollection(
        size,
        size,
        np.zeros(len(places)),
        units="xy",
        offsets=places,
        offset_transform=axes.transData,
        linewidths=0,
        rasterized=len(places) > MANY_SPOTS,
        **look,
    )
    axes.add_collection(spots)
    _cut(axes, frame)
    return spots


def draw_scale_bar(axes: Axes, frame: Frame, um_per_px: float | None) -> None:
    """A bar below the axes that tells the scale, where it is known."""
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
