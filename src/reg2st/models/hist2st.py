"""Hist2ST: convolutional mixer, transformer and graph network, with self-distillation.

Zeng, Wei, Yu, Yin, Yuan, Li, Tang, Lu, Yang: Spatial transcriptomics prediction from histology
jointly through Transformer and graph neural networks. Briefings in Bioinformatics 23(5), 2022,
doi 10.1093/bib/bbac297.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.models.distillation import SelfDistilledNetwork, SelfDistilledSettings
from reg2st.models.interface import Sizes
from reg2st.models.layers import Dropout, PositionTables, Transformer


class Hist2STSettings(SelfDistilledSettings):
    """Published settings of Hist2ST."""

    graph: str = "nearest_4_within_2"
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    patch_kernel_px: int = Field(7, gt=0)
    channels: int = Field(32, gt=0, multiple_of=8)
    mixer_blocks: int = Field(2, gt=0)
    mixer_kernel: int = Field(5, gt=0)
    transformer_blocks: int = Field(8, gt=0)
    heads: int = Field(16, gt=0)
    head_size: int = Field(64, gt=0)
    feedforward_width: int = Field(1024, gt=0)
    graph_layers: int = Field(4, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)


class DepthwiseConvolution(nn.Conv2d):
    """Depthwise convolution in float32, also under autocast.

    On the CPU its weight gradient takes three times as long in bfloat16.
    """

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            return super().forward(maps.float()).to(maps.dtype)


class MixerBlock(nn.Module):
    """Depthwise mixing with one residual around two rounds, then pointwise mixing without.

    The two rounds ``f(f(v))`` share the residual: ``h = v + f2(f1(v))`` with
    ``f = GELU(BN(depthwise(v)))``; then ``BN(GELU(pointwise(h)))``.

    Shapes: ``[n, channels, x, y]`` in and out.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()

        def depthwise() -> list[nn.Module]:
            return [
                DepthwiseConvolution(
                    channels, channels, kernel, padding=kernel // 2, groups=channels
                ),
                nn.BatchNorm2d(channels),
                nn.GELU(),
            ]

        self.depthwise = nn.Sequential(*depthwise(), *depthwise())
        self.pointwise = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.GELU(), nn.BatchNorm2d(channels)
        )

    def forward(self, maps: Tensor) -> Tensor:
        return self.pointwise(maps + self.depthwise(maps))


class Hist2ST(SelfDistilledNetwork):
    """Texture of each patch, then the whole section, then each spot's neighbourhood.

    Shapes at each step, for n spots, a patch of s pixels, c channels, a map of m x m
    (m = s / patch kernel), width d = (c / 8) m m, p passes, L graph layers and G genes::

        patches      [n, 3, s, s]       channel, x, y; 0..1
        maps         [n, c, m, m]       strided convolution, mixer blocks
        feature      [p, n, d]          1x1 convolution to c / 8, flattened, + X[x] + Y[y]
        context      [p, n, d]          transformer blocks over the n spots of a pass
        neighbourly  [L, p n, d]        graph layers, each on the one before
        feature      [p, n, d]          two-layer LSTM over the L outputs, their mean
        expression   [p, n, G]          LayerNorm, linear; ZINB heads on the same feature

    Passes never mix before the distillation: a pass has its own batch statistics, its own
    attention and its own copy of the graph.
    """

    Settings = Hist2STSettings
    presets: ClassVar = {
        "quick": {
            "epochs": 14,
            "learning_rate": 3e-3,
            "patch_px": 84,
            "patch_kernel_px": 14,
            "channels": 16,
            "mixer_blocks": 1,
            "transformer_blocks": 1,
            "heads": 4,
            "head_size": 32,
            "feedforward_width": 128,
            "graph_layers": 2,
            "dropout": 0.0,
            "zinb_weight": 0.0,
            "augmented_passes": 1,
        }
    }

    def __init__(self, settings: Hist2STSettings, sizes: Sizes) -> None:
        # PyTorch Geometric takes five seconds to import: settings and inputs do without it.
        from torch_geometric.nn import SAGEConv

        super().__init__(settings, sizes)
        channels, kernel = settings.channels, settings.patch_kernel_px
        reduced = channels // 8
        width = reduced * (settings.patch_px // kernel) ** 2
        self.patch_embedding = nn.Sequential(
            nn.Conv2d(3, channels, kernel, stride=kernel), Dropout(settings.dropout)
        )
        self.mixer = nn.Sequential(
            *(MixerBlock(channels, settings.mixer_kernel) for _ in range(settings.mixer_blocks))
        )
        self.reduction = nn.Conv2d(channels, reduced, 1)
        self.positions = PositionTables(settings.position_rows, width)
        self.blocks = Transformer(
            settings.transformer_blocks,
            width,
            heads=settings.heads,
            head_size=settings.head_size,
            feedforward_width=settings.feedforward_width,
            dropout=settings.dropout,
        )
        self.graph_layers = nn.ModuleList(
            SAGEConv(width, width, aggr="mean", root_weight=False, bias=False)
            for _ in range(settings.graph_layers)
        )
        for layer in self.graph_layers:
            nn.init.xavier_uniform_(layer.lin_l.weight)
        self.depth_reader = nn.LSTM(width, width, num_layers=2)
        self.add_heads(width)

    def features(self, passes: Iterable[Tensor], array_xy: Tensor, edge_index: Tensor) -> Tensor:
        textures = torch.stack([self.texture(patches) for patches in passes])
        feature = self.blocks(textures + self.positions(array_xy))
        depths = []
        for layer in self.graph_layers:
            feature = F.normalize(F.relu(layer(feature, edge_index)), dim=-1)
            depths.append(feature)
        sequence, _ = self.depth_reader(torch.stack(depths).flatten(1, 2))
        return sequence.mean(dim=0).unflatten(0, textures.shape[:2])

    def texture(self, patches: Tensor) -> Tensor:
        """Texture feature of each patch, ``[n, 3, x, y]`` to ``[n, d]``."""
        patches = patches.contiguous(memory_format=torch.channels_last)  # three times as fast
        return self.reduction(self.mixer(self.patch_embedding(patches))).flatten(1)
