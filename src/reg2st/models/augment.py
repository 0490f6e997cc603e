"""Random changes of patches while training, each patch by itself.

Images are float ``[n, c, s, s]``, 0..1; axis 2 counts rows, axis 3 columns. Draws come from
PyTorch's global generator on the CPU, whatever the device.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def random_symmetries(images: Tensor, quarter_turns: Sequence[int]) -> Tensor:
    """Flip left to right and upside down, each in half of the cases, then turn.

    Args:
        images: ``[n, c, s, s]``.
        quarter_turns: counter-clockwise quarter turns to draw from, each as likely.
    """
    left_right, upside_down = torch.rand(2, len(images), 1, 1, 1).lt(0.5).to(images.device)
    drawn = torch.randint(len(quarter_turns), (len(images),)).to(images.device)
    images = torch.where(left_right, images.flip(-1), images)
    images = torch.where(upside_down, images.flip(-2), images)
    turned = images.clone()
    for index, turns in enumerate(quarter_turns):
        chosen = drawn == index
        turned[chosen] = torch.rot90(images[chosen], turns, (-2, -1))
    return turned


def symmetries(images: Tensor) -> Tensor:
    """The eight symmetries of a square, ``[n, c, s, s]`` to ``[8, n, c, s, s]``.

    View ``4 i + 2 j + k`` is a counter-clockwise quarter turn if k, then upside down if j, then
    left to right if i.
    """
    turned = [images, torch.rot90(images, 1, (-2, -1))]
    flipped = turned + [each.flip(-2) for each in turned]
    return torch.stack(flipped + [each.flip(-1) for each in flipped])


def random_colours(images: Tensor, lowest: float, highest: float) -> Tensor:
    """Change brightness, contrast and saturation, in random order, by factors of their own.

    A factor f mixes an image with its opposite extreme by ``f image + (1 - f) extreme``, cut to
    0..1: black for brightness, its mean grey for contrast, its grey image for saturation.

    Args:
        images: ``[n, 3, s, s]``.
        lowest, highest: range that each factor is drawn from.
    """
    n = len(images)
    order = torch.rand(n, 3).argsort(dim=1).to(images.device)
    factors = torch.empty(n, 3).uniform_(lowest, highest).to(images.device)
    for position in range(3):
        changes = order[:, position]  # which of the three comes now, [n]
        factor = factors.gather(1, changes.unsqueeze(1)).view(n, 1, 1, 1)
        grey = (images * images.new_tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)
        extremes = torch.stack([0 * grey, grey.mean(dim=(2, 3), keepdim=True) + 0 * grey, grey])
        extreme = extremes[changes, torch.arange(n, device=images.device)]  # [n, 1, s, s]
        images = (factor * images + (1 - factor) * extreme).clamp(0, 1)
    return images


def rotate(images: Tensor, degrees: float | Tensor) -> Tensor:
    """Rotate images about their centre, to the nearest pixel; uncovered corners are 0.

    Shapes:
        images: ``[n, c, s, s]``.
        degrees: one angle for all, or ``[n]``.
    """
    angle = torch.deg2rad(torch.as_tensor(degrees, dtype=torch.float32)).reshape(-1)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(turn, [len(turn), *images.shape[1:]], align_corners=False)
    grid = grid.to(images).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)
