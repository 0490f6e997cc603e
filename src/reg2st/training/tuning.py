"""Choose the settings and epochs of a network inside its training sections, in a given time.

The sections of one training patient are held out (one section where there is one patient, and a
quarter of it where there is one section). Each candidate trains on the others for an equal share of
the time, and the epoch with the highest mean PCC on what was held out wins. One share is left for
the training on all sections. Time is that of the clock on a GPU, and the processor's on a CPU.
"""

import copy
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.models.interface import Network, SectionTensors
from reg2st.models.windows import predict_in_windows
from reg2st.study.specification import RunSpec
from reg2st.training.loop import train_network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A candidate that was tried.

    Attributes:
        settings: the settings that it overrides.
        epochs: that were trained.
        best_epoch: with the highest score, from 1; None if no epoch had a score.
        mean_pcc: mean over held-out sections and genes after that epoch.
        seconds: that it took, on a CPU of the processor's time.
    """

    settings: dict[str, Any]
    epochs: int
    best_epoch: int | None
    mean_pcc: float | None
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """What was chosen.

    Attributes:
        settings: overrides of the run's settings.
        epochs: to train on all sections.
        held_out: names of what it was chosen on.
        trials: every candidate, in the order of the config.
    """

    settings: dict[str, Any]
    epochs: int
    held_out: list[str]
    trials: list[Trial]

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings with the number of epochs, as tables show them."""
        return {**self.settings, "epochs": self.epochs}


def tune(
    run: RunSpec,
    sections: Sequence[SectionTensors],
    build: Callable[[RunSpec], Network],
    *,
    precision: str,
    record: Path,
    fingerprint: str,
) -> Tuned:
    """Choose among the candidates of a run.

    How many epochs a candidate gets depends on the speed of the machine, and so may the choice.
    It is written to a file, so that a training that is killed goes on with the same choice.

    Args:
        run: a run with ``tuning``.
        sections: the training sections, on the network's device.
        build: gives the untrained network of a run.
        precision: float32 or bfloat16.
        record: file of the choice.
        fingerprint: hash of all inputs of the training; a choice with another one is ignored.

    Raises:
        UserError: no candidate gave a score.
    """
    if record.exists():
        written = json.loads(record.read_text(encoding="utf-8"))
        if written.pop("fingerprint") == fingerprint:
            trials = [Trial(**trial) for trial in written.pop("trials")]
            return Tuned(**written, trials=trials)
    tuned = _choose(run, list(sections), build, precision)
    with written_whole(record) as temporary:
        plain = {**asdict(tuned), "fingerprint": fingerprint}
        temporary.write_text(json.dumps(plain), encoding="utf-8")
    return tuned


def _choose(
    run: RunSpec,
    sections: list[SectionTensors],
    build: Callable[[RunSpec], Network],
    precision: str,
) -> Tuned:
    candidates = run.tuning.candidates()
    training, held_out = hold_out(sections)
    share = run.tuning.seconds / (len(candidates) + 1)
    trials = []
    for settings in candidates:
        trial = _try(
            run.with_settings(settings), settings, training, held_out, build, precision, share
        )
        log.info("%s: %s", settings, trial)
        trials.append(trial)
    scored = [trial for trial in trials if trial.best_epoch is not None]
    names = [section.name for section in held_out]
    if not scored:
        raise UserError(
            f"No candidate of {run.key.method} gave a PCC on {', '.join(names)}; list smaller "
            "values of learning_rate under the method's 'tuned', or train on more spots."
        )
    best = max(scored, key=lambda trial: trial.mean_pcc)
    return Tuned(best.settings, best.best_epoch, names, trials)


def hold_out(
    sections: Sequence[SectionTensors],
) -> tuple[list[SectionTensors], list[SectionTensors]]:
    """What to train on while choosing, and what to choose on.

    Held out are the sections of the patient with the fewest spots; of one patient, its smallest
    section; of one section, the quarter of its spots at the end of its longer side.
    """
    if len(sections) == 1:
        return _cut(sections[0])
    spots: dict[str, int] = {}
    for section in sections:
        spots[section.patient] = spots.get(section.patient, 0) + section.n_spots
    smallest = min(spots, key=spots.get)
    if len(spots) == 1:
        held_out = [min(sections, key=lambda section: section.n_spots)]
    else:
        held_out = [section for section in sections if section.patient == smallest]
    return [section for section in sections if section not in held_out], held_out


def _cut(section: SectionTensors) -> tuple[list[SectionTensors], list[SectionTensors]]:
    xy = section.positions
    longer = int(torch.argmax(xy.amax(dim=0) - xy.amin(dim=0)))
    order = torch.argsort(xy[:, longer], stable=True)
    first, last = order.tensor_split([3 * len(order) // 4])
    rest, quarter = (section.part(spots.sort().values) for spots in (first, last))
    return [rest], [replace(quarter, name=f"{section.name}, a quarter")]


def _try(
    run: RunSpec,
    settings: dict[str, Any],
    training: list[SectionTensors],
    held_out: list[SectionTensors],
    build: Callable[[RunSpec], Network],
    precision: str,
    seconds: float,
) -> Trial:
    # On a CPU other work on the machine must not change the choice.
    clock = time.thread_time if training[0].expression.device.type == "cpu" else time.monotonic
    started = clock()
    model = build(run)
    scores: list[float] = []

    def is_over(epoch: int) -> bool:
        scores.append(mean_pcc(model, training, held_out, run.window_spots))
        return clock() - started >= seconds

    try:
        train_network(
            model,
            training,
            seed=run.key.seed,
            precision=precision,
            window_spots=run.window_spots,
            is_over=is_over,
        )
    except UserError as error:  # a loss that is not finite
        log.info("%s: %s", settings, error)
    finite = [score for score in scores if score == score]
    best = max(finite) if finite else None
    return Trial(
        settings=settings,
        epochs=len(scores),
        best_epoch=None if best is None else scores.index(best) + 1,
        mean_pcc=best,
        seconds=round(clock() - started, 3),
    )


@torch.no_grad()
def mean_pcc(
    model: Network,
    training: list[SectionTensors],
    held_out: list[SectionTensors],
    window_spots: int | None,
) -> float:
    """Mean PCC over sections and genes of a network in training, which stays as it is.

    Genes that are constant in a section are left out; NaN if none is left.
    """
    finished = copy.deepcopy(model).eval()
    finished.finish(training)
    pccs = [
        _pcc(
            section.expression,
            predict_in_windows(finished, section.without_targets(), window_spots).expression,
        ).nanmean()
        for section in held_out
    ]
    return float(torch.stack(pccs).nanmean())


def _pcc(observed: Tensor, predicted: Tensor) -> Tensor:
    """PCC of each column, float64 ``[G]``; NaN for a column that is constant."""
    observed, predicted = (
        values.double() - values.double().mean(dim=0) for values in (observed, predicted)
    )
    return (observed * predicted).sum(dim=0) / (observed.norm(dim=0) * predicted.norm(dim=0))
