"""A call of another library as the records of ops read it: which op of archc it is.

A record bears the names that its op goes by elsewhere, and makes itself of such a call.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from archc.dataclassing import dataclass
from archc.ops.facts import Shape, Size, stored


class NotReadError(Exception):
    """A call says something that the op cannot; the message says what."""


@dataclass(frozen=True, slots=True)
class Given:
    """A call, its tensors apart from what else it is given.

    ``inputs`` are the shapes of the values that it reads, without a batch, and ``output`` that of
    what it puts out, None where that is not known. ``weights`` are the shapes of the tensors of the
    model among its arguments, by the arguments' names; ``arguments`` are all others by name, those
    at their defaults left out or not. ``rank`` is the number of sides of the first value, its batch
    included.
    """

    target: str
    arguments: Mapping[str, Any]
    inputs: Sequence[Shape]
    weights: Mapping[str, Shape]
    output: Shape | None = None
    rank: int = 4

    def get(self, name: str, default: Any) -> Any:
        """An argument, or what it is where it is left out."""
        value = self.arguments.get(name)
        return default if value is None else value

    def whole(self, name: str, default: int) -> int:
        """A whole number. Raises `NotReadError` for anything else, a computed number among it."""
        value = self.get(name, default)
        if not isinstance(value, int):
            raise NotReadError(f"its {name} is not a number that is fixed")
        return int(value)

    def number(self, name: str, default: float) -> float:
        """A number. Raises `NotReadError` for anything else."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotReadError(f"its {name} is not a number that is fixed")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Whether something is so."""
        return bool(self.get(name, default))

    def size(self, name: str, default: Size) -> Size:
        """A number for both directions, or (height, width); of a list of one, its number.

        Raises `NotReadError` for anything else.
        """
        value = self.get(name, default)
        if isinstance(value, tuple) and len(value) == 1:
            (value,) = value
        if value == ():
            value = default
        sides = value if isinstance(value, tuple) else (value, value)
        if len(sides) != 2 or not all(type(side) is int for side in sides):
            raise NotReadError(f"its {name} is not a number that is fixed")
        return stored((sides[0], sides[1]))

    def dim(self, name: str, default: int = 0) -> int:
        """A dimension, counted from 0, the batch being the first."""
        value = self.whole(name, default)
        return value + self.rank if value < 0 else value

    def require(self, holds: bool, what: str) -> None:
        """Raise `NotReadError` where something does not hold."""
        if not holds:
            raise NotReadError(what)


def short(value: float) -> float:
    """A float32 in the fewest digits that say it, as people write it.

    >>> short(0.16666667163372040)
    0.16666667
    """
    for digits in range(1, 10):
        text = float(f"{value:.{digits}g}")
        try:
            if struct.pack("<f", text) == struct.pack("<f", value):
                return text
        except OverflowError:
            break
    return value
