"""Going through the variants of a plan: which are kept, which are best, which cannot be built."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import field
from math import inf

from archc.dataclassing import dataclass
from archc.sweeps.bounds import Bounds
from archc.sweeps.costs import Numbers
from archc.sweeps.plan import METRICS, Unbuildable, Variant
from archc.sweeps.rows import RowsFile

_SPARE = 1024
"""How many variants more than asked for are held before the worse ones are let go."""


@dataclass
class Outcome:
    """What came of a sweep.

    ``best`` are the first few in the order asked for, ``faults`` the first of the variants that
    could not be built for each reason, with how many there were; reasons that differ in numbers
    alone are one. ``points`` has parameters and multiply-adds of all that were kept, and
    ``indices`` which variants these are, if asked for.
    """

    seen: int = 0
    kept: int = 0
    best: list[Variant] = field(default_factory=list)
    faults: dict[str, tuple[int, Unbuildable]] = field(default_factory=dict)
    points: tuple[array[float], array[float]] = field(
        default_factory=lambda: (array("d"), array("d"))
    )
    indices: array[int] = field(default_factory=lambda: array("Q"))
    interrupted: bool = False

    @property
    def unbuildable(self) -> int:
        """How many variants could not be built."""
        return sum(count for count, _ in self.faults.values())

    def note(self, variant: Unbuildable) -> None:
        """Count a variant that cannot be built."""
        alike = re.sub(r"(?<!stage )\d[\d,.]*", "#", variant.reason)
        count, first = self.faults.get(alike, (0, variant))
        self.faults[alike] = (count + 1, first)


def run(
    variants: Iterable[Variant | Unbuildable],
    bounds: Bounds,
    order: Callable[[Numbers], int],
    top: int,
    rows: RowsFile | None = None,
    *,
    sort_rows: bool = False,
    keep_points: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Go through variants; what is kept goes into ``rows``.

    It ends early once ``stopped`` says so, or at a KeyboardInterrupt of ``variants``, with
    everything in order that was seen till then.
    """
    outcome = Outcome()
    keys: list[int] = []
    bounded = bounds.any
    last = inf  # what the worst of the best is ordered by, once there are enough of them
    parameters, multiply_adds = METRICS.index("params"), METRICS.index("multiply_adds")

    def rank(variant: Variant) -> tuple[int, int]:
        return order(variant.numbers), variant.index

    try:
        for variant in variants:
            if stopped():
                outcome.interrupted = True
                break
            outcome.seen += 1
            if isinstance(variant, Unbuildable):
                outcome.note(variant)
            elif not bounded or bounds.admit(variant.numbers):
                outcome.kept += 1
                if keep_points:
                    outcome.points[0].append(variant.numbers[parameters])
                    outcome.points[1].append(variant.numbers[multiply_adds])
                    outcome.indices.append(variant.index)
                key = order(variant.numbers)
                if key < last:  # of equal ones, those that came first are better
                    outcome.best.append(variant)
                    if len(outcome.best) > top + _SPARE:
                        outcome.best = sorted(outcome.best, key=rank)[:top]
                        last = order(outcome.best[-1].numbers)
                if rows is not None:
                    rows.add(variant)
                    if sort_rows:
                        keys.append(key)
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.best = sorted(outcome.best, key=rank)[:top]
    if rows is not None:
        if sort_rows:
            rows.sort(sorted(range(len(keys)), key=keys.__getitem__))
        rows.finish()
    return outcome
