"""Fixtures that all tests share."""

import copy
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from studies import TINY, Study

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("REG2ST_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real sections and golden vectors, which is not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data in {SHARED}; set REG2ST_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def new_study(root):
    """Make a study in a folder, empty or as a copy of an existing one."""

    def make(folder: Path, existing: Study | None = None) -> Study:
        if existing is not None:
            shutil.copytree(existing.folder, folder, symlinks=True)
        return Study(root, folder, copy.deepcopy(TINY))

    return make


@pytest.fixture(scope="session")
def finished(new_study, tmp_path_factory, worker_id):
    """A study that ran to its end on two cores: one for all test processes, not to be changed."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "finished"
    study = new_study(folder)
    output = folder.with_suffix(".log")
    with FileLock(folder.with_suffix(".lock")):
        if not output.exists():
            folder.mkdir(exist_ok=True)
            done = study.run(cores=2)
            assert done.returncode == 0, done.stdout + done.stderr
            output.write_text(done.stdout)
    study.output = output.read_text()
    return study


@pytest.fixture
def study(new_study, tmp_path) -> Study:
    """A study in an empty folder."""
    return new_study(tmp_path)
