"""Fits: one training a method on all sections of a dataset, for a model to take away."""

from collections.abc import Mapping

from reg2st.models.registry import method as model_class
from reg2st.study.config import StudyConfig
from reg2st.study.datasets import Dataset
from reg2st.study.folds import Fold
from reg2st.study.method_config import FULL
from reg2st.study.runs import Run, plans_of

ALL_SECTIONS = "all"
"""The split, and its only fold, that trains on all sections and tests none."""


def expand_fits(config: StudyConfig, datasets: Mapping[str, Dataset]) -> list[Run]:
    """One training for each dataset and method that can predict slides, in a fixed order.

    It has the method's settings as configured, without variants, and the first seed.
    """
    return [
        Run(
            dataset=name,
            split=ALL_SECTIONS,
            fold=Fold(ALL_SECTIONS, train=tuple(dataset.sheet.index), test=()),
            seed=config.seeds[0],
            **plan,
        )
        for name, dataset in datasets.items()
        for method in config.methods
        if obstacle(config, method) is None
        for plan in plans_of(config, method)
        if plan["variant"] == FULL
    ]


def obstacle(config: StudyConfig, method: str) -> str | None:
    """Why a method cannot predict slides without counts; None if it can."""
    settings = config.settings_of(method)
    model = model_class(method)
    needs = model.inputs(settings)
    if needs.patches or needs.tiles:
        return "it reads pixels or tiles, and slides are predicted from features of spots"
    return model.slide_obstacle(settings)
