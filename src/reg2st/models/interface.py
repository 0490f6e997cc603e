"""What every method is: settings, the inputs it needs, and a model that predicts a section.

Shapes use n spots of one section, G genes of the panel, d features of an embedding,
e edges of a graph.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from reg2st.models.on_demand import OnDemand


@dataclass(frozen=True)
class FeatureBlock:
    """Neighbouring columns of an embedding: what one encoder says of one view.

    Attributes:
        encoder: its name.
        groups: widths of the runs of columns that belong together (the stages of a network),
            in their order.
        view: name of the view that it saw.
    """

    encoder: str
    groups: tuple[int, ...]
    view: str = "native"


@dataclass(frozen=True)
class TileGrid:
    """Square tiles around each spot, embedded as the spot's own patch is.

    The grid has as many rows as columns and the spot in its middle; one that fits into the patch
    begins at the patch's upper left corner. Tile ``side * row + column`` counts from the upper
    left. A tile is ``floor(share * s)`` px wide for a patch of s px.

    Attributes:
        name: key of the tiles in a section.
        side: tiles in a row.
        share: side of a tile as a share of the patch's side.
    """

    name: str
    side: int
    share: float = 1.0


@dataclass(frozen=True)
class Tiles:
    """The tiles of a grid, t of them around each of n spots.

    Shapes:
        embedding: float32 ``[n, t, d]``, columns as in the section's own embedding; may be read
            on demand.
        on_slide: bool ``[n, t]``, whether a tile lies wholly on the slide; a shared edge counts.
    """

    embedding: Tensor | OnDemand
    on_slide: Tensor

    def to(self, device: torch.device | str) -> "Tiles":
        """The same tiles on ``device``."""
        return Tiles(self.embedding.to(device), self.on_slide.to(device))

    def part(self, spots: Tensor) -> "Tiles":
        """The tiles of some spots, int64 ``[m]``."""
        return Tiles(self.embedding[spots], self.on_slide[spots])


@dataclass(frozen=True)
class SectionTensors:
    """One section as tensors on one device; unless a network says otherwise, a batch.

    Shapes:
        array_xy: int64 ``[n, 2]``, column x and row y of each spot, for tables of positions.
        pitch_xy: float64 ``[n, 2]``, positions in pitches, for distances; None where the array is
            square, so that ``array_xy`` holds them.
        embedding: float32 ``[n, d]``, image features of each patch.
        patches: uint8 ``[n, 224, 224, 3]``, rows, columns, RGB; may be read on demand.
        edge_index: int64 ``[2, e]``, PyTorch Geometric convention: messages flow from
            ``edge_index[0]`` (the neighbour) to ``edge_index[1]`` (the spot).
        counts: float32 ``[n, G]``, raw counts of the panel's genes; None when predicting.
        totals: float32 ``[n]``, counts of all genes of each spot; None when predicting.
        expression: float32 ``[n, G]``, the target; None when predicting.

    ``target`` names what expression is (``reg2st.sections.targets``). ``blocks`` says what the
    columns of the embedding are, in their order. ``tiles`` are the grids of tiles that the method
    asked for, by name.
    """

    name: str
    patient: str
    array_xy: Tensor
    pitch_xy: Tensor | None = field(default=None, kw_only=True)
    embedding: Tensor | None = None
    patches: Tensor | OnDemand | None = None
    edge_index: Tensor | None = None
    counts: Tensor | None = None
    totals: Tensor | None = None
    expression: Tensor | None = None
    target: str = "paper"
    blocks: tuple[FeatureBlock, ...] = ()
    tiles: Mapping[str, Tiles] = field(default_factory=dict)

    @property
    def n_spots(self) -> int:
        return len(self.array_xy)

    @property
    def positions(self) -> Tensor:
        """Positions in pitches, float64 ``[n, 2]``: what distances between spots are taken of."""
        return self.array_xy.double() if self.pitch_xy is None else self.pitch_xy

    def to(self, device: torch.device | str) -> "SectionTensors":
        """The same section with every tensor on ``device``."""
        moved = {
            each.name: value.to(device)
            for each in dataclasses.fields(self)
            if isinstance(value := getattr(self, each.name), Tensor | OnDemand)
        }
        tiles = {name: tiles.to(device) for name, tiles in self.tiles.items()}
        return dataclasses.replace(self, **moved, tiles=tiles)

    def part(self, spots: Tensor) -> "SectionTensors":
        """Some spots of the section, int64 ``[m]``, with the edges among them."""
        parts = {
            each.name: value[spots]
            for each in dataclasses.fields(self)
            if each.name != "edge_index"
            and isinstance(value := getattr(self, each.name), Tensor | OnDemand)
        }
        if self.edge_index is not None:
            number = torch.full((self.n_spots,), -1, device=spots.device)
            number[spots] = torch.arange(len(spots), device=spots.device)
            ends = number[self.edge_index]
            parts["edge_index"] = ends[:, (ends >= 0).all(dim=0)]
        tiles = {name: tiles.part(spots) for name, tiles in self.tiles.items()}
        return dataclasses.replace(self, **parts, tiles=tiles)

    def without_targets(self) -> "SectionTensors":
        """The same section as a model may see it when predicting."""
        return dataclasses.replace(self, counts=None, totals=None, expression=None)


@dataclass(frozen=True)
class Prediction:
    """What a model says of a section.

    Shapes:
        expression: float32 ``[n, G]``, in the units of the target.
        spread: float32 ``[n, G]``, standard deviation of the target about it, in the same units;
            None from a model that gives none.
        expected_pcc: float32 ``[G]``, the PCC that the model expects of each gene in a section
            that it was not trained on; None from a model that expects none.
    """

    expression: Tensor
    spread: Tensor | None = None
    expected_pcc: Tensor | None = None


@dataclass(frozen=True)
class Inputs:
    """Which parts of a section a method reads, so that the workflow builds no others.

    Attributes:
        encoder: the encoder whose features the method reads, as they are and on the view of the
            patches, in place of the embeddings of the config.
        graph: name of a graph of the config.
        tiles: grids of tiles around each spot, embedded by the encoders of the embedding.
        weights: the encoder whose weights a part of the network starts from. Training hands
            them to ``Network.start_from`` before the first step; prediction does not need them.
    """

    embedding: bool = False
    patches: bool = False
    encoder: str | None = None
    graph: str | None = None
    tiles: tuple[TileGrid, ...] = ()
    weights: str | None = None


@dataclass(frozen=True)
class Sizes:
    """Sizes that the data decide: genes of the panel, features of the embedding."""

    genes: int
    features: int = 0


class Settings(BaseModel):
    """Settings of a method; unknown keys and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSettings(Settings):
    """Settings that the shared training loop reads."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)


class Model(nn.Module):
    """A model of one section.

    A subclass names its ``Settings`` and ``presets`` (named overrides; ``quick`` is for
    demonstrations), says in ``inputs`` what it reads, and in ``expects_pcc`` whether its
    predictions say what PCC to expect of each gene. ``sees_all_spots`` says that all spots of a
    section see each other and that it predicts expression alone: large sections then go through
    it in windows (``reg2st.models.windows``). Parameters and buffers are all
    of its state, so saving and loading are the same for every method.
    """

    Settings: ClassVar[type[Settings]] = Settings
    presets: ClassVar[dict[str, dict]] = {"quick": {}}
    expects_pcc: ClassVar[bool] = False
    sees_all_spots: ClassVar[bool] = False

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        super().__init__()
        self.settings = settings
        self.sizes = sizes

    @classmethod
    def inputs(cls, settings: Settings) -> Inputs:
        """The parts of a section that a model with these settings reads."""
        return Inputs()

    @classmethod
    def slide_obstacle(cls, settings: Settings) -> str | None:
        """Why a model with these settings cannot predict a slide without counts, as a clause.

        None if it can.
        """
        return None

    def make_room(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Resize buffers whose shapes the training data decide, before saved ones are loaded."""

    def forward(self, section: SectionTensors) -> Tensor:
        """Predicted expression, float32 ``[n, G]``, in the units of the target."""
        raise NotImplementedError

    def predict(self, section: SectionTensors) -> Prediction:
        """The prediction with what else the model says of it; by default nothing."""
        return Prediction(self(section))


