"""Where the values of a network have their features, and how many places these are at.

Maps of channels say so by their shape. Of tokens it follows from what they were made of: features
lie last behind a linear layer over them, a permutation moves them, and whatever only lays values
out anew leaves them at the same places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops import Shape

if TYPE_CHECKING:
    from archc.graph.network import Node

MAX_SIDES = 8
"""Of how many sides products are looked for among the sides of a value."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The ``places`` of a value: height and width of a map, (1, 1) of a vector, the number of
    tokens; ``features`` are how many numbers there are at each, ``is_last`` says that they are the
    last side of its shape."""

    places: tuple[int, ...]
    features: int
    is_last: bool = False


def map_extent(shape: Shape) -> Extent:
    """That of a map or a vector."""
    if len(shape) == 3:
        return Extent((shape[1], shape[2]), shape[0])
    return Extent((1, 1), shape[0]) if len(shape) == 1 else _tokens(shape, is_last=False)


def extents(nodes: Iterable[Node]) -> dict[str, Extent]:
    """The extent of each node's value, by id; the nodes are in order."""
    found: dict[str, Extent] = {}
    shapes: dict[str, Shape] = {}
    for node in nodes:
        read = [source for source in node.inputs if source in found]
        before = (found[read[0]], shapes[read[0]]) if read else None
        found[node.id] = _extent(node, before)
        shapes[node.id] = node.output_shape
    return found


def _extent(node: Node, before: tuple[Extent, Shape] | None) -> Extent:
    shape = node.output_shape
    if len(shape) > 1 and before is None and node.op.puts_features_last:
        return _tokens(shape, is_last=True)
    if before is None or len(shape) == 1:
        return map_extent(shape)
    extent, read = before
    if shape == read and not node.op.moves_features:
        return extent
    if node.op.is_product:
        return Extent(extent.places, shape[-1], is_last=True)
    is_last = node.op.puts_features_last
    if is_last is None:
        is_last = _moved(extent, read, shape) if node.op.moves_features else extent.is_last
        if not is_last and len(shape) == 3 and not node.op.moves_features:
            return map_extent(shape)
    elif not is_last:
        return map_extent(shape)
    features = shape[-1] if is_last else shape[0]
    if _has_product(shape, math.prod(extent.places)):
        return Extent(extent.places, features, is_last)
    return _tokens(shape, is_last=is_last)


def _moved(extent: Extent, read: Shape, shape: Shape) -> bool:
    """Whether a permutation leaves features last."""
    if extent.is_last:
        return shape[0] != read[-1] or shape[-1] == read[-1]
    return shape[-1] == read[0] and shape[0] != read[0]


def _has_product(sides: Sequence[int], wanted: int) -> bool:
    """Whether some of the sides have a product."""
    some = sides[:MAX_SIDES]
    return any(
        math.prod(chosen) == wanted
        for count in range(1, len(some) + 1)
        for chosen in combinations(some, count)
    )


def _tokens(shape: Shape, *, is_last: bool) -> Extent:
    places, features = (shape[:-1], shape[-1]) if is_last else (shape[1:], shape[0])
    several = [side for side in places if side > 1]
    if len(several) == 2 and len(places) == 2:
        return Extent((several[0], several[1]), features, is_last)
    count = math.prod(several)
    return Extent((count,) if count > 1 else (1, 1), features, is_last)
