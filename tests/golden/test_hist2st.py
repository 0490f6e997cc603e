"""Hist2ST gives what the released implementation gave."""

import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.augment import rotate
from reg2st.models.hist2st import Hist2ST, Hist2STSettings
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.layers import zinb_loss
from reg2st.models.pixels import as_channel_x_y
from reg2st.sections.targets import size_factors

SMALL = {
    "patch_px": 28,
    "channels": 16,
    "transformer_blocks": 2,
    "heads": 4,
    "feedforward_width": 32,
    "graph_layers": 3,
}

RELEASED_NAMES = (
    {
        "patch_embedding.0": "patch_embedding",
        "reduction": "vit.transformer.down.0",
        "positions.x": "x_embed",
        "positions.y": "y_embed",
        "depth_reader": "vit.transformer.jknet.0",
        "head.0": "gene_head.0",
        "head.1": "gene_head.1",
        "zinb_head.mean": "mean.0",
        "zinb_head.dispersion": "disp.0",
        "zinb_head.dropout": "pi.0",
        "coefficient.0": "coef.0",
        "coefficient.2": "coef.2",
    }
    | {
        f"mixer.{block}.{ours}": f"vit.transformer.layer1.{block}.{theirs}"
        for block in range(2)
        for ours, theirs in {
            "depthwise.0": "dw.0",
            "depthwise.1": "dw.1",
            "depthwise.3": "dw.3",
            "depthwise.4": "dw.4",
            "pointwise.0": "pw.0",
            "pointwise.2": "pw.2",
        }.items()
    }
    | {
        f"blocks.{block}.{ours}": f"vit.transformer.layer2.{block}.{theirs}"
        for block in range(2)
        for ours, theirs in {
            "attention_norm": "attn.norm",
            "attention.qkv": "attn.fn.to_qkv",
            "attention.out": "attn.fn.to_out.0",
            "feedforward_norm": "ff.norm",
            "feedforward.0": "ff.fn.net.0",
            "feedforward.3": "ff.fn.net.3",
        }.items()
    }
    | {f"graph_layers.{layer}.lin_l": f"vit.transformer.layer3.{layer}" for layer in range(3)}
)


@pytest.fixture(scope="module")
def golden(released):
    golden = released("hist2st")
    golden["patches"] = as_channel_x_y(golden["input/patches_nhwc"])
    golden["edge_index"] = golden["input/adjacency"].nonzero().t().flip(0)
    return golden


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    model = Hist2ST(Hist2STSettings(**SMALL), Sizes(genes=11)).eval()
    state = renamed_state(model, golden, RELEASED_NAMES)
    assert len(state) == sum(name.startswith("param/") for name in golden)
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="module")
@torch.no_grad()
def feature(model, golden):
    return model.features([golden["patches"]], golden["input/array_xy"], golden["edge_index"])[0]


@torch.no_grad()
def test_prediction_and_its_feature(model, golden, feature, relative_error):
    assert relative_error(feature, golden["output/feature"]) < 1e-5
    prediction = model.head(feature)
    assert relative_error(prediction, golden["output/prediction"]) < 1e-5
    mse = torch.nn.functional.mse_loss(prediction, golden["input/target_log_expression"])
    assert relative_error(mse, golden["output/loss_mse"]) < 1e-5


@torch.no_grad()
def test_zinb(model, golden, feature, relative_error):
    zinb = model.zinb_head(feature)
    assert relative_error(zinb.mean, golden["output/zinb_mean"]) < 1e-5
    assert relative_error(zinb.dispersion, golden["output/zinb_dispersion"]) < 1e-5
    assert relative_error(zinb.dropout, golden["output/zinb_dropout"]) < 1e-5
    loss = zinb_loss(golden["input/counts"], size_factors(golden["input/counts"]), zinb)
    assert relative_error(loss, golden["output/loss_zinb"]) < 1e-5


@torch.no_grad()
def test_distillation(model, golden, feature, relative_error):
    coefficient = model.coefficient(feature)
    assert relative_error(coefficient, golden["output/augmentation_coefficient"]) < 1e-5
    patches = golden["patches"]
    passes = model.features(
        [patches.flip(-1), patches.flip(-2), patches / 2],
        golden["input/array_xy"],
        golden["edge_index"],
    )
    distilled = model.distil(passes)
    assert relative_error(distilled, golden["output/distilled_prediction"]) < 1e-5


def test_graph_has_the_released_neighbour_distances(golden, assert_same_distances):
    array_xy = golden["input/array_xy"]
    ours = nearest_neighbours(array_xy.numpy(), 4, radius=2)
    assert_same_distances(array_xy, torch.from_numpy(ours), golden["edge_index"])


def test_parameter_count_at_published_sizes():
    with torch.device("meta"):
        model = Hist2ST(Hist2STSettings(), Sizes(genes=785))
    assert sum(parameter.numel() for parameter in model.parameters()) == 75_789_833


def section_of(array_xy, seed=0):
    images = torch.Generator().manual_seed(seed)
    edge_index = torch.from_numpy(nearest_neighbours(array_xy, 4, radius=2))
    array_xy = torch.tensor(array_xy)
    patches = torch.randint(0, 256, (len(array_xy), 224, 224, 3), generator=images)
    return SectionTensors(
        "S1", "P1", array_xy, patches=patches.to(torch.uint8), edge_index=edge_index
    )


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return Hist2ST(Hist2STSettings(**SMALL), Sizes(genes=11)).eval()


def test_passes_do_not_mix(untrained):
    """Each pass has its own batch statistics, attention and graph, in training too."""
    section = section_of([[1, 1], [1, 2], [7, 3], [63, 0], [2, 2], [2, 1]])
    still = Hist2ST(Hist2STSettings(**SMALL, dropout=0), Sizes(genes=11))
    still.load_state_dict(untrained.state_dict())
    patches = torch.rand(2, 6, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    where = section.array_xy, section.edge_index
    with torch.no_grad():
        together = still.train().features(list(patches), *where)
        alone = [still.features([images], *where)[0] for images in patches]
    for feature, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(feature, expected)


def test_a_seed_fixes_the_augmentation(untrained):
    patches = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(untrained.augment(patches))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_rotation_by_a_right_angle_moves_every_pixel():
    image = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    assert torch.equal(rotate(image, 90), torch.rot90(image, 1, (-2, -1)))
    assert torch.equal(rotate(image, 0), image)
    assert (rotate(image, 45)[:, :, 0, 0] == 0).all()


@pytest.mark.parametrize(
    ("augmentation", "altered"),
    [
        ("grey_probability", lambda images: (images[:, 0] == images[:, 1]).all()),
        ("flip_probability", lambda images: images[0, 0, 0, 0] < images[0, 0, 0, -1]),
    ],
)
def test_augmentations_occur_as_often_as_set(augmentation, altered):
    chances = {"grey_probability": 0, "flip_probability": 0} | {augmentation: 0.3}
    model = Hist2ST(Hist2STSettings(**SMALL, **chances, largest_rotation_degrees=0), Sizes(1))
    colours = torch.tensor([0.2, 0.6, 1.0]).view(3, 1, 1)
    patches = (colours * torch.arange(28, 0, -1)).expand(1, 3, 28, 28)
    torch.manual_seed(0)
    drawn = [model.augment(patches) for _ in range(500)]
    assert sum(map(altered, drawn)) == pytest.approx(150, abs=40)
