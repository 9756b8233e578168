"""Counts as tables, for terminals, papers and spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archc.analysis import CONVENTIONS, Count, Explanation, Row
from archc.analysis.conventions import DEFAULT
from archc.backends.numbers import counted, exactly, in_short, percent, shape
from archc.backends.table import Cell, Column, Table
from archc.backends.unknown import names, without_rule
from archc.text import listing
from archc.words import summary

SPEC = Column("spec", "spec")
_PARAMS = Column("parameters", "params", exactly)
_MULTIPLY_ADDS = Column("multiply-adds", "multiply_adds", exactly)
_SHARE = Column("of all", "share", percent)
_NO_RULE = Column("no rule for", "no_rule")
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
    flops = _flops(counts[0])
    columns = (
        SPEC,
        Column("input", "input", shape),
        Column("layers", "layers"),
        _PARAMS,
        _MULTIPLY_ADDS,
        *flops,
    )
    rows: list[tuple[Cell, ...]] = [
        (spec, one.input, one.layers, one.params, one.multiply_adds, *[one.flops for _ in flops])
        for spec, one in zip(specs, counts, strict=True)
    ]
    return Table(columns, tuple(rows))


def compared(specs: Sequence[str], counts: Sequence[Count]) -> Table:
    """`networks`, with the FLOPs in short and beside the largest of them."""
    plain = networks(specs, counts)
    most = max(one.flops for one in counts)
    columns = (*plain.columns, Column("in short", "in_short"))
    rows = [(*row, in_short(one.flops)) for row, one in zip(plain.rows, counts, strict=True)]
    if any(one.products for one in counts):
        columns = (*columns, Column("in attention's products", "products", exactly))
        rows = [(*row, one.products) for row, one in zip(rows, counts, strict=True)]
    if any(one.not_counted for one in counts):
        columns = (*columns, _NO_RULE)
        rows = [(*row, _left_out(one)) for row, one in zip(rows, counts, strict=True)]
    if len(counts) > 1 and most:
        columns = (*columns, Column("of largest", "of_largest", percent))
        rows = [(*row, one.flops / most) for row, one in zip(rows, counts, strict=True)]
    return Table(columns, tuple(rows))


def parts(one: Count) -> Table:
    """The parts of a network with their shares of its FLOPs, totals in the title."""
    flops = _flops(one)
    by_layer = any(row.op is not None for row in one.rows)
    columns, rows = _without_empty(
        (*_PART, *flops, _SHARE, _NO_RULE),
        [
            (
                *_cells(row, blank=by_layer and not flops),
                *[None if by_layer and row.no_rule else row.flops for _ in flops],
                None if by_layer and row.no_rule else _share(row, one),
                _left_out(row),
            )
            for row in one.rows
        ],
    )
    title = f"{one.name}: {summary(one)} ({_given(one)})"
    if flops:
        title += f"; {exactly(one.flops)} {flops[0].heading}"
    return Table(columns, rows, title)


def _given(one: Count) -> str:
    """What the counts are for: an image, and whatever else the network takes."""
    others = [f"{name} of {shape(size)}" for name, size in list(one.inputs.items())[1:]]
    return listing([f"one {shape(one.input)} image", *others], "and")


def all_parts(specs: Sequence[str], counts: Sequence[Count]) -> Table:
    """The parts of several networks in one table."""
    flops = _flops(counts[0])
    columns = (SPEC, Column("stage", "stage"), Column("block", "block"), *_PART, *flops)
    rows = tuple(
        (spec, row.stage, row.block, *_cells(row), *[row.flops for _ in flops])
        for spec, one in zip(specs, counts, strict=True)
        for row in one.rows
    )
    if any(one.not_counted for one in counts):
        columns = (*columns, _NO_RULE)
        left_out = [_left_out(row) for one in counts for row in one.rows]
        rows = tuple((*row, names) for row, names in zip(rows, left_out, strict=True))
    return Table(columns, rows)


def listed(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The shipped specs, a row each, their numbers in short."""
    columns = (
        SPEC,
        Column("layers", "layers"),
        Column("parameters", "params", in_short),
        Column("multiply-adds", "multiply_adds", in_short),
        Column("title", "title"),
    )
    return Table(columns, tuple(tuple(row[c.key] for c in columns) for row in rows))


