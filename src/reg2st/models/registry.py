"""Every method of the workflow by name. A new method is one file and one line here."""

from importlib import import_module

from pydantic import ValidationError

from reg2st.base.errors import UserError
from reg2st.base.names import closest
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
}


def method(name: str) -> type[Model]:
    """The model class of a method.

    Raises:
        UserError: no method has that name.
    """
    if name not in METHODS:
        raise UserError(f"There is no method '{name}'{closest(name, METHODS)}.")
    module, attribute = METHODS[name].split(":")
    return getattr(import_module(module), attribute)


def parse_settings(name: str, preset: str, overrides: dict) -> Settings:
    """Settings of a method: its defaults, then a preset's, then the given overrides.

    Raises:
        UserError: an unknown method, preset or key, or a value of the wrong kind.
    """
    model = method(name)
    presets = {"published": {}, **model.presets}
    if preset not in presets:
        raise UserError(f"Method '{name}' has no preset '{preset}'{closest(preset, presets)}.")
    try:
        return model.Settings(**{**presets[preset], **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            problem = f"unknown setting '{key}'{closest(key, model.Settings.model_fields)}"
        else:
            problem = f"setting '{key}': {first['msg'].lower()}, got {first['input']!r}"
        raise UserError(f"Method '{name}': {problem}.") from None
