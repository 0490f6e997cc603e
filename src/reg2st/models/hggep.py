"""HGGEP: attention over several depths of a small network, and a hypergraph of unlike spots.

Li et al.: Gene expression prediction from histology images via hypergraph neural networks.
Briefings in Bioinformatics 25(6), 2024. docs/reference/methods/hggep.md has the equations,
and where this differs from the released implementation.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.base.errors import UserError
from reg2st.models.distillation import SelfDistilledNetwork, SelfDistilledSettings
from reg2st.models.interface import Inputs, SectionTensors, Sizes
from reg2st.models.layers import PositionTables, Transformer

CHOICES = 4
"""Hyperedges that a spot joins."""

SCORES_HELD = 2**24
"""Scores between two spots that are held at once when hyperedges are chosen."""


class HGGEPSettings(SelfDistilledSettings):
    """Published settings of HGGEP."""

    graph: str = "nearest_8_within_2"
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    backbone_weights: str | None = Field(
        None, description="encoder whose weights the backbone starts from; none: random"
    )
    backbone_channels: tuple[int, int, int, int, int] = (24, 48, 96, 192, 1024)
    backbone_units: tuple[int, int, int] = (4, 8, 4)
    width: int = Field(1024, gt=0, description="d, features of a spot")
    transformer_blocks: int = Field(4, gt=0, description="of each of the three stacks")
    heads: int = Field(16, gt=0)
    head_size: int = Field(64, gt=0)
    feedforward_width: int = Field(1024, gt=0)
    hypergraph_width: int = Field(512, gt=0)
    sequence_layers: int = Field(4, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    hypergraph_dropout: float = Field(0.5, ge=0, lt=1)
    hyperedge_weights: Literal["mean", "as_released"] = "mean"
    random_predictions: bool = Field(
        False, description="whether the hypergraph's dropout is on in prediction, as released"
    )


class CrossConvolution(nn.Module):
    """A 3 x 3 convolution of stride 2 with weights on a cross, less 0.7 of their sum in its middle.

    The five weights of a pair of channels belong to (first, second) axis offsets (-1, 0), (0, -1),
    (0, 0), (0, 1), (1, 0).

    Shapes: ``[n, inputs, x, y]`` to ``[n, outputs, x / 2, y / 2]``, rounded up.
    """

    SHARE = 0.7

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, 5))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, maps: Tensor) -> Tensor:
        before, left, middle, right, after = self.weight.squeeze(2).unbind(dim=-1)
        middle = middle - self.SHARE * self.weight.sum(dim=(2, 3))
        corner = torch.zeros_like(middle)
        kernel = [corner, before, corner, left, middle, right, corner, after, corner]
        kernel = torch.stack(kernel, dim=-1).unflatten(-1, (3, 3))
        return F.conv2d(maps, kernel, stride=2, padding=1)


class Stem(nn.Module):
    """A plain and a cross convolution side by side, joined by a padded 1 x 1 convolution.

    Shapes: ``[n, 3, s, s]`` to ``[n, 3, s / 2 + 2, s / 2 + 2]``; the outermost ring is bias alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Sequential(
            nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3), nn.ReLU6()
        )
        self.cross = nn.Sequential(CrossConvolution(3, 3), nn.BatchNorm2d(3), nn.ReLU6())
        self.join = nn.Sequential(nn.Conv2d(6, 3, 1, padding=1), nn.BatchNorm2d(3), nn.ReLU6())

    def forward(self, patches: Tensor) -> Tensor:
        return self.join(torch.cat([self.plain(patches), self.cross(patches)], dim=1))


class BlockAttention(nn.Module):
    """Convolutional block attention: channels first, then positions (Woo et al., ECCV 2018).

    Shapes: ``[n, channels, x, y]`` in and out.
    """

    REDUCTION = 16

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // self.REDUCTION
        self.channel = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
        )
        self.position = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, maps: Tensor) -> Tensor:
        mean, largest = maps.mean(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
        maps = maps * (self.channel(mean) + self.channel(largest)).sigmoid()
        mean, largest = maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)
        return maps * self.position(torch.cat([mean, largest], dim=1)).sigmoid()


class Hyperedges(NamedTuple):
    """Who joins which hyperedge, m memberships of n spots.

    Shapes: spot and edge int64 ``[m]``; score float32 ``[m]``; weight ``[n]``, of each hyperedge.
    """

    spot: Tensor
    edge: Tensor
    score: Tensor
    weight: Tensor


