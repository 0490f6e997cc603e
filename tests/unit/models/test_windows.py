"""Windows of large sections: bounded, each spot in one core, and close to the whole."""

import dataclasses

import numpy as np
import pytest
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import (
    Model,
    Network,
    NetworkSettings,
    Prediction,
    SectionTensors,
    Sizes,
    Tiles,
)
from reg2st.models.reg2st import Reg2ST
from reg2st.models.registry import METHODS, method
from reg2st.models.windows import MARGIN_PITCHES, in_windows, predict_in_windows, windows
from reg2st.sections.geometry import HEXAGONAL
from reg2st.training.loop import train_network


def section_of(xy, features=4, genes=3, seed=0):
    """A section with smooth features at positions in pitches, whose graph has four neighbours."""
    draw = torch.Generator().manual_seed(seed)
    pitch_xy = torch.as_tensor(xy, dtype=torch.float64)
    waves = torch.rand(2, features, generator=draw).double()
    embedding = torch.sin(pitch_xy @ waves).float()
    counts = torch.poisson(2 + 2 * embedding[:, :genes], generator=draw)
    return SectionTensors(
        "S1",
        "P1",
        pitch_xy.floor().long() - pitch_xy.floor().long().amin(dim=0),
        pitch_xy=pitch_xy,
        embedding=embedding,
        edge_index=torch.from_numpy(nearest_neighbours(xy, 4)),
        counts=counts,
        totals=counts.sum(dim=1),
        expression=torch.log1p(counts),
    )


def square(side):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)


def hexagonal(side):
    return np.array([[x, y] for y in range(side) for x in range(y % 2, 2 * side, 2)]) * HEXAGONAL


