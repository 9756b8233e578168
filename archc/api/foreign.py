"""Models of other libraries as networks: ONNX files, exported programs, torch modules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from archc.graph import Network
from archc.source.caller import said
from archc.text import quote_name

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from archc.frontends.imported import Imported
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


def read_model(name: str, *, input: Sequence[int] | str | None = None) -> Imported:
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

    return read_onnx_file(os.fsdecode(file), input).network


def from_export(program: PathLike | ExportedProgram) -> Network:
    """The network of a program of torch.export, or of the ``.pt2`` file of one, from which nothing
    is executed. Raises `ForeignError`."""
    from archc.frontends.door import read_archive_file

    if isinstance(program, (str, os.PathLike)):
        return read_archive_file(os.fsdecode(program)).network
    from archc.frontends.torch_export.live import read_program

    return read_program(program).network


def from_module(module: torch.nn.Module, *, input: Sequence[int] = (3, 224, 224)) -> Network:
    """The network of a module in eval mode, on images ``(channels, height, width)``.

    torch exports it: its code runs once, on tensors without values. Raises `ForeignError` where it
    cannot be exported.

    >>> import archc
    >>> archc.from_module(archc.module("cifar10/resnet20"), input=(3, 32, 32)).layers
    20
    """
    from archc.frontends.torch_export.live import export_module

    return export_module(module, input).network
