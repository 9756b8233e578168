"""Networks at a glance: a row of boxes for each, one per stage, as wide as a page or a slide.

The page, from above: for each network its title with its totals, its boxes around one level line,
and below each box what it is made of and its shares. All rows have the same columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from archc.backends.figure.curves import line
from archc.backends.figure.font import text_width
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text, element_id
from archc.backends.figure.stages import Stage, share, stages
from archc.backends.figure.text import one_line, shorten
from archc.backends.figure.theme import is_between_octaves, octave
from archc.backends.numbers import in_short
from archc.backends.unknown import remark
from archc.dataclassing import dataclass
from archc.graph import Network

TITLE, TOTALS, LABEL = 12.5, 9.5, 9.0
"""Sizes of type."""
TITLE_LINE, TOTALS_LINE, LINE = 16.0, 12.0, 11.0
"""Heights of lines."""
MARGIN = 8.0
GUTTER_GAP = 11.0
"""Between the words on the left and the first box."""
TALLEST, LOWEST = 92.0, 15.0
"""The height of the box of the largest map, and of the smallest."""
GAP = 13.0
"""Between two boxes: room for an arrow."""
HEAD = 3.5
MIN_SLOT, MAX_SLOT = 54.0, 130.0
"""The room for a box and the arrow to it."""
PADDING = 4.5
"""Left and right of the words in a box."""
NARROW = 0.72
"""The width of a stem's or a head's box, as a part of a stage's."""
MAX_TITLE = 300.0
"""Up to this width of a title a page grows for it."""
MAX_LINES = 5
"""Of a label."""
TEXT_GAP = 6.0
"""Between words of neighbouring boxes, and between a box and the words below."""
ROW_GAP = 22.0
_LEGEND = (
    "In a box: the output size, whose square root sets the height. Below: shares of the totals."
)
HEADS = ("multiply-adds", "parameters")
"""What the lines of shares are called."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A network in the figure: where its columns begin, and the lines of its labels."""

    network: Network
    stages: tuple[Stage, ...]
    places: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]

    @property
    def title(self) -> str:
        """What it is called."""
        return one_line(self.network.title) or one_line(self.network.name) or "network"

    @property
    def totals(self) -> str:
        """What all of it costs and holds."""
        network = self.network
        parts = [
            f"{in_short(network.multiply_adds)} multiply-adds",
            *remark(network),
            f"{in_short(network.params)} parameters",
        ]
        return ", ".join(filter(None, parts))

    @property
    def lines(self) -> int:
        """How many lines its longest label has."""
        return max([len(label) for label in self.labels], default=0)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What all rows share: the columns' left edge and width, the size of the largest map."""

    left: float
    slot: float
    largest: int

    def middle(self, place: int) -> float:
        """The x of the middle of a column's box."""
        return self.left + place * self.slot + (self.slot + GAP) / 2

    def height(self, stage: Stage) -> float:
        """Of a stage's box: as the root of its map's, so that 7 pixels are seen beside 112."""
        return max(TALLEST * math.sqrt(stage.rows / self.largest), LOWEST)


def lay_out_overview(networks: Sequence[Network]) -> Scene:
    """Put a row of boxes for each network below each other, aligned where the stages are."""
    shown = [stages(network) for network in networks]
    slot = _slot([stage for row in shown for stage in row])
    rows = [_row(network, row, shown, slot) for network, row in zip(networks, shown, strict=True)]
    gutter = max(text_width(word, LABEL) for row in rows for word in (*HEADS, *_image(row)))
    largest = max([stage.rows for row in shown for stage in row], default=1)
    grid = _Grid(MARGIN + gutter + GUTTER_GAP - GAP, slot, largest)
    columns = max([place + 1 for row in rows for place in row.places], default=1)
    width = max(grid.left + columns * slot + MARGIN, *[_title_width(row) for row in rows])
    made = _Drawing()
    y = MARGIN
    for number, row in enumerate(rows, start=1):
        y = made.add(row, f"c{number}", grid, y, width - 2 * MARGIN) + ROW_GAP
    y = made.add_legend(y - ROW_GAP / 2, width)
    return Scene(
        width=width,
        height=y + MARGIN / 2,
        title=f"Overview of {', '.join(row.title for row in rows)}",
        description=" ".join([_describe(row) for row in rows]),
        stripes=(),
        curves=tuple(made.curves),
        boxes=tuple(made.boxes),
        texts=tuple(made.texts),
    )


