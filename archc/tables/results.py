"""Results as Python shows them: in a few words, as tables, as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from archc.backends.numbers import in_bytes, in_short
from archc.backends.table import Column, Table
from archc.shown import Way


def show(way: Way, one: Any) -> str | None:
    """A result in words, as text or as HTML; None where it is not shown in that way."""
    kind = type(one).__name__
    if way == "words":
        return _WORDS[kind](one)
    if way == "svg":
        return None
    tables = _TABLES[kind](one)
    if way == "text":
        return "\n".join(table.text() for table in tables).rstrip("\n")
    return "".join(_html(table) for table in tables)


def _costs(one: Any) -> str:
    costs = f"{in_short(one.params)} parameters, {in_short(one.multiply_adds)} multiply-adds"
    return f"{one.name!r}, {costs}"


def _difference(one: Any) -> str:
    if one.same:
        return f"{one.a!r} and {one.b!r}, the same graph"
    kinds = [change.change for change in one.changes]
    words = [f"{kinds.count(kind)} {kind}" for kind in ("added", "removed", "changed")]
    return f"{one.a!r} and {one.b!r}, {', '.join(words)}"


def _verdict(one: Any) -> str:
    failed = sum(row.passed is False for row in one.rows)
    words = "every check passed" if one.passed else f"{failed} of {len(one.rows)} checks failed"
    return f"{one.name!r}, {words} on {one.device}"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "Network": _costs,
    "Count": _costs,
    "Explanation": lambda one: f"{one.name!r}, {len(one.conventions)} conventions",
    "Memory": lambda one: (
        f"{one.name!r}, batch {one.batch}, {in_bytes(one.inference)} in a forward, "
        f"{in_bytes(one.training)} kept for gradients"
    ),
    "Fields": lambda one: f"{one.name!r}, {len(one.rows)} ops",
    "Roofline": lambda one: (
        f"{one.name!r}, batch {one.batch}, at least {1e6 * one.seconds:,.3g} µs on "
        f"{one.device.name}"
    ),
    "Comparison": _difference,
    "Report": _verdict,
    "BenchResult": lambda one: (
        f"{one.name!r}, batch {one.batch}, {1000 * one.latency.median:,.3g} ms on {one.device}"
    ),
}


def _network(one: Any) -> Sequence[Table]:
    from archc.analysis import count
    from archc.tables.counts import parts

    return [parts(count(one))]


def _count(one: Any) -> Sequence[Table]:
    from archc.tables.counts import parts

    return [parts(one)]


def _explanation(one: Any) -> Sequence[Table]:
    from archc.tables.counts import explained

    return [explained(one)]


def _memory(one: Any) -> Sequence[Table]:
    from archc.tables.views import memory_summary

    return [memory_summary(one)]


def _fields(one: Any) -> Sequence[Table]:
    from archc.tables.views import fields

    return [fields(one)]


def _roofline(one: Any) -> Sequence[Table]:
    from archc.tables.views import roofline

    return [roofline(one)]


def _comparison(one: Any) -> Sequence[Table]:
    from archc.tables import diff

    return [diff.totals(one, one.a, one.b), *([diff.changes(one)] if one.changes else [])]


def _report(one: Any) -> Sequence[Table]:
    marks = {True: "passed", False: "failed", None: "not run"}
    columns = (Column("check", "check"), Column("", "passed"), Column("result", "number"))
    rows = tuple((row.check, marks[row.passed], row.number) for row in one.rows)
    return [Table(columns, rows, f"{one.name} on {one.device}")]


def _bench(one: Any) -> Sequence[Table]:
    from archc.tables.bench import measured

    return [measured([one.name], [one])]


_TABLES: Mapping[str, Callable[[Any], Sequence[Table]]] = {
    "Network": _network,
    "Count": _count,
    "Explanation": _explanation,
    "Memory": _memory,
    "Fields": _fields,
    "Roofline": _roofline,
    "Comparison": _comparison,
    "Report": _report,
    "BenchResult": _bench,
}


def _html(table: Table) -> str:
    """A table as HTML, its title as caption and numbers to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        parts = [
            f'<{tag} style="text-align: {"right" if table.is_number(i) else "left"}">'
            f"{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(parts)}</tr>"

    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    head = line("th", [column.heading for column in table.columns])
    body = "".join(line("td", table.texts(row)) for row in table.rows)
    return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"
