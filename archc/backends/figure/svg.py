"""Graphviz's SVG made ready to be shown: described, with tooltips that browsers show, undated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from xml.sax.saxutils import escape

_DOTS = "1.6,3"
"""Points of ink and of paper in a dotted line; Graphviz's own, 1 and 5, are faint in print."""
_SPECIAL = re.compile(r'[&<>"\r\n\t]')
_ATTRIBUTE = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}


def finish(svg: bytes, title: str, description: str) -> bytes:
    """The SVG with a title and a description for the whole and for each box and shortcut.

    Comments (the Graphviz version among them) and the document type go, as do the titles that
    Graphviz gives to all things, which are ids and would show up as tooltips.
    """
    return _Finisher(title, description).run(svg)


@dataclass(slots=True)
class _Element:
    """An element that is not closed yet: where its start tag stands in the output, and where the
    title of a group may go. ``shown`` is false for one that is left out around its content."""

    name: str
    start: int
    title: int | None = None
    shown: bool = True


class _Finisher:
    """Writes a document as it is parsed: a tree of the deepest network took 200 MB."""

    def __init__(self, title: str, description: str):
        self.words = {"title": title, "desc": description}
        self.done = BytesIO()
        self.out: list[str] = []
        self.open: list[_Element] = []
        self.is_tag_open = False
        self.drops_text = False

    def run(self, svg: bytes) -> bytes:
        """The finished document."""
        from xml.parsers import expat

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self.done.write(b"<?xml version='1.0' encoding='utf-8'?>\n")
        parser.Parse(svg, True)
        self._flush()
        self.done.write(b"\n")
        return self.done.getvalue()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self.open[-1] if self.open else None
        tooltip = attributes.get("xlink:title")
        element = _Element(name, len(self.out))
        if parent is not None and name == "a" and tooltip is not None:
            self._put_tooltip(parent, tooltip)
            element.shown = False
        elif parent is not None and name == "title":
            self._close_tag()
            parent.title = len(self.out)  # for the words of a link in the group, if there is one
            self.out.append("")
            element.shown = False
        else:
            self._close_tag()
            element.start = len(self.out)
            self._write_tag(name, attributes, is_root=parent is None)
        self.open.append(element)
        self.drops_text = not element.shown

    def _put_tooltip(self, wrapper: _Element, tooltip: str) -> None:
        """Put a tooltip, which Graphviz wraps around things as a link, into the group's title."""
        group = self.open[-2]
        if group.title is not None:
            self.out[group.title] = f"<title>{escape(tooltip)}</title>\n"
        del self.out[wrapper.start :]
        wrapper.shown = self.is_tag_open = False

    def _write_tag(self, name: str, attributes: dict[str, str], *, is_root: bool) -> None:
        if is_root:
            attributes = {
                "xmlns": attributes["xmlns"],
                **{key: value for key, value in attributes.items() if not key.startswith("xmlns")},
                "role": "img",
                "aria-labelledby": "figure-title",
                "aria-describedby": "figure-desc",
            }
        if "stroke-dasharray" in attributes:
            attributes["stroke-dasharray"] = _DOTS
        if _SPECIAL.search("".join(attributes.values())):
            attributes = {key: escape(value, _ATTRIBUTE) for key, value in attributes.items()}
        words = [f' {key}="{value}"' for key, value in attributes.items()]
        self.out.append(f"<{name}{''.join(words)}")
        self.is_tag_open = True
        if is_root:
            self._close_tag()
            for tag, text in self.words.items():
                self.out.append(f'\n<{tag} id="figure-{tag}">{escape(text)}</{tag}>')

    def _end(self, name: str) -> None:
        ended = self.open.pop()
        if not ended.shown:
            self._close_tag()
        elif self.is_tag_open:
            self.out.append(" />")
            self.is_tag_open = False
        else:
            self.out.append(f"</{name}>")
        self.drops_text = not ended.shown
        if len(self.open) == 2:  # one of the figure's things, of which nothing more is to come
            self._flush()

    def _text(self, text: str) -> None:
        if not self.drops_text:
            self._close_tag()
            self.out.append(escape(text) if _SPECIAL.search(text) else text)

    def _close_tag(self) -> None:
        if self.is_tag_open:
            self.out.append(">")
            self.is_tag_open = False

    def _flush(self) -> None:
        self.done.write("".join(self.out).encode())
        self.out.clear()
