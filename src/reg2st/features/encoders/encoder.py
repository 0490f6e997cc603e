"""The interface of encoders, before and after their weights are read."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Encoder(ABC):
    """An encoder before its weights are read.

    Attributes:
        weights: name of its weights, which several encoders may share; None for an encoder
            without weights.
        size_px: side of the square patches that it expects.
        mean, std: of each colour channel, on a scale of 0 to 1.
        precision: of its arithmetic on a GPU, "float32" or "bfloat16".
        pooling: how a patch becomes one vector.
        features: number of features of a patch; None where only the weights determine it.
    """

    name: str
    weights: str | None
    size_px: int | None
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None
    precision: str
    pooling: str
    features: int | None

    @property
    def licence(self) -> str:
        """Of its weights."""
        return "none: it has no weights" if self.weights is None else "see the page of its weights"

    @abstractmethod
    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        """Write the weights as safetensors, after checking a hub's files against the lock file."""

    @abstractmethod
    def load(self, weights: str | os.PathLike | None) -> "LoadedEncoder":
        """Read the weights."""


@dataclass(frozen=True)
class LoadedEncoder(ABC):
    """An encoder ready to run.

    Attributes:
        encoder: the encoder, with no attribute left unknown.
        revision: version of the weights (a commit of the hub, the version of a package).
        sha256: of the published weights file; empty for an encoder without weights.
        without_network: whether several threads may call it at once, on the CPU.
    """

    without_network: ClassVar[bool] = False

    encoder: Encoder
    revision: str
    sha256: str

    @property
    def features(self) -> int:
        """Number of features of a patch."""
        return self.encoder.features

    @property
    def groups(self) -> tuple[int, ...]:
        """Widths of the groups of features, in the order of the features."""
        return (self.features,)

    @abstractmethod
    def __call__(self, images: "Tensor") -> "Tensor":
        """Features of uint8 ``[b, h, w, 3]``: float32 ``[b, d]``, on the images' device."""

    def to(self, device: "torch.device") -> None:
        """Move to a device; an encoder that computes on the CPU only stays there."""
        return

    def for_section(self, images: "Sequence[np.ndarray]", um_per_px: float) -> "LoadedEncoder":
        """The encoder adapted to a section, given its fields and their micrometres a pixel."""
        return self

    def complete(self, features: "np.ndarray") -> "np.ndarray":
        """Features of a section ``[n, d]``, with values that need all patches filled in."""
        return features


@dataclass(frozen=True)
class LoadedNetwork(LoadedEncoder):
    """An encoder that is a network.

    Attributes:
        network: from normalised float32 ``[b, 3, size_px, size_px]`` to ``[b, d]``.
    """

    network: "nn.Module"

    def __call__(self, images: "Tensor") -> "Tensor":
        from torch.nn.functional import interpolate

        pixels = images.permute(0, 3, 1, 2).float() / 255
        size = self.encoder.size_px
        if pixels.shape[-2:] != (size, size):
            pixels = interpolate(pixels, (size, size), mode="bicubic", antialias=True)
        mean = pixels.new_tensor(self.encoder.mean).view(1, 3, 1, 1)
        std = pixels.new_tensor(self.encoder.std).view(1, 3, 1, 1)
        return self.network((pixels - mean) / std).float()

    def to(self, device: "torch.device") -> None:
        self.network.to(device)
