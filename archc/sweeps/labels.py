"""Labels beside points: each where it covers nothing, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top, in points of a page."""

_SIDES = ((-1, 1), (-1, 0), (0, 1), (1, -1), (1, 0), (0, -1), (1, 1), (-1, -1))
"""The places of a label around its point, the best first: a front that climbs to the right
has nothing above it on the left."""


def place_labels(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    gaps: Sequence[float],
    obstacles: Sequence[Box],
    frame: Box,
) -> dict[int, Box]:
    """Boxes for the labels that have room, by the label's place in ``anchors``.

    ``sizes`` are widths and heights; a box is the label's gap away from its anchor, within the
    frame, and meets no obstacle and no other box. The ends of the row come first, then what is
    farthest from those before, so that labels are spread over it where not all have room.
    """
    import numpy as np

    taken = np.array(obstacles, dtype=float).reshape(-1, 4)
    found: dict[int, Box] = {}
    for index in _spread(len(anchors)):
        for side in _SIDES:
            box = _beside(anchors[index], sizes[index], side, gaps[index])
            if _is_within(box, frame) and not _meets(box, taken):
                found[index] = box
                taken = np.vstack([taken, box])
                break
    return found


def _spread(count: int) -> Iterator[int]:
    """0, the last, the middle, the middles of the halves, and so on: each once.

    >>> list(_spread(6))
    [0, 5, 2, 1, 3, 4]
    """
    yield from (0,) if count == 1 else (0, count - 1) if count else ()
    spans = [(0, count - 1)]
    for first, last in spans:
        middle = (first + last) // 2
        if middle > first:
            yield middle
            spans += [(first, middle), (middle, last)]


def _beside(
    anchor: tuple[float, float], size: tuple[float, float], side: tuple[int, int], gap: float
) -> Box:
    (x, y), (width, height), (right, up) = anchor, size, side
    left = x - width / 2 + right * (width / 2 + gap)
    bottom = y - height / 2 + up * (height / 2 + gap)
    if right and up:  # at a corner the label may come as near as it does at a side
        left, bottom = left - right * gap / 5, bottom - up * gap / 5
    return left, bottom, left + width, bottom + height


def _is_within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meets(box: Box, taken: NDArray[float]) -> bool:  # type: ignore[type-var]
    left, bottom, right, top = taken.T
    return bool(((left < box[2]) & (right > box[0]) & (bottom < box[3]) & (top > box[1])).any())
