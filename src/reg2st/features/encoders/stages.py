"""Features of every stage of a network, not only of its last layer."""

import dataclasses
import os

import torch
from torch import Tensor, nn

from reg2st.features.encoders.encoder import Encoder, LoadedNetwork

QUARTERS = 4


class StageStatistics(nn.Module):
    """Mean and standard deviation over positions of each channel of each stage's map.

    For EfficientNet the stages are its seven groups of blocks (16, 24, 40, 80, 112, 192 and
    320 channels, so 1,568 numbers); for a vision transformer the blocks at each quarter of
    its depth; otherwise the stages that timm names.

    Shapes:
        Input: normalised float32 ``[b, 3, s, s]``.
        Output: ``[b, 2 * channels of all stages]``: means of all stages, then deviations.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def channels(self, size_px: int) -> tuple[int, ...]:
        """Number of channels of each stage, for patches of that side."""
        with torch.inference_mode():
            return tuple(each.shape[1] for each in self._maps(torch.zeros(1, 3, size_px, size_px)))

    def forward(self, pixels: Tensor) -> Tensor:
        maps = [stage.float().flatten(2) for stage in self._maps(pixels)]
        means = [stage.mean(dim=2) for stage in maps]
        deviations = [stage.std(dim=2, correction=0) for stage in maps]
        return torch.cat(means + deviations, dim=1)

    def _maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps ``[b, channels, rows, columns]`` of the stages."""
        network = self.network
        # timm's forward_intermediates gives only five of EfficientNet's seven stages.
        if hasattr(network, "conv_stem") and hasattr(network, "blocks"):
            stage = network.bn1(network.conv_stem(pixels))
            maps = []
            for blocks in network.blocks:
                stage = blocks(stage)
                maps.append(stage)
            return maps
        indices = None
        if hasattr(network, "patch_embed") and isinstance(network.blocks, nn.Sequential):
            depth = len(network.blocks)
            indices = [depth * quarter // QUARTERS - 1 for quarter in range(1, QUARTERS + 1)]
        return network.forward_intermediates(
            pixels, indices=indices, intermediates_only=True, output_fmt="NCHW"
        )


@dataclasses.dataclass(frozen=True)
class LoadedStages(LoadedNetwork):
    """A network read stage by stage.

    Attributes:
        channels: number of channels of each stage.
    """

    channels: tuple[int, ...]

    @property
    def groups(self) -> tuple[int, ...]:
        return self.channels * 2


def load_stages(encoder: Encoder, base: Encoder, weights: str | os.PathLike) -> LoadedStages:
    """The base encoder's network, read stage by stage."""
    loaded = base.load(weights)
    network = StageStatistics(loaded.network).eval()
    known = dataclasses.replace(
        encoder,
        size_px=loaded.encoder.size_px,
        mean=loaded.encoder.mean,
        std=loaded.encoder.std,
    )
    channels = network.channels(known.size_px)
    known = dataclasses.replace(known, features=2 * sum(channels))
    return LoadedStages(known, loaded.revision, loaded.sha256, network, channels)
