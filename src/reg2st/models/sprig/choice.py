"""How strongly programs are regularised: chosen on training patients that are held out in turn."""

import logging
from collections.abc import Callable
from functools import reduce
from itertools import product
from operator import add

import numpy as np

from reg2st.models.sprig.programs import Moments, Programs, fit_programs
from reg2st.models.sprig.settings import SprigSettings

log = logging.getLogger(__name__)

Score = Callable[[dict[str, Programs]], float]
"""Mean PCC of training sections, each predicted by the programs fitted without its patient."""


def chosen(
    settings: SprigSettings, moments: dict[str, Moments], genes: int, score: Score
) -> SprigSettings:
    """The settings with that ridge and noise factor that predict held-out patients best.

    Where several are equal, the fixed ones come first.

    Args:
        moments: of each training patient.
        score: what a set of programs, by the patient that each was fitted without, is worth.
    """
    fixed = (settings.ridge, settings.noise_factor)
    others = product(settings.ridge_choices or fixed[:1], settings.noise_choices or fixed[1:])
    candidates = [
        settings.model_copy(update={"ridge": ridge, "noise_factor": noise})
        for ridge, noise in dict.fromkeys([fixed, *others])
    ]
    scores = [score(fitted_without_each(each, moments, genes)) for each in candidates]
    best = candidates[int(np.argmax(scores))]
    log.info(
        "Ridge %g and noise factor %g, of %d choices: mean PCC %.4f on %d patients held out in "
        "turn, from %.4f to %.4f for all choices.",
        *(best.ridge, best.noise_factor, len(candidates), max(scores), len(moments)),
        *(min(scores), max(scores)),
    )
    return best


def fitted_without_each(
    settings: SprigSettings, moments: dict[str, Moments], genes: int
) -> dict[str, Programs]:
    """Programs fitted without each group in turn; of a lone group, with it."""
    everything = reduce(add, moments.values())
    return {
        name: fitted(settings, everything - own if len(moments) > 1 else own, genes)
        for name, own in moments.items()
    }


def fitted(settings: SprigSettings, moments: Moments, genes: int) -> Programs:
    """Programs as the settings ask for them."""
    return fit_programs(
        moments,
        genes,
        ridge=settings.ridge,
        rank=settings.rank,
        noise_factor=settings.noise_factor,
    )
