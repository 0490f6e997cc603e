"""Settings of a simulation."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reg2st.base.errors import UserError
from reg2st.base.names import closest


class SimulationSettings(BaseModel):
    """How many sections, spots and genes, and how loud signal and noise are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    patients: int = Field(3, ge=1, le=26)
    sections_per_patient: int = Field(2, ge=1, le=9)
    spots: int = Field(100, ge=16, description="about so many a section")
    genes: int = Field(100, ge=1, description="expressed genes")
    silent_genes: int = Field(5, ge=0, description="genes that no spot expresses")
    median_library: float = Field(2000, gt=0, description="median counts a spot")
    library_spread: float = Field(0.5, ge=0, description="standard deviation of the log library")
    dispersion: float = Field(4.0, gt=0, description="size of the negative binomial")
    zero_inflation: float = Field(0.05, ge=0, lt=1)
    region_effect: float = Field(0.8, ge=0, description="on log means, standard deviation")
    gradient_effect: float = Field(0.4, ge=0, description="of cellularity and of eosin, the same")
    patient_effect: float = Field(0.4, ge=0, description="not seen on the slide, the same")
    um_per_px: float = Field(0.5, gt=0)
    pitch_px: int = Field(240, ge=64, description="distance of spots on the slide")


def parse_simulation(settings: dict) -> SimulationSettings:
    """Settings from a config.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    try:
        return SimulationSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = closest(key, SimulationSettings.model_fields)
            raise UserError(f"Config, simulation: unknown key '{key}'{known}.") from None
        raise UserError(
            f"Config, simulation: '{key}': {first['msg'].lower()}, got {first['input']!r}."
        ) from None
