"""Train one run and write its folder."""

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from reg2st.base.errors import UserError
from reg2st.base.files import clear_leftovers, sha256, written_whole
from reg2st.base.jobs import peak_memory_bytes
from reg2st.models.interface import Inputs, Model, Network, Regression, Settings, Sizes
from reg2st.models.registry import method as model_class
from reg2st.models.registry import parse_settings
from reg2st.sections.panels import read_panel
from reg2st.training.load import SectionFiles, check_positions, load_section
from reg2st.training.loop import Checkpointing, resolved_precision, train_network

log = logging.getLogger(__name__)

RECORDED_PACKAGES = ("torch", "torch-geometric", "numpy", "scikit-learn", "reg2st-workflow")


@dataclass(frozen=True)
class Recipe:
    """What decides a model besides its training sections."""

    key: dict[str, str | int]
    settings: Settings
    needs: Inputs
    standardise: str
    precision: str

    @classmethod
    def parse(cls, plain: dict) -> "Recipe":
        """A recipe from plain values: key, all settings, standardise, precision.

        Raises:
            UserError: the settings are not those of the method.
        """
        method = plain["key"]["method"]
        settings = parse_settings(method, "published", plain["settings"])
        needs = model_class(method).inputs(settings)
        return cls(plain["key"], settings, needs, plain["standardise"], plain["precision"])

    @property
    def seed(self) -> int:
        return int(self.key["seed"])


def fit_run(
    recipe: Recipe,
    training: list[SectionFiles],
    panel: Path,
    out: Path,
    *,
    device: str,
    checkpoint_seconds: float,
) -> None:
    """Train a model on the training sections and write model, history and ``run.json``.

    Args:
        recipe: method, settings and inputs.
        training: files of the training sections; no other section is read.
        panel: the gene panel.
        out: folder of the run; a checkpoint lives there while training goes on.
        device: ``cpu`` or ``cuda``.
        checkpoint_seconds: least time between two checkpoints.
    """
    started = time.monotonic()
    genes = read_panel(panel)
    hashes = {path.as_posix(): sha256(path) for files in training for path in files.all()}
    sections = [
        load_section(files, genes, recipe.needs, recipe.standardise, with_targets=True)
        for files in training
    ]
    for section in sections:
        check_positions(section, recipe.settings)
    model = build_model(recipe, genes, sections[0].embedding, device)
    precision = resolved_precision(recipe.precision, torch.device(device))
    sections = [section.to(device) for section in sections]
    spots = sum(section.n_spots for section in sections)
    log.info("%s: %d sections, %d spots, %d genes.", out, len(sections), spots, len(genes))
    checkpoint = out / "checkpoint.safetensors"
    prepared = time.monotonic()
    if isinstance(model, Network):
        history = train_network(
            model,
            sections,
            seed=recipe.seed,
            precision=precision,
            checkpointing=Checkpointing(
                checkpoint, checkpoint_seconds, _fingerprint(recipe, precision, genes, hashes)
            ),
        )
    else:
        model.fit(sections)
        history = []
    trained = time.monotonic()
    with written_whole(out / "history.tsv") as temporary:
        columns = None if history else ["epoch", "learning_rate", "loss_total", "seconds"]
        pd.DataFrame(history, columns=columns).to_csv(temporary, sep="\t", index=False)
    with written_whole(out / "run.json") as temporary:
        record = {
            **recipe.key,
            "settings": recipe.settings.model_dump(),
            "chosen": model.chosen if isinstance(model, Regression) else {},
            "inputs": dataclasses.asdict(recipe.needs),
            "standardise": recipe.standardise,
            "precision": precision if isinstance(model, Network) else "float32",
            "training_sections": [section.name for section in sections],
            "training_spots": spots,
            "panel": panel.as_posix(),
            "genes": len(genes),
            "features": model.sizes.features,
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": _device_name(device),
            "threads": torch.get_num_threads(),
            "seconds_loading": round(prepared - started, 3),
            "seconds_training": round(trained - prepared, 3),
            "seconds_an_epoch": _median_epoch(history),
            "peak_memory_bytes": peak_memory_bytes(),
            "peak_device_memory_bytes": torch.cuda.max_memory_allocated() if device != "cpu" else 0,
            "versions": _versions(),
            "git_commit": _git_commit(),
            "sha256": {**hashes, panel.as_posix(): sha256(panel)},
        }
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    save_model(model, out / "model.safetensors")
    checkpoint.unlink(missing_ok=True)
    clear_leftovers(checkpoint)


def build_model(
    recipe: Recipe, genes: list[str], embedding: torch.Tensor | None, device: str
) -> Model:
    """An untrained model of a run, its weights drawn from the run's seed."""
    torch.set_deterministic_debug_mode("warn")
    torch.manual_seed(recipe.seed)
    features = 0 if embedding is None else embedding.shape[1]
    sizes = Sizes(genes=len(genes), features=features)
    return model_class(str(recipe.key["method"]))(recipe.settings, sizes).to(device)


def save_model(model: Model, path: Path) -> None:
    """Write a model's parameters and buffers as safetensors."""
    with written_whole(path) as temporary:
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()}, temporary
        )


def load_model(model: Model, path: Path) -> None:
    """Fill a model with saved weights.

    Raises:
        UserError: the weights are of another architecture.
    """
    state = load_file(path)
    model.make_room({name: tuple(value.shape) for name, value in state.items()})
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"{path} holds weights of another architecture: '{name}' is {found.get(name)}, "
                f"wanted {expected.get(name)}; delete the run's folder and train anew."
            )
    model.load_state_dict(state)


def _fingerprint(recipe: Recipe, precision: str, genes: list[str], hashes: dict[str, str]) -> str:
    """A hash of all that decides a training's result."""
    decisive = {
        "key": recipe.key,
        "settings": recipe.settings.model_dump(),
        "standardise": recipe.standardise,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "genes": genes,
        "inputs": list(hashes.values()),
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in RECORDED_PACKAGES}
    return {"python": platform.python_version(), **versions}


def _git_commit() -> str | None:
    """The commit of the workflow, marked if the tree has changes; None outside a repository."""
    here = Path(__file__).parent
    command = [
        "git",
        "-C",
        str(here),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return described.stdout.strip() or None


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device != "cpu" else platform.processor() or "cpu"


def _median_epoch(history: list[dict]) -> float | None:
    return float(pd.DataFrame(history)["seconds"].median()) if history else None
