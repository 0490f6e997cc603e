"""What a table or a figure is: what makes it, the files and settings it needs, and its scope.

The Snakefile imports this module, and so does every job that makes a product: it imports neither
the functions that make them (matplotlib) nor a study (torch).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reg2st.base.errors import UserError
from reg2st.evaluation.metrics import METRICS
from reg2st.evaluation.tidy import read_tidy
from reg2st.report.labels import method_label, split_label

if TYPE_CHECKING:
    from reg2st.study.study import Study

PUBLISHED = Path(__file__).resolve().parents[3] / "resources" / "published"
ALL = "all"
"""The wildcard ``of`` of a figure that is made once per dataset."""

Place = Mapping[str, str]
"""Dataset, split, section and method of a product, as far as it is restricted to one of them."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A table or a figure.

    Attributes:
        name: its file's name.
        label: what the report calls it; ``{metric}`` in this and the next texts stands for the
            study's headline metric.
        made_by: module and function, below ``reg2st.report``. The function takes what is read of
            the files by the names of their kinds (``reg2st.report.sources``), the settings, and
            for a figure the names of its scope; it returns a ``writers.Table`` or a matplotlib
            ``Figure``, or raises ``style.NothingToShow``.
        needs: kinds of files, keys of :data:`FILES`.
        settings: config values that alter it, keys of :data:`SETTINGS`.
        shows: paragraph of its caption: what it shows.
        not_done: paragraph of its caption: what was not done.
        experiment: whose runs it shows; those of the comparison if empty.
        of_scores: whether it shows scores, which its caption then defines.
    """

    name: str
    label: str
    made_by: str
    needs: tuple[str, ...]
    shows: str
    not_done: str
    settings: tuple[str, ...] = ()
    experiment: str = ""
    of_scores: bool = True

    def settings_of(self, study: "Study") -> dict[str, Any]:
        """The config values that alter it, for a rule's ``params``: nothing else reruns it."""
        settings: dict[str, Any] = {}
        for name in self.settings:
            settings |= SETTINGS[name](study, self)
        return settings

    def told(self, text: str, study: "Study") -> str:
        """A text of its own, with the study's headline metric in the place of ``{metric}``."""
        return text.replace("{metric}", METRICS[study.config.metrics.headline].label)

    def _files(self, study: "Study", place: Place) -> dict[str, list[str]]:
        files = {kind: FILES[kind](study, place, self.experiment) for kind in self.needs}
        for kind, paths in files.items():
            if not paths:
                where = ", ".join(place.values()) or "the study"
                raise UserError(f"There is no {self.name} of {where}: it has no {kind}.")
        return files

    def _made(
        self, files: Mapping[str, Sequence[str]], settings: Mapping[str, Any], **place: str
    ) -> Any:
        from reg2st.report.sources import READERS

        module, function = self.made_by.split(":")
        make = getattr(import_module(f"reg2st.report.{module}"), function)
        if "metric" in settings:
            settings = {**settings, "metric": METRICS[settings["metric"]]}
        return make(
            **{kind: READERS[kind](files[kind]) for kind in self.needs}, **settings, **place
        )


@dataclass(frozen=True, kw_only=True)
class Table(Product):
    """A table over all datasets of a study.

    Attributes:
        where: whether a study has it.
    """

    where: Callable[["Study"], bool] = lambda study: True

    kinds = ("tsv", "txt", "md", "tex", "html")

    def files(self, study: "Study") -> dict[str, list[str]]:
        """The files that it is made from, by kind."""
        return self._files(study, {})

    def runs(self, study: "Study") -> list[str]:
        """The records of the runs that it shows."""
        return _records(study, {}, self.experiment)

    def labels(self, study: "Study") -> dict[str, str]:
        """The columns of its row in the report."""
        return {"table": self.told(self.label, study)}

    def make(self, files: Mapping[str, Sequence[str]], settings: Mapping[str, Any]) -> Any:
        """The table, from its files by kind and its settings."""
        return self._made(files, settings)


