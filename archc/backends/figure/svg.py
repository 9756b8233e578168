"""A scene as SVG: a group for each thing, described, with tooltips, in units of a point."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from archc.backends.figure.font import FALLBACKS
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.theme import THEMES, Theme, fill_of

_SIZE = 11.0
"""Of the type, unless a text says otherwise."""
_BASELINE = 0.35
"""Of the size of the type, from the middle of capital letters down to the line they stand on."""
_OUTLINE, _ODD, _LINE, _DOTTED = 0.7, 1.4, 0.9, 1.2
"""Widths of strokes."""
_DOTS = "1.6 3"
"""Points of ink and of paper in a dotted line."""
_HEAD = 0.4
"""Half the width of an arrowhead, as a part of its length."""


def to_svg(scene: Scene, theme: Theme = THEMES["light"]) -> bytes:
    """The scene as a file that stands on its own; equal scenes give equal bytes."""
    return "".join(_pieces(scene, theme)).encode()


def _pieces(scene: Scene, theme: Theme) -> Iterator[str]:
    width, height = _number(scene.width), _number(scene.height)
    yield (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
        f'viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="figure-title" aria-describedby="figure-desc">\n'
        f'<title id="figure-title">{escape(scene.title)}</title>\n'
        f'<desc id="figure-desc">{escape(scene.description)}</desc>\n'
        f'<g id="figure" class="archc" font-family={quoteattr(",".join(FALLBACKS))} '
        f'font-size="{_number(_SIZE)}" text-anchor="middle" fill="{theme.ink}" '
        'xml:space="preserve">\n'
        f'<rect width="{width}" height="{height}" fill="{theme.paper}"/>\n'
    )
    for stripe in scene.stripes:
        yield from _group(stripe.id, stripe.role, "", f'<rect{_corners(stripe)}{theme.stripe}"/>')
    for box in scene.boxes:
        yield from _box(box, theme)
    for text in scene.texts:
        yield from _group(text.id, text.role, "", _text(text))
    for curve in scene.curves:
        yield from _curve(curve, theme)
    yield "</g>\n</svg>\n"


def _group(id: str, role: str, tooltip: str, *parts: str) -> Iterator[str]:
    yield f'<g id={quoteattr(id)} class="{role}">\n'
    if tooltip:
        yield f"<title>{escape(tooltip)}</title>\n"
    for part in parts:
        yield f"{part}\n"
    yield "</g>\n"


def _corners(rect: Rect) -> str:
    left, width, height = rect.right - rect.width, _number(rect.width), _number(rect.height)
    place = f'x="{_number(left)}" y="{_number(rect.top)}"'
    return f' {place} width="{width}" height="{height}" fill="'


def _box(box: Rect, theme: Theme) -> Iterator[str]:
    stroke = (
        f'" stroke="{theme.outline}" stroke-width="{_number(_ODD if box.is_odd else _OUTLINE)}"/>'
    )
    fill = fill_of(box, theme)
    if box.role == "plus":
        x, y = map(_number, box.centre)
        shape = f'<circle cx="{x}" cy="{y}" r="{_number(box.width / 2)}" fill="{fill}{stroke}'
    else:
        shape = f"<rect{_corners(box)}{fill}{stroke}"
    label = _words(box.label, box.centre, box.size)
    role = box.role if box.shade is None else f"{box.role} shade-{box.shade}"
    yield from _group(box.id, role, box.tooltip, shape, *[label] * bool(box.label))


def _text(text: Text) -> str:
    return _words(text.text, text.at, text.size, ' text-anchor="start"' if text.left else "")


def _words(words: str, at: Point, size: float, more: str = "") -> str:
    if size != _SIZE:
        more += f' font-size="{_number(size)}"'
    x, y = _number(at.x), _number(at.y + _BASELINE * size)
    return f'<text x="{x}" y="{y}"{more}>{escape(words)}</text>'


def _curve(curve: Curve, theme: Theme) -> Iterator[str]:
    width, dots = _LINE, ""
    if "dotted" in curve.role:
        width, dots = _DOTTED, f' stroke-dasharray="{_DOTS}"'
    parts = [
        f'<path d="{_way(curve.points)}" fill="none" stroke="{theme.ink}" '
        f'stroke-width="{_number(width)}"{dots}/>'
    ]
    if curve.tip:
        parts.append(_arrowhead(curve.points[-1], curve.tip, theme))
    if curve.mark:
        parts.append(_text(curve.mark))
    yield from _group(curve.id, curve.role, curve.tooltip, *parts)


def _way(points: tuple[Point, ...]) -> str:
    """Bezier pieces, of which those that run straight down or across are written as such."""
    before, way = points[0], [f"M{_place(points[0])}"]
    for first, second, end in zip(points[1::3], points[2::3], points[3::3], strict=True):
        if before.x == first.x == second.x == end.x:
            way.append(f"V{_number(end.y)}")
        elif before.y == first.y == second.y == end.y:
            way.append(f"H{_number(end.x)}")
        else:
            way.append(f"C{_place(first)} {_place(second)} {_place(end)}")
        before = end
    return "".join(way)


def _arrowhead(base: Point, tip: Point, theme: Theme) -> str:
    x, y = _HEAD * (tip.x - base.x), _HEAD * (tip.y - base.y)
    corners = (Point(base.x - y, base.y + x), tip, Point(base.x + y, base.y - x))
    return f'<polygon points="{" ".join(map(_place, corners))}" fill="{theme.ink}"/>'


def _place(point: Point) -> str:
    return f"{_number(point.x)},{_number(point.y)}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
