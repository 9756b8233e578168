"""Tensors that exporters have merged because they were equal by chance.

torch's exporters write tensors that are equal once. Where all of a vector's elements are one
number, as in the biases and norms of a model that was never trained, that says nothing: each layer
has its own again. Other tensors that several nodes read are taken for tied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.program import Call, Ref, Weight

BUFFERS = frozenset(["running_mean", "running_var"])
_NAMES = BUFFERS | {"weight", "bias"}

Reader: TypeAlias = tuple[object, str]
"""Whose a tensor is, and which of its tensors."""


def is_vector(shape: Sequence[int]) -> bool:
    """Whether a tensor has but one side that is longer than 1.

    >>> is_vector((8,)), is_vector((1, 8, 1, 1)), is_vector((8, 3))
    (True, True, False)
    """
    return sum(side > 1 for side in shape) <= 1


@dataclass(frozen=True)
class Separated:
    """The calls of a program with tensors of each layer's own; ``weights`` are those that are new
    or changed, ``origins`` has the names of the tensors of the file that new ones are equal to."""

    calls: Sequence[Call]
    weights: Mapping[str, Weight]
    origins: Mapping[str, str]


def separated(
    calls: Sequence[Call], weights: Mapping[str, Weight], is_free: Callable[[str, str], bool]
) -> Separated:
    """The calls, each layer with tensors of its own in the place of constant vectors in
    ``weights`` that several read.

    They have the names that the layer's module would give them, where it has one; ``is_free`` says
    whether a tensor may have a name in the place of another.
    """
    readers: dict[str, dict[Reader, None]] = {}
    for call in calls:
        for argument, name in _vectors(call, weights).items():
            readers.setdefault(name, {})[_reader(call, argument, weights)] = None
    names: dict[tuple[str, Reader], str] = {}
    made: dict[str, Weight] = {}
    origins: dict[str, str] = {}
    for name, found in readers.items():
        if len(found) == 1:
            continue
        keeper = next((one for one in found if _natural(one) == name), next(iter(found)))
        for number, one in enumerate(found, 1):
            own = name if one == keeper else _natural(one)
            if own != name and (not own or own in origins or not is_free(own, name)):
                own = f"{name} {number}"
            names[name, one] = own
            made[own] = replace(weights[name], key=own, is_learned=one[1] not in BUFFERS)
            if own != name:
                origins[own] = name
    return Separated([_reading(call, weights, names) for call in calls], made, origins)


def _vectors(call: Call, weights: Mapping[str, Weight]) -> dict[str, str]:
    """The constant vectors that a call reads, by the arguments that they are."""
    refs = {name: one.name for name, one in call.arguments.items() if isinstance(one, Ref)}
    return {
        argument: name
        for argument, name in refs.items()
        if name in weights and _is_constant(weights[name])
    }


def _is_constant(weight: Weight) -> bool:
    return weight.values is not None and len({*weight.values}) == 1 and is_vector(weight.shape)


def _reader(call: Call, argument: str, weights: Mapping[str, Weight]) -> Reader:
    """The layer that a call is of: its module, what else it has, or the call alone."""
    if call.scopes and call.scopes[-1].is_torchs and call.path:
        return call.path, argument
    others = [
        name
        for name in call.reads
        if (one := weights.get(name)) is not None and not _is_constant(one)
    ]
    return (*others,) or (call.outputs,), argument


def _natural(reader: Reader) -> str:
    """What a tensor is called in the state dict of a model, by its module."""
    path, argument = reader
    return f"{path}.{argument}" if isinstance(path, str) and argument in _NAMES else ""


def _reading(
    call: Call, weights: Mapping[str, Weight], names: Mapping[tuple[str, Reader], str]
) -> Call:
    found = {
        argument: Ref(names[name, reader])
        for argument, name in _vectors(call, weights).items()
        if (name, reader := _reader(call, argument, weights)) in names
    }
    return replace(call, arguments={**call.arguments, **found}) if found else call