class Hypergraph(nn.Module):
    """Two hypergraph convolutions with a residual around both.

    Shapes: feature ``[n, width]`` and edge_index int64 ``[2, e]`` to ``[n, width]``.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        # PyTorch Geometric takes five seconds to import: settings and inputs do without it.
        from torch_geometric.nn import HypergraphConv

        super().__init__()
        self.first = HypergraphConv(width, inner)
        self.second = HypergraphConv(inner, width)
        self.norm = nn.LayerNorm(inner)
        self.dropout = dropout

    def forward(
        self, feature: Tensor, edge_index: Tensor, *, as_released: bool, random: bool
    ) -> Tensor:
        chosen = choose_hyperedges(feature, edge_index)
        memberships = torch.stack([chosen.spot, chosen.edge])
        # The release hands over the scores, of which the layer reads the first n as weights.
        weight = chosen.score if as_released else chosen.weight
        hidden = self.norm(F.relu(self.first(feature, memberships, weight)))
        hidden = F.dropout(hidden, self.dropout, training=self.training or random)
        return self.second(hidden, memberships, weight) + feature


class HGGEP(SelfDistilledNetwork):
    """Three depths of a convolutional network, each in the light of the section; a hypergraph.

    Shapes at each step, for n spots, a patch of 112 px, width d = 1024 and G genes, a pass::

        patches     [n, 3, 112, 112]  channel, x, y; 0..1
        stem        [n, 3, 58, 58]
        maps        [n, 192, 4, 4] and [n, 1024, 4, 4]  ShuffleNetV2
        depths      3 of [n, d]       block attention, batch norm, 1x1 convolution, flattened;
                                      the third from the largest values of the last map
        context     3 of [n, d]       + X[x] + Y[y], a stack of transformer blocks of its own
        hypergraph  [n, d]            of the sum of the three
        feature     [n, d]            LSTM over the four, mean of its outputs
        expression  [n, G]            LayerNorm, linear; ZINB heads on the same feature
    """

    Settings = HGGEPSettings
    presets: ClassVar = {
        "as_released": {"hyperedge_weights": "as_released", "random_predictions": True},
        "quick": {
            "epochs": 14,
            "learning_rate": 1e-3,
            "patch_px": 56,
            "backbone_channels": (16, 32, 64, 64, 128),
            "backbone_units": (1, 1, 1),
            "width": 128,
            "transformer_blocks": 1,
            "heads": 4,
            "head_size": 32,
            "feedforward_width": 128,
            "hypergraph_width": 64,
            "sequence_layers": 1,
            "dropout": 0.0,
            "zinb_weight": 0.0,
            "augmented_passes": 1,
        },
    }

    def __init__(self, settings: HGGEPSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        width, channels = settings.width, settings.backbone_channels
        self.stem = Stem()
        self.backbone = new_backbone(settings.backbone_units, channels)
        self.started = False
        places = last_side(settings.patch_px) ** 2
        self.depths = nn.ModuleList(
            nn.Sequential(BlockAttention(inputs), nn.BatchNorm2d(inputs), nn.Conv2d(inputs, out, 1))
            for inputs, out in [
                (channels[3], width // places),
                (channels[4], width // places),
                (channels[4], width),
            ]
        )
        self.positions = PositionTables(settings.position_rows, width)
        self.contexts = nn.ModuleList(
            Transformer(
                settings.transformer_blocks,
                width,
                heads=settings.heads,
                head_size=settings.head_size,
                feedforward_width=settings.feedforward_width,
                dropout=settings.dropout,
            )
            for _ in range(3)
        )
        self.hypergraph = Hypergraph(width, settings.hypergraph_width, settings.hypergraph_dropout)
        self.sequence = nn.LSTM(width, width, num_layers=settings.sequence_layers)
        self.add_heads(width)

    @classmethod
    def inputs(cls, settings: HGGEPSettings) -> Inputs:
        return Inputs(patches=True, graph=settings.graph, weights=settings.backbone_weights)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights of ShuffleNetV2 x0.5 by torchvision's names; its classifier is left out."""
        kept = {name: value for name, value in weights.items() if not name.startswith("fc.")}
        self.backbone.load_state_dict(kept)
        self.started = True

    def prepare(self, sections: list[SectionTensors]) -> None:
        if self.settings.backbone_weights is not None and not self.started:
            raise UserError(
                "The network starts from the weights of "
                f"{self.settings.backbone_weights}, which were not given."
            )

    def features(self, passes: Iterable[Tensor], array_xy: Tensor, edge_index: Tensor) -> Tensor:
        return torch.stack([self.feature(each, array_xy, edge_index) for each in passes])

    def feature(self, patches: Tensor, array_xy: Tensor, edge_index: Tensor) -> Tensor:
        """Last hidden feature ``[n, d]`` of one pass over the section's patches."""
        sequence, _ = self.sequence(self.steps(patches, array_xy, edge_index))
        return sequence.mean(dim=0)

    def steps(self, patches: Tensor, array_xy: Tensor, edge_index: Tensor) -> Tensor:
        """What the LSTM reads: three depths in context and the hypergraph, ``[4, n, d]``."""
        places = self.positions(array_xy)
        depths = [
            context(depth + places)
            for context, depth in zip(self.contexts, self.seen(patches), strict=True)
        ]
        hypergraph = self.hypergraph(
            sum(depths),
            edge_index,
            as_released=self.settings.hyperedge_weights == "as_released",
            random=self.settings.random_predictions,
        )
        return torch.stack([*depths, hypergraph])

    def seen(self, patches: Tensor) -> list[Tensor]:
        """What three depths of the network see in each patch by itself: three of ``[n, d]``."""
        backbone = self.backbone
        patches = patches.contiguous(memory_format=torch.channels_last)
        fourth = backbone.stage4(
            backbone.stage3(backbone.stage2(backbone.conv1(self.stem(patches))))
        )
        last = backbone.conv5(fourth)
        maps = (fourth, last, last.amax(dim=(2, 3), keepdim=True))
        return [depth(each).flatten(1) for depth, each in zip(self.depths, maps, strict=True)]


