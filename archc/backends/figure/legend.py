"""The legend below a figure: an entry for each sign and abbreviation in it, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from archc.backends.figure.columns import NORMS, SIGNS_OF
from archc.backends.figure.curves import line
from archc.backends.figure.font import text_width
from archc.backends.figure.metrics import Metrics
from archc.backends.figure.model import Column
from archc.backends.figure.scene import Curve, Point, Rect, Text
from archc.backends.figure.theme import is_between_octaves
from archc.backends.figure.tree import Bus, Row, rows_in
from archc.dataclassing import dataclass

DASH, MARK_GAP, GAP = 26.0, 7.0, 30.0


@dataclass(frozen=True, slots=True)
class Item:
    """A sample of a line's role, or a mark where ``mark`` is not empty, and what it means."""

    role: str
    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Legend:
    """The items in their places; ``right`` is as far as they reach."""

    texts: tuple[Text, ...]
    boxes: tuple[Rect, ...]
    curves: tuple[Curve, ...]
    right: float


_GLYPHS = {
    "+": "sum",
    "\N{MULTIPLICATION SIGN}": "product",
    "C": "concatenation",
    **dict(SIGNS_OF.values()),
}
"""The meaning of the signs in circles."""


def items_of(columns: Sequence[Column]) -> list[Item]:
    """Explanations of what occurs in columns."""
    shortcuts = [shortcut for column in columns for shortcut in column.shortcuts]
    glyphs = dict.fromkeys(glyph.glyph for column in columns for glyph in column.glyph_of.values())
    boxes = [box for column in columns for box in column.boxes]
    labels = [box.label for box in boxes]
    items: list[Item] = []
    if any(not shortcut.dotted for shortcut in shortcuts):
        items.append(Item("solid", "", "shortcut, same shape"))
    if any(shortcut.dotted for shortcut in shortcuts):
        items.append(Item("dotted", "", "shortcut, shape changes"))
    if any(shortcut.mark == "1x1" for shortcut in shortcuts):
        items.append(Item("", "1x1", "projection"))
    items += [Item("", glyph, text) for glyph, text in _GLYPHS.items() if glyph in glyphs]
    if any(_has_bus(column.row) for column in columns):
        items.append(Item("bus", "", "all channels so far"))
    items += _pills(columns)
    if any(box.channels and is_between_octaves(box.channels) for box in boxes):
        items.append(Item("odd", "", "width between two colours"))
    if any(re.search(r"\bdw\b", label) for label in labels + [one.mark for one in shortcuts]):
        items.append(Item("", "dw", "depthwise"))
    if any(re.search(r", g\d", label) for label in labels):
        items.append(Item("", "g", "groups"))
    said = dict.fromkeys(column.word_in_lanes for column in columns if column.word_in_lanes)
    items += [Item("", word, "after each convolution in branches") for word in said]
    words = {word for column in columns for word in column.word_of.values()}
    items += [Item("", short, norm) for norm, short in NORMS.items() if short in words]
    if any(column.times_of for column in columns):
        items.append(Item("", "\N{MULTIPLICATION SIGN} n", "identical branches"))
    if any(column.repeats for column in columns):
        items.append(Item("", "\N{MULTIPLICATION SIGN} n", "equal blocks in a row"))
    if any(repeat.growth for column in columns for repeat in column.repeats):
        items.append(Item("", "k", "channels that each layer adds"))
    return items


def _pills(columns: Sequence[Column]) -> Iterator[Item]:
    """What the labels of gates mean; by how much they squeeze, where all do alike."""
    found: dict[str, set[str]] = {}
    for column in columns:
        if not column.is_large:
            for pill in column.pill_of.values():
                found.setdefault(pill.label, set()).add(pill.explained)
    for label, told in found.items():
        yield Item("", label, min(told) if len(told) == 1 else min(told).partition(",")[0])


def _has_bus(row: Row) -> bool:
    return any(isinstance(item, Bus) or any(map(_has_bus, rows_in(item))) for item in row.items)


def legend(columns: Sequence[Column], metrics: Metrics, top: float, right: float) -> Legend:
    """Items from left to right below a figure, in as many lines as they need."""
    return place(items_of(columns), metrics, top, right)


def place(items: Sequence[Item], metrics: Metrics, top: float, right: float) -> Legend:
    """These items below a figure that reaches so far down and to the right."""
    texts: list[Text] = []
    curves: list[Curve] = []
    boxes: list[Rect] = []
    size, margin = metrics.legend, metrics.margin
    x, y = margin, top + metrics.legend_line * 0.75
    widest = 0.0
    for number, item in enumerate(items, start=1):
        sample = text_width(item.mark, metrics.mark) if item.mark else DASH
        width = sample + MARK_GAP + text_width(item.text, size)
        if x > margin and x + width > right:
            x, y = margin, y + metrics.legend_line
        widest = max(widest, x + width)
        name = f"legend-{number}"
        texts.append(
            Text(name, "legend", item.text, Point(x + sample + MARK_GAP, y), size, left=True)
        )
        if item.role == "odd":
            at = Point(x + DASH / 2, y)
            boxes.append(
                Rect(f"{name}-box", "legend", at, DASH, size * 0.8, size=size, is_odd=True)
            )
        elif item.mark:
            texts.append(
                Text(f"{name}-mark", "legend", item.mark, Point(x, y), metrics.mark, left=True)
            )
        else:
            dash = line(Point(x, y), Point(x + DASH, y))
            curves.append(Curve(f"{name}-line", f"legend {item.role}", dash, name, name))
        x += width + GAP
    return Legend(tuple(texts), tuple(boxes), tuple(curves), widest)
