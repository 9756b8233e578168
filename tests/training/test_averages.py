"""Averages of weights and smoothed labels, against formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archc.training.averages import Averages
from archc.training.loop import _Objective


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_an_average_is_the_formula_s(decay: float) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    averages = Averages(module, decay)
    wanted = {key: tensor.double() for key, tensor in module.state_dict().items()}
    for iteration in range(1, 30):
        with torch.no_grad():
            for tensor in module.parameters():
                tensor.add_(torch.randn_like(tensor))
            module(torch.randn(2, 3, 8, 8))  # moves the running statistics
        averages.update(iteration)
        d = min(decay, (1 + iteration) / (10 + iteration))
        for key, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                wanted[key] = d * wanted[key] + (1 - d) * tensor.double()
    found = averages.module.state_dict()
    assert found.keys() == wanted.keys()
    for key, tensor in found.items():
        if key.endswith("num_batches_tracked"):
            assert tensor == 29
        else:
            torch.testing.assert_close(tensor.double(), wanted[key], rtol=1e-5, atol=1e-6)
    assert not any(one.requires_grad for one in averages.module.parameters())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_a_smoothed_loss_is_the_formula_s(smoothing: float) -> None:
    """Szegedy et al. 2016, section 7: the label's share is 1 - e, and e / K more for each class."""
    torch.manual_seed(0)
    images, labels = torch.randn(6, 10), torch.randint(10, (6,))
    loss, sums = _Objective(nn.Identity(), smoothing)(images, labels)
    chances = images.double().softmax(1)
    wanted = torch.full((6, 10), smoothing / 10, dtype=torch.float64)
    wanted[range(6), labels] += 1 - smoothing
    mean = -(wanted * chances.log()).sum(1).mean()
    torch.testing.assert_close(loss.double(), mean, rtol=1e-6, atol=1e-6)
    assert sums[0].item() == pytest.approx(6 * mean.item(), rel=1e-6)
    assert sums[1] == (images.argmax(1) != labels).sum()
