"""Two networks in one figure, with what is added, removed and changed marked, and what it costs.

The marks are those of `archc.analysis.compare`, at the things of the figure to which the ops
belong: a bar beside a box, and a sign. They can be read without colour: an added box has a thick
bar and ``+``, a removed one a dotted bar and a minus, a changed one a thin bar and ``~``. Boxes
that are the same in both networks are left white.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from archc.analysis.comparison import Change, Comparison, compare
from archc.backends.figure.attribution import Attribution, attributions
from archc.backends.figure.curves import line
from archc.backends.figure.font import text_width
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text, foot
from archc.backends.numbers import in_short
from archc.dataclassing import dataclass
from archc.graph import Network

SIGNS: Mapping[Change, str] = {"added": "+", "removed": "\N{MINUS SIGN}", "changed": "~"}
"""The signs beside what is marked."""
_BARS: Mapping[Change, str] = {
    "added": "change added bus",
    "removed": "change removed dotted",
    "changed": "change changed",
}
SIGN, DELTA, LEGEND = 14.0, 9.5, 10.0
"""Sizes of type."""
ROOM = 20.0
"""What signs and bars take on the left of each column."""
BAR_GAP, SIGN_GAP = 3.4, 6.0
"""From a box to the middle of its bar, and to its sign."""
DELTA_GAP, DELTA_LINE = 16.0, 12.0
MARGIN, LEGEND_LINE, LEGEND_BAR, LEGEND_SIGN, LEGEND_GAP = 16.0, 16.0, 16.0, 12.0, 30.0
BESIDE = 1.5
"""Between a sign and anything else."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked in a column: things by their ids in the scene, and repeated blocks, by the id
    of their bracket, of which some are added or removed; ``partly`` has the things of those."""

    things: Mapping[str, Change]
    repeats: Mapping[str, Change]
    partly: frozenset[str]


_Changes: TypeAlias = Mapping[str, Change]
"""The changes of one network's ops, by id."""


def with_differences(
    scene: Scene, a: Network, b: Network, fold: bool, comparison: Comparison | None = None
) -> Scene:
    """The scene of two networks' columns with their differences marked.

    ``fold`` says that equal blocks in a row are drawn once. What ``b`` has more or less than ``a``
    is listed on the right, by output size. The ``comparison`` is made here unless it is given.
    """
    networks = (a, b)
    found = attributions(scene, networks, fold, to_curves=True)
    known = compare(a, b) if comparison is None else comparison
    changes: list[dict[str, Change]] = [{}, {}]
    for change in known.changes:
        for place, op in enumerate((change.a, change.b)):
            if op is not None:
                changes[place][op] = change.change
    marks = [
        marks_of(scene, network, attribution, of)
        for network, attribution, of in zip(networks, found, changes, strict=True)
    ]
    spread = _spread(_faded(scene, marks))
    signs = _Signs(spread)
    for of_column in marks:
        signs.add(of_column)
    with_signs = replace(
        spread, curves=(*spread.curves, *signs.curves), texts=(*spread.texts, *signs.texts)
    )
    with_deltas = _with_deltas(with_signs, networks, found)
    with_legend = _with_legend(with_deltas, _items(with_deltas, marks))
    return replace(
        with_legend,
        title=f"Differences between {scene.title}",
        description=f"{scene.description} {_words(marks)}",
    )


def _words(marks: Sequence[Marks]) -> str:
    """How many things are marked, for those who cannot see it."""
    kinds = [kind for column in marks for kind in column.things.values()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in SIGNS if kind in kinds]
    counts += [
        f"a repeated block has some {kind}" for column in marks for kind in column.repeats.values()
    ]
    return f"Marked as different: {', '.join(counts)}." if counts else "Nothing is different."


def _faded(scene: Scene, marks: Sequence[Marks]) -> Scene:
    """The scene with the boxes white that are the same, if any are not."""
    kept = {id for column in marks for id in (*column.things, *column.partly)}
    if not kept:
        return scene
    boxes = [
        box if box.id in kept else replace(box, shade=None, is_odd=False) for box in scene.boxes
    ]
    return replace(scene, boxes=tuple(boxes))


