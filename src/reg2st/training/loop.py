"""The training loop that all networks share: one step a batch."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from reg2st.base.errors import UserError
from reg2st.models.interface import Network, SectionTensors
from reg2st.models.layers import hold_positions
from reg2st.models.windows import Window, in_windows
from reg2st.training.checkpoints import load_checkpoint, load_record, save_checkpoint
from reg2st.training.stepping import stepping

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpointing:
    """Where and how often a training is saved.

    Attributes:
        path: the checkpoint file.
        seconds: minimum time between two checkpoints; 0 saves after every epoch.
        fingerprint: hash of all inputs of the training; a checkpoint with another one is ignored.
    """

    path: Path
    seconds: float
    fingerprint: str


def resolved_precision(precision: str, device: torch.device) -> str:
    """The precision of ``auto`` on a device: bfloat16 if its hardware supports it, else float32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        abilities = torch.cpu.get_capabilities()
        multiplies = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return "bfloat16" if multiplies else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast | nullcontext:
    """The autocast context of a network; precision is float32 or bfloat16."""
    lower = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16) if lower else nullcontext()


def train_network(
    model: Network,
    sections: list[SectionTensors],
    *,
    seed: int,
    precision: str = "float32",
    window_spots: int | None = None,
    checkpointing: Checkpointing | None = None,
    epochs: int | None = None,
    is_over: Callable[[int], bool] = lambda epoch: False,
) -> list[dict[str, Any]]:
    """Train a network in place and return its history, one row an epoch.

    The random state of an epoch depends on seed and epoch only, so a resumed training gives the
    same weights, bit by bit, as an uninterrupted one.

    Args:
        model: an untrained network.
        sections: the training sections, on the network's device.
        seed: of all random draws.
        precision: float32 or bfloat16.
        window_spots: most spots of a batch of a network in which all spots see each other: of a
            larger section each window is a batch, and all its spots count in the loss.
        checkpointing: where to save the training; None saves nothing.
        epochs: None for as many as the settings say, which the schedule of the learning rate
            follows in any case.
        is_over: asked after each epoch, from 1, whether to stop there.

    Raises:
        UserError: the loss is not finite; the last good checkpoint is kept.
    """
    device = next(model.parameters()).device
    hold_positions(model, sections)
    model.prepare(sections)
    parts = in_windows(sections, window_spots) if model.sees_all_spots else sections
    optimiser, schedule = model.optimiser(steps_per_epoch=model.steps_per_epoch(parts))
    history: list[dict[str, Any]] = []
    if checkpointing is not None:
        history = _resume(checkpointing, model, optimiser, schedule)
    epochs = epochs or model.settings.epochs
    saved = time.monotonic()
    model.train()
    progress = tqdm(
        range(len(history), epochs),
        initial=len(history),
        total=epochs,
        unit="epoch",
        mininterval=10,
        desc="training",
    )
    for epoch in progress:
        started = time.monotonic()
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        rate = optimiser.param_groups[0]["lr"]
        steps, names = [], []
        for batch in model.batches(parts, torch.default_generator):
            batch = batch.cut() if isinstance(batch, Window) else batch
            with autocast(device, precision):
                losses = model.losses(batch)
                total = sum(losses.values())
            with stepping(optimiser):
                total.backward()
            schedule.step()
            steps.append(torch.stack([*losses.values(), total]).detach())
            names.append(batch.name)
        values = torch.stack(steps).double().cpu()
        _check_finite(values, epoch, names)
        means = dict(zip([*losses, "total"], values.mean(dim=0).tolist(), strict=True))
        history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": rate,
                **{f"loss_{name}": value for name, value in means.items()},
                "seconds": round(time.monotonic() - started, 4),
            }
        )
        due = checkpointing is not None and time.monotonic() - saved >= checkpointing.seconds
        if due and epoch + 1 < epochs:
            record = {"fingerprint": checkpointing.fingerprint, "history": history}
            save_checkpoint(checkpointing.path, model, optimiser, schedule, record)
            saved = time.monotonic()
        if is_over(epoch + 1):
            break
    model.eval()
    with torch.no_grad():
        model.finish(sections)
    return history


def _resume(checkpointing, model, optimiser, schedule) -> list[dict[str, Any]]:
    record = load_record(checkpointing.path)
    if record is None:
        return []
    if record["fingerprint"] != checkpointing.fingerprint:
        log.info(
            "The checkpoint belongs to other settings or inputs; training starts from epoch 1."
        )
        return []
    load_checkpoint(checkpointing.path, model, optimiser, schedule)
    log.info("Resuming from the checkpoint after epoch %d.", len(record["history"]))
    return record["history"]


def _check_finite(values: torch.Tensor, epoch: int, names: list[str]) -> None:
    """``values`` is float64 ``[steps, losses]``."""
    finite = values.isfinite().all(dim=1)
    if not finite.all():
        step = int((~finite).nonzero()[0])
        raise UserError(
            f"The loss is not finite in epoch {epoch + 1}, step {step + 1} (section "
            f"{names[step]}): lower the method's learning_rate, or check that section's "
            "inputs; the last good checkpoint is kept."
        )
