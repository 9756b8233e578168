"""A scene as DOT text: every node and every edge with its place, for ``neato -n2`` or ``nop2``.

DOT measures from the bottom left corner, positions in points and sizes in inches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from archc.backends.figure.font import FALLBACKS
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.theme import THEMES, Theme, fill_of

if TYPE_CHECKING:
    import graphviz


_FONT = ",".join(FALLBACKS)
_SIZE = 11.0
"""Of a label's type, unless its rectangle has another."""


def _node_style(theme: Theme) -> dict[str, str]:
    return {
        "shape": "box",
        "fixedsize": "shape",
        "margin": "0",
        "fontname": _FONT,
        "fontsize": _number(_SIZE).removesuffix(".00"),
        "fontcolor": theme.ink,
        "color": theme.outline,
        "penwidth": "0.7",
    }


def _edge_style(theme: Theme) -> dict[str, str]:
    return {
        "color": theme.ink,
        "penwidth": "0.9",
        "arrowsize": "0.35",
        "fontname": _FONT,
        "fontcolor": theme.ink,
    }


def to_dot(scene: Scene, dpi: int | None = None, theme: Theme = THEMES["light"]) -> str:
    """The scene as DOT; ``dpi`` is the pixels per inch of bitmaps made from it."""
    import graphviz

    page = _page(theme, dpi)
    graph = graphviz.Digraph("figure", graph_attr=page, node_attr=_node_style(theme))
    graph.attr("edge", **_edge_style(theme))
    _add_rect(graph, scene, _whole_page(scene), style="invis")
    for stripe in scene.stripes:
        _add_rect(graph, scene, stripe, style="filled", color=theme.stripe, fillcolor=theme.stripe)
    for box in scene.boxes:
        role = box.role if box.shade is None else f"{box.role} shade-{box.shade}"
        _add_rect(
            graph, scene, replace(box, role=role), style="filled", fillcolor=fill_of(box, theme)
        )
    for text in scene.texts:
        _add_text(graph, scene, text)
    for curve in scene.curves:
        _add_curve(graph, scene, curve)
    return str(graph.source)


def _page(theme: Theme, dpi: int | None) -> dict[str, str]:
    attributes = {
        "charset": "UTF-8",
        "layout": "nop2",
        "bgcolor": theme.paper,
        "pad": "0",
        "margin": "0",
        "outputorder": "nodesfirst",
        "id": "figure",
        "class": "archc",
    }
    return attributes if dpi is None else attributes | {"dpi": str(dpi)}


def _whole_page(scene: Scene) -> Rect:
    """Holds the page open: Graphviz cuts it to what is on it."""
    centre = Point(scene.width / 2, scene.height / 2)
    return Rect("page", "page", centre, scene.width, scene.height)


def _add_rect(graph: graphviz.Digraph, scene: Scene, rect: Rect, **style: str) -> None:
    if rect.role == "plus":
        style["shape"] = "circle"
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
    graph.body.append(_statement(_quoted(rect.id), _literal(rect.label), attributes))


def _add_text(graph: graphviz.Digraph, scene: Scene, text: Text) -> None:
    attributes = {
        **_named(text.id, text.role),
        "pos": _places(scene, [text.centre]),
        "shape": "plaintext",
        "width": _inches(text.width),
        "height": _inches(text.size * 1.3),
        "fontsize": _number(text.size),
    }
    label = _literal(text.text) + (r"\l" if text.left else "")
    graph.body.append(_statement(_quoted(text.id), label, attributes))


def _add_curve(graph: graphviz.Digraph, scene: Scene, curve: Curve) -> None:
    attributes = _named(curve.id, curve.role)
    tip = f"e,{_places(scene, [curve.tip])} " if curve.tip else ""
    attributes["pos"] = tip + _places(scene, curve.points)
    if not curve.tip:
        attributes["dir"] = "none"
    if "dotted" in curve.role:
        attributes["style"] = "dotted"
        attributes["penwidth"] = "1.2"
    if curve.tooltip:
        attributes["tooltip"] = _literal_tooltip(curve.tooltip)
    label = None
    if curve.mark:
        label = _literal(curve.mark.text)
        attributes["fontsize"] = _number(curve.mark.size)
        attributes["lp"] = _places(scene, [curve.mark.centre])
    ends = f"{_quoted(curve.tail)} -> {_quoted(curve.head)}"
    graph.body.append(_statement(ends, label, attributes))


def _statement(subject: str, label: str | None, attributes: Mapping[str, str]) -> str:
    """A line of DOT as graphviz writes it, which takes ten times as long for it."""
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
