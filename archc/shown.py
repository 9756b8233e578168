"""What people look at: a few words as its repr, its tables on print, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Way = Literal["words", "text", "html", "svg"]

SHOW: list[Callable[[Way, Any], str | None]] = []
"""Whoever can show results enters it here, which `archc.api` does: results know no tables."""


class Shown:
    """A network, or a result about one."""

    __slots__ = ()

    def __repr__(self) -> str:
        words = _shown("words", self)
        return f"{type(self).__name__}({words})" if words else object.__repr__(self)

    def __str__(self) -> str:
        return _shown("text", self) or repr(self)

    def _repr_html_(self) -> str | None:
        """What a notebook shows."""
        return _shown("html", self)

    def _repr_svg_(self) -> str | None:
        """What a notebook shows that takes no HTML."""
        return _shown("svg", self)


def _shown(way: Way, one: Shown) -> str | None:
    return SHOW[-1](way, one) if SHOW else None
