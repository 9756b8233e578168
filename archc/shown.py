"""What people look at: a few words as its repr, its tables on print, HTML in a notebook."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

Way = Literal["words", "text", "html", "svg"]

_SHOWS = "archc.showing"
"""The module that shows networks and results, imported when one is shown: they know no tables."""


class Shown:
    """A network, or a result about one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_shown('words', self)})"

    def __str__(self) -> str:
        return _shown("text", self) or repr(self)

    def _repr_html_(self) -> str | None:
        """What a notebook shows."""
        return _shown("html", self)

    def _repr_svg_(self) -> str | None:
        """What a notebook shows that takes no HTML."""
        return _shown("svg", self)


class Result(Shown):
    """A result about one network, for images of the shape ``input``.

    Of a network that takes several values, ``inputs`` are the shapes of all of them by name.
    """

    __slots__ = ()
    input: tuple[int, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``input``, by the name that it has in a `Network`."""
        return self.input


def _shown(way: Way, shown: Shown) -> str | None:
    found: str | None = import_module(_SHOWS).show(way, shown)
    return found
