"""A scene as DOT text: every node and every edge with its place, for ``neato -n2`` or ``nop2``.

DOT measures from the bottom left corner, positions in points and sizes in inches. Of a dotted line
it knows no pattern: its dots are Graphviz's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from archc.backends.figure import pen
from archc.backends.figure.font import FALLBACKS
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.theme import THEMES, Theme, fill_of

_FONT = ",".join(FALLBACKS)
_SIZE = 11.0
"""Of a label's type, unless its rectangle has another."""


def to_dot(scene: Scene, theme: Theme = THEMES["light"], *, transparent: bool = False) -> str:
    """The scene as DOT; equal scenes give equal text."""
    return "".join(_statements(scene, theme, transparent=transparent))


def _statements(scene: Scene, theme: Theme, *, transparent: bool) -> Iterator[str]:
    yield "digraph figure {\n"
    yield _statement("graph", None, _page("transparent" if transparent else theme.paper))
    yield _statement("node", None, _node_style(scene, theme))
    yield _statement("edge", None, _edge_style(scene, theme))
    yield _rect(scene, _whole_page(scene), style="invis")
    shade = f"{theme.ink}{round(255 * pen.VEIL):02x}" if transparent else theme.stripe
    for stripe in scene.stripes:
        yield _rect(scene, stripe, style="filled", color=shade, fillcolor=shade)
    for box in scene.boxes:
        yield _box(scene, box, theme)
    for text in scene.texts:
        yield _text(scene, text)
    for curve in scene.curves:
        yield _curve(scene, curve)
    yield "}\n"


def _page(ground: str) -> dict[str, str]:
    return {
        "charset": "UTF-8",
        "layout": "nop2",
        "bgcolor": ground,
        "pad": "0",
        "margin": "0",
        "outputorder": "nodesfirst",
        "id": "figure",
        "class": "archc",
    }


def _node_style(scene: Scene, theme: Theme) -> dict[str, str]:
    return {
        "shape": "box",
        "fixedsize": "shape",
        "margin": "0",
        "fontname": _FONT,
        "fontsize": pen.number(_SIZE),
        "fontcolor": theme.ink,
        "color": theme.outline,
        "penwidth": pen.number(scene.scale * pen.OUTLINE),
    }


def _edge_style(scene: Scene, theme: Theme) -> dict[str, str]:
    return {
        "color": theme.ink,
        "penwidth": pen.number(scene.scale * pen.LINE),
        "arrowsize": pen.number(scene.scale * 0.35),
        "fontname": _FONT,
        "fontcolor": theme.ink,
    }


def _whole_page(scene: Scene) -> Rect:
    """Holds the page open: Graphviz cuts it to what is on it."""
    centre = Point(scene.width / 2, scene.height / 2)
    return Rect("page", "page", centre, scene.width, scene.height)


def _box(scene: Scene, box: Rect, theme: Theme) -> str:
    role = box.role if box.shade is None else f"{box.role} shade-{box.shade}"
    style = {"class": role, "style": "filled", "fillcolor": fill_of(box, theme)}
    if box.role == "plus":
        style["shape"] = "circle"
    if "pill" in box.role:
        style["style"] = "filled,rounded"
    if box.is_odd:
        style["penwidth"] = pen.number(pen.outline_width(box, scene.scale))
    return _rect(scene, box, **style)


def _rect(scene: Scene, rect: Rect, **style: str) -> str:
    if rect.size != _SIZE:
        style["fontsize"] = _number(rect.size)
    attributes = {
        **_named(rect.id, rect.role),
        "pos": _places(scene, [rect.centre]),
        "width": _inches(rect.width),
        "height": _inches(rect.height),
        "tooltip": _literal_tooltip(rect.tooltip),
        **style,
    }
    return _statement(_quoted(rect.id), _literal(rect.label), attributes)


def _text(scene: Scene, text: Text) -> str:
    attributes = {
        **_named(text.id, text.role),
        "pos": _places(scene, [text.centre]),
        "shape": "plaintext",
        "width": _inches(text.width),
        "height": _inches(text.size * 1.3),
        "fontsize": _number(text.size),
    }
    label = _literal(text.text) + (r"\l" if text.left else "")
    return _statement(_quoted(text.id), label, attributes)


def _curve(scene: Scene, curve: Curve) -> str:
    attributes = _named(curve.id, curve.role)
    tip = f"e,{_places(scene, [curve.tip])} " if curve.tip else ""
    attributes["pos"] = tip + _places(scene, curve.points)
    if not curve.tip:
        attributes["dir"] = "none"
    if pen.is_dotted(curve):
        attributes["style"] = "dotted"
    if (width := pen.line_width(curve, scene.scale)) != scene.scale * pen.LINE:
        attributes["penwidth"] = pen.number(width)
    if curve.tooltip:
        attributes["tooltip"] = _literal_tooltip(curve.tooltip)
    label = None
    if curve.mark:
        label = _literal(curve.mark.text)
        attributes["fontsize"] = _number(curve.mark.size)
        attributes["lp"] = _places(scene, [curve.mark.centre])
    ends = f"{_quoted(curve.tail)} -> {_quoted(curve.head)}"
    return _statement(ends, label, attributes)


def _statement(subject: str, label: str | None, attributes: Mapping[str, str]) -> str:
    words = [] if label is None else [f"label={_quoted(label)}"]
    words += [f"{name}={_quoted(value)}" for name, value in sorted(attributes.items())]
    return f"\t{subject} [{' '.join(words)}]\n"


_BARE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|-?(\.[0-9]+|[0-9]+(\.[0-9]*)?)")
_KEYWORDS = frozenset({"node", "edge", "graph", "digraph", "subgraph", "strict"})


def _quoted(text: str) -> str:
    """A text as DOT has it: between quotes where it is no word and no number."""
    if _BARE.fullmatch(text) and text.lower() not in _KEYWORDS:
        return text
    return f'"{text.replace(_QUOTE, _ESCAPED_QUOTE)}"'


_QUOTE, _ESCAPED_QUOTE = '"', '\\"'


def _named(name: str, role: str) -> dict[str, str]:
    return {"id": name, "class": role}


def _places(scene: Scene, points: Sequence[Point]) -> str:
    return " ".join([f"{_number(x)},{_number(scene.height - y)}" for x, y in points])


def _inches(length: float) -> str:
    return f"{length / 72:.5g}"


def _number(value: float) -> str:
    return f"{value:.2f}"


def _literal(text: str) -> str:
    r"""Text that Graphviz shows as it stands: no escapes (``\N``), entities or HTML in it."""
    return text.replace("&", "&amp;").replace("\\", "\\\\")


def _literal_tooltip(text: str) -> str:
    r"""The same for tooltips, where line breaks are kept and Graphviz reads escapes twice."""
    return text.replace("&", "&amp;").replace("\\", "\\\\\\\\").replace("\n", "\\n")
