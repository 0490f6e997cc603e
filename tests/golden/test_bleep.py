"""BLEEP gives what the released implementation gave."""

import pytest
import torch

from reg2st.models.bleep import BLEEP, BLEEPSettings, contrastive_losses
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.retrieval import most_similar, softmax_of_distance

RELEASED_NAMES = {
    f"{side}_head.{ours}": f"{theirs}_projection.{layer}"
    for side, theirs in {"image": "image", "spot": "spot"}.items()
    for ours, layer in {"projection": "projection", "out": "fc", "norm": "layer_norm"}.items()
}
SMALL = {"image_encoder": "embedding", "width": 16, "temperature": 2.0, "neighbours": 5}


@pytest.fixture(scope="module")
def golden(released):
    return released("bleep")


@pytest.fixture(scope="module")
def model(golden, renamed_state):
    model = BLEEP(BLEEPSettings(**SMALL), Sizes(genes=11, features=40)).eval()
    state = renamed_state(model, golden, RELEASED_NAMES)
    assert len(state) == sum(name.startswith("param/") for name in golden)
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        model.finish(training_sections(golden))
    return model


def training_sections(golden):
    return [
        SectionTensors(
            f"S{section}",
            "P",
            golden["input/array_xy"][chosen],
            expression=golden["input/target_log_expression"][chosen],
        )
        for section in golden["input/section"].unique()
        for chosen in [golden["input/section"] == section]
    ]


@pytest.fixture
def query(golden):
    array_xy = torch.zeros(9, 2, dtype=torch.int64)
    return SectionTensors("Q", "P", array_xy, embedding=golden["input/query_image_feature"])


@torch.no_grad()
def test_embeddings(model, golden, relative_error):
    for side, feature in {
        "image": golden["input/image_feature"],
        "spot": golden["input/target_log_expression"],
    }.items():
        head = getattr(model, f"{side}_head")
        projected = head.projection(feature)
        assert relative_error(projected, golden[f"output/{side}_projected"]) < 1e-5
        out = head.out(torch.nn.functional.gelu(projected))
        assert relative_error(out, golden[f"output/{side}_fc"]) < 1e-5
        assert relative_error(head(feature), golden[f"output/{side}_embedding"]) < 1e-5


def test_loss_and_all_its_gradients(model, golden, relative_error):
    image = model.image_head(golden["input/image_feature"])
    spot = model.spot_head(golden["input/target_log_expression"])
    by_spot, by_image = contrastive_losses(spot, image, temperature=2.0)
    assert relative_error(by_spot, golden["output/spots_loss"]) < 1e-5
    assert relative_error(by_image, golden["output/images_loss"]) < 1e-5
    loss = model.contrast(spot, image)
    assert relative_error(loss, golden["output/loss_contrastive"]) < 1e-5
    trained = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss, trained.values())
    for name, gradient in zip(trained, gradients, strict=True):
        layer, kind = name.rsplit(".", 1)
        released = golden[f"output/gradient/{RELEASED_NAMES[layer]}.{kind}"]
        assert relative_error(gradient, released) < 1e-5, name


@torch.no_grad()
def test_search(model, golden, query, relative_error):
    assert relative_error(model.bank.keys, golden["output/bank_embedding"]) < 1e-5
    embedded = model.queries(query)
    assert relative_error(embedded, golden["output/query_image_embedding"]) < 1e-5
    keys = torch.nn.functional.normalize(model.bank.keys, dim=1)
    found = most_similar(embedded, keys, 5)
    assert torch.equal(found.sort().values, golden["output/neighbours"].sort().values)
    similarity = torch.nn.functional.normalize(embedded, dim=1) @ keys.T
    assert relative_error(similarity, golden["output/similarity"]) < 1e-5
    released_order = model.bank.keys[golden["output/neighbours"]]
    weights = softmax_of_distance(embedded.unsqueeze(1), released_order)
    assert relative_error(weights, golden["output/weights_weighted"]) < 1e-5


@pytest.mark.parametrize(
    ("average", "mode"),
    [("plain", "average"), ("nearest", "nearest"), ("by_distance", "weighted")],
)
@torch.no_grad()
def test_predictions(model, golden, query, relative_error, average, mode):
    other = BLEEP(BLEEPSettings(**SMALL, average=average), Sizes(genes=11, features=40)).eval()
    other.make_room({"bank.keys": (24, 16)})
    other.load_state_dict(model.state_dict())
    assert relative_error(other(query), golden[f"output/prediction_{mode}"]) < 1e-5


def test_parameter_count_at_published_sizes():
    with torch.device("meta"):
        model = BLEEP(BLEEPSettings(), Sizes(genes=785))
    assert sum(each.numel() for each in model.parameters()) == 24_366_400
