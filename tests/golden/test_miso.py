"""MISO gives what the released implementation gave."""

import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.miso import MISO, MISOSettings, cosine_loss

RELEASED_NAMES = {"embedding": "emb_layer", "head": "mlp"} | {
    f"blocks.{block}.{ours}": f"transformer.layers.{block}.{theirs}"
    for block in range(2)
    for ours, theirs in {
        "attention_norm": "0",
        "attention.qkv": "1.to_qkv",
        "attention.out": "1.to_out",
        "linear_norm": "2",
        "linear": "3.hidden_layers.0",
    }.items()
}


@pytest.fixture(scope="module")
def golden(released):
    return released("miso")


@pytest.fixture(scope="module")
def section(golden):
    edges = nearest_neighbours(golden["input/pixel_xy"].numpy(), 2)
    return SectionTensors(
        "S1",
        "P1",
        golden["input/array_xy"],
        embedding=golden["input/embedding"],
        edge_index=torch.from_numpy(edges),
        counts=golden["input/counts"],
        expression=golden["input/target_log_expression"],
    )


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    settings = MISOSettings(width=32, inner=16, heads=4, blocks=2)
    model = MISO(settings, Sizes(genes=11, features=20)).eval()
    state = renamed_state(model, golden, RELEASED_NAMES)
    released = [name for name in golden if name.startswith("param/") and "student" not in name]
    assert len(state) == len(released)
    model.load_state_dict(state, strict=False)
    return model


def test_neighbours_by_pixels(golden, section):
    neighbour, spot = section.edge_index
    for index, released in enumerate(golden["input/neighbours"].tolist()):
        assert {index, *neighbour[spot == index].tolist()} == set(released)


@torch.no_grad()
def test_blocks_step_by_step(model, golden, relative_error):
    neighbours = golden["input/neighbours"]  # each spot's three, itself among them
    spot = torch.arange(24).repeat_interleave(3)
    edge_index = torch.stack([neighbours.flatten(), spot])
    feature = model.embedding(golden["input/embedding"])
    assert relative_error(feature, golden["output/embedded"]) < 1e-5
    for index, block in enumerate(model.blocks):
        name = f"output/block{index}"
        normed = block.attention_norm(feature)
        assert relative_error(normed, golden[f"{name}_norm1"]) < 1e-5
        attention = block.attention
        query, key, _ = attention.qkv(normed).view(24, 3, 4, 4).unbind(1)
        weights = attention.weights(query[spot], key[edge_index[0]], spot)
        weights = weights.view(24, 3, 4).permute(2, 0, 1)
        assert relative_error(weights, golden[f"{name}_weights"]) < 1e-5
        attended = attention(normed, edge_index)
        assert relative_error(attended, golden[f"{name}_attention"]) < 1e-5
        after = feature + attended
        assert relative_error(after, golden[f"{name}_after_attention"]) < 1e-5
        assert relative_error(block.linear_norm(after), golden[f"{name}_norm2"]) < 1e-5
        feature = block(feature, edge_index)
        assert relative_error(feature, golden[name]) < 1e-5


@torch.no_grad()
def test_prediction_and_losses(model, golden, section, relative_error):
    raw = model.raw(section)
    assert relative_error(raw, golden["output/raw_prediction"]) < 1e-5
    assert relative_error(model(section), golden["output/prediction"]) < 1e-5
    assert relative_error(model.losses(section)["cosine"], golden["output/loss_cosine"]) < 1e-5
    on_expression = cosine_loss(raw, section.expression)
    assert relative_error(on_expression, golden["output/loss_cosine_on_log_expression"]) < 1e-5


@torch.no_grad()
def test_scale_after_training(model, section):
    fitted = MISO(model.settings, model.sizes).eval()
    fitted.load_state_dict(model.state_dict())
    before = fitted(section)
    fitted.finish([section])
    after = fitted(section)
    errors = [(each - section.expression).square().sum(dim=0) for each in (before, after)]
    assert (errors[1] <= errors[0] + 1e-5).all()
    unseen = section.expression.sum(dim=0) == 0
    assert unseen.any()
    assert (fitted.factor[unseen] == 1).all()


@pytest.mark.parametrize(("features", "millions"), [(768, 15.780), (1024, 16.304)])
def test_parameter_count_at_published_sizes(features, millions):
    with torch.device("meta"):
        model = MISO(MISOSettings(), Sizes(genes=785, features=features))
    parameters = sum(each.numel() for each in model.parameters())
    assert round(parameters / 1e6, 3) == millions
