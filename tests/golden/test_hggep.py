"""HGGEP gives what the released implementation gave, with its faults mended and as released."""

import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.hggep import HGGEP, HGGEPSettings, choose_hyperedges
from reg2st.models.interface import Sizes
from reg2st.models.layers import zinb_loss
from reg2st.models.pixels import as_channel_x_y
from reg2st.sections.targets import size_factors

SMALL = {
    "patch_px": 30,
    "backbone_channels": (4, 8, 12, 32, 48),
    "backbone_units": (2, 2, 2),
    "width": 16,
    "transformer_blocks": 2,
    "heads": 4,
    "head_size": 8,
    "feedforward_width": 24,
    "hypergraph_width": 12,
}
OURS = {
    "conv0.branch1": "stem.plain",
    "conv0.branch2.0.conv": "stem.cross.0",
    "conv0.branch2": "stem.cross",
    "conv0.branch_last": "stem.join",
    "layer1": "backbone.conv1",
    "layer2": "backbone.stage2",
    "layer3": "backbone.stage3",
    "layer4": "backbone.stage4",
    "layer5": "backbone.conv5",
    "x_embed": "positions.x",
    "y_embed": "positions.y",
    "jknet.0": "sequence",
    "hgnn.conv1": "hypergraph.first",
    "hgnn.conv2": "hypergraph.second",
    "hgnn.norm": "hypergraph.norm",
    "gene_head": "head",
    "mean.0": "zinb_head.mean",
    "disp.0": "zinb_head.dispersion",
    "pi.0": "zinb_head.dropout",
    "coef": "coefficient",
} | {f"down{depth + 4}": f"depths.{depth}" for depth in range(3)}
OURS |= {f"ViT{stack + 1}": f"contexts.{stack}" for stack in range(3)}
INNER = {
    "channel_attention.shared_MLP": "channel",
    "spatial_attention.conv2d": "position",
    "attn.norm": "attention_norm",
    "attn.fn.to_qkv": "attention.qkv",
    "attn.fn.to_out.0": "attention.out",
    "ff.norm": "feedforward_norm",
    "ff.fn.net": "feedforward",
}


def our_name(released):
    start = max((each for each in OURS if f"{released}.".startswith(f"{each}.")), key=len)
    name = OURS[start] + released.removeprefix(start)
    for theirs, ours in INNER.items():
        name = name.replace(theirs, ours)
    return name


@pytest.fixture(scope="module")
def golden(released):
    golden = released("hggep")
    golden["patches"] = as_channel_x_y(golden["input/patches_nhwc"]) / 255
    golden["edge_index"] = golden["input/adjacency"].nonzero().t().flip(0)
    return golden


def new(golden, **settings):
    model = HGGEP(HGGEPSettings(**SMALL, **settings), Sizes(genes=11)).eval()
    state = {
        our_name(name.removeprefix("param/")): value
        for name, value in golden.items()
        if name.startswith("param/")
    }
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    assert state.keys() == model.state_dict().keys() - counters
    model.load_state_dict(state, strict=False)
    return model


@pytest.fixture(scope="module")
def model(golden):
    return new(golden)


@pytest.fixture(scope="module")
@torch.no_grad()
def feature(model, golden):
    return model.features([golden["patches"]], golden["input/array_xy"], golden["edge_index"])[0]


@torch.no_grad()
def test_network_depth_by_depth(model, golden, relative_error):
    maps = model.stem(golden["patches"])
    assert relative_error(maps[:6], golden["output/stem"]) < 1e-5
    backbone = model.backbone
    for part, name in {
        "conv1": "conv1",
        "stage2": "stage2",
        "stage3": "stage3",
        "stage4": "stage4",
        "conv5": "conv5",
    }.items():
        maps = getattr(backbone, part)(maps)
        expected = golden[f"output/backbone_{name}"]
        assert relative_error(maps[: len(expected)], expected) < 1e-5
    for depth, seen in enumerate(model.seen(golden["patches"]), start=4):
        assert relative_error(seen, golden[f"output/h{depth}"]) < 1e-5


@torch.no_grad()
def test_contexts_and_hypergraph(model, golden, feature, relative_error):
    where = golden["input/array_xy"], golden["edge_index"]
    steps = model.steps(golden["patches"], *where)
    for index, name in enumerate(
        ["h4_transformed", "h5_transformed", "h6_transformed", "hypergraph_feature"]
    ):
        assert relative_error(steps[index], golden[f"output/{name}"]) < 1e-5
    sequence, _ = model.sequence(steps)
    assert relative_error(sequence, golden["output/sequence_feature"]) < 1e-5
    assert relative_error(feature, golden["output/feature"]) < 1e-5


