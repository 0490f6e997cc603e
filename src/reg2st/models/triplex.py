"""TRIPLEX: a spot's patch, the tiles around it and the whole section, fused for each spot.

Chung, Ha, Im, Lee: Accurate spatial gene expression prediction by integrating multi-resolution
features. CVPR 2024. docs/reference/methods/triplex.md has the equations, and where
this differs from the released implementation.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.base.errors import UserError
from reg2st.models.augment import random_symmetries
from reg2st.models.backbone import PATCHES_AT_A_TIME, Backbone
from reg2st.models.batches import Spots, mixed_batches, number_of_batches
from reg2st.models.interface import (
    Inputs,
    Network,
    NetworkSettings,
    SectionTensors,
    Sizes,
    TileGrid,
)
from reg2st.models.layers import Attention, Dropout, FeedForward, TransformerBlock
from reg2st.models.optimisers import constant_adamw
from reg2st.models.pixels import centre_images

SIDE = 5
SURROUNDINGS = TileGrid("surroundings", side=SIDE)
LEFT_OUT = -65504.0
"""Added to the logit of a tile that leaves the slide: the lowest float16."""


class TRIPLEXSettings(NetworkSettings):
    """Published settings of TRIPLEX for HER2+; ``epochs`` is ours.

    The release chooses rate, length and weights on its test folds.
    """

    epochs: int = Field(50, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch_spots: int = Field(128, gt=0)
    backbone: str = "timm:resnet18.tv_in1k"
    patch_px: int = Field(224, gt=0, le=224)
    fusion_blocks: int = Field(1, gt=0)
    global_blocks: int = Field(3, gt=1)
    neighbour_blocks: int = Field(3, gt=0)
    fusion_heads: int = Field(4, gt=0)
    global_heads: int = Field(16, gt=0)
    neighbour_heads: int = Field(16, gt=0)
    fusion_ratio: float = Field(4, gt=0, description="inner width of a feed-forward part over d")
    global_ratio: float = Field(4, gt=0)
    neighbour_ratio: float = Field(1, gt=0)
    fusion_dropout: float = Field(0.2, ge=0, lt=1)
    global_dropout: float = Field(0.1, ge=0, lt=1)
    neighbour_dropout: float = Field(0.3, ge=0, lt=1)
    distillation: float = Field(
        0.3, ge=0, le=1, description="share of a part's loss that compares it with the fusion"
    )
    cut_at_zero: bool = True


class NeighbourEncoder(nn.Module):
    """Transformer blocks over the tiles around each spot, with a bias by their distance.

    Each block has a table of a number for each head, distance in rows and distance in columns,
    from 0, which is added to the logits.

    Shapes:
        tiles: ``[b, 25, d]``; on_slide: bool ``[b, 25]``, which of them serve as keys.
        Returns ``[b, 25, d]``.
    """

    def __init__(self, width: int, blocks: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                heads=heads,
                head_size=width // heads,
                feedforward_width=inner,
                dropout=dropout,
            )
            for _ in range(blocks)
        )
        self.biases = nn.ParameterList(torch.zeros(heads, SIDE * SIDE) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        cells = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))  # [25, 2]
        apart = (cells.unsqueeze(1) - cells).abs()  # [25, 25, 2], rows and columns
        self.register_buffer("apart", SIDE * apart[..., 0] + apart[..., 1], persistent=False)

    def forward(self, tiles: Tensor, on_slide: Tensor) -> Tensor:
        left_out = mask(on_slide)
        for block, bias in zip(self.blocks, self.biases, strict=True):
            tiles = block(tiles, bias[:, self.apart] + left_out)
        return self.norm(tiles)


def cells(section: SectionTensors) -> Tensor:
    """Column and row of each spot on a grid where neighbours touch, int64 ``[n, 2]``.

    On a hexagonal array neighbours in a row are two array columns but one pitch apart.
    """
    columns = section.positions[:, 0].floor().long()
    return torch.stack([columns, section.array_xy[:, 1]], dim=1)


class GlobalEncoder(nn.Module):
    """Transformer blocks over all spots of a section, with a convolution on the array between.

    Shapes: feature ``[n, d]`` and array_xy int64 ``[n, 2]`` to ``[n, d]``.
    """

    def __init__(self, width: int, blocks: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                heads=heads,
                head_size=width // heads,
                feedforward_width=inner,
                dropout=dropout,
                attention_dropout=dropout,
            )
            for _ in range(blocks)
        )
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)

    def forward(self, feature: Tensor, array_xy: Tensor) -> Tensor:
        first, *others = self.blocks
        feature = self.placed(first(feature), array_xy)
        for block in others:
            feature = block(feature)
        return self.norm(feature)

    def placed(self, feature: Tensor, array_xy: Tensor) -> Tensor:
        """What the depthwise convolution of the array, 0 in empty cells, holds at each spot.

        Spots without an array may share a cell, which then holds their mean.
        """
        column, row = (array_xy - array_xy.amin(dim=0)).unbind(dim=1)
        rows, columns = int(row.max()) + 1, int(column.max()) + 1
        grid = feature.new_zeros(rows, columns, feature.shape[-1])
        spots = grid.new_zeros(rows, columns, 1)
        spots = spots.index_put((row, column), spots.new_ones(len(row), 1), accumulate=True)
        grid = grid.index_put((row, column), feature, accumulate=True) / spots.clamp(min=1)
        grid = grid.permute(2, 0, 1)  # [d, rows, columns]
        return self.position(grid.unsqueeze(0))[0, :, row, column].t()


class FusionBlock(nn.Module):
    """Pre-norm block in which each spot attends to its own tokens.

    Query and tokens go through the same LayerNorm.

    Shapes: spot ``[b, 1, d]``, tokens ``[b, m, d]``, bias ``[b, 1, 1, m]`` or None, to
    ``[b, 1, d]``.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.attention = Attention(heads)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, inner, dropout)

    def forward(self, spot: Tensor, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        spot = spot + self.dropout(self.attended(spot, tokens, bias))
        return spot + self.feedforward(self.feedforward_norm(spot))

    def attended(self, spot: Tensor, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """The update of the spot by its tokens, before dropout."""
        query = self.query(self.attention_norm(spot))
        key, value = self.key_value(self.attention_norm(tokens)).chunk(2, dim=-1)
        return self.out(self.attention(query, key, value, bias))


class Predictions(NamedTuple):
    """Predictions ``[b, G]`` from the fused feature and from each of the three parts alone."""

    fusion: Tensor
    target: Tensor
    neighbour: Tensor
    section: Tensor


class TRIPLEX(Network):
    """A trained network reads the patch, frozen embeddings the surroundings and the section.

    Shapes at each step, for b spots of a section of n, width d of the embedding and G genes::

        target tokens      [b, 49, d]  last map of the trained network, linear
        neighbour tokens   [b, 25, d]  embedded tiles, blocks with a bias by distance
        global tokens      [n, d]      embeddings, blocks over the section, array convolution
        fused              [b, d]      the spot's global token attends to its target tokens, and
                                       with the same weights to its neighbour tokens; their sum
        expression         [b, G]      linear, cut at 0

    While training, each part predicts too, and is held to the target and to the fusion.
    """

    Settings = TRIPLEXSettings
    presets: ClassVar = {
        "cscc": {
            "fusion_blocks": 2,
            "global_blocks": 2,
            "neighbour_blocks": 4,
            "fusion_heads": 8,
            "global_ratio": 1,
            "fusion_dropout": 0.1,
        },
        "quick": {
            "epochs": 6,
            "learning_rate": 3e-4,
            "backbone": "efficientnet_lite0",
            "patch_px": 112,
            "batch_spots": 64,
            "global_blocks": 2,
            "neighbour_blocks": 1,
            "fusion_ratio": 0.5,
            "global_ratio": 0.5,
            "neighbour_ratio": 0.25,
            "cut_at_zero": False,
        },
    }

    def __init__(self, settings: TRIPLEXSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        width, genes = sizes.features, sizes.genes
        for part in ("fusion", "global", "neighbour"):
            heads = getattr(settings, f"{part}_heads")
            if width % heads:
                raise UserError(
                    f"The embedding has {width} features, which is no multiple of {part}_heads "
                    f"({heads}): set {part}_heads to a divisor of {width}."
                )
        self.backbone = Backbone(settings.backbone, normalised=True)
        self.target_linear = nn.Linear(self.backbone.width, width)
        self.neighbour_encoder = NeighbourEncoder(
            width,
            settings.neighbour_blocks,
            settings.neighbour_heads,
            round(settings.neighbour_ratio * width),
            settings.neighbour_dropout,
        )
        self.global_encoder = GlobalEncoder(
            width,
            settings.global_blocks,
            settings.global_heads,
            round(settings.global_ratio * width),
            settings.global_dropout,
        )
        self.fusion_blocks = nn.ModuleList(
            FusionBlock(
                width,
                settings.fusion_heads,
                round(settings.fusion_ratio * width),
                settings.fusion_dropout,
            )
            for _ in range(settings.fusion_blocks)
        )
        self.fusion_norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict({part: nn.Linear(width, genes) for part in Predictions._fields})

    @classmethod
    def inputs(cls, settings: TRIPLEXSettings) -> Inputs:
        return Inputs(
            embedding=True, patches=True, tiles=(SURROUNDINGS,), weights=settings.backbone
        )

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self.backbone.start_from(weights)

    def prepare(self, sections: list[SectionTensors]) -> None:
        self.backbone.check_started()

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Spots]:
        return mixed_batches(sections, self.settings.batch_spots, generator)

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        return number_of_batches(sections, self.settings.batch_spots)

    def losses(self, spots: Spots) -> dict[str, Tensor]:
        whole = [self.global_tokens(section) for section in spots.sections]
        pairs = zip(whole, spots.rows, strict=True)
        tokens = torch.cat([section[rows] for section, rows in pairs])
        images = centre_images(spots.gathered("patches"), self.settings.patch_px)
        target = self.target_tokens(self.backbone(random_symmetries(images, (0, 1))))
        tiles = spots.tiles(SURROUNDINGS.name)
        neighbour = self.neighbour_encoder(tiles.embedding, tiles.on_slide)
        predictions = self.predictions(target, neighbour, tiles.on_slide, tokens)
        return self.compared(predictions, spots.gathered("expression"))

    def compared(self, predictions: Predictions, expression: Tensor) -> dict[str, Tensor]:
        """Weighted losses of a batch's predictions against its targets ``[b, G]``."""
        share = self.settings.distillation
        losses = {"fusion": F.mse_loss(predictions.fusion, expression)}
        for part, prediction in predictions._asdict().items():
            if part != "fusion":
                losses[part] = (1 - share) * F.mse_loss(prediction, expression)
                losses[f"distil_{part}"] = share * F.mse_loss(predictions.fusion, prediction)
        return losses

    def forward(self, section: SectionTensors) -> Tensor:
        tokens, tiles = self.global_tokens(section), section.tiles[SURROUNDINGS.name]
        parts = []
        for rows in torch.arange(section.n_spots).split(PATCHES_AT_A_TIME):
            images = centre_images(section.patches[rows], self.settings.patch_px)
            target = self.target_tokens(self.backbone(images))
            on_slide = tiles.on_slide[rows]
            neighbour = self.neighbour_encoder(tiles.embedding[rows], on_slide)
            fused = self.fused(target, neighbour, on_slide, tokens[rows])
            parts.append(self.cut(self.heads["fusion"](fused)))
        return torch.cat(parts)

    def target_tokens(self, maps: Tensor) -> Tensor:
        """Positions of the last map ``[b, 512, 7, 7]``, row by row, as tokens ``[b, 49, d]``."""
        return self.target_linear(maps.flatten(2).transpose(1, 2))

    def global_tokens(self, section: SectionTensors) -> Tensor:
        """Every spot of a section in the light of all others, ``[n, d]``."""
        return self.global_encoder(section.embedding, cells(section))

    def fused(self, target: Tensor, neighbour: Tensor, on_slide: Tensor, tokens: Tensor) -> Tensor:
        """The fused feature ``[b, d]``; shapes as in the class."""
        by_target = self.attending(tokens, target)
        by_neighbour = self.attending(tokens, neighbour, mask(on_slide))
        return self.fusion_norm(by_target + by_neighbour)

    def attending(self, spots: Tensor, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Each spot ``[b, d]`` after attention to its tokens ``[b, m, d]``."""
        spots = spots.unsqueeze(1)
        for block in self.fusion_blocks:
            spots = block(spots, tokens, bias)
        return spots.squeeze(1)

    def predictions(
        self, target: Tensor, neighbour: Tensor, on_slide: Tensor, tokens: Tensor
    ) -> Predictions:
        """What the fusion and each part predict; shapes as in the class."""
        features = {
            "fusion": self.fused(target, neighbour, on_slide, tokens),
            "target": target.mean(dim=1),
            "neighbour": neighbour.mean(dim=1),
            "section": tokens,
        }
        heads = self.heads.items()
        return Predictions(**{part: self.cut(head(features[part])) for part, head in heads})

    def cut(self, prediction: Tensor) -> Tensor:
        """The prediction, where asked for with 0 in place of what lies below."""
        return F.relu(prediction) if self.settings.cut_at_zero else prediction

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        return constant_adamw(self, settings.learning_rate, settings.weight_decay)


def mask(on_slide: Tensor) -> Tensor:
    """What is added to the logits so that tiles off the slide are no keys.

    Shapes: bool ``[b, m]`` to float32 ``[b, 1, 1, m]``.
    """
    return torch.where(on_slide, 0.0, LEFT_OUT)[:, None, None]