def _title_width(row: _Row) -> float:
    """How wide a page must be for a row's title and totals; a long title is cut."""
    title = min(text_width(row.title, TITLE), MAX_TITLE)
    return 2 * MARGIN + max(title, text_width(row.totals, TOTALS))


def _image(row: _Row) -> tuple[str, str]:
    _, height, width = row.network.input_shape
    return "image", f"{height}x{width}"


def _row(
    network: Network, row: Sequence[Stage], shown: Sequence[Sequence[Stage]], slot: float
) -> _Row:
    """A network with the columns of its boxes: a stem's is the first where any network has one."""
    stems = any(stage.column == 0 for other in shown for stage in other)
    last = max([stage.column or 0 for stage in row], default=0)
    places = [(last + 1 if stage.column is None else stage.column) - (not stems) for stage in row]
    labels = [tuple(_wrapped(stage.label, slot - TEXT_GAP)) for stage in row]
    return _Row(network, tuple(row), tuple(places), tuple(labels))


def _slot(shown: Sequence[Stage]) -> float:
    """The least width of a column in which labels have few lines and no word is cut."""
    words = [text_width(word, LABEL) for stage in shown for word in stage.label.split()]
    sizes = [text_width(stage.size, LABEL) + 2 * PADDING + GAP for stage in shown]
    slot = max([MIN_SLOT, *[word + TEXT_GAP for word in words]])
    slot = max([min(slot, MAX_SLOT), *sizes])
    while slot < MAX_SLOT and any(
        len(_wrapped(stage.label, slot - TEXT_GAP)) > MAX_LINES for stage in shown
    ):
        slot += 4
    return slot


def _wrapped(text: str, width: float) -> list[str]:
    """A label in lines; a word that is wider than the lines is cut."""
    lines: list[str] = []
    for word in _TOGETHER.sub("\xa0", text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and not lines[-1].endswith(";") and text_width(longer, LABEL) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, LABEL, width))
    lines = [text.replace("\xa0", " ") for text in lines if text]
    if len(lines) > MAX_LINES + 2:
        lines[MAX_LINES + 1 :] = [shorten(lines[MAX_LINES + 1] + "…", LABEL, width)]
    return [text.removesuffix(";") for text in lines]


_TOGETHER = re.compile(r"(?<=\N{MULTIPLICATION SIGN}) | (?=/\d)")
"""Spaces at which a label is not broken: ``× 3``, ``64, /2``."""


