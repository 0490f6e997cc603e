"""Settings of SPRIG."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from reg2st.base.names import closest
from reg2st.base.validation import mistakes_of
from reg2st.models.interface import Settings

CHOICES = {
    "noise_factor": (1.0, 3.0, 6.0, 12.0),
    "ridge": (0.03, 0.3, 3.0),
    "rank": (2, 4, 8),
    "common_scale": (0.0, 0.5, 1.0),
    "block_weights": ({"tissue_statistics": 0.5}, {"tissue_statistics": 2.0}),
    "ring_weights": ((1.0,), (1.0, 0.3, 0.1), (1.0, 1.0, 1.0)),
    "dynamic_weight": (0.0, 1.0),
    "temperature": (0.25, 1.0),
    "thinned_library": (None, 400.0),
    "weight_floor": (0.1, 10.0),
}
"""Values to choose from with enough patients, in the order in which settings are chosen."""

NO_CHOICE = ("graph", "choices", "patients_to_choose")
"""Settings that cannot be chosen: they select the inputs or configure the choice."""


class SprigSettings(Settings):
    """Defaults were fixed once, for both splits and all folds; see docs/reference/methods/sprig.md.

    A fit on few patients uses the defaults. With ``patients_to_choose`` or more, each fold chooses
    each setting in ``choices``. The default of ``choices`` is ``CHOICES`` without the settings that
    have a value in the config.
    """

    graph: str = Field("nearest_8_within_1_5", description="graph whose hops are the rings")
    block_weights: dict[str, float] = Field(
        {"tissue_statistics": 2.0},
        description="weights of encoders' embeddings; 1 for encoders that are not named",
    )
    ring_weights: tuple[float, ...] = Field(
        (1.0, 0.3, 0.1),
        min_length=1,
        description="weight of the spot itself and of each ring of neighbours",
    )
    common_scale: float = Field(
        0.5,
        ge=0,
        le=1,
        description="divide features by their deviation in the section (0) or in training (1)",
    )
    dynamic_neighbours: int = Field(8, gt=0, description="number of most similar other spots")
    dynamic_weight: float = Field(1.0, ge=0, description="their weight; 0 leaves them out")
    temperature: float = Field(
        0.25, gt=0, description="of image similarity, in units of the median squared distance"
    )
    similarity_components: int = Field(64, gt=0, description="principal components for similarity")
    components: int = Field(512, gt=0, description="maximum number of principal components")
    ridge: float = Field(0.3, gt=0, description="ridge penalty")
    rank: int = Field(8, gt=0, description="maximum number of programs")
    noise_factor: float = Field(
        3.0, ge=0, description="multiple of the noise in the shrinkage of programs; 0: no shrinkage"
    )
    patients_to_choose: int = Field(
        3, gt=1, description="minimum number of training patients for choosing settings"
    )
    thinned_library: float | None = Field(
        400.0, gt=0, description="median library size of the thinned copy of targets; None: no copy"
    )
    thinning_draws: int = Field(
        20, gt=0, description="number of draws averaged in the thinned targets"
    )
    weight_floor: float = Field(
        0.1,
        gt=0,
        description="minimum spot weight; a spot of median library size or more has 1 + this",
    )
    choices: dict[str, tuple[Any, ...]] = Field(
        description="values to choose from, by setting; {}: every setting keeps its value"
    )

    @model_validator(mode="before")
    @classmethod
    def _what_has_a_value_is_not_chosen(cls, given: Any) -> Any:
        if isinstance(given, dict) and "choices" not in given:
            open_to = {name: values for name, values in CHOICES.items() if name not in given}
            return {**given, "choices": open_to}
        return given

    @field_validator("choices")
    @classmethod
    def _choices_are_values(
        cls, choices: dict[str, tuple[Any, ...]], info: ValidationInfo
    ) -> dict[str, tuple[Any, ...]]:
        known = [name for name in cls.model_fields if name not in NO_CHOICE]
        read = {}
        for name, values in choices.items():
            if name not in known:
                raise ValueError(f"'{name}' cannot be chosen{closest(name, known)}")
            try:
                taken = [{**info.data, name: value, "choices": {}} for value in values]
                read[name] = tuple(getattr(cls.model_validate(each), name) for each in taken)
            except ValidationError as error:
                raise ValueError(str(mistakes_of(error, cls)[0])) from None
        return read

    @field_validator("ring_weights")
    @classmethod
    def _not_negative(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if min(weights) < 0 or weights[0] == 0:
            raise ValueError("the weight of the spot must be above 0 and that of a ring at least 0")
        return weights

    @property
    def view_weights(self) -> tuple[float, ...]:
        """Non-zero weights of neighbourhood views; the dynamic graph is the last."""
        return tuple(weight for weight in (*self.ring_weights, self.dynamic_weight) if weight)

    @property
    def most_views(self) -> int:
        """Maximum number of neighbourhood views over all choices."""
        rings = max(len(each) for each in self._values("ring_weights"))
        return rings + any(self._values("dynamic_weight"))

    @property
    def most_programs(self) -> int:
        """Maximum number of programs over all choices."""
        return max(self._values("rank"))

    def taking(self, values: Mapping[str, Any]) -> Self:
        """The settings with these values and without choices."""
        return self.model_validate({**self.model_dump(), **values, "choices": {}})

    def _values(self, name: str) -> tuple[Any, ...]:
        return (getattr(self, name), *self.choices.get(name, ()))
