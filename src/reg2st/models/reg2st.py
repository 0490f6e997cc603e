"""Reg2ST: contrastive learning of image and expression features, fused over a section's spots.

Each spot attends to the predicted gene features of all spots of its section; a graph built from
the features then passes messages between similar spots. docs/reference/methods/reg2st.md
has the equations and the differences from the released implementation.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from reg2st.features.graphs import EQUAL_DECIMALS
from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes
from reg2st.models.layers import (
    POSITION_TABLES_OBSTACLE,
    ZINB,
    Attention,
    Dropout,
    FeedForward,
    PositionTables,
    ZINBHead,
    zinb_loss,
)
from reg2st.sections.targets import size_factors

WARM_UP_EPOCHS = 10
SCORES_HELD = 2**24
"""Maximum number of pair scores in memory during the search for neighbours."""


class Reg2STSettings(NetworkSettings):
    """Published settings of Reg2ST, and the switches of its ablations and variants."""

    epochs: int = Field(400, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    hidden: int = Field(256, gt=0, description="d, features of a spot")
    inner: int = Field(1024, gt=0, description="inner width of gene encoder and feed-forward")
    blocks: int = Field(6, gt=0)
    heads: int = Field(8, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    graph_dropout: float = Field(0.3, ge=0, lt=1)
    graph_neighbours: int = Field(6, gt=0)
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    contrastive_weight: float = Field(0.5, ge=0)
    zinb_weight: float = Field(0.25, ge=0)
    image_encoder: Literal["embedding", "patch_cnn"] = "embedding"
    contrastive: bool = True
    dynamic_graph: Literal["features", "space", "none"] = "features"
    positions: Literal["absolute", "shifted", "relative", "none"] = "absolute"
    relative_reach: int = Field(
        8, gt=0, description="largest offset of 'relative'; larger ones are clipped"
    )
    spot_mask: float = Field(0, ge=0, lt=1, description="share of keys hidden while training")

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "Reg2STSettings":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self


class PatchEncoder(nn.Sequential):
    """A small convolutional encoder trained with the network instead of a pretrained one.

    Four convolutions, each followed by group normalisation and GELU: the first reduces the map by
    4, the other three by 2. The last map is averaged.

    Shapes: float ``[n, 3, 224, 224]`` to ``[n, 128]``.
    """

    WIDTH = 128

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for width, kernel, stride in [(16, 7, 4), (32, 3, 2), (64, 3, 2), (self.WIDTH, 3, 2)]:
            layers += [
                nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2),
                nn.GroupNorm(8, width),
                nn.GELU(),
            ]
            channels = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class CrossAttention(nn.Module):
    """Multi-head attention of spots to the predicted gene features of the section's spots.

    Shapes:
        spots: ``[n, width]``, the queries.
        genes: ``[m, width]``, keys and values.
        bias: ``[heads, n, m]``, added to the attention logits, or None.
        Returns ``[n, width]``.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.attention = Attention(heads, dropout)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, spots: Tensor, genes: Tensor, bias: Tensor | None) -> Tensor:
        key, value = self.key_value(genes).chunk(2, dim=-1)
        return self.dropout(self.out(self.attention(self.query(spots), key, value, bias)))


