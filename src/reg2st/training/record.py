"""The record of a training: settings, input hashes, versions, time and memory."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from reg2st.base.files import sha256
from reg2st.study.specification import RunSpec

RECORDED_PACKAGES = ("torch", "torch-geometric", "numpy", "scikit-learn", "reg2st-workflow")


def hashes_of(files: Iterable[Path | str]) -> dict[str, str]:
    """SHA-256 of files, by their paths."""
    return {Path(file).as_posix(): sha256(file) for file in files}


def fingerprint(run: RunSpec, precision: str, hashes: dict[str, str]) -> str:
    """A hash of everything that determines a training's result; file paths do not."""
    decisive = {
        **identity(run),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "inputs": list(hashes.values()),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def identity(run: RunSpec) -> dict[str, Any]:
    """The run's key, settings, features, target and windows, as plain values."""
    return {
        **run.key.model_dump(),
        "settings": run.settings,
        "features": [source.model_dump(exclude_none=True) for source in run.features],
        "standardise": run.standardise,
        "target": run.target,
        "window_spots": run.window_spots,
        **({"tuning": run.tuning.model_dump()} if run.tuning else {}),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in RECORDED_PACKAGES},
    }


def git_commit() -> str | None:
    """The commit of the workflow, marked if the working tree has changes; None without git."""
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    command = ["git", "-C", str(Path(__file__).parent), *describe]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return described.stdout.strip() or None


def device_name(device: str) -> str:
    """The name of the GPU or of the processor."""
    return torch.cuda.get_device_name() if device != "cpu" else platform.processor() or "cpu"
