"""Where everything in a figure stands.

The page, from above: titles with totals, the word "image", bands of boxes, a legend. From the
left: a gutter with each band's output size, then the columns. A row is at the same height in all
columns: it holds one box of each and the arrow that leads to the box.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from archc.backends.figure import bands
from archc.backends.figure.caption import describe, headline
from archc.backends.figure.columns import MARK, Column, Shortcut, Size
from archc.backends.figure.curves import around, around_others, lanes, line, meetings
from archc.backends.figure.font import text_width
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.text import shorten, wrap
from archc.backends.figure.theme import is_between_octaves, octave
from archc.dataclassing import dataclass

TITLE, TOTALS, LABEL, GUTTER, LEGEND = 14.5, 10.0, 11.0, 10.5, 10.0
"""Sizes of type."""
TITLE_LINE, TOTALS_LINE, LEGEND_LINE = 19.0, 12.0, 16.0
"""Heights of lines."""
MARGIN = 16.0
BOX_HEIGHT = 14.0
GAP = 12.0
"""Between two boxes: room for an arrow and for the ends of two shortcuts."""
PITCH = BOX_HEIGHT + GAP
BAND_GAP = 5.0
"""Between two bands, beside the gap between their boxes."""
LEAST_BOX_WIDTH = 118.0
BOX_PADDING = 9.0
"""Left and right of a label in its box."""
GUTTER_GAP, COLUMN_GAP = 18.0, 30.0
OVERHANG = 11.0
"""How far a title may stand out on either side of its column's boxes."""
MOST_TITLE = 180.0
"""Up to this width of a title boxes grow wider for it; a longer one is wrapped."""
REACH, LANE = 17.0, 8.0
"""How far a shortcut goes beyond the boxes; how much farther for each that it goes around."""
HEAD = 3.5
"""Length of an arrowhead."""
MARK_GAP = 4.0
"""From a shortcut to its mark."""
LEGEND_DASH, LEGEND_GAP = 26.0, 20.0
REPEAT = 11.0
"""Size of type of how often a block is repeated."""
BRACKET, BRACKET_GAP, BRACKET_TICK = 9.0, 4.0, 4.0
"""From boxes to the bracket of a repeated block, from there to its text; length of its ends."""


@dataclass(frozen=True, slots=True)
class Band:
    """The rows of one output size: the y of its upper edge and the number of its rows."""

    size: Size
    top: float
    rows: int

    @property
    def height(self) -> float:
        """From its upper to its lower edge."""
        return self.rows * PITCH + BAND_GAP

    def middle(self, row: int) -> float:
        """The y of the middle of a row's boxes; above and below the boxes is equal room."""
        return self.top + (GAP + BAND_GAP) / 2 + row * PITCH + BOX_HEIGHT / 2

    @property
    def label(self) -> str:
        """What the gutter says of it."""
        height, width = self.size
        return f"output size: {height}" + (f"x{width}" if width != height else "")


@dataclass(frozen=True, slots=True)
class Grid:
    """The places that columns are put into: the same rows and box width for all."""

    bands: tuple[Band, ...]
    gutter: float
    box_width: float
    title_lines: int

    @property
    def top(self) -> float:
        """The y below titles, totals and the row of the image."""
        return _bands_top(self.title_lines)

    @property
    def bottom(self) -> float:
        """The y below the last band."""
        return self.bands[-1].top + self.bands[-1].height if self.bands else self.top


class Stop(NamedTuple):
    """What arrows run between: the y of its upper and its lower edge."""

    id: str
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Placed:
    """One column in its place: ``right`` is as far as anything of it reaches."""

    texts: tuple[Text, ...]
    boxes: tuple[Rect, ...]
    curves: tuple[Curve, ...]
    right: float


def lay_out(columns: Sequence[Column], described: Sequence[Column] | None = None) -> Scene:
    """Put columns side by side onto one page; what is ``described`` in words may be longer."""
    grid = _grid(columns)
    placed: list[Placed] = []
    left = MARGIN + grid.gutter
    for number, column in enumerate(columns, start=1):
        placed.append(_place(column, f"c{number}", left, grid))
        left = placed[-1].right + COLUMN_GAP
    bottom = max([grid.bottom, *[text.at.y + PITCH / 2 for one in placed for text in one.texts]])
    items = _legend_items(columns)
    width = max([placed[-1].right, *[MARGIN + item.width for item in items]]) + MARGIN
    legend = _legend(items, bottom, width)
    return Scene(
        width=width,
        height=max([bottom, *[text.at.y + LEGEND_LINE / 2 for text in legend.texts]]) + MARGIN / 2,
        title=headline(columns),
        description=describe(described or columns),
        stripes=tuple(_stripes(grid, width)),
        curves=(*[curve for one in placed for curve in one.curves], *legend.curves),
        boxes=tuple([box for one in placed for box in one.boxes]),
        texts=(*_gutter(grid), *[text for one in placed for text in one.texts], *legend.texts),
    )


