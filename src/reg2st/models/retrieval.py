"""Prediction by retrieval: expression of training spots whose embedding is like an image's.

BLEEP and mclSTExp embed a patch and a spot's expression in one space. They predict by averaging
the expression of the spots of a reference bank that lie nearest to the patch.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.base.errors import UserError
from reg2st.models.backbone import PATCHES_AT_A_TIME, Backbone
from reg2st.models.batches import Spots, mixed_batches, number_of_batches
from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes
from reg2st.models.layers import Dropout
from reg2st.models.pixels import centre_images

NUMBERS_HELD = 2**24
"""Similarities, or features of gathered keys, that are held at once in a search."""

Weighting = Callable[[Tensor, Tensor], Tensor]
"""Weights ``[b, k]`` of the found keys ``[b, k, w]`` for queries ``[b, 1, w]``, of sum 1."""


class ProjectionHead(nn.Module):
    """From features of one kind to the common space; the result is not normalised.

    ``LayerNorm(a + Dropout(W2 GELU(a)))`` with ``a = W1 v``, both maps with bias.

    Shapes: ``[..., inputs]`` to ``[..., width]``.
    """

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(inputs, width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, feature: Tensor) -> Tensor:
        projected = self.projection(feature)
        return self.norm(projected + self.dropout(self.out(F.gelu(projected))))


def softmax_of_distance(query: Tensor, key: Tensor) -> Tensor:
    """Weights proportional to ``exp(-d^2)``, d the Euclidean distance."""
    return (query - key).square().sum(dim=-1).neg().softmax(dim=-1)


def inverse_square(norm: int) -> Weighting:
    """Weights proportional to ``1 / d^2``, d the distance by the L1 or L2 norm, 1e-6 at least."""

    def weights(query: Tensor, key: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(query - key, ord=norm, dim=-1).clamp(min=1e-6)
        # Relative to the nearest: squares of small distances would overflow.
        nearness = (distance.amin(dim=-1, keepdim=True) / distance).square()
        return nearness / nearness.sum(dim=-1, keepdim=True)

    return weights


class ReferenceBank(nn.Module):
    """Embeddings and expression of N training spots, searched by cosine.

    Buffers: ``keys`` float32 ``[N, w]``, ``values`` float32 ``[N, G]`` (each spot's target) and
    ``of_section`` int64 ``[N]`` (a number that tells its section, see ``section_number``).
    """

    def __init__(self, width: int, genes: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(0, width))
        self.register_buffer("values", torch.zeros(0, genes))
        self.register_buffer("of_section", torch.zeros(0, dtype=torch.int64))

    def make_room(self, spots: int) -> None:
        """Size the buffers for saved ones of that many spots."""
        for name, buffer in self.named_buffers():
            setattr(self, name, buffer.new_zeros(spots, *buffer.shape[1:]))

    def fill(self, sections: list[SectionTensors], keys: Iterable[Tensor]) -> None:
        """Hold all spots of the sections, with the keys ``[n, w]`` of each section."""
        self.keys = torch.cat([each.float() for each in keys])
        self.values = torch.cat([section.expression for section in sections])
        numbers = torch.tensor([section_number(section) for section in sections])
        spots = torch.tensor([section.n_spots for section in sections])
        self.of_section = numbers.repeat_interleave(spots).to(self.keys.device)

    def average(
        self, queries: Tensor, k: int, weighting: Weighting | None, section: SectionTensors
    ) -> Tensor:
        """Weighted mean expression of the k spots most similar to each query, ``[n, G]``.

        A section that is itself in the bank does not meet its own spots.

        Args:
            queries: embeddings ``[n, w]`` of the section's patches.
            k: spots to average; all where the bank holds fewer.
            weighting: None weighs all k the same.
            section: the section of the queries.

        Raises:
            UserError: the bank holds no spot of another section.
        """
        others = self.of_section != section_number(section)
        keys, values = self.keys, self.values
        if not others.all():
            keys, values = keys[others], values[others]
        if not len(keys):
            raise UserError(
                f"The reference bank holds no spot of a section other than {section.name}: train "
                "on at least one other section."
            )
        directions = F.normalize(keys, dim=-1, eps=1e-12)
        parts = []
        for query in queries.float().split(max(1, NUMBERS_HELD // len(keys))):
            found = most_similar(query, directions, k)
            weights = None if weighting is None else _weights(query, keys, found, weighting)
            mode = "mean" if weights is None else "sum"
            parts.append(F.embedding_bag(found, values, per_sample_weights=weights, mode=mode))
        return torch.cat(parts)


def most_similar(query: Tensor, directions: Tensor, k: int) -> Tensor:
    """The k rows of ``directions``, each of unit length, of the largest cosine with each query.

    Of equal cosines the lower row wins. The rows found are in no fixed order.

    Shapes: ``[b, w]`` and ``[N, w]`` to int64 ``[b, min(k, N)]``.
    """
    k = min(k, len(directions))
    similarity = F.normalize(query, dim=-1, eps=1e-12) @ directions.T
    best, found = similarity.topk(k, dim=-1)
    tied = (similarity >= best[:, -1:]).sum(dim=-1) > k
    if tied.any():
        ranked = similarity[tied].sort(dim=-1, descending=True, stable=True).indices
        found[tied] = ranked[:, :k]
    return found


def _weights(query: Tensor, keys: Tensor, found: Tensor, weighting: Weighting) -> Tensor:
    """Weights ``[b, k]`` of the found keys, gathered some queries at a time."""
    queries = max(1, NUMBERS_HELD // (found.shape[1] * keys.shape[1]))
    pairs = zip(query.split(queries), found.split(queries), strict=True)
    return torch.cat([weighting(part.unsqueeze(1), keys[index]) for part, index in pairs])


def section_number(section: SectionTensors) -> int:
    """A number by which a section is known again: of its name, patient and set of positions."""
    positions = sorted(map(tuple, section.array_xy.tolist()))
    text = f"{section.patient}\0{section.name}\0{positions}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


class RetrievalSettings(NetworkSettings):
    """Settings that networks with a reference bank share."""

    batch_spots: int = Field(gt=1)
    image_encoder: Literal["backbone", "embedding"] = "backbone"
    backbone: str = Field(description="encoder whose weights the image side starts from")
    patch_px: int = Field(224, gt=0, le=224)
    normalised: bool = Field(description="whether pixels are normalised as ImageNet's")
    width: int = Field(256, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    temperature: float = Field(1.0, gt=0)
    neighbours: int = Field(gt=0, description="spots of the bank that are averaged")


class RetrievalNetwork(Network):
    """A network that predicts from a reference bank of all training spots.

    A subclass says how spots are embedded and sections put into the bank, how batches are
    augmented, which loss ties images to spots and how the found spots are weighed.

    Shapes at each step, for n patches, feature width D, common width w and N bank spots::

        feature     [n, D]   backbone, mean over its last map; or a frozen embedding
        query       [n, w]   projection head
        similarity  [r, N]   cosine with the keys, r patches at a time
        expression  [n, G]   weighted mean of the k most similar spots' targets
    """

    keep_last_batch: ClassVar[bool] = True

    def __init__(self, settings: RetrievalSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.backbone = None
        features = sizes.features
        if settings.image_encoder == "backbone":
            self.backbone = self.new_backbone()
            features = self.backbone.width
        self.image_head = ProjectionHead(features, settings.width, settings.dropout)
        self.spot_head = ProjectionHead(sizes.genes, settings.width, settings.dropout)
        self.bank = ReferenceBank(settings.width, sizes.genes)

    @classmethod
    def inputs(cls, settings: RetrievalSettings) -> Inputs:
        if settings.image_encoder == "embedding":
            return Inputs(embedding=True)
        return Inputs(patches=True, weights=settings.backbone)

    def new_backbone(self) -> Backbone:
        """The image side's network, before it has weights."""
        return Backbone(self.settings.backbone, normalised=self.settings.normalised)

    def augment(self, images: Tensor) -> Tensor:
        """Randomly changed images of a training batch, ``[b, 3, s, s]`` in and out."""
        raise NotImplementedError

    def spot_embedding(self, expression: Tensor, array_xy: Tensor) -> Tensor:
        """Embeddings ``[b, w]`` of spots with these targets, one batch or section."""
        raise NotImplementedError

    def contrast(self, spots: Tensor, images: Tensor) -> Tensor:
        """The loss of a batch's embeddings, both ``[b, w]``."""
        raise NotImplementedError

    @property
    def weighting(self) -> Weighting | None:
        """How the found spots are weighed."""
        raise NotImplementedError

    @property
    def averaged_spots(self) -> int:
        """How many spots of the bank are averaged."""
        return self.settings.neighbours

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self.backbone.start_from(weights)

    def prepare(self, sections: list[SectionTensors]) -> None:
        if self.backbone is not None:
            self.backbone.check_started()

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Spots]:
        size = self.settings.batch_spots
        return mixed_batches(sections, size, generator, keep_last=self.keep_last_batch)

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        size = self.settings.batch_spots
        return number_of_batches(sections, size, keep_last=self.keep_last_batch)

    def losses(self, spots: Spots) -> dict[str, Tensor]:
        if self.backbone is None:
            feature = spots.gathered("embedding")
        else:
            images = centre_images(spots.gathered("patches"), self.settings.patch_px)
            feature = self.image_feature(self.augment(images))
        image = self.image_head(feature)
        spot = self.spot_embedding(spots.gathered("expression"), spots.gathered("array_xy"))
        with torch.autocast(image.device.type, enabled=False):
            return {"contrastive": self.contrast(spot.float(), image.float())}

    def finish(self, sections: list[SectionTensors]) -> None:
        keys = (self.spot_embedding(each.expression, each.array_xy) for each in sections)
        self.bank.fill(sections, keys)

    def make_room(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.bank.make_room(shapes["bank.keys"][0])

    def forward(self, section: SectionTensors) -> Tensor:
        queries = self.queries(section)
        return self.bank.average(queries, self.averaged_spots, self.weighting, section)

    def queries(self, section: SectionTensors) -> Tensor:
        """Embeddings ``[n, w]`` of a section's patches."""
        if self.backbone is None:
            return self.image_head(section.embedding)
        parts = torch.arange(section.n_spots).split(PATCHES_AT_A_TIME)
        images = (centre_images(section.patches[rows], self.settings.patch_px) for rows in parts)
        return torch.cat([self.image_head(self.image_feature(each)) for each in images])

    def image_feature(self, images: Tensor) -> Tensor:
        """Features ``[b, D]`` of images ``[b, 3, s, s]``, 0..1."""
        return self.backbone(images).mean(dim=(2, 3))
