"""THItoGene gives what the released implementation gave, with the adjacency's axis set right."""

import numpy as np
import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import Sizes
from reg2st.models.pixels import as_channel_x_y
from reg2st.models.thitogene import THItoGene, THItoGeneSettings, squash

SMALL = {
    "capsules": 3,
    "capsule_size": 4,
    "transformer_blocks": 1,
    "heads": 2,
    "feedforward_width": 32,
    "graph_heads": 2,
    "graph_head_size": 12,
    "graph_width": 8,
    "head_width": 16,
}

RELEASED_NAMES = {
    "dynamic_convolution": "odconv2d",
    "dynamic_convolution.squeeze.0": "odconv2d.attention.fc",
    "dynamic_convolution.squeeze.1": "odconv2d.attention.bn",
    "dynamic_convolution.channel_attention": "odconv2d.attention.channel_fc",
    "dynamic_convolution.filter_attention": "odconv2d.attention.filter_fc",
    "dynamic_convolution.position_attention": "odconv2d.attention.spatial_fc",
    "dynamic_convolution.candidate_attention": "odconv2d.attention.kernel_fc",
    "capsules.primary": "caps_layer.primary_caps.depthwise_conv",
    "positions.x": "x_embed",
    "positions.y": "y_embed",
    "blocks.0.attention_norm": "vit.transformer.layers.0.0.norm",
    "blocks.0.attention.qkv": "vit.transformer.layers.0.0.fn.to_qkv",
    "blocks.0.attention.out": "vit.transformer.layers.0.0.fn.to_out.0",
    "blocks.0.feedforward_norm": "vit.transformer.layers.0.1.norm",
    "blocks.0.feedforward.0": "vit.transformer.layers.0.1.fn.net.0",
    "blocks.0.feedforward.3": "vit.transformer.layers.0.1.fn.net.3",
    "head.0": "gene_head.0",
    "head.2": "gene_head.2",
    "head.3": "gene_head.3",
} | {
    f"capsules.convolutions.{3 * layer + offset}": f"caps_layer.{name}{layer + 1}"
    for layer in range(4)
    for offset, name in enumerate(["conv", "batch_norm"])
}


@pytest.fixture(scope="module")
def golden(released):
    golden = released("thitogene")
    golden["patches"] = as_channel_x_y(golden["input/patches_nhwc"])
    golden["edge_index"] = golden["input/adjacency"].nonzero().t().flip(0)
    return golden


def graph_attention_state(golden, heads):
    """W and a of several released heads, in PyTorch Geometric's layout."""
    spot, neighbour = zip(
        *(golden[f"param/gat.{head}.a"].flatten().chunk(2) for head in heads), strict=True
    )
    return {
        "lin.weight": torch.cat([golden[f"param/gat.{head}.W"].t() for head in heads]),
        "att_dst": torch.stack(spot)[None],
        "att_src": torch.stack(neighbour)[None],
    }


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    model = THItoGene(THItoGeneSettings(**SMALL), Sizes(genes=11)).eval()
    state = {
        "capsules.vote": golden["param/caps_layer.digit_caps.W"],
        "capsules.prior": golden["param/caps_layer.digit_caps.b"],
    }
    for layer, heads in {"near": ["attention_0", "attention_1"], "merge": ["out_att"]}.items():
        weights = graph_attention_state(golden, heads)
        state |= {f"{layer}.{name}": weight for name, weight in weights.items()}
    state |= renamed_state(model, golden, RELEASED_NAMES)
    model.load_state_dict(state)
    return model


@torch.no_grad()
def test_dynamic_convolution(model, golden, relative_error):
    maps = model.maps(golden["patches"][:2])
    assert relative_error(maps, golden["output/odconv_relu"]) < 1e-5


@torch.no_grad()
def test_capsules(model, golden, relative_error):
    capsules = model.capsules(model.maps(golden["patches"]))
    assert relative_error(capsules, golden["output/capsules"]) < 1e-5


@torch.no_grad()
def test_prediction(model, golden, relative_error):
    prediction = model.expression(golden["patches"], golden["input/array_xy"], golden["edge_index"])
    assert relative_error(prediction, golden["output/prediction"]) < 1e-5


def test_graph_has_the_released_neighbour_distances(golden, assert_same_distances):
    array_xy = golden["input/array_xy"]
    ours = nearest_neighbours(array_xy.numpy(), 4)
    assert_same_distances(array_xy, torch.from_numpy(ours), golden["edge_index"])


def test_parameter_count_at_published_sizes():
    with torch.device("meta"):
        model = THItoGene(THItoGeneSettings(), Sizes(genes=785))
    assert sum(parameter.numel() for parameter in model.parameters()) == 63_586_712


def test_squash_keeps_directions_and_bounds_lengths():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3e3, 4e3]])
    lengths = torch.tensor([1 - np.exp(-5), 0, 1], dtype=torch.float32)
    squashed = squash(vectors)
    torch.testing.assert_close(squashed.norm(dim=-1), lengths)
    torch.testing.assert_close(squashed[0] / squashed[0].norm(), torch.tensor([0.6, 0.8]))
