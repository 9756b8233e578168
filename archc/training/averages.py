"""A moving average of a module's weights, for tests and as the result of training."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Averages:
    """An exponential moving average (Polyak and Juditsky 1992) of weights and running statistics.

    After iteration ``i``, counted from 1, the average moves to the weights by ``1 - d``, where
    ``d`` is the smaller of ``decay`` and ``(1 + i) / (10 + i)``, as in TensorFlow: at the beginning
    it follows them closely, so that it does not remember the random weights of the start.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.module = copy.deepcopy(module).requires_grad_(False)
        """A module with the averages, on the same device."""
        self._decay = decay
        pairs = list(zip(_tensors(self.module), _tensors(module), strict=True))
        self._pairs = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Take in the weights after an iteration, counted from 1; counters are copied."""
        decay = min(self._decay, (1 + iteration) / (10 + iteration))
        averages, currents = zip(*self._pairs, strict=True)
        torch._foreach_lerp_(averages, currents, 1 - decay)
        for average, current in self._counters:
            average.copy_(current)

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from the averages of a checkpoint."""
        self.module.load_state_dict(saved)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
