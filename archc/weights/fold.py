"""Trained weights of a network as those of its deploy form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from archc.errors import ArchcError
from archc.graph import Network, foldings, key_of
from archc.ops import BatchNorm2d

if TYPE_CHECKING:
    from torch import Tensor


class FoldError(ArchcError, ValueError):
    """Weights cannot be folded; the message names the tensor at fault."""


def fold_weights(network: Network, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the network's deploy form, equal in what it computes.

    A norm's scale and shift go into the convolution before it, computed in float64 and rounded
    once to the type that the convolution's weights have. ``weights`` has the keys of
    `Network.state`. Raises `FoldError` where a variance is negative, or a result no finite
    number of that type.
    """
    network = network.inference
    found = foldings(network)
    gone = {norm for run in found.norms.values() for norm in run}
    folded: dict[str, Tensor] = {}
    for node in network.nodes.values():
        if node.id in gone:
            continue
        keys = {name: key_of(node.id, name) for name in node.op.state}
        tensors = {name: weights[key] for name, key in keys.items() if key in weights}
        if node.id in found.norms:
            tensors = _fold(node.id, tensors, _eps(network, found.norms[node.id]), weights)
        for name, tensor in tensors.items():
            folded[key_of(found.names[node.id], name)] = tensor
    return folded


def _eps(network: Network, norms: Iterable[str]) -> dict[str, float]:
    """The ``eps`` of each of some norms, by id."""
    ops = {norm: network.nodes[norm].op for norm in norms}
    return {norm: op.eps for norm, op in ops.items() if isinstance(op, BatchNorm2d)}


def _fold(
    conv: str,
    tensors: Mapping[str, Tensor],
    norms: Mapping[str, float],
    weights: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The weight and bias of a convolution that takes in the norms behind it, given with their
    ``eps``."""
    import torch

    dtype = tensors["weight"].dtype
    weight = tensors["weight"].double()
    bias = tensors["bias"].double() if "bias" in tensors else weight.new_zeros(len(weight))
    for norm, eps in norms.items():
        scale, shift, mean, variance = (
            weights[f"{norm}.{name}"].double()
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        if (variance < 0).any():
            raise FoldError(f"`{norm}.running_var` has negative variances")
        scale = scale / (variance + eps).sqrt()
        weight = weight * scale[:, None, None, None]
        bias = (bias - mean) * scale + shift
    for name, tensor in (("weight", weight), ("bias", bias)):
        if not (tensor.abs() <= torch.finfo(dtype).max).all():
            kind = str(dtype).removeprefix("torch.")
            raise FoldError(
                f"`{conv}.{name}`, when folded, has values that are not finite in {kind}"
            )
    return {"weight": weight.to(dtype), "bias": bias.to(dtype)}
