"""Real faults for real jobs: kills, full disks, folders that are closed."""

import os
import random
from collections.abc import Iterator

import pytest

from faults import Disk


@pytest.fixture
def chance(request) -> random.Random:
    """Moments to kill at; the same ones each time a test runs."""
    return random.Random(request.node.name)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Disk]:
    """A disk of its own, a few MB large, which can be filled, enlarged and closed."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = Disk(tmp_path / "disk")
    if disk.mount().returncode:
        pytest.skip("this root may not mount a file system")
    yield disk
    disk.unmount()
