"""A job opens the files that its rule declares as input, all of them and no others."""

import os
import shutil
from pathlib import Path
from typing import get_args

import pytest

from opened_files import opened_in
from reg2st.study.metrics_config import FurtherMetric
from reg2st.tools.plan import plan
from studies import smallest

READ_MORE = {
    "deepspot": {"settings": {"epochs": 1}, "inputs": {"embeddings": [{"encoder": "mean_grey"}]}},
    "stnet": {"preset": "quick", "settings": {"epochs": 1, "patch_px": 32, "views": 1}},
}
"""A method that reads tiles and a graph, and one that reads patches and starts from weights."""

NETWORK = {"embeddings": [{"encoder": "efficientnet_lite0"}]}
"""An encoder with weights."""


pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


def assert_opened_as_declared(study, trace, monkeypatch) -> None:
    opened = opened_in(trace, study.folder)
    monkeypatch.chdir(study.folder)
    jobs = [job for job in plan([Path("config.yaml")]).jobs if job.benchmark]
    assert len(jobs) > 30
    wrong = {}
    for job in jobs:
        read = opened[str(Path(job.benchmark).with_suffix(".log"))] - set(job.outputs)
        declared = {os.path.relpath(file) for file in job.inputs}
        if read != declared:
            wrong[job.benchmark] = {"undeclared": read - declared, "unread": declared - read}
    assert not wrong


@pytest.mark.timeout(1800)  # it makes the study that other tests share, traced
def test_every_job_opens_exactly_its_inputs(finished, monkeypatch):
    assert_opened_as_declared(finished, finished.folder.with_suffix(".trace"), monkeypatch)


@pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
def test_jobs_that_read_tiles_weights_and_gene_sets_do_too(study, tmp_path_factory, monkeypatch):
    study.config = smallest()
    study.config["methods"] |= READ_MORE
    study.config["inputs"] = NETWORK
    study.config["methods"]["reg2st"]["settings"] = {"epochs": 1}
    study.config["datasets"]["simulated"]["source"]["simulation"]["spots"] = 16
    study.config["datasets"]["simulated"]["panel"]["recipe"]["min_spots"] = 4
    study.config["datasets"]["simulated"]["gene_sets"] = {
        "HVG": {"variable": 2},
        "SVG": {"spatial": 2},
    }
    study.config["metrics"] = {"more": list(get_args(FurtherMetric))}
    trace = tmp_path_factory.mktemp("trace") / "calls"
    done = study.run(trace=trace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_opened_as_declared(study, trace, monkeypatch)
