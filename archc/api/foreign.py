"""Models of other libraries as networks: ONNX files, exported programs, torch modules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from archc.graph import Network
from archc.source.caller import said
from archc.text import a_type, quote_name

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from archc.frontends.imported import Imported
    from archc.frontends.program import ForeignError
    from archc.frontends.torch_export.sizes import InputSizes
    from archc.spec.overrides import Change, Size

PathLike: TypeAlias = "str | os.PathLike[str]"


def is_model(name: str) -> bool:
    """Whether a name is one of a model that is no spec: ``FILE.onnx``, ``FILE.pt2``,
    ``package.module:callable`` or ``FILE.py:Name``."""
    if "." not in name and ":" not in name:
        return False  # as of shipped specs
    from archc.source.foreign import kind_of

    return kind_of(name) is not None


def runs_code(name: str) -> bool:
    """Whether reading a model of this name runs its author's code: a callable's does."""
    from archc.source.foreign import kind_of

    return kind_of(name) == "module"


def read_model(name: str, *, input: InputSizes | str | None = None) -> Imported:
    """A model by its name (see `is_model`), read; of a file nothing is executed.

    ``input`` is the image's ``(channels, height, width)``, or ``"C,H,W"``, where the model does not
    say it; a callable's is (3, 224, 224) unless given. Raises `ForeignError`.
    """
    from archc.frontends.door import read

    return read(name, input)


def read_changed_model(name: str, changes: Sequence[Change] = ()) -> Imported:
    """As `read_model`, with what differs: of a model that is an image's size at the most.

    Raises `ForeignError` for any other change.
    """
    if not changes:
        return read_model(name)
    from archc.frontends.program import ForeignError
    from archc.spec.overrides import InputSize, Set

    size: Size | None = None
    for change in changes:
        if not isinstance(change, InputSize):
            if isinstance(change, Set):
                option = said("`--set` changes", "`set` and keys of specs change")
            else:
                option = said("`--with` changes", "`with_` changes")
            shown = quote_name(name)
            raise ForeignError(
                f"{option} specs, and {shown} is a model",
                f"`archc lift {shown} -o net.yaml` makes a spec of it",
            )
        size = change.size
    return read_model(name, input=size)


def from_onnx(file: PathLike, *, input: Sequence[int] | None = None) -> Network:
    """The network of an ONNX file; ``input`` is the image's size where the file leaves it open.

    Nothing is executed, and no weights are read. Raises `ForeignError`.
    """
    from archc.frontends.door import read_onnx_file

    if not isinstance(file, (str, os.PathLike)):
        kind = "onnx.onnx_ml_pb2.ModelProto"
        does = "onnx.save(model, file) writes" if _is_a(file, kind) else "write"
        raise _wrong("file", "the path of an ONNX file", file, f"{does} it to a file first")
    return read_onnx_file(os.fsdecode(file), input).network


def from_export(program: PathLike | ExportedProgram) -> Network:
    """The network of a program of torch.export, or of the ``.pt2`` file of one, from which nothing
    is executed. Raises `ForeignError`."""
    from archc.frontends.door import read_archive_file

    if isinstance(program, (str, os.PathLike)):
        return read_archive_file(os.fsdecode(program)).network
    if not is_program(program):
        hint = "write it to a .pt2 file first"
        if is_module(program):
            hint = "archc.from_module reads modules"
        wanted = "the path of a .pt2 file, or an ExportedProgram"
        raise _wrong("program", wanted, program, hint)
    from archc.frontends.torch_export.live import read_program

    return read_program(program).network


def from_module(module: torch.nn.Module, *, input: InputSizes = (3, 224, 224)) -> Network:
    """The network of a module in eval mode, on images ``(channels, height, width)``.

    torch exports it: its code runs once, on tensors without values. Of a module that takes several
    values ``input`` is a list of sizes without the batch, or a mapping of sizes by the names of
    its forward's arguments: ``[(1, 28, 28), (10,)]``, ``{"image": (1, 28, 28), "more": (10,)}``.
    One size is that of each value which it needs; `ArchcWarning` says so. Raises `ForeignError`
    where it cannot be exported.

    >>> import archc
    >>> archc.from_module(archc.module("cifar10/resnet20"), input=(3, 32, 32)).layers
    20
    """
    if not is_module(module):
        raise not_a_module(module)
    from archc.frontends.torch_export.live import export_module

    return export_module(module, input).network


def is_module(value: object) -> bool:
    """Whether a value is a module of torch's; torch is not imported for it."""
    return _is_a(value, "torch.nn.modules.module.Module")


def is_program(value: object) -> bool:
    """Whether a value is an exported program of torch's."""
    return _is_a(value, "torch.export.exported_program.ExportedProgram")


def not_a_module(value: object) -> ForeignError:
    """The error for what must be a module and is something else."""
    hint = "archc.from_onnx and archc.from_export read files of models"
    if isinstance(value, type):
        hint = f"make one of the class: {value.__name__}()"
    elif is_program(value):
        hint = "archc.from_export reads exported programs"
    return _wrong("module", "a torch.nn.Module", value, hint)


def _is_a(value: object, kind: str) -> bool:
    return any(f"{one.__module__}.{one.__qualname__}" == kind for one in type(value).__mro__)


def _wrong(name: str, wanted: str, value: object, hint: str) -> ForeignError:
    from archc.frontends.program import ForeignError

    given = f"the class {value.__name__}" if isinstance(value, type) else a_type(value)
    return ForeignError(f"`{name}` must be {wanted}, not {given}", hint)
