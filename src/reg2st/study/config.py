"""A study's configuration: validated by schema, defaults filled in."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.study.sheets import FILE_COLUMNS, check_sheet, read_sheet, subset


def _filling_defaults(validator_class: type) -> type:
    """A validator that also writes the schema's defaults into what it validates."""
    validate_properties = validator_class.VALIDATORS["properties"]

    def properties(validator, schemas, instance, schema):
        if isinstance(instance, dict):
            for key, subschema in schemas.items():
                if "default" in subschema:
                    instance.setdefault(key, copy.deepcopy(subschema["default"]))
        yield from validate_properties(validator, schemas, instance, schema)

    return validators.extend(validator_class, {"properties": properties})


def _sentence(error: ValidationError) -> str:
    """One clear sentence of a schema violation."""
    where = ".".join(map(str, error.absolute_path)) or "the top level"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        return f"Config, {where}: unknown key '{unknown}'{closest(unknown, known)}."
    if error.validator == "oneOf":
        titles = " or ".join(
            f"{choice['title']} ({', '.join(choice['required'])})"
            for choice in error.schema["oneOf"]
        )
        keys = (
            ", ".join(map(str, error.instance))
            if isinstance(error.instance, dict)
            else error.instance
        )
        return f"Config, {where}: write one of {titles}, each without unknown keys; got {keys}."
    return f"Config, {where}: {error.message}; see config/README.md."


def validated(raw: Mapping[str, Any], schema: str | Path) -> dict[str, Any]:
    """The configuration with defaults filled in.

    Raises:
        UserError: it does not follow the schema.
    """
    config = copy.deepcopy(dict(raw))
    validator = _filling_defaults(Draft202012Validator)(yaml.safe_load(Path(schema).read_text()))
    error = best_match(validator.iter_errors(config), key=lambda error: -len(error.absolute_path))
    if error is not None:
        raise UserError(_sentence(error))
    return config


@dataclass(frozen=True)
class Dataset:
    """A dataset of a study: its sheet (indexed by section) and its configuration."""

    name: str
    sheet: pd.DataFrame
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """``local``, ``url``, ``archives`` or ``simulation``: how files get here."""
        if "root" in self.config:
            return "local"
        return {"base": "url"}.get(key := next(iter(self.config["source"])), key)

    def held_out(self, split: str) -> dict[str, list[str] | None]:
        """What the configuration says of a split's folds, as ``assign_folds`` takes it."""
        return {
            "exclude": self.config["exclude"].get(split, []),
            "only": self.config["folds"].get(split),
        }


def read_datasets(config: dict[str, Any]) -> dict[str, Dataset]:
    """The datasets of a validated configuration, cut to the sections wanted.

    Raises:
        UserError: a sheet is wrong, names an unknown section, or a local file is missing.
    """
    datasets = {}
    for name, settings in config["datasets"].items():
        if "source" not in settings and "root" not in settings:
            raise UserError(
                f"Config, datasets.{name}: say where its files are, by `source` or `root`."
            )
        if "simulation" in settings.get("source", {}):
            from reg2st.sections.simulate import simulated_sheet

            origin = f"The simulated dataset {name}"
            sheet = check_sheet(simulated_sheet(settings["source"]["simulation"]), origin)
        elif "sheet" not in settings:
            raise UserError(f"Config, datasets.{name}: name its sample sheet, `sheet`.")
        else:
            origin = settings["sheet"]
            sheet = read_sheet(origin)
        for split, excluded in settings["exclude"].items():
            subset(sheet, excluded, f"Config, datasets.{name}.exclude.{split}: {origin}")
        if "sections" in settings:
            sheet = subset(sheet, settings["sections"], origin)
        if "file" in settings["panel"] and not Path(settings["panel"]["file"]).is_file():
            raise UserError(
                f"Config, datasets.{name}.panel.file: {settings['panel']['file']} does not exist."
            )
        if "root" in settings:
            _check_files(Path(settings["root"]), sheet, origin)
        datasets[name] = Dataset(name, sheet, settings)
    return datasets


def _check_files(root: Path, sheet: pd.DataFrame, origin: str) -> None:
    if not root.is_dir():
        raise UserError(f"The folder {root} that `root` names for {origin} does not exist.")
    for row in sheet.itertuples():
        for column in FILE_COLUMNS:
            file = getattr(row, column)
            if file and not (root / file).is_file():
                raise UserError(
                    f"{origin}, section {row.section}: its {column} file {root / file} does not "
                    "exist; correct the sheet or leave the section out by `sections`."
                )
