"""mclSTExp gives what the released implementation gave."""

import pytest
import torch
import torch.nn.functional as F

from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.mclstexp import McLSTExp, McLSTExpSettings
from reg2st.models.retrieval import inverse_square, most_similar

RELEASED_NAMES = (
    {
        f"{side}_head.{ours}": f"{side}_projection.{layer}"
        for side in ("image", "spot")
        for ours, layer in {"projection": "projection", "out": "fc", "norm": "layer_norm"}.items()
    }
    | {"positions.x": "x_embed", "positions.y": "y_embed"}
    | {
        f"blocks.{block}.{ours}": f"spot_encoder.{block}.{theirs}"
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
)
SMALL = {
    "image_encoder": "embedding",
    "width": 16,
    "temperature": 2.0,
    "neighbours": 7,
    "heads": 2,
    "head_size": 8,
}


def new(**settings):
    sizes = Sizes(genes=11, features=40)
    return McLSTExp(McLSTExpSettings(**SMALL, **settings), sizes).eval()


@pytest.fixture(scope="module")
def golden(released):
    return released("mclstexp")


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    model = new()
    state = renamed_state(model, golden, RELEASED_NAMES)
    assert len(state) == sum(name.startswith("param/") for name in golden)
    model.load_state_dict(state, strict=False)
    sections = [
        SectionTensors(
            f"S{section}",
            "P",
            golden["input/array_xy"][chosen],
            expression=golden["input/target_log_expression"][chosen],
        )
        for section in golden["input/section"].unique()
        for chosen in [golden["input/section"] == section]
    ]
    with torch.no_grad():
        model.finish(sections)
    return model


@pytest.fixture
def query(golden):
    array_xy = torch.zeros(9, 2, dtype=torch.int64)
    return SectionTensors("Q", "P", array_xy, embedding=golden["input/query_image_feature"])


@torch.no_grad()
def test_spot_encoder_step_by_step(model, golden, relative_error):
    feature = golden["input/target_log_expression"] + model.positions(golden["input/array_xy"])
    assert relative_error(feature, golden["output/spot_input"]) < 1e-5
    for index, block in enumerate(model.blocks):
        normed = block.attention_norm(feature)
        qkv = block.attention.qkv(normed)
        assert relative_error(qkv, golden[f"output/block{index}_qkv"]) < 1e-5
        attended = block.attention(normed)
        assert relative_error(attended, golden[f"output/block{index}_attention"]) < 1e-5
        fed = block.feedforward(block.feedforward_norm(feature + attended))
        assert relative_error(fed, golden[f"output/block{index}_feedforward"]) < 1e-5
        feature = block(feature)
        assert relative_error(feature, golden[f"output/block{index}"]) < 1e-5
    assert relative_error(model.spot_head(feature), golden["output/spot_embedding"]) < 1e-5
    image = model.image_head(golden["input/image_feature"])
    assert relative_error(image, golden["output/image_embedding"]) < 1e-5


def test_loss_and_all_its_gradients(model, golden, relative_error):
    image = model.image_head(golden["input/image_feature"])
    spot = model.spot_embedding(golden["input/target_log_expression"], golden["input/array_xy"])
    logits = spot @ image.T / 2
    assert relative_error(logits, golden["output/contrastive_logits"]) < 1e-5
    own = torch.arange(24)
    assert relative_error(F.cross_entropy(logits, own), golden["output/spots_loss"]) < 1e-5
    assert relative_error(F.cross_entropy(logits.T, own), golden["output/images_loss"]) < 1e-5
    loss = model.contrast(spot, image)
    assert relative_error(loss, golden["output/loss_contrastive"]) < 1e-5
    trained = dict(model.named_parameters())
    for name, gradient in zip(trained, torch.autograd.grad(loss, trained.values()), strict=True):
        layer, kind = name.rsplit(".", 1)
        released = golden[f"output/gradient/{RELEASED_NAMES[layer]}.{kind}"]
        assert relative_error(gradient, released) < 1e-5, name


@torch.no_grad()
def test_bank_by_section(model, golden, query, relative_error):
    keys = model.bank.keys
    assert relative_error(keys, golden["output/bank_embedding_by_section"]) < 1e-5
    embedded = model.queries(query)
    assert relative_error(embedded, golden["output/query_image_embedding"]) < 1e-5
    directions = F.normalize(keys, dim=1)
    similarity = F.normalize(embedded, dim=1) @ directions.T
    assert relative_error(similarity, golden["output/similarity"]) < 1e-5
    found = most_similar(embedded, directions, 7)
    assert torch.equal(found.sort().values, golden["output/neighbours"].sort().values)


@pytest.mark.parametrize(("distance", "norm"), [("l1", 1), ("l2", 2)])
@torch.no_grad()
def test_predictions(model, golden, query, relative_error, distance, norm):
    other = new(distance=distance)
    other.make_room({"bank.keys": (24, 16)})
    other.load_state_dict(model.state_dict())
    assert relative_error(other(query), golden[f"output/prediction_{distance}"]) < 1e-5
    released_order = model.bank.keys[golden["output/neighbours"]]
    weights = inverse_square(norm)(model.queries(query).unsqueeze(1), released_order)
    assert relative_error(weights, golden[f"output/weights_{distance}"]) < 1e-5


@pytest.mark.parametrize("distance", ["l1", "l2"])
@torch.no_grad()
def test_bank_by_windows_in_file_order(model, golden, query, relative_error, distance):
    """The released bank, in windows of ten spots of any section."""
    windows = zip(
        golden["input/target_log_expression"].split(10),
        golden["input/array_xy"].split(10),
        strict=True,
    )
    keys = torch.cat([model.spot_embedding(*window) for window in windows])
    assert relative_error(keys, golden["output/bank_embedding_by_window_of_10"]) < 1e-5
    other = new(distance=distance)
    other.make_room({"bank.keys": (24, 16)})
    other.load_state_dict(model.state_dict())
    other.bank.keys = keys
    assert relative_error(other(query), golden[f"output/prediction_{distance}_by_window"]) < 1e-5


def test_parameter_count_at_published_sizes():
    counts = {}
    for rows in (64, 65_536):
        with torch.device("meta"):
            model = McLSTExp(McLSTExpSettings(position_rows=rows), Sizes(genes=785))
        counts[rows] = sum(each.numel() for each in model.parameters())
    assert counts == {64: 13_341_810, 65_536: 116_132_850}
