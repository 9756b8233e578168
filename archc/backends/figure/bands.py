"""Output sizes in one order for all columns, so that equal sizes stand side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import groupby

from archc.backends.figure.model import Size


def merge(columns: Iterable[Sequence[Size]]) -> list[Size]:
    """One sequence of sizes that has each column's sequence, runs taken as one, in its order.

    It is short, because what columns have in common stands in it once. Where the order is free,
    larger sizes come first.

    >>> merge([[(56, 56), (28, 28), (7, 7)], [(56, 56), (56, 56), (14, 14), (7, 7)]])
    [(56, 56), (28, 28), (14, 14), (7, 7)]
    """
    runs = [[size for size, _ in groupby(sizes)] for sizes in columns]
    return reduce(_merge_two, runs, [])


def places(sizes: Iterable[Size], bands: Sequence[Size]) -> list[int]:
    """The band of each of a column's sizes: with every change of size, the next band that fits."""
    band = 0
    found: list[int] = []
    for size in sizes:
        band = bands.index(size, band)
        found.append(band)
    return found


def _merge_two(first: list[Size], second: list[Size]) -> list[Size]:
    merged: list[Size] = []
    i = j = 0
    for next_i, next_j in [*_common(first, second), (len(first), len(second))]:
        merged += _larger_first(first[i:next_i], second[j:next_j])
        merged += first[next_i : next_i + 1]
        i, j = next_i + 1, next_j + 1
    return merged


def _larger_first(first: list[Size], second: list[Size]) -> Iterator[Size]:
    """Two sequences without common elements in one, each in its own order."""
    i = j = 0
    while i < len(first) and j < len(second):
        if _area(first[i]) >= _area(second[j]):
            yield first[i]
            i += 1
        else:
            yield second[j]
            j += 1
    yield from first[i:]
    yield from second[j:]


def _area(size: Size) -> int:
    return math.prod(size)


def _common(first: list[Size], second: list[Size]) -> list[tuple[int, int]]:
    """The places of a longest common subsequence in both sequences.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): one integer per
    row in place of a row of the usual table, so that networks of 10,000 sizes take a moment.
    """
    everything = (1 << len(first)) - 1
    where: dict[Size, int] = {}
    for i, size in enumerate(first):
        where[size] = where.get(size, 0) | 1 << i
    rows = [everything]
    for size in second:
        row = rows[-1]
        match = row & where.get(size, 0)
        rows.append(((row + match) | (row - match)) & everything)
    return _walk_back(rows, len(first))


def _walk_back(rows: list[int], columns: int) -> list[tuple[int, int]]:
    """Read the subsequence off the rows: a zero bit is a place where its length rises."""
    found: list[tuple[int, int]] = []
    i, j = columns - 1, len(rows) - 1
    while i >= 0 and j > 0:
        if rows[j] >> i & 1:
            i -= 1
        elif rows[j - 1] >> i & 1:
            found.append((i, j - 1))
            i, j = i - 1, j - 1
        else:
            j -= 1
    return found[::-1]
