"""Settings of a simulation."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reg2st.base.validation import mistakes_of, refusal


class SimulationSettings(BaseModel):
    """Numbers of sections, spots and genes, and the strength of signal and noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Random seed.")
    patients: int = Field(3, ge=1, le=26, description="Number of patients.")
    sections_per_patient: int = Field(2, ge=1, le=9, description="Serial sections of each patient.")
    spots: int = Field(100, ge=16, description="Approximate number of spots in a section.")
    genes: int = Field(100, ge=1, description="Number of expressed genes.")
    silent_genes: int = Field(5, ge=0, description="Number of genes that no spot expresses.")
    median_library: float = Field(2000, gt=0, description="Median library size of a spot.")
    library_spread: float = Field(0.5, ge=0, description="Standard deviation of log library sizes.")
    dispersion: float = Field(4.0, gt=0, description="Dispersion (size) of the negative binomial.")
    zero_inflation: float = Field(
        0.05, ge=0, lt=1, description="Share of counts that are set to zero."
    )
    region_effect: float = Field(
        0.8, ge=0, description="Standard deviation of region effects on log means."
    )
    gradient_effect: float = Field(
        0.4, ge=0, description="The same for effects of cellularity and eosin."
    )
    patient_effect: float = Field(
        0.4, ge=0, description="The same for patient effects, which the slide does not show."
    )
    um_per_px: float = Field(0.5, gt=0, description="Pixel size of the slides, µm.")
    pitch_px: int = Field(240, ge=64, description="Distance of neighbouring spots, px.")


def parse_simulation(settings: dict) -> SimulationSettings:
    """Validated settings from a config.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    try:
        return SimulationSettings(**settings)
    except ValidationError as error:
        mistakes = mistakes_of(error, SimulationSettings, ("simulation",))
        raise refusal("Config", mistakes) from None
