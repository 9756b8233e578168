"""Comparisons of two networks as tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from itertools import groupby

from archc.analysis import Comparison
from archc.analysis.comparison import LayerChange, Part, Totals
from archc.backends.numbers import counted, exactly, shape
from archc.backends.table import Cell, Column, Table
from archc.backends.unknown import without_rule
from archc.dataclassing import dataclass


def totals(one: Comparison, a: str, b: str) -> Table:
    """The totals of both networks and their differences."""
    rows = tuple(
        (what, before, after, after - before, _ratio(before, after))
        for what, before, after in _totals(one.totals_a, one.totals_b)
    )
    columns = (
        Column("", "what"),
        Column(a, "a", exactly),
        Column(b, "b", exactly),
        Column("difference", "difference", _more),
        Column("b / a", "ratio", lambda ratio: f"{ratio:.3f}"),
    )
    renamed = f", {counted(one.renamed, 'op')} renamed" if one.renamed else ""
    title = f"{a} and {b}: " + ("the same graph" if one.same else f"different{renamed}")
    return Table(columns, rows, title)


def noted_totals(one: Comparison, a: str, b: str) -> Table:
    """`totals` with its `notes` in the title."""
    table = totals(one, a, b)
    return replace(table, title="; ".join([table.title, *notes(one, a, b)]))


def notes(one: Comparison, a: str, b: str) -> list[str]:
    """What totals leave out, and what was left out so that the networks could be compared."""
    told = [
        f"{name}: {words}"
        for name, found in ((a, one.totals_a), (b, one.totals_b))
        if (words := without_rule(found.no_rule))
    ]
    if one.left_out:
        told.append(f"left out of both, as exported models lack it: {', '.join(one.left_out)}")
    return told


def parts(one: Comparison, a: str, b: str) -> Table:
    """The parts that differ, with what each network has there."""
    rows: list[tuple[Cell, ...]] = []
    changed = {change.part for change in one.changes}
    for pair in one.parts:
        if pair.name in changed or pair.a != pair.b:
            more = [
                (getattr(pair.b, name) if pair.b else 0) - (getattr(pair.a, name) if pair.a else 0)
                for name in ("params", "multiply_adds")
            ]
            rows.append((pair.name, _part(pair.a), _part(pair.b), *more))
    columns = (Column("part", "part"), Column(a, "a"), Column(b, "b"), *_MORE_COLUMNS)
    return Table(columns, tuple(rows))


def changes(one: Comparison) -> Table:
    """The ops added, removed and changed; equal changes in blocks side by side are one row."""
    rows = tuple(
        (
            *(group.part, group.where, group.change, len(group.members), group.what),
            sum(member.params for member in group.members),
            sum(member.multiply_adds for member in group.members),
        )
        for group in _groups(one.changes)
    )
    columns = (
        Column("part", "part"),
        Column("blocks", "blocks"),
        Column("change", "change"),
        Column("ops", "ops"),
        Column("what", "what"),
        *_MORE_COLUMNS,
    )
    return Table(columns, rows)


def layers(one: Comparison) -> Table:
    """Every op that differs, a row each."""
    rows = tuple(
        (
            *(c.change, c.part, c.block, c.role, c.op, c.a, c.b),
            *("; ".join(c.what), c.params, c.multiply_adds),
        )
        for c in one.changes
    )
    names = ("change", "part", "block", "role", "op", "a", "b", "what")
    return Table((*(Column(name, name) for name in names), *_MORE_COLUMNS), rows)


def _more(number: int) -> str:
    return f"{number:+,}" if number else "0"


_MORE_COLUMNS = (
    Column("parameters", "params", _more),
    Column("multiply-adds", "multiply_adds", _more),
)


def _totals(a: Totals, b: Totals) -> Iterator[tuple[str, int, int]]:
    for name, what in (
        ("layers", "layers"),
        ("params", "parameters"),
        ("multiply_adds", "multiply-adds"),
        ("products", "multiply-adds, in products of attention"),
        ("weights", "weights, bytes"),
        ("inference", "inference: peak activations, bytes"),
        ("training", "training: activations saved, bytes"),
    ):
        if name != "products" or a.products or b.products:
            yield what, getattr(a, name), getattr(b, name)


def _ratio(before: int, after: int) -> float | None:
    return after / before if before else None


def _part(part: Part | None) -> str:
    """``6 Bottleneck, 1024x14x14``."""
    if part is None:
        return "-"
    blocks = f"{part.blocks} {part.block or 'blocks'}, " if part.blocks else ""
    return f"{blocks}{shape(part.output_shape)}"


@dataclass
class _Group:
    """Changes that are told in one row."""

    part: str
    change: str
    what: str
    blocks: list[int | None] = field(default_factory=list)
    members: list[LayerChange] = field(default_factory=list)

    @property
    def where(self) -> str | None:
        """``0``, ``6-10``."""
        numbers = [block for block in self.blocks if block is not None]
        if not numbers:
            return None
        first, last = numbers[0], numbers[-1]
        return str(first) if first == last else f"{first}-{last}"


def _groups(found: tuple[LayerChange, ...]) -> list[_Group]:
    """Changes by part, kind and block, those of neighbouring blocks together if they are alike."""
    groups: list[_Group] = []
    for part, of_part in groupby(found, key=lambda change: change.part):
        rows = list(of_part)
        last: dict[tuple[str, str], _Group] = {}
        by_block: dict[tuple[int | None, str, str], list[LayerChange]] = {}
        for one in rows:
            by_block.setdefault((one.block, one.change, ", ".join(one.what)), []).append(one)
        for (block, change, told), members in by_block.items():
            what = f"{_roles(members)}: {told}" if told else _roles(members)
            group = last.get((change, what))
            follows = group is not None and block is not None and group.blocks[-1] == block - 1
            if group is None or not follows:
                group = last[change, what] = _Group(part, change, what)
                groups.append(group)
            group.blocks.append(block)
            group.members += members
    return groups


def _roles(members: list[LayerChange]) -> str:
    names = [member.role for member in members]
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:3])} ... {names[-1]}"
