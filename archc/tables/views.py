"""Memory, receptive fields and rooflines as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archc.backends.numbers import exactly, in_bytes, percent, shape
from archc.backends.table import Cell, Column, Table
from archc.ops import OPS, Op
from archc.ops.traits import ElementWise
from archc.tables.counts import SPEC

if TYPE_CHECKING:
    from archc.analysis import Fields, Fit, FitRow, Memory, Roofline

_WHERE = (Column("stage", "stage"), Column("block", "block"))
_LAYER = (Column("layer", "layer"), Column("op", "op"))


def memory_summary(one: Memory) -> Table:
    """What a network needs, a row each, in bytes."""
    rows = tuple((what, number, in_bytes(number)) for what, number in _needs(one))
    columns = (Column("", "what"), Column("bytes", "bytes", exactly), Column("in short", "short"))
    return Table(columns, rows, _memory_title(one))


def memory_by_layer(one: Memory) -> Table:
    """What each op puts out, what is alive while it runs, what it keeps for training."""
    rows = tuple((row.name, row.op, row.output, row.alive, row.kept) for row in one.rows)
    columns = (
        *_LAYER,
        Column("output bytes", "output", exactly),
        Column("live at inference", "alive", exactly),
        Column("saved for training", "kept", exactly),
    )
    return Table(columns, rows, _memory_title(one))


def all_memory(specs: Sequence[str], found: Sequence[Memory], by_layer: bool) -> Table:
    """Several networks' memory in one table of bytes."""
    if by_layer:
        layers = memory_by_layer(found[0]).columns
        rows: list[tuple[Cell, ...]] = [
            (spec, row.stage, row.block, row.name, row.op, row.output, row.alive, row.kept)
            for spec, one in zip(specs, found, strict=True)
            for row in one.rows
        ]
        return Table((SPEC, *_WHERE, *layers), tuple(rows))
    columns = (
        SPEC,
        Column("batch", "batch"),
        Column("dtype", "dtype"),
        Column("what", "what"),
        Column("bytes", "bytes", exactly),
    )
    rows = [
        (spec, one.batch, one.dtype, what, number)
        for spec, one in zip(specs, found, strict=True)
        for what, number in _needs(one)
    ]
    return Table(columns, tuple(rows))


def _needs(one: Memory) -> list[tuple[str, int]]:
    held = sum(one.params.values()) + sum(one.buffers.values())
    step = held + one.gradients + one.training
    return [
        *((f"parameters, {dtype}", size) for dtype, size in one.params.items()),
        *((f"buffers, {dtype}", size) for dtype, size in one.buffers.items()),
        (f"inference: peak of images and activations, at {one.inference_at}", one.inference),
        ("training: images and activations saved", one.training),
        ("training: gradients of parameters", one.gradients),
        *((f"optimizer: {name}", size) for name, size in one.optimizer.items()),
        ("inference, total", held + one.inference),
        *((f"training, total, {name}", step + size) for name, size in one.optimizer.items()),
    ]


def fit(one: Fit) -> Table:
    """The largest batch of each use."""
    rows = tuple(
        (
            *(row.dtype, row.use, row.optimizer, row.batch),
            in_bytes(row.bytes) if row.bytes else f"one image needs {in_bytes(row.bytes_of_one)}",
            _peak(row),
        )
        for row in one.rows
    )
    columns = (*_BATCH, Column("memory", "memory"), Column("most is alive in", "peak"))
    images = f"{shape(one.input)} images in {in_bytes(one.memory)}"
    return Table(columns, rows, f"{one.name}: largest batch of {images}")


def all_fits(specs: Sequence[str], found: Sequence[Fit]) -> Table:
    """Several networks' batches in one table of exact numbers."""
    rows = tuple(
        (
            *(spec, one.memory, row.dtype, row.use, row.optimizer, row.batch),
            *(row.bytes, row.bytes_of_one, row.phase, row.op),
        )
        for spec, one in zip(specs, found, strict=True)
        for row in one.rows
    )
    columns = (
        *(SPEC, Column("memory", "memory", exactly), *_BATCH),
        *(Column("bytes", "bytes", exactly), Column("of one image", "bytes_of_one", exactly)),
        *(Column("phase", "phase"), Column("op", "op")),
    )
    return Table(columns, rows)


