"""Tensors that a model does not learn, where a layer would, and outputs without gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.verification import Options


def checked(module: nn.Module, size: tuple[int, int, int]) -> archc.Network:
    """The network of a module, whose emitted source passes each check."""
    network = archc.from_module(module.eval(), input=size)
    report = archc.verify(network, options=Options(backend="aot_eager"))
    assert report.passed, str(report)
    assert report.rows[-1].number == "bit for bit"
    learned = sum(one.numel() for one in module.parameters())
    assert archc.count(network).params == learned
    return network


class Fixed(nn.Module):
    """Layers of all sorts, each with tensors that are buffers."""

    kernel: Tensor
    scale: Tensor
    slope: Tensor
    more: Tensor
    mean: Tensor
    variance: Tensor
    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.register_buffer("kernel", torch.rand(8, 1, 3, 3))
        self.register_buffer("scale", torch.rand(8, 1, 1))
        self.register_buffer("slope", torch.rand(8))
        self.register_buffer("more", torch.rand(8, 4, 2, 2))
        self.register_buffer("mean", torch.rand(8))
        self.register_buffer("variance", torch.rand(8))
        self.register_buffer("last", torch.rand(5, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = F.batch_norm(self.conv(x), self.mean, self.variance, self.slope, self.mean)
        x = F.conv2d(x, self.kernel, stride=2, padding=1, groups=8) * self.scale
        x = F.conv_transpose2d(F.prelu(x, self.slope), self.more, stride=2)
        return F.linear(x.mean((2, 3)), self.last)


def test_layers_count_what_is_learned() -> None:
    network = checked(Fixed(), (3, 8, 8))
    count = archc.count(network)
    depthwise, up, last = 8 * 9 * 16, 8 * 4 * 4 * 16, 4 * 5
    assert count.multiply_adds == 8 * 27 * 64 + depthwise + up + last
    assert not count.not_counted


def test_they_are_no_layers_of_a_spec() -> None:
    with pytest.raises(
        archc.ForeignError,
        match="its tensors are not learned, and those of a layer of a spec are",
    ):
        archc.lift(Fixed().eval(), input=(3, 8, 8))


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Conv2d(8, 6, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        near = self.norm(self.near(x)).relu()
        far = self.far(near)
        near = near + F.interpolate(far, scale_factor=2)
        return {"found": self.head(near) > 0, "near": self.head(near), "far": self.head(far)}


class Mask(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x) > 0, x * 2


@pytest.mark.parametrize("module", [Heads(), Mask(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Mish())])
def test_all_outputs_are_verified(module: nn.Module) -> None:
    checked(module, (3, 8, 8))


def test_a_model_without_outputs_is_refused() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> tuple[()]:
            return ()

    with pytest.raises(archc.ForeignError, match="puts out nothing"):
        archc.from_module(Nothing(), input=(3, 8, 8))
