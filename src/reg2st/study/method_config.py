"""The configuration of a method: its inputs, settings and variants."""

from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.features.encoders import encoder
from reg2st.models import registry
from reg2st.study.config_model import ConfigModel, Name, is_null, matching

if TYPE_CHECKING:
    from reg2st.models.interface import Settings

PUBLISHED = "published"
TUNED = "tuned"
"""Shown in place of the preset of a method that has values to choose from."""

FULL = "full"
"""Name of the method as configured, as opposed to its variants."""


def _known_encoder(name: str) -> str:
    try:
        return encoder(name).name
    except UserError as error:
        raise ValueError(str(error).replace("There is", "there is")) from None


def _known_method(name: str) -> str:
    if name not in registry.METHODS:
        raise ValueError(f"there is no method '{name}'{closest(name, registry.METHODS)}")
    return name


def _not_full(name: str) -> str:
    if name == FULL:
        raise ValueError(f"'{FULL}' is the method as configured; rename the variant")
    return name


MethodName = Annotated[Name, AfterValidator(_known_method)]
VariantName = Annotated[
    matching("[a-z0-9_]+", "use lower-case letters, digits and '_' only"), AfterValidator(_not_full)
]


class EmbeddingConfig(ConfigModel):
    """An encoder applied to a view of each spot."""

    encoder: Annotated[Name, AfterValidator(_known_encoder)] = Field(
        description=(
            "`phikon_v2`, `efficientnet_lite0`, one of them with `_stages` (mean and standard "
            "deviation of each stage of the network), `tissue_statistics`, `mean_grey`, or `timm:` "
            "and the name of a model in timm."
        )
    )
    view: Name = Field("native", description="Which of the study's `views`.")


class InputsConfig(ConfigModel):
    """Inputs of methods."""

    embeddings: tuple[EmbeddingConfig, ...] = Field(
        (EmbeddingConfig(encoder="phikon_v2"),),
        min_length=1,
        description="Embeddings to concatenate, in this order; each an `encoder` on a `view`.",
    )
    patches: Name = Field(
        "native", description="The view of methods that read patches, and of `brightness`."
    )
    standardise: Literal["none", "section"] = Field(
        "none",
        description=(
            "`section` gives each feature zero mean and unit variance within its section. This "
            "uses the unlabelled test slide."
        ),
    )

    def overridden_by(self, other: "InputsConfig") -> "InputsConfig":
        """These inputs, overridden by the keys that are set in another."""
        return self.model_copy(update={key: getattr(other, key) for key in other.model_fields_set})


class VariantConfig(ConfigModel):
    """Overrides of a method: its settings by name, and ``inputs``."""

    model_config = ConfigDict(extra="allow")

    inputs: InputsConfig = Field(InputsConfig(), description="Overrides of the method's `inputs`.")

    @model_validator(mode="before")
    @classmethod
    def _settings_stand_by_themselves(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and "settings" in raw:
            raise ValueError("write settings directly under the variant's name, without `settings`")
        return raw

    @property
    def settings(self) -> dict[str, Any]:
        """Overrides of the method's settings, as written."""
        return dict(self.model_extra or {})


class MethodConfig(ConfigModel):
    """A method of the study."""

    preset: Name = Field(
        PUBLISHED,
        description=(
            "Settings to start from: `published`, or `quick` for demonstrations (tables show it)."
        ),
    )
    settings: dict[Name, Any] = Field(
        {},
        description=(
            "Overrides of the preset; `docs/reference/methods/` explains the settings of each "
            "method."
        ),
    )
    tuned: dict[Name, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        {},
        description=(
            "Values to choose from, by setting of a network. Each training takes the best "
            "combination, and the best number of epochs, on a training patient that it holds out, "
            "within `training.tuning_seconds`. Tables show `tuned` in place of the preset."
        ),
    )
    inputs: InputsConfig = Field(InputsConfig(), description="Overrides of the study's `inputs`.")
    variants: dict[VariantName, VariantConfig] = Field(
        {},
        description=(
            "Named sets of further overrides: settings or `inputs`. `full` is the method as "
            "configured and always runs. A variant that neither `ablation` nor `sensitivity` names "
            "is a row of the comparison."
        ),
    )

    @property
    def shown_preset(self) -> str:
        """What tables show as the origin of the settings."""
        return TUNED if self.tuned else self.preset

    def overrides(self, variant: str = FULL) -> dict[str, Any]:
        """The settings of a variant that override the preset, as written."""
        if variant == FULL:
            return self.settings
        return {**self.settings, **self.variants[variant].settings}


def variant_settings(name: str, method: MethodConfig, variant: str = FULL) -> "Settings":
    """The settings of a method's variant: its preset's, the method's and the variant's.

    Raises:
        ValidationError: a setting is unknown or has a wrong value.
    """
    settings = registry.method(name).Settings
    overrides = {
        key: None if _reads_null(settings, key, value) else value
        for key, value in method.overrides(variant).items()
    }
    return settings(**{**registry.presets(name).get(method.preset, {}), **overrides})


def _reads_null(settings: "type[Settings]", key: str, value: object) -> bool:
    """Whether a value is null, also as text, and the setting allows null."""
    field = settings.model_fields.get(key)
    return is_null(value) and field is not None and NoneType in get_args(field.annotation)
