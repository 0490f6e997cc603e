"""Choice of a fold's settings by leave-one-patient-out on its training patients."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg2st.models.interface import SectionTensors
from reg2st.models.sprig.sprig_settings import SprigSettings
from reg2st.models.sprig.training_spots import TrainingSpots

log = logging.getLogger(__name__)

OF_THE_REGRESSION = ("ridge", "rank", "noise_factor")
"""Settings that do not change the components and targets of the training spots."""

LANDMARKS = 1000
"""Spots that components are fitted on while settings are chosen: fewer than the model's own."""


@dataclass(frozen=True)
class Trial:
    """Candidate settings and their PCC on each held-out patient, ``[k]``."""

    settings: SprigSettings
    spots: TrainingSpots
    pcc: NDArray[np.float64]

    @classmethod
    def of(cls, sections: list[SectionTensors], settings: SprigSettings) -> "Trial":
        """Prepare the sections and predict each patient from the others."""
        spots = TrainingSpots.of(sections, settings, LANDMARKS)
        return cls(settings, spots, spots.pcc_held_out(settings))

    def gain_over(self, other: "Trial") -> float:
        """Mean gain over patients; 0 if it is not larger than its standard error."""
        gain = self.pcc - other.pcc
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        return float(gain.mean()) if gain.mean() > error else 0.0


def chosen(settings: SprigSettings, sections: list[SectionTensors]) -> dict[str, int]:
    """The choices that predict training patients best, by leave-one-patient-out.

    Settings are chosen one by one in the order of ``settings.choices``: earlier ones have their
    chosen value, later ones their fixed value. A setting changes only for a gain that is larger
    than its standard error over patients.

    Args:
        sections: of three or more patients.

    Returns:
        The index of the chosen value, for each setting that changed.
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
        "Chosen by leaving out each of %d patients: %s. Mean PCC %.4f, with fixed settings %.4f.",
        len(first.pcc),
        ", ".join(f"{name} {settings.choices[name][index]}" for name, index in taken.items())
        or "the fixed settings",
        best.pcc.mean(),
        first.pcc.mean(),
    )
    return taken
