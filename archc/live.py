"""Emitted source as a live torch module, with trained weights where there are some."""

from __future__ import annotations

import copyreg
import hashlib
import linecache
import sys
from functools import partial
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archc.backends.pytorch import emit, writable
from archc.extras import require
from archc.graph import Network, deploy_form
from archc.text import quote_name

if TYPE_CHECKING:
    import torch

    from archc.weights import Checkpoint


def require_torch(what: str = "a live module") -> None:
    """Raise ModuleNotFoundError, with what to do about it, where torch is not installed."""
    require("torch", what, "torch")


def build_module(
    network: Network, checkpoint: Checkpoint | None = None, *, deploy: bool = False
) -> torch.nn.Module:
    """An instance of a network's emitted class on torch's default device.

    It has the weights of a checkpoint, or those of them that fit where its options say so; without
    one those of the model that the network was made of, or is freshly initialised. With ``deploy``
    it is of the network's deploy form, and the weights are folded unless they are so already. Its
    lines show in tracebacks, and it can be pickled, to other processes too. Raises
    ModuleNotFoundError where torch is not installed, `WeightsError` where the checkpoint does not
    fit.
    """
    require_torch()
    network = writable(network)
    if checkpoint is None and network.model is not None:
        from archc.weights import own_weights

        checkpoint = own_weights(network)
    if checkpoint is None:
        return _fresh(network, deploy=deploy)
    from archc.weights import check_range, folded_weights, is_folded, weights_to_load

    if deploy and checkpoint.options.partial and not is_folded(network, checkpoint):
        whole = build_module(network, checkpoint).state_dict()
        weights = folded_weights(network, whole, checkpoint)
        check_range(weights, checkpoint)
    else:
        weights = weights_to_load(network, checkpoint, deploy=deploy)
    built = _fresh(network, deploy=deploy)
    # Of its keys, only old counters may be missing, or what a checkpoint fits in part lacks.
    built.load_state_dict(weights, strict=False)
    return built


def _fresh(network: Network, *, deploy: bool) -> torch.nn.Module:
    """A freshly initialised instance."""
    return instance(network.name, emit(deploy_form(network) if deploy else network))


def instance(name: str, source: str, file: str | None = None) -> torch.nn.Module:
    """An instance of the class that a source exports: the one that `__all__` names, or else the
    last `torch.nn.Module` that it defines. TypeError where there is none."""
    from torch import nn

    module = load_source(name, source, file)
    exported = list(getattr(module, "__all__", ()))
    if len(exported) != 1:
        exported = [
            one
            for one, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
        ]
    if not exported:
        raise TypeError('the file defines no torch.nn.Module, and no `__all__ = ["Net"]` names one')
    built = getattr(module, exported[-1])()
    if not isinstance(built, nn.Module):
        raise TypeError(f"what `{exported[-1]}()` returns is not a torch.nn.Module")
    return built


_IMPORTING = RLock()


def load_source(name: str, source: str, file: str | None = None) -> ModuleType:
    """Import a source text, of a file if it has one, as a module; the same text is imported once
    (from each file)."""
    with _IMPORTING:  # another thread must not see a module half imported
        return _load_source(name, source, file)


def forget_source(source: str, file: str | None = None) -> None:
    """Have a source imported anew when it is needed next."""
    sys.modules.pop(_module_name(source, file), None)


def source_name(name: str, source: str, file: str | None = None) -> str:
    """What tracebacks call the file of a source."""
    return quote_name(file) if file else f"<archc {name} {_digest(source)}>"


def _module_name(source: str, file: str | None) -> str:
    return f"archc_emitted_{_digest(source, file)}"


def _digest(source: str, file: str | None = None) -> str:
    text = f"{file}\0{source}" if file else source
    # Of a file whose name is not UTF-8, Python has lone surrogates, which UTF-8 does not.
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def _load_source(name: str, source: str, file: str | None) -> ModuleType:
    module_name = _module_name(source, file)
    if module_name in sys.modules:
        return sys.modules[module_name]
    filename = source_name(name, source, file)
    module = ModuleType(module_name)
    module.__file__ = file or filename
    # An entry without a time is kept by linecache; tracebacks and inspect find the lines there.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    sys.modules[module_name] = module
    try:
        # As a file is compiled, not with the `__future__` of this one.
        exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[module_name]
        raise
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module_name:
            copyreg.pickle(value, partial(_reduce, name, source, file))
    return module


def _reduce(name: str, source: str, file: str | None, instance: Any) -> tuple[Any, ...]:
    """How an instance of an emitted class is pickled: with the source it came from."""
    if isinstance(instance, tuple):  # what a network with side heads returns
        return _restore_outputs, (name, source, file, type(instance).__qualname__, *instance)
    return _restore, (name, source, file, type(instance).__qualname__), instance.__dict__


def _restore(name: str, source: str, file: str | None, class_name: str) -> Any:
    """An empty instance of an emitted class; its state follows."""
    kind = getattr(load_source(name, source, file), class_name)
    return kind.__new__(kind)


def _restore_outputs(
    name: str, source: str, file: str | None, class_name: str, *fields: Any
) -> Any:
    """A named tuple of an emitted class."""
    return getattr(load_source(name, source, file), class_name)(*fields)
