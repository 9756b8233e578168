"""The glyphs of some characters as a TrueType font of its own, for embedding (OpenType 1.9).

Its glyphs are numbered anew: 0 is the box for characters that the font lacks, then one for each
character in the order of code points, then what accented letters are composed of. Hinting is left
out: it serves screens of 100 pixels an inch, and would take as much room as the outlines.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from archc.backends.figure.font import font_data, glyph_ids, table_offsets
from archc.dataclassing import dataclass


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measures of the font, in thousandths of an em."""

    bounds: tuple[int, int, int, int]
    ascent: int
    descent: int
    cap_height: int


@dataclass(frozen=True, slots=True)
class Subset:
    """A font: its file, the glyph of each character, each glyph's width in thousandths of an em.

    A character that the font lacks is in ``glyphs`` no more than in the font.
    """

    data: bytes
    glyphs: Mapping[str, int]
    widths: tuple[float, ...]

    def width(self, glyph: int, size: float) -> float:
        """The width of a glyph at a size, in the unit of the size."""
        return size * self.widths[glyph] / 1000


def subset(characters: Iterable[str]) -> Subset:
    """The font with the glyphs of these characters alone; the same set gives the same bytes."""
    ids = glyph_ids()
    had = [char for char in sorted(set(characters)) if ord(char) in ids]
    font = _font()
    order = [0, *[ids[ord(char)] for char in had]]
    outlines: list[bytes] = []
    parts: dict[int, int] = {}
    for old in order:  # which grows by what its composite glyphs are made of
        outlines.append(_renumbered(font.outline(old), order, parts))
    return Subset(
        data=_file(font, order, outlines),
        glyphs={char: number for number, char in enumerate(had, start=1)},
        widths=tuple([1000 * font.advance(old) / font.units for old in order]),
    )


@cache
def metrics() -> Metrics:
    """The font's measures."""
    font = _font()
    head, hhea, os2 = (font.tables[tag] for tag in ("head", "hhea", "OS/2"))
    bounds = struct.unpack_from(">4h", font.data, head + 36)
    ascent, descent = struct.unpack_from(">2h", font.data, hhea + 4)
    (capital,) = struct.unpack_from(">h", font.data, os2 + 88)
    scaled = [round(1000 * value / font.units) for value in (*bounds, ascent, descent, capital)]
    left, bottom, right, top, *rest = scaled
    return Metrics((left, bottom, right, top), *rest)


@dataclass(frozen=True, slots=True)
class _Font:
    """The shipped font; ``locations`` has where each glyph's outline begins, and one more."""

    data: bytes
    tables: Mapping[str, int]
    units: int
    locations: tuple[int, ...]

    def outline(self, glyph: int) -> bytes:
        start, end = (self.tables["glyf"] + self.locations[glyph + i] for i in (0, 1))
        return self.data[start:end]

    def advance(self, glyph: int) -> int:
        return self.metric(glyph)[0]

    def metric(self, glyph: int) -> tuple[int, int]:
        """Its advance and its left side bearing, in units of the font."""
        (full,) = struct.unpack_from(">H", self.data, self.tables["hhea"] + 34)
        hmtx = self.tables["hmtx"]
        if glyph < full:
            advance, bearing = struct.unpack_from(">Hh", self.data, hmtx + 4 * glyph)
        else:
            (advance,) = struct.unpack_from(">H", self.data, hmtx + 4 * (full - 1))
            place = hmtx + 4 * full + 2 * (glyph - full)
            (bearing,) = struct.unpack_from(">h", self.data, place)
        return advance, bearing


@cache
def _font() -> _Font:
    data = font_data()
    tables = table_offsets(data)
    (units,) = struct.unpack_from(">H", data, tables["head"] + 18)
    (is_long,) = struct.unpack_from(">h", data, tables["head"] + 50)
    (count,) = struct.unpack_from(">H", data, tables["maxp"] + 4)
    form = f">{count + 1}{'L' if is_long else 'H'}"
    places = struct.unpack_from(form, data, tables["loca"])
    return _Font(data, tables, units, tuple([place * (1 if is_long else 2) for place in places]))


_WORDS, _INSTRUCTED, _MORE = 0x1, 0x100, 0x20
_SCALES = {0x8: 2, 0x40: 4, 0x80: 8}
"""Flags of a component, and how many bytes each kind of scale takes."""


def _renumbered(outline: bytes, order: list[int], parts: dict[int, int]) -> bytes:
    """An outline without its instructions, its components by their new numbers; components that
    have none yet are put at the end of ``order``."""
    if not outline:
        return outline
    (contours,) = struct.unpack_from(">h", outline)
    if contours >= 0:
        end = 10 + 2 * contours
        (length,) = struct.unpack_from(">H", outline, end)
        return outline[:end] + b"\0\0" + outline[end + 2 + length :]
    changed, place, flags = bytearray(outline), 10, _MORE
    while flags & _MORE:
        flags, old = struct.unpack_from(">HH", outline, place)
        if old not in parts:
            parts[old] = len(order)
            order.append(old)
        struct.pack_into(">HH", changed, place, flags & ~_INSTRUCTED, parts[old])
        place += 4 + (4 if flags & _WORDS else 2)
        place += sum(size for flag, size in _SCALES.items() if flags & flag)
    return bytes(changed[:place])


def _file(font: _Font, order: list[int], outlines: list[bytes]) -> bytes:
    padded = [outline + b"\0" * (-len(outline) % 4) for outline in outlines]
    places = [0]
    for outline in padded:
        places.append(places[-1] + len(outline))
    head = bytearray(_table(font, "head", 54))
    struct.pack_into(">L", head, 8, 0)  # what the checksum of all is taken without
    struct.pack_into(">h", head, 50, 1)  # long locations
    hhea = bytearray(_table(font, "hhea", 36))
    struct.pack_into(">H", hhea, 34, len(order))
    maxp = bytearray(_table(font, "maxp", 32))
    struct.pack_into(">H", maxp, 4, len(order))
    tables = {
        "glyf": b"".join(padded),
        "head": bytes(head),
        "hhea": bytes(hhea),
        "hmtx": b"".join([struct.pack(">Hh", *font.metric(old)) for old in order]),
        "loca": struct.pack(f">{len(places)}L", *places),
        "maxp": bytes(maxp),
    }
    return _with_checksum(b"".join(_pieces(tables)))


def _table(font: _Font, tag: str, length: int) -> bytes:
    return font.data[font.tables[tag] : font.tables[tag] + length]


def _pieces(tables: Mapping[str, bytes]) -> Iterator[bytes]:
    power = len(tables).bit_length() - 1
    ranged = 16 << power
    yield struct.pack(">LHHHH", 0x10000, len(tables), ranged, power, 16 * len(tables) - ranged)
    place = 12 + 16 * len(tables)
    for tag, table in tables.items():
        yield struct.pack(">4sLLL", tag.encode(), _checksum(table), place, len(table))
        place += len(table) + -len(table) % 4
    for table in tables.values():
        yield table + b"\0" * (-len(table) % 4)


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (-len(data) % 4)
    words: tuple[int, ...] = struct.unpack(f">{len(padded) // 4}L", padded)
    return sum(words) & 0xFFFFFFFF


def _with_checksum(data: bytes) -> bytes:
    """The file with the checksum of all of it in its head."""
    place = table_offsets(data)["head"] + 8
    adjustment = (0xB1B0AFBA - _checksum(data)) & 0xFFFFFFFF
    return data[:place] + struct.pack(">L", adjustment) + data[place + 4 :]
