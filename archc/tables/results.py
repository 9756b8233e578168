"""Results as Python shows them: in a few words, as tables, as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from archc.backends.numbers import counted, in_bytes
from archc.backends.table import Column, Table

_Entry = TypeVar("_Entry")


def words_of(result: Any) -> str:
    """A result in a few words, as its repr has them."""
    return _of_kind(_WORDS, result)(result)


def text_of(result: Any) -> str:
    """The tables of a result as text."""
    tables = _of_kind(_TABLES, result)(result)
    return "\n".join(table.text() for table in tables).rstrip("\n")


def html_of(result: Any) -> str:
    """The tables of a result as HTML."""
    return "".join(_html(table) for table in _of_kind(_TABLES, result)(result))


def _of_kind(known: Mapping[str, _Entry], result: Any) -> _Entry:
    """The entry for what a result is; a subclass is what it is a subclass of."""
    return next(known[kind.__name__] for kind in type(result).__mro__ if kind.__name__ in known)


def _costs(result: Any) -> str:
    from archc.words import costs

    return f"{result.name!r}, {', '.join(costs(result))}"


def _difference(result: Any) -> str:
    if result.same:
        return f"{result.a!r} and {result.b!r}, the same graph"
    kinds = [change.change for change in result.changes]
    words = [f"{kinds.count(kind)} {kind}" for kind in ("added", "removed", "changed")]
    return f"{result.a!r} and {result.b!r}, {', '.join(words)}"


def _verdict(result: Any) -> str:
    failed = sum(row.passed is False for row in result.rows)
    words = (
        "every check passed" if result.passed else f"{failed} of {len(result.rows)} checks failed"
    )
    return f"{result.name!r}, {words} on {result.device}"


def _batches(result: Any) -> dict[str, int]:
    """The largest batch of each use, whatever the dtype and the optimizer."""
    found: dict[str, int] = {}
    for row in result.rows:
        found[row.use] = max(found.get(row.use, 0), row.batch)
    return found


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "Network": _costs,
    "Count": _costs,
    "Explanation": lambda result: f"{result.name!r}, {len(result.conventions)} conventions",
    "Memory": lambda result: (
        f"{result.name!r}, batch {result.batch}, {in_bytes(result.inference)} in a forward, "
        f"{in_bytes(result.training)} kept for gradients"
    ),
    "Fit": lambda result: (
        f"{result.name!r}, {in_bytes(result.memory)}, "
        f"{', '.join(f'{batch:,} in {use}' for use, batch in _batches(result).items())}"
    ),
    "Fields": lambda result: f"{result.name!r}, {len(result.rows)} ops",
    "Roofline": lambda result: (
        f"{result.name!r}, batch {result.batch}, at least {1e6 * result.seconds:,.3g} µs on "
        f"{result.device.name}"
    ),
    "Comparison": _difference,
    "Report": _verdict,
    "BenchResult": lambda result: (
        f"{result.name!r}, batch {result.batch}, {1000 * result.latency.median:,.3g} ms on "
        f"{result.device}"
    ),
    "Timings": lambda result: counted(len(result), "result"),
    "Sweep": lambda result: (
        f"{result.name!r}, {counted(len(result), 'variant')} of {', '.join(result.axes)}"
    ),
    "Listing": lambda result: counted(len(result), "spec"),
    "Builds": lambda result: f"{counted(len(result), 'network')} in {str(result.folder)!r}",
}


def _network(result: Any) -> Sequence[Table]:
    if not result.nodes:
        return []
    from archc.analysis import count
    from archc.tables.counts import parts

    return [parts(count(result))]


def _count(result: Any) -> Sequence[Table]:
    from archc.tables.counts import parts

    return [parts(result)]


def _explanation(result: Any) -> Sequence[Table]:
    from archc.tables.counts import explained

    return [explained(result)]


def _memory(result: Any) -> Sequence[Table]:
    from archc.tables.views import memory_summary

    return [memory_summary(result)]


def _fit(result: Any) -> Sequence[Table]:
    from archc.tables.views import fit

    return [fit(result)]


def _fields(result: Any) -> Sequence[Table]:
    from archc.tables.views import fields

    return [fields(result)]


def _roofline(result: Any) -> Sequence[Table]:
    from archc.tables.views import roofline

    return [roofline(result)]


def _comparison(result: Any) -> Sequence[Table]:
    from archc.tables import diff

    return [
        diff.noted_totals(result, result.a, result.b),
        *([diff.changes(result)] if result.changes else []),
    ]


def _report(result: Any) -> Sequence[Table]:
    marks = {True: "passed", False: "failed", None: "not run"}
    columns = (Column("check", "check"), Column("", "passed"), Column("result", "number"))
    rows = tuple((row.check, marks[row.passed], row.number) for row in result.rows)
    checks = Table(columns, rows, f"{result.name} on {result.device}")
    faults = tuple((row.check, str(fault)) for row in result.rows for fault in row.faults)
    if not faults:
        return [checks]
    return [checks, Table((Column("check", "check"), Column("fault", "fault")), faults, "Faults")]


def _bench(result: Any) -> Sequence[Table]:
    from archc.tables.bench import measured

    return [measured([result.name], [result])]


def _timings(result: Any) -> Sequence[Table]:
    from archc.tables.bench import measured

    return [measured([one.name for one in result], result)] if result else []


def _sweep(result: Any) -> Sequence[Table]:
    from archc.tables.sweeps import title_of, variants

    rows = result.rows
    best = sorted(rows, key=lambda row: row["multiply_adds"])[:_SHOWN]
    title = title_of(result.name, len(best), len(rows), "multiply_adds")
    return [variants(result.axes, best, title)]


def _listing(result: Any) -> Sequence[Table]:
    from archc.tables.counts import listed

    return [listed(result.rows)]


def _builds(result: Any) -> Sequence[Table]:
    from archc.tables.counts import built

    return [built(result)]


_SHOWN = 10
"""How many variants of a sweep are shown, as by the command."""

_TABLES: Mapping[str, Callable[[Any], Sequence[Table]]] = {
    "Network": _network,
    "Count": _count,
    "Explanation": _explanation,
    "Memory": _memory,
    "Fit": _fit,
    "Fields": _fields,
    "Roofline": _roofline,
    "Comparison": _comparison,
    "Report": _report,
    "BenchResult": _bench,
    "Timings": _timings,
    "Sweep": _sweep,
    "Listing": _listing,
    "Builds": _builds,
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
