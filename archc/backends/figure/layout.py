"""The layout of a figure of columns.

The page, from above: titles with totals, the word "image", bands of boxes, a legend. From the
left: a gutter with each band's output size, then the columns. A row is at the same height in all
columns: it holds one box of each, or one of each of its lanes, and the arrow that leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from archc.backends.figure.caption import describe, headline
from archc.backends.figure.curves import line
from archc.backends.figure.font import text_width
from archc.backends.figure.grid import Grid, Plan
from archc.backends.figure.legend import legend
from archc.backends.figure.measures import Measures
from archc.backends.figure.metrics import WIDE, Metrics
from archc.backends.figure.model import Column
from archc.backends.figure.rows import Drawing, Stop
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text, element_id
from archc.backends.figure.text import shorten, wrap

BRACKET, BRACKET_GAP, BRACKET_TICK = 9.0, 4.0, 4.0
"""From boxes to the bracket of a repeated block, from there to its text; length of its ends."""


def lay_out(
    columns: Sequence[Column],
    described: Sequence[Column] | None = None,
    metrics: Metrics = WIDE,
) -> Scene:
    """Put columns side by side onto one page; what is ``described`` in words may be longer."""
    measures = [Measures(column, metrics) for column in columns]
    box_width = _box_width(columns, metrics)
    room = box_width + 2 * metrics.overhang
    title_lines = max(len(wrap(column.title, metrics.title, room)) for column in columns)
    head = _head_height(title_lines, columns, metrics)
    grid = Grid(columns, metrics, head)
    left = metrics.margin + _gutter_width(grid, metrics) + metrics.gutter_gap
    drawn: list[_Column] = []
    for number, (column, measure) in enumerate(zip(columns, measures, strict=True), start=1):
        one = _Column(column, measure, f"c{number}", left, grid, box_width, title_lines)
        drawn.append(one)
        left = one.right + metrics.column_gap
    texts = [text for one in drawn for text in one.texts]
    bottom = max([grid.bottom, *[text.at.y + metrics.box for text in texts]])
    explained = legend(columns, metrics, bottom, drawn[-1].right)
    width = max(drawn[-1].right, explained.right) + metrics.margin
    below = [text.at.y + metrics.legend_line / 2 for text in explained.texts]
    return Scene(
        width=width,
        height=max([bottom, *below]) + metrics.margin / 2,
        title=headline(columns),
        description=describe(described or columns),
        stripes=tuple(_stripes(grid, width)),
        curves=(*[curve for one in drawn for curve in one.curves], *explained.curves),
        boxes=(*[box for one in drawn for box in one.boxes], *explained.boxes),
        texts=(*_gutter(grid, metrics), *texts, *explained.texts),
    )


def _box_width(columns: Sequence[Column], metrics: Metrics) -> float:
    """How wide the boxes of main paths are, in all columns."""
    labels = [
        text_width(column.box_of[id].label, metrics.label)
        for column in columns
        for id in column.on_spine
    ]
    titles = [
        min(text_width(column.title, metrics.title), metrics.most_title) for column in columns
    ]
    widest = max(labels, default=0.0) + 2 * metrics.padding
    return max(metrics.least_width, widest, max(titles) - 2 * metrics.overhang)


# The grid


def _head_height(title_lines: int, columns: Sequence[Column], metrics: Metrics) -> float:
    """What titles, totals and the row of the image take."""
    totals = max([len(column.totals) for column in columns], default=0)
    titles = title_lines * metrics.title_line + totals * metrics.totals_line
    return metrics.margin + titles + metrics.box + metrics.gap + metrics.band_gap


def _stripes(grid: Grid, width: float) -> Iterator[Rect]:
    """A faint ground under every other band, which leads the eye along it."""
    for number, band in enumerate(grid.bands, start=1):
        if number % 2:
            centre = Point(width / 2, band.top + band.height / 2)
            yield Rect(f"stripe-{number}", "stripe", centre, width, band.height)


def _gutter_width(grid: Grid, metrics: Metrics) -> float:
    labels = [*_band_labels(grid, metrics), *_gutter_head(metrics)]
    return max([text_width(label, metrics.gutter) for label in labels], default=0.0)


def _band_labels(grid: Grid, metrics: Metrics) -> list[str]:
    before = "output size: " if metrics.has_long_bands else ""
    return [before + band.label for band in grid.bands]


def _gutter_head(metrics: Metrics) -> list[str]:
    """The words above the bands' numbers, if these have no words of their own."""
    return [] if metrics.has_long_bands else ["output", "size"]


def _gutter(grid: Grid, metrics: Metrics) -> Iterator[Text]:
    labels = _band_labels(grid, metrics)
    for number, (band, label) in enumerate(zip(grid.bands, labels, strict=True), start=1):
        at = Point(metrics.margin, band.first)
        yield Text(f"band-{number}", "band", label, at, metrics.gutter, left=True)
    y = grid.top - metrics.box / 2 - metrics.gap - metrics.totals_line / 2
    for number, word in enumerate(_gutter_head(metrics), start=1):
        at = Point(metrics.margin, y)
        yield Text(f"bands-{number}", "band", word, at, metrics.gutter, left=True)
        y += metrics.totals_line


# A column