LAYOUTS = {
    "square": square(40),
    "hexagonal": hexagonal(40),
    "strip": np.stack([np.arange(1600), np.zeros(1600)], axis=1),
    "irregular": np.random.default_rng(0).normal(size=(1600, 2)) * 12,
    "one place": np.zeros((1600, 2)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("most_spots", [2, 100, 901])
def test_windows_are_bounded_and_their_cores_share_out_the_spots(layout, most_spots):
    section = section_of(LAYOUTS[layout])
    found = windows(section, most_spots)
    assert len(found) <= min(section.n_spots, 8 * section.n_spots / most_spots)
    assert max(len(window.spots) for window in found) <= most_spots
    cores = torch.cat([window.spots[window.core] for window in found])
    assert torch.equal(cores.sort().values, torch.arange(section.n_spots))


@pytest.mark.parametrize("layout", ["square", "hexagonal"])
def test_by_default_a_window_has_room_for_its_whole_margin(layout):
    xy = {"square": square, "hexagonal": hexagonal}[layout](100)
    for window in windows(section_of(xy), 4096):
        core = xy[window.spots[window.core]]
        beyond = np.maximum(core.min(axis=0) - xy, xy - core.max(axis=0)).clip(min=0)
        within = np.flatnonzero(np.hypot(*beyond.T) <= MARGIN_PITCHES)
        assert np.array_equal(window.spots, within)


def test_windows_grow_in_number_and_not_in_size():
    work = [
        [len(window.spots) for window in windows(section_of(square(side)), 400)]
        for side in (60, 120)
    ]
    assert len(work[1]) == 4 * len(work[0])
    assert max(work[1]) <= max(work[0])
    assert sum(work[1]) < 4.6 * sum(work[0])  # margins are fewer at the section's own edge


def test_another_order_of_the_spots_makes_the_same_windows():
    xy = LAYOUTS["hexagonal"]
    order = np.random.default_rng(1).permutation(len(xy))

    def places(xy):
        found = windows(section_of(xy), 200)
        return {
            (
                frozenset(map(tuple, xy[each.spots])),
                frozenset(map(tuple, xy[each.spots[each.core]])),
            )
            for each in found
        }

    assert places(xy) == places(xy[order])


def test_a_window_has_its_part_of_everything():
    section = section_of(square(12))
    tiles = Tiles(torch.rand(144, 4, 2), torch.rand(144, 4) < 0.5)
    section = dataclasses.replace(section, tiles={"around": tiles})
    window = windows(section, 60)[0]
    part = window.cut()
    assert part.n_spots == len(window.spots) < 144
    for name in ("array_xy", "pitch_xy", "embedding", "counts", "totals", "expression"):
        assert torch.equal(getattr(part, name), getattr(section, name)[window.spots]), name
    assert torch.equal(part.tiles["around"].embedding, tiles.embedding[window.spots])
    assert torch.equal(part.tiles["around"].on_slide, tiles.on_slide[window.spots])
    inside = set(window.spots.tolist())
    edges = {(j, i) for j, i in section.edge_index.T.tolist() if {j, i} <= inside}
    assert {tuple(pair) for pair in window.spots[part.edge_index].T.tolist()} == edges


class Counted(Model):
    """Predicts the number of each spot, and remembers how many spots it saw at once."""

    sees_all_spots = True

    def predict(self, section):
        self.seen = [*getattr(self, "seen", []), section.n_spots]
        return Prediction(section.embedding)


def test_every_spot_is_predicted_once_and_in_its_place():
    section = section_of(square(30))
    section = dataclasses.replace(section, embedding=torch.arange(900.0)[:, None])
    model = Counted(Counted.Settings(), Sizes(genes=1))
    prediction = predict_in_windows(model, section, 200)
    assert torch.equal(prediction.expression, section.embedding)
    assert len(model.seen) > 1
    assert max(model.seen) <= 200


@pytest.mark.parametrize("most_spots", [900, None])
def test_a_section_within_the_bound_is_left_whole(most_spots):
    section = section_of(square(30))
    assert in_windows([section], most_spots) == [section]
    model = Counted(Counted.Settings(), Sizes(genes=1))
    assert predict_in_windows(model, section, most_spots).expression is section.embedding


def quick(epochs, **settings):
    torch.manual_seed(0)
    wanted = {**Reg2ST.presets["quick"], "epochs": epochs, "dropout": 0.0, "graph_dropout": 0.0}
    return Reg2ST(Reg2ST.Settings(**wanted | settings), Sizes(genes=3, features=4))


def test_below_the_bound_training_and_prediction_have_the_same_bits():
    section = section_of(square(10))
    models = [quick(2), quick(2)]
    train_network(models[0], [section], seed=0)
    train_network(models[1], [section], seed=0, window_spots=100)
    for ours, theirs in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(ours, theirs)


def test_windows_with_their_margin_are_close_to_the_whole_section():
    """Reg2ST predicts in windows what it predicts at once, and learns in them as much."""
    training, test = section_of(square(20), seed=1), section_of(square(20), seed=2)
    truth = (2 + 2 * test.embedding[:, :3]).log1p().numpy()
    predicted = {}
    for most_spots in (None, 150):
        model = quick(25, learning_rate=4e-3)
        train_network(model, [training], seed=0, window_spots=most_spots)
        with torch.inference_mode():
            for at_once in (None, 150):
                prediction = predict_in_windows(model.eval(), test.without_targets(), at_once)
                predicted[most_spots, at_once] = prediction.expression.numpy()

    def correlation(prediction, other):
        return np.mean(
            [np.corrcoef(*pair)[0, 1] for pair in zip(prediction.T, other.T, strict=True)]
        )

    assert correlation(predicted[None, 150], predicted[None, None]) > 0.98
    reached = correlation(predicted[None, None], truth)
    assert reached > 0.3
    assert correlation(predicted[150, 150], truth) > reached - 0.1


def test_each_window_is_a_batch():
    class OneStep(Network):
        Settings = NetworkSettings
        sees_all_spots = True
        shuffle_sections = False

        def __init__(self, settings, sizes):
            super().__init__(settings, sizes)
            self.bias = torch.nn.Parameter(torch.zeros(sizes.genes))
            self.batches_seen = []

        def prepare(self, sections):
            assert [section.n_spots for section in sections] == [100, 900]

        def forward(self, section):
            self.batches_seen.append(section.n_spots)
            return self.bias.expand(section.n_spots, -1)

        def optimiser(self, steps_per_epoch):
            self.steps = steps_per_epoch
            return super().optimiser(steps_per_epoch)

    model = OneStep(NetworkSettings(epochs=1, learning_rate=0.1), Sizes(genes=3))
    sections = [section_of(square(10)), section_of(square(30))]
    train_network(model, sections, seed=0, window_spots=300)
    expected = [100, *(len(window.spots) for window in windows(sections[1], 300))]
    assert model.batches_seen == expected
    assert model.steps == len(expected)


@pytest.mark.parametrize("name", METHODS)
def test_what_goes_in_windows_predicts_expression_alone(name):
    model = method(name)
    assert not (model.sees_all_spots and model.expects_pcc)


def test_methods_say_whether_they_predict_slides_without_counts():
    obstacles = {name: method(name).slide_obstacle(method(name).Settings()) for name in METHODS}
    assert {name for name, obstacle in obstacles.items() if obstacle} == {
        "sister_section",
        "reg2st",
        "histogene",
        "hist2st",
        "thitogene",
        "hggep",
    }
    assert Reg2ST.slide_obstacle(Reg2ST.Settings(positions="relative")) is None
    assert "tables of positions" in Reg2ST.slide_obstacle(Reg2ST.Settings(positions="shifted"))