class FusionBlock(nn.Module):
    """Pre-norm block: attention to the gene features, then feed-forward, each with a residual."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads, dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, inner, dropout)

    def forward(self, spots: Tensor, genes: Tensor, bias: Tensor | None) -> Tensor:
        spots = spots + self.attention(self.attention_norm(spots), genes, bias)
        return spots + self.feedforward(self.feedforward_norm(spots))


class RelativeBias(nn.Module):
    """One learned attention bias a head for each offset between two spots, clipped to a reach.

    Offsets are in pitches, rounded: half of one counts as none, one and a half as two.

    Shapes: float64 ``[n, 2]`` and ``[m, 2]`` to ``[heads, n, m]``.
    """

    def __init__(self, reach: int, heads: int) -> None:
        super().__init__()
        self.reach = reach
        self.bias = nn.Embedding((2 * reach + 1) ** 2, heads)
        nn.init.zeros_(self.bias.weight)

    def forward(self, from_xy: Tensor, to_xy: Tensor) -> Tensor:
        offset = to_xy.unsqueeze(0) - from_xy.unsqueeze(1)  # [n, m, 2]
        offset = offset.round().long().clamp(-self.reach, self.reach)
        x, y = (offset + self.reach).unbind(-1)
        return self.bias(x * (2 * self.reach + 1) + y).permute(2, 0, 1)


class DynamicGraph(nn.Module):
    """Message passing between each spot and its k best-scored spots, which may include itself.

    Shapes: all features ``[n, width]``.
    """

    def __init__(self, width: int, neighbours: int, dropout: float) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.smooth = nn.Linear(width, width)
        self.head = nn.Linear(width, width)
        self.tail = nn.Linear(width, width)
        self.sum_out = nn.Linear(width, width)
        self.product_out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(
        self, fused: Tensor, spots: Tensor, genes: Tensor, nearby: Tensor | None = None
    ) -> Tensor:
        """Features after one round of messages.

        Args:
            fused: h_sf, the features to update.
            spots: h_se, the queries of the neighbour scores.
            genes: p_s, the keys of the neighbour scores.
            nearby: int64 ``[n, k]``, given neighbours, used instead of the best-scored ones.
        """
        smooth = F.leaky_relu(self.smooth(fused))
        smooth = (smooth + smooth.mean(dim=0)) / 2
        head, tail = self.head(spots), self.tail(genes)
        index = best_scored(head, tail, self.neighbours) if nearby is None else nearby
        heads, tails = head.unsqueeze(1), F.embedding(index, tail)  # [n, 1, width], [n, k, width]
        weight = (heads * head.shape[-1] ** -0.5 * tails).sum(dim=-1).softmax(dim=-1)  # [n, k]
        # H + r = H + w T + (1 - w) H = 2 H + w (T - H)
        gate = torch.tanh(torch.addcmul(2 * heads, weight.unsqueeze(-1), tails - heads))
        tail_sum = F.embedding(index, tail.sum(dim=-1, keepdim=True)).squeeze(-1)
        attention = (tail_sum * gate.sum(dim=-1)).softmax(dim=-1)
        message = (attention.unsqueeze(-1) * tails).sum(dim=1)
        mixed = F.leaky_relu(self.sum_out(smooth + message)) + F.leaky_relu(
            self.product_out(smooth * message)
        )
        return self.out(self.norm(self.dropout(mixed)))


@torch.no_grad()
def best_scored(head: Tensor, tail: Tensor, k: int) -> Tensor:
    """For each row of ``head`` the k rows of ``tail`` with the largest inner product.

    Shapes: ``[n, width]`` twice to int64 ``[n, min(k, n)]``.
    """
    k = min(k, len(tail))
    blocks = head.split(max(1, SCORES_HELD // len(tail)))
    return torch.cat([(block @ tail.T).topk(k, dim=-1).indices for block in blocks])


@torch.no_grad()
def nearest(xy: Tensor, k: int) -> Tensor:
    """For each spot the k nearest, including itself.

    Of spots at equal distance the one with the lower index comes first.

    Shapes: positions in pitches, float64 ``[n, 2]``, to int64 ``[n, min(k, n)]``.
    """
    # Matrix products would round, so that equal distances would differ.
    distances = (
        torch.cdist(block, xy, compute_mode="donot_use_mm_for_euclid_dist")
        for block in xy.split(max(1, SCORES_HELD // len(xy)))
    )
    # So do roots: neighbours on a hexagonal array would differ in the last digit.
    distances = (rows.round(decimals=EQUAL_DECIMALS) for rows in distances)
    return torch.cat([rows.sort(dim=-1, stable=True).indices[:, :k] for rows in distances])


class Hidden(NamedTuple):
    """Intermediate features of each spot, each ``[n, d]``."""

    image_feature: Tensor
    predicted_gene_feature: Tensor
    enhanced_image_feature: Tensor
    fusion_feature: Tensor
    graph_feature: Tensor


class TrainingOutputs(NamedTuple):
    """All outputs of a training pass; gene feature and logits are None without contrastive loss.

    Shapes: prediction ``[n, G]``, gene_feature ``[n, d]``, contrastive_logits ``[n, n]`` (image
    of a spot in rows, genes of a spot in columns), zinb three of ``[n, G]``.
    """

    hidden: Hidden
    prediction: Tensor
    zinb: ZINB
    gene_feature: Tensor | None
    contrastive_logits: Tensor | None


class Reg2ST(Network):
    """Reg2ST.

    Shapes at each step, for n spots, e features of an embedding, width d and G genes::

        embedding               [n, e]
        image_feature           [n, d]   linear, GELU, dropout, linear
        predicted_gene_feature  [n, d]   linear, GELU, linear
        enhanced_image_feature  [n, d]   image_feature + X[x] + Y[y]
        fusion_feature          [n, d]   blocks of attention from the enhanced image features
                                         to the predicted gene features; LayerNorm
        graph_feature           [n, d]   dynamic graph
        expression              [n, G]   linear, GELU, dropout, linear; in parallel ZINB heads

    In training, expression [n, G] is encoded to gene_feature [n, d] of unit length.

    In training, attention holds heads x n x n values for each block, and the contrastive loss
    n x n. Prediction holds neither: its memory grows with n, its time with n x n.
    """

    Settings = Reg2STSettings
    presets: ClassVar = {
        "quick": {
            "epochs": 20,
            "learning_rate": 2e-3,
            "dropout": 0.5,
            "hidden": 64,
            "inner": 256,
            "blocks": 1,
            "heads": 4,
            "positions": "none",
        }
    }
    sees_all_spots: ClassVar[bool] = True
    shuffle_sections = False

    def __init__(self, settings: Reg2STSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        width, inner, dropout = settings.hidden, settings.inner, settings.dropout
        if settings.image_encoder == "embedding":
            described = sizes.features
            self.patch_encoder = None
            self.image_encoder = encoder(sizes.features, sizes.features, width, dropout)
        else:
            described = inner
            self.patch_encoder = PatchEncoder()
            self.image_encoder = encoder(PatchEncoder.WIDTH, inner, width, dropout)
        self.gene_predictor = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        if settings.contrastive:
            self.gene_encoder = encoder(sizes.genes, inner, width, dropout)
            self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if settings.positions in ("absolute", "shifted"):
            self.positions = PositionTables(settings.position_rows, width)
        elif settings.positions == "relative":
            self.relative_bias = RelativeBias(settings.relative_reach, settings.heads)
        self.blocks = nn.ModuleList(
            FusionBlock(width, settings.heads, inner, dropout) for _ in range(settings.blocks)
        )
        self.fusion_norm = nn.LayerNorm(width)
        if settings.dynamic_graph != "none":
            self.graph = DynamicGraph(width, settings.graph_neighbours, settings.graph_dropout)
        self.prediction_head = encoder(width, described, sizes.genes, dropout)
        self.zinb_head = ZINBHead(width, sizes.genes)

    @classmethod
    def inputs(cls, settings: Reg2STSettings) -> Inputs:
        patches = settings.image_encoder == "patch_cnn"
        return Inputs(embedding=not patches, patches=patches)

    @classmethod
    def slide_obstacle(cls, settings: Reg2STSettings) -> str | None:
        return POSITION_TABLES_OBSTACLE if settings.positions in ("absolute", "shifted") else None

    def forward(self, section: SectionTensors) -> Tensor:
        return self.prediction_head(self.hidden(section).graph_feature)

    def hidden(self, section: SectionTensors) -> Hidden:
        """Features of each spot; does not read expression."""
        image = self.image_encoder(self.described(section))
        genes = self.gene_predictor(image)
        enhanced = image + self.placed(section.array_xy)
        fused = self.fused(enhanced, genes, section.positions)
        if self.settings.dynamic_graph == "none":
            return Hidden(image, genes, enhanced, fused, fused)
        space = self.settings.dynamic_graph == "space"
        nearby = nearest(section.positions, self.graph.neighbours) if space else None
        return Hidden(image, genes, enhanced, fused, self.graph(fused, enhanced, genes, nearby))

    def described(self, section: SectionTensors) -> Tensor:
        """Input of the image encoder, ``[n, e]``."""
        if self.patch_encoder is None:
            return section.embedding
        pixels = section.patches[:].permute(0, 3, 1, 2)
        return torch.cat([self.patch_encoder(part / 127.5 - 1) for part in pixels.split(256)])

    def placed(self, array_xy: Tensor) -> Tensor | float:
        """Position embedding added to each spot's image feature, ``[n, d]``."""
        settings = self.settings
        if settings.positions not in ("absolute", "shifted"):
            return 0.0
        if settings.positions == "shifted" and self.training:
            shift = torch.randint(self.positions.rows, (2,)).to(array_xy.device)
            array_xy = (array_xy + shift) % self.positions.rows
        return self.positions(array_xy)

    def fused(self, spots: Tensor, genes: Tensor, xy: Tensor) -> Tensor:
        """h_sf: spots after attention to the gene features of all (unmasked) spots."""
        keys_xy = xy
        if self.training and self.settings.spot_mask > 0:
            n = len(genes)
            kept = torch.randperm(n)[: max(1, round((1 - self.settings.spot_mask) * n))]
            kept = kept.to(genes.device)
            genes, keys_xy = genes[kept], xy[kept]
        relative = self.settings.positions == "relative"
        bias = self.relative_bias(xy, keys_xy) if relative else None
        for block in self.blocks:
            spots = block(spots, genes, bias)
        return self.fusion_norm(spots)

    def training_outputs(self, section: SectionTensors) -> TrainingOutputs:
        """All inputs of the losses; reads the section's expression."""
        hidden = self.hidden(section)
        gene_feature = logits = None
        if self.settings.contrastive:
            gene_feature = F.normalize(self.gene_encoder(section.expression), dim=-1)
            logits = self.log_temperature.exp() * (hidden.image_feature @ gene_feature.T)
        return TrainingOutputs(
            hidden=hidden,
            prediction=self.prediction_head(hidden.graph_feature),
            zinb=self.zinb_head(hidden.graph_feature),
            gene_feature=gene_feature,
            contrastive_logits=logits,
        )

    def losses(self, section: SectionTensors) -> dict[str, Tensor]:
        outputs = self.training_outputs(section)
        losses = {
            "mse": F.mse_loss(outputs.prediction, section.expression),
            "zinb": self.settings.zinb_weight
            * zinb_loss(section.counts, size_factors(section.counts), outputs.zinb),
        }
        if self.settings.contrastive:
            logits = outputs.contrastive_logits
            same_spot = torch.eye(len(logits), device=logits.device, dtype=logits.dtype)
            losses["gene_feature"] = F.mse_loss(
                outputs.hidden.predicted_gene_feature, outputs.gene_feature
            )
            losses["contrastive"] = (
                self.settings.contrastive_weight
                * F.binary_cross_entropy_with_logits(logits, same_spot)
            )
        return losses

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        adamw = torch.optim.AdamW(
            self.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        warm_up = WARM_UP_EPOCHS * steps_per_epoch
        steps = settings.epochs * steps_per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(
            adamw, lambda step: rate_share(step, warm_up, steps)
        )
        return adamw, schedule


def encoder(inputs: int, inner: int, outputs: int, dropout: float) -> nn.Sequential:
    """Linear, GELU, dropout, linear."""
    return nn.Sequential(
        nn.Linear(inputs, inner), nn.GELU(), Dropout(dropout), nn.Linear(inner, outputs)
    )


def rate_share(step: int, warm_up: int, steps: int) -> float:
    """The learning rate of a step as a share of the maximum.

    A linear rise from 0.1 to 1 over the first ``warm_up`` steps, then a cosine from 1 towards
    0.01, which the step after the last one would have.
    """
    if step < warm_up:
        return 0.1 + 0.9 * step / (warm_up - 1)
    share_done = (step - warm_up) / max(steps - warm_up, 1)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * share_done)) / 2