@dataclass(frozen=True)
class Scope:
    """What a figure is made once for, within a dataset.

    Attributes:
        names: of split, section and method, those that tell its places apart.
        places: their values in a study's dataset and experiment; none if the figure is left out.
    """

    names: tuple[str, ...]
    places: Callable[["Study", str, str], Iterable[tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class Figure(Product):
    """A figure of a dataset, or of something in it.

    Attributes:
        scope: what it is made once for.
        group: its subcategory in the report.
        on_slide: whether it shows slides; it is then written as JPEG, not as PNG.
    """

    scope: Scope
    group: str
    on_slide: bool = False

    @property
    def kinds(self) -> tuple[str, str]:
        """Suffixes of its files: for print, and for the report."""
        return "pdf", "jpg" if self.on_slide else "png"

    def all_of(self, study: "Study", dataset: str) -> list[str]:
        """Values of the wildcard ``of`` in a study's dataset."""
        places = self.scope.places(study, dataset, self.experiment)
        return ["/".join(values) or ALL for values in places]

    def place(self, of: str) -> dict[str, str]:
        """The split, section and method that ``of`` names."""
        return dict(zip(self.scope.names, of.split("/"), strict=False))

    def files(self, study: "Study", dataset: str, of: str) -> dict[str, list[str]]:
        """The files that it is made from, by kind."""
        return self._files(study, {"dataset": dataset, **self.place(of)})

    def make(self, files: Mapping[str, Sequence[str]], settings: Mapping[str, Any], of: str) -> Any:
        """The figure, from its files by kind and its settings."""
        return self._made(files, settings, **self.place(of))

    def labels(self, of: str, study: "Study") -> dict[str, str]:
        """The columns of its row in the report."""
        place = self.place(of)
        labels = {"figure": self.told(self.label, study)}
        if "method" in place:
            labels["figure"] += f", {method_label(place['method'])}"
        if "split" in place:
            labels["split"] = split_label(place["split"])
        if "section" in place:
            labels["section"] = place["section"]
        return labels


# Scopes


def _once_of_both_splits(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    return [()] if {"section_out", "patient_out"} <= set(study.splits_of(dataset)) else []


def _splits(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    splits = study.experiments[experiment].splits if experiment else study.config.splits
    return [(split,) for split in study.splits_of(dataset) if split in splits]


def _splits_with_networks(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    from reg2st.study.runs import is_network

    return [(split,) for split in study.splits_of(dataset) if any(map(is_network, study.methods))]


def _methods_that_expect(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    from reg2st.study.runs import expects_pcc

    methods = list(filter(expects_pcc, study.methods))
    return [(split, method) for split in study.splits_of(dataset) for method in methods]


def _mapped_sections(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    return [(study.splits_of(dataset)[0], section) for section in study.mapped(dataset)]


def _labelled_sections(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    sections = study.labelled(dataset, study.mapped(dataset))
    return [(study.splits_of(dataset)[0], section) for section in sections]


def _sections(study: "Study", dataset: str, experiment: str) -> list[tuple[str, ...]]:
    return [(section,) for section in study.sections_of(dataset)]


ONCE_OF_BOTH_SPLITS = Scope((), _once_of_both_splits)
SPLIT = Scope(("split",), _splits)
SPLIT_WITH_NETWORKS = Scope(("split",), _splits_with_networks)
METHOD_THAT_EXPECTS = Scope(("split", "method"), _methods_that_expect)
MAPPED_SECTION = Scope(("split", "section"), _mapped_sections)
LABELLED_SECTION = Scope(("split", "section"), _labelled_sections)
SECTION = Scope(("section",), _sections)


def has_gene_sets(study: "Study") -> bool:
    """Whether a dataset has sets of genes."""
    return any(map(study.gene_sets, study.datasets))


def has_labels(study: "Study") -> bool:
    """Whether a tested section has labels."""
    return any(study.labelled(dataset, study.tested(dataset)) for dataset in study.datasets)


# Kinds of files


def _datasets(study: "Study", place: Place) -> list[str]:
    return [place["dataset"]] if "dataset" in place else list(study.datasets)


def _scores(study: "Study", place: Place, experiment: str) -> list[str]:
    part = f"_{experiment}" if experiment else ""
    datasets = _datasets(study, place)
    return [
        study.layout.scores(each, part)
        for each in datasets
        if study.shown(experiment, dataset=each)
    ]


def _limits(study: "Study", place: Place, experiment: str) -> list[str]:
    """Of every section that some split tests."""
    return [
        study.layout.limits(dataset, section)
        for dataset in _datasets(study, place)
        for section in study.tested(dataset)
    ]


def _gene_sets(study: "Study", place: Place, experiment: str) -> list[str]:
    return [
        study.layout.gene_set(dataset, name)
        for dataset in _datasets(study, place)
        for name in study.gene_sets(dataset)
    ]


def _agreement(study: "Study", place: Place, experiment: str) -> list[str]:
    return [
        study.layout.agreement(dataset, section)
        for dataset in _datasets(study, place)
        for section in study.labelled(dataset, study.tested(dataset))
    ]


def _records(study: "Study", place: Place, experiment: str) -> list[str]:
    """Of every run that the comparison shows."""
    return [
        study.layout.model("run.json", fold=run.fold.name, **run.cross_validation)
        for dataset in _datasets(study, place)
        for run in study.shown(experiment, dataset=dataset)
    ]


def _histories(study: "Study", place: Place, experiment: str) -> list[str]:
    """Record and history of every network's run, as it is configured."""
    from reg2st.study.runs import is_network

    return [
        study.layout.model(file, fold=run.fold.name, **run.cross_validation)
        for run in study.select(**place, variant="full")
        if is_network(run.method)
        for file in ("run.json", "history.tsv")
    ]


def _predictions(study: "Study", place: Place, experiment: str) -> list[str]:
    """Of each method as it is configured, by the first seed."""
    chosen = {name: value for name, value in place.items() if name != "section"}
    runs = study.select(
        tests=place.get("section"), variant="full", seed=study.config.seeds[0], **chosen
    )
    files = [
        study.layout.cross_validation("predictions.h5ad", **run.cross_validation) for run in runs
    ]
    return list(dict.fromkeys(files))


def _section_file(study: "Study", place: Place, experiment: str) -> list[str]:
    return [study.layout.section(place["dataset"], place["section"])]


def _labels(study: "Study", place: Place, experiment: str) -> list[str]:
    return [study.layout.labels(place["dataset"], place["section"])]


FILES: dict[str, Callable[["Study", Place, str], list[str]]] = {
    "scores": _scores,
    "limits": _limits,
    "gene_sets": _gene_sets,
    "agreement": _agreement,
    "records": _records,
    "histories": _histories,
    "predictions": _predictions,
    "section_file": _section_file,
    "labels": _labels,
}
"""Files of a study by kind, restricted to a product's place and experiment."""


# Settings


def _published(study: "Study", product: Product) -> dict[str, Any]:
    """Numbers that others published on the study's datasets.

    They are values, not a file: rows of other datasets and a moved workflow rerun nothing. They
    are of the target ``paper`` and stand beside no other.
    """
    rows = read_tidy(PUBLISHED / f"{product.experiment or 'results'}.tsv")
    alike = [name for name, each in study.datasets.items() if each.config.target == "paper"]
    return {"published": rows[rows["dataset"].isin(alike)].to_dict("records")}


def _variants(study: "Study", product: Product) -> dict[str, Any]:
    """What an ablation sets side by side."""
    experiment = study.experiments[product.experiment]
    return {"method": experiment.method, "variants": list(experiment.variants)}


def _curves(study: "Study", product: Product) -> dict[str, Any]:
    """The value of each setting that a sensitivity study varies, by variant."""
    experiment = study.experiments[product.experiment]
    return {"method": experiment.method, "curves": experiment.points()}


SETTINGS: dict[str, Callable[["Study", Product], dict[str, Any]]] = {
    "metric": lambda study, product: {"metric": study.config.metrics.headline},
    "reference": lambda study, product: {"reference": study.config.reference},
    "genes": lambda study, product: {
        "genes": list(study.config.figures.genes),
        "best_genes": study.config.figures.best_genes,
    },
    "view": lambda study, product: {
        "view": study.config.views[study.config.inputs.patches].model_dump()
    },
    "published": _published,
    "variants": _variants,
    "curves": _curves,
}
"""Keyword arguments that a setting gives to the function that makes a product."""
