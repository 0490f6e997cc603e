"""Settings chosen inside the training sections: what is held out, what wins, what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from model_folders import ENCODER
from reg2st.base.errors import UserError
from reg2st.models.interface import SectionTensors
from reg2st.study.specification import FeatureSource, RunKey, RunSpec, SectionFiles, Tuning
from reg2st.training.predict import predict_folds
from reg2st.training.saved_model import chosen_settings
from reg2st.training.train import train_run
from reg2st.training.tuning import hold_out

pytestmark = pytest.mark.usefixtures("one_thread")


def section(name, patient, spots):
    return SectionTensors(name, patient, torch.zeros(spots, 2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([("A1", "A", 20), ("B1", "B", 9), ("B2", "B", 9)], ["B1", "B2"]),
        ([("A1", "A", 9), ("A2", "A", 9), ("B1", "B", 20)], ["A1", "A2"]),
        ([("A1", "A", 20), ("A2", "A", 19)], ["A2"]),
    ],
)
def test_the_smallest_patient_is_held_out_and_of_one_patient_a_section(sections, expected):
    given = [section(*each) for each in sections]
    training, held_out = hold_out(given)
    assert [each.name for each in held_out] == expected
    assert training == [each for each in given if each.name not in expected]


def test_of_one_section_the_quarter_at_the_end_of_its_longer_side_is_held_out():
    xy = torch.tensor([[0, column] for column in (3, 0, 7, 1, 6, 2, 5, 4)])
    ((rest,), (quarter,)) = hold_out([SectionTensors("A1", "A", xy)])
    assert rest.array_xy[:, 1].tolist() == [3, 0, 1, 2, 5, 4]
    assert quarter.array_xy[:, 1].tolist() == [7, 6]
    assert quarter.name == "A1, a quarter"


def run_of(made, values, seconds=20.0, names=("A1", "B1", "C1"), **fields):
    settings = {"width": 32, "context": "spot", "members": 2, "batch_spots": 32, "epochs": 30}
    files = [
        SectionFiles(section=made / f"{name}.h5ad", features=(made / f"{name}.features.h5",))
        for name in names
    ]
    key = {"dataset": "simulated", "split": "patient_out", "variant": "full", "preset": "tuned"}
    return RunSpec(
        key=RunKey(**key, method="deepspot", seed=0, fold="D"),
        settings=settings,
        tuning=Tuning(values=values, seconds=seconds),
        features=(FeatureSource(encoder=ENCODER, view="native", field_px=224),),
        standardise="section",
        precision="float32",
        target="paper",
        panel=made / "panel.txt",
        sections=tuple(files),
        **fields,
    )


def train(run, out):
    train_run(run, out, device="cpu", checkpoint_seconds=60)
    return json.loads((out / "run.json").read_text())


TRAIN = """
import sys
from pathlib import Path
from reg2st.study.specification import RunSpec
from reg2st.training.train import train_run
run = RunSpec.model_validate_json(sys.argv[1])
train_run(run, Path(sys.argv[2]), device="cpu", checkpoint_seconds=60)
"""

VALUES = {"learning_rate": (1e-9, 3e-3), "width": (16, 32)}


@pytest.fixture(scope="module")
def tuned(fitted, tmp_path_factory):
    """The folder of a tuned training, and its record."""
    out = tmp_path_factory.mktemp("tuned")
    return out, train(run_of(fitted, VALUES), out)


def test_a_rate_that_learns_wins_and_every_candidate_is_in_the_record(tuned):
    _, record = tuned
    assert record["chosen"]["learning_rate"] == 3e-3
    assert len(record["held_out"]) == 1
    assert [trial["settings"] for trial in record["trials"]] == [
        {"learning_rate": rate, "width": width} for rate in (1e-9, 3e-3) for width in (16, 32)
    ]
    best = max(record["trials"], key=lambda trial: trial["mean_pcc"])
    assert record["chosen"] == {**best["settings"], "epochs": best["best_epoch"]}
    assert best["mean_pcc"] > 0.1


def test_all_sections_are_trained_on_for_as_many_epochs_as_were_best(tuned):
    out, record = tuned
    history = (out / "history.tsv").read_text().splitlines()
    assert len(history) - 1 == record["chosen"]["epochs"]
    assert record["training_sections"] == ["A1", "B1", "C1"]
    assert sorted(path.name for path in out.iterdir()) == [
        "history.tsv",
        "model.safetensors",
        "run.json",
    ]


def test_predictions_have_the_chosen_width(tuned, fitted, tmp_path):
    out, record = tuned
    model = out / "model.safetensors"
    width = record["chosen"]["width"]
    assert chosen_settings(model) == {"learning_rate": 3e-3, "width": width}
    run = run_of(fitted, VALUES, names=("A1",))
    other = {**run.settings, "width": 48 - width}
    run = run.model_copy(update={"settings": other, "tuning": None, "model": model})
    predict_folds([run], tmp_path / "predictions.h5ad")


def test_the_budget_bounds_the_time(fitted, tmp_path):
    values = {"learning_rate": (1e-3, 3e-3)}
    record = train(run_of(fitted, values, seconds=1.5).with_settings({"epochs": 100_000}), tmp_path)
    for trial in record["trials"]:
        assert 0.5 <= trial["seconds"] < 2
        assert trial["epochs"] < 100_000


def test_a_candidate_that_diverges_is_left_out_and_all_of_them_are_one_sentence(fitted, tmp_path):
    record = train(run_of(fitted, {"learning_rate": (1e30, 3e-3)}), tmp_path / "one")
    assert record["chosen"]["learning_rate"] == 3e-3
    with pytest.raises(UserError, match=r"No candidate of deepspot gave a PCC on .*learning_rate"):
        train(run_of(fitted, {"learning_rate": (1e30,)}), tmp_path / "all")


def test_a_training_that_is_killed_after_the_choice_keeps_it(fitted, tmp_path):
    run = run_of(fitted, {"learning_rate": (1e-4, 2e-4)}).with_settings({"epochs": 200})
    killed = subprocess.Popen(
        [sys.executable, "-c", TRAIN, run.model_dump_json(), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    choice = tmp_path / "tuning.json"
    while not choice.exists():
        assert killed.poll() is None
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "run.json").exists()
    trials = json.loads(choice.read_text())["trials"]
    record = train(run, tmp_path)
    assert record["trials"] == trials, "with the seconds that they took"


def test_of_one_section_a_part_chooses(fitted, tmp_path):
    record = train(run_of(fitted, {"learning_rate": (1e-9, 3e-3)}, names=("A1",)), tmp_path)
    assert record["chosen"]["learning_rate"] == 3e-3
    assert record["held_out"] == ["A1, a quarter"]
    assert record["training_sections"] == ["A1"]
