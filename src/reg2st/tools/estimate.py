"""What a study will cost, from its configuration, sample sheets and measured rates.

Sizes follow from what files hold: a patch is 224 x 224 pixels of 3 bytes, a model its parameters.
What cannot be counted so is a rate of ``resources/rates.tsv``, which says where it was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from reg2st.features.encoders import encoder
from reg2st.features.patches import PATCH_PX
from reg2st.models.interface import Sizes
from reg2st.models.registry import method as model_class
from reg2st.sections.panels import read_panel
from reg2st.study.config import Dataset
from reg2st.study.runs import Run, is_control, is_network

RATES = Path(__file__).resolve().parents[3] / "resources" / "rates.tsv"
FLOAT_BYTES = 4
EDGE_BYTES = 16
PATCH_BYTES = PATCH_PX * PATCH_PX * 3
TRAINING_COPIES = 4
"""Weights, their gradients and the two moments of AdamW."""

Section = tuple[str, str]
"""A dataset and one of its sections."""


@dataclass(frozen=True)
class Cost:
    """What a study takes.

    Attributes:
        disk_bytes: what it keeps on the disk, by what it is.
        job_seconds: by rule, on a CPU core, beside what networks compute.
        network_seconds: by device (cpu, gpu) and rule; None where no rate was measured.
        memory_bytes: by rule, the most that one job holds.
    """

    disk_bytes: dict[str, float]
    job_seconds: dict[str, float]
    network_seconds: dict[str, dict[str, float | None]]
    memory_bytes: dict[str, float]


class Rates:
    """The table of measured rates; a name that it lacks takes the kind's ``default``, if any."""

    def __init__(self, table: Path = RATES) -> None:
        rows = pd.read_csv(table, sep="\t", comment="#")
        self._values = {(row.kind, row.name): row.value for row in rows.itertuples(index=False)}

    def find(self, kind: str, *names: str) -> float | None:
        """The rate of the first name that the table has; None if it has none."""
        found = (self._values.get((kind, name)) for name in (*names, "default"))
        return next((value for value in found if value is not None), None)

    def __call__(self, kind: str, *names: str) -> float:
        """As ``find``, for a rate that is there."""
        value = self.find(kind, *names)
        if value is None:
            raise KeyError(f"{RATES} has no rate of kind '{kind}' for {' or '.join(names)}.")
        return value


def estimate(
    config: Mapping[str, Any],
    datasets: Mapping[str, Dataset],
    runs: list[Run],
    jobs: Mapping[str, int],
    folder: Path = Path(),
) -> Cost:
    """What a study will take.

    Args:
        config: the validated configuration.
        datasets: its datasets.
        runs: its runs.
        jobs: the workflow's jobs by rule.
        folder: where the workflow runs; spots are counted in the raw files that are there.
    """
    study = _Study(config, datasets, runs, folder)
    return Cost(
        disk_bytes=study.disk_bytes(),
        job_seconds={
            rule: count * study.rates("job_seconds", rule, _kind(rule)) + study.cpu_seconds(rule)
            for rule, count in jobs.items()
        },
        network_seconds={device: study.network_seconds(device) for device in ("cpu", "gpu")},
        memory_bytes={rule: study.memory_bytes(rule) for rule in jobs},
    )


