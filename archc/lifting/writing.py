"""Data as YAML that reads as if somebody had written it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from archc.lifting.tree import Data
from archc.source.reader import is_plain, quoted

WIDTH = 110
"""Characters of a line, where it can be divided."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.()\- /*+%<>=!]*")
_SECTIONS = ("blocks", "stem", "head")
"""Keys with a line of space before them."""
_BODY = ("names", "defaults", "stages")
"""Keys of which the first has one."""


def written(data: Mapping[str, Data]) -> str:
    """A spec as text."""
    lines: list[str] = []
    for key, value in data.items():
        rows = list(_entry(key, value, ""))
        is_first = key in _BODY and not any(one in data for one in _BODY[: _BODY.index(key)])
        if is_first or (key in _SECTIONS and not (key == "stem" and "blocks" not in data)):
            lines.append("")
        lines += rows
    return "".join(f"{line}\n" for line in lines)


def _entry(key: str, value: Data, indent: str) -> Iterator[str]:
    """A key with its value, on a line of its own where it fits."""
    short = f"{indent}{scalar(key)}: {flow(value)}"
    must_open = not indent and key in ("blocks", "stem", "stages", "layers") and value
    is_short = len(short) <= WIDTH and not must_open and not _is_deep(key, value)
    if not isinstance(value, (Mapping, list)) or not value or is_short:
        yield short
    else:
        yield f"{indent}{scalar(key)}:"
        yield from _nested(value, indent + "  ")


def _is_deep(key: str, value: Data) -> bool:
    """Whether something should stand on several lines, though it fits on one."""
    if key == "layers" and isinstance(value, list):
        return len(value) > 3 or _depth(value) > 3
    return _depth(value) > 3


def _depth(value: Data) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _nested(value: Data, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _entry(str(key), one, indent)
        return
    for item in value:
        yield from _listed(item, indent)


def _listed(item: Data, indent: str) -> Iterator[str]:
    """An item of a list behind its dash."""
    if isinstance(item, Mapping) and len(item) == 1:
        ((key, value),) = item.items()
        short = f"{indent}- {scalar(key)}: {flow(value)}"
    else:
        short = f"{indent}- {flow(item)}"
    if not isinstance(item, (Mapping, list)) or (len(short) <= WIDTH and _depth(item) <= 3):
        yield short
        return
    if isinstance(item, Mapping):  # what is said beside a layer stands before it
        item = {key: item[key] for key in sorted(item, key=lambda key: key not in ("name", "if"))}
    lines = list(_nested(item, indent + "  "))
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def flow(value: Data) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Data) -> str:
    """A number, a word or a text."""
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    if not isinstance(value, str):
        return str(value)
    plain = _PLAIN.fullmatch(value) and not value.endswith(" ") and is_plain(value)
    return value if plain else quoted(value)
