"""A convolutional network that is trained from an encoder's weights, as a part of a method."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reg2st.base.errors import UserError
from reg2st.features.encoders.encoder import IMAGENET_MEAN, IMAGENET_STD

TIMM_NAMES = {"efficientnet_lite0": "tf_efficientnet_lite0"}
"""What timm calls encoders of the workflow that are not named ``timm:<name>``."""

PATCHES_AT_A_TIME = 64
"""Patches that are encoded at once outside training."""


class Backbone(nn.Module):
    """A network of timm's up to its last map, trained with what follows it.

    Args:
        encoder: an encoder of the workflow, ``timm:<name>`` or ``efficientnet_lite0``, whose
            architecture it has and whose weights it starts from.
        normalised: whether pixels are normalised by ImageNet's mean and standard deviation.

    Raises:
        UserError: the encoder is no such network.

    Shapes: float ``[b, 3, s, s]``, 0..1, to ``[b, width, s / 32, s / 32]``.
    """

    def __init__(self, encoder: str, *, normalised: bool) -> None:
        # timm takes seconds to import: settings and inputs do without it.
        from reg2st.features.encoders.torchvision_shim import import_timm

        super().__init__()
        if encoder not in TIMM_NAMES and not encoder.startswith("timm:"):
            raise UserError(
                f"A network cannot start from {encoder}: name efficientnet_lite0, or "
                "timm: and a convolutional network of timm."
            )
        name = TIMM_NAMES.get(encoder, encoder.removeprefix("timm:"))
        self.network = import_timm().create_model(
            name, pretrained=False, num_classes=0, global_pool=""
        )
        self.encoder = encoder
        self.width = self.network.num_features
        self.started = False
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if normalised else ((0.0,) * 3, (1.0,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take an encoder's weights, those of its classifier left out.

        Raises:
            UserError: the weights are of another architecture.
        """
        classifier = self.network.pretrained_cfg["classifier"]
        kept = {
            name: value for name, value in weights.items() if not name.startswith(f"{classifier}.")
        }
        try:
            self.network.load_state_dict(kept)
        except RuntimeError as error:
            raise UserError(
                f"The weights are not those of {self.encoder}: {str(error).splitlines()[1].strip()}"
            ) from None
        self.started = True

    def check_started(self) -> None:
        """Refuse to train a network that should have been given weights.

        Raises:
            UserError: it was not.
        """
        if not self.started:
            raise UserError(
                f"The network starts from the weights of {self.encoder}, which were not given."
            )


def without_last_activation(backbone: Backbone) -> Backbone:
    """The same DenseNet without the rectifier after its last batch norm."""
    backbone.network.features.norm5.act = nn.Identity()
    return backbone
