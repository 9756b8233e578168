"""Amounts as people write them: ``24GB``, ``16GiB``, ``25_557_032``, ``4.1G``."""

from __future__ import annotations

import re
from fractions import Fraction

from archc.text import quote

_POWERS = ("k", "M", "G", "T", "P")

UNITS: dict[str, int] = {
    "B": 1,
    **{f"{unit}B": 1000**power for power, unit in enumerate(_POWERS, 1)},
    **{f"{unit.upper()}iB": 1024**power for power, unit in enumerate(_POWERS, 1)},
}
"""Bytes in each unit of memory; GB is 10^9, GiB 2^30."""

MULTIPLES: dict[str, int] = {unit: 1000**power for power, unit in enumerate(_POWERS[:4], 1)}
"""What k, M, G and T behind a number multiply it by."""

MEMORY_EXAMPLE = "for example 24GB (24 * 10^9 bytes) or 24GiB (24 * 2^30)"

_NUMBER = r"[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,18}"
"""Digits, with underscores between thousands or without."""

_MEMORY = re.compile(rf"(?P<number>(?:{_NUMBER})(?:\.[0-9]{{1,9}})?) ?(?P<unit>[A-Za-z]*)")


def parse_memory(text: str) -> int:
    """Bytes from a number with its unit.

    The case of units makes no difference. Raises ValueError, whose message says what is wrong and
    what is accepted.

    >>> parse_memory("24GB"), parse_memory("1.5 GiB"), parse_memory("500_000 B")
    (24000000000, 1610612736, 500000)
    """
    asked = text.strip()
    form = _MEMORY.fullmatch(asked)
    if form is None:
        raise ValueError(f"{quote(text)} is not an amount of memory: {_advice(asked)}")
    number, unit = form["number"], form["unit"]
    if not unit:
        better = f"{number}GB, or {number}B for bytes"
        raise ValueError(f"{quote(text)} has no unit of memory: write {better}")
    units = {name.lower(): size for name, size in UNITS.items()}
    if unit.lower() not in units:
        prefix = next((one for one in _POWERS if one.lower() == unit.lower()), None)
        if prefix is not None:
            better = f"{number}{prefix}B or {number}{prefix.upper()}iB"
            raise ValueError(f"{quote(text)} has no unit of memory: write {better}")
        raise ValueError(f"`{unit}` in {quote(text)} is not a unit of memory: {MEMORY_EXAMPLE}")
    size = int(Fraction(number.replace("_", "")) * units[unit.lower()])
    if size < 1:
        raise ValueError(f"{quote(text)} is not an amount of memory: it must be at least one byte")
    return size


def _advice(asked: str) -> str:
    """What to write instead."""
    if re.fullmatch(r"[0-9]+(,[0-9]{3})+ ?[A-Za-z]*", asked):
        return f"write {asked.replace(',', '_')}, without commas"
    if re.fullmatch(r"[0-9]+,[0-9]+ ?[A-Za-z]*", asked):
        return f"use a decimal point, {asked.replace(',', '.')}"
    if asked.startswith("-"):
        return "it must be above 0"
    return MEMORY_EXAMPLE
