"""The font that every figure is set in, and its widths.

Liberation Sans is as wide, letter by letter, as Helvetica and Arial, so an SVG that falls back to
one of those where Liberation is not installed keeps every label inside its box.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("LiberationSans-Regular.ttf")
FAMILY = "Liberation Sans"
FALLBACKS = (FAMILY, "Helvetica", "Arial", "sans-serif")

DIGEST = "8d91388f1d3604b3b8ae0e3ee2d140e50cd6122f9214514f4aca772540a4076d"
"""SHA-256 of the font as it ships."""

_UNKNOWN = 1.3
"""Em that a character outside the font is taken to need: emoji fonts go up to 1.25."""
_LEAST = 0.2
"""Em that every character is taken to need, so that combining marks cannot pile up unmeasured."""


def text_width(text: str, size: float) -> float:
    """The width of one line of text set at ``size``, in the unit of ``size``.

    Kerning, which mostly narrows, is left out: the text is at most this wide.

    >>> text_width("3x3 conv, 64", 10)
    56.7041015625
    """
    widths = _advances()
    return size * sum([widths.get(ord(char), _UNKNOWN) for char in text])


def lacking(text: str) -> list[str]:
    """The characters of a text that the font has no glyph for, each once, in order.

    Variation selectors, which are never seen themselves, are not among them.
    """
    glyphs = _advances()
    return [c for c in dict.fromkeys(text) if ord(c) not in glyphs and not is_unseen(c)]


class FontError(Exception):
    """The font that archc ships is not there, or is not what it was."""


@cache
def font_data() -> bytes:
    """The font's file; raises `FontError`."""
    try:
        data = FILE.read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != DIGEST:
        state = "damaged" if data else "missing"
        raise FontError(f"archc's own font {str(FILE)!r} is {state}; reinstall archc")
    return data


@cache
def _advances() -> Mapping[int, float]:
    """For each code point in the font, its width in em (OpenType 1.9: cmap, hmtx, head, hhea)."""
    data = font_data()
    tables = table_offsets(data)
    (units_per_em,) = struct.unpack_from(">H", data, tables["head"] + 18)
    (metrics,) = struct.unpack_from(">H", data, tables["hhea"] + 34)
    widths = struct.unpack_from(">" + "Hh" * metrics, data, tables["hmtx"])[::2]
    return {
        char: max(widths[min(glyph, metrics - 1)] / units_per_em, _LEAST)
        for char, glyph in glyph_ids().items()
    }


@cache
def glyph_ids() -> Mapping[int, int]:
    """The number of the glyph of each code point in the font."""
    data = font_data()
    return _glyphs(data, _unicode_map(data, table_offsets(data)["cmap"]))


def is_unseen(char: str) -> bool:
    """Whether a character is a variation selector, which chooses a form of the one before it."""
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def table_offsets(data: bytes) -> dict[str, int]:
    """The offset of each table of a TrueType file."""
    (count,) = struct.unpack_from(">H", data, 4)
    records = (struct.unpack_from(">4sLLL", data, 12 + 16 * index) for index in range(count))
    return {tag.decode("ascii"): offset for tag, _, offset, _ in records}


def _unicode_map(data: bytes, cmap: int) -> int:
    """The offset of the cmap's subtable for Unicode's basic plane: platform 3, encoding 1."""
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    records = (struct.unpack_from(">HHL", data, cmap + 4 + 8 * index) for index in range(count))
    offsets: dict[tuple[int, int], int] = {(record[0], record[1]): record[2] for record in records}
    return cmap + offsets[3, 1]


def _glyphs(data: bytes, table: int) -> dict[int, int]:
    """The glyph of each code point in a cmap subtable of format 4: segments of code points."""
    (doubled,) = struct.unpack_from(">H", data, table + 6)
    ends, starts, deltas, ranges = (
        table + 14 + doubled * part + 2 * bool(part) for part in range(4)
    )
    glyphs: dict[int, int] = {}
    for segment in range(0, doubled, 2):
        (end,) = struct.unpack_from(">H", data, ends + segment)
        (start,) = struct.unpack_from(">H", data, starts + segment)
        (delta,) = struct.unpack_from(">H", data, deltas + segment)
        (offset,) = struct.unpack_from(">H", data, ranges + segment)
        for char in range(start, end + 1):
            glyph = char
            if offset:
                place = ranges + segment + offset + 2 * (char - start)
                (glyph,) = struct.unpack_from(">H", data, place)
            if glyph:
                glyphs[char] = (glyph + delta) % 0x10000
    return glyphs
