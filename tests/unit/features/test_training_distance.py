"""The distance from the training spots: its unit, other kinds of spots, its file."""

import numpy as np
import pytest

from reg2st.base.errors import UserError
from reg2st.features.training_distance import TrainingDistance

COLUMNS = 200


def spots(rng: np.random.Generator, count: int, shift: float = 0.0) -> np.ndarray:
    """Features with eight strong directions and noise, float32 ``[count, COLUMNS]``."""
    mixing = np.random.default_rng(1).normal(size=(8, COLUMNS))
    features = rng.normal(size=(count, 8)) @ mixing + 0.3 * rng.normal(size=(count, COLUMNS))
    return (5 + features + shift).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> TrainingDistance:
    rng = np.random.default_rng(0)
    return TrainingDistance.fit([spots(rng, 300) for _ in range(4)], ["A", "A", "B", "C"])


def test_about_one_in_a_hundred_spots_of_a_new_patient_lies_beyond_1(fitted):
    new = fitted(spots(np.random.default_rng(7), 5000))
    assert 0.002 < (new > 1).mean() < 0.03
    assert 0.4 < np.median(new) < 1


def test_spots_of_another_kind_lie_beyond_1(fitted):
    rng = np.random.default_rng(8)
    assert (fitted(spots(rng, 500, shift=6.0)) > 1).mean() > 0.95
    unrelated = 5 + rng.normal(0, 3, size=(500, COLUMNS)).astype(np.float32)
    assert (fitted(unrelated) > 1).mean() > 0.95


def test_it_is_the_same_after_it_was_written(fitted, tmp_path):
    fitted.write(tmp_path / "distance.safetensors")
    new = spots(np.random.default_rng(9), 50)
    again = TrainingDistance.read(tmp_path / "distance.safetensors")
    np.testing.assert_allclose(again(new), fitted(new), rtol=1e-6)


def test_other_columns_are_refused(fitted):
    with pytest.raises(UserError, match="199 columns, and the model was trained on 200"):
        fitted(np.zeros((2, COLUMNS - 1), np.float32))


@pytest.mark.parametrize("patients", [["A"], ["A", "A"]])
def test_one_patient_sets_the_unit_by_its_own_spots(patients):
    rng = np.random.default_rng(0)
    alone = TrainingDistance.fit([spots(rng, 60) for _ in patients], patients)
    assert np.isfinite(alone(spots(rng, 10))).all()


def test_constant_columns_and_few_spots_do_no_harm():
    rng = np.random.default_rng(0)
    features = spots(rng, 5)
    features[:, :50] = 1.0
    few = TrainingDistance.fit([features], ["A"])
    changed = spots(rng, 3)
    assert np.isfinite(few(changed)).all()
