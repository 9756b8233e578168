"""Calls of tensor functions and tensors of the model, as the interpreter computes them: by torch's
own operators, which exported programs are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def call(function: str, arguments: Mapping[str, Any], values: Sequence[Tensor], images: int) -> Any:
    """What a function puts out, its arguments being as `Network.attributes` has them: values by
    their number, sizes as many times the number of ``images``."""
    given = {name: _given(one, values, images) for name, one in arguments.items()}
    if given.get("dtype") is not None:
        given["dtype"] = getattr(torch, given["dtype"])
    if "on" in given:
        given["device"] = given.pop("on").device
    if function in _OWN:
        return _OWN[function](**given)
    item = given.pop("item", None)
    result = getattr(torch.ops.aten, function)(**given)
    return result if item is None else result[item]


def _given(value: Any, values: Sequence[Tensor], images: int) -> Any:
    if isinstance(value, list):
        return [_given(one, values, images) for one in value]
    if not isinstance(value, Mapping):
        return value
    ((kind, what),) = value.items()
    if kind == "value":
        return values[what]
    return images * what if kind == "images" else slice(*what)


def _spread(*, self: Tensor, like: Tensor, axis: int, like_axis: int, rank: int) -> Tensor:
    return torch.cat([self] * like.shape[like_axis], axis)


def _filled(*, self: Tensor, boxes: Sequence[Sequence[Any]]) -> Tensor:
    result = self.clone()
    for value, *sides in boxes:
        result[tuple(sides)] = value
    return result


def _slices(*, self: Tensor, sides: Sequence[Sequence[Any]]) -> Tensor:
    for dim, *places in sides:
        self = torch.ops.aten.slice(self, dim, *places)
    return self


def _batch_norm(*, input: Tensor, running_mean: Tensor, running_var: Tensor, **rest: Any) -> Tensor:
    return F.batch_norm(input, running_mean, running_var, **rest)


_OWN: Mapping[str, Callable[..., Any]] = {
    "spread": _spread,
    "filled": _filled,
    "slices": _slices,
    "batch_norm": _batch_norm,
    "adaptive_max_pool2d": lambda self, output_size: F.adaptive_max_pool2d(self, output_size),
    "softsign": lambda self: F.softsign(self),
    "upsample_nearest2d": lambda input, output_size=None, scale_factors=None: F.interpolate(
        input, output_size, scale_factors
    ),
}
"""Those that torch has no operator of that takes what it is given here."""