@torch.no_grad()
def test_hyperedges(model, golden, relative_error):
    feature = sum(golden[f"output/h{depth}_transformed"] for depth in (4, 5, 6))
    chosen = choose_hyperedges(feature, golden["edge_index"])
    assert torch.equal(chosen.spot, golden["output/hyperedge_spot"])
    assert torch.equal(chosen.edge, golden["output/hyperedge_of"])
    assert relative_error(chosen.score, golden["output/hyperedge_incidence_weight"]) < 1e-5
    assert relative_error(chosen.weight, golden["output/hyperedge_weight"]) < 1e-5
    memberships = torch.stack([chosen.spot, chosen.edge])
    first = model.hypergraph.first(feature, memberships, chosen.weight)
    assert relative_error(first, golden["output/hypergraph_conv1"]) < 1e-5


@torch.no_grad()
def test_prediction_zinb_and_losses(model, golden, feature, relative_error):
    prediction = model.head(feature)
    assert relative_error(prediction, golden["output/prediction"]) < 1e-5
    target = golden["input/target_log_expression"]
    mse = torch.nn.functional.mse_loss(prediction, target)
    assert relative_error(mse, golden["output/loss_mse"]) < 1e-5
    zinb = model.zinb_head(feature)
    for ours, name in zip(zinb, ("mean", "dispersion", "dropout"), strict=True):
        assert relative_error(ours, golden[f"output/zinb_{name}"]) < 1e-5
    factors = size_factors(golden["input/counts"])
    assert relative_error(factors, golden["input/size_factor"]) < 1e-5
    loss = zinb_loss(golden["input/counts"], factors, zinb)
    assert relative_error(loss, golden["output/loss_zinb"]) < 1e-5
    coefficient = model.coefficient(feature)
    assert relative_error(coefficient, golden["output/augmentation_coefficient"]) < 1e-5


@torch.no_grad()
def test_distillation(model, golden, feature, relative_error):
    patches = golden["patches"]
    passes = model.features(
        [patches.flip(-1), patches.flip(-2), patches / 4],
        golden["input/array_xy"],
        golden["edge_index"],
    )
    distilled = model.distil(passes)
    assert relative_error(distilled, golden["output/distilled_prediction"]) < 1e-5
    loss = torch.nn.functional.mse_loss(distilled, model.head(feature))
    assert relative_error(loss, golden["output/loss_distillation"]) < 1e-5
    total = golden["output/loss_mse"] + 0.25 * golden["output/loss_zinb"] + 0.5 * loss
    assert relative_error(total, golden["output/loss_total"]) < 1e-5


@torch.no_grad()
def test_as_released(golden, relative_error):
    """Scores of memberships in place of weights of hyperedges."""
    model = new(golden, hyperedge_weights="as_released")
    where = golden["input/array_xy"], golden["edge_index"]
    steps = model.steps(golden["patches"], *where)
    assert relative_error(steps[3], golden["output/released_hypergraph_feature"]) < 1e-5
    feature = model.feature(golden["patches"], *where)
    assert relative_error(feature, golden["output/released_feature"]) < 1e-5
    assert relative_error(model.head(feature), golden["output/released_prediction"]) < 1e-5


@torch.no_grad()
def test_released_predictions_are_random(golden):
    where = golden["input/array_xy"], golden["edge_index"]
    released, mended = new(golden, random_predictions=True), new(golden)
    torch.manual_seed(0)
    first, second = (released.feature(golden["patches"], *where) for _ in range(2))
    assert not torch.allclose(first, second)
    first, second = (mended.feature(golden["patches"], *where) for _ in range(2))
    assert torch.equal(first, second)


def test_graph_has_the_released_neighbour_distances(golden, assert_same_distances):
    array_xy = golden["input/array_xy"]
    ours = nearest_neighbours(array_xy.numpy(), 8, radius=2)
    assert_same_distances(array_xy, torch.from_numpy(ours), golden["edge_index"])


def test_starts_from_the_weights_of_torchvisions_network(model):
    from torchvision.models import ShuffleNetV2

    published = ShuffleNetV2([2, 2, 2], list(SMALL["backbone_channels"]))
    started = HGGEP(model.settings, model.sizes)
    started.start_from(published.state_dict())
    for name, value in started.backbone.state_dict().items():
        assert torch.equal(value, published.state_dict()[name])


def test_parameter_count_at_published_sizes():
    with torch.device("meta"):
        model = HGGEP(HGGEPSettings(), Sizes(genes=785))
    assert round(sum(each.numel() for each in model.parameters()) / 1e6, 3) == 116.365
