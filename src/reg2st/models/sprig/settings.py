"""Settings of SPRIG."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator

from reg2st.models.interface import Settings


class SprigSettings(Settings):
    """Defaults were fixed once, for both splits and all folds; see docs/models/sprig.md.

    ``ridge`` and ``noise_factor`` are what a fit of few patients takes; with
    ``patients_to_choose`` or more they are chosen anew in each fold.
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
    ridge_choices: tuple[PositiveFloat, ...] = Field(
        (0.03, 0.3, 3.0), description="penalties to choose from; none: `ridge` it is"
    )
    noise_choices: tuple[NonNegativeFloat, ...] = Field(
        (1.0, 3.0, 6.0), description="noise factors to choose from; none: `noise_factor` it is"
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
