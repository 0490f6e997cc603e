"""Settings of SPRIG."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from reg2st.base.names import closest
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
"""What a fit of many patients may take instead, in the order in which settings are settled."""

NO_CHOICE = ("graph", "choices", "patients_to_choose")
"""Settings that say what is read, or how it is chosen."""


class SprigSettings(Settings):
    """Defaults were fixed once, for both splits and all folds; see docs/models/sprig.md.

    They are what a fit of few patients takes. With ``patients_to_choose`` or more each setting in
    ``choices`` is chosen anew in each fold; unless ``choices`` says otherwise, those are
    ``CHOICES`` but for the settings that are given a value.
    """

    graph: str = Field("nearest_8_within_1_5", description="graph whose hops are the rings")
    block_weights: dict[str, float] = Field(
        {"tissue_statistics": 2.0},
        description="weight of an encoder's embeddings; 1 for those not named",
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
        description="features divided by their spread in the section (0) or in training (1)",
    )
    dynamic_neighbours: int = Field(8, gt=0, description="most similar other spots")
    dynamic_weight: float = Field(1.0, ge=0, description="their weight; 0 leaves them out")
    temperature: float = Field(
        0.25, gt=0, description="of image similarity, in median squared distances"
    )
    similarity_components: int = Field(64, gt=0, description="components that similarity sees")
    components: int = Field(512, gt=0, description="principal components at most")
    ridge: float = Field(0.3, gt=0, description="ridge penalty")
    rank: int = Field(8, gt=0, description="programs at most")
    noise_factor: float = Field(
        3.0, ge=0, description="how often noise counts when programs are shrunken; 0: no shrinkage"
    )
    patients_to_choose: int = Field(
        3, gt=1, description="training patients that a choice takes; it is by patients held out"
    )
    thinned_library: float | None = Field(
        400.0, gt=0, description="median library of the thinned copy of the targets; None: no copy"
    )
    thinning_draws: int = Field(20, gt=0, description="draws that the thinned targets average")
    weight_floor: float = Field(
        0.1, gt=0, description="least weight of a spot; one of median library or more has 1 + this"
    )
    choices: dict[str, tuple[Any, ...]] = Field(
        description="values to choose from by setting; {}: every setting keeps its value"
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
        for name, values in choices.items():
            if name not in known:
                raise ValueError(f"'{name}' cannot be chosen{closest(name, known)}")
            for value in values:
                try:
                    cls.model_validate({**info.data, name: value, "choices": {}})
                except ValidationError as error:
                    raise ValueError(f"{name} {value!r}: {error.errors()[0]['msg']}") from None
        return choices

    @field_validator("ring_weights")
    @classmethod
    def _not_negative(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if min(weights) < 0 or weights[0] == 0:
            raise ValueError("the spot's own weight must be above 0 and no ring's below 0")
        return weights

    @property
    def view_weights(self) -> tuple[float, ...]:
        """Weights of the neighbourhood views that are used, the dynamic graph's last."""
        return tuple(weight for weight in (*self.ring_weights, self.dynamic_weight) if weight)

    @property
    def most_views(self) -> int:
        """Neighbourhood views, whatever is chosen."""
        rings = max(len(each) for each in self._values("ring_weights"))
        return rings + any(self._values("dynamic_weight"))

    @property
    def most_programs(self) -> int:
        """Programs at most, whatever is chosen."""
        return max(self._values("rank"))

    def taking(self, values: Mapping[str, Any]) -> Self:
        """The settings with these values, and nothing left to choose."""
        return self.model_validate({**self.model_dump(), **values, "choices": {}})

    def _values(self, name: str) -> tuple[Any, ...]:
        return (getattr(self, name), *self.choices.get(name, ()))