class _Drawing:
    """What has its place already."""

    def __init__(self) -> None:
        self.boxes: list[Rect] = []
        self.texts: list[Text] = []
        self.curves: list[Curve] = []

    def add(self, row: _Row, prefix: str, grid: _Grid, top: float, room: float) -> float:
        """Put a network below what is there, its title in so much room; returns the y below it."""
        self._add_title(row, prefix, top, room)
        heights = [grid.height(stage) for stage in row.stages]
        tallest = max([*heights, LOWEST])
        middle = top + TITLE_LINE + TOTALS_LINE + TEXT_GAP + tallest / 2
        before, edge = self._add_image(row, prefix, middle)
        for stage, place, height in zip(row.stages, row.places, heights, strict=True):
            box = self._box(row, stage, prefix, grid, Point(grid.middle(place), middle), height)
            self._arrow(before, edge, box)
            before, edge = box.id, box.right
        below = middle + tallest / 2 + TEXT_GAP
        return self._add_words(row, prefix, grid, below)

    def _add_image(self, row: _Row, prefix: str, middle: float) -> tuple[str, float]:
        """The image's words on two lines: the id of the first, and the x at which they end."""
        words = _image(row)
        half = max(text_width(word, LABEL) for word in words) / 2
        for name, word, y in (("input", words[0], -LINE / 2), ("input-size", words[1], LINE / 2)):
            at = Point(MARGIN + half, middle + y)
            self.texts.append(Text(f"{prefix}-{name}", "image", word, at, LABEL, within=(prefix,)))
        return f"{prefix}-input", MARGIN + 2 * half + TEXT_GAP / 2

    def _add_title(self, row: _Row, prefix: str, top: float, room: float) -> None:
        """The title, and the totals on a line of their own: in a viewer's font, which may be
        wider, neither runs into the other."""
        lines = (
            ("title", shorten(row.title, TITLE, room), TITLE, TITLE_LINE / 2),
            ("total-1", row.totals, TOTALS, TITLE_LINE + TOTALS_LINE / 2),
        )
        for name, words, size, y in lines:
            role, at = name.removesuffix("-1"), Point(MARGIN, top + y)
            self.texts.append(
                Text(f"{prefix}-{name}", role, words, at, size, left=True, within=(prefix,))
            )

    def _box(
        self, row: _Row, stage: Stage, prefix: str, grid: _Grid, centre: Point, height: float
    ) -> Rect:
        width = grid.slot - GAP
        if stage.is_end:
            width = max(NARROW * width, text_width(stage.size, LABEL) + 2 * PADDING)
        name = element_id(prefix, stage.name.replace(" ", "-"))
        box = Rect(
            id=name,
            role="stage",
            centre=centre,
            width=width,
            height=height,
            shade=None if stage.width is None else octave(stage.width),
            label=stage.size,
            tooltip="\n".join(stage.facts(row.network)),
            size=LABEL,
            is_odd=stage.width is not None and is_between_octaves(stage.width),
            within=(prefix, name),
        )
        self.boxes.append(box)
        return box

    def _arrow(self, before: str, edge: float, box: Rect) -> None:
        left, y = box.right - box.width, box.centre.y
        points = line(Point(edge, y), Point(left - HEAD, y))
        self.curves.append(
            Curve(
                id=f"{box.id}-arrow",
                role="flow",
                points=points,
                tail=before,
                head=box.id,
                tip=Point(left, y),
                within=box.within,
            )
        )

    def _add_words(self, row: _Row, prefix: str, grid: _Grid, top: float) -> float:
        """The labels below the boxes, and their shares in lines; returns the y below them."""
        y = top + LINE / 2
        shares = y + row.lines * LINE + 2
        boxes = self.boxes[len(self.boxes) - len(row.stages) :]
        for box, label in zip(boxes, row.labels, strict=True):
            for number, words in enumerate(label):
                self._word(f"{box.id}-label-{number + 1}", "label", words, box, y + number * LINE)
        network = row.network
        totals = (network.multiply_adds, network.params)
        for name, total in zip(HEADS, totals, strict=True):
            if not total:
                continue
            at = Point(MARGIN, shares)
            self.texts.append(
                Text(f"{prefix}-{name}", "band", name, at, LABEL, left=True, within=(prefix,))
            )
            for box, stage in zip(boxes, row.stages, strict=True):
                number = stage.multiply_adds if name == HEADS[0] else stage.params
                self._word(f"{box.id}-{name}", "share", share(number, total), box, shares)
            shares += LINE
        return shares - LINE / 2

    def _word(self, id: str, role: str, words: str, box: Rect, y: float) -> None:
        at = Point(box.centre.x, y)
        self.texts.append(Text(id, role, words, at, LABEL, within=box.within))

    def add_legend(self, top: float, width: float) -> float:
        """Say what the boxes' numbers and heights are; returns the y below it."""
        lines = _wrapped(_LEGEND, width - 2 * MARGIN)
        for number, words in enumerate(lines, start=1):
            at = Point(MARGIN, top + (number - 0.5) * LINE)
            name = f"legend-{number}"
            self.texts.append(Text(name, "legend", words, at, LABEL, left=True))
        return top + len(lines) * LINE


def _describe(row: _Row) -> str:
    """A row in words, for those who cannot see it."""
    total = row.network.multiply_adds
    parts = []
    for stage in row.stages:
        part = f", {share(stage.multiply_adds, total)} of multiply-adds" if total else ""
        parts.append(f"{stage.name} ({stage.label or 'no layers'}, {stage.size}{part})")
    return f"{row.title}, {row.totals}, from left to right: {'; '.join(parts) or 'no layers'}."