class _Study:
    """The files and trainings of a study, and what each takes."""

    def __init__(
        self,
        config: Mapping[str, Any],
        datasets: Mapping[str, Dataset],
        runs: list[Run],
        folder: Path,
    ) -> None:
        self.config = config
        self.datasets = datasets
        self.runs = runs
        self.folder = folder
        self.rates = Rates()
        self.sections: dict[Section, float] = {}  # with their spots
        self.embeddings: set[tuple[str, str, Section]] = set()
        self.patches: set[tuple[str, Section]] = set()
        self.graphs: set[tuple[str, Section]] = set()
        for run in runs:
            for section in self._sections_of(run, "train") + self._sections_of(run, "test"):
                self._add(run, section)

    def _add(self, run: Run, section: Section) -> None:
        if section not in self.sections:
            self.sections[section] = self._count_spots(*section)
            self.patches.add((self.config["inputs"]["patches"], section))  # the spots' picture
        for embedding in run.embeddings:
            self.embeddings.add((embedding.encoder, embedding.view, section))
            self.patches.add((embedding.view, section))
        if run.needs.patches or run.needs.mean_grey:
            self.patches.add((run.patch_view, section))
        if run.needs.graph:
            self.graphs.add((run.needs.graph, section))

    def _sections_of(self, run: Run, part: str) -> list[Section]:
        return [(run.dataset, section) for section in getattr(run.fold, part)]

    def _spots_of(self, run: Run, part: str) -> float:
        return sum(self.sections[section] for section in self._sections_of(run, part))

    def _count_spots(self, dataset: str, section: str) -> float:
        source = self.datasets[dataset].config.get("source", {})
        if self.datasets[dataset].kind == "simulation":
            return source["simulation"].get("spots", 100) * self.rates("spots", "simulated")
        file = self._raw_file(dataset, section, "spots")
        if not file.is_file():
            return self.rates("spots", dataset)
        table = pd.read_csv(file, sep="\t")
        return float((table["selected"] == 1).sum() if "selected" in table else len(table))

    def _raw_file(self, dataset: str, section: str, column: str) -> Path:
        known = self.datasets[dataset]
        root = known.config.get("root", f"resources/raw/{dataset}")
        return self.folder / root / known.sheet[column][section]

    def _genes(self, dataset: str) -> int:
        panel = self.datasets[dataset].config["panel"]
        if "file" in panel:
            return len(read_panel(self.folder / panel["file"]))
        source = self.datasets[dataset].config.get("source", {})
        wanted = panel["recipe"]["variable_genes"]
        return min(wanted, source.get("simulation", {}).get("genes", wanted))

    def _features(self, run: Run) -> int:
        return sum(_features(embedding.encoder) for embedding in run.embeddings)

    # Disk

    def disk_bytes(self) -> dict[str, float]:
        rates, spots = self.rates, self.sections
        figures = self._figure_bytes()
        weights = {encoder(name).weights for name, _, _ in self.embeddings} - {None}
        return {
            "raw files": sum(self._raw_bytes(*section) for section in spots),
            "weights": sum(rates("weights_bytes", name) for name in weights),
            "sections": sum(self._section_bytes(*section) for section in spots),
            "patches": sum(PATCH_BYTES * spots[section] for _, section in self.patches),
            "embeddings": sum(
                spots[section] * (FLOAT_BYTES * _features(name) + rates("embedding_bytes"))
                for name, _, section in self.embeddings
            ),
            "graphs": sum(
                EDGE_BYTES * self.config["graphs"][graph]["neighbours"] * spots[section]
                for graph, section in self.graphs
            ),
            "models": sum(self._model_bytes(run) for run in self.runs),
            "predictions and scores": sum(self._prediction_bytes(run) for run in self.runs),
            "figures": figures,
            "report and tables": figures * rates("report_bytes", "figures")
            + rates("report_bytes", "text"),
        }

    def _raw_bytes(self, dataset: str, section: str) -> float:
        """What is fetched or simulated of a section; files of one's own take no more room."""
        kind = self.datasets[dataset].kind
        if kind == "local":
            return 0
        if kind == "simulation":
            return self.sections[dataset, section] * self.rates("raw_bytes", "simulated")
        copies = 2 if kind == "archives" else 1  # an archive stays beside what is taken out of it
        return copies * self.rates("raw_bytes", dataset)

    def _section_bytes(self, dataset: str, section: str) -> float:
        counts = self._raw_file(dataset, section, "counts")
        if counts.is_file():
            matrix = self.rates("section_bytes", "counts") * counts.stat().st_size
        else:
            matrix = self.rates("section_bytes", self.datasets[dataset].kind)
            matrix *= self.sections[dataset, section]
        return self.rates("section_bytes", "picture") + matrix

    def _model_bytes(self, run: Run) -> float:
        sizes = Sizes(self._genes(run.dataset), self._features(run))
        size = _state_bytes(run.method, run.settings.model_dump_json(), sizes)
        if run.method == "sister_section":  # it keeps what it was shown
            size += FLOAT_BYTES * self._genes(run.dataset) * self._spots_of(run, "train")
        return size

    def _prediction_bytes(self, run: Run) -> float:
        genes = self._genes(run.dataset)
        a_spot = FLOAT_BYTES * genes + self.rates("prediction_bytes", "spot")
        epochs = run.settings.epochs if is_network(run.method) else 0
        return (
            self.rates("prediction_bytes", "run")
            + self.rates("prediction_bytes", "epoch") * epochs
            + self._spots_of(run, "test") * a_spot
            + len(run.fold.test) * genes * self.rates("score_bytes")
        )

    def _figure_bytes(self) -> float:
        """The spots of each section, and its genes as each method maps them in the first split."""
        shown = self.config["figures"]
        genes = len(shown["genes"]) + shown["best_genes"]
        tested = {
            section
            for run in self.runs
            if run.split == self.config["splits"][0]
            for section in self._sections_of(run, "test")
        }
        maps = len(tested) * genes * (len(self.config["methods"]) + 1)
        return (
            len(self.sections) * self.rates("figure_bytes", "spots")
            + maps * self.rates("figure_bytes", "map")
            + self.rates("figure_bytes", "others")
        )

    # Time and memory

    def cpu_seconds(self, rule: str) -> float:
        """Seconds beyond those of any job of a rule whose work grows with the spots."""
        if rule == "measure_patches":
            return sum(
                self.rates("embed_seconds_cpu", name) * self.sections[section]
                for name, _, section in self.embeddings
                if encoder(name).weights is None
            )
        if rule == "fit_regression":
            return sum(
                self.rates("fit_seconds_cpu", run.method) * self._spots_of(run, "train")
                for run in self.runs
                if not is_network(run.method) and not is_control(run.method)
            )
        return 0

    def network_seconds(self, device: str) -> dict[str, float | None]:
        """Seconds by rule beyond those of any job; None if one rate was never measured."""
        embedding = [
            _times(self.rates.find(f"embed_seconds_{device}", name), self.sections[section])
            for name, _, section in self.embeddings
            if encoder(name).weights is not None
        ]
        training = [
            _times(
                self.rates.find(f"train_seconds_{device}", f"{run.method}:{run.preset}"),
                run.settings.epochs * self._spots_of(run, "train"),
            )
            for run in self.runs
            if is_network(run.method)
        ]
        return {"embed_patches": _sum(embedding), "train_model": _sum(training)}

    def memory_bytes(self, rule: str) -> float:
        base = self.rates("job_memory", rule, _kind(rule))
        networks = [run for run in self.runs if is_network(run.method)]
        if rule != "train_model" or not networks:
            return base
        return base + max(self._training_bytes(run) for run in networks)

    def _training_bytes(self, run: Run) -> float:
        """Weights with what the optimiser keeps, all inputs, and one section's activations."""
        patches = PATCH_BYTES if run.needs.patches else 0
        a_spot = patches + FLOAT_BYTES * (self._features(run) + 2 * self._genes(run.dataset))
        largest = max(self.sections[section] for section in self._sections_of(run, "train"))
        return (
            TRAINING_COPIES * self._model_bytes(run)
            + self._spots_of(run, "train") * a_spot
            + largest * self.rates("activation_bytes", f"{run.method}:{run.preset}")
        )


