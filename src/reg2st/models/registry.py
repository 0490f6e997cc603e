"""Every method of the workflow by name. A new method is one file and one line here."""

from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import ValidationError

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import mistakes_of, refusal

if TYPE_CHECKING:  # names only: importing a method's module imports torch
    from reg2st.models.interface import Model, Settings

METHODS = {
    "train_mean": "reg2st.models.train_mean:TrainMean",
    "brightness": "reg2st.models.brightness:Brightness",
    "ridge": "reg2st.models.ridge:Ridge",
    "sister_section": "reg2st.models.sister_section:SisterSection",
    "sprig": "reg2st.models.sprig:SPRIG",
    "reg2st": "reg2st.models.reg2st:Reg2ST",
    "histogene": "reg2st.models.histogene:HisToGene",
    "hist2st": "reg2st.models.hist2st:Hist2ST",
    "thitogene": "reg2st.models.thitogene:THItoGene",
    "bleep": "reg2st.models.bleep:BLEEP",
    "mclstexp": "reg2st.models.mclstexp:McLSTExp",
    "stnet": "reg2st.models.stnet:STNet",
    "deepspot": "reg2st.models.deepspot:DeepSpot",
    "miso": "reg2st.models.miso:MISO",
    "triplex": "reg2st.models.triplex:TRIPLEX",
    "hggep": "reg2st.models.hggep:HGGEP",
}


def method(name: str) -> "type[Model]":
    """The model class of a method.

    Raises:
        UserError: no method has that name.
    """
    if name not in METHODS:
        raise UserError(f"There is no method '{name}'{closest(name, METHODS)}.")
    module, attribute = METHODS[name].split(":")
    return getattr(import_module(module), attribute)


def presets(name: str) -> dict[str, dict]:
    """The overrides of each preset of a method; ``published`` has the defaults.

    Raises:
        UserError: no method has that name.
    """
    return {"published": {}, **method(name).presets}


def parse_settings(name: str, preset: str, overrides: dict) -> "Settings":
    """Settings of a method: its defaults, then a preset's, then the given overrides.

    Raises:
        UserError: an unknown method, preset or key, or a value of the wrong kind.
    """
    known = presets(name)
    if preset not in known:
        raise UserError(f"Method '{name}' has no preset '{preset}'{closest(preset, known)}.")
    settings = method(name).Settings
    try:
        return settings(**{**known[preset], **overrides})
    except ValidationError as error:
        mistakes = mistakes_of(error, settings, key="setting")
        raise refusal(f"Method '{name}'", mistakes) from None
