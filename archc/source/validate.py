"""Located values against pydantic models, faults told in the user's words.

pydantic decides what is valid. What archc says of it comes from the field's own JSON Schema, so
that the words, the check and the schema that editors read cannot disagree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from archc.source.diagnostics import Advice, Findings, Place
from archc.source.reader import INVALID, MAX_DIGITS, Value
from archc.source.record import Record, ValidationError
from archc.source.suggest import closest, meant_by, nearest
from archc.text import listing, quote

Model = TypeVar("Model", bound=Record)

_YES = ("true", "yes", "on", "y", "1")
_NO = ("false", "no", "off", "n", "0")


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
    excused: Container[str] = (),
    missing: Callable[[type[Record], Sequence[str]], None] | None = None,
) -> Model | None:
    """An instance of the model, or None, what is wrong being noted in ``findings``.

    Entries that the model does not have are left to `unknown`. ``owner`` is what a message calls
    the thing (``stage 2``), ``rename`` what it calls a field that the author does not write by
    name; fields in ``excused`` may be missing without complaint. Where ``missing`` is given, it is
    told which fields are missing, and nothing is noted of them.
    """
    known = {name: entries[name].value for name in entries if name in model.model_fields}
    faults = {name for name, value in known.items() if tainted(value)}
    for name, value in known.items():
        if value.data is None:
            _complain(model, name, rename, value, None, findings)
            faults.add(name)
    try:
        valid = model.model_validate({name: value.plain for name, value in known.items()})
    except ValidationError as error:
        absent = []
        told = set()
        details = error.errors(include_url=False, include_context=False, include_input=False)
        for detail in details:
            if not detail["loc"]:  # no single field is wrong: the model has its own message
                findings.error(
                    place, f"{owner} {detail['msg'].partition(', ')[2]}", code="inconsistent-values"
                )
        details = [detail for detail in details if detail["loc"]]
        places = [(str(detail["loc"][0]), _item(detail["loc"])) for detail in details]
        pointed = {name for name, item in places if item is not None}
        for name, item in places:
            if name in faults or (name, item) in told or (item is None and name in pointed):
                continue
            told.add((name, item))
            if name in known:
                _complain(model, name, rename, known[name], item, findings)
            elif name not in excused:
                absent.append(name)
        if missing is not None:
            missing(model, absent)
        elif absent:
            needed = f"{owner} needs {backticked(absent)}"
            findings.error(place, needed, accepted(model, absent), code="missing-key")
        return None
    return None if faults else valid


def _item(path: Sequence[int | str]) -> int | None:
    """Which item of a list pydantic complains of, if of one."""
    return next((step for step in path if isinstance(step, int)), None)


def unknown(
    name: str, place: Place, what: str, known: Iterable[str], findings: Findings
) -> set[str]:
    """Note an unknown key, ``what`` saying of what (``a spec has no key``).

    Returns the key that was probably meant, if there is one.
    """
    words = list(known)
    hint: str | None
    if re.match(r"\w+:\S", name):
        key, _, rest = name.partition(":")
        meant = nearest(key, words)
        told = "a key is written `key: value`, with a space after the `:`"
        hint = Advice(told, f"{key}: {rest}", name, is_certain=meant == key)
    elif meant := nearest(name, words):
        hint = meant_by(name, meant, words)
        if (spaced := re.fullmatch(r"(\w+) (\S+)", name)) and spaced[1] == meant:
            hint = Advice(hint, f"{spaced[1]}: {spaced[2]}", name)
    else:
        hint = f"choose from {listing(words, 'and')}" if words else None
    findings.error(place, f"{what} {quote(name)}", hint, code="unknown-key")
    return {meant} if meant else set()


def unknown_keys(
    entries: Mapping[str, Located], model: type[Record], what: str, findings: Findings
) -> set[str]:
    """Note the entries that a model has no field for; returns the fields that were meant."""
    known = model.model_fields
    strange = [(name, one.key) for name, one in entries.items() if name not in known]
    return {word for name, key in strange for word in unknown(name, key, what, known, findings)}


def tainted(value: Value) -> bool:
    """Whether a value, or one inside it, has been complained of already."""
    if isinstance(value.data, tuple):
        return any(map(tainted, value.data))
    if isinstance(value.data, dict):
        return any(tainted(entry.value) for entry in value.data.values())
    return value.data is INVALID


def is_nothing(value: Value) -> bool:
    """Whether nothing is written where a value should be."""
    return value.data is None and not value.text


def code_of(value: Value) -> str:
    """The kind of mistake that a value is which is of no type that may stand in its place."""
    return "missing-value" if is_nothing(value) else "wrong-type"


def describe(value: Value) -> str:
    """A value as it is written, in a few words."""
    data = value.data
    if data is None:
        return quote(value.text) if value.text else "nothing"
    if isinstance(data, tuple):
        return f"a list of {len(data):,}" if data else "an empty list"
    if isinstance(data, dict):
        return "a mapping" if data else "an empty mapping"
    if isinstance(data, str):
        length = f" of {len(data):,} characters" if len(data) > 40 else ""
        shown = f"{quote(data)}{length}" if data else "an empty text"
        return f"the text {shown}" if value.text is None and data else shown
    return quote(value.text) if value.text is not None else quote(str(data))


def expectation(schema: Mapping[str, Any]) -> str:
    """What a field's JSON Schema accepts, in words."""
    if "errorMessage" in schema:
        return str(schema["errorMessage"])
    words = [_accepted(option) for option in _options(schema)]
    return listing(word for word in words if word)


def advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    """What to write instead, where that is plain."""
    rules = (_number_advice, _choice_advice, _boolean_advice, _text_advice, _list_advice)
    return next((hint for rule in rules if (hint := rule(value, schema))), None)


def expected(model: type[Record], name: str) -> str:
    """What a field accepts, in words."""
    return expectation(model.model_properties[name])


def guess(model: type[Record], name: str, value: Value) -> str | None:
    """What was probably meant by a value that a field does not accept."""
    return advice(value, model.model_properties[name])


def kinds_of(model: type[Record], name: str) -> set[str]:
    """The JSON types that a field accepts."""
    return _kinds(model.model_properties[name])


def _number_advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    data, kinds = value.data, _kinds(schema)
    if not kinds & {"integer", "number"}:
        return None
    numbers = [choice for choice in _choices(schema) if type(choice) is int]
    if isinstance(data, float):
        whole = data.is_integer() and abs(data) < 10**MAX_DIGITS and "integer" in kinds
        return _write(f"{int(data)}") if whole and int(data) in (numbers or [int(data)]) else None
    if numbers:
        unquoted = value.text is None and data in [str(one) for one in numbers]
        return _write(f"{data}", " without quotes") if unquoted else None
    if isinstance(data, tuple) and len(data) == 2 and data[0].text == data[1].text:
        text = data[0].text
        return Advice(f"give one number for both sides: write {text}", text) if text else None
    if not isinstance(data, str):
        return None
    if value.text is None and re.fullmatch(r"[-+]?[0-9.]+", data):
        return _write(data, " without quotes")
    if square := re.fullmatch(r"([1-9][0-9]*) ?x ?\1", data):
        return Advice(f"give one number for both sides: write {square[1]}", square[1])
    if re.fullmatch(r"[-+]?(0[xob]?[0-9A-Fa-f_]+|[0-9][0-9_,']*)", data):
        return "write integers in decimal, without leading zeros or separators"
    return None


def _choice_advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    # A number is not close to another because it is spelt alike: words alone are suggested.
    choices = [choice for choice in _choices(schema) if isinstance(choice, str)]
    word = value.data if isinstance(value.data, str) else value.text
    if not choices or word is None:
        return None
    if "none" in choices and word.lower() in ("", "~", "null", "false", "no", "off", "0"):
        return Advice("did you mean `none`?", "none")
    return closest(word, choices)


def _boolean_advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    word = (value.data if isinstance(value.data, str) else value.text) or ""
    if "boolean" not in _kinds(schema) or word.lower() not in _YES + _NO:
        return None
    listed = [choice for choice in _choices(schema) if isinstance(choice, bool)]
    if listed and (word.lower() in _YES) not in listed:
        return None
    right = "true" if word.lower() in _YES else "false"
    return _write(right, " without quotes" if word == right else "")


def _text_advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    """Quotes, where they would make a number or a boolean the text that is wanted."""
    if _kinds(schema) != {"string"} or _choices(schema):
        return None
    if not value.text or isinstance(value.data, str):
        return None
    fits = re.search(str(schema.get("pattern", "")), value.text)
    shown = f'"{value.text}"'
    return Advice(f"put it in quotes: {shown}", shown) if fits else None


