"""A spec's variables, and what else of its header is computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from archc.blocks.around import ACTIVATIONS, GROUPS, Around, Norm, NormName
from archc.blocks.expressions import Value as Known
from archc.blocks.expressions import Word
from archc.blocks.layers import LAYERS, Start
from archc.blocks.names import (
    HEADER_NAMES,
    IDENTIFIER,
    PLACE_NAMES,
    RESERVED,
    Names,
    expression,
    hides,
    looks_like_one,
)
from archc.blocks.possible import ANYTHING, NUMBER, TRUTH, Possible, one_of
from archc.blocks.scope import LayerFault, Scope, plain, value_of
from archc.graph.initial import USUAL, Initial, Rule
from archc.source.diagnostics import Findings, Place
from archc.source.reader import INVALID, Entry, Value
from archc.source.validate import (
    code_of,
    describe,
    is_nothing,
    tainted,
    unknown,
    unknown_keys,
    validate,
)
from archc.text import quote

_WORDS = frozenset([*ACTIVATIONS, *get_args(NormName), "none"])


def values_of(
    entries: Mapping[str, Entry], overlays: Sequence[Mapping[str, Entry]], findings: Findings
) -> dict[str, Known]:
    """The variables of a spec by name; ``with`` may give them other values."""
    found: dict[str, Known] = {}
    for name, entry in entries.items():
        if not IDENTIFIER.fullmatch(name):
            words = "a variable's name is letters, digits and `_`, beginning with a letter"
            findings.error(entry.key, f"{words}, not {quote(name)}", code="invalid-name")
            continue
        if name in (*RESERVED, *HEADER_NAMES, *PLACE_NAMES, *LAYERS):
            message = f"a variable cannot be called `{name}`: the language has one of that name"
            findings.error(entry.key, message, code="duplicate-name")
            continue
        if why := hides(name):
            findings.error(
                entry.key, f"a variable cannot be called `{name}`: {why}", code="invalid-name"
            )
            continue
        known = _value(name, latest(name, entry, overlays), findings)
        if known is not None:
            found[name] = known
    return found


def latest(name: str, entry: Entry, overlays: Sequence[Mapping[str, Entry]]) -> Value:
    """The value that a variable has in the end."""
    value = entry.value
    for overlay in overlays:
        value = overlay[name].value if name in overlay else value
    return value


def place_of(
    name: str, entries: Mapping[str, Entry], overlays: Sequence[Mapping[str, Entry]]
) -> Place:
    """Where a variable has its value."""
    return latest(name, entries[name], overlays).place


def _value(name: str, value: Value, findings: Findings) -> Known | None:
    if isinstance(value.data, (bool, int, float)) and math.isfinite(value.data):
        return value_of(value.data)
    if isinstance(value.data, str) and value.data in _WORDS:
        return Word(value.data)
    if not tainted(value):
        what = "has no value" if is_nothing(value) else f"is {describe(value)}"
        takes = "a number, true or false, or the name of a norm or an activation"
        findings.error(
            value.place, f"the variable `{name}` {what}: it takes {takes}", code=code_of(value)
        )
    return None


def words_of(entries: Iterable[str], variables: Mapping[str, Known]) -> dict[str, frozenset[str]]:
    """The words that each variable may be, those among them that have no valid value."""
    return {
        name: _WORDS if isinstance(variables.get(name), Word) else frozenset() for name in entries
    }


def possible_of(entries: Iterable[str], variables: Mapping[str, Known]) -> dict[str, Possible]:
    """What variables may be when their values change: numbers, words, or true and false."""
    return {name: _possible(variables.get(name)) for name in entries}


def _possible(value: Known | None) -> Possible:
    if value is None:  # it is not valid
        return ANYTHING
    if isinstance(value, Word):
        return one_of(_WORDS)
    return TRUTH if isinstance(value, bool) else NUMBER


def plain_norm(header: Mapping[str, Entry]) -> dict[str, Entry]:
    """The header with the norm as a word alone, where it has numbers besides."""
    entry = header.get("norm")
    data = None if entry is None else entry.value.data
    if entry is None or not isinstance(data, dict) or len(data) != 1:
        return dict(header)
    ((word, inner),) = data.items()
    return {**header, "norm": Entry(entry.key, Value(word, inner.key, word))}


def norm_of_network(
    entry: Entry | None, variables: Mapping[str, Known], findings: Findings
) -> Norm | None:
    """A network's norm: ``batch_norm``, or ``{batch_norm: {eps: 0.001}}``."""
    if entry is None:
        return Norm()
    data = entry.value.data
    if isinstance(data, str):
        return Norm(data) if data in get_args(NormName) else None  # type: ignore[arg-type]
    if not isinstance(data, dict) or len(data) != 1:
        return None
    ((word, inner),) = data.items()
    if word not in get_args(NormName):
        return None
    model: Any = LAYERS[word]
    fields = inner.value.data
    if not isinstance(fields, dict):
        if not tainted(inner.value):
            message = f"`{word}` takes a mapping of its numbers, not {describe(inner.value)}"
            findings.error(
                inner.value.place,
                message,
                f"for example `norm: {{{word}: {{eps: 0.001}}}}`",
                code=code_of(inner.value),
            )
        return None
    entries = {
        name: Entry(one.key, _result(one.value, variables, findings))
        for name, one in fields.items()
    }
    unknown_keys(entries, model, f"`{word}` has no attribute", findings)
    made = validate(model, entries, inner.key, f"`{word}`", findings)
    if made is None:
        return None
    groups = getattr(made, "groups", GROUPS)
    return Norm(word, getattr(made, "eps", None), getattr(made, "momentum", None), groups)  # type: ignore[arg-type]