# The grid


def _bands_top(title_lines: int) -> float:
    return MARGIN + title_lines * TITLE_LINE + 2 * TOTALS_LINE + PITCH + BAND_GAP


def _room(box_width: float) -> float:
    """How wide the texts above a column may be."""
    return box_width + 2 * OVERHANG


def _grid(columns: Sequence[Column]) -> Grid:
    sizes = [[box.size for box in column.boxes] for column in columns]
    order = bands.merge(sizes)
    rows = [0] * len(order)
    for column, shown in zip(sizes, columns, strict=True):
        places = bands.places(column, order)
        if places and _has_foot(shown):
            places.append(places[-1])
        for band, count in Counter(places).items():
            rows[band] = max(rows[band], count)
    labels = [text_width(box.label, LABEL) for column in columns for box in column.boxes]
    titles = [min(text_width(column.title, TITLE), MOST_TITLE) for column in columns]
    box_width = max(
        LEAST_BOX_WIDTH,
        max(labels, default=0.0) + 2 * BOX_PADDING,
        max(titles) - 2 * OVERHANG,
    )
    title_lines = max(len(wrap(column.title, TITLE, _room(box_width))) for column in columns)
    heights = [count * PITCH + BAND_GAP for count in rows]
    tops = list(accumulate(heights, initial=_bands_top(title_lines)))[:-1]
    made = tuple([Band(*band) for band in zip(order, tops, rows, strict=True)])
    gutter = max([text_width(band.label, GUTTER) for band in made], default=0.0)
    return Grid(
        bands=made,
        gutter=gutter + GUTTER_GAP,
        box_width=box_width,
        title_lines=title_lines,
    )


def _stripes(grid: Grid, width: float) -> Iterator[Rect]:
    """A faint ground under every other band, which leads the eye along it."""
    for number, band in enumerate(grid.bands, start=1):
        if number % 2:
            centre = Point(width / 2, band.top + band.height / 2)
            yield Rect(f"stripe-{number}", "stripe", centre, width, band.height)


def _gutter(grid: Grid) -> Iterator[Text]:
    for number, band in enumerate(grid.bands, start=1):
        at = Point(MARGIN, band.middle(0))
        yield Text(f"band-{number}", "band", band.label, at, GUTTER, left=True)


# A column


def _place(column: Column, prefix: str, left: float, grid: Grid) -> Placed:
    x = left + _repeat_room(column) + grid.box_width / 2
    boxes = tuple(_boxes(column, prefix, x, grid))
    head = tuple(_head(column, prefix, x, grid))
    stops = [_stop(head[-1]), *[Stop(box.id, box.top, box.bottom) for box in boxes]]
    foot = tuple(_foot(column, prefix, x, stops[-1].bottom))
    stops += [_stop(text) for text in foot]
    arrows = tuple(_arrows(prefix, x, stops))
    shortcuts = tuple(_shortcuts(column, prefix, x, grid, stops))
    brackets = tuple(_brackets(column, prefix, boxes))
    right = max([x + grid.box_width / 2, *[_right(curve) for curve in shortcuts]])
    sides = tuple(_sides(column, prefix, right + REACH, stops))
    leading = tuple(_to_sides(column, x, sides, stops))
    right = max([right, *[side.right for side in sides]])
    return Placed(head + foot, boxes + sides, arrows + shortcuts + brackets + leading, right)


def _stop(text: Text) -> Stop:
    return Stop(text.id, text.at.y - BOX_HEIGHT / 2, text.at.y + BOX_HEIGHT / 2)


def _head(column: Column, prefix: str, x: float, grid: Grid) -> Iterator[Text]:
    """The texts above a column's boxes; the last is the image."""
    room = _room(grid.box_width)
    titles = wrap(column.title, TITLE, room)
    # Titles of fewer lines than others stand lower, so that all totals are at one height.
    y = MARGIN + (grid.title_lines - len(titles) + 0.5) * TITLE_LINE
    for number, title in enumerate(titles, start=1):
        name = f"{prefix}-title" if number == 1 else f"{prefix}-title-{number}"
        yield Text(name, "title", title, Point(x, y), TITLE)
        y += TITLE_LINE
    y += (TOTALS_LINE - TITLE_LINE) / 2
    for number, total in enumerate(column.totals, start=1):
        line = shorten(total, TOTALS, room)
        yield Text(f"{prefix}-total-{number}", "total", line, Point(x, y), TOTALS)
        y += TOTALS_LINE
    yield Text(f"{prefix}-input", "image", "image", Point(x, grid.top - PITCH / 2), LABEL)


