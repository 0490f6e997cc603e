"""Weights files: safetensors whose metadata say which weights they hold."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole

if TYPE_CHECKING:
    from torch import Tensor, nn


def write_weights(
    path: str | os.PathLike,
    tensors: "dict[str, Tensor]",
    *,
    weights: str,
    revision: str,
    sha256: str,
    **about: str,
) -> None:
    """Write weights whole, with their name, revision and the hash of the published file."""
    from safetensors.torch import save_file

    metadata = {"weights": weights, "revision": revision, "sha256": sha256, **about}
    with written_whole(path) as temporary:
        save_file({name: each.contiguous() for name, each in tensors.items()}, temporary, metadata)


def read_metadata(path: str | os.PathLike, weights: str) -> dict[str, str]:
    """Metadata of a weights file.

    Raises:
        UserError: it is missing, damaged, or holds other weights than ``weights``.
    """
    from safetensors import safe_open

    with _explained(path), safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("weights") != weights:
        raise UserError(
            f"{path} holds the weights of {metadata.get('weights', 'something else')}, not of "
            f"{weights}; delete it and fetch it again."
        )
    return metadata


def read_tensors(path: str | os.PathLike) -> "dict[str, Tensor]":
    """Tensors of a safetensors file.

    Raises:
        UserError: it is missing or damaged.
    """
    from safetensors.torch import load_file

    with _explained(path):
        return load_file(path)


def read_into(network: "nn.Module", path: str | os.PathLike, name: str) -> None:
    """Load a weights file into a network; every key and shape must match.

    Raises:
        UserError: the file is damaged or holds weights for another architecture.
    """
    fill(network, read_tensors(path), path, name)


def fill(
    network: "nn.Module", tensors: "dict[str, Tensor]", path: str | os.PathLike, name: str
) -> None:
    """Give a network, which may be on the meta device, these tensors; see `read_into`."""
    try:
        network.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split("\n\t", maxsplit=2)[1:2]).split(". ")[0][:160]
        raise UserError(
            f"{path} holds weights for another architecture than {name} ({detail.strip()}); "
            "provide the weights of that architecture."
        ) from error


@contextmanager
def _explained(path: str | os.PathLike) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"The weights {path} do not exist; fetch them first.") from error
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The weights {path} are damaged ({error}); delete them and fetch them again."
        ) from error
