"""HisToGene gives what the released implementation gave."""

import pytest
import torch

from reg2st.models.histogene import HisToGene, HisToGeneSettings
from reg2st.models.interface import SectionTensors, Sizes

SMALL = {"patch_px": 14, "width": 32, "blocks": 2, "feedforward_width": 64}

RELEASED_NAMES = {
    "patch_projection": "patch_embedding",
    "positions.x": "x_embed",
    "positions.y": "y_embed",
    "head.0": "gene_head.0",
    "head.1": "gene_head.1",
} | {
    f"blocks.{block}.{ours}": f"vit.transformer.layers.{block}.{theirs}"
    for block in range(2)
    for ours, theirs in {
        "attention_norm": "0.norm",
        "attention.qkv": "0.fn.to_qkv",
        "attention.out": "0.fn.to_out.0",
        "feedforward_norm": "1.norm",
        "feedforward.0": "1.fn.net.0",
        "feedforward.3": "1.fn.net.3",
    }.items()
}


@pytest.fixture(scope="module")
def golden(released):
    return released("histogene")


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    model = HisToGene(HisToGeneSettings(**SMALL), Sizes(genes=11)).eval()
    state = renamed_state(model, golden, RELEASED_NAMES)
    assert len(state) == sum(name.startswith("param/") for name in golden)
    model.load_state_dict(state)
    return model


@torch.no_grad()
def test_prediction(model, golden, relative_error):
    prediction = model.expression(golden["input/patches_nhwc"], golden["input/array_xy"])
    assert relative_error(prediction, golden["output/prediction"]) < 1e-5


def test_parameter_count_at_published_sizes():
    with torch.device("meta"):
        model = HisToGene(HisToGeneSettings(), Sizes(genes=785))
    assert sum(parameter.numel() for parameter in model.parameters()) == 106_648_337


def section_of(array_xy, seed=0):
    images = torch.Generator().manual_seed(seed)
    array_xy = torch.tensor(array_xy)
    patches = torch.randint(0, 256, (len(array_xy), 224, 224, 3), generator=images)
    return SectionTensors("S1", "P1", array_xy, patches=patches.to(torch.uint8))


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    settings = HisToGeneSettings(**SMALL)
    return HisToGene(settings, Sizes(genes=11)).eval()


@torch.no_grad()
def test_only_the_centre_of_a_patch_is_read(untrained, relative_error):
    section = section_of([[1, 1], [1, 2]])
    prediction = untrained(section)
    section.patches[:, :105] = 0
    torch.testing.assert_close(untrained(section), prediction)
    section.patches[:, 105:] = 0
    assert relative_error(untrained(section), prediction) > 1e-3
