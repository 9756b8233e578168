"""Figures of networks in the manner of Figure 3 of He et al. 2015, as SVG, PNG, PDF or DOT.

The pipeline: ``columns`` reads off a network what its column shows, ``layout`` gives everything
its place, ``dot`` writes that down, ``render`` has Graphviz draw it, ``svg`` finishes an SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.backends.figure.columns import column
from archc.backends.figure.dot import to_dot
from archc.backends.figure.layout import lay_out
from archc.backends.figure.render import run_graphviz
from archc.backends.figure.scene import Scene
from archc.backends.figure.svg import finish
from archc.graph import Network

__all__ = ["FORMATS", "FigureError", "draw"]

FORMATS = ("svg", "png", "pdf", "dot")
"""What `draw` writes."""

_DPI = 144
"""Pixels per inch of a PNG: two for a point, which stays legible on paper."""
_MOST_PIXELS, _MOST_AREA = 32_767, 2**28
"""What Cairo draws: pixels on a side, and pixels in all, of 4 bytes each (here 1 GiB)."""
_MOST_POINTS = 14_400
"""What PDF readers show: 200 inches (ISO 32000-1, annex C)."""


class FigureError(ValueError):
    """A figure cannot be drawn as asked; the message says why and what can be done."""


def draw(networks: Sequence[Network], format: str = "svg") -> bytes:
    """Draw networks side by side, in this order, as a file of the format: one of `FORMATS`.

    The same networks give the same bytes. Raises `FigureError` where there is no network or no
    such format, and where the figure is larger than the format carries.
    """
    if format not in FORMATS:
        raise FigureError(f"cannot draw as {format!r}: use one of {', '.join(FORMATS)}")
    if not networks:
        raise FigureError("there is no network to draw")
    scene = lay_out([column(network) for network in networks])
    _check_size(scene, format)
    dot = to_dot(scene, dpi=_DPI if format == "png" else None)
    if format == "dot":
        return dot.encode()
    drawn = run_graphviz(dot, format)
    return finish(drawn, scene.title, scene.description) if format == "svg" else drawn


def _check_size(scene: Scene, format: str) -> None:
    """Raise `FigureError` where a format cannot carry a page of this size."""
    if format == "png":
        width, height = (math.ceil(side * _DPI / 72) + 1 for side in (scene.width, scene.height))
        if max(width, height) > _MOST_PIXELS:
            limit = f"the {_MOST_PIXELS:,} a PNG can have on a side"
        elif width * height > _MOST_AREA:
            limit = f"the {_MOST_AREA:,} in all that can be drawn at once"
        else:
            return
        raise _too_large(f"{width:,} x {height:,} pixels", limit)
    width, height = math.ceil(scene.width), math.ceil(scene.height)
    if format == "pdf" and max(width, height) > _MOST_POINTS:
        limit = f"the {_MOST_POINTS:,} that PDF readers show on a side"
        raise _too_large(f"{width:,} x {height:,} points", limit)


def _too_large(size: str, limit: str) -> FigureError:
    return FigureError(f"the figure is {size}, more than {limit}: draw it as SVG")
