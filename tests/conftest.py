"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest

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
