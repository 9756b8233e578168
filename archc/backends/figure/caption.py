"""A figure in words, for those who cannot see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from archc.backends.figure.model import Column

_TITLE, _DESCRIPTION = 80, 300
"""The most characters of an author's title and description."""

_KINDS = {
    "conv": "convolution",
    "pool": "pooling",
    "fc": "fully connected layer",
    "part": "composite layer",
}


def headline(columns: Sequence[Column]) -> str:
    """The figure's name: its columns' titles."""
    *others, last = [_cut(column.title, _TITLE) for column in columns]
    return f"{', '.join(others)} and {last}" if others else last


def describe(columns: Sequence[Column]) -> str:
    """What the figure shows: the layers, shortcuts and totals of each column."""
    many = len(columns) > 1
    intro = "Network architectures side by side, each" if many else "A network architecture,"
    return " ".join([f"{intro} from the image at the top downwards.", *map(_column, columns)])


def _column(column: Column) -> str:
    facts = [*_layers(column), *_sides(column), *column.totals]
    words = f"{_cut(column.title, _TITLE)}: {', '.join(facts)}."
    if not column.description:
        return words
    return f"{words} {_cut(column.description, _DESCRIPTION).rstrip('.')}."


def _layers(column: Column) -> Iterator[str]:
    kinds = ["part" if box.holds else box.kind for box in column.boxes]
    for kind, count in Counter(kinds).items():
        yield f"{count} {_KINDS.get(kind, 'other layer')}{'s' * (count > 1)}"
    if column.shortcuts:
        dotted = sum(shortcut.dotted for shortcut in column.shortcuts)
        shortcuts = f"{len(column.shortcuts)} shortcut{'s' * (len(column.shortcuts) > 1)}"
        yield f"{shortcuts} ({dotted} dotted: the shape changes)" if dotted else shortcuts


def _sides(column: Column) -> Iterator[str]:
    count = sum(len(side.names) for side in column.sides)
    if count:
        yield f"{count} side head{'s' * (count > 1)} in training alone"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
