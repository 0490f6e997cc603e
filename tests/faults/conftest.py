"""Real faults for real jobs: kills, full disks, folders that are closed."""

import os
import random
from collections.abc import Iterator

import pytest

from faults import ONE_JOB_OF_EACH_RULE, Disk
from studies import Study, smallest


@pytest.fixture(scope="session")
def undisturbed(run_once) -> Study:
    """A study of which nothing was killed; its network has epochs to be killed in."""
    config = smallest()
    config["inputs"] = {"embeddings": [{"encoder": "efficientnet_lite0"}]}  # weights are fetched
    config["methods"]["reg2st"]["settings"] = {"epochs": 60}
    return run_once("undisturbed", config, *ONE_JOB_OF_EACH_RULE)


@pytest.fixture
def chance(request) -> random.Random:
    """Moments to kill at; the same ones each time a test runs."""
    return random.Random(request.node.name)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Disk]:
    """A disk of its own, a few MB large, which can be filled, enlarged and closed."""
    disk = Disk(tmp_path / "disk")
    if os.geteuid() != 0 or disk.mount().returncode:
        pytest.skip("needs root to mount a small disk")
    yield disk
    disk.unmount()
