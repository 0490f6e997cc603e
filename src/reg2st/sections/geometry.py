"""How large things are: micrometres a pixel, pitch and diameter of spots."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.section_row import SectionRow

TOLERANCE = 0.05
"""Two pixel sizes that differ by more than this share disagree."""

LATTICE_TOLERANCE = 0.05
"""Relative error of a row's height in columns, up to which a lattice is known by its pixels."""


class Lattice(NamedTuple):
    """The size of an array position: width of a column and height of a row, in pitches."""

    column: float
    row: float


SQUARE = Lattice(1.0, 1.0)
HEXAGONAL = Lattice(0.5, math.sqrt(3) / 2)
"""Neighbours in a row are two columns apart."""
CHECKERBOARD = Lattice(math.sqrt(1 / 2), math.sqrt(1 / 2))
"""Spots take every second position of a square array: the nearest lie across a corner."""

LEAST_CHECKERBOARD = 16
"""Fewest spots that tell a checkerboard: fewer may miss every second position by chance."""


@dataclass(frozen=True)
class SpotArray:
    """How a platform lays out its spots; None where it does not fix that.

    Attributes:
        pitch_um: from the centre of a spot to the centre of the nearest other one.
        diameter_um: of a spot, or the side of a square bin.
        lattice: what its array positions are; None where they may be any, or there are none.
    """

    pitch_um: float | None = None
    diameter_um: float | None = None
    lattice: Lattice | None = None


LEGACY_ST = SpotArray(200.0, 100.0, SQUARE)
"""Spatial Transcriptomics, 1,007 spots (Ståhl et al. 2016). The array of 1,934 spots has a pitch of
150 µm and spots of 110 µm; a sheet says so by ``spot_pitch_um`` and ``spot_diameter_um``."""

VISIUM = SpotArray(100.0, 55.0, HEXAGONAL)
"""10x Visium, 4,992 or 14,336 spots."""


def square_bins(bin_um: float) -> SpotArray:
    """Visium HD: square bins without gaps."""
    return SpotArray(bin_um, bin_um, SQUARE)


@dataclass(frozen=True)
class Geometry:
    """The sizes of a section; None, or NaN for the drawn diameter, where unknown.

    Attributes:
        lattice: of the array positions; None where pixels alone tell where a spot is.
        um_per_px: micrometres a pixel of level 0.
        spot_pitch_um, spot_pitch_px: from a spot to the nearest other one.
        spot_diameter_um, spot_diameter_px: of a spot.
        warnings: one sentence for each source of the pixel size that disagrees.
    """

    lattice: Lattice | None
    um_per_px: float | None
    spot_pitch_um: float | None
    spot_pitch_px: float | None
    spot_diameter_um: float | None
    spot_diameter_px: float
    warnings: list[str]


