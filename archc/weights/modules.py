"""The tensors of pickled modules, of which nothing but stand-ins is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.weights.pickles import PickleLimitError
from archc.weights.values import StandIn

MAX_NAMES = 200_000
"""How many names there may be in a module and those in it, each counted wherever it is."""

MAX_DEPTH = 50
"""How deep modules may be nested."""

MAX_KEY = 500


def is_module(value: object) -> bool:
    """Whether a value is a stand-in for a module."""
    return _attributes(value) is not None


def module_state(module: object) -> dict[str, Any]:
    """What the state dict of a pickled module would have, by key.

    A module keeps parameters, buffers and modules in dicts of these names; buffers that it does not
    save are left out. Raises `PickleLimitError` for more than a network needs.
    """
    state: dict[str, Any] = {}
    left = [(_attributes(module) or {}, "", 0)]
    names = 0
    while left:
        attributes, prefix, depth = left.pop()
        unsaved = attributes.get("_non_persistent_buffers_set")
        unsaved = unsaved.items if isinstance(unsaved, StandIn) else []
        kept = [_named(attributes, name) for name in ("_parameters", "_buffers", "_modules")]
        names += 1 + len(unsaved) + sum(map(len, kept))
        if names > MAX_NAMES:
            raise PickleLimitError(f"holds a module of more than {MAX_NAMES:,} names")
        if depth > MAX_DEPTH or len(prefix) > MAX_KEY:
            raise PickleLimitError(f"holds modules nested more than {MAX_DEPTH} levels deep")
        parameters, buffers, modules = ({**one} for one in kept)
        for name in unsaved:
            if isinstance(name, str):
                buffers.pop(name, None)
        for name, tensor in (parameters | buffers).items():
            if tensor is not None and isinstance(name, str):
                state[prefix + name[: MAX_KEY + 1]] = tensor
        inner = [
            (_attributes(one), f"{prefix}{name[: MAX_KEY + 1]}.", depth + 1)
            for name, one in modules.items()
            if isinstance(name, str)
        ]
        left += [(one, path, deep) for one, path, deep in inner[::-1] if one is not None]
    return state


def _attributes(value: object) -> Mapping[object, Any] | None:
    """The attributes of a module: the state it was pickled with, or one of the arguments of the
    function that makes it, as of torch.fx's."""
    if not isinstance(value, StandIn):
        return None
    states: list[object] = [value.state]
    for given in (value.state, value.arguments):
        states += given[:4] if isinstance(given, tuple) else ()
    for state in states:
        if isinstance(state, dict) and {"_parameters", "_modules"} <= state.keys():
            return state
    return None


def _named(attributes: Mapping[object, Any], name: str) -> Mapping[object, Any]:
    found = attributes.get(name)
    if isinstance(found, StandIn):
        found = found.pairs
    return found if isinstance(found, dict) else {}