# What is marked


def marks_of(scene: Scene, network: Network, attribution: Attribution, changes: _Changes) -> Marks:
    """The marks of a column.

    A thing bears the mark of the ops that it was drawn for, if they all have the same, and is
    changed if some of them differ, or only others that belong to it. Where a block represents
    several of which some are added or removed and the others are as before, not its boxes but
    their number is marked.
    """
    depth = _changed_depth(network, attribution, changes)
    things: dict[str, Change] = {}
    repeats: dict[str, Change] = {}
    brackets = {curve.tail: curve.id for curve in scene.curves if curve.role == "repeat"}
    for thing in attribution.ops:
        own = [_of(op, attribution, changes, depth) for op in attribution.own.get(thing, ())]
        others = [_of(op, attribution, changes, depth) for op in attribution.ops[thing]]
        if kind := _kind(own, others):
            things[thing] = kind
        if thing in brackets:
            kinds = {
                changes[op] for op in attribution.all_ops(thing) if op in depth and op in changes
            }
            if kinds:
                repeats[brackets[thing]] = kinds.pop() if len(kinds) == 1 else "changed"
    partly = [
        thing
        for thing in attribution.ops
        if not depth.keys().isdisjoint(attribution.all_ops(thing))
    ]
    return Marks(things, repeats, frozenset(partly))


def _of(
    op: str, attribution: Attribution, changes: _Changes, depth: Mapping[str, object]
) -> Change | None:
    """The mark of an op and of all that it represents, apart from blocks that come or go."""
    ids = attribution.repeats.get(op, (op,))
    kinds = [changes.get(id) for id in ids if id not in depth]
    return _same(kinds)


def _same(kinds: Sequence[Change | None]) -> Change | None:
    """What all are; where they are not the same, changed."""
    distinct = set(kinds)
    if len(distinct) == 1:
        return distinct.pop()
    return "changed" if distinct else None


def _kind(own: Sequence[Change | None], all_: Sequence[Change | None]) -> Change | None:
    if any(own):
        return _same(own)
    return "changed" if any(all_) else None


def _changed_depth(
    network: Network, attribution: Attribution, changes: _Changes
) -> dict[str, Change]:
    """The ops of blocks that are drawn once with others of their kind, and are added or removed
    entirely while some of the others are not."""
    standings = network.standings
    runs: dict[tuple[int | None, int | None], list[tuple[str, ...]]] = {}
    for op, alike in attribution.repeats.items():
        runs.setdefault((standings[op].stage, standings[op].block), []).append(alike)
    found: dict[str, Change] = {}
    for run in runs.values():
        blocks = list(zip(*run, strict=True))
        kinds = [_kind_of_block(block, changes) for block in blocks]
        if None in kinds:
            for block, kind in zip(blocks, kinds, strict=True):
                if kind is not None:
                    found.update(dict.fromkeys(block, kind))
    return found


def _kind_of_block(block: Iterable[str], changes: _Changes) -> Change | None:
    """Whether all ops of a block are added, or all are removed."""
    kinds = {changes.get(op) for op in block}
    kind = kinds.pop()
    return kind if not kinds and kind in ("added", "removed") else None


# Room for the marks


def _column_of(id: str) -> int:
    """Which column a thing is in, from 1; 0 for what belongs to the figure."""
    prefix, _, _ = id.partition("-")
    return int(prefix[1:]) if prefix[:1] == "c" and prefix[1:].isdigit() else 0


def _spread(scene: Scene) -> Scene:
    """The scene with room on the left of each column; brackets stay on the left of that."""
    columns = 2

    def shift(id: str, *, before: bool = False) -> float:
        column = _column_of(id)
        return ROOM * (column - (before and column > 0))

    def moved(curve: Curve) -> Curve:
        right = shift(curve.id, before=curve.role == "repeat")
        return replace(
            curve,
            points=tuple([Point(x + right, y) for x, y in curve.points]),
            tip=curve.tip and Point(curve.tip.x + right, curve.tip.y),
            mark=curve.mark and _moved(curve.mark, right),
        )

    return _widened(
        replace(
            scene,
            curves=tuple([moved(curve) for curve in scene.curves]),
            boxes=tuple(
                [
                    replace(box, centre=Point(box.centre.x + shift(box.id), box.centre.y))
                    for box in scene.boxes
                ]
            ),
            texts=tuple([_moved(text, shift(text.id)) for text in scene.texts]),
        ),
        scene.width + columns * ROOM,
    )


