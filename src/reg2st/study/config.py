"""A study's configuration: one tree of classes that hold every key, its default and its meaning.

The JSON schema for editors and the tables of ``docs/reference/config.md`` are generated from them
by ``reg2st.study.config_reference``.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from reg2st.base.validation import Mistake, Place, mistakes_of, refusal
from reg2st.features.fields import View
from reg2st.study.config_model import (
    ConfigModel,
    Listed,
    Name,
    Unique,
    WithoutNulls,
    added_to,
    matching,
)
from reg2st.study.consistency import inconsistencies, is_below
from reg2st.study.dataset_config import DatasetConfig
from reg2st.study.folds import Split
from reg2st.study.method_config import (
    FULL,
    InputsConfig,
    MethodConfig,
    MethodName,
    variant_settings,
)
from reg2st.study.metrics_config import MetricsConfig
from reg2st.study.slides_config import SlidesConfig

if TYPE_CHECKING:
    from reg2st.models.interface import Settings

StudyName = matching("[A-Za-z0-9_-]+", "use letters, digits, '_' and '-' only")
DatasetName = matching("[A-Za-z0-9]+", "use letters and digits only")
InputName = matching("[A-Za-z0-9_]+", "use letters, digits and '_' only")


class GraphConfig(ConfigModel):
    """A graph between the spots of a section."""

    neighbours: PositiveInt = Field(description="Nearest other spots of each spot.")
    within: PositiveFloat | None = Field(
        None, description="Largest distance at which they are kept, array units; all if left out."
    )


VIEWS = {"native": View(field_px=224)}
GRAPHS = {
    "nearest_2": GraphConfig(neighbours=2),
    "nearest_4": GraphConfig(neighbours=4),
    "nearest_4_within_2": GraphConfig(neighbours=4, within=2),
    "nearest_8_within_1_5": GraphConfig(neighbours=8, within=1.5),
    "nearest_8_within_2": GraphConfig(neighbours=8, within=2),
}


class ExperimentConfig(ConfigModel):
    """Variants of a method to compare with it."""

    method: Name | None = Field(None, description="The method; by default the study's `reference`.")
    splits: Listed[Split] | None = Field(
        None, description="Splits to train the variants on; by default the study's."
    )


class Ablation(ExperimentConfig):
    """Variants of a method, shown as bars."""

    variants: Listed[Name] = Field(description="The variants to compare with the method.")


class Sensitivity(ExperimentConfig):
    """Variants of a method, shown as curves over its settings."""

    curves: Annotated[dict[Name, Listed[Name]], WithoutNulls] = Field(
        min_length=1,
        description=(
            "By setting, the variants (or `full`) on the curve. They differ in this setting only."
        ),
    )


class TrainingConfig(ConfigModel):
    """How networks are trained."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description=(
            "`float32`, `bfloat16` (automatic mixed precision), or `auto`: bfloat16 where the GPU "
            "or CPU multiplies it in hardware, else float32."
        ),
    )
    checkpoint_seconds: NonNegativeFloat = Field(
        60, description="Seconds between checkpoints; a killed training loses about this much."
    )
    tuning_seconds: PositiveFloat = Field(
        600,
        description=(
            "For each fold of a method with `tuned` values, the same for all: to choose and to "
            "train. The choice depends on the machine's speed; `run.json` says what was chosen."
        ),
    )
    window_spots: int = Field(
        4096,
        ge=2,
        description=(
            "Most spots of a section that networks see at once in which all spots see each other. "
            "They train on a larger section, and predict it, in overlapping windows of at most "
            "this many spots, so that time and memory grow with the spots."
        ),
    )


class FiguresConfig(ConfigModel):
    """What the figures show."""

    genes: Unique[Name] = Field(
        (), description="Genes to map on the slides, in addition to the best-predicted ones."
    )
    best_genes: NonNegativeInt = Field(
        3, description="How many of the best-predicted genes to map."
    )


class ViewerConfig(ConfigModel):
    """What the interactive pages show."""

    genes: Unique[Name] = Field(
        (),
        description="Genes to show in addition to those of the panel, observed if not predicted.",
    )
    most_genes: PositiveInt = Field(
        1000,
        description=(
            "Most genes of the panel on a page: those with the highest PCC there, or in a section "
            "that no fold tests those with the highest counts."
        ),
    )


def _default_reference(data: Mapping[str, Any]) -> str:
    methods = list(data["methods"])
    return "reg2st" if "reg2st" in methods else methods[-1]


