"""The contents of a figure and their places: what layout hands to the writers.

Lengths are in points; x runs rightwards and y downwards from the page's top left corner. An
``id`` is unique in its figure; a ``role`` says what a thing is (``conv``, ``title``) and becomes
its class in SVG.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from archc.backends.figure.font import text_width
from archc.dataclassing import dataclass


class Point(NamedTuple):
    """A place on the page."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; ``at`` is its centre, or with ``left`` the middle of its left edge.

    ``within`` has the groups around it, from the outermost.
    """

    id: str
    role: str
    text: str
    at: Point
    size: float
    left: bool = False
    within: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """The most that the text is wide."""
        return text_width(self.text, self.size)

    @property
    def centre(self) -> Point:
        """The middle of the text."""
        return Point(self.at.x + self.width / 2, self.at.y) if self.left else self.at


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle around ``centre``; with the role ``plus`` a circle, with ``pill`` one with round
    ends.

    ``shade`` is the octave of the width that its colour means, None the plain colour;
    ``is_odd`` says that the width is none of the octaves', and makes the outline thicker. ``size``
    is that of the label's type. ``within`` has the groups around it, from the outermost. ``heat``,
    from 0 to 1, takes the place of the shade: how much of something is in it (`theme.fill_of`).
    ``ops`` are the ids of the network's ops that it was drawn for.
    """

    id: str
    role: str
    centre: Point
    width: float
    height: float
    shade: int | None = None
    label: str = ""
    tooltip: str = ""
    size: float = 11.0
    is_odd: bool = False
    within: tuple[str, ...] = ()
    heat: float | None = None
    ops: tuple[str, ...] = ()

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.centre.y - self.height / 2

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.centre.y + self.height / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.centre.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Curve:
    """Cubic Bezier pieces, ``3n + 1`` points, from the thing ``tail`` to the thing ``head``.

    With a ``tip`` there is an arrowhead from the last point to it; ``mark`` is text beside. A role
    with ``dotted`` in it is dotted, one with ``bus`` thick. ``within`` has the groups around it,
    from the outermost, ``ops`` the ids of the network's ops that are on it.
    """

    id: str
    role: str
    points: tuple[Point, ...]
    tail: str
    head: str
    tip: Point | None = None
    mark: Text | None = None
    tooltip: str = ""
    within: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """A figure: what is in it, backmost first, and what it says to those who cannot see it.

    ``scale`` is how large its type is, as a part of the natural size: widths of strokes and the
    gaps between dots follow it.
    """

    width: float
    height: float
    title: str
    description: str
    stripes: tuple[Rect, ...]
    curves: tuple[Curve, ...]
    boxes: tuple[Rect, ...]
    texts: tuple[Text, ...]
    scale: float = 1.0


def element_id(prefix: str, name: str) -> str:
    """What a box or a shortcut is called in a file.

    Without characters that mean something to DOT, to XML or to CSS tools.
    """
    return f"{prefix}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"


def scaled(scene: Scene, factor: float) -> Scene:
    """The figure with every length multiplied."""

    def point(one: Point) -> Point:
        return Point(one.x * factor, one.y * factor)

    def rect(one: Rect) -> Rect:
        return replace(
            one,
            centre=point(one.centre),
            width=one.width * factor,
            height=one.height * factor,
            size=one.size * factor,
        )

    def text(one: Text) -> Text:
        return replace(one, at=point(one.at), size=one.size * factor)

    def curve(one: Curve) -> Curve:
        return replace(
            one,
            points=tuple([point(place) for place in one.points]),
            tip=None if one.tip is None else point(one.tip),
            mark=None if one.mark is None else text(one.mark),
        )

    return replace(
        scene,
        width=scene.width * factor,
        height=scene.height * factor,
        stripes=tuple([rect(one) for one in scene.stripes]),
        curves=tuple([curve(one) for one in scene.curves]),
        boxes=tuple([rect(one) for one in scene.boxes]),
        texts=tuple([text(one) for one in scene.texts]),
        scale=scene.scale * factor,
    )


def foot(scene: Scene) -> Point:
    """Where a line of a legend may go on below a figure: its left edge, and the lowest text."""
    lefts = [text.at.x for text in scene.texts if text.left and text.role in ("band", "legend")]
    legend = [text.at.y for text in scene.texts if text.role == "legend"]
    lowest = max(legend) if legend else scene.height - FOOT
    return Point(min(lefts, default=FOOT), lowest)


FOOT = 16.0
"""The margin of a figure that has no text to tell it by."""


def words(scene: Scene) -> list[str]:
    """Everything that is written in a figure."""
    marks = [curve.mark.text for curve in scene.curves if curve.mark]
    return [*[text.text for text in scene.texts], *[box.label for box in scene.boxes], *marks]