def built(found: Iterable[Any]) -> Table:
    """What `archc build` made of networks, a row each, with the files' names."""
    columns = (
        Column("network", "network"),
        Column("layers", "layers"),
        Column("parameters", "params", exactly),
        Column("multiply-adds", "multiply_adds", in_short),
        Column("files", "files"),
    )
    rows = tuple(
        (
            *(one.network.name, one.network.layers, one.network.params),
            *(one.network.multiply_adds, " ".join(one.files)),
        )
        for one in found
    )
    return Table(columns, rows)


def silences(specs: Sequence[str], counts: Iterable[Count]) -> list[str]:
    """What counters say nothing about, a line each."""
    lines = []
    for spec, one in zip(specs, counts, strict=True):
        if one.not_counted and one.convention == DEFAULT:
            lines.append(f"{spec}: {without_rule(one.not_counted)}")
        elif one.not_counted:
            lines.append(
                f"{spec}: {one.tool} has no rule for {_ops(one.not_counted)}, which its total "
                f"leaves out: {CONVENTIONS[one.convention].unit}"
            )
    return lines


def explained(one: Explanation) -> Table:
    """A row for each convention: what it adds to the multiply-adds, by op kind, and its total."""
    kinds = dict.fromkeys(_heading(kind) for c in one.conventions for kind in c.adds)
    columns = (
        Column("convention", "convention"),
        *(Column(kind, kind, _more) for kind in kinds),
        Column("total", "flops", exactly),
    )
    rows = []
    for c in one.conventions:
        adds = dict.fromkeys(kinds, 0)
        for kind, more in c.adds.items():
            adds[_heading(kind)] += more
        rows.append((c.convention, *(more or None for more in adds.values()), c.flops))
    title = (
        f"{one.name}: {exactly(one.multiply_adds)} multiply-adds (one {shape(one.input)} image), "
        "and what other tools add"
    )
    return Table(columns, tuple(rows), title)


def _heading(kind: str) -> str:
    return "pooling" if "pool" in kind else _HEADINGS.get(kind, kind)


def notes(found: Sequence[Explanation]) -> list[str]:
    """A line for each convention: the tool with its version, and how it counts."""
    width = max(len(c.convention) for c in found[0].conventions)
    lines = []
    for index, c in enumerate(found[0].conventions):
        lines.append(f"{c.convention:<{width}}  {c.tool} ({c.unit}): {c.note}")
        for one in found:
            if missing := one.conventions[index].not_counted:
                where = f" of {one.name}" if len(found) > 1 else ""
                lines.append(f"{'':<{width}}  has no rule for {_ops(missing)}{where}")
    return lines


def all_explained(specs: Sequence[str], explanations: Sequence[Explanation]) -> Table:
    """What each convention adds for each network by op kind, a row each."""
    columns = (
        SPEC,
        Column("convention", "convention"),
        Column("tool", "tool"),
        Column("unit", "unit"),
        Column("op", "op"),
        Column("FLOPs", "flops", exactly),
    )
    rows: list[tuple[Cell, ...]] = []
    for spec, one in zip(specs, explanations, strict=True):
        for c in one.conventions:
            head = (spec, c.convention, c.tool, c.unit)
            rows.append((*head, "multiply-adds", one.multiply_adds))
            rows += [(*head, kind, more) for kind, more in c.adds.items()]
            rows.append((*head, "total", c.flops))
    return Table(columns, tuple(rows))


_HEADINGS = {"conv2d": "conv", "batch_norm2d": "norm"}


def _flops(one: Count) -> tuple[Column, ...]:
    """A column for the convention's number, where that is another than multiply-adds."""
    if one.convention == DEFAULT:
        return ()
    heading = f"{one.convention} {CONVENTIONS[one.convention].unit}"
    return (Column(heading, "flops", exactly),)


def _ops(kinds: dict[str, int]) -> str:
    return ", ".join(counted(count, f"{kind} op") for kind, count in kinds.items())


def _more(number: int) -> str:
    return f"{number:+,}"


def _cells(row: Row, *, blank: bool = False) -> tuple[Cell, ...]:
    """A row's cells; with ``blank`` no number for an op without a rule."""
    multiply_adds = None if blank and row.no_rule else row.multiply_adds
    return (row.name, row.op, row.output_shape, row.layers, row.params, multiply_adds)


def _left_out(one: Row | Count) -> str | None:
    """What a total leaves out, by name."""
    return names(one.no_rule if isinstance(one, Row) else one.not_counted) or None


def _share(row: Row, one: Count) -> float | None:
    return row.flops / one.flops if one.flops else None


def _without_empty(
    columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """The table without the columns that hold nothing."""
    kept = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
    return tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows)
