"""ST-Net: a DenseNet trained on single patches, predictions averaged over eight views.

He, Bergenstrahle, Stenbeck, Abid, Andersson, Borg, Maaskola, Lundeberg, Zou: Integrating spatial
gene expression and breast tumour morphology via deep learning. Nature Biomedical Engineering 4,
2020, doi 10.1038/s41551-020-0578-x.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.features.encoders.encoder import IMAGENET_MEAN, IMAGENET_STD
from reg2st.models.augment import random_symmetries, symmetries
from reg2st.models.backbone import PATCHES_AT_A_TIME, Backbone
from reg2st.models.batches import Spots, mixed_batches, number_of_batches
from reg2st.models.interface import (
    Inputs,
    Network,
    NetworkSettings,
    SectionTensors,
    Sizes,
    stacked,
)
from reg2st.models.optimisers import constant_adamw
from reg2st.models.pixels import centre_images


class STNetSettings(NetworkSettings):
    """Published settings of ST-Net; the preset ``port`` has those of a later port."""

    epochs: int = Field(50, gt=0)
    learning_rate: float = Field(1e-6, gt=0)
    optimiser: Literal["sgd", "adamw"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0)
    batch_spots: int = Field(32, gt=0)
    backbone: str = "timm:densenet121.tv_in1k"
    patch_px: int = Field(224, gt=0, le=224)
    pixel_scale: Literal["training", "imagenet"] = Field(
        "training", description="whose mean and standard deviation pixels are normalised by"
    )
    starts_at_mean: bool = Field(True, description="whether the first prediction is the mean")
    loss: Literal["sum", "mean"] = Field("sum", description="over the spots of a batch")
    cut_at_zero: bool = False
    views: Literal[1, 8] = 8


class STNet(Network):
    """Every layer of an ImageNet network is trained on the patches of all sections together.

    Shapes at each step, for b patches of s pixels and G genes::

        images      [b, 3, s, s]          rows, columns; normalised
        map         [b, 1024, s/32, s/32] DenseNet-121, batch norm, ReLU
        feature     [b, 1024]             mean over positions
        expression  [b, G]                linear

    A spot's prediction is the mean over the eight symmetries of its patch.
    """

    Settings = STNetSettings
    presets: ClassVar = {
        "port": {
            "learning_rate": 1e-4,
            "optimiser": "adamw",
            "weight_decay": 0.01,
            "batch_spots": 128,
            "pixel_scale": "imagenet",
            "starts_at_mean": False,
            "loss": "mean",
            "cut_at_zero": True,
            "views": 1,
        },
        "quick": {
            "epochs": 2,
            "learning_rate": 3e-4,
            "optimiser": "adamw",
            "backbone": "efficientnet_lite0",
            "patch_px": 64,
            "loss": "mean",
            "views": 1,
        },
    }

    def __init__(self, settings: STNetSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.backbone = Backbone(settings.backbone, normalised=False)
        self.head = nn.Linear(self.backbone.width, sizes.genes)
        self.register_buffer("pixel_mean", torch.tensor(IMAGENET_MEAN))
        self.register_buffer("pixel_std", torch.tensor(IMAGENET_STD))

    @classmethod
    def inputs(cls, settings: STNetSettings) -> Inputs:
        return Inputs(patches=True, weights=settings.backbone)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self.backbone.start_from(weights)

    @torch.no_grad()
    def prepare(self, sections: list[SectionTensors]) -> None:
        self.backbone.check_started()
        if self.settings.pixel_scale == "training":
            mean, std = pixel_scale(sections, self.settings.patch_px)
            self.pixel_mean.copy_(mean)
            self.pixel_std.copy_(std)
        if self.settings.starts_at_mean:
            self.head.weight.zero_()
            self.head.bias.copy_(stacked(sections, "expression").mean(dim=0))

    def batches(
        self, sections: list[SectionTensors], generator: torch.Generator
    ) -> Iterable[Spots]:
        return mixed_batches(sections, self.settings.batch_spots, generator)

    def steps_per_epoch(self, sections: list[SectionTensors]) -> int:
        return number_of_batches(sections, self.settings.batch_spots)

    def losses(self, spots: Spots) -> dict[str, Tensor]:
        images = self.normalised(centre_images(spots.gathered("patches"), self.settings.patch_px))
        images = random_symmetries(images, quarter_turns=(0, 1))
        return {"squared_error": self.squared_error(images, spots.gathered("expression"))}

    def squared_error(self, images: Tensor, expression: Tensor) -> Tensor:
        """The loss of a batch: normalised images ``[b, 3, s, s]``, targets ``[b, G]``."""
        mean = F.mse_loss(self.expression(self.backbone(images)), expression)
        return mean * len(images) if self.settings.loss == "sum" else mean

    def forward(self, section: SectionTensors) -> Tensor:
        parts = torch.arange(section.n_spots).split(PATCHES_AT_A_TIME)
        images = (centre_images(section.patches[rows], self.settings.patch_px) for rows in parts)
        return torch.cat([self.over_views(self.normalised(each)) for each in images])

    def over_views(self, images: Tensor) -> Tensor:
        """Mean prediction ``[b, G]`` over the views of normalised images ``[b, 3, s, s]``."""
        views = symmetries(images)[: self.settings.views]
        return torch.stack([self.expression(self.backbone(view)) for view in views]).mean(dim=0)

    def expression(self, maps: Tensor) -> Tensor:
        """Prediction ``[b, G]`` from the rectified last map ``[b, D, rows, columns]``."""
        prediction = self.head(maps.mean(dim=(2, 3)))
        return prediction.clamp(min=0) if self.settings.cut_at_zero else prediction

    def normalised(self, images: Tensor) -> Tensor:
        """Images ``[b, 3, s, s]``, 0..1, by the channels' mean and standard deviation."""
        return (images - self.pixel_mean.view(3, 1, 1)) / self.pixel_std.view(3, 1, 1)

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        if settings.optimiser == "adamw":
            return constant_adamw(self, settings.learning_rate, settings.weight_decay)
        sgd = torch.optim.SGD(
            self.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        return sgd, torch.optim.lr_scheduler.ConstantLR(sgd, factor=1.0)


def pixel_scale(sections: list[SectionTensors], side_px: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``[3]`` of each channel over all pixels of all patches."""
    pixels, total, squares = 0, torch.zeros(3).double(), torch.zeros(3).double()
    for section in sections:
        for rows in torch.arange(section.n_spots).split(PATCHES_AT_A_TIME):
            images = centre_images(section.patches[rows], side_px).double().cpu()
            pixels += images[:, 0].numel()
            total += images.sum(dim=(0, 2, 3))
            squares += images.square().sum(dim=(0, 2, 3))
    mean = total / pixels
    return mean, (squares / pixels - mean.square()).clamp(min=1e-12).sqrt()
