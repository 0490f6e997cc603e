"""Which settings a fold takes: chosen on training patients that are held out in turn."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg2st.models.interface import SectionTensors
from reg2st.models.sprig.sprig_settings import SprigSettings
from reg2st.models.sprig.training_spots import TrainingSpots

log = logging.getLogger(__name__)

OF_THE_REGRESSION = ("ridge", "rank", "noise_factor")
"""Settings that leave the training spots' components and targets as they are."""

LANDMARKS = 1000
"""Spots that components are fitted on while settings are chosen: fewer than the model's own."""


@dataclass(frozen=True)
class Trial:
    """Settings as they would be taken, and what they reach on each patient held out, ``[k]``."""

    settings: SprigSettings
    spots: TrainingSpots
    pcc: NDArray[np.float64]

    @classmethod
    def of(cls, sections: list[SectionTensors], settings: SprigSettings) -> "Trial":
        """Prepare the sections with the settings and predict each patient without itself."""
        spots = TrainingSpots.of(sections, settings, LANDMARKS)
        return cls(settings, spots, spots.pcc_held_out(settings))

    def gain_over(self, other: "Trial") -> float:
        """Mean gain over patients, 0 where it is no larger than its standard error."""
        gain = self.pcc - other.pcc
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        return float(gain.mean()) if gain.mean() > error else 0.0


def chosen(settings: SprigSettings, sections: list[SectionTensors]) -> dict[str, int]:
    """The choices that predict training patients best when each is held out in turn.

    One setting after the other, in the order of ``settings.choices``; the settings before it are
    as chosen, those after it as fixed. A setting leaves its fixed value only for a gain that is
    larger than its standard error over patients.

    Args:
        sections: of three patients or more.

    Returns:
        The index of the value taken, by the settings that left their fixed value.
    """
    best = first = Trial.of(sections, settings.taking({}))
    taken: dict[str, int] = {}
    for name, values in settings.choices.items():
        start, largest = best, 0.0
        for index, value in enumerate(values):
            candidate = start.settings.taking({name: value})
            if candidate == start.settings:
                continue
            if name in OF_THE_REGRESSION:
                trial = Trial(candidate, start.spots, start.spots.pcc_held_out(candidate))
            else:
                trial = Trial.of(sections, candidate)
            gain = trial.gain_over(start)
            if gain > largest:
                best, largest, taken[name] = trial, gain, index
    log.info(
        "Chosen on %d patients held out in turn: %s. Mean PCC on them %.4f, %.4f as fixed.",
        len(first.pcc),
        ", ".join(f"{name} {settings.choices[name][index]}" for name, index in taken.items())
        or "nothing but the fixed settings",
        best.pcc.mean(),
        first.pcc.mean(),
    )
    return taken
