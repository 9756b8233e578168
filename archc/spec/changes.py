"""Options laid over a spec: `--set` by key, in the order in which they are given.

A key is one of the network's header, else a variable of the spec, else an attribute of its stages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from archc.blocks.scope import plain
from archc.dataclassing import dataclass
from archc.ops import MAX_PIXELS
from archc.source.caller import said
from archc.source.diagnostics import Findings, Place
from archc.source.reader import INVALID, Entry, Value
from archc.source.settings import Setting, locate_setting, parse_setting
from archc.source.validate import describe, tainted
from archc.spec.factor import factor_in
from archc.spec.models import KEYS, SETTABLE, Header, Overlay
from archc.spec.overrides import Set
from archc.spec.variables import latest
from archc.text import quote

PREFIX = "spec."
"""What may stand before a key, where options take keys of other files, too."""

_EXAMPLE = "classes=10, depth=3,4,6,3 or depth[3]=20"
_TEXTS = ("name", "title", "names")
_CHANNELS = Header.model_fields["input"].default[0]


@dataclass
class Target:
    """What options are laid over: the keys of a spec's header, its variables and what is said of
    its ``stages``, which are so many. ``name`` is the spec's."""

    name: str
    top: dict[str, Entry]
    variables: Mapping[str, Entry]
    overlays: list[Overlay]
    stages: int


def lay(change: Set, target: Target, findings: Findings) -> None:
    """Lay one `--set` over a spec; what is wrong with it is noted."""
    option, given = said("--set", "set"), change.given
    found = (
        parse_setting(given, option, _EXAMPLE, findings)
        if isinstance(given, str)
        else locate_setting(*given, option, _EXAMPLE, findings)
    )
    if found is None:
        return
    setting = found.without(PREFIX)
    key = setting.key
    if key in SETTABLE and setting.item is None:
        target.top[key] = Entry(setting.place, _of_header(setting, target, findings))
    elif key in target.variables:
        _lay_variable(setting, target, findings)
    elif key in KEYS and key not in SETTABLE:
        message = f"`{key}` cannot be set"
        findings.error(
            setting.place, message, "write it in a spec that extends this one", code="misplaced-key"
        )
    elif setting.item is not None:
        _lay_stage(setting, target, change.others, findings)
    else:
        value = setting.value(findings)
        entries = {key: Entry(setting.place, value)}
        target.overlays.append(Overlay(entries, "set", change.others))


def _of_header(setting: Setting, target: Target, findings: Findings) -> Value:
    if setting.key == "input":
        return _input(setting, target, findings)
    value = setting.whole(findings) if setting.key in _TEXTS else setting.value(findings)
    if factor_in(value.data) is not None and setting.key not in _TEXTS:
        return _cannot_multiply(f"`{setting.key}`", value, findings)
    if setting.key == "init" and not isinstance(value.data, dict) and not tainted(value):
        message = f"`init` must be a mapping, not {describe(value)}"
        hint = "for example init={linear: {normal: 0.01}}"
        findings.error(value.place, message, hint, code="wrong-type")
        return Value(INVALID, value.place)
    return value


def _cannot_multiply(what: str, factor: Value, findings: Findings) -> Value:
    message = f"{what} cannot be multiplied"
    findings.error(factor.place, message, "write the value itself", code="wrong-type")
    return Value(INVALID, factor.place)


_SIZE = re.compile(r"(?:(\d+) ?x ?)?(\d+) ?x ?(\d+)")


def _input(setting: Setting, target: Target, findings: Findings) -> Value:
    """The image's size: ``224`` and ``192x256`` keep the channels, ``3x224x224`` has all three."""
    value = setting.value(findings)
    data, place = value.data, value.place
    if factor_in(data) is not None:
        return _cannot_multiply("`input`", value, findings)
    before = target.top["input"].value.data if "input" in target.top else (Value(_CHANNELS, place),)
    channels = before[0] if isinstance(before, tuple) and before else Value(INVALID, place)
    if type(data) is int:
        if not 1 <= data <= MAX_PIXELS:
            message = f"the sides of `input` must be from 1 to {MAX_PIXELS:,} pixels, not `{data}`"
            findings.error(place, message, code="out-of-range")
            return Value(INVALID, place)
        return Value((channels, value, value), place)
    form = _SIZE.fullmatch(data) if isinstance(data, str) else None
    if form is not None:
        sides = [_side(form, number, place, findings) for number in (1, 2, 3)]
        return Value((sides[0] or channels, *[side for side in sides[1:] if side]), place)
    if not isinstance(data, tuple) and not tainted(value):
        message = f"`input` takes a side in pixels, HxW or CxHxW, not {describe(value)}"
        findings.error(place, message, "for example 224 or 3x224x224", code="wrong-type")
        return Value(INVALID, place)
    return value


def _side(form: re.Match[str], number: int, place: Place, findings: Findings) -> Value | None:
    """One of the numbers of ``3x224x224`` at its place; None where there is none."""
    if form[number] is None:
        return None
    here = Place(place.source, place.line, place.column + form.start(number))
    if len(form[number]) > len(str(MAX_PIXELS)) + 1:
        findings.error(here, f"a side has at most {MAX_PIXELS:,} pixels", code="out-of-range")
        return Value(INVALID, here)
    return Value(int(form[number]), here, form[number])


def _lay_variable(setting: Setting, target: Target, findings: Findings) -> None:
    key = setting.key
    if setting.item is not None:
        message = f"`{key}` is a variable of the spec, not of a stage"
        findings.error(setting.item_place, message, code="misplaced-key")
        return
    value = setting.value(findings)
    factor = factor_in(value.data)
    if factor is not None:
        before = latest(key, target.variables[key], [one.entries for one in target.overlays])
        data = before.data
        is_number = isinstance(data, (int, float)) and not isinstance(data, bool)
        if isinstance(data, (int, float)) and is_number and math.isfinite(data):
            product: Any = plain(factor.exactly(data))
            value = Value(product, value.place, str(value.data))
        elif not tainted(before):
            value = _cannot_multiply(f"the variable `{key}`", value, findings)
        else:
            value = Value(INVALID, value.place)
    target.overlays.append(Overlay({key: Entry(setting.place, value)}, "set"))


def _lay_stage(setting: Setting, target: Target, others: Iterable[str], findings: Findings) -> None:
    """Set an attribute of one stage, by its number."""
    item, has = setting.item or "", f"{target.name} has stages 1 to {target.stages}"
    # Python refuses to convert thousands of digits.
    number = int(item) if re.fullmatch("[0-9]{1,18}", item) else 0
    if not item:
        findings.error(
            setting.item_place,
            "the number of a stage is missing here",
            f"for example {setting.key}[1]=...",
            code="malformed-option",
        )
        return
    if target.stages and not 1 <= number <= target.stages:
        findings.error(
            setting.item_place, f"there is no stage {quote(item)}", has, code="unknown-stage"
        )
        return
    value = setting.value(findings)
    nothing = Value(None, value.place)
    values = [value if one == number else nothing for one in range(1, target.stages + 1)]
    entries = {setting.key: Entry(setting.place, Value(tuple(values), value.place))}
    target.overlays.append(Overlay(entries, "set", tuple(others)))