def new_backbone(units: tuple[int, ...], channels: tuple[int, ...]) -> nn.Module:
    """torchvision's ShuffleNetV2 without its pooling and classifier (Ma et al., ECCV 2018)."""
    # timm's import mends torchvision where it does not import by itself.
    from reg2st.features.encoders.torchvision_shim import import_timm

    import_timm()
    from torchvision.models import ShuffleNetV2

    network = ShuffleNetV2(list(units), list(channels))
    del network.maxpool, network.fc
    return network


def last_side(patch_px: int) -> int:
    """Side of the last map for a patch of that side."""
    side = (patch_px + 1) // 2 + 2
    for _ in range(4):
        side = (side + 1) // 2
    return side


@torch.no_grad()
def choose_hyperedges(feature: Tensor, edge_index: Tensor) -> Hyperedges:
    """Each spot joins the hyperedges of the spots that it scores highest.

    The score of spot j for spot i is ``A_ij / sum_j A_ij + D_ij / sum_j D_ij``, A the graph's
    adjacency and D the Euclidean distance of features: neighbours before others, and the least
    alike first. A term whose sum is 0 is 0. The weight of a hyperedge is its mean score.

    Shapes: ``[n, d]`` and int64 ``[2, e]``. A spot joins ``min(4, n)`` hyperedges.
    """
    n = len(feature)
    neighbour, spot = edge_index
    degree = torch.bincount(spot, minlength=n)
    scores, edges = [], []
    for rows in torch.arange(n, device=feature.device).split(max(1, SCORES_HELD // n)):
        part = score(feature, rows)
        own = (spot >= rows[0]) & (spot <= rows[-1])
        part[spot[own] - rows[0], neighbour[own]] += 1 / degree[spot[own]]
        best = part.topk(min(CHOICES, n), dim=1)
        scores.append(best.values)
        edges.append(best.indices)
    score_of, edge_of = torch.cat(scores).flatten(), torch.cat(edges).flatten()
    members = torch.bincount(edge_of, minlength=n).clamp(min=1)
    weight = score_of.new_zeros(n).index_add(0, edge_of, score_of) / members
    return Hyperedges(
        torch.arange(n, device=feature.device).repeat_interleave(min(CHOICES, n)),
        edge_of,
        score_of,
        weight,
    )


def score(feature: Tensor, rows: Tensor) -> Tensor:
    """Each spot's share of a row's summed distance: ``[n, d]`` and ``[r]`` to ``[r, n]``."""
    feature = feature.float()
    # Products of matrices would round, and a spot would be apart from itself.
    distance = torch.cdist(feature[rows], feature, compute_mode="donot_use_mm_for_euclid_dist")
    return distance / distance.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
