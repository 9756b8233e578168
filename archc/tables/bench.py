"""What was timed as tables, for people and for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from archc.backends.numbers import in_short, percent
from archc.backends.table import Column, Table

if TYPE_CHECKING:
    from archc.timing import BenchResult


def exact(names: Sequence[str], results: Sequence[BenchResult]) -> Table:
    """Every number as it was measured, in the units of the JSON: seconds, bytes."""
    rows = [
        {
            "spec": name,
            **{key: value for key, value in one.as_dict().items() if not isinstance(value, dict)},
            **{f"latency_{key}": value for key, value in asdict(one.latency).items()},
            **{f"rates_{key}": value for key, value in asdict(one.rates).items()},
        }
        for name, one in zip(names, results, strict=True)
    ]
    return Table(
        tuple(Column(key, key) for key in rows[0]), tuple(tuple(row.values()) for row in rows)
    )


def measured(names: Sequence[str], results: Sequence[BenchResult]) -> Table:
    """A row for each network and batch size, under what they were measured on."""
    first, rates = results[0], results[0].rates
    title = (
        f"{first.machine}; {first.dtype}, {first.mode}; at best "
        f"{in_short(round(rates.multiply_adds))} multiply-adds/s, "
        f"{in_short(round(rates.bytes_moved))}B/s"
    )
    columns = (
        Column("spec", "spec"),
        Column("batch", "batch"),
        Column("latency ms", "latency", _milliseconds),
        Column("quartiles ms", "spread"),
        Column("images/s", "images_per_second", lambda value: f"{value:,.1f}"),
        Column("peak MB", "peak_memory", _megabytes),
        Column("limit ms", "limit", _milliseconds),
        Column("limited by", "limited_by"),
        Column("of the limit", "fraction", percent),
    )
    rows = tuple(
        (
            name,
            one.batch,
            one.latency.median,
            f"{_milliseconds(one.latency.lower)}–{_milliseconds(one.latency.upper)}",
            one.images_per_second,
            one.peak_memory,
            one.limit,
            one.limited_by,
            one.fraction,
        )
        for name, one in zip(names, results, strict=True)
    )
    return Table(columns, rows, title)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.3g}" if seconds < 0.1 else f"{1000 * seconds:,.0f}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f}" if size < 10e6 else f"{size / 1e6:,.0f}"
