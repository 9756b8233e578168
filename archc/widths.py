"""How wide a figure or plot is on paper: ``column``, ``page``, ``3.25in``, ``8.25cm``."""

from __future__ import annotations

import re

from archc.text import quote

_UNITS = {"pt": 1.0, "mm": 72 / 25.4, "cm": 72 / 2.54, "in": 72.0}
"""Points in each unit; a point is the 72nd part of an inch, as PDF and CSS for print have it."""

COLUMN = 8.25 * _UNITS["cm"]
"""A column of a paper in two columns, in points."""
PAGE = 17.0 * _UNITS["cm"]
"""Both columns, in points."""
NAMED = {"column": COLUMN, "page": PAGE}

MIN, MAX = 2 * _UNITS["cm"], 508 * _UNITS["cm"]
"""The narrowest that shows anything, and the widest page that PDF readers open, in points."""
PLOT_MIN, PLOT_MAX = 5 * _UNITS["cm"], 100 * _UNITS["cm"]
"""Those of a plot: its axes and numbers need room, and its PNG is in memory as a whole."""

EXAMPLE = "use column (8.25cm), page (17cm), or a number with cm, mm, in or pt, such as 3.25in"
HELP = "Width on paper: column (8.25cm), page (17cm), or a length such as 3.25in."
"""What ``--width`` is, for the help of commands."""


def parse_width(text: str, minimum: float = MIN, maximum: float = MAX) -> float:
    """A width in points (72 to an inch) from a name or a length with its unit.

    ``minimum`` and ``maximum`` are the bounds in points of what is drawn. Raises ValueError, whose
    message says what is wrong and what is accepted.

    >>> [round(parse_width(text), 2) for text in ("column", "page", "3.25in", "8.25 cm", "240pt")]
    [233.86, 481.89, 234.0, 233.86, 240.0]
    """
    asked = text.strip().lower()
    if asked in NAMED:
        return NAMED[asked]
    # Long numbers would take Python's float to infinity; nobody's paper needs them.
    form = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*([a-z]*)", asked)
    if form is None:
        shown = quote(text) if asked else "an empty text"
        raise ValueError(f"{shown} is not a width: {_advice(asked)}")
    number, unit = form.groups()
    if not unit:
        raise ValueError(f"{quote(text)} has no unit: write {number}cm, {number}in or {number}pt")
    if unit not in _UNITS:
        raise ValueError(f"`{unit}` in {quote(text)} is not a unit: {EXAMPLE}")
    return _checked(float(number) * _UNITS[unit], quote(text), minimum, maximum)


def check_plot_width(width: float) -> None:
    """Raise ValueError for a width in points that no plot can have."""
    _checked(width, f"{width:g}pt", PLOT_MIN, PLOT_MAX)


def _checked(width: float, shown: str, minimum: float, maximum: float) -> float:
    if not width >= minimum:
        raise ValueError(f"{shown} is too narrow: the minimum is {minimum / _UNITS['cm']:g}cm")
    if not width <= maximum:
        raise ValueError(f"{shown} is too wide: the maximum is {maximum / _UNITS['cm']:g}cm")
    return width


def _advice(asked: str) -> str:
    """What to write instead; a decimal comma is recognized."""
    if re.fullmatch(r"[0-9]{1,9},[0-9]{1,9}\s*[a-z]*", asked):
        return f"use a decimal point, {asked.replace(',', '.')}"
    return EXAMPLE
