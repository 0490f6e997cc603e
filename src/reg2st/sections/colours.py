"""The colours around each spot, by the small picture of the slide in its section."""

import numpy as np
from numpy.typing import NDArray

SMALLEST_PX = 3
"""Least width of the surroundings in the small picture."""


def spot_colours(
    picture: NDArray[np.uint8], scale: float, pixel_xy: NDArray[np.float64], width_px: float
) -> NDArray[np.float32]:
    """Mean optical density of red, green and blue light around each spot, float32 ``[n, 3]``.

    Args:
        picture: the slide, uint8 ``[h, w, 3]``.
        scale: px of the picture a px of level 0.
        pixel_xy: ``[n, 2]``, spot centres, px of level 0.
        width_px: of the surroundings, px of level 0.
    """
    from scipy.ndimage import uniform_filter

    density = -np.log10((picture.astype(np.float32) + 1) / 256)
    width = max(round(width_px * scale), SMALLEST_PX)
    smooth = uniform_filter(density, size=(width, width, 1), mode="nearest")
    column, row = np.rint(pixel_xy * scale).astype(int).T
    height, across = picture.shape[:2]
    return smooth[row.clip(0, height - 1), column.clip(0, across - 1)]
