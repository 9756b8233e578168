"""Words for people: lists, errors, and what users wrote, quoted so that it disturbs no terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence


def visible(text: str) -> str:
    """The text, with a stand-in of width 1 for each character that would disturb a terminal."""
    # Printable is, but for spaces wider than one, what has none of the categories below.
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character == "\t":
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return "\N{REPLACEMENT CHARACTER}"
    return character


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    # Marks stand over the character before them, the later letters of a Hangul syllable in it.
    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def quote(text: str, limit: int = 40) -> str:
    """A user's text between backticks, on one line and not too long."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    safe = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    safe = re.sub(r"[^\S ]", lambda space: f"\\u{ord(space[0]):04x}", safe)
    return f"`{visible(safe)}`"


def quote_name(name: str) -> str:
    """The name of a file or of an option, on one line, whole."""
    return visible(name)


def a_type(value: object) -> str:
    """What a value is to a Python program: ``a str``, ``an int``."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def code_points(characters: Sequence[str], limit: int = 10) -> str:
    """Characters by themselves and by number, so many of them: ``α (U+03B1) and β (U+03B2)``."""
    words = [f"{visible(char)} (U+{ord(char):04X})" for char in characters[:limit]]
    if len(characters) > limit:
        words.append(f"{len(characters) - limit} more")
    return listing(words, "and")


def listing(words: Iterable[str], last: str = "or") -> str:
    """Words in a row: ``A, B or C``."""
    row = list(words)
    return f" {last} ".join([", ".join(row[:-1]), row[-1]] if len(row) > 1 else row)


def in_words(error: BaseException) -> str:
    """An exception's kind and the first line of its message, not too long."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else ""
    words = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return words if len(words) <= 200 else f"{words[:199]}…"