def _result(value: Value, variables: Mapping[str, Known], findings: Findings) -> Value:
    names = Names(set(variables))
    if not isinstance(value.data, str) or not looks_like_one(value.data, names):
        return value
    expr = expression(value, names, findings, frozenset())
    if expr is None:
        return Value(INVALID, value.place)
    try:
        result: Any = plain(Scope(Around(names=variables), {}).evaluate(expr))
        return Value(result, value.place, value.data)
    except LayerFault as fault:
        findings.error(fault.place, fault.message, fault.hint, code=fault.code)
        return Value(INVALID, value.place)


def initial_of(entry: Entry, findings: Findings) -> Initial:
    """What weights are drawn from: ``{conv: {kaiming_normal: fan_out}, linear: default, bias: 0}``.

    A kind of layer that is not named starts as it does without; a ``bias`` is for all of them.
    """
    data = entry.value.data
    if not isinstance(data, dict):
        return USUAL
    bias: float | None = None
    if "bias" in data:
        value = data["bias"].value
        if isinstance(value.data, (int, float)) and not isinstance(value.data, bool):
            bias = float(value.data)
        elif value.data != "default" and not tainted(value):
            message = f"`bias` must be a number or default, not {describe(value)}"
            findings.error(value.place, message, code="wrong-type")
    rules: dict[str, Rule] = {}
    for kind, one in data.items():
        if kind in ("conv", "linear"):
            rules[kind] = _rule(kind, one.value, bias, findings)
        elif kind != "bias":
            unknown(kind, one.key, "`init` has no key", ("conv", "linear", "bias"), findings)
    if "bias" in data:
        rules.setdefault("conv", replace(USUAL.conv, bias=bias))
        rules.setdefault("linear", replace(USUAL.linear, bias=bias))
    return Initial(rules.get("conv", USUAL.conv), rules.get("linear", USUAL.linear))


def _rule(kind: str, value: Value, bias: float | None, findings: Findings) -> Rule:
    if value.data == "default":
        return Rule(bias=bias)
    if isinstance(value.data, dict):
        unknown_keys(value.data, Start, "a rule has no key", findings)
        made = validate(Start, value.data, value.place, f"`{kind}`", findings)
        if made is not None:
            return made.rule if made.bias is not None else replace(made.rule, bias=bias)
    elif not tainted(value):
        what = (
            "has no value"
            if is_nothing(value)
            else f"must be a rule or default, not {describe(value)}"
        )
        example = f"for example `{kind}: {{normal: 0.01}}`"
        findings.error(value.place, f"`{kind}` {what}", example, code=code_of(value))
    return Rule()