class StudyConfig(ConfigModel):
    """Configuration of one study: what to compute. Profiles say where it runs."""

    name: StudyName = Field(description="Name of the study; results are in `results/<name>/`.")
    datasets: Annotated[dict[DatasetName, DatasetConfig], WithoutNulls] = Field(
        {}, description="The datasets by name, see below. A study of slides needs none."
    )
    splits: Listed[Split] = Field(
        ("section_out", "patient_out"),
        description=(
            "`section_out` leaves one section out and trains on all others, including those of the "
            "same patient (the published protocol). `patient_out` leaves out all sections of one "
            "patient. `own` has the folds of each dataset's `folds_file`."
        ),
    )
    seeds: Listed[NonNegativeInt] = Field(
        (0,),
        description=(
            "Each network is trained once with each seed. Closed-form methods use the first seed."
        ),
    )
    views: Annotated[
        dict[InputName, Annotated[View, WithoutNulls]], WithoutNulls, added_to(VIEWS)
    ] = Field(VIEWS, description="Fields of view by name, see below; `native` is always there.")
    inputs: InputsConfig = Field(
        InputsConfig(),
        description="Inputs of every method that does not override them, see below.",
    )
    graphs: Annotated[dict[InputName, GraphConfig], WithoutNulls, added_to(GRAPHS)] = Field(
        GRAPHS,
        description=(
            "Graphs of the spots of a section, by name, see below; the defaults are always there."
        ),
    )
    methods: dict[MethodName, MethodConfig] = Field(
        {name: MethodConfig() for name in ("train_mean", "brightness", "ridge", "reg2st")},
        min_length=1,
        description="The methods by their names in the registry, see below.",
    )
    reference: Name = Field(
        default_factory=_default_reference,
        description=(
            "The method that is tested against every other and that ranks the genes. By default "
            "`reg2st`, or the last method in a study without it."
        ),
    )
    metrics: MetricsConfig = Field(
        MetricsConfig(), description="By what predictions are scored and methods compared."
    )
    ablation: Ablation | None = Field(
        None, description="Variants of a method to compare with it, as bars."
    )
    sensitivity: Sensitivity | None = Field(
        None, description="Variants of a method to compare with it, as curves over its settings."
    )
    slides: SlidesConfig | None = Field(
        None, description="Slides without counts to predict, and the models to use, see below."
    )
    training: TrainingConfig = Field(TrainingConfig(), description="How networks are trained.")
    figures: FiguresConfig = Field(FiguresConfig(), description="What the figures show.")
    viewer: ViewerConfig = Field(
        ViewerConfig(), description="What the interactive pages of the slides show."
    )

    def settings_of(self, method: str, variant: str = FULL) -> "Settings":
        """The settings of a method's variant: its preset's, the method's and the variant's."""
        return variant_settings(method, self.methods[method], variant)

    def inputs_of(self, method: str, variant: str = FULL) -> InputsConfig:
        """The inputs of a method's variant: the study's, the method's and the variant's."""
        inputs = self.inputs.overridden_by(self.methods[method].inputs)
        if variant == FULL:
            return inputs
        return inputs.overridden_by(self.methods[method].variants[variant].inputs)


def read_config(raw: Mapping[str, Any]) -> StudyConfig:
    """The configuration with its defaults, checked as a whole.

    Raises:
        UserError: lists every mistake of the configuration with its place and, for an unknown
            name, the closest known one.
    """
    config, mistakes, dropped = _read_what_is_right(raw)
    mistakes += inconsistencies(config, dropped)
    if mistakes:
        raise refusal("Config", mistakes)
    return config


STAND_IN = {
    "name": "study",
    "datasets": {"none": {"root": ".", "sheet": ".", "panel": {"recipe": {}}}},
}
"""Placeholders for invalid required keys while the rest is checked."""


def _read_what_is_right(
    raw: Mapping[str, Any],
) -> tuple[StudyConfig, list[Mistake], list[Place]]:
    """The configuration without its invalid parts, the mistakes in them, and their places."""
    rest = copy.deepcopy(dict(raw))
    mistakes: list[Mistake] = []
    dropped: list[Place] = []
    while True:
        try:
            return StudyConfig.model_validate(rest), mistakes, dropped
        except ValidationError as error:
            found = mistakes_of(error, StudyConfig)
            mistakes = mistakes or found
            gone: list[Place] = []
            for mistake in found:
                if not is_below(mistake.place, gone) and (place := _drop(rest, mistake.place)):
                    gone.append(place)
            dropped += gone
            if not gone and STAND_IN.keys() <= rest.keys():
                raise refusal("Config", mistakes) from None  # a key that is not text
            rest = {**STAND_IN, **rest}


def _drop(config: dict[str, Any], place: Place) -> Place:
    """Delete the innermost existing key on the path to a place; return its place, or ()."""
    holder, innermost = None, -1
    inside: Any = config
    for depth, part in enumerate(place):
        if isinstance(part, int) and isinstance(inside, list) and part < len(inside):
            inside = inside[part]
        elif isinstance(inside, dict) and part in inside:
            holder, innermost = inside, depth
            inside = inside[part]
        else:
            break
    if holder is not None:
        del holder[place[innermost]]
    return place[: innermost + 1]
