"""Patches as networks that train on pixels read them."""

from torch import Tensor


def centre_patches(patches: Tensor, side_px: int) -> Tensor:
    """The centre of each patch, scaled to 0..1.

    Shapes:
        patches: uint8 ``[n, 224, 224, 3]``, rows, columns, RGB.
        Returns float32 ``[n, side_px, side_px, 3]``.
    """
    top, left = ((side - side_px) // 2 for side in patches.shape[1:3])
    return patches[:, top : top + side_px, left : left + side_px].float().div_(255)


def as_channel_x_y(patches: Tensor) -> Tensor:
    """``[n, row, column, channel]`` to ``[n, channel, x, y]``: x is the column, y the row."""
    return patches.permute(0, 3, 2, 1)
