"""Patches in the form that networks trained on pixels read."""

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


def centre_images(patches: Tensor, side_px: int) -> Tensor:
    """The centre of each patch as an image, scaled to 0..1.

    Shapes: uint8 ``[n, 224, 224, 3]`` to float32 ``[n, 3, side_px, side_px]``, channels first,
    then rows and columns.
    """
    return centre_patches(patches, side_px).permute(0, 3, 1, 2)
