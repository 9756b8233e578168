"""Rows of results as text, CSV, Markdown: one table, many printers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from archc.backends.numbers import shape
from archc.dataclassing import dataclass
from archc.text import display_width, visible

_GAP = "   "
"""What stands between two columns."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None | Sequence[int]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading with the unit, the key it has in CSV, and how people read it."""

    heading: str
    key: str
    show: Callable[[Any], str] = str

    def __post_init__(self) -> None:
        # A spec's file name may be a heading, and is a text from outside like those in cells.
        object.__setattr__(self, "heading", visible(self.heading))

    def text(self, cell: Cell) -> str:
        """A cell as people read it, safe to show; nothing where there is nothing."""
        return "" if cell is None else visible(self.show(cell))


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows with a cell for each."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", visible(self.title))

    def csv(self) -> str:
        """RFC 4180, numbers exact, lists joined by ``x``, texts as `csv_text` has them."""
        lines = [[column.key for column in self.columns], *self.rows]
        return "".join(f"{','.join(map(_csv_cell, line))}\n" for line in lines)

    def markdown(self) -> str:
        """A Markdown table under its title, numbers to the right."""
        lines = [[column.heading for column in self.columns]]
        lines += [self.texts(row) for row in self.rows]
        marks = ["---:" if self.is_number(i) else "---" for i in range(len(self.columns))]
        lines.insert(1, marks)
        title = f"**{_markdown(self.title)}**\n\n" if self.title else ""
        return title + "".join(f"| {' | '.join(map(_markdown, line))} |\n" for line in lines)

    def text(self) -> str:
        """The table under its title as plain text, as wide as it needs to be."""
        title = f"{self.title}\n" if self.title else ""
        return title + "".join(f"{line}\n" for line in self.lines())

    def lines(self) -> list[str]:
        """The heading, a rule, and a line for each row; no cell is ever cut."""
        # Printed here and not by rich, which takes a minute for the ops of a network at its bounds.
        if not self.columns:
            return [""]
        grid = [[column.heading for column in self.columns], *map(self.texts, self.rows)]
        sizes = [list(map(display_width, column)) for column in zip(*grid, strict=True)]
        widths = list(map(max, sizes))
        right = [self.is_number(index) for index in range(len(widths))]
        lines = [
            _GAP.join(
                [
                    " " * (width - size) + cell if is_right else cell + " " * (width - size)
                    for cell, size, width, is_right in zip(cells, row, widths, right, strict=True)
                ]
            ).rstrip()
            for cells, row in zip(grid, zip(*sizes, strict=True), strict=True)
        ]
        rule = "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (sum(widths) + len(_GAP) * (len(widths) - 1))
        return [lines[0], rule, *lines[1:]]

    def texts(self, row: tuple[Cell, ...]) -> list[str]:
        """The cells of a row as people read them."""
        return [column.text(cell) for column, cell in zip(self.columns, row, strict=True)]

    def is_number(self, index: int) -> bool:
        """Whether a column holds numbers alone, which stand to the right."""
        cells = [row[index] for row in self.rows if row[index] is not None]
        return bool(cells) and all(isinstance(cell, (int, float)) for cell in cells)


def csv_text(text: str) -> str:
    """A text as a cell of a CSV file: exact, unless a spreadsheet would take it for a formula.

    Such a text gets a leading quote (OWASP, "CSV injection"), which spreadsheets do not show.

    >>> csv_text("=1+1"), csv_text("-"), csv_text("conv2d")
    ("'=1+1", '-', 'conv2d')
    """
    return f"'{text}" if text != "-" and text.startswith(_FORMULA) else text


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, (int, float)):
        return str(cell)
    if not isinstance(cell, str):
        return shape(cell)
    text = csv_text(cell)
    # Python's writer leaves a carriage return bare, where readers take it for the end of a row.
    return '"' + text.replace('"', '""') + '"' if re.search('[,"\r\n]', text) else text


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
