"""Train one run and write its folder."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from reg2st.base.files import clear_leftovers, written_whole
from reg2st.base.memory import peak_memory_bytes
from reg2st.features.encoders.weights import read_tensors
from reg2st.models.interface import Model, Network, Regression, SectionTensors, Sizes
from reg2st.sections.panels import read_panel
from reg2st.study.specification import RunSpec
from reg2st.training import record
from reg2st.training.load import load_sections
from reg2st.training.loop import Checkpointing, resolved_precision, train_network
from reg2st.training.saved_model import build_model, save_model
from reg2st.training.tuning import Tuned, tune

log = logging.getLogger(__name__)

EMPTY_HISTORY = ["epoch", "learning_rate", "loss_total", "seconds"]
"""Columns of the history of a method without epochs."""


@dataclass(frozen=True)
class Unfinished:
    """What a training that is killed goes on from.

    Attributes:
        tuning: file of the choice of settings.
        checkpoint: the checkpoint file.
        checkpoint_seconds: minimum time between two checkpoints.
        fingerprint: hash of all inputs; files of a training with another one are ignored.
    """

    tuning: Path
    checkpoint: Path
    checkpoint_seconds: float
    fingerprint: str


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        run: the run with the settings that were chosen.
        history: one row an epoch; empty for a method without epochs.
        tuned: what was chosen; None for a run without ``tuning``.
    """

    run: RunSpec
    model: Model
    history: list[dict[str, Any]]
    tuned: Tuned | None

    def choice(self) -> dict[str, Any]:
        """What ``run.json`` says of settings that the training chose."""
        if self.tuned is None:
            return {"chosen": self.model.chosen if isinstance(self.model, Regression) else {}}
        return {
            "chosen": self.tuned.chosen,
            "held_out": self.tuned.held_out,
            "trials": [dataclasses.asdict(trial) for trial in self.tuned.trials],
        }


def train_run(run: RunSpec, out: Path, *, device: str, checkpoint_seconds: float) -> None:
    """Train a model on a run's sections; write its weights, history and ``run.json``.

    Args:
        run: the run; only its files are read.
        out: folder of the model; it holds a checkpoint during training.
        device: ``cpu`` or ``cuda``.
        checkpoint_seconds: minimum time between two checkpoints.
    """
    started = time.monotonic()
    hashes = record.hashes_of(run.files())
    genes = read_panel(run.panel)
    sections = load_sections(run, with_targets=True)
    sizes = sizes_of(sections[0], genes)
    precision = resolved_precision(run.precision, torch.device(device))
    sections = [section.to(device) for section in sections]

    def build(run: RunSpec) -> Model:
        model = build_model(run, sizes, device)
        if run.weights is not None:
            model.start_from(read_tensors(run.weights))
        return model

    spots = sum(section.n_spots for section in sections)
    log.info("%s: %d sections, %d spots, %d genes.", out, len(sections), spots, len(genes))
    unfinished = Unfinished(
        tuning=out / "tuning.json",
        checkpoint=out / "checkpoint.safetensors",
        checkpoint_seconds=checkpoint_seconds,
        fingerprint=record.fingerprint(run, precision, hashes),
    )
    prepared = time.monotonic()
    trained = _train(run, sections, build, precision, unfinished)
    seconds = time.monotonic() - prepared
    model, history = trained.model, trained.history
    with written_whole(out / "history.tsv") as temporary:
        columns = None if history else EMPTY_HISTORY
        pd.DataFrame(history, columns=columns).to_csv(temporary, sep="\t", index=False)
    written = {
        **record.identity(trained.run),
        **trained.choice(),
        "inputs": dataclasses.asdict(run.needs()),
        "precision": precision if isinstance(model, Network) else "float32",
        "training_sections": [section.name for section in sections],
        "training_spots": spots,
        "panel": run.panel.as_posix(),
        "genes": len(genes),
        "columns": model.sizes.features,
        "parameters": sum(each.numel() for each in model.parameters()),
        "device": record.device_name(device),
        "threads": torch.get_num_threads(),
        "seconds_loading": round(prepared - started, 3),
        "seconds_training": round(seconds, 3),
        "seconds_an_epoch": float(pd.DataFrame(history)["seconds"].median()) if history else None,
        "peak_memory_bytes": peak_memory_bytes(),
        "peak_device_memory_bytes": torch.cuda.max_memory_allocated() if device != "cpu" else 0,
        "versions": record.versions(),
        "git_commit": record.git_commit(),
        "sha256": hashes,
    }
    with written_whole(out / "run.json") as temporary:
        temporary.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    save_model(model, out / "model.safetensors", trained.tuned.settings if trained.tuned else None)
    for file in (unfinished.checkpoint, unfinished.tuning):
        file.unlink(missing_ok=True)
        clear_leftovers(file)


def _train(
    run: RunSpec,
    sections: list[SectionTensors],
    build: Callable[[RunSpec], Model],
    precision: str,
    unfinished: Unfinished,
) -> Trained:
    tuned, history = None, []
    fingerprint = unfinished.fingerprint
    if run.tuning is not None:
        tuned = tune(
            run,
            sections,
            build,
            precision=precision,
            record=unfinished.tuning,
            fingerprint=fingerprint,
        )
        run = run.with_settings(tuned.settings)
    model = build(run)
    if isinstance(model, Network):
        history = train_network(
            model,
            sections,
            seed=run.key.seed,
            precision=precision,
            window_spots=run.window_spots,
            checkpointing=Checkpointing(
                unfinished.checkpoint, unfinished.checkpoint_seconds, fingerprint
            ),
            epochs=tuned.epochs if tuned else None,
        )
    else:
        model.fit(sections)
    return Trained(run, model, history, tuned)


def sizes_of(section: SectionTensors, genes: list[str]) -> Sizes:
    """Sizes of a model: genes of the panel, columns of the features."""
    features = 0 if section.embedding is None else section.embedding.shape[1]
    return Sizes(genes=len(genes), features=features)
