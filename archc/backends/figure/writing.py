"""A scene as a file: what each format can carry, what it cannot show, and its writer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from archc.backends.figure import font
from archc.backends.figure.scene import Scene, words
from archc.backends.figure.theme import THEMES
from archc.errors import ArchcError, ArchcWarning
from archc.text import code_points

_MOST_PIXELS, _MOST_AREA = 32_767, 2**28
"""Pixels on a side, which many programs hold in 16 bits; in all, of 4 bytes each (here 1 GiB)."""
_MOST_POINTS = 14_400
"""What PDF readers show: 200 inches (ISO 32000-1, annex C). TeX's longest length is 16,322."""


class FigureError(ArchcError, ValueError):
    """A figure cannot be drawn as asked; the message says why and what can be done."""


def write(
    scene: Scene, format: str, theme: str, dpi: int, *, transparent: bool, instead: str
) -> bytes:
    """The scene as a file of the format, in a theme; ``dpi`` is for PNG.

    With ``transparent`` no ground is painted. Raises `FigureError` where the format cannot carry a
    page so large, with ``instead`` as advice. Warns with `ArchcWarning` of characters that are
    shown as boxes. The writers of other formats are not imported.
    """
    _check_size(scene, format, dpi, instead)
    colours = THEMES[theme]
    if format == "svg":
        from archc.backends.figure.svg import to_svg

        return to_svg(scene, colours, transparent=transparent)
    if format == "pdf":
        from archc.backends.figure.pdf import to_pdf

        _warn("the figure font has no glyphs", font.lacking("".join(words(scene))), "PDF")
        return to_pdf(scene, colours, transparent=transparent)
    if format == "png":
        from archc.backends.figure.png import to_png

        drawn, missing = to_png(scene, dpi, colours, transparent=transparent)
        _warn("no font on this machine has glyphs", missing, "PNG")
        return drawn
    if format == "tex":
        from archc.backends.figure import tex
        from archc.backends.figure.tikz import to_tikz

        _warn_of_tex(tex.lacking(words(scene)))
        return to_tikz(scene, colours, transparent=transparent)
    from archc.backends.figure.dot import to_dot

    return to_dot(scene, colours, transparent=transparent).encode()


def _warn(problem: str, characters: Sequence[str], format: str) -> None:
    if characters:
        message = (
            f"{problem} for {code_points(characters)}: the {format} shows boxes instead; "
            "draw it as SVG to use the viewer's fonts"
        )
        warnings.warn(message, ArchcWarning, stacklevel=5)


def _warn_of_tex(characters: Sequence[str]) -> None:
    if characters:
        message = (
            f"TeX's own fonts may have no glyphs for {code_points(characters)}: pdfLaTeX shows "
            "boxes instead; use LuaLaTeX or XeLaTeX with a font that has them, or define "
            "\\archcother"
        )
        warnings.warn(message, ArchcWarning, stacklevel=5)


def _check_size(scene: Scene, format: str, dpi: int, instead: str) -> None:
    """Raise `FigureError` where a format cannot carry a page of this size."""
    if format == "png":
        sides = (scene.width, scene.height)
        width, height = (math.ceil(side * dpi / 72) + 1 for side in sides)
        if max(width, height) > _MOST_PIXELS:
            limit = f"the {_MOST_PIXELS:,} a PNG can have on a side"
        elif width * height > _MOST_AREA:
            limit = f"the {_MOST_AREA:,} in all that can be drawn at once"
        else:
            return
        raise _too_large(f"{width:,} x {height:,} pixels", limit, instead)
    width, height = math.ceil(scene.width), math.ceil(scene.height)
    if format in ("pdf", "tex") and max(width, height) > _MOST_POINTS:
        limit = f"the {_MOST_POINTS:,} that PDF readers show on a side"
        raise _too_large(f"{width:,} x {height:,} points", limit, instead)


def _too_large(size: str, limit: str, instead: str) -> FigureError:
    return FigureError(f"the figure is {size}, more than {limit}: {instead}")