class Regression(Model):
    """A model fitted in closed form."""

    def fit(self, sections: list[SectionTensors]) -> None:
        """Fill the model's buffers from the training sections."""
        raise NotImplementedError

    @property
    def chosen(self) -> dict[str, Any]:
        """Settings that the fit chose within its training sections."""
        return {}


class Batch(Protocol):
    """What a network reads in one step: a section, or what its ``batches`` makes of several."""

    @property
    def name(self) -> str:
        """The section or sections, for messages."""


class Network(Model):
    """A model trained by gradient by the shared loop, unless it says otherwise a section a step.

    Before training it gets the weights that it asked for in ``start_from``. The loop then calls
    ``prepare``, ``optimiser``, in each epoch ``batches`` and for each batch ``losses``, and at
    the end ``finish``.
    """

    shuffle_sections: ClassVar[bool] = True

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of the encoder that ``inputs`` names, by that encoder's names."""
        raise NotImplementedError

    def prepare(self, sections: list[SectionTensors]) -> None:
        """See the training sections before the first step, as for a bias or a scale.

        What it sets follows from the sections alone: a training that is resumed calls it too.
        """

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Batch]:
        """The batches of one epoch, each of which ``losses`` reads in one step.

        Unless a network says otherwise, each section once, shuffled if ``shuffle_sections``.

        Args:
            sections: the training sections.
            generator: where random draws come from; the loop seeds it for each epoch.
        """
        if not self.shuffle_sections:
            return sections
        order = torch.randperm(len(sections), generator=generator).tolist()
        return [sections[index] for index in order]

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        """How many batches an epoch has."""
        return len(sections)

    def losses(self, section: SectionTensors) -> dict[str, Tensor]:
        """Weighted scalar losses of a batch by name; the loop minimises their sum.

        Unless a network says otherwise, the mean squared error alone.
        """
        return {"mse": F.mse_loss(self(section), section.expression)}

    def finish(self, sections: list[SectionTensors]) -> None:
        """See the training sections after the last step, in evaluation mode, without gradients.

        Here a network fills buffers such as a bank of reference spots.
        """

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """The optimiser and a schedule that the loop advances once a step.

        Unless a network says otherwise, Adam at a constant rate.
        """
        adam = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate, fused=True)
        return adam, torch.optim.lr_scheduler.ConstantLR(adam, factor=1.0)


def stacked(sections: list[SectionTensors], name: str) -> Tensor:
    """One tensor of all sections' spots, float64 on the CPU."""
    return torch.cat([getattr(section, name) for section in sections]).double().cpu()
