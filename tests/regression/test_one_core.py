"""The number of cores does not change a bit of the scores."""

import os
import shutil

import pytest

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
METHODS = ("ridge", "reg2st")


def test_one_core_gives_the_same_scores(finished, new_study, tmp_path):
    study = new_study(tmp_path / "copy", existing=finished)
    for made in ("panels", "runs"):
        shutil.rmtree(study.results / made)
    runs = [f"runs/simulated/patient_out/{method}/full/seed-0" for method in METHODS]
    done = study.run(*(f"results/tiny/{run}/scores.tsv" for run in runs), cores=1)
    assert done.returncode == 0, done.stdout + done.stderr
    for run in runs:
        alone, together = (each.results / run / "scores.tsv" for each in (study, finished))
        assert alone.read_bytes() == together.read_bytes()
