"""The weights that training begins with."""

from __future__ import annotations

import math

import torch
from torch import nn

import archc
from archc.recipes import Recipe
from archc.training.order import generator_of, seed_of


def initial_module(network: archc.Network, recipe: Recipe, seed: int) -> nn.Module:
    """A network's module on the CPU with the weights that a recipe begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "module"))
        module = archc.module(network)
    if recipe.header.initialization == "he":
        initialize_he(module, generator_of(seed, "he"))
    return module


@torch.no_grad()
def initialize_he(module: nn.Module, generator: torch.Generator) -> None:
    """Weights from a normal distribution of variance 2 / fan-in, biases zero.

    He et al. 2015, "Delving Deep into Rectifiers", section 2.2, which the residual networks'
    authors begin with; norms stay as constructed, scales one and shifts zero.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0, math.sqrt(2 / fan_in), generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
