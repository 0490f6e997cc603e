"""Base of all classes of the configuration: how null, names, lists and paths are read.

Snakemake's ``--config`` passes values in lists and dictionaries as text, so where a key is not
text, the text of null, a number or a boolean is read as that value.
"""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WrapValidator,
    model_validator,
)

T = TypeVar("T")

NULL_TEXTS = ("", "~", "null", "Null", "NULL")


def is_null(value: object) -> bool:
    """Whether a value is YAML's null, also as the text that ``--config`` passes."""
    return value is None or (isinstance(value, str) and value in NULL_TEXTS)


class ConfigModel(BaseModel):
    """A part of the configuration. A null key counts as missing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_written(cls, raw: Any) -> Any:
        if is_null(raw):
            return {}
        if isinstance(raw, Mapping):
            written = raw.items()
            return {k: v for k, v in written if k not in cls.model_fields or not is_null(v)}
        return raw


def _as_written(value: object) -> object:
    """A name that YAML reads as a number or a date, as text again."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.isoformat() if type(value) is datetime.date else value


Name = Annotated[str, BeforeValidator(_as_written)]
"""A name of a section, gene, method, ... Names such as ``NA`` or ``001`` are text."""


def matching(pattern: str, advice: str) -> Any:
    """The type of text that fully matches a pattern; ``advice`` explains it in the error."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"'{text}' cannot be used here; {advice}")
        return text

    return Annotated[
        Name, AfterValidator(check), Field(json_schema_extra={"pattern": f"^{pattern}$"})
    ]


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"'{value}' is listed twice; delete one")
    return values


UNIQUE_ITEMS = Field(json_schema_extra={"uniqueItems": True})

Unique = Annotated[tuple[T, ...], AfterValidator(_unique), UNIQUE_ITEMS]
"""A list without repetitions, of any length."""

Listed = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_unique), UNIQUE_ITEMS]
"""A list of at least one entry, without repetitions."""


def _without_nulls(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return {key: value for key, value in raw.items() if not is_null(value)}
    return raw


WithoutNulls = BeforeValidator(_without_nulls)
"""Entries that are null are left out."""


def added_to(defaults: Mapping[str, BaseModel]) -> BeforeValidator:
    """Entries extend the defaults or replace those of the same name."""
    return BeforeValidator(lambda raw: {**defaults, **raw} if isinstance(raw, Mapping) else raw)


FilePath = Annotated[str, AfterValidator(lambda path: str(Path(path).expanduser()))]
"""A file or folder, absolute or relative to the working directory of the workflow."""


def chosen_by_key(*classes: type[BaseModel]) -> WrapValidator:
    """Read a value as the class whose first key it has."""
    by_key = {next(iter(each.model_fields)): each for each in classes}

    def read(raw: Any, _: object) -> BaseModel:
        if isinstance(raw, classes):
            return raw
        keys = list(raw) if isinstance(raw, Mapping) else []
        given = [key for key in by_key if key in keys and not is_null(raw[key])]
        given = given or [key for key in by_key if key in keys]
        if len(given) != 1:
            got = ", ".join(map(str, keys)) or raw
            raise ValueError(f"write one of {', '.join(by_key)}, got {got}")
        others = by_key.keys() - given
        return by_key[given[0]].model_validate({k: v for k, v in raw.items() if k not in others})

    return WrapValidator(read)
