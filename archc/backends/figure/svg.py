"""A scene as SVG: a group for each thing, described, with tooltips, in units of a point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archc.backends.figure import pen
from archc.backends.figure.font import FALLBACKS
from archc.backends.figure.grouping import Group, Thing, grouped
from archc.backends.figure.pen import escape, number
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.theme import THEMES, Theme, fill_of

_SIZE = 11.0
"""Of the type, unless a text says otherwise."""


def to_svg(scene: Scene, theme: Theme = THEMES["light"], *, transparent: bool = False) -> bytes:
    """The scene as a self-contained file; equal scenes give equal bytes.

    With ``transparent`` no ground is painted below the figure.
    """
    return "".join(_Writer(scene, theme).pieces(transparent)).encode()


class _Writer:
    def __init__(self, scene: Scene, theme: Theme) -> None:
        self.scene = scene
        self.theme = theme
        self.dots = (
            f' stroke-dasharray="0 {number(pen.DOT_GAP * scene.scale)}" stroke-linecap="round"'
        )

    def pieces(self, transparent: bool) -> Iterator[str]:
        scene, theme = self.scene, self.theme
        width, height = number(scene.width), number(scene.height)
        yield (
            "<?xml version='1.0' encoding='utf-8'?>\n"
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
            f'viewBox="0 0 {width} {height}" '
            'role="img" aria-labelledby="figure-title" aria-describedby="figure-desc">\n'
            f'<title id="figure-title">{escape(scene.title)}</title>\n'
            f'<desc id="figure-desc">{escape(scene.description)}</desc>\n'
            f'<g id="figure" class="archc" font-family="{",".join(FALLBACKS)}" '
            f'font-size="{number(_SIZE)}" text-anchor="middle" fill="{theme.ink}" '
            'xml:space="preserve">\n'
        )
        if not transparent:
            yield f'<rect width="{width}" height="{height}" fill="{theme.paper}"/>\n'
        shade = f'fill="{theme.stripe}"'
        if transparent:
            shade = f'fill="{theme.ink}" fill-opacity="{pen.VEIL}"'
        for stripe in scene.stripes:
            shape = f"<rect{_corners(stripe)} {shade}/>"
            yield _group(stripe.id, stripe.role, "", shape)
        yield from self.items(grouped(scene))
        yield "</g>\n</svg>\n"

    def items(self, items: Iterable[Thing | Group]) -> Iterator[str]:
        for item in items:
            if isinstance(item, Group):
                yield f'<g id="{escape(item.id)}" class="group">\n'
                yield from self.items(item.items)
                yield "</g>\n"
            elif isinstance(item, Rect):
                yield self.box(item)
            elif isinstance(item, Text):
                yield _group(item.id, item.role, "", _text(item))
            else:
                yield self.curve(item)

    def box(self, box: Rect) -> str:
        look = (
            f' fill="{fill_of(box, self.theme)}" stroke="{self.theme.outline}" '
            f'stroke-width="{number(pen.outline_width(box, self.scene.scale))}"/>'
        )
        if box.role == "plus":
            x, y = map(number, box.centre)
            shape = f'<circle cx="{x}" cy="{y}" r="{number(box.width / 2)}"{look}'
        else:
            ends = f' rx="{number(min(box.width, box.height) / 2)}"' if "pill" in box.role else ""
            shape = f"<rect{_corners(box)}{ends}{look}"
        label = _words(box.label, box.centre, box.size)
        role = box.role if box.shade is None else f"{box.role} shade-{box.shade}"
        return _group(box.id, role, box.tooltip, shape, *[label] * bool(box.label))

    def curve(self, curve: Curve) -> str:
        ink = self.theme.ink
        parts = [
            f'<path d="{_way(curve.points)}" fill="none" stroke="{ink}" '
            f'stroke-width="{number(pen.line_width(curve, self.scene.scale))}"'
            f"{self.dots if pen.is_dotted(curve) else ''}/>"
        ]
        if curve.tip:
            corners = " ".join(map(_place, pen.head(curve.points[-1], curve.tip)))
            parts.append(f'<polygon points="{corners}" fill="{ink}"/>')
        if curve.mark:
            parts.append(_text(curve.mark))
        return _group(curve.id, curve.role, curve.tooltip, *parts)


def _group(id: str, role: str, tooltip: str, *parts: str) -> str:
    title = f"<title>{escape(tooltip)}</title>\n" if tooltip else ""
    shapes = "\n".join(parts)
    return f'<g id="{escape(id)}" class="{role}">\n{title}{shapes}\n</g>\n'


def _corners(rect: Rect) -> str:
    left, width, height = rect.right - rect.width, number(rect.width), number(rect.height)
    return f' x="{number(left)}" y="{number(rect.top)}" width="{width}" height="{height}"'


def _text(text: Text) -> str:
    return _words(text.text, text.at, text.size, ' text-anchor="start"' if text.left else "")


def _words(words: str, at: Point, size: float, more: str = "") -> str:
    if size != _SIZE:
        more += f' font-size="{number(size)}"'
    x, y = number(at.x), number(at.y + pen.BASELINE * size)
    return f'<text x="{x}" y="{y}"{more}>{escape(words)}</text>'


def _way(points: tuple[Point, ...]) -> str:
    way = [f"M{_place(points[0])}"]
    for start, bend, end in pen.pieces(points):
        if bend:
            way.append(f"C{_place(bend[0])} {_place(bend[1])} {_place(end)}")
        else:
            way.append(f"V{number(end.y)}" if start.x == end.x else f"H{number(end.x)}")
    return "".join(way)


def _place(point: Point) -> str:
    return f"{number(point.x)},{number(point.y)}"
