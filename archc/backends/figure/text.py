"""Words of a figure: authors' text made safe to show, text cut to a width."""

from __future__ import annotations

import unicodedata

from archc.backends.figure.font import text_width

_READ = 1000
"""Characters of an author's text that are looked at; no figure has room for more."""
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})
"""Unicode categories left out: marks that turn the reading direction, and what is no character."""
_ACCENTS = 4
"""Combining marks kept on one letter: languages need up to three, a hundred climb over the page."""


def one_line(text: str) -> str:
    """An author's text as one line of visible characters: untrusted text in, plain text out.

    Control characters and line breaks become spaces, runs of spaces become one.

    >>> one_line("VGG\\n\\u202e 19")
    'VGG 19'
    """
    kept: list[str] = []
    accents = 0
    for char in text[:_READ]:
        kind = unicodedata.category(char)
        accents = accents + 1 if kind in {"Mn", "Me"} else 0
        if kind not in _DROPPED and accents <= _ACCENTS:
            kept.append(" " if kind == "Cc" else char)
    return " ".join("".join(kept).split())


def wrap(text: str, size: float, width: float) -> list[str]:
    """The text in one line, or where it is wider than ``width`` at ``size`` in two.

    It is broken at a space, or where none is in reach inside a word, so that the wider line is as
    narrow as can be. What two lines cannot hold is cut, as `shorten` does.

    >>> wrap("50-layer residual network with a long title", 10, 120)
    ['50-layer residual', 'network with a long title']
    """
    if text_width(text, size) <= width:
        return [text]
    places = [place for place, char in enumerate(text) if place and char == " "]
    fitting = [place for place in places if text_width(text[:place], size) <= width]
    if not fitting:
        inside = range(1, len(text))
        fitting = [place for place in inside if text_width(text[:place], size) <= width] or [1]
    whole = [place for place in fitting if text_width(text[place:].strip(), size) <= width]
    sides = {
        place: max(text_width(text[:place], size), text_width(text[place:].strip(), size))
        for place in whole
    }
    place = min(whole, key=lambda one: sides[one]) if whole else fitting[-1]
    return [text[:place], shorten(text[place:].strip(), size, width)]


def shorten(text: str, size: float, width: float) -> str:
    """The text, or as much of it as fits into ``width`` at ``size`` with an ellipsis behind it."""
    if text_width(text, size) <= width:
        return text
    room = width - text_width("…", size)
    end = 0
    while end < len(text) and (room := room - text_width(text[end], size)) >= 0:
        end += 1
    return text[:end].rstrip() + "…"
