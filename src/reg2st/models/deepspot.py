"""DeepSpot: a spot, its parts and its neighbours as sets of embeddings.

Nonchev et al.: DeepSpot: leveraging spatial context for enhanced spatial transcriptomics
prediction from H&E images. medRxiv 2025. The sets are those of Zaheer et al., Deep Sets,
NeurIPS 2017.
"""

import math
from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.models.batches import Spots, mixed_batches, number_of_batches
from reg2st.models.interface import (
    Inputs,
    Network,
    NetworkSettings,
    SectionTensors,
    Sizes,
    TileGrid,
    stacked,
)
from reg2st.models.layers import Dropout
from reg2st.models.optimisers import constant_adamw

SUBTILES = TileGrid("subtiles", side=3, share=1 / 3)
OUTPUT_DROPOUT = 0.1


class DeepSpotSettings(NetworkSettings):
    """Published settings of DeepSpot."""

    epochs: int = Field(15, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-6, ge=0)
    batch_spots: int = Field(1024, gt=0)
    graph: str = "nearest_8_within_1_5"
    members: int = Field(10, gt=0)
    width: int = Field(512, gt=0)
    dropout: float = Field(0.3, ge=0, lt=1)
    standardised_target: bool = True
    context: Literal["all", "spot", "subtiles", "neighbours"] = Field(
        "all", description="what a spot's own embedding is joined by"
    )
    loss: Literal["mse", "cosine", "mse_cosine"] = "mse"


class Members(nn.Module):
    """Several linear layers with dropout and ReLU, of which the lower median is taken.

    Shapes: ``[..., inputs]`` to ``[..., width]``, element by element over the members.
    """

    def __init__(self, inputs: int, width: int, members: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, members * width)
        self.dropout = Dropout(dropout)
        self.members = members

    def forward(self, feature: Tensor) -> Tensor:
        outputs = F.relu(self.dropout(self.linear(feature)))
        return outputs.unflatten(-1, (self.members, -1)).median(dim=-2).values


class DeepSpot(Network):
    """Deep sets over a spot's own tile, its nine sub-tiles and its neighbours' tiles.

    Shapes, for b spots with e neighbours in all, width w and G genes; phi are ten layers whose
    lower median is taken, the same for all three views::

        spot        [b, w]   phi(embedding)
        parts       [b, w]   sum over the nine sub-tiles of phi(sub-tile)
        vicinity    [b, w]   largest phi(neighbour), element by element; 0 without neighbours
        joined      [b, 3 w]
        output      [b, G]   mean of ten: dropout, linear, dropout
        expression  [b, G]   output in the units of the target
    """

    Settings = DeepSpotSettings
    presets: ClassVar = {
        "quick": {"epochs": 15, "learning_rate": 2e-3, "width": 128, "context": "neighbours"}
    }

    def __init__(self, settings: DeepSpotSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.phi = Members(sizes.features, settings.width, settings.members, settings.dropout)
        views = {"all": 3, "spot": 1}.get(settings.context, 2)
        self.rho = nn.ModuleList(
            nn.Linear(views * settings.width, sizes.genes) for _ in range(settings.members)
        )
        self.input_dropout = Dropout(settings.dropout)
        self.output_dropout = Dropout(OUTPUT_DROPOUT)
        self.register_buffer("target_mean", torch.zeros(sizes.genes))
        self.register_buffer("target_scale", torch.ones(sizes.genes))

    @classmethod
    def inputs(cls, settings: DeepSpotSettings) -> Inputs:
        return Inputs(
            embedding=True,
            graph=settings.graph if settings.context in ("all", "neighbours") else None,
            tiles=(SUBTILES,) if settings.context in ("all", "subtiles") else (),
        )

    def prepare(self, sections: list[SectionTensors]) -> None:
        if self.settings.standardised_target:
            target = math.log(10) * stacked(sections, "expression")
            scale = target.std(dim=0, correction=0)
            self.target_mean.copy_(target.mean(dim=0))
            self.target_scale.copy_(torch.where(scale > 0, scale, 1))

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Spots]:
        return mixed_batches(sections, self.settings.batch_spots, generator)

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        return number_of_batches(sections, self.settings.batch_spots)

    def losses(self, spots: Spots) -> dict[str, Tensor]:
        output, target = self.output(self.joined(spots)), self.target(spots.gathered("expression"))
        losses = {}
        if self.settings.loss in ("mse", "mse_cosine"):
            losses["mse"] = F.mse_loss(output, target)
        if self.settings.loss in ("cosine", "mse_cosine"):
            losses["cosine"] = (1 - F.cosine_similarity(output, target, dim=0)).mean()
        return losses

    def forward(self, section: SectionTensors) -> Tensor:
        parts = torch.arange(section.n_spots).split(self.settings.batch_spots)
        outputs = [self.output(self.joined(Spots((section,), (rows,)))) for rows in parts]
        return self.expression(torch.cat(outputs))

    def joined(self, spots: Spots) -> Tensor:
        """The views of each spot side by side, ``[b, views * w]``."""
        views = [self.phi(spots.gathered("embedding"))]
        if self.settings.context in ("all", "subtiles"):
            views.append(self.phi(spots.tiles("subtiles").embedding).sum(dim=1))
        if self.settings.context in ("all", "neighbours"):
            views.append(self.vicinity(*spots.neighbours("embedding"), spots=len(views[0])))
        return torch.cat(views, dim=-1)

    def vicinity(self, neighbours: Tensor, of_spot: Tensor, spots: int) -> Tensor:
        """The largest feature over each spot's neighbours.

        Shapes:
            neighbours: ``[e, d]``, their embeddings.
            of_spot: int64 ``[e]``, whose neighbour each is, 0 to ``spots - 1``.
            Returns ``[spots, w]``.
        """
        feature = self.phi(neighbours)  # never below 0, so 0 may stand for no neighbour
        none = feature.new_zeros(spots, feature.shape[-1])
        place = of_spot.unsqueeze(1).expand_as(feature)
        return none.scatter_reduce(0, place, feature, "amax")

    def output(self, joined: Tensor) -> Tensor:
        """Mean of the members' outputs, in units of the standardised target: ``[b, G]``."""
        outputs = [
            self.output_dropout(member(F.relu(self.input_dropout(joined)))) for member in self.rho
        ]
        return torch.stack(outputs).mean(dim=0)

    def target(self, expression: Tensor) -> Tensor:
        """What the output is held to: the natural logarithm of expression, standardised."""
        return (math.log(10) * expression - self.target_mean) / self.target_scale

    def expression(self, output: Tensor) -> Tensor:
        """The output in units of expression; the inverse of ``target``."""
        return (output * self.target_scale + self.target_mean) / math.log(10)

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        return constant_adamw(self, settings.learning_rate, settings.weight_decay)