def _moved(text: Text, right: float) -> Text:
    return replace(text, at=Point(text.at.x + right, text.at.y))


def _widened(scene: Scene, width: float) -> Scene:
    """The scene on a wider page; stripes reach over all of it."""
    stripes = [
        replace(stripe, width=width, centre=Point(width / 2, stripe.centre.y))
        for stripe in scene.stripes
    ]
    return replace(scene, width=width, stripes=tuple(stripes))


# Marks in their places


@dataclass(frozen=True, slots=True)
class _Area:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Area) -> bool:
        """Whether two areas are closer than `BESIDE`."""
        return (
            self.left < other.right + BESIDE
            and other.left < self.right + BESIDE
            and self.top < other.bottom + BESIDE
            and other.top < self.bottom + BESIDE
        )


class _Signs:
    """Bars and signs at marked things, and what is in the way of more of them."""

    def __init__(self, scene: Scene):
        self.boxes = {box.id: box for box in scene.boxes}
        self.drawn = {curve.id: curve for curve in scene.curves}
        self.words = {text.id: text for text in scene.texts}
        self.curves: list[Curve] = []
        self.texts: list[Text] = []
        self._shelves: dict[int, list[_Area]] = {}
        for area in _areas(scene):
            self._note(area)

    def add(self, marks: Marks) -> None:
        """Mark the things and the repeated blocks of a column."""
        for thing, kind in marks.things.items():
            if thing in self.boxes:
                self._mark_box(self.boxes[thing], kind)
            elif thing in self.drawn:
                self._mark_curve(self.drawn[thing], kind)
            elif thing in self.words:
                text = self.words[thing]
                size = 1.3 * text.size
                image = Rect(text.id, text.role, text.centre, text.width, size, within=text.within)
                self._mark_box(image, kind)
        for bracket, kind in marks.repeats.items():
            curve = self.drawn[bracket]
            if curve.mark:
                half = text_width(SIGNS[kind], SIGN) / 2
                at = Point(curve.mark.at.x - SIGN_GAP / 2 - half, curve.mark.at.y)
                self._put(curve.id, kind, at, curve.within)

    def _mark_box(self, box: Rect, kind: Change) -> None:
        left = box.right - box.width
        x = left - BAR_GAP
        self.curves.append(
            Curve(
                id=f"{box.id}-change",
                role=_BARS[kind],
                points=line(Point(x, box.top), Point(x, box.bottom)),
                tail=box.id,
                head=box.id,
                tooltip=f"{kind}\n{box.tooltip}".strip(),
                within=box.within,
            )
        )
        half = text_width(SIGNS[kind], SIGN) / 2
        places = (left - SIGN_GAP - half, box.right + BAR_GAP + half)
        for place in places:
            at = Point(place, box.centre.y)
            if self._is_free(_around(at, kind)):
                self._put(box.id, kind, at, box.within)
                return

    def _mark_curve(self, curve: Curve, kind: Change) -> None:
        """Put a sign beside a curve: inside its bend, or else outside, where there is room."""
        half = text_width(SIGNS[kind], SIGN) / 2
        far = max(point.x for point in curve.points)
        ends = curve.points[0].y, curve.points[-1].y
        offsets = [far - half - 3.0, far + half + 3.0]
        if curve.mark:
            offsets.append(curve.mark.at.x + curve.mark.width + half + 2.0)
        for part in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
            for x in offsets:
                at = Point(x, ends[0] + part * (ends[1] - ends[0]))
                if self._is_free(_around(at, kind)):
                    self._put(curve.id, kind, at, curve.within)
                    return
        at = Point(offsets[0], (ends[0] + ends[1]) / 2)
        self._put(curve.id, kind, at, curve.within)

    def _put(self, thing: str, kind: Change, at: Point, within: tuple[str, ...]) -> None:
        role = f"change {kind}"
        self.texts.append(Text(f"{thing}-sign", role, SIGNS[kind], at, SIGN, within=within))
        self._note(_around(at, kind))

    def _note(self, area: _Area) -> None:
        for shelf in _shelves(area):
            self._shelves.setdefault(shelf, []).append(area)

    def _is_free(self, area: _Area) -> bool:
        near = [other for shelf in _shelves(area) for other in self._shelves.get(shelf, ())]
        return not any(area.meets(other) for other in near)


