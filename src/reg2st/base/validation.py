"""What pydantic finds wrong, as plain sentences: every mistake with its place."""

import json
import re
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reg2st.base.errors import UserError
from reg2st.base.names import closest

LONGEST_VALUE = 60
"""Characters of a wrong value that a sentence shows."""

WHOLE = "must be a whole number"
NUMBER = "must be a number"
TRUTH = "must be true or false"
TEXT = "must be text; write it in quotes"
LIST = "must be a list, such as [a, b]"
KEYS = "must be keys with values, such as {{key: value}}"
PHRASES = {
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": TRUTH,
    "bool_parsing": TRUTH,
    "string_type": TEXT,
    "invalid_key": TEXT,
    "tuple_type": LIST,
    "list_type": LIST,
    "dict_type": KEYS,
    "model_type": KEYS,
    "model_attributes_type": KEYS,
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
}
"""What a value must be, by pydantic's name of the error."""

Place = tuple[str | int, ...]


class Mistake(NamedTuple):
    """One wrong key or value: where it is, and what is wrong with it."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.sentence}" if self.place else self.sentence


def mistakes_of(
    error: ValidationError, model: type[BaseModel], place: Place = (), key: str = "key"
) -> list[Mistake]:
    """Every mistake that a validation found.

    Args:
        error: what the validation raised.
        model: the class that was validated; the nearest keys are its own.
        place: where the validated value stands.
        key: what a key of the model is called ("setting").
    """
    lines = [
        (tuple(part for part in line["loc"] if part != "[key]"), line) for line in _told(error)
    ]
    return [
        Mistake((*place, *where), _sentence(line, where, model, key))
        for where, line in lines
        if line["type"] != "too_short"
        or not any(other[: len(where)] == where for other, _ in lines if other != where)
    ]


def refusal(what: str, mistakes: Iterable[object]) -> UserError:
    """One error of all mistakes: a sentence if there is one, else a line for each."""
    lines = [str(mistake) for mistake in mistakes]
    if len(lines) == 1:
        return UserError(f"{what}, {lines[0]}")
    return UserError("\n  ".join([f"{what} has {len(lines)} mistakes:", *lines]))


def dotted(place: Place) -> str:
    """A place as people write it: ``inputs.embeddings[0].view``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def shown(value: object) -> str:
    """A value as it stands in YAML, cut to a readable length."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str):
        written = f"'{value}'"
    if len(written) > LONGEST_VALUE:
        written = written[:LONGEST_VALUE] + "..."
    return written


def _told(error: ValidationError) -> list[Any]:
    """What pydantic found, without defaults that could not be made because of it."""
    lines = error.errors(include_url=False)
    return [line for line in lines if line["type"] != "default_factory_not_called"]


def held_by(annotation: Any, path: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """The classes that a type holds, each with the way to it: ``.NAME`` in a dictionary."""
    for each in _plain(annotation):
        if _is_model(each):
            yield each, path
        elif get_origin(each) is dict:
            yield from held_by(get_args(each)[1], f"{path}.NAME")
        elif get_origin(each) in (tuple, list):
            yield from held_by(get_args(each)[0], f"{path}[]")


def _sentence(line: Any, where: Place, model: type[BaseModel], key: str) -> str:
    kind, value, context = line["type"], line["input"], line.get("ctx", {})
    if kind == "missing":
        return "is missing; add it."
    if kind == "extra_forbidden":
        return f"unknown {key}{closest(str(where[-1]), _keys_at(model, where[:-1]))}."
    if kind == "value_error":
        return f"{str(context['error']).removesuffix('.')}."
    if kind == "too_short":
        least = context["min_length"]
        return "must not be empty." if least == 1 else f"must have at least {least} entries."
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"{shown(value)} is not one of its values{closest(str(value), choices)}."
    bounds = {name: f"{it:g}" if isinstance(it, float) else it for name, it in context.items()}
    phrase = PHRASES[kind].format(**bounds) if kind in PHRASES else line["msg"].lower()
    return f"{phrase}, got {shown(value)}."


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that a model takes at a place."""
    found: list[Any] = [model]
    for part in place:
        found = [inner for each in found for inner in _step(each, part)]
    return [name for each in found if _is_model(each) for name in each.model_fields]


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    """What an annotation holds at a key or an index."""
    if _is_model(annotation):
        if part in annotation.model_fields:
            yield from _plain(annotation.model_fields[str(part)].annotation)
    elif get_origin(annotation) in (dict, tuple, list):
        inner = get_args(annotation)
        yield from _plain(inner[1] if get_origin(annotation) is dict else inner[0])


def _plain(annotation: Any) -> Iterator[Any]:
    """The members of a union but None, without their annotations."""
    if get_origin(annotation) is Annotated:
        yield from _plain(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _plain(member)
    elif annotation is not NoneType:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
