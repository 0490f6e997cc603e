"""What every method keeps to."""

import dataclasses

import numpy as np
import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import Network, SectionTensors, Sizes, Tiles
from reg2st.models.on_demand import OnDemand
from reg2st.models.registry import METHODS, method
from reg2st.sections.geometry import HEXAGONAL
from reg2st.training.loop import train_network
from sections import log_expression

GENES, FEATURES = 11, 24
RADIUS = {
    None: None,
    "nearest_2": None,
    "nearest_4": None,
    "nearest_4_within_2": 2,
    "nearest_8_within_1_5": 1.5,
    "nearest_8_within_2": 2,
}
SCATTERED = [[1, 1], [1, 2], [7, 3], [63, 0], [2, 2], [2, 1]]
GRID = [[x, y] for x in range(5) for y in range(6)]
QUICKER = {
    "hist2st": {"zinb_weight": 0.25, "dropout": 0.1},
    "histogene": {"learning_rate": 1e-3},
    "bleep": {"neighbours": 5},
    "deepspot": {"context": "all"},
    "mclstexp": {"neighbours": 5},
    "stnet": {"backbone": "timm:test_resnet", "patch_px": 32},
    "triplex": {
        "backbone": "timm:test_resnet",
        "patch_px": 32,
        "global_heads": 4,
        "neighbour_heads": 4,
    },
}


def settings_of(name):
    model = method(name)
    epochs = {"epochs": 4} if "epochs" in model.Settings.model_fields else {}
    return model.Settings(**{**model.presets["quick"], **QUICKER.get(name, {}), **epochs})


def a_section(name, array_xy, seed=0):
    """A section with everything that some method reads; brightness decides the counts."""
    random = np.random.default_rng(seed)
    n = len(array_xy)
    brightness = random.uniform(0.2, 1, size=n)
    patches = random.integers(0, 256, (n, 224, 224, 3)) * brightness[:, None, None, None]
    counts = random.poisson(np.outer(brightness, np.arange(1, GENES + 1)) * 3).astype(np.float32)
    inputs = method(name).inputs(settings_of(name))
    return SectionTensors(
        f"S{seed}",
        "P1",
        torch.tensor(array_xy),
        embedding=torch.from_numpy(random.normal(brightness[:, None], 1, (n, FEATURES))).float(),
        patches=torch.from_numpy(patches.astype(np.uint8)),
        edge_index=torch.from_numpy(nearest_neighbours(array_xy, 4, radius=RADIUS[inputs.graph])),
        counts=torch.from_numpy(counts),
        totals=torch.from_numpy(counts.sum(axis=1)),
        expression=torch.from_numpy(log_expression(counts)),
        tiles={
            grid.name: Tiles(
                torch.from_numpy(random.normal(size=(n, grid.side**2, FEATURES))).float(),
                torch.from_numpy(random.random((n, grid.side**2)) < 0.8),
            )
            for grid in inputs.tiles
        },
    )


def in_files(section):
    """The same section with patches and tiles that are read when they are needed."""
    return dataclasses.replace(
        section,
        patches=OnDemand(section.patches.numpy().__getitem__),
        tiles={
            name: Tiles(OnDemand(tiles.embedding.numpy().__getitem__), tiles.on_slide)
            for name, tiles in section.tiles.items()
        },
    )


def fitted(name, seed=0, sections=None, genes=GENES):
    sections = sections or [a_section(name, GRID, seed=1), a_section(name, GRID, seed=2)]
    torch.manual_seed(seed)
    settings = settings_of(name)
    model = method(name)(settings, Sizes(genes=genes, features=FEATURES))
    if model.inputs(settings).weights is not None:
        model.start_from(model.backbone.network.state_dict())
    if isinstance(model, Network):
        history = train_network(model, sections, seed=seed)
    else:
        model.fit(sections)
        history = []
    return model.eval(), history


@pytest.fixture(scope="module", params=sorted(METHODS))
def trained(request):
    """Each method's name, with a model fitted to two small sections."""
    return request.param, *fitted(request.param)


@torch.no_grad()
def test_another_order_of_the_spots_gives_the_same_predictions(trained):
    name, model, _ = trained
    section = a_section(name, SCATTERED).without_targets()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    reordered = dataclasses.replace(
        section,
        **{part: getattr(section, part)[order] for part in ("array_xy", "embedding", "patches")},
        edge_index=torch.argsort(order)[section.edge_index],
        tiles={
            name: Tiles(tiles.embedding[order], tiles.on_slide[order])
            for name, tiles in section.tiles.items()
        },
    )
    prediction = model(section)
    torch.testing.assert_close(model(reordered), prediction[order], rtol=1e-4, atol=1e-5)
    if name != "train_mean":
        assert not torch.allclose(prediction[order], prediction, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_sections_larger_than_the_position_tables(name):
    """A Visium section: 128 columns, of which a row takes every second, and no square array."""
    array_xy = np.array([[x, y] for y in range(4) for x in range(y % 2, 128, 16)])
    pitch_xy = torch.from_numpy(array_xy * np.array(HEXAGONAL))
    section = dataclasses.replace(a_section(name, array_xy), pitch_xy=pitch_xy)
    model, _ = fitted(name, sections=[section, dataclasses.replace(section, name="S2")])
    with torch.no_grad():
        assert model(section.without_targets()).shape == (section.n_spots, GENES)


@pytest.mark.parametrize(
    "array_xy", [[[5, 5]], [[5, 5], [5, 6]], [[5, 5], [5, 6], [60, 60]]], ids=len
)
@torch.no_grad()
def test_few_or_isolated_spots(trained, array_xy):
    name, model, _ = trained
    prediction = model(a_section(name, array_xy).without_targets())
    assert prediction.shape == (len(array_xy), GENES)
    assert prediction.isfinite().all()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_panel_of_one_gene(name):
    sections = [
        dataclasses.replace(
            section, counts=section.counts[:, -1:], expression=section.expression[:, -1:]
        )
        for section in (a_section(name, GRID, seed=1), a_section(name, GRID, seed=2))
    ]
    model, _ = fitted(name, sections=sections, genes=1)
    with torch.no_grad():
        prediction = model(sections[0].without_targets())
    assert prediction.shape == (len(GRID), 1)
    assert prediction.isfinite().all()


def test_a_seed_fixes_the_model_wherever_its_patches_lie(trained):
    name, model, _ = trained
    again, _ = fitted(
        name, sections=[in_files(a_section(name, GRID, seed=seed)) for seed in (1, 2)]
    )
    for parameter, value in again.state_dict().items():
        assert torch.equal(model.state_dict()[parameter], value), parameter
    if isinstance(model, Network):
        other, _ = fitted(name, seed=1)
        assert any(
            not torch.equal(model.state_dict()[parameter], value)
            for parameter, value in other.state_dict().items()
        )


def test_training_lowers_the_loss(trained):
    _, model, history = trained
    if isinstance(model, Network):
        assert history[-1]["loss_total"] < history[0]["loss_total"]
