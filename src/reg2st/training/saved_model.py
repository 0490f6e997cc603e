"""A model's weights on disk: safetensors, never pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.models.interface import Model, Sizes
from reg2st.models.layers import make_room_for_positions
from reg2st.models.registry import method as model_class
from reg2st.study.specification import RunSpec

CHOSEN = "chosen_settings"
"""Key of the file's metadata."""


def build_model(run: RunSpec, sizes: Sizes, device: str) -> Model:
    """An untrained model of a run; the run's seed initialises its weights."""
    torch.set_deterministic_debug_mode("warn")
    torch.manual_seed(run.key.seed)
    return model_class(run.key.method)(run.parsed_settings(), sizes).to(device)


def save_model(model: Model, path: Path, chosen: Mapping[str, Any] | None = None) -> None:
    """Write a model's parameters and buffers as safetensors.

    Args:
        chosen: settings that its training chose; they are in the file's metadata.
    """
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    metadata = {CHOSEN: json.dumps(chosen)} if chosen else None
    with written_whole(path) as temporary:
        save_file(state, temporary, metadata)


def chosen_settings(path: Path) -> dict[str, Any]:
    """The settings that the training of a saved model chose, overrides of those of its run."""
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {}).get(CHOSEN, "{}"))


def load_model(model: Model, path: Path) -> None:
    """Load saved weights into a model.

    Raises:
        UserError: the weights belong to another architecture.
    """
    state = load_file(path)
    found = {name: tuple(value.shape) for name, value in state.items()}
    make_room_for_positions(model, found)
    model.make_room(found)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"{path} holds weights of another architecture: '{name}' is {found.get(name)}, "
                f"expected {expected.get(name)}; delete the run's folder and train it again."
            )
    model.load_state_dict(state)
