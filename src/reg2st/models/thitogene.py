"""THItoGene: dynamic convolution, capsules, a transformer and graph attention.

Jia, Liu, Chen, Zhao, Wang: THItoGene: a deep learning method for predicting spatial
transcriptomics from histological images. Briefings in Bioinformatics 25(1), 2024,
doi 10.1093/bib/bbad464.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes
from reg2st.models.layers import (
    POSITION_TABLES_OBSTACLE,
    Dropout,
    PositionTables,
    Transformer,
)
from reg2st.models.pixels import as_channel_x_y, centre_patches

LEAKY_SLOPE = 0.01
KERNEL_PX = 4
XAVIER_GAIN = 1.414


class THItoGeneSettings(NetworkSettings):
    """Published settings of THItoGene; for cSCC it uses 8 transformer blocks."""

    epochs: int = Field(300, gt=0)
    learning_rate: float = Field(1e-5, gt=0)
    graph: str = "nearest_4"
    patch_px: int = Field(112, ge=44, le=224, multiple_of=KERNEL_PX)
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    capsules: int = Field(20, gt=0)
    capsule_size: int = Field(64, gt=0)
    transformer_blocks: int = Field(4, gt=0)
    heads: int = Field(16, gt=0)
    head_size: int = Field(64, gt=0)
    feedforward_width: int = Field(2048, gt=0)
    graph_heads: int = Field(8, gt=0)
    graph_head_size: int = Field(1024, gt=0)
    graph_width: int = Field(512, gt=0)
    head_width: int = Field(1024, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)


class DynamicConvolution(nn.Module):
    """Omni-dimensional dynamic convolution whose kernel equals its stride.

    Each image has its own kernel: four attentions, computed from the image's mean colour,
    weight the input channels, the filters, the positions in the kernel and the candidate
    kernels (Li, Zhou, Yao: Omni-dimensional dynamic convolution, ICLR 2022).

    Shapes: ``[n, inputs, s, s]`` to ``[n, outputs, s / kernel, s / kernel]``.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, candidates: int = 4, hidden: int = 16
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(candidates, outputs, inputs, kernel, kernel))
        self.squeeze = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
        )
        self.channel_attention = nn.Conv2d(hidden, inputs, 1)
        self.filter_attention = nn.Conv2d(hidden, outputs, 1)
        self.position_attention = nn.Conv2d(hidden, kernel * kernel, 1)
        self.candidate_attention = nn.Conv2d(hidden, candidates, 1)
        pointwise = [module.weight for module in self.modules() if isinstance(module, nn.Conv2d)]
        for weight in [*pointwise, *self.weight]:
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        n = len(images)
        _, outputs, inputs, kernel, _ = self.weight.shape
        context = self.squeeze(images.mean(dim=(2, 3), keepdim=True))  # [n, hidden, 1, 1]
        by_channel = self.channel_attention(context).sigmoid().view(n, 1, inputs, 1, 1)
        by_filter = self.filter_attention(context).sigmoid().view(n, outputs, 1, 1, 1)
        by_position = self.position_attention(context).sigmoid().view(n, 1, 1, kernel, kernel)
        by_candidate = self.candidate_attention(context).flatten(1).softmax(dim=1)

        # Weighing channels and filters of the kernel is weighing those of the images.
        weight = torch.einsum("nk,koiuv->noiuv", by_candidate, self.weight)
        weight = weight * by_position * by_channel * by_filter
        weight = weight.permute(0, 4, 3, 2, 1).reshape(n, -1, outputs)  # [n, v u i, outputs]
        # Tiles do not overlap, so the convolution is one matrix product an image. Their pixels
        # keep the order of memory, row by row, channel fastest.
        tiles = images.unfold(2, kernel, kernel).unfold(3, kernel, kernel)  # [n, i, x, y, u, v]
        columns, rows = tiles.shape[2:4]
        tiles = tiles.permute(0, 2, 3, 5, 4, 1).reshape(n, columns * rows, -1)
        return (tiles @ weight).transpose(1, 2).unflatten(2, (columns, rows))


def squash(vectors: Tensor) -> Tensor:
    """Shrink vectors along the last axis to a length of ``1 - exp(-length)``."""
    length = vectors.norm(dim=-1, keepdim=True)
    return (1 - 1 / (length.exp() + 1e-20)) * vectors / (length + 1e-20)


class Capsules(nn.Module):
    """Efficient capsule network: convolutions, primary capsules, self-attention routing.

    After Mazzia, Salvetti, Chiaberge: Efficient-CapsNet, Scientific Reports 11, 2021.

    Args:
        inputs: channels of the maps.
        side: height and width of the maps, at least 11.
        capsules: capsules of a patch.
        size: length of a capsule.

    Shapes: ``[n, inputs, side, side]`` to ``[n, capsules, size]``.
    """

    PRIMARY = 16
    PRIMARY_SIZE = 8

    def __init__(self, inputs: int, side: int, capsules: int, size: int) -> None:
        super().__init__()
        layers = []
        for outputs, kernel, stride in [(32, 5, 1), (64, 3, 1), (64, 3, 1), (128, 3, 2)]:
            convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride)
            nn.init.kaiming_normal_(convolution.weight)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs, side = outputs, (side - kernel) // stride + 1
        self.convolutions = nn.Sequential(*layers)
        self.primary = nn.Conv2d(inputs, self.PRIMARY * self.PRIMARY_SIZE, side, groups=inputs)
        self.vote = nn.Parameter(torch.empty(capsules, self.PRIMARY, self.PRIMARY_SIZE, size))
        self.prior = nn.Parameter(torch.zeros(capsules, self.PRIMARY, 1))
        nn.init.kaiming_normal_(self.vote)

    def forward(self, maps: Tensor) -> Tensor:
        parts = self.primary(self.convolutions(maps))  # [n, 16 * 8, 1, 1]
        parts = squash(parts.view(-1, self.PRIMARY, self.PRIMARY_SIZE))
        votes = torch.einsum("npv,cpvs->ncps", parts, self.vote)  # [n, capsules, 16, size]
        agreement = votes @ votes.sum(dim=2).unsqueeze(-1)  # [n, capsules, 16, 1]
        coupling = (agreement / votes.shape[-1] ** 0.5).softmax(dim=1) + self.prior
        return squash((coupling.transpose(2, 3) @ votes).squeeze(2))