def _foot(column: Column, prefix: str, x: float, above: float) -> Iterator[Text]:
    """The word "output", where shortcuts arrive below the last box, or side heads leave there, and
    need an arrow to meet."""
    if _has_foot(column):
        at = Point(x, above + GAP + BOX_HEIGHT / 2)
        yield Text(f"{prefix}-output", "output", "output", at, LABEL)


def _has_foot(column: Column) -> bool:
    meets = [shortcut.arrives.arrow for shortcut in column.shortcuts]
    return len(column.boxes) in [*meets, *[side.arrow for side in column.sides]]


def _boxes(column: Column, prefix: str, x: float, grid: Grid) -> Iterator[Rect]:
    places = bands.places([box.size for box in column.boxes], [band.size for band in grid.bands])
    taken: Counter[int] = Counter()
    for box, band in zip(column.boxes, places, strict=True):
        yield Rect(
            id=element_id(prefix, box.id),
            role=box.kind,
            centre=Point(x, grid.bands[band].middle(taken[band])),
            width=grid.box_width,
            height=BOX_HEIGHT,
            shade=None if box.width is None else octave(box.width),
            is_odd=box.width is not None and is_between_octaves(box.width),
            label=box.label,
            tooltip=box.tooltip,
            ops=(box.id, *sorted(box.holds)),
        )
        taken[band] += 1


def _arrows(prefix: str, x: float, stops: Sequence[Stop]) -> Iterator[Curve]:
    for number, (above, below) in enumerate(pairwise(stops), start=1):
        points = line(Point(x, above.bottom), Point(x, below.top - HEAD))
        tip = Point(x, below.top)
        yield Curve(f"{prefix}-arrow-{number}", "arrow", points, above.id, below.id, tip)


def _shortcuts(
    column: Column, prefix: str, x: float, grid: Grid, stops: Sequence[Stop]
) -> Iterator[Curve]:
    arrows = [(above.bottom, below.top) for above, below in pairwise(stops)]
    meets = meetings(column.shortcuts, arrows)
    found = lanes(column.shortcuts)
    reaches = _reaches(column.shortcuts, found)
    drawn = zip(column.shortcuts, meets, reaches, found, strict=True)
    for shortcut, (start, end), reach, lane in drawn:
        beside_boxes = shortcut.leaves.arrow < shortcut.arrives.arrow
        edge = x + (grid.box_width / 2 if beside_boxes else GAP)
        name = element_id(prefix, shortcut.id)
        shape = around_others if lane else around
        points = shape(Point(x, start), Point(x + HEAD, end), edge, reach)
        at = Point(edge + reach + MARK_GAP, (start + end) / 2)
        yield Curve(
            id=name,
            role="shortcut dotted" if shortcut.dotted else "shortcut",
            points=points,
            tail=stops[shortcut.leaves.arrow].id,
            head=stops[shortcut.arrives.arrow + 1].id,
            tip=Point(x, end),
            mark=_mark(shortcut, name, at),
            tooltip=shortcut.tooltip,
            ops=shortcut.ops,
        )


def _sides(column: Column, prefix: str, left: float, stops: Sequence[Stop]) -> Iterator[Rect]:
    """A box for side heads beside the arrow at which they leave the main path."""
    for side in column.sides:
        above, below = stops[side.arrow : side.arrow + 2]
        width = text_width(side.label, LABEL) + 2 * BOX_PADDING
        yield Rect(
            id=element_id(prefix, side.names[0]),
            role="other",
            centre=Point(left + width / 2, (above.bottom + below.top) / 2),
            width=width,
            height=BOX_HEIGHT,
            label=side.label,
            tooltip=side.tooltip,
        )


def _to_sides(
    column: Column, x: float, boxes: Sequence[Rect], stops: Sequence[Stop]
) -> Iterator[Curve]:
    """The arrow to each of these boxes."""
    for side, box in zip(column.sides, boxes, strict=True):
        left = box.centre.x - box.width / 2
        points = line(Point(x, box.centre.y), Point(left - HEAD, box.centre.y))
        tip = Point(left, box.centre.y)
        yield Curve(f"{box.id}-arrow", "arrow", points, stops[side.arrow].id, box.id, tip)


def _repeat_words(count: int) -> str:
    return f"\N{MULTIPLICATION SIGN} {count:,}"


def _repeat_room(column: Column) -> float:
    """What brackets take on the left of a column."""
    if not column.repeats:
        return 0.0
    widest = max(text_width(_repeat_words(one.count), REPEAT) for one in column.repeats)
    return BRACKET + BRACKET_GAP + widest


