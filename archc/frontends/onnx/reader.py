"""ONNX files as programs."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from archc.errors import reason
from archc.frontends.onnx.model import Model, read_model
from archc.frontends.onnx.reading import Reading
from archc.frontends.onnx.rules import rules
from archc.frontends.onnx.tensors import OnnxTensors, with_values
from archc.frontends.onnx.wire import Buffer, WireError
from archc.frontends.patterns import gathered
from archc.frontends.program import ForeignError, Program
from archc.frontends.tensors import Source

OPSETS = range(7, 100)
"""The versions of ONNX's operations that are read; newer ones as far as they are as before."""


def read_onnx(source: Source, file: str = "", input: Sequence[int] | None = None) -> Program:
    """The program in an ``.onnx`` file.

    ``input`` (channels, height, width) is the size of images, for a file that does not fix it or to
    have another; ``file`` is what messages call it. Neither weights nor files beside it are read.
    Raises `ForeignError` where it cannot be read, ValueError for an ``input`` that is no size.
    """
    file = file or ("the model" if isinstance(source, bytes) else str(source))
    if input is not None:
        sizes = tuple(input)
        if len(sizes) != 3 or not all(type(side) is int and side > 0 for side in sizes):
            raise ValueError(f"`input` must be (channels, height, width), not {input!r}")
    model = _model(source, file)
    if model.opset not in OPSETS:
        raise ForeignError(
            f"{file} uses ONNX opset {model.opset}; archc reads opset {OPSETS.start} and newer",
            "convert it with onnx.version_converter.convert_version",
        )
    model = with_values(model, source, file)
    reading = Reading(model, file, rules(), input)
    try:
        program = reading.program()
    except WireError as error:
        raise ForeignError(f"{file} is not an ONNX model that archc can read: {error}") from error
    tensors = OnnxTensors(source, file, reading.tensors, reading.constants)
    return replace(gathered(program), tensors=tensors)


def _model(source: Source, file: str) -> Model:
    try:
        with _bytes(source, file) as data:
            return read_model(data)
    except WireError as error:
        raise ForeignError(f"{file} is not an ONNX model that archc can read: {error}") from error
    except (IndexError, OverflowError) as error:  # a field that ends beyond the file
        raise ForeignError(f"{file} is truncated, or not an ONNX model") from error
    except RecursionError as error:
        raise ForeignError(f"{file} is nested too deeply") from error


@contextmanager
def _bytes(source: Source, file: str) -> Iterator[Buffer]:
    """What is in a file, without reading what nobody asks for."""
    if isinstance(source, bytes):
        yield source
        return
    try:
        with Path(source).open("rb") as stream:
            if not Path(source).stat().st_size:
                raise ForeignError(f"{file} is empty")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if hasattr(mmap, "MADV_RANDOM"):
                    data.madvise(mmap.MADV_RANDOM)  # what lies between is not read ahead
                yield data
    except OSError as error:
        raise ForeignError(f"cannot read {file}: {reason(error)}") from error