class _Column:
    """One column in its place: ``right`` is as far as anything of it reaches."""

    def __init__(
        self,
        column: Column,
        measures: Measures,
        prefix: str,
        left: float,
        grid: Grid,
        box_width: float,
        title_lines: int,
    ) -> None:
        self.column, self.prefix, self.grid, self.metrics = column, prefix, grid, grid.metrics
        extent = measures.extent(column.row, box_width / 2)
        room = self._repeat_room()
        self.x = left + room + max(extent.left, box_width / 2)
        self.texts: list[Text] = list(self._head(title_lines, box_width))
        image = self.texts[-1]
        half = self.metrics.box / 2
        above = Stop(image.id, image.at.y - half, image.at.y + half)
        plan = grid.plans[int(prefix[1:]) - 1]
        drawing = Drawing(column, measures, prefix, grid, plan)
        drawing.column_from(self.x, box_width / 2, above, self._foot(plan))
        self.boxes, self.curves = drawing.boxes, drawing.curves
        self.texts += drawing.texts
        self.right = self.x + extent.right
        self._sides(drawing)
        self.curves += self._brackets()
        group = (prefix,)
        self.texts = [replace(text, within=text.within or group) for text in self.texts]

    def _head(self, title_lines: int, box_width: float) -> Iterator[Text]:
        """The texts above a column's boxes; the last is the image."""
        metrics, prefix = self.metrics, self.prefix
        room = box_width + 2 * metrics.overhang
        titles = wrap(self.column.title, metrics.title, room)
        # Shorter titles begin lower, so that all totals are at one height.
        y = metrics.margin + (title_lines - len(titles) + 0.5) * metrics.title_line
        for number, title in enumerate(titles, start=1):
            name = f"{prefix}-title" if number == 1 else f"{prefix}-title-{number}"
            yield Text(name, "title", title, Point(self.x, y), metrics.title)
            y += metrics.title_line
        y += (metrics.totals_line - metrics.title_line) / 2
        for number, total in enumerate(self.column.totals, start=1):
            words = shorten(total, metrics.totals, room)
            yield Text(f"{prefix}-total-{number}", "total", words, Point(self.x, y), metrics.totals)
            y += metrics.totals_line
        at = Point(self.x, self.grid.top - metrics.gap - metrics.band_gap / 2)
        yield Text(f"{prefix}-input", "image", "image", at, metrics.label)

    def _foot(self, plan: Plan) -> Stop | None:
        """The word "output", where shortcuts arrive below the last box, or side heads leave there,
        and need an arrow to meet."""
        if not self.column.has_foot:
            return None
        y = self.grid.middle(plan.foot)
        half = self.metrics.box / 2
        name = f"{self.prefix}-output"
        self.texts.append(Text(name, "output", "output", Point(self.x, y), self.metrics.label))
        return Stop(name, y - half, y + half)

    def _sides(self, drawing: Drawing) -> None:
        """A box for side heads beside the arrow at which they leave the main path."""
        metrics = self.metrics
        left = self.right + metrics.reach
        for number, side in enumerate(self.column.sides):
            above, top = drawing.spine[side.arrow]
            y = drawing.sides.get(number, (above.bottom + top) / 2)
            width = text_width(side.label, metrics.label) + 2 * metrics.padding
            name = element_id(self.prefix, side.names[0])
            box = Rect(
                id=name,
                role="other",
                centre=Point(left + width / 2, y),
                width=width,
                height=metrics.box,
                label=side.label,
                tooltip=side.tooltip,
                size=metrics.label,
                within=(self.prefix,),
            )
            self.boxes.append(box)
            points = line(Point(self.x, y), Point(left - metrics.head, y))
            arrow = Curve(f"{name}-arrow", "arrow", points, above.id, name, Point(left, y))
            self.curves.append(replace(arrow, within=(self.prefix,)))
            self.right = max(self.right, left + width)

    # Repeated blocks

    def _repeat_room(self) -> float:
        """What brackets take on the left of a column."""
        if not self.column.repeats:
            return 0.0
        words = [repeat.words for repeat in self.column.repeats]
        widest = max(text_width(text, self.metrics.label) for text in words)
        return BRACKET + BRACKET_GAP + widest

    def _brackets(self) -> Iterator[Curve]:
        """A bracket on the left of each block that represents several, with their number."""
        rects = {box.id: box for box in self.boxes}
        for repeat in self.column.repeats:
            ids = [box.id for box in self.column.boxes[repeat.first : repeat.last + 1]]
            own = [rects[element_id(self.prefix, id)] for id in ids]
            top, bottom = min(box.top for box in own), max(box.bottom for box in own)
            x = min(box.centre.x - box.width / 2 for box in own) - BRACKET
            corners = [
                Point(x + BRACKET_TICK, top),
                Point(x, top),
                Point(x, bottom),
                Point(x + BRACKET_TICK, bottom),
            ]
            pieces = [line(start, end) for start, end in pairwise(corners)]
            size = self.metrics.label
            at = Point(x - BRACKET_GAP - text_width(repeat.words, size), (top + bottom) / 2)
            name = f"{own[0].id}-repeat"
            yield Curve(
                id=name,
                role="repeat",
                points=(*pieces[0], *pieces[1][1:], *pieces[2][1:]),
                tail=own[0].id,
                head=own[-1].id,
                mark=Text(f"{name}-mark", "mark", repeat.words, at, size, left=True),
                tooltip=repeat.tooltip,
                within=(self.prefix,),
            )
