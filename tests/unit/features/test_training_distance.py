"""The distance from the training spots: its unit, other kinds of spots, its file."""

import numpy as np
import pytest

from reg2st.features.training_distance import TrainingDistance, Whitened

COLUMNS = 200


def spots(rng: np.random.Generator, count: int, shift: float = 0.0) -> np.ndarray:
    """Features with eight strong directions and noise, float32 ``[count, COLUMNS]``."""
    mixing = np.random.default_rng(1).normal(size=(8, COLUMNS))
    features = rng.normal(size=(count, 8)) @ mixing + 0.3 * rng.normal(size=(count, COLUMNS))
    return (5 + features + shift).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> TrainingDistance:
    rng = np.random.default_rng(0)
    return Whitened.fit([spots(rng, 120) for _ in range(4)], ["A", "A", "B", "C"])


def test_about_one_in_a_hundred_spots_of_a_new_patient_lies_beyond_1(fitted):
    new = fitted.distance(spots(np.random.default_rng(7), 5000))
    assert 0.002 < (new > 1).mean() < 0.03
    assert 0.4 < np.median(new) < 1


def test_spots_of_another_kind_lie_beyond_1(fitted):
    rng = np.random.default_rng(8)
    assert (fitted.distance(spots(rng, 500, shift=6.0)) > 1).mean() > 0.95
    unrelated = 5 + rng.normal(0, 3, size=(500, COLUMNS)).astype(np.float32)
    assert (fitted.distance(unrelated) > 1).mean() > 0.95


def test_a_few_odd_training_spots_do_not_widen_the_unit(fitted):
    rng = np.random.default_rng(0)
    sections = [spots(rng, 120) for _ in range(4)]
    for section in sections:
        section[:3] += 40
    widened = Whitened.fit(sections, ["A", "A", "B", "C"])
    assert (widened.distance(spots(np.random.default_rng(8), 500, shift=40.0)) > 1).mean() > 0.95


def test_the_farther_of_features_and_colours_counts_and_is_the_same_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    features, colours = [[spots(rng, 100) for _ in "AB"] for _ in range(2)]
    colours = [each[:, :3] for each in colours]
    fitted = TrainingDistance.fit(features, colours, ["A", "B"])
    new, seen = spots(rng, 20), spots(rng, 20)[:, :3]
    assert (fitted(new, seen + 50) > fitted(new, seen)).all()
    assert (fitted(new + 50, seen) > fitted(new, seen)).all()
    fitted.write(tmp_path / "distance.safetensors")
    again = TrainingDistance.read(tmp_path / "distance.safetensors")
    np.testing.assert_allclose(again(new, seen), fitted(new, seen), rtol=1e-6)


@pytest.mark.parametrize("patients", [["A"], ["A", "A"]])
def test_one_patient_sets_the_unit_by_its_own_spots(patients):
    rng = np.random.default_rng(0)
    alone = Whitened.fit([spots(rng, 60) for _ in patients], patients)
    assert np.isfinite(alone.distance(spots(rng, 10))).all()


def test_constant_columns_and_few_spots_do_no_harm():
    rng = np.random.default_rng(0)
    features = spots(rng, 5)
    features[:, :50] = 1.0
    few = Whitened.fit([features], ["A"])
    assert np.isfinite(few.distance(spots(rng, 3))).all()
