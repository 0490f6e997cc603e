"""mclSTExp: spots as words of a sentence, tied to patches, prediction from a reference bank.

Min, Shi, Zhang, Wan, Wang: Multimodal contrastive learning for spatial gene expression
prediction using histology images. Briefings in Bioinformatics 25(6), 2024.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from reg2st.models.augment import random_colours, rotate
from reg2st.models.backbone import Backbone, without_last_activation
from reg2st.models.batches import Spots
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.layers import PositionTables, Transformer
from reg2st.models.retrieval import RetrievalNetwork, RetrievalSettings, Weighting, inverse_square


class McLSTExpSettings(RetrievalSettings):
    """Published settings of mclSTExp for HER2+; cSCC has 600 neighbours and distance L2."""

    epochs: int = Field(90, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    batch_spots: int = Field(128, gt=1)
    backbone: Literal["timm:densenet121.tv_in1k"] = "timm:densenet121.tv_in1k"
    normalised: bool = False
    neighbours: int = Field(200, gt=0)
    distance: Literal["l1", "l2"] = "l1"
    sequence: Literal["spots", "section"] = Field(
        "spots", description="who attends to whom in training: a mixed batch, or one section"
    )
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    blocks: int = Field(2, gt=0)
    heads: int = Field(8, gt=0)
    head_size: int = Field(64, gt=0)


class McLSTExp(RetrievalNetwork):
    """A transformer over spots embeds their expression and places.

    Shapes, for a sequence of b spots, G genes and common width w::

        spots    [b, G]   expression + X[x] + Y[y]
        context  [b, G]   pre-norm transformer blocks over the b spots
        spot     [b, w]   projection head
        image    [b, w]   projection head of the backbone's feature
        logits   [b, b]   spots in rows, images in columns

    In the bank, the sequence is one whole section.
    """

    Settings = McLSTExpSettings
    presets: ClassVar = {
        "quick": {
            "epochs": 40,
            "learning_rate": 1e-3,
            "image_encoder": "embedding",
            "width": 64,
            "sequence": "section",
            "neighbours": 50,
            "blocks": 1,
            "heads": 4,
            "head_size": 16,
        }
    }

    def __init__(self, settings: McLSTExpSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.positions = PositionTables(settings.position_rows, sizes.genes)
        self.blocks = Transformer(
            settings.blocks,
            sizes.genes,
            heads=settings.heads,
            head_size=settings.head_size,
            feedforward_width=sizes.genes,
            dropout=0.0,
        )

    def new_backbone(self) -> Backbone:
        return without_last_activation(super().new_backbone())

    def augment(self, images: Tensor) -> Tensor:
        images = random_colours(images, 0.5, 1.5)
        left_right = torch.rand(len(images), 1, 1, 1).lt(0.5).to(images.device)
        images = torch.where(left_right, images.flip(-1), images)
        return rotate(images, torch.empty(len(images)).uniform_(-180, 180))

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Spots]:
        if self.settings.sequence == "spots":
            return super().batches(sections, generator)
        order = torch.randperm(len(sections), generator=generator).tolist()
        return [Spots.whole(sections[index]) for index in order]

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        mixed = self.settings.sequence == "spots"
        return super().steps_per_epoch(sections) if mixed else len(sections)

    def spot_embedding(self, expression: Tensor, array_xy: Tensor) -> Tensor:
        return self.spot_head(self.blocks(expression + self.positions(array_xy)))

    def contrast(self, spots: Tensor, images: Tensor) -> Tensor:
        logits = spots @ images.T / self.settings.temperature
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    @property
    def weighting(self) -> Weighting:
        return inverse_square(1 if self.settings.distance == "l1" else 2)

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        adam = torch.optim.Adam(
            self.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        return adam, torch.optim.lr_scheduler.ConstantLR(adam, factor=1.0)
