"""Multiples of what a spec says: ``x0.5``, in `--set` and in sweeps."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cached_property

from archc.blocks.scope import plain, value_of
from archc.dataclassing import dataclass

_FACTOR = re.compile(r"x([0-9]{1,18}(?:\.[0-9]{1,18})?)")


@dataclass(frozen=True)
class Factor:
    """A multiple of what the spec says: ``x0.5``."""

    times: Fraction

    def applied(self, value: float, *, whole: bool) -> object:
        """The product as plain data, rounded where it has to be ``whole``."""
        exact = self.exactly(value)
        return rounded(exact) if whole else plain(exact)

    def of(self, value: int) -> int:
        """The nearest whole number, at least 1; halves are rounded up."""
        return rounded(value * self.times)

    def exactly(self, value: float) -> Fraction:
        """The product, with a float taken as the decimal number or the simple fraction it is."""
        number = value_of(value)
        assert isinstance(number, Fraction)
        return number * self.times

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return f"x{float(self.times):.15g}"


def rounded(value: Fraction) -> int:
    """The nearest whole number, at least 1; halves are rounded up."""
    return max(1, int(value + Fraction(1, 2)))


def factor_in(data: object) -> Factor | None:
    """The factor that a text stands for; None where it is none."""
    found = _FACTOR.fullmatch(data) if isinstance(data, str) else None
    return Factor(Fraction(found[1])) if found else None