_BATCH = (
    Column("dtype", "dtype"),
    Column("use", "use"),
    Column("optimizer", "optimizer"),
    Column("batch", "batch", exactly),
)


def _peak(row: FitRow) -> str:
    """When most is alive."""
    if row.op is None:
        return "the optimizer's step"
    if row.use == "inference":
        return row.op
    return f"{row.phase}, {row.op}"


def _memory_title(one: Memory) -> str:
    return f"{one.name}: memory for {_images(one.batch, one.input)}, {one.dtype}"


def _images(batch: int, size: Sequence[int]) -> str:
    return f"one {shape(size)} image" if batch == 1 else f"{batch:,} {shape(size)} images"


def fields(one: Fields) -> Table:
    """The receptive field of each op's outputs in pixels, element-wise ops left out."""
    rows = tuple(
        (row.name, row.op, row.output_shape, row.size, _pair(row.stride), _pair(row.centre))
        for row in one.rows
        if not issubclass(OPS.get(row.op, Op), ElementWise)
    )
    columns = (*_LAYER, *_FIELD)
    title = f"{one.name}: receptive fields in pixels of the {shape(one.input)} image"
    return Table(columns, rows, title)


def all_fields(specs: Sequence[str], found: Sequence[Fields]) -> Table:
    """Several networks' receptive fields in one table."""
    rows = tuple(
        (
            *(spec, row.stage, row.block, row.name, row.op),
            *(row.output_shape, *row.size, *row.stride, *row.centre),
        )
        for spec, one in zip(specs, found, strict=True)
        for row in one.rows
    )
    sides = [
        Column(f"{name} {side} px", f"{name}_{side}")
        for name in ("field", "stride", "centre")
        for side in ("height", "width")
    ]
    output = Column("output", "output_shape", shape)
    return Table((SPEC, *_WHERE, *_LAYER, output, *sides), rows)


_FIELD = (
    Column("output", "output_shape", shape),
    Column("field px", "size", shape),
    Column("stride px", "stride"),
    Column("first centre px", "centre"),
)


def _pair(numbers: Sequence[float | None]) -> str:
    """One number where both are the same; a dash where there is none."""
    words = ["-" if number is None else f"{number:g}" for number in numbers]
    return words[0] if words[0] == words[1] else "x".join(words)


def roofline(one: Roofline) -> Table:
    """The least time of each layer and what bounds it, totals in the title."""
    rows = tuple(
        (
            *(row.name, row.op, row.multiply_adds, row.bytes_moved),
            *(row.intensity, row.seconds, row.bound, row.seconds / one.seconds),
        )
        for row in one.rows
    )
    title = (
        f"{one.name} on {one.device.title} ({one.device.operations / 1e12:g} TFLOPS, "
        f"{one.device.bandwidth / 1e9:g} GB/s): at least {_microseconds(one.seconds)} µs for "
        f"{_images(one.batch, one.input)}, {percent(one.compute_bound)} of it compute-bound"
    )
    return Table((*_LAYER, *_BOUND, Column("of all", "share", percent)), rows, title)


def all_rooflines(specs: Sequence[str], found: Sequence[Roofline]) -> Table:
    """Several networks' rooflines in one table."""
    rows = tuple(
        (
            *(spec, one.device.name, one.batch, row.stage, row.block, row.name, row.op),
            *(row.multiply_adds, row.bytes_moved, row.intensity, row.seconds, row.bound),
        )
        for spec, one in zip(specs, found, strict=True)
        for row in one.rows
    )
    columns = (
        SPEC,
        Column("device", "device"),
        Column("batch", "batch"),
        *_WHERE,
        *_LAYER,
        *_BOUND,
    )
    return Table(columns, rows)


def _microseconds(seconds: float) -> str:
    number = 1e6 * seconds
    return (
        f"{number:,.0f}" if number >= 100 else f"{number:.2f}" if number >= 1 else f"{number:.4f}"
    )


_BOUND = (
    Column("multiply-adds", "multiply_adds", exactly),
    Column("bytes", "bytes", exactly),
    Column("operations/byte", "intensity", lambda number: f"{number:,.1f}"),
    Column("at least µs", "seconds", _microseconds),
    Column("bound by", "bound"),
)