class THItoGene(Network):
    """Capsules for each patch, a transformer for the section, graph attention for neighbours.

    Shapes at each step, for n spots and G genes at the published sizes::

        patches    [n, 3, 112, 112]   channel, x, y; 0..1
        maps       [n, 16, 28, 28]    dynamic convolution, ReLU
        capsules   [n, 20, 64]
        feature    [n, 1408]          capsules, X[x] and Y[y] side by side
        context    [n, 1408]          transformer blocks over the n spots
        vicinity   [n, 8192]          graph attention with 8 heads of 1024, ELU
        vicinity   [n, 512]           graph attention with one head, ELU
        expression [n, G]             linear to 1024, ReLU, LayerNorm, linear
    """

    Settings = THItoGeneSettings
    sees_all_spots: ClassVar[bool] = True
    presets: ClassVar = {
        "quick": {
            "epochs": 20,
            "learning_rate": 1e-3,
            "patch_px": 44,
            "capsules": 8,
            "capsule_size": 16,
            "transformer_blocks": 1,
            "heads": 4,
            "head_size": 32,
            "feedforward_width": 256,
            "graph_heads": 4,
            "graph_head_size": 128,
            "graph_width": 256,
            "head_width": 512,
            "dropout": 0.0,
        }
    }

    def __init__(self, settings: THItoGeneSettings, sizes: Sizes) -> None:
        # PyTorch Geometric takes five seconds to import: settings and inputs do without it.
        from torch_geometric.nn import GATConv

        super().__init__(settings, sizes)
        self.dynamic_convolution = DynamicConvolution(3, 16, kernel=KERNEL_PX)
        self.capsules = Capsules(
            16, settings.patch_px // KERNEL_PX, settings.capsules, settings.capsule_size
        )
        self.positions = PositionTables(settings.position_rows, settings.capsule_size)
        width = (settings.capsules + 2) * settings.capsule_size
        self.blocks = Transformer(
            settings.transformer_blocks,
            width,
            heads=settings.heads,
            head_size=settings.head_size,
            feedforward_width=settings.feedforward_width,
            dropout=settings.dropout,
        )
        self.dropout = Dropout(settings.dropout)
        joined = settings.graph_heads * settings.graph_head_size
        attention = {
            "negative_slope": LEAKY_SLOPE,
            "dropout": settings.dropout,
            "add_self_loops": False,
            "bias": False,
        }
        self.near = GATConv(
            width, settings.graph_head_size, heads=settings.graph_heads, **attention
        )
        self.merge = GATConv(joined, settings.graph_width, **attention)
        for layer in (self.near, self.merge):
            start_graph_attention(layer)
        self.head = nn.Sequential(
            nn.Linear(settings.graph_width, settings.head_width),
            nn.ReLU(),
            nn.LayerNorm(settings.head_width),
            nn.Linear(settings.head_width, sizes.genes),
        )

    @classmethod
    def inputs(cls, settings: THItoGeneSettings) -> Inputs:
        return Inputs(patches=True, graph=settings.graph)

    @classmethod
    def slide_obstacle(cls, settings: THItoGeneSettings) -> str | None:
        return POSITION_TABLES_OBSTACLE

    def forward(self, section: SectionTensors) -> Tensor:
        patches = as_channel_x_y(centre_patches(section.patches[:], self.settings.patch_px))
        return self.expression(patches, section.array_xy, section.edge_index)

    def expression(self, patches: Tensor, array_xy: Tensor, edge_index: Tensor) -> Tensor:
        """Predicted expression ``[n, G]``.

        Shapes:
            patches: float ``[n, 3, x, y]``, 0..1.
            array_xy: int64 ``[n, 2]``.
            edge_index: int64 ``[2, e]``.
        """
        capsules = self.capsules(self.maps(patches))
        columns, rows = self.positions.columns_and_rows(array_xy)
        feature = self.blocks(torch.cat([capsules.flatten(1), columns, rows], dim=1))
        feature = F.elu(self.near(self.dropout(feature), edge_index))
        feature = F.elu(self.merge(self.dropout(feature), edge_index))
        return self.head(feature)

    def maps(self, patches: Tensor) -> Tensor:
        """Rectified dynamic convolution, ``[n, 3, x, y]`` to ``[n, 16, x / 4, y / 4]``."""
        return F.relu(self.dynamic_convolution(patches))


def start_graph_attention(layer: nn.Module) -> None:
    """Draw W, and a = [a1; a2] of each head, Xavier uniform with the published gain."""
    for weight in layer.lin.weight.unflatten(0, (layer.heads, layer.out_channels)):
        nn.init.xavier_uniform_(weight, gain=XAVIER_GAIN)
    for towards_spot, from_neighbour in zip(layer.att_dst[0], layer.att_src[0], strict=True):
        both = nn.init.xavier_uniform_(torch.empty(2 * layer.out_channels, 1), gain=XAVIER_GAIN)
        with torch.no_grad():
            towards_spot.copy_(both[: layer.out_channels, 0])
            from_neighbour.copy_(both[layer.out_channels :, 0])
