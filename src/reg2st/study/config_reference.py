"""Generate the reference of the configuration from its classes.

``python -m reg2st.study.config_reference`` writes the JSON schema for editors, and the tables of
keys in ``docs/reference/config.md``, each between two comments.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from reg2st.base.files import written_whole
from reg2st.base.validation import held_by
from reg2st.features.fields import View
from reg2st.models.registry import METHODS, method, presets
from reg2st.sections.simulate import SimulationSettings
from reg2st.study.config import GraphConfig, StudyConfig
from reg2st.study.dataset_config import DatasetConfig
from reg2st.study.method_config import InputsConfig, MethodConfig

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = Path("workflow/schemas/config.schema.json")
PAGE = Path("docs/reference/config.md")

WITH_A_TABLE: tuple[type[BaseModel], ...] = (
    StudyConfig,
    DatasetConfig,
    SimulationSettings,
    View,
    InputsConfig,
    GraphConfig,
    MethodConfig,
)
"""Classes with their own table; keys of other classes are in the table of their parent."""

TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- end of keys -->)", flags=re.DOTALL)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration file, with the settings of every method."""
    schema = _tidy(StudyConfig.model_json_schema())
    definitions = schema["$defs"]
    entry = definitions.pop("MethodConfig")
    variant = definitions.pop("VariantConfig")
    for name in METHODS:
        settings = _tidy(method(name).Settings.model_json_schema())
        settings.pop("required", None)  # a preset or a validator fills them in
        definitions[f"{name}_settings"] = settings
        definitions[f"{name}_variant"] = _variant(variant, settings, f"#/$defs/{name}_settings")
        definitions[name] = _entry(entry, name)
    of_methods = {name: _or_null(f"#/$defs/{name}") for name in METHODS}
    schema["properties"]["methods"] |= {"properties": of_methods, "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _variant(variant: dict[str, Any], settings: dict[str, Any], where: str) -> dict[str, Any]:
    """The schema of a method's variants: settings beside ``inputs``."""
    keys = {key: {"$ref": f"{where}/properties/{key}"} for key in settings["properties"]}
    return variant | {
        "properties": variant["properties"] | keys,
        "additionalProperties": False,
    }


def _entry(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of a method's entry."""
    properties = entry["properties"]
    (pattern,) = properties["variants"]["patternProperties"]
    return entry | {
        "properties": properties
        | {
            "preset": properties["preset"] | {"enum": list(presets(name))},
            "settings": {
                "$ref": f"#/$defs/{name}_settings",
                "description": properties["settings"]["description"],
            },
            "variants": properties["variants"]
            | {"patternProperties": {pattern: _or_null(f"#/$defs/{name}_variant")}},
        }
    }


def _or_null(reference: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": reference}, {"type": "null"}]}


def _tidy(schema: Any) -> Any:
    """A schema without generated titles and nested defaults, and without unknown names."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "$defs"):
            tidy[key] = {name: _tidy(each) for name, each in value.items()}
        elif key != "title" and not (
            key == "default" and (value is None or isinstance(value, dict))
        ):
            tidy[key] = _tidy(value)
    if "patternProperties" in schema:
        tidy["additionalProperties"] = False
    return tidy


def with_tables(page: str) -> str:
    """The page with its tables of keys generated from the classes."""
    classes = {each.__name__: each for each in WITH_A_TABLE}
    return TABLE.sub(lambda found: f"{found[1]}\n{key_table(classes[found[2]])}\n{found[3]}", page)


def key_table(model: type[BaseModel]) -> str:
    """A Markdown table of the keys of a class and of its nested classes."""
    rows = ["| key | default | meaning |\n", "|---|---|---|\n"]
    for key, field in keys_of(model):
        rows.append(f"| `{key}` | {_default(field)} | {field.description} |\n")
    return "".join(rows)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a class and of its nested classes that have no table."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        for inner, path in held_by(field.annotation):
            if inner not in WITH_A_TABLE:
                yield from keys_of(inner, f"{prefix}{name}{path}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default is None or field.default == {}:
        return ""
    default = TypeAdapter(Any).dump_python(field.default, mode="json", exclude_unset=True)
    if default == {}:
        return ""
    written = yaml.safe_dump(default, default_flow_style=True, width=1000, sort_keys=False)
    return f"`{written.splitlines()[0]}`"


def main() -> None:
    """Write the schema and the tables."""
    page = with_tables((ROOT / PAGE).read_text(encoding="utf-8"))
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    for path, text in ((PAGE, page), (SCHEMA, schema)):
        with written_whole(ROOT / path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
