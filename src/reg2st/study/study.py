"""A study: its config, datasets and runs, and the files that each of its jobs reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reg2st.features.encoders import Encoder, encoder, path_name
from reg2st.models.interface import TileGrid
from reg2st.sections.readers import reader
from reg2st.sections.section_row import SectionRow
from reg2st.study.config import StudyConfig, read_config
from reg2st.study.dataset_config import FrozenPanel, GeneSet
from reg2st.study.datasets import Dataset, read_datasets
from reg2st.study.experiments import Experiment, read_experiments
from reg2st.study.fits import ALL_SECTIONS, expand_fits
from reg2st.study.folds import Fold, Split
from reg2st.study.layout import Layout
from reg2st.study.method_config import FULL
from reg2st.study.runs import Run, expand_runs, sees_all_spots
from reg2st.study.sheets import section_row
from reg2st.study.slide_models import SlideModel, read_slide_models
from reg2st.study.slide_sheets import SlideSource, read_slides
from reg2st.study.specification import ModelSpec, RunSpec, SectionFiles, Tuning


@dataclass(frozen=True)
class Study:
    """A study as the rules, ``estimate`` and ``doctor`` read it.

    Attributes:
        config: the validated configuration.
        datasets: its datasets by name, limited to the selected sections.
        experiments: its experiments by name.
        runs: every training of a fold, in a fixed order.
        fits: every training on all sections of a dataset, for models to take away.
        slides: slides without counts, by name.
        slide_models: the models that predict them, by name.
    """

    config: StudyConfig
    datasets: dict[str, Dataset]
    experiments: dict[str, Experiment]
    runs: list[Run]
    fits: list[Run]
    slides: dict[str, SlideSource]
    slide_models: dict[str, SlideModel]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Study":
        """The study of a configuration as parsed from YAML.

        Raises:
            UserError: the configuration or a sample sheet is wrong.
        """
        config = read_config(raw)
        datasets = read_datasets(config)
        experiments = read_experiments(config)
        runs = expand_runs(config, datasets, experiments.values())
        fits = expand_fits(config, datasets)
        layout = Layout(config.name)
        slides = read_slides(config.slides, layout)
        models = read_slide_models(config.slides, fits, layout, config.figures.genes)
        return cls(config, datasets, experiments, runs, fits, slides, models)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.config.name)

    @cached_property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders of all runs, by their names in paths."""
        names = {source.encoder for run in (*self.runs, *self.fits) for source in run.features}
        return {path_name(name): encoder(name) for name in sorted(names)}

    @cached_property
    def weights(self) -> list[str]:
        """The weights of all encoders, and of the networks that start from an encoder's."""
        started = {run.needs.weights for run in self.runs} - {None}
        used = {*self.encoders.values(), *map(encoder, started)}
        return sorted({each.weights for each in used} - {None})

    @cached_property
    def tile_grids(self) -> dict[str, TileGrid]:
        """The grids of tiles of all runs, by their names."""
        return {grid.name: grid for run in self.runs for grid in run.needs.tiles}

    @cached_property
    def methods(self) -> list[str]:
        return list(self.config.methods)

    # Runs

    def select(self, tests: str | None = None, **values: Any) -> list[Run]:
        """Runs with these values; only those that test the section ``tests``, if given."""
        return [
            run
            for run in self._runs_of.get(values.pop("dataset", None), self.runs)
            if all(getattr(run, name) == value for name, value in values.items())
            and (tests is None or tests in run.fold.test)
        ]

    def shown(self, experiment: str = "", **values: Any) -> list[Run]:
        """Runs that an experiment compares, or without one the runs of the comparison."""
        runs = self.select(**values)
        if experiment:
            shows = self.experiments[experiment].shows
            return [run for run in runs if shows(run.method, run.variant, run.split)]
        return [run for run in runs if not self._is_of_an_experiment(run)]

    def folds_of(self, run: Run) -> list[Run]:
        """The runs of all folds of the same dataset, split, method, variant and seed."""
        return self._folds[tuple(run.cross_validation.values())]

    def training(self, dataset: str, split: str, fold: str, **method: str) -> RunSpec:
        """The specification to train one fold; arguments are a path's wildcards."""
        run = self._run[dataset, split, method["method"], method["variant"], int(method["seed"])]
        return self._spec(run[fold], run[fold].fold.train)

    def fitted_run(self, dataset: str, method: str) -> Run:
        """The training on all sections of a dataset."""
        return next(fit for fit in self.fits if (fit.dataset, fit.method) == (dataset, method))

    def fit(self, dataset: str, method: str) -> ModelSpec:
        """The specification of a model to take away."""
        run = self.fitted_run(dataset, method)
        graph = {} if run.needs.graph is None else self.config.graphs[run.needs.graph].model_dump()
        licence = self.datasets[dataset].config.licence
        return ModelSpec(run=self._spec(run, run.fold.train), licence=licence, **graph)

    def predictions(self, dataset: str, split: str, **method: str) -> list[RunSpec]:
        """The specifications to predict each fold; arguments are a path's wildcards."""
        runs = self._run[dataset, split, method["method"], method["variant"], int(method["seed"])]
        return [
            self._spec(
                run,
                run.fold.test,
                model=self.layout.model(
                    "model.safetensors", fold=run.fold.name, **run.cross_validation
                ),
            )
            for run in runs.values()
        ]

    # Sections

    def splits_of(self, dataset: str) -> list[Split]:
        """The splits of the study that a dataset can have, in the order of the configuration."""
        impossible = self.datasets[dataset].impossible
        return [split for split in self.config.splits if split not in impossible]

    @property
    def warnings(self) -> list[str]:
        """Sentences on what the study leaves out of what its configuration asks."""
        reasons = (why for each in self.datasets.values() for why in each.impossible.values())
        return list(dict.fromkeys(reasons))

    def sections_of(self, dataset: str) -> list[str]:
        """Sections of a dataset that the runs use, or all if it has none, in the sheet's order."""
        if not self.splits_of(dataset):
            return list(self.datasets[dataset].sheet.index)
        used = {
            section
            for fold in self._folds_of_dataset(dataset)
            for section in (*fold.train, *fold.test)
        }
        return [section for section in self.datasets[dataset].sheet.index if section in used]

    def tested(self, dataset: str, splits: Iterable[str] | None = None) -> list[str]:
        """Sections that the runs of some splits test, in the order of the sheet."""
        splits = self.config.splits if splits is None else splits
        tested = {
            section
            for run in self.select(dataset=dataset)
            if run.split in splits
            for section in run.fold.test
        }
        return [section for section in self.datasets[dataset].sheet.index if section in tested]

    def mapped(self, dataset: str) -> list[str]:
        """Sections to draw maps of: those that the dataset's first split tests."""
        return self.tested(dataset, self.splits_of(dataset)[:1])

    def viewed(self, dataset: str, section: str) -> list[Run]:
        """The runs that the page of a section shows, none if no fold tests it.

        Each method as configured with the first seed, in the first split that tests the section.
        """
        runs = self.select(dataset=dataset, tests=section, variant=FULL, seed=self.config.seeds[0])
        return [run for run in runs if run.split == runs[0].split]

    def labelled(self, dataset: str, sections: Iterable[str]) -> list[str]:
        """The sections that have labels, of those given."""
        labels = self.datasets[dataset].sheet["labels"]
        return [section for section in sections if labels[section]]

    def fold(self, dataset: str, split: str, fold: str) -> Fold:
        runs = self.fits if split == ALL_SECTIONS else self.select(dataset=dataset, split=split)
        return next(run.fold for run in runs if run.dataset == dataset and run.fold.name == fold)

    def raw_folder(self, dataset: str) -> str:
        """The folder that a dataset's sheet is relative to."""
        known = self.datasets[dataset]
        if known.kind == "local":
            return known.config.root.rstrip("/")
        if known.kind == "simulation":
            return self.layout.simulated_folder(dataset)
        return self.layout.raw_folder(dataset)

    def section_row(self, dataset: str, section: str) -> SectionRow:
        """What a dataset's sheet says of a section."""
        return section_row(self.datasets[dataset].sheet, section)

    def raw_files(self, dataset: str, section: str) -> dict[str, str]:
        """The files that a section is read from, by name; the image is ``image``."""
        row = self.section_row(dataset, section)
        files = reader(row.platform).files(row, Path(self.raw_folder(dataset)))
        return {name: str(path) for name, path in files.items()}

    def label_file(self, dataset: str, section: str) -> str | None:
        """The pathologist's labels of a section; None if its sheet names none."""
        name = self.datasets[dataset].sheet.at[section, "labels"]
        return str(Path(self.raw_folder(dataset)) / name) if name else None

    def panel(self, dataset: str, split: str, fold: str) -> str:
        """The panel of a fold: one for all folds if it is frozen."""
        if isinstance(self.datasets[dataset].config.panel, FrozenPanel):
            return self.layout.frozen_panel(dataset)
        return self.layout.fold_panel(dataset, split, fold)

    def panels(self, dataset: str) -> list[str]:
        """The panels of all folds of a dataset, each once."""
        runs = self.select(dataset=dataset)
        return list(dict.fromkeys(self.panel(dataset, run.split, run.fold.name) for run in runs))

    def gene_sets(self, dataset: str) -> dict[str, GeneSet]:
        """The sets of genes of a dataset by name; none if nothing is tested on it."""
        return self.datasets[dataset].config.gene_sets if self.splits_of(dataset) else {}

    def section_files(self, run: Run, section: str) -> SectionFiles:
        """The files of a section that a run reads."""
        layout, needs, dataset = self.layout, run.needs, run.dataset
        return SectionFiles(
            section=layout.section(dataset, section),
            features=[
                layout.features(source.encoder, source.view, dataset, section)
                for source in run.features
            ],
            tiles={
                grid.name: [
                    layout.tiles(grid.name, source.encoder, source.view, dataset, section)
                    for source in run.features
                ]
                for grid in needs.tiles
            },
            patches=layout.patches(run.patch_view, dataset, section) if needs.patches else None,
            graph=layout.graph(needs.graph, dataset, section) if needs.graph else None,
        )

    # Inside

    @cached_property
    def _runs_of(self) -> dict[str, list[Run]]:
        return {name: [run for run in self.runs if run.dataset == name] for name in self.datasets}

    @cached_property
    def _folds(self) -> dict[tuple, list[Run]]:
        folds: dict[tuple, list[Run]] = {}
        for run in (*self.runs, *self.fits):
            folds.setdefault(tuple(run.cross_validation.values()), []).append(run)
        return folds

    @cached_property
    def _run(self) -> dict[tuple, dict[str, Run]]:
        return {key: {run.fold.name: run for run in runs} for key, runs in self._folds.items()}

    def _folds_of_dataset(self, dataset: str) -> set[Fold]:
        return {run.fold for run in self.select(dataset=dataset)}

    def _is_of_an_experiment(self, run: Run) -> bool:
        return any(
            run.method == each.method and run.variant in each.variants
            for each in self.experiments.values()
        )

    def _spec(self, run: Run, sections: Sequence[str], model: str | None = None) -> RunSpec:
        training = self.config.training
        return RunSpec(
            key=run.key,
            settings=run.settings.model_dump(mode="json"),
            tuning=self._tuning(run) if model is None else None,
            features=run.features,
            standardise=run.standardise,
            precision=training.precision,
            window_spots=training.window_spots if sees_all_spots(run.method) else None,
            target=self.datasets[run.dataset].config.target,
            panel=self.panel(run.dataset, run.split, run.fold.name),
            sections=[self.section_files(run, section) for section in sections],
            weights=self._weights(run) if model is None else None,
            model=model,
            metrics=self.config.metrics.beyond_the_standard if model else None,
        )

    def _tuning(self, run: Run) -> Tuning | None:
        """What a run chooses of its settings."""
        if not run.tuned:
            return None
        return Tuning(values=run.tuned, seconds=self.config.training.tuning_seconds)

    def _weights(self, run: Run) -> str | None:
        """The weights that a part of a run's network starts from."""
        started = run.needs.weights
        return None if started is None else self.layout.weights(encoder(started).weights)
