"""Self-distillation: predictions from augmented copies of a section teach the plain one.

Hist2ST's training (Zeng et al. 2022, section 2.5), which HGGEP takes over.
"""

from collections.abc import Iterable
from itertools import chain
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from reg2st.models.augment import LUMA, rotate
from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors
from reg2st.models.layers import POSITION_TABLES_OBSTACLE, ZINBHead, zinb_loss
from reg2st.models.pixels import as_channel_x_y, centre_patches
from reg2st.sections.targets import size_factors


class SelfDistilledSettings(NetworkSettings):
    """Settings of the losses, the augmentation and the learning rate."""

    epochs: int = Field(350, gt=0)
    learning_rate: float = Field(1e-5, gt=0)
    learning_rate_decay: float = Field(0.9, gt=0, le=1)
    decay_every_epochs: int = Field(50, gt=0)
    graph: str
    patch_px: int = Field(112, gt=0, le=224)
    zinb_weight: float = Field(0.25, ge=0)
    distillation_weight: float = Field(0.5, ge=0)
    augmented_passes: int = Field(5, gt=0)
    grey_probability: float = Field(0.1, ge=0, le=1)
    flip_probability: float = Field(0.2, ge=0, le=1)
    largest_rotation_degrees: float = Field(90, ge=0)


class SelfDistilledNetwork(Network):
    """A network over the patches of a section that is trained by several passes over them.

    A subclass says in ``features`` what it makes of the passes, p of them, and calls
    ``add_heads`` at the end of its construction::

        feature      [p, n, d]
        expression   [p, n, G]   LayerNorm, linear; ZINB heads on the same feature
    """

    sees_all_spots: ClassVar[bool] = True

    def add_heads(self, width: int) -> None:
        """The layers that read the last hidden feature, of that width."""
        genes = self.sizes.genes
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, genes))
        self.zinb_head = ZINBHead(width, genes)
        self.coefficient = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    @classmethod
    def inputs(cls, settings: SelfDistilledSettings) -> Inputs:
        return Inputs(patches=True, graph=settings.graph)

    @classmethod
    def slide_obstacle(cls, settings: SelfDistilledSettings) -> str | None:
        return POSITION_TABLES_OBSTACLE

    def features(self, passes: Iterable[Tensor], array_xy: Tensor, edge_index: Tensor) -> Tensor:
        """Last hidden feature ``[p, n, d]`` of each pass over the section's patches.

        Passes never mix: a pass has its own batch statistics, attention and graph.

        Shapes:
            passes: p tensors ``[n, 3, x, y]``, 0..1.
            array_xy: int64 ``[n, 2]``.
            edge_index: int64 ``[2, e]``.
        """
        raise NotImplementedError

    def forward(self, section: SectionTensors) -> Tensor:
        patches = as_channel_x_y(centre_patches(section.patches[:], self.settings.patch_px))
        feature = self.features([patches], section.array_xy, section.edge_index)[0]
        return self.head(feature)

    def losses(self, section: SectionTensors) -> dict[str, Tensor]:
        patches = as_channel_x_y(centre_patches(section.patches[:], self.settings.patch_px))
        augmented = (self.augment(patches) for _ in range(self.settings.augmented_passes))
        passes = self.features(chain([patches], augmented), section.array_xy, section.edge_index)
        feature = passes[0]
        prediction = self.head(feature)
        zinb = zinb_loss(section.counts, size_factors(section.counts), self.zinb_head(feature))
        return {
            "mse": F.mse_loss(prediction, section.expression),
            "zinb": self.settings.zinb_weight * zinb,
            "distillation": self.settings.distillation_weight
            * F.mse_loss(self.distil(passes[1:]), prediction),
        }

    def distil(self, features: Tensor) -> Tensor:
        """Prediction of several passes, weighted for each spot: ``[p, n, d]`` to ``[n, G]``."""
        weight = self.coefficient(features).softmax(dim=0)
        return (weight * self.head(features)).sum(dim=0)

    def augment(self, patches: Tensor) -> Tensor:
        """One random transform for all patches of a section: grey, rotation, flip.

        Drawn from PyTorch's global generator on the CPU, whatever the device.
        Corners that a rotation uncovers are black.

        Shapes: ``[n, 3, x, y]`` in and out.
        """
        settings = self.settings
        grey, angle, flip = torch.rand(3).tolist()
        if grey < settings.grey_probability:
            luma = torch.tensor(LUMA, device=patches.device).view(3, 1, 1)
            patches = (luma * patches).sum(dim=1, keepdim=True).expand_as(patches)
        patches = rotate(patches, (2 * angle - 1) * settings.largest_rotation_degrees)
        return patches.flip(-1) if flip < settings.flip_probability else patches

    def optimiser(
        self, steps_per_epoch: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        adam = torch.optim.Adam(self.parameters(), lr=settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.StepLR(
            adam, settings.decay_every_epochs * steps_per_epoch, settings.learning_rate_decay
        )
        return adam, schedule
