"""A scene as PNG: its SVG, drawn by resvg with the shipped font.

Characters that the font lacks are drawn with the machine's fonts, where one has them. Nothing else
in a figure depends on the machine.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from archc.backends.figure import font
from archc.backends.figure.pen import escape
from archc.backends.figure.scene import Curve, Rect, Scene, Text, words
from archc.backends.figure.svg import to_svg
from archc.backends.figure.theme import THEMES, Theme

_BOX = "\N{WHITE SQUARE}"
"""Stands for a character that no font has. It is in the shipped font: resvg looks for other fonts
only up to the first character of a text that it finds in none."""


def to_png(
    scene: Scene, dpi: int, theme: Theme = THEMES["light"], *, transparent: bool = False
) -> tuple[bytes, list[str]]:
    """The scene at so many pixels per inch, and the characters that no font here has.

    With ``transparent`` no ground is painted below the figure. The same scene gives the same bytes
    on a machine, as long as the font has all its characters, or the machine has the same fonts.
    """
    lacking = font.lacking("".join(words(scene)))
    missing = unknown(lacking) if lacking else []
    if missing:
        scene = _with_boxes(scene, missing)
    svg = to_svg(scene, theme, transparent=transparent).decode()
    return with_resolution(_drawn(svg, dpi, len(missing) < len(lacking)), dpi), missing


def _drawn(svg: str, dpi: int, with_machine_fonts: bool) -> bytes:
    import resvg_py

    return resvg_py.svg_to_bytes(
        svg_string=svg,
        dpi=dpi,
        font_files=[str(font.FILE)],
        skip_system_fonts=not with_machine_fonts,
        font_family=font.FAMILY,
    )


def with_resolution(png: bytes, dpi: int) -> bytes:
    """A PNG file that says its resolution, after the header (PNG, 11.3.4.3: pixels a metre)."""
    a_metre = round(dpi / 0.0254)
    body = b"pHYs" + struct.pack(">LLB", a_metre, a_metre, 1)
    chunk = struct.pack(">L", len(body) - 4) + body + struct.pack(">L", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def _with_boxes(scene: Scene, missing: Sequence[str]) -> Scene:
    """The scene with a box for each of these characters."""
    table = str.maketrans(dict.fromkeys(missing, _BOX))

    def text(old: Text) -> Text:
        return replace(old, text=old.text.translate(table))

    def curve(old: Curve) -> Curve:
        return replace(old, mark=text(old.mark)) if old.mark else old

    def box(old: Rect) -> Rect:
        return replace(old, label=old.label.translate(table))

    return replace(
        scene,
        texts=tuple(map(text, scene.texts)),
        boxes=tuple(map(box, scene.boxes)),
        curves=tuple(map(curve, scene.curves)),
    )


_NOBODY = "\U0010fffd"
"""A character that no font has: the last one for private use."""
_CELL = 24
"""Pixels on a side that a character is tried in."""


def unknown(characters: Sequence[str]) -> list[str]:
    """Those of the characters that no font of this machine has.

    Each is drawn, below one that no font has, and has no glyph where it looks the same.
    """
    shown = [_NOBODY, *characters]
    lines = [
        f'<text x="4" y="{_CELL * line + 18}">{escape(char)}</text>'
        for line, char in enumerate(shown)
    ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_CELL}" height="{_CELL * len(shown)}" '
        f'font-family="{font.FAMILY}" font-size="12">{"".join(lines)}</svg>'
    )
    rows = _rows(_drawn(svg, 96, True))
    cells = [rows[_CELL * line : _CELL * (line + 1)] for line in range(len(shown))]
    return [char for char, cell in zip(characters, cells[1:], strict=True) if cell == cells[0]]


def _rows(png: bytes) -> list[bytes]:
    """The rows of a PNG of 8 bits a channel, red, green, blue and alpha (PNG, 9.2: filters)."""
    (width,) = struct.unpack_from(">L", png, 16)
    data, place = b"", 33
    while place < len(png):
        (length,) = struct.unpack_from(">L", png, place)
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    raw, stride = zlib.decompress(data), 4 * width
    rows, above = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfiltered(raw[start + 1 : start + 1 + stride], _FILTERS[raw[start]], above)
        rows.append(above)
    return rows


def _unfiltered(line: bytes, guess: Callable[[int, int, int], int], above: bytes) -> bytes:
    row = bytearray(line)
    for place, value in enumerate(line):
        left, corner = (row[place - 4], above[place - 4]) if place >= 4 else (0, 0)
        row[place] = (value + guess(left, above[place], corner)) % 256
    return bytes(row)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


_FILTERS: tuple[Callable[[int, int, int], int], ...] = (
    lambda left, above, corner: 0,
    lambda left, above, corner: left,
    lambda left, above, corner: above,
    lambda left, above, corner: (left + above) // 2,
    _paeth,
)
