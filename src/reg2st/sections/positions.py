"""Where the spots of a section are: in pitches for distances, in whole numbers for tables."""

import numpy as np

from reg2st.sections.section_file import SectionArrays


def pitch_xy(section: SectionArrays) -> np.ndarray:
    """Positions in pitches, float64 ``[n, 2]``, x to the right and y down.

    Array numbers times the size of an array position where the section has an array, and pixels
    divided by the pitch in pixels where it has none. Distances between array positions are exact:
    equally near neighbours of a square or hexagonal array are equally near here, which pixels of
    a real slide, off by up to 0.3 pitches on legacy arrays, would put into an arbitrary order. On a
    square array the numbers are the pitches.
    """
    if section.array_xy is not None and section.lattice is not None:
        return section.array_xy * np.array(section.lattice)
    # A section without a pitch has one spot, or all spots at one place.
    return section.pixel_xy / (section.spot_pitch_px or 1.0)


def numbered_xy(section: SectionArrays) -> np.ndarray:
    """Column and row of each spot, int64 ``[n, 2]``, for tables of learned positions.

    The array's numbers, counted from 0 if some are negative. Without an array the position in
    pitches from the section's upper left corner, rounded; near spots may share a number.
    """
    if section.array_xy is not None:
        return section.array_xy - np.minimum(section.array_xy.min(axis=0), 0)
    positions = pitch_xy(section)
    # Not to the even number, which would leave out columns between spots half a pitch apart.
    return np.floor(positions - positions.min(axis=0) + 0.5).astype(np.int64)
