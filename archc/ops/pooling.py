"""Poolings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError, by, require_map, slide, step
from archc.ops.convolution import onnx_window
from archc.ops.facts import (
    INPUTS,
    NOTHING,
    TIED,
    Grid,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Reach,
    Saved,
    Shape,
    Size,
    Torch,
    pair,
    stored,
)
from archc.ops.traits import Unary, Windowed

if TYPE_CHECKING:
    from archc.ops.given import Given

_ARGUMENTS = (
    *(("kernel_size", None), ("stride", "kernel_size"), ("padding", 0)),
    ("ceil_mode", False),
)


@dataclass(frozen=True, slots=True)
class _Pool2d(Windowed):
    padding: Size = 0
    ceil_mode: bool = False

    unsaid = frozenset(["ceil_mode"])
    channels = TIED
    words: ClassVar[str]
    """What figures call it."""

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A pooling of maps."""
        kernel = given.size("kernel_size", 0)
        given.require(given.size("dilation", 1) == 1, "its window is dilated")
        given.require(given.get("divisor_override", 0) == 0, "it divides by a number of its own")
        more = {}
        if "count_include_pad" in cls.field_names():
            more["count_include_pad"] = given.flag("count_include_pad", True)
        return cls(
            kernel,
            given.size("stride", kernel),
            given.size("padding", 0),
            given.flag("ceil_mode", False),
            **more,
        )

    def infer(self, *inputs: Shape) -> Shape:
        """The channels it reads, and the places of the window."""
        (x,) = inputs
        require_map(x, "pooling")
        window = self.kernel_size, self.stride, self.padding
        out = (x[0], *slide(x, *window, ceil_mode=self.ceil_mode))
        fault = self.fault(otherwise=out)
        if fault is not None:
            raise fault
        return out

    def changes(self, *inputs: Shape) -> bool:
        """Whether its windows are more than single places, each of them."""
        return (self.kernel_size, self.stride, self.padding) != (1, 1, 0)

    def fault(self, otherwise: Shape | None = None) -> ShapeError | None:
        """What is wrong with the pooling whatever its input: torch refuses so much padding."""
        sizes = zip(pair(self.padding), pair(self.kernel_size), strict=True)
        if all(padding <= kernel // 2 for padding, kernel in sizes):
            return None
        half = [kernel // 2 for kernel in pair(self.kernel_size)]
        most = by((half[0], half[1])) if half[0] != half[1] else half[0]
        given = self.padding if isinstance(self.padding, int) else by(self.padding)
        return ShapeError(
            f"a pooling of {by(self.kernel_size)} can be padded by at most {most}, half its "
            f"kernel, not by {given}",
            attribute="padding",
            otherwise=otherwise,
            code="out-of-range",
        )

    def overhang(self, output: Shape, *inputs: Shape) -> tuple[int, int]:
        """How far the last windows reach beyond the padding, as (height, width)."""
        sizes = zip(
            *(inputs[0][1:], output[1:], pair(self.kernel_size), pair(self.stride)),
            pair(self.padding),
            strict=True,
        )
        height, width = (
            max((places - 1) * stride + kernel - size - 2 * padding, 0)
            for size, places, kernel, stride, padding in sizes
        )
        return height, width

    def rounded_down(self, *inputs: Shape) -> Self:
        """The pooling without ``ceil_mode`` where that leaves as many windows."""
        plain = replace(self, ceil_mode=False)
        return plain if plain.infer(*inputs) == self.infer(*inputs) else self

    def look(self) -> Look:
        """A box: ``pool, /2``."""
        return Look(
            box="pool",
            label=f"{self.words}{step(self.stride)}",
            mark=self.words,
            words=f"{self.words}{step(self.stride)}",
        )


@dataclass(frozen=True, slots=True)
class MaxPool2d(_Pool2d):
    """The maximum over a sliding window; sizes round down, or up with ``ceil_mode``."""

    kind = "max_pool2d"
    words = "pool"
    torch = Torch(
        is_module=True,
        module=Module("nn.MaxPool2d", (), _ARGUMENTS),
        ends_line=True,
        exported=("max_pool2d", "max_pool2d_with_indices"),
    )
    onnx_names = ("MaxPool",)

    def canonical(self, *inputs: Shape) -> Op | None:
        """Rounded down where that makes no difference; of windows of a place each, nothing."""
        return self.rounded_down(*inputs) if self.changes(*inputs) else None

    def saved(self) -> Saved:
        """What it reads, and where each maximum lies."""
        return Saved(inputs=True, index=True)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A MaxPool. Runtimes round sizes up by different rules: padding at the end says what is
        meant."""
        window = onnx_window(self.kernel_size, self.stride, self.padding)
        low, over = pair(self.padding), self.overhang(output, *inputs)
        window["pads"] = [*low, low[0] + over[0], low[1] + over[1]]
        yield OnnxNode("MaxPool", output, window)


@dataclass(frozen=True, slots=True)
class AvgPool2d(_Pool2d):
    """The mean over a sliding window; sizes round down, or up with ``ceil_mode``.

    Padding is counted in unless ``count_include_pad`` is False; what hangs over the padding at the
    end of a map, as ``ceil_mode`` lets windows do, never is.
    """

    kind = "avg_pool2d"
    count_include_pad: bool = True

    unsaid = frozenset(["ceil_mode", "count_include_pad"])
    words = "avg pool"
    torch = Torch(
        is_module=True,
        module=Module("nn.AvgPool2d", (), (*_ARGUMENTS, ("count_include_pad", True))),
        ends_line=True,
        exported=("avg_pool2d",),
    )
    onnx_names = ("AveragePool",)

    def canonical(self, *inputs: Shape) -> Op | None:
        """Over the whole map it is what an adaptive pooling says more plainly; without padding
        there is none to count."""
        if not self.changes(*inputs):
            return None
        is_padded = any(pair(self.padding))
        if inputs[0][1:] == pair(self.kernel_size) and not is_padded:
            return AdaptiveAvgPool2d(1)
        plain = self if is_padded else replace(self, count_include_pad=True)
        return plain.rounded_down(*inputs)

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An AveragePool; where windows hang over padding that counts, a Pad before it."""
        window = onnx_window(self.kernel_size, self.stride, self.padding)
        low, over = pair(self.padding), self.overhang(output, *inputs)
        counts = self.count_include_pad
        if any(over):
            if counts and any(low):
                import numpy as np

                channels, height, width = inputs[0]
                yield Initializer("pads", np.array([0, 0, *low, 0, 0, *low]))
                padded = (channels, height + 2 * low[0], width + 2 * low[1])
                yield OnnxNode("Pad", padded, {"mode": "constant"}, ".padded")
                low = (0, 0)
            counts = False
        window["pads"] = [*low, low[0] + over[0], low[1] + over[1]]
        yield OnnxNode("AveragePool", output, {**window, "count_include_pad": int(counts)})


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool2d(Unary):
    """Means over a grid of windows that cover the map."""

    kind = "adaptive_avg_pool2d"
    output_size: Size

    channels = TIED
    torch = Torch(
        is_module=True,
        module=Module("nn.AdaptiveAvgPool2d", ("output_size",)),
        ends_line=True,
        exported=("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "mean"),
    )
    onnx_names = ("GlobalAveragePool", "ReduceMean")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A pooling into a grid, or the mean over the whole map where that stays a map."""
        if "output_size" in given.arguments:
            sides = given.inputs[0][-2:]
            size = given.get("output_size", ())
            given.require(isinstance(size, tuple) and len(size) == 2, "its grid is not fixed")
            rows, columns = (b if a is None else a for a, b in zip(size, sides, strict=True))
            return cls(stored((rows, columns)))
        dims = given.get("dim", ())
        dims = dims if isinstance(dims, tuple) else (dims,)
        over = {dim % 4 if isinstance(dim, int) else dim for dim in dims}
        given.require(given.rank == 4 and over == {2, 3}, "it is a mean over something else")
        given.require(given.flag("keepdim", False), "it puts out a vector")
        return cls(1)

    def infer(self, *inputs: Shape) -> Shape:
        """The channels it reads, and the grid."""
        (x,) = inputs
        require_map(x, "pooling")
        return (x[0], *pair(self.output_size))

    def reach(self) -> Reach:
        """The grid."""
        return Grid(pair(self.output_size))

    def changes(self, *inputs: Shape) -> bool:
        """Whether the map has another size already."""
        return inputs[0][1:] != pair(self.output_size)

    def canonical(self, *inputs: Shape) -> Op | None:
        """Of parts that are all of one size, a pooling with that window."""
        if not self.changes(*inputs) or self.output_size == 1:
            return Op.canonical(self, *inputs)
        sizes = [divmod(a, b) for a, b in zip(inputs[0][1:], pair(self.output_size), strict=True)]
        if any(rest for _, rest in sizes):
            return self
        window = (sizes[0][0], sizes[1][0])
        return AvgPool2d(window, window)

    def saved(self) -> Saved:
        """What it reads; a mean over everything has the same gradient everywhere, whatever it
        read."""
        return NOTHING if self.output_size == 1 else INPUTS

    def look(self) -> Look:
        """A box."""
        return Look(box="pool", label="avg pool", mark="avg pool", words="avg pool")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Windows of one size where the map divides into them, otherwise products with matrices of
        windows from both sides."""
        (before,) = inputs
        channels, height, width = before
        rows, columns = pair(self.output_size)
        if (rows, columns) == (1, 1):
            yield OnnxNode("GlobalAveragePool", output)
        elif (height, width) == (rows, columns):
            return
        elif height % rows == width % columns == 0:
            window = [height // rows, width // columns]
            yield OnnxNode("AveragePool", output, {"kernel_shape": window, "strides": window})
        else:
            yield Initializer("columns", _windows(width, columns).T.copy())
            yield OnnxNode("MatMul", (channels, height, columns), suffix=".columns_mean")
            yield Initializer("rows", _windows(height, rows), first=True)
            yield OnnxNode("MatMul", output)


def _windows(length: int, size: int) -> Any:
    """A row for each of torch's adaptive windows: means over ``length`` positions."""
    import numpy as np

    rows = np.zeros((size, length), np.float32)
    for index, row in enumerate(rows):
        start, end = index * length // size, math.ceil((index + 1) * length / size)
        row[start:end] = 1 / (end - start)
    return rows
