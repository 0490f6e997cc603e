"""Spots on a slide that has no counts, as a section without genes."""

import os
from typing import TYPE_CHECKING

import numpy as np
import shapely

from reg2st.base.errors import UserError
from reg2st.sections.assembly import join_with_slide
from reg2st.sections.geometry import SpotArray
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.spot_grid import LATTICES, GridName, lay_grid

if TYPE_CHECKING:
    from anndata import AnnData

PLATFORM = "grid"


def lay_spots(
    slide: str,
    image: str | os.PathLike,
    regions: shapely.MultiPolygon,
    *,
    grid: GridName,
    pitch_um: float,
    diameter_um: float,
    um_per_px: float,
) -> "AnnData":
    """A section of n spots on the tissue of a slide, with counts ``[n, 0]``.

    Args:
        slide: its name.
        image: its file.
        regions: its tissue, px of level 0.
        pitch_um: distance of neighbouring spots.
        diameter_um: of a spot, at most the pitch.
        um_per_px: of level 0.

    Raises:
        UserError: the tissue is smaller than one spot.
    """
    from scipy.sparse import csr_matrix

    placed = lay_grid(regions, grid, pitch_um / um_per_px)
    spots = len(placed.pixel_xy)
    if not spots:
        raise UserError(
            f"The tissue of slide {slide} holds no spot at a pitch of {pitch_um:g} µm; choose a "
            "smaller pitch_um."
        )
    raw = RawSection(
        name=slide,
        platform=PLATFORM,
        counts=csr_matrix((spots, 0), dtype=np.float32),
        genes=[],
        barcodes=[f"{column}x{row}" for column, row in placed.array_xy],
        pixel_xy=placed.pixel_xy,
        array_xy=placed.array_xy,
        array=SpotArray(pitch_um, min(diameter_um, pitch_um), LATTICES[grid]),
    )
    row = SectionRow(slide, slide, um_per_px=um_per_px)
    return join_with_slide(raw, image, row, dataset="slides")
