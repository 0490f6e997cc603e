"""Phikon-v2 (Filiot et al. 2024): ViT-L/16, DINOv2 on histology, 0.5 µm/px tiles of 224 px."""

import dataclasses
import os
import re
from typing import TYPE_CHECKING

from reg2st.features.encoders.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, LoadedNetwork
from reg2st.features.encoders.hub import fetch_from_hub
from reg2st.features.encoders.weights import (
    fill,
    read_into,
    read_metadata,
    read_tensors,
    write_weights,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

REPOSITORY = "owkin/phikon-v2"
FILE = "model.safetensors"

_OUTER = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_LAYER = {
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}
_UNUSED = "embeddings.mask_token"


@dataclasses.dataclass(frozen=True)
class PhikonV2(Encoder):
    """The class token of timm's vision transformer with the hub's weights: 1,024 features."""

    name: str = "phikon_v2"
    weights: str = "phikon_v2"
    size_px: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    precision: str = "bfloat16"
    pooling: str = "token"
    features: int = 1024

    @property
    def licence(self) -> str:
        return "Owkin non-commercial licence (huggingface.co/owkin/phikon-v2)"

    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        files = fetch_from_hub(REPOSITORY, [FILE], lock)
        path = files.paths[FILE]
        tensors = timm_names(read_tensors(path))
        fill(build_network(), tensors, path, self.name)
        write_weights(
            out,
            tensors,
            weights=self.weights,
            revision=files.revision,
            sha256=files.sha256[FILE],
        )

    def load(self, weights: str | os.PathLike) -> LoadedNetwork:
        metadata = read_metadata(weights, self.weights)
        network = build_network()
        read_into(network, weights, self.name)
        return LoadedNetwork(self, metadata["revision"], metadata["sha256"], network.eval())


def build_network(width: int = 1024, depth: int = 24, heads: int = 16) -> "nn.Module":
    """A vision transformer like DINOv2's, on the meta device; the default sizes are ViT-L/16's."""
    import torch

    from reg2st.features.encoders.torchvision_shim import import_timm

    transformer = import_timm().models.vision_transformer.VisionTransformer
    with torch.device("meta"):
        return transformer(
            img_size=224,
            patch_size=16,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=4,
            init_values=1.0,
            num_classes=0,
            global_pool="token",
            weight_init="skip",
        )


def timm_names(published: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Tensors renamed from the hub's Dinov2 names to timm's; unknown names stay as they are.

    The hub's query, key and value projections become timm's single ``qkv``.
    """
    import torch

    renamed: dict[str, Tensor] = {}
    for key, tensor in published.items():
        if key == _UNUSED:
            continue
        match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", key)
        if match is None:
            renamed[_OUTER.get(key, key)] = tensor
            continue
        number, rest = match.groups()
        block = f"blocks.{number}"
        if part := re.fullmatch(r"attention\.attention\.(query|key|value)\.(weight|bias)", rest):
            projection, leaf = part.groups()
            prefix = f"encoder.layer.{number}.attention.attention"
            parts = [published.get(f"{prefix}.{each}.{leaf}") for each in ("query", "key", "value")]
            if projection == "query" and all(each is not None for each in parts):
                renamed[f"{block}.attn.qkv.{leaf}"] = torch.cat(parts)
            continue
        for theirs, ours in _LAYER.items():
            if rest == theirs or rest.startswith(f"{theirs}."):
                rest = ours + rest.removeprefix(theirs)
        renamed[f"{block}.{rest}"] = tensor
    return renamed
