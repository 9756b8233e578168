"""Variants of a spec as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archc.backends.numbers import exactly, in_short
from archc.backends.table import Column, Table


def variants(axes: Sequence[str], rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """A row for each variant: its settings, by axis, and its numbers."""
    columns = (
        *(Column(name, name) for name in axes),
        Column("layers", "layers"),
        Column("parameters", "params", exactly),
        Column("multiply-adds", "multiply_adds", exactly),
        Column("in short", "in_short"),
    )
    keys = (*axes, "layers", "params", "multiply_adds")
    cells = tuple(
        (*[_cell(row[key]) for key in keys], in_short(row["multiply_adds"])) for row in rows
    )
    return Table(columns, cells, title)


def title_of(name: str, shown: int, count: int, by: str, *, most: bool = False) -> str:
    """Which variants of how many are shown: ``net: the 3 of 5 with the fewest parameters``."""
    which = by.replace("_", "-").replace("params", "parameters")
    return f"{name}: the {shown} of {count:,} with the {'most' if most else 'fewest'} {which}"


def _cell(value: object) -> int | str:
    """A setting as a cell: a number as one, everything else as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int) else str(value)