def measure_section(
    raw: RawSection,
    pixel_xy: np.ndarray,
    array_xy: np.ndarray | None,
    row: SectionRow,
    slide_um_per_px: float | None,
) -> Geometry:
    """The sizes of a section, each from the first source that knows it.

    The pixel size comes from the sample sheet, the platform's own file, the spot pitch and the
    slide's metadata, in this order; some platforms ask the slide before the pitch.

    Args:
        pixel_xy: float64 ``[n, 2]``, spot centres at level 0.
        array_xy: int64 ``[n, 2]``, or None without an array.
        row: what the sample sheet says; its pitch and diameter replace the platform's.
        slide_um_per_px: what the slide's metadata say.
    """
    array = raw.array or SpotArray()
    pitch_um = row.spot_pitch_um or array.pitch_um
    diameter_um = row.spot_diameter_um or array.diameter_um
    lattice = None
    if array_xy is not None:
        lattice = array.lattice or recognise_lattice(pixel_xy, array_xy)
        if lattice == SQUARE and _is_checkerboard(array_xy):
            lattice = CHECKERBOARD
    measured_px = measure_pitch_px(pixel_xy, array_xy, lattice)

    by_pitch = None
    if pitch_um and measured_px:
        told = f"the spot pitch of {pitch_um:g} µm, which measures {measured_px:.1f} px"
        by_pitch = Stated(pitch_um / measured_px, told)
    by_sheet = Stated(row.um_per_px, "the sample sheet") if row.um_per_px else None
    by_slide = Stated(slide_um_per_px, "the slide's metadata") if slide_um_per_px else None
    last = [by_slide, by_pitch] if raw.slide_before_pitch else [by_pitch, by_slide]
    known = [each for each in (by_sheet, raw.um_per_px, *last) if each is not None]

    chosen = known[0] if known else None
    um_per_px = chosen.value if chosen else None
    if measured_px is None and pitch_um and um_per_px:
        measured_px = pitch_um / um_per_px
    if pitch_um is None and measured_px and um_per_px:
        pitch_um = measured_px * um_per_px
    if diameter_um is None or um_per_px is None:
        diameter_px = math.nan
    elif chosen is by_pitch:
        diameter_px = measured_px * diameter_um / pitch_um
    else:
        diameter_px = diameter_um / um_per_px
    return Geometry(
        lattice=lattice,
        um_per_px=um_per_px,
        spot_pitch_um=pitch_um,
        spot_pitch_px=measured_px,
        spot_diameter_um=diameter_um,
        spot_diameter_px=diameter_px,
        warnings=[
            f"The pixel size of section {raw.name} is {chosen.value:.4g} µm by {chosen.source}, "
            f"which is used, but {other.value:.4g} µm by {other.source}."
            for other in known[1:]
            if abs(other.value / chosen.value - 1) > TOLERANCE
        ],
    )


def recognise_lattice(pixel_xy: np.ndarray, array_xy: np.ndarray) -> Lattice | None:
    """The lattice whose rows are, to the pixel, as high as the array's; None if neither is.

    Shapes:
        pixel_xy ``[n, 2]``, array_xy ``[n, 2]``.
    """
    slopes = _pixels_of_a_position(pixel_xy, array_xy)
    if slopes is None:
        return None
    column, row = np.linalg.norm(slopes, axis=1)
    for lattice in (SQUARE, HEXAGONAL):
        if abs(row / column / (lattice.row / lattice.column) - 1) < LATTICE_TOLERANCE:
            return lattice
    return None


def measure_pitch_px(
    pixel_xy: np.ndarray, array_xy: np.ndarray | None, lattice: Lattice | None
) -> float | None:
    """The pitch of the spots in pixels; None where it cannot be told.

    With an array: the affine map from array positions to pixels, fitted by least squares,
    stretches areas by its determinant. Without: the distance of neighbours.

    Shapes:
        pixel_xy ``[n, 2]``, array_xy ``[n, 2]``.
    """
    if array_xy is not None and lattice is not None:
        slopes = _pixels_of_a_position(pixel_xy, array_xy)
        if slopes is None:
            return None
        position_area = lattice.column * lattice.row
        return float(np.sqrt(abs(np.linalg.det(slopes)) / position_area)) or None
    return neighbour_distance(pixel_xy) or None if len(pixel_xy) > 1 else None


def neighbour_distance(xy: np.ndarray) -> float:
    """Median distance of the spots ``[n, 2]``, two or more, to their nearest other spot."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(xy).query(xy, k=2)
    return float(np.median(distances[:, 1]))


def _is_checkerboard(array_xy: np.ndarray) -> bool:
    parity = array_xy.sum(axis=1) % 2
    return len(parity) >= LEAST_CHECKERBOARD and bool((parity == parity[0]).all())


def _pixels_of_a_position(pixel_xy: np.ndarray, array_xy: np.ndarray) -> np.ndarray | None:
    """Pixels ``[2, 2]`` that a column (first row) and a row move a spot by; None on a line."""
    centred = (array_xy - array_xy.mean(axis=0)).astype(float)
    slopes, _, rank, _ = np.linalg.lstsq(centred, pixel_xy, rcond=None)
    return slopes if rank == 2 else None
