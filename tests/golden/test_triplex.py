"""TRIPLEX gives what the released implementation gave."""

import pytest
import torch

from reg2st.features.tiles import on_slide as lies_on_slide
from reg2st.features.tiles import tile_offsets
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.triplex import (
    SURROUNDINGS,
    TRIPLEX,
    Predictions,
    TRIPLEXSettings,
    mask,
)

SMALL = {
    "backbone": "timm:test_resnet",
    "fusion_blocks": 2,
    "fusion_heads": 2,
    "fusion_ratio": 2,
    "global_blocks": 3,
    "global_heads": 4,
    "global_ratio": 1.5,
    "neighbour_blocks": 2,
    "neighbour_heads": 3,
    "neighbour_ratio": 0.5,
}
IN_BLOCK = {
    "0.norm": "attention_norm",
    "0.fn.to_qkv": "attention.qkv",
    "0.fn.to_out.0": "attention.out",
    "1.norm": "feedforward_norm",
    "1.fn.net.0": "feedforward.0",
    "1.fn.net.3": "feedforward.3",
}
IN_FUSION = IN_BLOCK | {"0.fn.to_q": "query", "0.fn.to_kv": "key_value", "0.fn.to_out.0": "out"}
OUTER = {
    "target_linear": "target_linear",
    "neighbor_encoder.norm": "neighbour_encoder.norm",
    "global_encoder.pos_layer.proj": "global_encoder.position",
    "global_encoder.norm": "global_encoder.norm",
    "fusion_encoder.norm": "fusion_norm",
    "fc": "heads.fusion",
    "fc_target": "heads.target",
    "fc_neighbor": "heads.neighbour",
    "fc_global": "heads.section",
}
STACKS = {
    "neighbor_encoder.layer.layers": ("neighbour_encoder.blocks", 0, IN_BLOCK),
    "global_encoder.layer1.layers": ("global_encoder.blocks", 0, IN_BLOCK),
    "global_encoder.layer2.layers": ("global_encoder.blocks", 1, IN_BLOCK),
    "fusion_encoder.fusion_layer.layers": ("fusion_blocks", 0, IN_FUSION),
}


def our_name(released):
    layer, _, kind = released.rpartition(".")
    if layer in OUTER:
        return f"{OUTER[layer]}.{kind}"
    start, (place, first, inner) = next(
        (start, stack) for start, stack in STACKS.items() if layer.startswith(start)
    )
    block, part = layer.removeprefix(f"{start}.").split(".", 1)
    if kind == "attention_biases":
        return f"neighbour_encoder.biases.{block}"
    return f"{place}.{int(block) + first}.{inner[part]}.{kind}"


def our_weight(released, value):
    """The released global encoder's rows go by head, feature, then query, key or value."""
    if released.startswith("global_encoder") and "to_qkv" in released:
        return value.view(4, 6, 3, 24).permute(2, 0, 1, 3).reshape(72, 24)
    return value


@pytest.fixture(scope="module")
def golden(released):
    return released("triplex")


@pytest.fixture(scope="module")
def model(golden):
    model = TRIPLEX(TRIPLEXSettings(**SMALL), Sizes(genes=11, features=24)).eval()
    model.target_linear = torch.nn.Linear(512, 24)
    state = {
        our_name(name.removeprefix("param/")): our_weight(name.removeprefix("param/"), value)
        for name, value in golden.items()
        if name.startswith("param/")
    }
    own = {name for name in model.state_dict() if not name.startswith("backbone.")}
    assert state.keys() == own
    model.load_state_dict(state, strict=False)
    return model


@pytest.fixture(scope="module")
def section(golden):
    return SectionTensors(
        "S1", "P1", golden["input/array_xy"], embedding=golden["input/global_embedding"]
    )


@pytest.fixture(scope="module")
def on_slide(golden):
    return golden["input/neighbour_mask"].bool()


@pytest.fixture
def tokens(model, golden, section, on_slide):
    return (
        model.target_tokens(golden["input/target_feature_map"]),
        model.neighbour_encoder(golden["input/neighbour_embedding"], on_slide),
        on_slide,
        model.global_tokens(section),
    )


def test_tiles_on_the_slide(golden, on_slide):
    offsets, tile_px = tile_offsets(224, SURROUNDINGS.side, SURROUNDINGS.share)
    corners = golden["input/pixel_xy"].numpy()[:, None] - 112 + offsets
    width_height = golden["input/slide_width_height"].tolist()
    ours = lies_on_slide(corners, tile_px, width_height)
    assert torch.equal(torch.from_numpy(ours), on_slide)


