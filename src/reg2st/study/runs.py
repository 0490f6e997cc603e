"""Runs: every training of a study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reg2st.models.interface import Inputs, Network, Settings
from reg2st.models.registry import method as model_class
from reg2st.study.config import StudyConfig
from reg2st.study.datasets import Dataset
from reg2st.study.experiments import Experiment
from reg2st.study.folds import Fold
from reg2st.study.method_config import FULL, InputsConfig
from reg2st.study.specification import FeatureSource, RunKey


@dataclass(frozen=True)
class Run:
    """One training: dataset, split, method, variant, fold, seed, settings and inputs.

    ``tuned`` are values from which it chooses some of its settings.
    """

    dataset: str
    split: str
    method: str
    variant: str
    preset: str
    fold: Fold
    seed: int
    settings: Settings
    tuned: Mapping[str, tuple[Any, ...]]
    needs: Inputs
    features: tuple[FeatureSource, ...]
    patch_view: str
    standardise: str

    @property
    def key(self) -> RunKey:
        """The columns that identify the run in every table."""
        return RunKey(
            dataset=self.dataset,
            split=self.split,
            method=self.method,
            variant=self.variant,
            preset=self.preset,
            seed=self.seed,
            fold=self.fold.name,
        )

    @property
    def cross_validation(self) -> dict[str, str | int]:
        """What all folds share, as arguments of :class:`reg2st.study.layout.Layout`."""
        names = ("dataset", "split", "method", "variant", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def model(self) -> dict[str, str | int]:
        """The same and the fold, which tell where the model is."""
        return {**self.cross_validation, "fold": self.fold.name}


def expand_runs(
    config: StudyConfig, datasets: Mapping[str, Dataset], experiments: Iterable[Experiment]
) -> list[Run]:
    """Every run of a study, in a fixed order.

    A variant that an experiment names is trained only on the splits of that experiment.

    A split that a dataset cannot have is left out.

    Raises:
        UserError: a split without folds.
    """
    experiments = list(experiments)
    plans = [plan for name in config.methods for plan in plans_of(config, name)]
    return [
        Run(dataset=name, split=split, fold=fold, seed=seed, **plan)
        for name, dataset in datasets.items()
        for split in config.splits
        if split not in dataset.impossible
        for fold in dataset.folds(split)
        for plan in plans
        if split in _splits(plan["method"], plan["variant"], config.splits, experiments)
        for seed in (config.seeds if is_network(plan["method"]) else config.seeds[:1])
    ]


def is_network(method: str) -> bool:
    """Whether a method is trained by gradient descent, with seeds and a history."""
    return issubclass(model_class(method), Network)


def expects_pcc(method: str) -> bool:
    """Whether a method predicts the PCC to expect of each gene."""
    return model_class(method).expects_pcc


def sees_all_spots(method: str) -> bool:
    """Whether all spots of a section see each other, so that large ones need windows."""
    return model_class(method).sees_all_spots


def _splits(
    method: str, variant: str, splits: Sequence[str], experiments: Iterable[Experiment]
) -> set[str]:
    """The splits that a variant is trained on."""
    of_experiments = [
        experiment.splits
        for experiment in experiments
        if experiment.method == method and variant in experiment.variants
    ]
    return {split for wanted in of_experiments or [splits] for split in wanted}


def plans_of(config: StudyConfig, name: str) -> Iterator[dict]:
    """The fields of a run that depend on the method and its variant, for each variant."""
    method = config.methods[name]
    for variant in (FULL, *method.variants):
        settings = config.settings_of(name, variant)
        needs = model_class(name).inputs(settings)
        inputs = config.inputs_of(name, variant)
        yield {
            "method": name,
            "variant": variant,
            "preset": method.shown_preset,
            "tuned": method.tuned,
            "settings": settings,
            "needs": needs,
            "features": tuple(_features(config, needs, inputs)),
            "patch_view": inputs.patches,
            "standardise": "none" if needs.encoder else inputs.standardise,
        }


def _features(config: StudyConfig, needs: Inputs, inputs: InputsConfig) -> Iterator[FeatureSource]:
    """The sources of a method's features: those of the config, or the encoder that it asks for."""
    if not needs.embedding:
        return
    configured = [(each.encoder, each.view) for each in inputs.embeddings]
    for encoder, view in [(needs.encoder, inputs.patches)] if needs.encoder else configured:
        seen = config.views[view].model_dump(exclude_none=True)
        yield FeatureSource(encoder=encoder, view=view, **seen)
