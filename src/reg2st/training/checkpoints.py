"""Saving and resuming a training, without pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from reg2st.base.files import written_whole


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    record: dict[str, Any],
) -> None:
    """Write all that a training needs to go on, and a JSON record, as one safetensors file."""
    state = optimiser.state_dict()
    tensors = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            tensors[f"optimiser.{index}.{name}"] = value.contiguous()
    metadata = {
        "record": json.dumps(record),
        "param_groups": json.dumps(state["param_groups"]),
        "schedule": json.dumps(
            {k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"}
        ),
    }
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_record(path: Path) -> dict[str, Any] | None:
    """The JSON record of a checkpoint; None where there is no whole checkpoint."""
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as handle:
        return json.loads(handle.metadata()["record"])


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Restore model, optimiser and schedule in place to what they were when saved."""
    device = next(model.parameters()).device
    model_state: dict[str, torch.Tensor] = {}
    optimiser_state: dict[int, dict[str, torch.Tensor]] = {}
    with safe_open(path, framework="pt", device=str(device)) as handle:
        for key in handle.keys():  # noqa: SIM118 - safe_open is no mapping
            part, rest = key.split(".", 1)
            if part == "model":
                model_state[rest] = handle.get_tensor(key)
            else:
                index, name = rest.split(".", 1)
                optimiser_state.setdefault(int(index), {})[name] = handle.get_tensor(key)
        groups = json.loads(handle.metadata()["param_groups"])
        schedule_state = json.loads(handle.metadata()["schedule"])
    model.load_state_dict(model_state)
    optimiser.load_state_dict({"state": optimiser_state, "param_groups": groups})
    if "lr_lambdas" in schedule.state_dict():
        schedule_state["lr_lambdas"] = [None] * len(groups)
    schedule.load_state_dict(schedule_state)
