"""Blocks of a foreign model, as they are found by its modules or by what repeats."""

from __future__ import annotations

from archc.dataclassing import dataclass

MOST = 0.8
"""What share of a network's layers its blocks have to hold, if it is to be said to be made of
them, beside what no block can be made of."""


@dataclass(frozen=True, slots=True)
class Found:
    """A block as it was found: the nodes from ``first`` to ``last``, in the order in which they
    run; ``parent`` is what blocks of one stage have in common."""

    first: int
    last: int
    path: str | None
    label: str | None
    parent: str = ""
