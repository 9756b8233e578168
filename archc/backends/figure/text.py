"""Words of a figure: authors' text made safe to show, text cut to a width, numbers in short."""

from __future__ import annotations

import unicodedata

from archc.backends.figure.font import text_width

_READ = 1000
"""Characters of an author's text that are looked at; no figure has room for more."""
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})
"""Unicode categories left out: marks that turn the reading direction, and what is no character."""
_ACCENTS = 4
"""Combining marks kept on one letter: languages need up to three, a hundred climb over the page."""
_PREFIXES = " kMGTPE"


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


def shorten(text: str, size: float, width: float) -> str:
    """The text, or as much of it as fits into ``width`` at ``size`` with an ellipsis behind it."""
    if text_width(text, size) <= width:
        return text
    room = width - text_width("…", size)
    end = 0
    while end < len(text) and (room := room - text_width(text[end], size)) >= 0:
        end += 1
    return text[:end].rstrip() + "…"


def in_short(number: int) -> str:
    """A count to three digits with a metric prefix, as papers print it.

    >>> in_short(3_644_493_824), in_short(272_474), in_short(999_999), in_short(512)
    ('3.64 G', '272 k', '1.00 M', '512')
    """
    if number < 1000:
        return str(number)
    digits = f"{number:.2e}"
    power = int(digits[5:])
    thousands = min(power // 3, len(_PREFIXES) - 1)
    value = float(digits[:4]) * 10.0 ** (power - 3 * thousands)
    return f"{value:.{max(0, 2 - power + 3 * thousands)}f} {_PREFIXES[thousands]}"
