"""DeepSpot gives what the released implementation gave."""

import pytest
import torch
import torch.nn.functional as F

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.batches import Spots
from reg2st.models.deepspot import DeepSpot, DeepSpotSettings
from reg2st.models.interface import SectionTensors, Sizes, Tiles


def new(**settings):
    return DeepSpot(DeepSpotSettings(width=16, **settings), Sizes(genes=11, features=20)).eval()


@pytest.fixture(scope="module")
def golden(released):
    return released("deepspot")


@pytest.fixture(scope="module")
def section(golden):
    spot, place = (golden["input/neighbours"] >= 0).nonzero().t()
    subtiles = golden["input/subspot_embedding"]
    return SectionTensors(
        "S1",
        "P1",
        golden["input/array_xy"],
        embedding=golden["input/spot_embedding"],
        edge_index=torch.stack([golden["input/neighbours"][spot, place], spot]),
        expression=golden["input/target_log_expression"],
        tiles={"subtiles": Tiles(subtiles, torch.ones(subtiles.shape[:2], dtype=torch.bool))},
    )


@pytest.fixture(scope="module")
def state(golden):
    phi = [f"param/phi_spot.{member}.model.0" for member in range(10)]
    rho = [f"param/rho.{member}.model.2" for member in range(10)]
    return {
        f"phi.linear.{kind}": torch.cat([golden[f"{name}.{kind}"] for name in phi])
        for kind in ("weight", "bias")
    } | {
        f"rho.{member}.{kind}": golden[f"{name}.{kind}"]
        for member, name in enumerate(rho)
        for kind in ("weight", "bias")
    }


@pytest.fixture(scope="module")
def model(golden, state, section):
    model = new()
    assert 20 + len(model.rho) * 2 == sum(name.startswith("param/") for name in golden)
    model.load_state_dict(state, strict=False)
    model.prepare([section])
    return model


@torch.no_grad()
def test_views_and_output(model, golden, section, relative_error):
    joined = model.joined(Spots.whole(section))
    views = dict(zip(("spot", "subspot_sum", "neighbours_max"), joined.split(16, 1), strict=True))
    for name, view in views.items():
        assert relative_error(view, golden[f"output/phi_{name}"]) < 1e-5
    assert relative_error(model.output(joined), golden["output/prediction"]) < 1e-5
    assert relative_error(model.phi(torch.zeros(20)), golden["output/phi_zero"]) < 1e-5


@torch.no_grad()
def test_a_zero_feature_among_the_neighbours_is_the_released_training_path(
    model, golden, section, relative_error
):
    spots = Spots.whole(section)
    neighbours, of_spot = spots.neighbours("embedding")
    vicinity = torch.maximum(
        model.vicinity(neighbours, of_spot, spots=24), model.phi(torch.zeros(20))
    )
    short = (golden["input/neighbours"] < 0).any(dim=1, keepdim=True)
    vicinity = torch.where(short, vicinity, golden["output/phi_neighbours_max"])
    assert relative_error(vicinity, golden["output/padded_phi_neighbours_max"]) < 1e-5
    joined = torch.cat([model.joined(spots)[:, :32], vicinity], dim=1)
    assert relative_error(model.output(joined), golden["output/padded_prediction"]) < 1e-5


@torch.no_grad()
def test_target(model, golden, section, relative_error):
    assert relative_error(model.target_mean, golden["output/target_mean"]) < 1e-5
    assert relative_error(model.target_scale, golden["output/target_scale"]) < 1e-5
    target = model.target(section.expression)
    assert relative_error(target, golden["output/target_standardised"]) < 1e-5
    log1p = new().target(section.expression)
    assert relative_error(log1p, golden["output/target_log1p"]) < 1e-5
    natural = model(section) * torch.tensor(10.0).log()
    assert relative_error(natural, golden["output/prediction_unscaled"]) < 1e-5


@pytest.mark.parametrize("loss", ["mse", "cosine", "mse_cosine"])
@torch.no_grad()
def test_losses(state, golden, section, relative_error, loss):
    model = new(loss=loss)
    model.load_state_dict(state, strict=False)
    model.prepare([section])
    total = sum(model.losses(Spots.whole(section)).values())
    assert relative_error(total, golden[f"output/loss_{loss}"]) < 1e-5


def test_a_batch_reads_the_same_as_the_section(model, section):
    """Neighbours and tiles are found for spots of a batch as for all."""
    rows = torch.tensor([17, 3, 8, 22])
    batch = Spots((section, section), (rows[:1], rows[1:]))
    with torch.no_grad():
        torch.testing.assert_close(model.joined(batch), model.joined(Spots.whole(section))[rows])


def test_the_graph_has_the_released_neighbours(golden):
    neighbour, spot = nearest_neighbours(golden["input/array_xy"].numpy(), 8, radius=1.5)
    for index, released in enumerate(golden["input/neighbours"].tolist()):
        assert set(neighbour[spot == index]) == {each for each in released if each >= 0}


@pytest.mark.parametrize(("features", "millions"), [(1024, 17.313), (768, 16.003), (1536, 19.935)])
def test_parameter_count_at_published_sizes(features, millions):
    with torch.device("meta"):
        model = DeepSpot(DeepSpotSettings(), Sizes(genes=785, features=features))
    parameters = sum(each.numel() for each in model.parameters())
    assert round(parameters / 1e6, 3) == millions


def test_lower_median_of_the_members():
    model = new()
    outputs = F.relu(model.phi.linear(torch.ones(20))).view(10, 16)
    assert torch.equal(model.phi(torch.ones(20)), outputs.sort(dim=0).values[4])
