"""Where the tiles of a grid around a spot lie, from the corner of the spot's patch."""

import numpy as np
from numpy.typing import ArrayLike


def tile_offsets(patch_px: float, side: int, share: float = 1.0) -> tuple[np.ndarray, int]:
    """Upper left corners of a grid's tiles, from the upper left corner of the patch.

    The patch lies in the middle of the grid; a grid that fits into the patch begins at its corner,
    and what it leaves of the patch at the right and at the bottom is unused.

    Args:
        patch_px: side of the patch.
        side: tiles in a row and in a column.
        share: side of a tile as a share of the patch's, rounded down to whole px.

    Returns:
        int64 ``[side * side, 2]``, (x, y) row by row; and the side of a tile in px.
    """
    tile_px = int(patch_px * share + 1e-9)
    first = min(0, int(patch_px - side * tile_px) // 2)
    steps = first + tile_px * np.arange(side)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([columns.ravel(), rows.ravel()], axis=1), tile_px


def on_slide(corner_xy: ArrayLike, side_px: float, slide_wh: tuple[int, int]) -> np.ndarray:
    """Which squares lie wholly on the slide; an edge that touches the slide's counts.

    Args:
        corner_xy: ``[..., 2]``, upper left corners (x, y).
        side_px: side of the squares.
        slide_wh: width and height of the slide.

    Returns:
        bool ``[...]``.
    """
    corners = np.asarray(corner_xy)
    inside = (corners >= 0) & (corners + side_px <= np.asarray(slide_wh))
    return inside.all(axis=-1)