@torch.no_grad()
def test_neighbour_tokens(model, golden, on_slide, relative_error):
    encoder, tiles = model.neighbour_encoder, golden["input/neighbour_embedding"]
    block, bias = encoder.blocks[0], encoder.biases[0]
    attended = block.attention(block.attention_norm(tiles), bias[:, encoder.apart] + mask(on_slide))
    assert relative_error(attended[:8], golden["output/neighbour_first_attention"]) < 1e-5
    tokens = encoder(tiles, on_slide)
    assert relative_error(tokens, golden["output/neighbour_tokens"]) < 1e-5
    before_norm = torch.nn.functional.layer_norm(golden["output/neighbour_layers"], (24,))
    ours = (tokens[:8] - encoder.norm.bias) / encoder.norm.weight
    assert relative_error(ours, before_norm) < 1e-5


@torch.no_grad()
def test_global_tokens(model, golden, section, relative_error):
    encoder, feature = model.global_encoder, section.embedding
    first = encoder.blocks[0]
    attended = first.attention(first.attention_norm(feature))
    assert relative_error(attended, golden["output/global_first_attention"]) < 1e-5
    feature = first(feature)
    assert relative_error(feature, golden["output/global_first"]) < 1e-5
    feature = encoder.placed(feature, section.array_xy)
    assert relative_error(feature, golden["output/global_position"]) < 1e-5
    for block in encoder.blocks[1:]:
        feature = block(feature)
    assert relative_error(feature, golden["output/global_last"]) < 1e-5
    assert relative_error(model.global_tokens(section), golden["output/global_tokens"]) < 1e-5


@torch.no_grad()
def test_fusion_and_predictions(model, golden, tokens, on_slide, relative_error):
    target, neighbour, _, section = tokens
    assert relative_error(target, golden["output/target_tokens"]) < 1e-5
    attended = model.fusion_blocks[0].attended(section.unsqueeze(1), target).squeeze(1)
    assert relative_error(attended, golden["output/fusion_first_attention_target"]) < 1e-5
    by_target = model.attending(section, target)
    assert relative_error(by_target, golden["output/fusion_target"]) < 1e-5
    by_neighbour = model.attending(section, neighbour, mask(on_slide))
    assert relative_error(by_neighbour, golden["output/fusion_neighbour"]) < 1e-5
    fused = model.fused(*tokens)
    assert relative_error(fused, golden["output/fusion_feature"]) < 1e-5
    uncut = model.heads["fusion"](fused)
    assert relative_error(uncut, golden["output/unclamped_prediction"]) < 1e-5
    predictions = model.predictions(*tokens)
    for part, name in zip(Predictions._fields, NAMES, strict=True):
        released = golden[f"output/prediction{name}"]
        assert relative_error(getattr(predictions, part), released) < 1e-5


NAMES = ("", "_target", "_neighbour", "_global")


def test_losses_and_gradients(model, golden, tokens, relative_error):
    losses = model.compared(model.predictions(*tokens), golden["input/target_log_expression"])
    for part, name in zip(Predictions._fields[1:], NAMES[1:], strict=True):
        assert relative_error(losses[part] / 0.7, golden[f"output/loss{name}"]) < 1e-5
        distil = losses[f"distil_{part}"] / 0.3
        assert relative_error(distil, golden[f"output/loss_distil{name}"]) < 1e-5
    assert relative_error(losses["fusion"], golden["output/loss_fusion"]) < 1e-5
    total = sum(losses.values())
    assert relative_error(total, golden["output/loss_total"]) < 1e-5
    parameters = dict(model.named_parameters())
    for name, released in golden.items():
        if name.startswith("output/gradient/"):
            parameter = parameters[our_name(name.removeprefix("output/gradient/"))]
            (gradient,) = torch.autograd.grad(total, parameter, retain_graph=True)
            assert relative_error(gradient, released) < 1e-5, name


@pytest.mark.parametrize(
    ("settings", "genes", "parameters"),
    [({}, 785, 30_392_116), (TRIPLEX.presets["cscc"], 171, 27_560_236)],
    ids=["her2st", "cscc"],
)
def test_parameter_count_at_published_sizes(settings, genes, parameters):
    settings = TRIPLEXSettings(**settings)
    with torch.device("meta"):
        model = TRIPLEX(settings, Sizes(genes=genes, features=512))
    assert sum(each.numel() for each in model.parameters()) == parameters
