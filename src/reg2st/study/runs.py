"""Runs: every training that a configuration asks for, expanded by one pure function."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.models.interface import Control, Inputs, Network, Settings
from reg2st.models.registry import method as model_class
from reg2st.models.registry import parse_settings
from reg2st.study.config import Dataset
from reg2st.study.experiments import Experiment, read_experiments
from reg2st.study.folds import Fold, assign_folds


@dataclass(frozen=True)
class Embedding:
    """An encoder applied to a view of each spot."""

    encoder: str
    view: str = "native"


@dataclass(frozen=True)
class Run:
    """One training: dataset, split, method, variant, fold, seed, and all that decides it."""

    dataset: str
    split: str
    method: str
    variant: str
    preset: str
    fold: Fold
    seed: int
    settings: Settings
    needs: Inputs
    embeddings: tuple[Embedding, ...]
    patch_view: str
    standardise: str

    @property
    def directory(self) -> str:
        """Where the run's files are, below the results folder of the study."""
        return (
            f"runs/{self.dataset}/{self.split}/{self.method}/{self.variant}/"
            f"fold-{self.fold.name}/seed-{self.seed}"
        )

    @property
    def key(self) -> dict[str, str | int]:
        """The columns that identify the run in every table."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "method": self.method,
            "variant": self.variant,
            "preset": self.preset,
            "seed": self.seed,
            "fold": self.fold.name,
        }


def expand_runs(config: dict[str, Any], datasets: dict[str, Dataset]) -> list[Run]:
    """Every run of a validated configuration, in a fixed order.

    Variants that experiments name are trained on the splits of these experiments only.

    Raises:
        UserError: an unknown method, variant, setting, view or graph, or a split without folds.
    """
    plans = [
        plan
        for name, settings in config["methods"].items()
        for plan in _variants(config, name, settings)
    ]
    experiments = read_experiments(config).values()
    return [
        Run(dataset=name, split=split, fold=fold, seed=seed, **plan)
        for name, dataset in datasets.items()
        for split in config["splits"]
        for fold in assign_folds(dataset.sheet, split, **dataset.held_out(split))
        for plan in plans
        if split in _splits(plan["method"], plan["variant"], config["splits"], experiments)
        for seed in _seeds(config["seeds"], plan["method"])
    ]


def is_network(method: str) -> bool:
    """Whether a method is trained by gradient, so that seeds matter and there is a history."""
    return issubclass(model_class(method), Network)


def is_control(method: str) -> bool:
    """Whether a method is a control, which shares a job with the other controls of its fold."""
    return issubclass(model_class(method), Control)


def _splits(
    method: str, variant: str, splits: Sequence[str], experiments: Iterable[Experiment]
) -> set[str]:
    """The splits that a variant is trained on; controls, which share a job, on all."""
    of_experiments = [
        experiment.splits
        for experiment in experiments
        if experiment.method == method and variant in experiment.variants and not is_control(method)
    ]
    return {split for wanted in of_experiments or [splits] for split in wanted}


def expects_pcc(method: str) -> bool:
    """Whether a method's predictions say what PCC to expect of each gene."""
    return model_class(method).expects_pcc


def _seeds(seeds: list[int], method: str) -> list[int]:
    return seeds if is_network(method) else seeds[:1]


def _variants(config: dict[str, Any], name: str, method: dict[str, Any]) -> Iterator[dict]:
    """The part of a run that a method's variants decide."""
    for variant, overrides in {"full": {}, **method["variants"]}.items():
        overrides = dict(overrides)
        inputs = {**config["inputs"], **method["inputs"], **overrides.pop("inputs", {})}
        settings = parse_settings(name, method["preset"], {**method["settings"], **overrides})
        needs = model_class(name).inputs(settings)
        if needs.graph is not None and needs.graph not in config["graphs"]:
            known = closest(needs.graph, config["graphs"])
            raise UserError(f"Method '{name}' needs the graph '{needs.graph}'{known}.")
        embeddings = tuple(Embedding(**entry) for entry in inputs["embeddings"])
        for view in {embedding.view for embedding in embeddings} | {inputs["patches"]}:
            if view not in config["views"]:
                raise UserError(
                    f"Method '{name}': unknown view '{view}'{closest(view, config['views'])}."
                )
        yield {
            "method": name,
            "variant": variant,
            "preset": method["preset"],
            "settings": settings,
            "needs": needs,
            "embeddings": embeddings if needs.embedding else (),
            "patch_view": inputs["patches"],
            "standardise": inputs["standardise"],
        }
