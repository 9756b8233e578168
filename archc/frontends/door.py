"""From what a user calls a model to a model that was read: a file, or a callable of Python's."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.errors import reason
from archc.frontends.imported import Imported
from archc.frontends.program import ForeignError
from archc.graph.network import Runner
from archc.inputs import note_input
from archc.source.caller import said
from archc.source.foreign import kind_of
from archc.text import quote_name

if TYPE_CHECKING:
    from archc.frontends.torch_export.sizes import InputSizes

USUAL_SIZE = (3, 224, 224)
"""The images of a module, where nothing else is said."""

_ZIP = b"PK\x03\x04"
"""What archives begin with."""
_VERSION = b"\x08"
"""What ONNX files begin with: the number of the field that has the version."""


def size_of(input: InputSizes | str | None) -> tuple[int, int, int] | None:
    """An image's size, given as numbers or as ``C,H,W``. Raises `ForeignError` for anything
    else."""
    if input is None:
        return None
    given: list[Any] = input.split(",") if isinstance(input, str) else list(input)
    try:
        numbers = [int(one) for one in given]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 3 or min(numbers) < 1:
        what = said("`--input` takes channels, height and width", "`input` must be (C, H, W)")
        from archc.frontends.torch_export.sizes import without_batch

        hint = without_batch(numbers) or said("for example 3,224,224", "for example (3, 224, 224)")
        raise ForeignError(f"{what}, not {input!r:.60}", hint)
    return numbers[0], numbers[1], numbers[2]


def read(name: str, input: InputSizes | str | None = None) -> Imported:
    """A model by what a user calls it; a module may have several sizes (see `InputSizes`).

    Raises `ForeignError` where it cannot be read.
    """
    kind = kind_of(name)
    if kind == "onnx":
        return read_onnx_file(name, input)
    if kind == "pt2":
        return read_archive_file(name, input)
    from archc.frontends.torch_export.live import export_module
    from archc.frontends.torch_module.loading import load_module

    module = load_module(name)
    size = (size_of(input) if isinstance(input, str) else input) or USUAL_SIZE
    return export_module(module, size, name.rpartition(":")[2], name)


def read_onnx_file(file: str, input: InputSizes | str | None = None) -> Imported:
    """An ONNX file. Raises `ForeignError`."""
    from archc.frontends.onnx.reader import read_onnx

    _check(file, "ONNX file")
    program = read_onnx(Path(file), quote_name(file), size_of(input))

    def runner() -> Runner:
        from archc.frontends.onnx.running import running

        return running(Path(file), program)

    return Imported(program, file, runner)


def read_archive_file(file: str, input: InputSizes | str | None = None) -> Imported:
    """A ``.pt2`` file. Raises `ForeignError`."""
    from archc.frontends.torch_export.archive import read_archive

    if input is not None:
        what = said("`--input`", "`input`")
        raise ForeignError(
            f"{quote_name(file)}: a .pt2 file fixes the size of its images, so {what} cannot "
            "change it",
            "export the model again with images of that size",
        )
    _check(file, "exported program")
    with open(file, "rb") as stream:
        return Imported(read_archive(stream, quote_name(file), Path(file)), file)


def _check(file: str, what: str) -> None:
    """Raise `ForeignError` for what is no file that can be read."""
    note_input(file)
    try:
        mode = os.stat(file).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise ForeignError(f"{quote_name(file)} is {kind}, not an {what}")
        with open(file, "rb") as stream:
            first = stream.read(4)
    except FileNotFoundError:
        raise ForeignError(f"there is no file {quote_name(file)}") from None
    except (OSError, ValueError) as error:
        raise ForeignError(f"{quote_name(file)} cannot be read: {reason(error)}") from None
    if what == "ONNX file" and first == _ZIP:
        hint = said("a name that ends in .pt2 is read as one", "archc.from_export reads those")
        raise ForeignError(
            f"{quote_name(file)} is not an ONNX file but an archive, as exported programs are", hint
        )
    if what != "ONNX file" and first != _ZIP and (first[:1] == _VERSION or kind_of(file) == "onnx"):
        hint = said("a name that ends in .onnx is read as one", "archc.from_onnx reads it")
        raise ForeignError(f"{quote_name(file)} is an ONNX file, not an {what}", hint)
