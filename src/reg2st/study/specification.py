"""The specification of a run: everything a job needs to train a model or to predict with it.

The study makes it. A rule takes its input files from it and dumps it into ``params``. The script
validates it. So a rule's inputs and the files that the job opens come from one value.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reg2st.models.interface import Inputs, Settings
from reg2st.models.registry import method as model_class
from reg2st.models.registry import parse_settings


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunKey(_Frozen):
    """The columns that identify a run in every table."""

    dataset: str
    split: str
    method: str
    variant: str
    preset: str
    seed: int
    fold: str

    def __str__(self) -> str:
        return (
            f"{self.method} ({self.variant}) on {self.dataset}, {self.split}, fold {self.fold}, "
            f"seed {self.seed}"
        )


class FeatureSource(_Frozen):
    """The source of some columns of a spot's features: an encoder on a view.

    Attributes:
        encoder: its name.
        view: name of the view in the study.
        field_px: side of the field of view in px of the slide, if the view sets it.
        um_per_px: pixel size in µm that the field is resampled to, if the view sets it.
    """

    encoder: str
    view: str
    field_px: float | None = None
    um_per_px: float | None = None


class SectionFiles(_Frozen):
    """The files of one section; None for files that the method does not read.

    ``features`` are in the order of the run's feature sources, and so are the files of each grid
    of ``tiles``.
    """

    section: Path
    features: tuple[Path, ...] = ()
    tiles: dict[str, tuple[Path, ...]] = {}
    patches: Path | None = None
    graph: Path | None = None

    def all(self) -> list[Path]:
        """Every file, in a fixed order."""
        tiles = [file for files in self.tiles.values() for file in files]
        return [self.section, *self.features, *tiles, *filter(None, (self.patches, self.graph))]


class Tuning(_Frozen):
    """Settings that a training chooses inside its training sections.

    Attributes:
        values: to choose from, by setting.
        seconds: for the choice and the training together.
    """

    values: dict[str, tuple[Any, ...]]
    seconds: float

    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the values."""
        return [
            dict(zip(self.values, chosen, strict=True)) for chosen in product(*self.values.values())
        ]


class RunSpec(_Frozen):
    """One run with the sections that a job reads: for training, or to predict.

    Attributes:
        key: identifies the run.
        settings: all settings of the method.
        tuning: what of them the training chooses; None for nothing, and when predicting.
        features: sources of the columns of a spot's features.
        standardise: whether features are standardised within each section.
        precision: of a network's training.
        window_spots: most spots that the method sees at once; None for whole sections.
        target: what is predicted, a key of ``reg2st.sections.targets.TARGETS``.
        panel: the gene panel.
        sections: the sections that the job reads.
        weights: those that a part of the network starts from; None when predicting.
        model: the trained model to predict with; None when training.
        metrics: those by which predictions are scored beyond the standard ones, names of
            ``reg2st.evaluation.metrics.METRICS``; None when training, and for none.
    """

    key: RunKey
    settings: dict[str, Any]
    tuning: Tuning | None = None
    features: tuple[FeatureSource, ...]
    standardise: Literal["none", "section"]
    precision: Literal["auto", "float32", "bfloat16"]
    window_spots: int | None = None
    target: str
    panel: Path
    sections: tuple[SectionFiles, ...]
    weights: Path | None = None
    model: Path | None = None
    metrics: tuple[str, ...] | None = None

    def files(self) -> list[str]:
        """Every file that the job reads, each once."""
        files = [self.panel, *(file for section in self.sections for file in section.all())]
        return list(dict.fromkeys(map(str, filter(None, [*files, self.weights, self.model]))))

    def moved(self, place: Mapping[str, str]) -> "RunSpec":
        """The same run with other file paths, given by the current path."""

        def moved(path: Path | None) -> Path | None:
            return None if path is None else Path(place[str(path)])

        sections = tuple(
            SectionFiles(
                section=moved(each.section),
                features=tuple(map(moved, each.features)),
                tiles={name: tuple(map(moved, files)) for name, files in each.tiles.items()},
                patches=moved(each.patches),
                graph=moved(each.graph),
            )
            for each in self.sections
        )
        single = {name: moved(getattr(self, name)) for name in ("panel", "weights", "model")}
        return self.model_copy(update={**single, "sections": sections})

    def with_settings(self, overrides: Mapping[str, Any]) -> "RunSpec":
        """The same run with some settings overridden."""
        return self.model_copy(update={"settings": {**self.settings, **overrides}})

    def parsed_settings(self) -> Settings:
        """The settings as the method's own class.

        Raises:
            UserError: they are not settings of the method.
        """
        return parse_settings(self.key.method, "published", self.settings)

    def needs(self) -> Inputs:
        """Which parts of a section the method reads."""
        return model_class(self.key.method).inputs(self.parsed_settings())


class ModelSpec(_Frozen):
    """A model to take away: its training, and what a model folder says beyond it.

    Attributes:
        run: the training on all sections.
        neighbours, within: of the graph that the method reads; None for a method without one.
        licence: of the data.
    """

    run: RunSpec
    neighbours: int | None = None
    within: float | None = None
    licence: str


def files_of(runs: Iterable[RunSpec]) -> list[str]:
    """Every file that a job with these runs reads, each once."""
    return list(dict.fromkeys(file for run in runs for file in run.files()))


def dump(runs: Sequence[RunSpec]) -> list[dict[str, Any]]:
    """Runs as plain values, for a rule's ``params``."""
    return [run.model_dump(mode="json", exclude_none=True) for run in runs]


def load(plain: Iterable[Mapping[str, Any]], files: Iterable[str]) -> list[RunSpec]:
    """The runs of a job, with their files where Snakemake has them.

    Args:
        plain: what :func:`dump` gave.
        files: the job's input, which is :func:`files_of` these runs: a workflow that uses this one
            as a module may set a prefix before every path.

    Raises:
        ValidationError: a value is not that of a run.
    """
    runs = [RunSpec.model_validate(run) for run in plain]
    place = dict(zip(files_of(runs), files, strict=True))
    return [run.moved(place) for run in runs]
