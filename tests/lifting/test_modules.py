"""Modules of torch as specs: what reads well, and weights that load."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

import archc


class ConvNorm(nn.Sequential):
    def __init__(self, into: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class NormAct(nn.BatchNorm2d):
    """A norm that holds its activation."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))  # type: ignore[no-any-return]


class PreNorm(nn.Module):
    """A shortcut that projects the activated input."""

    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.norm1, self.norm2 = NormAct(into), NormAct(out // 2)
        self.conv1 = nn.Conv2d(into, out // 2, 1, bias=False)
        self.conv2 = nn.Conv2d(out // 2, out, 3, stride, 1, bias=False)
        self.downsample = None
        if stride != 1 or into != out:
            self.downsample = nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        shortcut = x if self.downsample is None else self.downsample(y)
        return self.conv2(self.norm2(self.conv1(y))) + shortcut  # type: ignore[no-any-return]


class Separable(nn.Module):
    def __init__(self, into: int, out: int, stride: int = 1):
        super().__init__()
        self.dw = nn.Conv2d(into, into, 3, stride, 1, groups=into, bias=False)
        self.pw = nn.Conv2d(into, out, 1, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pw(self.dw(x)))  # type: ignore[no-any-return]


class Exception_(nn.Module):
    """Nothing but modules of one class, and a shortcut around them, which the last is without."""

    def __init__(self, into: int, out: int, stride: int, is_last: bool = False):
        super().__init__()
        self.first, self.second = Separable(into, out), Separable(out, out, stride)
        self.is_last = is_last
        self.skip = None if stride == 1 else nn.Conv2d(into, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(F.relu(self.first(x)))
        if self.is_last:
            return y
        return y + (x if self.skip is None else self.skip(x))


class Average(nn.Sequential):
    """ResNet-D's shortcut, in whose first block nothing is averaged."""

    def __init__(self, into: int, out: int, stride: int):
        pool = nn.Identity() if stride == 1 else nn.AvgPool2d(2, stride, ceil_mode=True)
        super().__init__(pool, nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out))


class Residual(nn.Module):
    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(ConvNorm(into, out, 5, stride), ConvNorm(out, out, 1))
        self.downsample = Average(into, out, stride) if into != out else None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.silu(self.body(x) + shortcut)


class Net(nn.Module):
    def __init__(self, blocks: list[nn.Module], channels: int):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))  # type: ignore[no-any-return]


def pre_norm() -> nn.Module:
    made = [(8, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1)]
    return Net([PreNorm(*one) for one in made], 32)


def exception() -> nn.Module:
    made = [(8, 16, 2), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    return Net([*(Exception_(*one) for one in made), Exception_(32, 48, 1, True)], 48)


def residual() -> nn.Module:
    made = [(8, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    return Net([Residual(*one) for one in made], 32)


class Twice(nn.Module):
    """Values that are merged with themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = torch.cat([y + y, y + y + y], 1)
        return self.head((y * y).mean((2, 3)))  # type: ignore[no-any-return]


class Shuffled(nn.Module):
    """Channels in other groups, in two ways in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 12, 3), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.channel_shuffle(self.conv(x), 2)
        y = torch.unflatten(y, 1, (3, -1)).transpose(1, 2).flatten(1, 2)
        return self.head(y.mean((2, 3)))  # type: ignore[no-any-return]


def lifted(module: nn.Module) -> str:
    """The spec of a module, after its weights were loaded into the spec's and gave its output."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low = 0.5 if key.endswith("running_var") else -0.5
            tensor.uniform_(low, low + 1, generator=generator)
    module.eval()
    text = archc.lift(module, input=(3, 20, 20), name="net")
    again = archc.module(yaml.safe_load(text)).eval()
    again.load_state_dict(module.state_dict())
    images = torch.randn(2, 3, 20, 20, generator=generator)
    with torch.no_grad():
        assert torch.equal(module(images), again(images))
    return text


SPECS: dict[Callable[[], nn.Module], str] = {
    pre_norm: """
blocks:
  pre_norm:
    attributes: {width: int}
    layers:
      - {norm: {}, name: norm1}
      - activation
      - label: a
      - conv: {width: width // 2, kernel: 1, norm: none, bias: false, activation: none}
      - {norm: {}, name: norm2}
      - activation
      - conv: {width: width, kernel: 3, stride: stride, norm: none, bias: false, activation: none}
      - if: stride != 1 or in != width
        add:
          a:
            - name: downsample
""",
    exception: """
  - {depth: 1, width: 16, stride: 2}
  - {depth: 3, width: 32, stride: 2}
  - {depth: 1, width: 48, has_shortcut: false}
""",
    residual: """
      - add:
          input:
            - name: downsample
              if: stride != 1 or in != width
              layers:
                - {avg_pool: {kernel: 2, ceil_mode: true}, if: stride != 1}
                - {conv: {width: width, kernel: 1, activation: none}, name: 1}
""",
}


@pytest.mark.parametrize(("made", "part"), SPECS.items())
def test_blocks_of_modules(made: Callable[[], nn.Module], part: str) -> None:
    text = lifted(made())
    assert part in f"\n{text}"


@pytest.mark.parametrize("made", [Twice, Shuffled])
def test_lists_of_modules(made: type[nn.Module]) -> None:
    assert "stages" not in lifted(made())