def _shelves(area: _Area) -> range:
    return range(int(area.top // 64) - 1, int(area.bottom // 64) + 2)


def _around(at: Point, kind: Change) -> _Area:
    """The area of a sign."""
    half = text_width(SIGNS[kind], SIGN) / 2
    return _Area(at.x - half, at.y - SIGN / 2, at.x + half, at.y + SIGN / 2)


def _areas(scene: Scene) -> Iterator[_Area]:
    """What is in a figure: boxes, words, and curves in short pieces."""
    for box in scene.boxes:
        yield _Area(box.right - box.width, box.top, box.right, box.bottom)
    marks = [curve.mark for curve in scene.curves if curve.mark]
    for text in (*scene.texts, *marks):
        half, centre = text.width / 2, text.centre
        high = text.size / 2
        yield _Area(centre.x - half, centre.y - high, centre.x + half, centre.y + high)
    for curve in scene.curves:
        for start in range(0, len(curve.points) - 1, 3):
            yield from _pieces(curve.points[start : start + 4])


def _pieces(points: Sequence[Point]) -> Iterator[_Area]:
    """A Bezier piece in eight parts, each as the area around it."""
    a, b, c, d = points
    places: list[Point] = []
    for step in range(9):
        t = step / 8
        s = 1 - t
        weights = (s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t)
        x = sum(w * p.x for w, p in zip(weights, (a, b, c, d), strict=True))
        y = sum(w * p.y for w, p in zip(weights, (a, b, c, d), strict=True))
        places.append(Point(x, y))
    for p, q in pairwise(places):
        yield _Area(min(p.x, q.x), min(p.y, q.y), max(p.x, q.x), max(p.y, q.y))


# What it costs


@dataclass(slots=True)
class _Delta:
    params: int = 0
    multiply_adds: int = 0

    def lines(self) -> list[str]:
        """``+1.18 M parameters``, and the same for multiply-adds, where there is a difference."""
        pairs = ((self.params, "parameters"), (self.multiply_adds, "multiply-adds"))
        return [f"{_signed(number)} {what}" for number, what in pairs if number]


def _signed(number: int) -> str:
    return f"{'+' if number > 0 else SIGNS['removed']}{in_short(abs(number))}"


def _with_deltas(scene: Scene, networks: Sequence[Network], found: Sequence[Attribution]) -> Scene:
    """The scene with what the second network has more or less, in all and by output size."""
    bands = sorted(
        [text for text in scene.texts if text.role == "band"], key=lambda text: text.at.y
    )
    deltas = {band.id: _Delta() for band in bands}
    total = _Delta()
    for sign, network, attribution in zip((-1, 1), networks, found, strict=True):
        heights = _heights(scene)
        for thing in attribution.ops:
            above = [band for band in bands if band.at.y <= heights[thing] + 1]
            delta = deltas[(above or bands)[-1 if above else 0].id] if bands else _Delta()
            for op in attribution.all_ops(thing):
                node = network.nodes[op]
                delta.params += sign * node.params
                if op not in network.side_of:
                    delta.multiply_adds += sign * node.multiply_adds
        total.params += sign * network.params
        total.multiply_adds += sign * network.multiply_adds
    left = max([box.right for box in scene.boxes] + [_right(curve) for curve in scene.curves])
    left = max(left, max(text.centre.x + text.width / 2 for text in _of_columns(scene)))
    return _listed(scene, bands, deltas, total, left + DELTA_GAP)


def _listed(
    scene: Scene,
    bands: Sequence[Text],
    deltas: Mapping[str, _Delta],
    total: _Delta,
    left: float,
) -> Scene:
    texts: list[Text] = []
    if lines := total.lines():
        totals = [text for text in scene.texts if text.role == "total"]
        y = min([text.at.y for text in totals], default=MARGIN)
        lines = ["difference", *lines]
        for number, words in enumerate(lines, start=1):
            at = Point(left, y + (number - 2) * DELTA_LINE)
            texts.append(Text(f"delta-all-{number}", "delta", words, at, DELTA, left=True))
    for band in bands:
        lines = deltas[band.id].lines()
        # About the band's middle: a band of one row is little higher than the lines.
        top = band.at.y - (len(lines) - 1) / 2 * DELTA_LINE
        for number, words in enumerate(lines, start=1):
            at = Point(left, top + (number - 1) * DELTA_LINE)
            texts.append(Text(f"delta-{band.id}-{number}", "delta", words, at, DELTA, left=True))
    if not texts:
        return scene
    # Room to spare: a viewer's font may be wider.
    width = max(left + max(1.1 * text.width for text in texts) + MARGIN, scene.width)
    return _widened(replace(scene, texts=(*scene.texts, *texts)), width)


def _of_columns(scene: Scene) -> list[Text]:
    marks = [curve.mark for curve in scene.curves if curve.mark and _column_of(curve.id)]
    return [*marks, *[text for text in scene.texts if _column_of(text.id)]]


def _right(curve: Curve) -> float:
    return max(point.x for point in curve.points) if _column_of(curve.id) else 0.0


def _heights(scene: Scene) -> dict[str, float]:
    """The y of each thing; of a curve that of its end, where its sum is."""
    return {
        **{text.id: text.at.y for text in scene.texts},
        **{curve.id: curve.points[-1].y for curve in scene.curves},
        **{box.id: box.centre.y for box in scene.boxes},
    }


# The legend


def _with_legend(scene: Scene, items: Sequence[_Item]) -> Scene:
    """The scene with lines below that explain the marks that occur."""
    texts: list[Text] = []
    curves: list[Curve] = []
    left, lowest = foot(scene)
    x, y = left, lowest + LEGEND_LINE
    for number, item in enumerate(items, start=1):
        width = item.text_left + text_width(item.text, LEGEND)
        if x > left and x + width > scene.width - left:
            x, y = left, y + LEGEND_LINE
        name = f"legend-change-{number}"
        if item.kind:
            half = text_width(SIGNS[item.kind], SIGN) / 2
            at = Point(x + half, y)
            texts.append(Text(f"{name}-sign", "legend", SIGNS[item.kind], at, SIGN))
            if item.has_bar:
                middle = x + 2 * half + 3
                bar = line(Point(middle, y - 6), Point(middle, y + 6))
                curves.append(Curve(f"{name}-bar", f"legend {_BARS[item.kind]}", bar, name, name))
        start = Point(x + item.text_left, y)
        texts.append(Text(name, "legend", item.text, start, LEGEND, left=True))
        x += width + LEGEND_GAP
    right = max(text.at.x + text.width for text in texts) + left
    longer = replace(
        scene,
        height=y + LEGEND_LINE / 2 + left / 2,
        texts=(*scene.texts, *texts),
        curves=(*scene.curves, *curves),
    )
    return _widened(longer, max(scene.width, right))


@dataclass(frozen=True, slots=True)
class _Item:
    """A mark, with the bar that boxes have, and what it means; or only words."""

    kind: Change | None
    has_bar: bool
    text: str

    @property
    def text_left(self) -> float:
        """Where its text begins, from where it does."""
        return 0.0 if self.kind is None else LEGEND_BAR if self.has_bar else LEGEND_SIGN


def _items(scene: Scene, marks: Sequence[Marks]) -> list[_Item]:
    kinds = {
        kind for column in marks for kind in (*column.things.values(), *column.repeats.values())
    }
    if not kinds:
        return [_Item(None, False, "nothing is added, removed or changed")]
    bars = {curve.role for curve in scene.curves}
    items = [_Item(kind, _BARS[kind] in bars, kind) for kind in SIGNS if kind in kinds]
    if any(box.shade is None for box in scene.boxes):
        items.append(_Item(None, False, "unmarked: the same in both"))
    return items
