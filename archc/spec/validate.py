"""Located values against pydantic models, faults told in the user's words.

pydantic decides what is valid. What archc says of it comes from the field's own JSON Schema, so
that the words, the check and the schema that editors read cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from archc.spec.diagnostics import Findings, Place, closest, listing, quote
from archc.spec.reader import INVALID, Value

Model = TypeVar("Model", bound=BaseModel)


class Located(Protocol):
    """A key's place and its value: an `Entry` or an `Attribute`."""

    @property
    def key(self) -> Place:
        """Where the key stands."""

    @property
    def value(self) -> Value:
        """The value."""


def validate(
    model: type[Model],
    entries: Mapping[str, Located],
    place: Place,
    owner: str,
    findings: Findings,
    *,
    rename: str | None = None,
) -> Model | None:
    """An instance of the model, or None, what is wrong being noted in ``findings``.

    ``owner`` is what a message calls the thing (``stage 2``); ``rename`` what it calls a field
    that the author does not write by name.
    """
    known = [name for name in entries if name in model.model_fields]
    for name in entries:
        if name not in model.model_fields:
            unknown(name, entries[name].key, owner, model.model_fields, findings)
    faults: set[str] = set()
    for name in known:
        if tainted(entries[name].value):
            faults.add(name)
        elif entries[name].value.data is None:
            _complain(model, name, entries[name].value, rename, findings)
            faults.add(name)
    try:
        valid = model.model_validate({name: entries[name].value.plain for name in known})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(detail["loc"][0])
            if name in faults:
                continue
            faults.add(name)
            if detail["type"] == "missing":
                what = " ".join((model.model_fields[name].description or "").split())
                findings.error(
                    place, f"{owner} has no `{name}`", f"`{name}`: {_uncapitalised(what)}"
                )
            else:
                value = _inner(entries[name].value, detail["loc"][1:])
                _complain(model, name, value, rename, findings)
        return None
    return None if faults else valid


def unknown(name: str, place: Place, owner: str, known: Iterable[str], findings: Findings) -> None:
    """Note an unknown key."""
    words = list(known)
    hint = closest(name, words) or (f"it has {listing(words, 'and')}" if words else None)
    findings.error(place, f"{owner} has no {quote(name)}", hint)


def tainted(value: Value) -> bool:
    """Whether a value, or one inside it, has been complained of already."""
    if isinstance(value.data, tuple):
        return any(map(tainted, value.data))
    if isinstance(value.data, dict):
        return any(tainted(entry.value) for entry in value.data.values())
    return value.data is INVALID


def describe(value: Value) -> str:
    """A value as it is written, in a few words."""
    data = value.data
    if data is None:
        return "nothing" if value.text in ("", None) else quote(value.text or "")
    if isinstance(data, tuple):
        return f"a list of {len(data)}" if data else "an empty list"
    if isinstance(data, dict):
        return "a mapping"
    if isinstance(data, str):
        return f"the text {quote(data)}" if value.text is None else quote(data)
    return quote(value.text) if value.text is not None else quote(str(data))


def advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    """What to write instead, where that is plain."""
    data, text = value.data, value.text
    kinds = _kinds(schema)
    if not isinstance(data, str):
        return None
    if choices := _choices(schema):
        return closest(data, choices)
    if kinds & {"integer", "number"}:
        if text is None and re.fullmatch(r"[-+]?[0-9.]+", data):
            return f"write {data} without quotes"
        if re.fullmatch(r"[-+]?(0[xob]?[0-9A-Fa-f_]+|[0-9][0-9_,']*)", data):
            return "integers are decimal, without leading zeros or separators"
    if "boolean" in kinds and data.lower() in ("yes", "no", "on", "off", "true", "false", "y", "n"):
        return f"write {'true' if data.lower() in ('yes', 'on', 'true', 'y') else 'false'}"
    return None


def expectation(schema: Mapping[str, Any]) -> str:
    """What a field's JSON Schema accepts, in words."""
    if "errorMessage" in schema:
        return str(schema["errorMessage"])
    words = [_accepted(option) for option in _options(schema)]
    return listing(word for word in words if word)


def _complain(
    model: type[BaseModel], name: str, value: Value, rename: str | None, findings: Findings
) -> None:
    schema = _properties(model)[name]
    findings.error(
        value.place,
        f"`{rename or name}` must be {expectation(schema)}, not {describe(value)}",
        advice(value, schema),
    )


@cache
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    return {str(option.get("type")) for option in _options(schema)}


def _choices(schema: Mapping[str, Any]) -> list[str]:
    return [
        word
        for option in _options(schema)
        for word in option.get("enum", [option["const"]] if "const" in option else [])
    ]


def _accepted(schema: Mapping[str, Any]) -> str:
    if choices := _choices(schema):
        return listing(choices)
    kind = schema.get("type")
    if kind == "boolean":
        return "true or false"
    noun = {"integer": "an integer", "number": "a number", "string": "text"}.get(str(kind), "")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{noun} from {low:,} to {high:,}"
    return f"{noun} of at least {low:,}" if low is not None else noun


def _inner(value: Value, path: Iterable[int | str]) -> Value:
    """The value at a path inside another, as far as it goes."""
    for step in path:
        if isinstance(value.data, tuple) and isinstance(step, int) and step < len(value.data):
            value = value.data[step]
    return value


def _uncapitalised(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
