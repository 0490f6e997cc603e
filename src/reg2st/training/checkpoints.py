"""Save and resume a training.

``torch.save`` writes a pickle, and this project loads none; safetensors holds tensors only, so
everything else goes into its metadata as JSON.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from reg2st.base.files import written_whole


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    record: dict[str, Any],
) -> None:
    """Write the state of a training, and a JSON record, as one safetensors file."""
    state = optimiser.state_dict()
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, entries in state["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in entries.items()}
    plain = {
        "record": record,
        "param_groups": state["param_groups"],
        "schedule": schedule.state_dict(),
    }
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    metadata = {name: json.dumps(value) for name, value in plain.items()}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_record(path: Path) -> dict[str, Any] | None:
    """The JSON record of a checkpoint; None where there is no complete checkpoint."""
    return _metadata(path)["record"] if path.is_file() else None


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Restore model, optimiser and schedule in place."""
    metadata = _metadata(path)
    weights: dict[str, torch.Tensor] = {}
    state: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for key, value in load_file(path, device=str(next(model.parameters()).device)).items():
        part, name = key.split(".", 1)
        if part == "model":
            weights[name] = value
        else:
            index, name = name.split(".", 1)
            state[int(index)][name] = value
    model.load_state_dict(weights)
    optimiser.load_state_dict({"state": state, "param_groups": metadata["param_groups"]})
    schedule.load_state_dict(metadata["schedule"])


def _metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return {name: json.loads(value) for name, value in file.metadata().items()}
