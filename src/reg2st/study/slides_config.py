"""The configuration of slides without counts: which slides, by which models."""

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from reg2st.sections.spot_grid import GridName
from reg2st.study.config_model import (
    ConfigModel,
    FilePath,
    Listed,
    Name,
    WithoutNulls,
    matching,
)
from reg2st.study.dataset_config import SimulationSource

HUB_PREFIX = "hf:"

ModelName = matching("[A-Za-z0-9_]+", "use letters, digits and '_' only")


class HubModel(NamedTuple):
    """A model on a hub, at one revision."""

    repository: str
    revision: str

    @property
    def path_name(self) -> str:
        """As one component of a path."""
        return f"{self.repository.replace('/', '--')}@{self.revision}"


def _well_formed(model: str) -> str:
    if model.startswith(HUB_PREFIX) and not re.fullmatch(
        rf"{HUB_PREFIX}[\w.-]+/[\w.-]+@[\w.-]+", model
    ):
        raise ValueError(
            f"'{model}' is no model on a hub; write hf:owner/name@revision, with a commit or a "
            "tag as revision"
        )
    return model


ModelPlace = Annotated[Name, AfterValidator(_well_formed)]


class SlidesConfig(ConfigModel):
    """Slides to predict, and the models to predict them with."""

    sheet: FilePath | None = Field(
        None,
        description=(
            "Sheet of slides, separated by tabs: `slide` (a name), `image` (a file), `um_per_px` "
            "(if the file does not say it) and `tissue` (GeoJSON of one's own contours, if any). "
            "Simulated slides need none."
        ),
    )
    root: FilePath = Field(".", description="The folder that the sheet's files are relative to.")
    source: SimulationSource | None = Field(
        None, description="Simulated slides instead of a sheet: `simulation`, as of a dataset."
    )
    slides: Listed[Name] | None = Field(
        None, description="Slides to predict; by default all of the sheet."
    )
    models: Annotated[dict[ModelName, ModelPlace], WithoutNulls] = Field(
        min_length=1,
        description=(
            "The models by a name of one's own. Each is `DATASET/METHOD` of this study, the path "
            "of a model folder, or `hf:owner/name@revision` on a hub."
        ),
    )
    grid: GridName | None = Field(
        None, description="`square` or `hexagonal`; by default that of the model's training."
    )
    pitch_um: PositiveFloat | None = Field(
        None,
        description=(
            "Distance of neighbouring spots, µm; by default that of the model's training. A "
            "smaller one gives a denser map."
        ),
    )

    @model_validator(mode="after")
    def _slides_are_somewhere(self) -> "SlidesConfig":
        if (self.sheet is None) == (self.source is None):
            raise ValueError("write one of sheet and source")
        return self


def hub_model(model: str) -> HubModel | None:
    """The model on a hub that a config names; None for any other model."""
    if not model.startswith(HUB_PREFIX):
        return None
    return HubModel(*model.removeprefix(HUB_PREFIX).split("@"))
