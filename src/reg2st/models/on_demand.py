"""Parts of a section that are too large to hold for all its spots."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class OnDemand:
    """A row for each of n spots, read when it is indexed, as a tensor would be.

    Attributes:
        read: gives the rows of a slice, or of some spots int64 ``[m]``, as ``[m, ...]``.
        device: where the rows go.
    """

    read: Callable[[slice | np.ndarray], np.ndarray]
    device: torch.device | str = "cpu"

    def __getitem__(self, spots: Tensor | slice) -> Tensor:
        rows = spots if isinstance(spots, slice) else spots.cpu().numpy()
        return torch.from_numpy(self.read(rows)).to(self.device)

    def to(self, device: torch.device | str) -> "OnDemand":
        """The same rows, to be put on ``device``."""
        return replace(self, device=device)
