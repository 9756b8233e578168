"""Numbers as people read them, the same in tables, figures and pages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_UNITS = ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"))


def exactly(number: int) -> str:
    """``3,644,493,824``."""
    return f"{number:,}"


def counted(number: int, what: str) -> str:
    """``1 norm``, ``3,264 parameters``."""
    return f"{exactly(number)} {what}{'s' * (number != 1)}"


def in_short(number: int) -> str:
    """A number with two decimals and a metric prefix.

    >>> [in_short(n) for n in (3_644_493_824, 269_722, 999_999, 512, 19_632_062_464)]
    ['3.64 G', '269.72 k', '1.00 M', '512', '19.63 G']
    """
    for power, unit in _UNITS:
        # What a smaller unit would round to 1,000.00 has this one.
        if number >= 1000 and number / 10**power >= 0.999995:
            return f"{number / 10**power:,.2f} {unit}"
    return str(number)


def in_bytes(number: int) -> str:
    """``102.23 MB``, ``424 B``."""
    return f"{in_short(number)}B" if number >= 1000 else f"{number} B"


def percent(share: float) -> str:
    """``18.6 %``."""
    return f"{100 * share:.1f} %"


def shape(sizes: Sequence[int]) -> str:
    """``64x56x56``."""
    return _shape(tuple(sizes))


@lru_cache(maxsize=1024)  # a deep network has few shapes, each at many of its ops
def _shape(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def places(sizes: Sequence[int]) -> str:
    """Where a value has its features: height and width of a map, one number of a square, or how
    many tokens.

    >>> places((56, 56)), places((56, 48)), places((197,))
    ('56', '56x48', '197 tokens')
    """
    if len(sizes) == 1:
        return counted(sizes[0], "token")
    height, width = sizes
    return str(height) if height == width else f"{height}x{width}"
