"""Models of other libraries as specs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archc.api.foreign import is_model, is_module, is_program, not_a_module, read_model
from archc.frontends.door import USUAL_SIZE
from archc.frontends.imported import Imported
from archc.frontends.program import ForeignError
from archc.graph import Network
from archc.lifting.lifted import Lifted, lifted
from archc.spec.variant import check_name
from archc.text import quote_name

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from archc.frontends.torch_export.sizes import InputSizes


def lifted_model(
    model: str, *, input: InputSizes | str | None = None, name: str | None = None
) -> Lifted:
    """A model by its name (see `is_model`), as a spec; ``name`` is what the spec is called.

    Raises `ForeignError`, and `SpecError` for a name that no spec may have.
    """
    if not is_model(model):
        raise ForeignError(
            f"{quote_name(model)} is not a model of another library",
            "those are FILE.onnx, FILE.pt2, package.module:callable and FILE.py:Name",
        )
    return lifted_of(read_model(model, input=input), name)


def lift(
    model: str | os.PathLike[str] | Network | torch.nn.Module | ExportedProgram,
    *,
    input: InputSizes | None = None,
    name: str | None = None,
) -> str:
    """The spec of a model, as YAML that compiles to the same graph.

    ``model`` is a file (``.onnx``, ``.pt2``), a module or a program of torch's, or a `Network`.
    ``input`` is the image's ``(channels, height, width)``, for modules (3, 224, 224) unless given;
    those that take several values have a list of sizes, or sizes by name.
    ``name`` is the spec's name, by default the model's. Blocks that repeat become stages, and
    modules keep their paths, so that weights load. Raises `ForeignError` where the model cannot be
    read or written as a spec, naming the op, and `SpecError` for a name that no spec may have.

    >>> import archc
    >>> text = archc.lift(archc.load("cifar10/resnet20"), name="mine")
    >>> archc.loads(text).layers
    20
    """
    if isinstance(model, Network):
        return _named(model, None, name).text
    if isinstance(model, (str, os.PathLike)):
        return lifted_model(os.fsdecode(model), input=input, name=name).text
    return lifted_of(_of_torch(model, input), name).text


def _of_torch(model: Any, input: InputSizes | None) -> Imported:
    """A module or an exported program, read; TypeError for anything else."""
    from archc.frontends.torch_export.live import export_module, read_program

    if is_program(model):
        return read_program(model)
    if isinstance(model, type):
        raise not_a_module(model)
    if not is_module(model):
        raise TypeError(
            "`model` must be a file, a module or program of torch, or a Network, not a "
            f"{type(model).__name__}"
        )
    name = type(model).__name__
    size = USUAL_SIZE if input is None else input
    return export_module(model, size, name)


def lifted_of(model: Imported, name: str | None = None) -> Lifted:
    """A model that was read, as a spec; ``name`` is what the spec is called.

    Raises as `lifted_model`.
    """
    return _named(model.network, model, name)


def _named(network: Network, model: Imported | None, name: str | None) -> Lifted:
    if name is not None:
        check_name(name)
        network = replace(network, name=name)
    if model is None:
        return lifted(network)
    return lifted(network, model.keys, keeps_names=model.has_paths, paths=model.paths)
