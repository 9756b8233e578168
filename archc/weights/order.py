"""Tensors of strange names, matched with those of a network by their order and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from archc.graph import Network, Shape
from archc.weights.names import OPTIONAL

_Modules: TypeAlias = "list[tuple[str, dict[str, str]]]"
"""Paths of modules, and the keys of each by the names of its tensors."""

# What other libraries call the tensors of a norm, a convolution or a linear layer.
_SYNONYMS = {
    synonym: name
    for name, synonyms in {
        "weight": "w kernel gamma scale s filter filters",
        "bias": "b beta shift offset",
        "running_mean": "moving_mean mean rm",
        "running_var": "moving_variance moving_var variance var running_variance rv riv",
    }.items()
    for synonym in (name, *synonyms.split())
}


def by_order(network: Network, shapes: Mapping[str, Shape]) -> dict[str, str] | None:
    """The checkpoint's key for each of the network's tensors, counters apart, if modules follow
    each other in the same order with tensors of the same shapes; else None.

    The order is that of the file; for a file whose keys are sorted as text, as in safetensors
    files, that of the numbers in them. Keys that do not name modules (``arr_0``, ``arr_1``) are
    taken one after the other.
    """
    keys = [key for key in shapes if not _is_counter(key, shapes[key])]
    needed = [key for key in network.state if not _is_counter(key, network.state[key])]
    ours = _modules(needed)
    natural = sorted(keys, key=_naturally)
    for order in [natural] if keys == sorted(keys) else [keys, natural]:
        if all(map(_is_numbered, order)):
            # As `numpy.savez(FILE, *arrays)` and lists of parameters have them.
            if [network.state[key] for key in needed] == [shapes[key] for key in order]:
                return dict(zip(needed, order, strict=True))
        elif (found := _by_modules(ours, _modules(order), network.state, shapes)) is not None:
            return found
    return None


def _is_numbered(key: str) -> bool:
    """Whether a key is a number, or a word and a number: ``0``, ``arr_0``, ``params.3``."""
    return re.fullmatch(r"([\w.]*[a-z_.])?\d+", key, re.IGNORECASE | re.ASCII) is not None


def _by_modules(
    ours: _Modules, theirs: _Modules, state: Mapping[str, Shape], shapes: Mapping[str, Shape]
) -> dict[str, str] | None:
    if len(theirs) != len(ours):
        return None
    found: dict[str, str] = {}
    for (_, needed), (_, given) in zip(ours, theirs, strict=True):
        pairs = _paired(needed, given, state, shapes)
        if pairs is None:
            return None
        found |= pairs
    return found


def _is_counter(key: str, shape: Shape) -> bool:
    """Whether a tensor counts batches or models: no other one is a single number."""
    return key.rpartition(".")[2] == OPTIONAL or not shape


def _modules(keys: Iterable[str]) -> _Modules:
    """Keys by the modules that they are of; those of one module stand beside each other."""
    modules: _Modules = []
    for key in keys:
        path, name = split(key)
        if not modules or modules[-1][0] != path:
            modules.append((path, {}))
        modules[-1][1][name] = key
    return modules


def split(key: str) -> tuple[str, str]:
    """The path of a module and the name of its tensor; TensorFlow and JAX write slashes."""
    path, _, name = key.replace("/", ".").rpartition(".")
    return path, name


def _paired(
    needed: Mapping[str, str],
    given: Mapping[str, str],
    state: Mapping[str, Shape],
    shapes: Mapping[str, Shape],
) -> dict[str, str] | None:
    """The keys of one module for those of another: by names where these are known, for in a norm
    all tensors have one shape, otherwise in their order."""
    if len(needed) != len(given):
        return None
    named = {_SYNONYMS.get(name.lower(), name): key for name, key in given.items()}
    if named.keys() != needed.keys():
        if not named.keys().isdisjoint(needed) and len({state[key] for key in needed.values()}) < 2:
            return None  # some names are known, so that their order is no guide to the others
        named = dict(zip(needed, given.values(), strict=True))
    pairs = {needed[name]: named[name] for name in needed}
    if any(state[ours] != shapes[theirs] for ours, theirs in pairs.items()):
        return None
    return pairs


def _naturally(key: str) -> list[tuple[int, str]]:
    """A key such that `block.10` comes after `block.9`."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,9})", key)
    ]
