"""How golden vectors are read and compared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def released() -> Callable[[str], dict[str, Tensor]]:
    """Inputs, parameters and outputs of a released implementation, by name."""

    def read(name: str) -> dict[str, Tensor]:
        with np.load(VECTORS / f"{name}.npz") as arrays:
            return {key: torch.from_numpy(array) for key, array in arrays.items()}

    return read


@pytest.fixture(scope="session")
def renamed_state() -> Callable:
    """Released parameters under our names."""

    def rename(model: nn.Module, golden: dict[str, Tensor], names: dict[str, str]) -> dict:
        state = {}
        for name in model.state_dict():
            layer, _, tensor = name.rpartition(".")
            if layer in names:
                state[name] = golden[f"param/{names[layer]}.{tensor}"]
        return state

    return rename


@pytest.fixture(scope="session")
def relative_error() -> Callable[[Tensor, Tensor], float]:
    """The largest difference as a share of the largest released value."""

    def largest(ours: Tensor, released: Tensor) -> float:
        return ((ours - released).abs().max() / released.abs().max()).item()

    return largest


@pytest.fixture(scope="session")
def assert_same_distances() -> Callable[[Tensor, Tensor, Tensor], None]:
    """Two graphs lead each spot to neighbours at the same distances (ties may differ)."""

    def compare(array_xy: Tensor, ours: Tensor, released: Tensor) -> None:
        for spot in range(len(array_xy)):
            distances = [
                (array_xy[edges[0][edges[1] == spot]] - array_xy[spot])
                .float()
                .norm(dim=1)
                .sort()[0]
                for edges in (ours, released)
            ]
            assert torch.equal(*distances)

    return compare
