"""Which pixels of the image the outputs of a layer see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from archc.analysis.plain import as_plain
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Shape, Standing
from archc.ops.facts import Everything, Grid, Point, Reach, Window
from archc.shown import Result


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a layer's outputs, as (height, width) in pixels of the image.

    ``size`` is what one output sees at the most, padding around the image included; ``stride``
    how far the fields of neighbouring outputs lie apart, None where there is one output alone or
    the distances differ; ``centre`` the middle of the first output's field, the first pixel's own
    middle being 0.
    """

    name: str
    op: str
    stage: int | None
    block: int | None
    output_shape: Shape
    size: tuple[int, int]
    stride: tuple[int | None, int | None]
    centre: tuple[float, float]


@dataclass(frozen=True, slots=True, repr=False)
class Fields(Result):
    """The receptive fields of a network's ops, in order, for images of shape ``input``."""

    name: str
    input: Shape
    rows: tuple[Field, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return as_plain(self)


def receptive_fields(network: Network) -> Fields:
    """The receptive field of every op up to the logits.

    A window of ``k`` at stride ``s`` on inputs whose fields are ``r`` wide and ``j`` apart sees
    ``r + (k - 1) j``, and its outputs are ``s j`` apart (Araujo et al. 2019, "Computing Receptive
    Fields of Convolutional Neural Networks"). A sum sees what any of its summands sees.
    """
    network = network.inference
    axes: dict[str, tuple[_Axis, _Axis]] = {}
    rows = []
    for node in network.nodes.values():
        inputs = [axes[source] for source in node.inputs]
        found = _image(node.output_shape) if not inputs else _of(node, inputs)
        axes[node.id] = found
        if inputs:
            rows.append(_field(node, network.standings[node.id], found))
        if node.id == network.logits:
            break
    return Fields(network.name, network.input_shape, tuple(rows), network.several_inputs)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The first and the last pixel that each output along an axis sees.

    They are ranges where fields are evenly spaced, which go on beyond the map as windows on
    padding need it, and lists where they are not.
    """

    low: Sequence[int]
    high: Sequence[int]

    def slide(self, kernel: int, stride: int, padding: int, outputs: int) -> _Axis:
        """The fields of windows over these outputs."""
        if isinstance(self.low, range) and isinstance(self.high, range):
            step = self.low.step
            first = self.low.start - padding * step
            last = self.high.start + (kernel - 1 - padding) * step
            return _Axis(
                _evenly(first, stride * step, outputs), _evenly(last, stride * step, outputs)
            )
        end = len(self.low) - 1
        starts = [index * stride - padding for index in range(outputs)]
        return _Axis(
            [self.low[min(max(start, 0), end)] for start in starts],
            [self.high[min(max(start + kernel - 1, 0), end)] for start in starts],
        )

    def pooled(self, outputs: int) -> _Axis:
        """The fields of so many windows that share the outputs among them, as torch does."""
        size = len(self.low)
        if size % outputs == 0:
            return self.slide(size // outputs, size // outputs, 0, outputs)
        return _Axis(
            [self.low[index * size // outputs] for index in range(outputs)],
            [self.high[-(-(index + 1) * size // outputs) - 1] for index in range(outputs)],
        )

    def whole(self) -> _Axis:
        """The field of what sees all of these outputs."""
        # Windows further on see pixels further on: no axis needs to be searched.
        return _Axis(_evenly(self.low[0], 1, 1), _evenly(self.high[-1], 1, 1))

    def over(self, places: Shape) -> _Axis:
        """The fields of outputs at so many places, where a single one is spread over all."""
        count = math.prod(places)
        if len(self.low) != 1 or count == 1:
            return self
        return _Axis([self.low[0]] * count, [self.high[0]] * count)

    def size(self) -> int:
        """How many pixels an output sees at the most."""
        if isinstance(self.low, range) and isinstance(self.high, range):
            # What lies evenly between the ends is no larger.
            return max(self.high[0] - self.low[0], self.high[-1] - self.low[-1]) + 1
        return max(high - low for low, high in zip(self.low, self.high, strict=True)) + 1

    def with_(self, other: _Axis) -> _Axis:
        """The fields of sums of these outputs with others."""
        pairs = [(self.low, other.low, min), (self.high, other.high, max)]
        even = all(isinstance(axis, range) for pair in pairs for axis in pair[:2])
        if even and self.low.step == other.low.step:  # type: ignore[attr-defined]
            step = self.low.step  # type: ignore[attr-defined]
            low, high = (_evenly(pick(a[0], b[0]), step, len(a)) for a, b, pick in pairs)
            return _Axis(low, high)
        return _Axis(*([pick(x, y) for x, y in zip(a, b, strict=True)] for a, b, pick in pairs))


def _evenly(first: int, step: int, count: int) -> range:
    return range(first, first + count * step, step)


def _image(shape: Shape) -> tuple[_Axis, _Axis]:
    height, width = (_Axis(range(size), range(size)) for size in shape[1:])
    return height, height if width == height else width


def _of(node: Node, inputs: list[tuple[_Axis, _Axis]]) -> tuple[_Axis, _Axis]:
    """The axes of an op's outputs; the two are one where maps and windows are square."""
    reach, places = node.op.reach(), node.output_shape[1:]
    height = _along(0, reach, places, inputs)
    if _is_square(reach) and all(axes[0] is axes[1] for axes in inputs):
        return height, height
    return height, _along(1, reach, places, inputs)


def _is_square(reach: Reach) -> bool:
    match reach:
        case Window():
            sizes = (reach.kernel, reach.stride, reach.padding)
            return all(height == width for height, width in sizes)
        case Grid():
            return reach.size[0] == reach.size[1]
        case _:
            return True


def _along(direction: int, reach: Reach, places: Shape, inputs: list[tuple[_Axis, _Axis]]) -> _Axis:
    axis = inputs[0][direction]
    match reach:
        case Window():
            kernel, stride, padding = (
                size[direction] for size in (reach.kernel, reach.stride, reach.padding)
            )
            return axis.slide(kernel, stride, padding, places[direction])
        case Grid():
            return axis.pooled(reach.size[direction])
        case Everything():
            return axis.whole()
        case Point():
            # Each place of a product with a map of 1x1 sees all that this one sees.
            axis, *others = (axes[direction].over(places[direction:][:1]) for axes in inputs)
            for other in others:
                axis = axis.with_(other)
            return axis


def _seen(axis: _Axis) -> tuple[int, int | None, float]:
    """How many pixels an output sees, how far outputs are apart, the first one's centre."""
    even = isinstance(axis.low, range) and len(axis.low) > 1
    step = axis.low.step if even else None  # type: ignore[attr-defined]
    return axis.size(), step, (axis.low[0] + axis.high[0]) / 2


def _field(node: Node, standing: Standing, axes: tuple[_Axis, _Axis]) -> Field:
    height = _seen(axes[0])
    width = height if axes[1] is axes[0] else _seen(axes[1])
    return Field(
        name=node.id,
        op=node.op.called,
        stage=standing.stage,
        block=standing.block,
        output_shape=node.output_shape,
        size=(height[0], width[0]),
        stride=(height[1], width[1]),
        centre=(height[2], width[2]),
    )