def _kind(rule: str) -> str:
    """What a rule does; rules that predict are named after their dataset and split."""
    return rule.partition("_")[0]


def _features(name: str) -> int:
    """Features of an encoder; about 1,024 where only its weights tell."""
    return encoder(name).features or 1024


@cache
def _state_bytes(method: str, settings: str, sizes: Sizes) -> int:
    """Bytes of a model's parameters and buffers, counted without making them; settings as JSON."""
    import torch

    parsed = model_class(method).Settings.model_validate_json(settings)
    with torch.device("meta"):
        model = model_class(method)(parsed, sizes)
    return sum(value.nbytes for value in model.state_dict().values())


def _times(rate: float | None, amount: float) -> float | None:
    return None if rate is None else rate * amount


def _sum(parts: list[float | None]) -> float | None:
    return None if None in parts else sum(parts)


def render(jobs: Mapping[str, int], left: Mapping[str, int], cost: Cost) -> str:
    """The estimate as text: a line a rule, then the sums.

    Args:
        jobs: all jobs by rule.
        left: jobs that are still to be done.
        cost: what all of them take.
    """
    width = max(map(len, [*jobs, "total"])) + 1
    lines = [f"{'rule':<{width}}{'jobs':>7}{'to do':>7}{'memory GB':>11}"]
    for rule in sorted(jobs):
        memory = cost.memory_bytes[rule] / 1e9
        lines.append(f"{rule:<{width}}{jobs[rule]:>7}{left.get(rule, 0):>7}{memory:>11.1f}")
    lines.append(f"{'total':<{width}}{sum(jobs.values()):>7}{sum(left.values()):>7}")
    heaviest = max(cost.memory_bytes, key=cost.memory_bytes.get)
    lines += [
        "",
        f"memory     {cost.memory_bytes[heaviest] / 1e9:.1f} GB at most, in a job of {heaviest}",
        f"CPU hours  {_hours(cost, 'cpu', sum(cost.job_seconds.values()))} (where no GPU is used)",
        f"GPU hours  {_hours(cost, 'gpu', 0)}",
        f"disk       {sum(cost.disk_bytes.values()) / 1e9:.2f} GB, of which",
    ]
    for what, size in sorted(cost.disk_bytes.items(), key=lambda item: -item[1]):
        lines.append(f"  {what:<24}{size / 1e9:>8.3f} GB")
    return "\n".join(lines)


def _hours(cost: Cost, device: str, others: float) -> str:
    """Hours of the networks on a device and of all else; says which rules are not in them."""
    seconds = cost.network_seconds[device]
    unknown = sorted(rule for rule, value in seconds.items() if value is None)
    hours = f"{(others + sum(value or 0 for value in seconds.values())) / 3600:.1f}"
    return f"{hours} without {' and '.join(unknown)}, not measured yet" if unknown else hours
