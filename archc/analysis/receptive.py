"""Which pixels of the image the outputs of a layer see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archc.analysis.plain import as_plain
from archc.graph import Network, Node, Shape
from archc.graph.ops import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ZeroPadShortcut,
)


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


@dataclass(frozen=True, slots=True)
class Fields:
    """The receptive fields of a network's ops, in order, for images of shape ``input``."""

    name: str
    input: Shape
    rows: tuple[Field, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return as_plain(self)


def receptive_fields(network: Network) -> Fields:
    """The receptive field of every op up to the logits.

    A window of ``k`` at stride ``s`` on inputs whose fields are ``r`` wide and ``j`` apart sees
    ``r + (k - 1) j``, and its outputs are ``s j`` apart (Araujo et al. 2019, "Computing Receptive
    Fields of Convolutional Neural Networks"). A sum sees what any of its summands sees.
    """
    axes: dict[str, tuple[_Axis, _Axis]] = {}
    rows = []
    for node in network.nodes.values():
        inputs = [axes[source] for source in node.inputs]
        found = _image(node.output_shape) if not inputs else _of(network, node, inputs)
        axes[node.id] = found
        if inputs:
            rows.append(_field(node, found))
        if node.id == network.logits:
            break
    return Fields(network.name, network.input_shape, tuple(rows))


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

    def size(self) -> int:
        """How many pixels an output sees at the most."""
        if isinstance(self.low, range) and isinstance(self.high, range):
            ends = (0, -1)  # what lies evenly between them is no larger
            return max(self.high[end] - self.low[end] for end in ends) + 1
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
    return height, width


def _of(network: Network, node: Node, inputs: list[tuple[_Axis, _Axis]]) -> tuple[_Axis, _Axis]:
    op, (height, width) = node.op, inputs[0]
    match op:
        case Conv2d() | MaxPool2d() | AvgPool2d():
            window = (op.kernel_size, op.stride, op.padding)
        case ZeroPadShortcut():
            window = (1, op.stride, 0)
        case AdaptiveAvgPool2d():
            return height.pooled(op.output_size), width.pooled(op.output_size)
        case Flatten() | Linear():
            return height.whole(), width.whole()
        case _:
            for other in inputs[1:]:
                height, width = height.with_(other[0]), width.with_(other[1])
            return height, width
    _, rows, columns = node.output_shape
    return height.slide(*window, rows), width.slide(*window, columns)


def _field(node: Node, axes: tuple[_Axis, _Axis]) -> Field:
    sizes = [axis.size() for axis in axes]
    steps = [
        axis.low.step if isinstance(axis.low, range) and len(axis.low) > 1 else None
        for axis in axes
    ]
    centres = [(axis.low[0] + axis.high[0]) / 2 for axis in axes]
    return Field(
        name=node.id,
        op=node.op.kind,
        stage=node.stage,
        block=node.block,
        output_shape=node.output_shape,
        size=(sizes[0], sizes[1]),
        stride=(steps[0], steps[1]),
        centre=(centres[0], centres[1]),
    )
