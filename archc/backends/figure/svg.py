"""Graphviz's SVG made ready to be shown: described, with tooltips that browsers show, undated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}title"
_DOTS = "1.6,3"
"""Points of ink and of paper in a dotted line; Graphviz's own, 1 and 5, are faint in print."""


def finish(svg: bytes, title: str, description: str) -> bytes:
    """The SVG with a title and a description for the whole and for each box and shortcut.

    Comments (the Graphviz version among them) and the document type go, as do the titles that
    Graphviz gives to all things, which are ids and would show up as tooltips.
    """
    from xml.etree import ElementTree

    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(svg)
    for group in list(root.iter(f"{{{_SVG}}}g")):
        _retitle(group)
    for path in root.iterfind(".//*[@stroke-dasharray]"):
        path.set("stroke-dasharray", _DOTS)
    root.set("role", "img")
    root.set("aria-labelledby", "figure-title")
    root.set("aria-describedby", "figure-desc")
    for tag, text in (("desc", description), ("title", title)):
        words = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"figure-{tag}"})
        words.text, words.tail = text, "\n"
        root.insert(0, words)
    root.text = "\n"
    finished: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return finished + b"\n"


def _retitle(group: Element) -> None:
    """Put a tooltip, which Graphviz wraps around things as a link, into the group's title."""
    title = group.find(f"{{{_SVG}}}title")
    wrapper = group.find(f"{{{_SVG}}}g")
    link = None if wrapper is None else wrapper.find(f"{{{_SVG}}}a")
    if title is None:
        return
    tooltip = None if link is None else link.get(_LINK)
    if wrapper is None or link is None or tooltip is None:
        group.remove(title)
        return
    title.text = tooltip
    place = list(group).index(wrapper)
    group.remove(wrapper)
    for offset, child in enumerate(list(link)):
        group.insert(place + offset, child)
