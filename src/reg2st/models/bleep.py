"""BLEEP: patches and expression in one space, prediction from the nearest training spots.

Xie, Pang, Chung, Perciani, MacParland, Wang, Bader: Spatially resolved gene expression
prediction from H&E histology images via bi-modal contrastive learning. NeurIPS 2023.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from reg2st.models.augment import random_symmetries
from reg2st.models.optimisers import constant_adamw
from reg2st.models.retrieval import (
    RetrievalNetwork,
    RetrievalSettings,
    Weighting,
    softmax_of_distance,
)


class BLEEPSettings(RetrievalSettings):
    """Published settings of BLEEP."""

    epochs: int = Field(4, gt=0)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    batch_spots: int = Field(256, gt=1)
    backbone: str = "timm:resnet50.a1_in1k"
    normalised: bool = True
    dropout: float = Field(0.1, ge=0, lt=1)
    neighbours: int = Field(50, gt=0)
    average: Literal["plain", "nearest", "by_distance"] = "plain"


class BLEEP(RetrievalNetwork):
    """A contrastive loss with smoothed targets ties a patch to its spot's expression.

    Shapes, for a batch of b spots of any section, G genes and common width w::

        image    [b, w]   projection head of the backbone's feature
        spot     [b, w]   projection head of the expression [b, G]
        logits   [b, b]   spots in rows, images in columns
    """

    Settings = BLEEPSettings
    presets: ClassVar = {
        "quick": {
            "epochs": 40,
            "image_encoder": "embedding",
            "width": 64,
            "batch_spots": 128,
            "neighbours": 50,
        }
    }
    keep_last_batch = False

    def augment(self, images: Tensor) -> Tensor:
        return random_symmetries(images, quarter_turns=(0, 1, 2, 3))

    def spot_embedding(self, expression: Tensor, array_xy: Tensor) -> Tensor:
        return self.spot_head(expression)

    def contrast(self, spots: Tensor, images: Tensor) -> Tensor:
        by_spot, by_image = contrastive_losses(spots, images, self.settings.temperature)
        return (by_spot + by_image).mean() / 2

    @property
    def weighting(self) -> Weighting | None:
        return softmax_of_distance if self.settings.average == "by_distance" else None

    @property
    def averaged_spots(self) -> int:
        return 1 if self.settings.average == "nearest" else self.settings.neighbours

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        return constant_adamw(self, settings.learning_rate, settings.weight_decay)


def contrastive_losses(spots: Tensor, images: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Cross entropies of each spot and each image against targets smoothed by likeness.

    Logits are ``S E^T / T``; targets the row-wise softmax of ``(E E^T + S S^T) / (2 T)``, whose
    columns, which the images are held to, do not sum to 1. Gradients pass through the targets.

    Shapes: both ``[b, w]``, to two of ``[b]``.
    """
    logits = spots @ images.T / temperature
    likeness = (images @ images.T + spots @ spots.T) / (2 * temperature)
    targets = likeness.softmax(dim=1)
    by_spot = -(targets * logits.log_softmax(dim=1)).sum(dim=1)
    by_image = -(targets * logits.log_softmax(dim=0)).sum(dim=0)
    return by_spot, by_image
