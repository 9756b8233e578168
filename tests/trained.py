"""Modules as if they had been trained: no norm is fresh, no number is round."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archc.graph import Network
from archc.live import build_module


def trained(network: Network, *, dtype: torch.dtype = torch.float32, batch: int = 4) -> nn.Module:
    """A module in eval mode whose norms have statistics of a training-mode forward.

    Their scales and shifts are random, and so are all biases. Shifts are positive on the whole:
    where half of the relus are closed, a plain network of 110 layers with norms amplifies a
    difference in its input a billion times (Yang et al. 2019), and so does it with rounding.
    """
    torch.manual_seed(0)
    module = build(network, dtype)
    with torch.no_grad():
        for one in module.modules():
            if isinstance(one, nn.BatchNorm2d):
                one.weight.normal_(1, 0.2)
                one.bias.normal_(1, 0.2)
            elif isinstance(one, (nn.Conv2d, nn.Linear)) and one.bias is not None:
                one.bias.normal_(0, 0.1)
    calibrate(module, images_for(network, batch, dtype))
    return module.eval()


def build(network: Network, dtype: torch.dtype) -> nn.Module:
    """A module in a type: at once, for to convert it takes longer."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return build_module(network)
    finally:
        torch.set_default_dtype(before)


def images_for(network: Network, batch: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same images each time, others for another batch size."""
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, *network.input_shape, generator=generator).to(dtype)


def calibrate(module: nn.Module, images: Tensor) -> None:
    """Take every norm's running statistics from one forward in training mode."""
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches: of this one
    module.train()
    with torch.no_grad():
        module(images)
    for norm in norms:
        norm.momentum = 0.1
