"""Emitted source as a live torch module, with trained weights where there are some."""

from __future__ import annotations

import copyreg
import hashlib
import importlib.util
import linecache
import sys
from functools import partial
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archc.backends.pytorch import emit
from archc.graph import Network, deploy_form

if TYPE_CHECKING:
    import torch

    from archc.weights import Checkpoint


def require_torch(what: str = "a live module") -> None:
    """Raise ModuleNotFoundError, with what to do about it, where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError(f"{what} needs torch: pip install 'archc[torch]'", name="torch")


def build_module(
    network: Network, checkpoint: Checkpoint | None = None, *, deploy: bool = False
) -> torch.nn.Module:
    """An instance of a network's emitted class on torch's default device.

    It is freshly initialised, or has the weights of a checkpoint. With ``deploy`` it is of the
    network's deploy form, and the weights are folded unless they are so already. Its lines show
    in tracebacks, and it can be pickled, to other processes too. Raises ModuleNotFoundError where
    torch is not installed, `WeightsError` where the checkpoint does not fit.
    """
    require_torch()
    if checkpoint is None:
        return instance(network.name, emit(deploy_form(network) if deploy else network))
    from archc.weights import deploy_weights, weights_of

    weights = (deploy_weights if deploy else weights_of)(network, checkpoint)
    built = build_module(network, deploy=deploy)
    built.load_state_dict(weights, strict=False)  # of its keys, only old counters may be missing
    return built


def instance(name: str, source: str) -> torch.nn.Module:
    """An instance of the class that an emitted source exports; TypeError where it exports none."""
    from torch import nn

    module = load_source(name, source)
    exported = getattr(module, "__all__", ())
    if not exported:
        raise TypeError("`__all__` names no class")
    built = getattr(module, exported[0])()
    if not isinstance(built, nn.Module):
        raise TypeError(f"`{exported[0]}` is no torch.nn.Module")
    return built


_IMPORTING = RLock()


def load_source(name: str, source: str) -> ModuleType:
    """Import a source text as a module; the same text is imported once."""
    with _IMPORTING:  # another thread must not see a module half imported
        return _load_source(name, source)


def _load_source(name: str, source: str) -> ModuleType:
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    module_name = f"archc_emitted_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    filename = f"<archc {name} {digest}>"
    module = ModuleType(module_name)
    module.__file__ = filename
    # An entry without a time is kept by linecache; tracebacks and inspect find the lines there.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    sys.modules[module_name] = module
    try:
        exec(compile(source, filename, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module_name]
        raise
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module_name:
            copyreg.pickle(value, partial(_reduce, name, source))
    return module


def _reduce(name: str, source: str, instance: Any) -> tuple[Any, ...]:
    """How an instance of an emitted class is pickled: with the source it came from."""
    return _restore, (name, source, type(instance).__qualname__), instance.__dict__


def _restore(name: str, source: str, class_name: str) -> Any:
    """An empty instance of an emitted class; its state follows."""
    kind = getattr(load_source(name, source), class_name)
    return kind.__new__(kind)
