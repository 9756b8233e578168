"""Plots under test: as matplotlib lays them out, and as the files say."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"
FAMILIES = "'Liberation Sans', Helvetica, Arial, sans-serif"


@dataclass
class Words:
    """A text of a figure and the box around it, in pixels of the layout."""

    text: str
    box: Any


def laid_out(monkeypatch: pytest.MonkeyPatch, module: str) -> list[Any]:
    """The figures that a module saves from now on, with the settings that they are saved with."""
    import archc.plots

    figures: list[Any] = []

    def keep(figure: Any, format: str, title: str) -> bytes:
        figure.draw_without_rendering()
        figure.words = list(_words(figure))
        figure.legend_box = figure.legends[0].get_window_extent()
        figures.append(figure)
        return archc.plots.saved(figure, format, title)

    monkeypatch.setattr(f"{module}.saved", keep)
    return figures


def _words(figure: Any) -> Iterator[Words]:
    from matplotlib.text import Text

    hidden = {id(text) for axes in figure.axes for text in _beyond(axes)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden:
            yield Words(text.get_text(), text.get_window_extent())


def _beyond(axes: Any) -> Iterator[Any]:
    """Numbers that are not drawn, as they are beyond an axis's ends."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        room = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - room <= tick.get_loc() <= high + room:
                yield from (tick.label1, tick.label2)


def assert_legible(figure: Any) -> None:
    """No text overlaps another or leaves the figure; type is as large as in papers."""
    for words in figure.words:
        assert words.box.x0 >= -0.5, words
        assert words.box.y0 >= -0.5, words
        assert words.box.x1 <= figure.bbox.x1 + 0.5, words
        assert words.box.y1 <= figure.bbox.y1 + 0.5, words
    for first, second in combinations(figure.words, 2):
        overlap = (
            min(first.box.x1, second.box.x1) - max(first.box.x0, second.box.x0),
            min(first.box.y1, second.box.y1) - max(first.box.y0, second.box.y0),
        )
        assert min(overlap) < 0.3, (first, second)
    for axes in figure.axes:
        assert not figure.legend_box.overlaps(axes.bbox)


def legend_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts_of(svg: bytes) -> list[str]:
    """The texts of an SVG, each of which must be set in the shipped font."""
    found = list(ElementTree.fromstring(svg).iter(f"{SVG}text"))
    for text in found:
        assert FAMILIES in text.attrib["style"]
        assert "font-size: 7px" in text.attrib["style"] or "font: 7px" in text.attrib["style"]
    return ["".join(text.itertext()) for text in found]


def assert_embeds_the_shipped_font_alone(pdf: bytes) -> None:
    """As TrueType: no Type 3, and none of the machine's fonts."""
    content = pdf
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            content += zlib.decompress(stream)
        except zlib.error:
            content += stream
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    names = re.findall(rb"/(?:BaseFont|FontName) /(\S+)", content)
    assert names
    assert {name.rpartition(b"+")[2] for name in names} == {b"LiberationSans"}
