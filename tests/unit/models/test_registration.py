"""Registration by shape, and what carrying expression over reaches on real serial sections."""

import numpy as np
import pandas as pd
import pytest

from reg2st.evaluation.correlations import pearson
from reg2st.models.registration import predict_from_sisters, register
from reg2st.sections.geometry import neighbour_distance
from sections import log_expression

SERIAL = ("C2", "C3", "C4", "C5", "C6")


def tissue():
    """Spots of a lopsided shape on a unit grid."""
    x, y = np.meshgrid(np.arange(24), np.arange(18))
    x, y = x.ravel(), y.ravel()
    inside = ((x - 10) / 10) ** 2 + ((y - 8) / 7) ** 2 < 1
    horn = (x > 14) & (y > 2) & (y < 8)
    return np.column_stack([x, y])[inside | horn].astype(float)


def rotation(degrees, flip=1):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin * flip], [sin, cos * flip]])


@pytest.mark.parametrize("scale", [1.0, 272.0])
@pytest.mark.parametrize(("degrees", "flip"), [(0, 1), (9, 1), (140, 1), (-75, -1)])
def test_a_moved_tissue_is_laid_back(scale, degrees, flip):
    fixed = tissue()
    moved = scale * (fixed @ rotation(degrees, flip).T + [40, -7])
    registration = register(moved, scale * fixed)
    assert registration.overlap > 0.999
    away = np.linalg.norm(registration(moved) / scale - fixed, axis=1)
    assert away.max() < 0.2


def test_the_shape_counts_and_not_the_grid():
    """Two grids at different angles over one outline; matched spot by spot they would lock."""
    axis = np.arange(-20.0, 21.0)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)

    def cut(turned):
        x, y = (grid @ rotation(turned).T).T
        keep = ((x / 10) ** 2 + (y / 6) ** 2 < 1) & ~((x > 3) & (y > 2))
        return grid[keep]

    registration = register(cut(-11), cut(0))
    angle = np.rad2deg(np.arctan2(registration.matrix[1, 0], registration.matrix[0, 0]))
    assert angle == pytest.approx(-11, abs=2)


def test_large_sections_are_registered_as_well():
    fixed = np.vstack([tissue() + shift for shift in np.indices((3, 3)).reshape(2, -1).T / 3])
    moved = fixed @ rotation(30).T
    away = np.linalg.norm(register(moved, fixed)(moved) - fixed, axis=1)
    assert len(fixed) > 1000
    assert away.max() < 1


def test_expression_is_carried_to_the_same_place():
    xy = tissue()
    profile = np.column_stack([xy[:, 0], xy[:, 1], -xy[:, 0]])
    sisters = [(xy @ rotation(degrees).T, profile) for degrees in (5, -12)]
    predicted = predict_from_sisters(xy, sisters)
    assert predicted.shape == profile.shape
    assert (pearson(profile, predicted) > 0.98).all()
    np.testing.assert_array_equal(predicted, predict_from_sisters(xy, sisters))


def test_without_a_sister_there_is_no_prediction():
    with pytest.raises(ValueError, match="no section of the same patient"):
        predict_from_sisters(tissue(), [])


def test_the_pitch_is_the_distance_between_neighbours():
    assert neighbour_distance(272.0 * tissue()) == pytest.approx(272)


def serial_cut(degrees, seed):
    """A section of one lopsided block, cut at an angle: positions, target and noiseless target."""
    rng = np.random.default_rng(seed)
    axis = np.arange(-14.0, 15.0) + rng.uniform(0, 1)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    place = grid @ rotation(degrees).T
    x, y = (place + rng.normal(0, 0.3, place.shape)).T  # each cut has a border of its own
    keep = ((x / 12) ** 2 + (y / 8) ** 2 < 1) & ~((x > 4) & (y > 2))
    waves = np.random.default_rng(0).normal(0, 0.15, (2, 30))
    means = 20 * np.exp(np.sin(place[keep] @ waves))
    return grid[keep], log_expression(rng.poisson(means)), log_expression(means)


def test_sections_of_one_block_are_turned_back_and_carry_expression_over():
    (fixed, target, noiseless), *sisters = (
        serial_cut(angle, seed) for seed, angle in enumerate((0, 12, -25))
    )
    for (moving, _, _), angle in zip(sisters, (12, -25), strict=True):
        matrix = register(moving, fixed).matrix
        assert np.linalg.det(matrix) == pytest.approx(1)
        turn = np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))
        assert turn == pytest.approx(angle, abs=3)
    carried = predict_from_sisters(fixed, [(xy, values) for xy, values, _ in sisters])
    assert pearson(target, carried).mean() > 0.85 * pearson(target, noiseless).mean()


@pytest.fixture(scope="module")
def serial(shared):
    """Array positions and target of each serial section."""
    panel = (shared / "panels" / "her2st_785.txt").read_text().split()
    sections = {}
    for name in SERIAL:
        path = shared / f"data/her2st/ST-cnts/{name}.tsv.gz"
        counts = pd.read_csv(path, sep="\t", index_col=0)
        xy = np.array([spot.split("x") for spot in counts.index], dtype=float)
        counts = counts.reindex(columns=panel, fill_value=0).to_numpy()
        sections[name] = xy, log_expression(counts)
    return sections


def test_serial_sections_are_turned_consistently(serial):
    def turn(moving, fixed):
        registration = register(serial[moving][0], serial[fixed][0])
        assert registration.overlap > 0.99
        assert np.linalg.det(registration.matrix) == pytest.approx(1)
        return np.rad2deg(np.arctan2(registration.matrix[1, 0], registration.matrix[0, 0]))

    assert turn("C3", "C2") == pytest.approx(-turn("C2", "C3"), abs=2)
    assert turn("C3", "C2") + turn("C6", "C3") == pytest.approx(turn("C6", "C2"), abs=2)


def test_serial_sections_carry_over_what_section_out_rewards(serial):
    reached = []
    for name, (xy, expression) in serial.items():
        sisters = [serial[other] for other in serial if other != name]
        reached.append(np.nanmean(pearson(expression, predict_from_sisters(xy, sisters))))
    assert np.mean(reached) == pytest.approx(0.218, abs=0.005)