def _brackets(column: Column, prefix: str, boxes: Sequence[Rect]) -> Iterator[Curve]:
    """A bracket on the left of each block that stands for several, with their number."""
    for repeat in column.repeats:
        first, last = boxes[repeat.first], boxes[repeat.last]
        x = first.centre.x - first.width / 2 - BRACKET
        corners = [
            Point(x + BRACKET_TICK, first.top),
            Point(x, first.top),
            Point(x, last.bottom),
            Point(x + BRACKET_TICK, last.bottom),
        ]
        pieces = [line(start, end) for start, end in pairwise(corners)]
        words = _repeat_words(repeat.count)
        at = Point(x - BRACKET_GAP - text_width(words, REPEAT), (first.top + last.bottom) / 2)
        yield Curve(
            id=f"{first.id}-repeat",
            role="repeat",
            points=(*pieces[0], *pieces[1][1:], *pieces[2][1:]),
            tail=first.id,
            head=last.id,
            mark=Text(f"{first.id}-repeat-mark", "mark", words, at, REPEAT, left=True),
            tooltip=repeat.tooltip,
        )


def _reaches(shortcuts: Sequence[Shortcut], found: Sequence[int]) -> list[float]:
    """How far each shortcut goes beyond the boxes: around the inner ones and their marks."""
    steps: dict[int, float] = {}
    for shortcut, lane in zip(shortcuts, found, strict=True):
        mark = text_width(shortcut.mark, MARK)
        steps[lane] = max(steps.get(lane, LANE), mark + 2 * MARK_GAP if mark else LANE)
    return [REACH + sum(steps[inner] for inner in range(lane)) for lane in found]


def _mark(shortcut: Shortcut, name: str, at: Point) -> Text | None:
    text = shortcut.mark
    return Text(f"{name}-mark", "mark", text, at, MARK, left=True) if text else None


def _right(curve: Curve) -> float:
    mark = curve.mark.at.x + curve.mark.width if curve.mark else 0.0
    return max(mark, *[point.x for point in curve.points])


def element_id(prefix: str, name: str) -> str:
    """What a box or a shortcut is called in a file.

    Without characters that mean something to DOT, to XML or to CSS tools.
    """
    return f"{prefix}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"


# The legend


@dataclass(frozen=True, slots=True)
class LegendItem:
    """A sample of a curve's role, or a mark where ``mark`` is not empty, and what it means."""

    role: str
    mark: str
    text: str

    @property
    def width(self) -> float:
        """What it takes on a line."""
        return self.text_left + text_width(self.text, LEGEND)

    @property
    def text_left(self) -> float:
        """Where its text begins, from where it does."""
        return (text_width(self.mark, MARK) if self.mark else LEGEND_DASH) + 5.0


_JOINS = {"concat": "channels joined, not added", "multiply": "multiplied, not added"}
"""What a mark says of an op where shortcuts arrive that is not a sum, and what it means."""


def _legend_items(columns: Sequence[Column]) -> list[LegendItem]:
    """Explanations of what occurs in the figure."""
    shortcuts = [shortcut for column in columns for shortcut in column.shortcuts]
    items: list[LegendItem] = []
    if any(not shortcut.dotted for shortcut in shortcuts):
        items.append(LegendItem("solid", "", "shortcut, same shape"))
    if any(shortcut.dotted for shortcut in shortcuts):
        items.append(LegendItem("dotted", "", "shortcut, shape changes"))
    if any(shortcut.mark == "1x1" for shortcut in shortcuts):
        items.append(LegendItem("", "1x1", "projection"))
    joins = {word for one in shortcuts if (word := one.mark.rpartition(", ")[2]) in _JOINS}
    items += [LegendItem("", word, text) for word, text in _JOINS.items() if word in joins]
    if any(column.repeats for column in columns):
        items.append(LegendItem("", "\N{MULTIPLICATION SIGN}", "equal blocks in a row"))
    return items


def _legend(items: Sequence[LegendItem], top: float, width: float) -> Placed:
    """Items from left to right, in as many lines as they need on a page so wide."""
    texts: list[Text] = []
    curves: list[Curve] = []
    x, y = MARGIN, top + MARGIN / 2 + LEGEND_LINE / 2
    for number, item in enumerate(items, start=1):
        if x > MARGIN and x + item.width > width - MARGIN:
            x, y = MARGIN, y + LEGEND_LINE
        at, name = Point(x + item.text_left, y), f"legend-{number}"
        texts.append(Text(name, "legend", item.text, at, LEGEND, left=True))
        if item.mark:
            texts.append(Text(f"{name}-mark", "legend", item.mark, Point(x, y), MARK, left=True))
        else:
            dash = line(Point(x, y), Point(x + LEGEND_DASH, y))
            curves.append(Curve(f"{name}-line", f"legend {item.role}", dash, name, name))
        x += item.width + LEGEND_GAP
    return Placed(tuple(texts), (), tuple(curves), width)