def _list_advice(value: Value, schema: Mapping[str, Any]) -> str | None:
    """Brackets around numbers, as many as are needed; ``32,000`` may be a number by itself."""
    count = max([len(option.get("prefixItems", ())) for option in _options(schema)])
    has_any_length = any(isinstance(option.get("items"), dict) for option in _options(schema))
    if "array" in _kinds(schema) and isinstance(value.data, str):
        numbers = re.fullmatch(r"\(?(\d+(?: ?[,x ] ?\d+)+)\)?", value.data)
        items = re.findall(r"\d+", value.data)
        is_number = re.fullmatch(r"\d{1,3}(,\d{3})+", value.data) is not None
        if numbers and (len(items) == count or (has_any_length and not is_number)):
            return _write(f"[{', '.join(items)}]")
    return None


def _write(value: str, how: str = "") -> Advice:
    return Advice(f"write {value}{how}", value)


def _complain(
    model: type[Record],
    name: str,
    rename: str | None,
    value: Value,
    item: int | None,
    findings: Findings,
) -> None:
    """Note what is wrong with a value, or with an item of a list that is one."""
    schema = model.model_properties[name]
    what = f"`{rename or name}`"
    items = next((o["prefixItems"] for o in _options(schema) if "prefixItems" in o), ())
    each = next((o["items"] for o in _options(schema) if isinstance(o.get("items"), dict)), None)
    if item is not None and isinstance(value.data, tuple) and len(value.data) == len(items):
        value, schema = value.data[item], items[item]
        named = schema.get("description")
        what = f"the {named} of {what}" if named else f"each item of {what}"
    elif item is not None and isinstance(value.data, tuple) and each is not None:
        value, schema = value.data[item], each
        what = f"each item of {what}"
    if is_nothing(value):
        findings.error(
            value.place,
            f"{what} has no value",
            f"it must be {expectation(schema)}",
            code="missing-value",
        )
        return
    hint = advice(value, schema)
    if isinstance(value.data, tuple) and "array" not in _kinds(schema):
        hint = getattr(model, "list_hint", None) or hint
    findings.error(
        value.place,
        f"{what} must be {expectation(schema)}, not {describe(value)}",
        hint,
        code=_code_of(value, schema),
    )


def _code_of(value: Value, schema: Mapping[str, Any]) -> str:
    """The kind of mistake that a value is which a field does not accept."""
    data, kinds, choices = value.data, _kinds(schema), _choices(schema)
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        takes = {option.get("type") for option in _options(schema)}
        fits = "number" in takes or ("integer" in takes and float(data).is_integer())
        return "out-of-range" if fits else "wrong-type"
    if isinstance(data, str) and "string" in kinds:
        return "invalid-choice" if choices else "invalid-text"
    return "wrong-type"


def backticked(names: Iterable[str]) -> str:
    """Names of fields in a row: ```depth` and `width```."""
    return listing([f"`{name}`" for name in names], "and")


def accepted(model: type[Record], names: Iterable[str]) -> str:
    """What fields of a model accept: ```depth` is an integer from 1 to 10,000``."""
    properties = model.model_properties
    return ", ".join([f"`{name}` is {expectation(properties[name])}" for name in names])


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that a schema accepts; choices of several types have no ``type`` of theirs."""
    return {
        kind
        for option in _options(schema)
        for kind in ([option["type"]] if "type" in option else map(_kind, _choices_of(option)))
    }


def _kind(choice: str | int | float | bool) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return names[type(choice)]


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    """The words, numbers and booleans that a schema lists, if it lists what it accepts."""
    return [choice for option in _options(schema) for choice in _choices_of(option)]


def _choices_of(option: Mapping[str, Any]) -> list[Any]:
    listed = option.get("enum", [option["const"]] if "const" in option else [])
    return [choice for choice in listed if choice is not None]


def _accepted(schema: Mapping[str, Any]) -> str:
    if choices := _choices(schema):
        return listing(one if isinstance(one, str) else json.dumps(one) for one in choices)
    kind = schema.get("type")
    if kind == "boolean":
        return "true or false"
    noun = {"integer": "an integer", "number": "a number", "string": "text"}.get(str(kind), "")
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        noun += f" above {schema['exclusiveMinimum']:g}"
        return noun + (f", at most {high:g}" if high is not None else "")
    if low is not None and high is not None:
        return f"{noun} from {low:,} to {high:,}"
    return f"{noun} of at least {low:,}" if low is not None else noun
