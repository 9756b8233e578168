"""Counts as tables, for terminals, papers and spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence

from archc.analysis import Count, Row
from archc.backends.numbers import exactly, in_short, percent, shape
from archc.backends.table import Cell, Column, Table
from archc.words import summary

_SPEC = Column("spec", "spec")
_PARAMS = Column("parameters", "params", exactly)
_MULTIPLY_ADDS = Column("multiply-adds", "multiply_adds", exactly)
_SHARE = Column("of all", "share", percent)
_PART = (
    Column("part", "part"),
    Column("op", "op"),
    Column("output", "output_shape", shape),
    Column("layers", "layers"),
    _PARAMS,
    _MULTIPLY_ADDS,
)


def networks(specs: Sequence[str], counts: Sequence[Count]) -> Table:
    """A row for each network, as its spec is called, with its exact counts."""
    columns = (
        _SPEC,
        Column("input", "input", shape),
        Column("layers", "layers"),
        _PARAMS,
        _MULTIPLY_ADDS,
    )
    rows = tuple(
        (spec, one.input, one.layers, one.params, one.multiply_adds)
        for spec, one in zip(specs, counts, strict=True)
    )
    return Table(columns, rows)


def compared(specs: Sequence[str], counts: Sequence[Count]) -> Table:
    """`networks`, with the multiply-adds in short and beside the largest of them."""
    plain = networks(specs, counts)
    most = max(one.multiply_adds for one in counts)
    columns = (*plain.columns, Column("in short", "in_short"))
    rows = [
        (*row, in_short(one.multiply_adds)) for row, one in zip(plain.rows, counts, strict=True)
    ]
    if len(counts) > 1 and most:
        columns = (*columns, Column("of largest", "of_largest", percent))
        rows = [(*row, one.multiply_adds / most) for row, one in zip(rows, counts, strict=True)]
    return Table(columns, tuple(rows))


def parts(one: Count) -> Table:
    """The parts of a network with their shares of its multiply-adds, totals in the title."""
    columns, rows = _without_empty(
        (*_PART, _SHARE), [(*_cells(row), _share(row, one)) for row in one.rows]
    )
    return Table(columns, rows, f"{one.name}: {summary(one)} (one {shape(one.input)} image)")


def all_parts(specs: Sequence[str], counts: Sequence[Count]) -> Table:
    """The parts of several networks in one table."""
    columns = (_SPEC, Column("stage", "stage"), Column("block", "block"), *_PART)
    rows = tuple(
        (spec, row.stage, row.block, *_cells(row))
        for spec, one in zip(specs, counts, strict=True)
        for row in one.rows
    )
    return Table(columns, rows)


def _cells(row: Row) -> tuple[Cell, ...]:
    return (row.name, row.op, row.output_shape, row.layers, row.params, row.multiply_adds)


def _share(row: Row, one: Count) -> float | None:
    return row.multiply_adds / one.multiply_adds if one.multiply_adds else None


def _without_empty(
    columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """The table without the columns that hold nothing."""
    kept = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
    return tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows)
