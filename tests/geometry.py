"""What holds of every figure: nothing overlaps, leaves the page or crosses what it should not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Generic, TypeVar

from archc.backends.figure.font import text_width
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text

Thing = TypeVar("Thing")


class Shelves(Generic[Thing]):
    """Things by their heights, so that of thousands only those at one height are compared."""

    def __init__(self, things: Iterable[Thing], extent: Callable[[Thing], tuple[float, float]]):
        self._extent = extent
        self._shelves: dict[int, list[Thing]] = {}
        for thing in things:
            for shelf in self._at(*extent(thing)):
                self._shelves.setdefault(shelf, []).append(thing)

    @staticmethod
    def _at(top: float, bottom: float) -> range:
        return range(int(top // 64), int(bottom // 64) + 1)

    def near(self, top: float, bottom: float) -> Iterator[Thing]:
        """Everything between two heights, and more; some of it twice."""
        for shelf in self._at(top, bottom):
            yield from self._shelves.get(shelf, ())

    def pairs(self) -> Iterator[tuple[Thing, Thing]]:
        """All pairs of things that share a height, and more."""
        for things in self._shelves.values():
            yield from combinations(things, 2)


def box_extent(box: Rect, margin: float = 5) -> tuple[float, float]:
    return box.top - margin, box.bottom + margin


def text_extent(text: Text) -> tuple[float, float]:
    return text.at.y - text.size, text.at.y + text.size


def curve_extent(curve: Curve) -> tuple[float, float]:
    heights = [point.y for point in (*curve.points, curve.tip) if point]
    return min(heights), max(heights)


def check_boxes_do_not_overlap(laid: Scene) -> None:
    for box, other in Shelves(laid.boxes, box_extent).pairs():
        apart_x = abs(box.centre.x - other.centre.x) - (box.width + other.width) / 2
        apart_y = abs(box.centre.y - other.centre.y) - (box.height + other.height) / 2
        assert max(apart_x, apart_y) > 5


def check_everything_is_on_the_page(laid: Scene) -> None:
    for box in (*laid.boxes, *laid.stripes):
        assert box.centre.x - box.width / 2 >= 0
        assert box.right <= laid.width
        assert 0 <= box.top < box.bottom <= laid.height
    for text in laid.texts:
        assert 0 <= text.centre.x - text.width / 2 <= text.centre.x + text.width / 2 <= laid.width
        assert text.size / 2 <= text.at.y <= laid.height - text.size / 2
    for curve in laid.curves:
        for point in curve.points:
            assert 0 <= point.x <= laid.width
            assert 0 <= point.y <= laid.height


def check_labels_fit_their_boxes(laid: Scene) -> None:
    for box in laid.boxes:
        padding = 1.5 if "plus" in box.role else 6 if box.role == "pill" else 8
        assert text_width(box.label, box.size) <= box.width - padding, box.label


def check_texts_do_not_overlap(laid: Scene) -> None:
    marks = [curve.mark for curve in laid.curves if curve.mark]
    seen = [text for text in (*laid.texts, *marks) if text.text]
    for text, other in Shelves(seen, text_extent).pairs():
        apart_x = abs(text.centre.x - other.centre.x) - (text.width + other.width) / 2
        apart_y = abs(text.at.y - other.at.y) - (text.size + other.size) / 2
        assert max(apart_x, apart_y) > 0, (text, other)


def check_ids_are_unique_and_ends_exist(laid: Scene) -> None:
    things = [box.id for box in (*laid.boxes, *laid.stripes)] + [text.id for text in laid.texts]
    assert len({*things, *[curve.id for curve in laid.curves]}) == len(things) + len(laid.curves)
    assert {end for curve in laid.curves for end in (curve.tail, curve.head)} <= set(things)


@lru_cache(maxsize=50_000)
def sampled(curve: Curve, steps: int = 12) -> list[Point]:
    """Points along a chain of cubic Bezier pieces."""
    found = [curve.points[0]]
    for start in range(0, len(curve.points) - 1, 3):
        a, b, c, d = curve.points[start : start + 4]
        for step in range(1, steps + 1):
            t, u = step / steps, 1 - step / steps
            at = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
            x, y = (sum(w * p[i] for w, p in zip(at, (a, b, c, d), strict=True)) for i in (0, 1))
            found.append(Point(x, y))
    return [*found, curve.tip] if curve.tip else found


def inside(point: Point, box: Rect, margin: float) -> bool:
    return (
        abs(point.x - box.centre.x) < box.width / 2 + margin
        and abs(point.y - box.centre.y) < box.height / 2 + margin
    )


def text_images(laid: Scene) -> list[Rect]:
    """The ground that each text of a figure covers."""
    return [
        Rect(text.id, text.role, text.centre, text.width, text.size)
        for text in (*laid.texts, *[curve.mark for curve in laid.curves if curve.mark])
        if text.text
    ]


def check_shortcuts_touch_no_box_and_no_text(laid: Scene) -> None:
    boxes, words = Shelves(laid.boxes, box_extent), Shelves(text_images(laid), box_extent)
    for curve in laid.curves:
        if "shortcut" in curve.role:
            for point in sampled(curve):
                met = [box for box in boxes.near(point.y, point.y) if inside(point, box, margin=1)]
                # Of a block drawn large, a shortcut ends at the circle of its sum.
                assert all("plus" in box.role for box in met), curve.id
                near = words.near(point.y, point.y)
                assert not any(inside(point, text, margin=0.5) for text in near), curve.id


def check_arrows_run_from_edge_to_edge(laid: Scene) -> None:
    boxes = Shelves(laid.boxes, box_extent)
    for curve in laid.curves:
        if curve.role == "arrow":
            assert len({point.x for point in curve.points}) == 1
            assert curve.tip is not None
            assert curve.points[0].y < curve.points[-1].y < curve.tip.y
            for point in sampled(curve):
                near = boxes.near(point.y, point.y)
                assert not any(inside(point, box, margin=-0.1) for box in near)


def check_shortcuts_keep_apart(laid: Scene) -> None:
    shortcuts = [curve for curve in laid.curves if "shortcut" in curve.role]
    along = {curve.id: sampled(curve) for curve in shortcuts}
    for curve, other in Shelves(shortcuts, curve_extent).pairs():
        points, others = along[curve.id], along[other.id]
        if overlap(points, others):
            assert not any(
                cross(*piece, *another)
                for piece in pairwise(points)
                for another in pairwise(others)
            ), (curve.id, other.id)


def overlap(points: Sequence[Point], others: Sequence[Point]) -> bool:
    """Whether the boxes around two curves overlap."""
    return all(
        min(one[axis] for one in first) <= max(one[axis] for one in second)
        for first, second in ((points, others), (others, points))
        for axis in (0, 1)
    )


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the straight pieces from a to b and from c to d meet."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x)

    return side(a, b, c) * side(a, b, d) <= 0 and side(c, d, a) * side(c, d, b) <= 0


LINES = ("level", "tap", "put", "bus")


def check_lines_cross_no_box_and_no_text(laid: Scene) -> None:
    boxes, words = Shelves(laid.boxes, box_extent), Shelves(text_images(laid), box_extent)
    for curve in laid.curves:
        if curve.role in LINES:
            for point in sampled(curve):
                near = boxes.near(point.y, point.y)
                assert not any(inside(point, box, margin=-0.1) for box in near), curve.id
                told = words.near(point.y, point.y)
                assert not any(inside(point, text, margin=-0.1) for text in told), curve.id


def check_shortcuts_cross_no_line(laid: Scene) -> None:
    lines = [curve for curve in laid.curves if curve.role in LINES]
    shortcuts = [curve for curve in laid.curves if "shortcut" in curve.role]
    shelves = Shelves(lines, curve_extent)
    for shortcut in shortcuts:
        # It leaves one line and ends at another, or at the arrow that this leads to.
        points = sampled(shortcut)[2:-2]
        for other in dict.fromkeys(shelves.near(*curve_extent(shortcut))):
            assert not any(
                cross(*piece, *another)
                for piece in pairwise(points)
                for another in pairwise(sampled(other, 4))
            ), (shortcut.id, other.id)


GEOMETRY = (
    check_lines_cross_no_box_and_no_text,
    check_shortcuts_cross_no_line,
    check_boxes_do_not_overlap,
    check_everything_is_on_the_page,
    check_labels_fit_their_boxes,
    check_texts_do_not_overlap,
    check_ids_are_unique_and_ends_exist,
    check_shortcuts_touch_no_box_and_no_text,
    check_arrows_run_from_edge_to_edge,
    check_shortcuts_keep_apart,
)
