"""What is written over memory that others share: followed, or refused, never lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import archc

Of = Callable[[Tensor, Tensor, Tensor], Tensor]


class Written(nn.Module):
    """A convolution, and whatever is made of its maps, a buffer and the images."""

    more: Tensor

    def __init__(self, of: Of) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("more", torch.rand(4, 1, 1))
        self.of = of

    def forward(self, x: Tensor) -> Tensor:
        return self.of(self.conv(x), self.more, x)


def part_of_zeros(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.zeros(4, 2)
    z[:, 1] = torch.arange(4.0)
    return y * z.sum(1).view(4, 1, 1)


def number_in_a_copy(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    b = more.clone()
    b[0] = 5.0
    return y + b


def part_of_a_product(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    b = more * 1
    b[0].add_(1)
    return y + b


def what_a_view_sees(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.zeros(4)
    v = z.view(4, 1, 1)
    z.add_(1)
    return y * v


def part_of_what_is_like_maps(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    m = torch.ones_like(y)
    m[:, :, :2] = 0
    return y * m


def maps_over_zeros(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.zeros(1, 4, 8, 8)
    z.copy_(y)
    return z + 1


def part_of_maps_over_zeros(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = x.new_zeros(x.shape[0], 4, 8, 8)
    z[:, :2] = y[:, :2]
    return z + 1


def twice_over(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.zeros(4, 2)
    z[:, 1].copy_(torch.arange(4.0))
    z.mul_(2)
    return y * z[:, 1].reshape(4, 1, 1)


LOST = [
    part_of_zeros,
    number_in_a_copy,
    part_of_a_product,
    what_a_view_sees,
    part_of_what_is_like_maps,
    maps_over_zeros,
    part_of_maps_over_zeros,
    twice_over,
]


@pytest.mark.parametrize("of", LOST)
def test_what_is_not_followed_is_refused(of: Of) -> None:
    network = archc.from_module(Written(of).eval(), input=(3, 8, 8))
    assert archc.count(network).multiply_adds == 4 * 27 * 64
    with pytest.raises(archc.ArchcError, match="it is written over in part"):
        archc.emit(network)


def a_whole(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.zeros(4)
    z += 1
    return y * z.view(4, 1, 1)


def another_name(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    z = torch.arange(4, dtype=torch.float32)
    z.detach().mul_(2)
    return y * z.view(4, 1, 1)


def whole_numbers(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    return y[:, torch.arange(3, -1, -1)] * torch.full((4,), 3).view(4, 1, 1)


def its_own_type(y: Tensor, more: Tensor, x: Tensor) -> Tensor:
    return y.float().to(x.dtype) + more.type_as(y).sum(dtype=torch.float32, dim=0)


@pytest.mark.parametrize("of", [a_whole, another_name, whole_numbers, its_own_type])
def test_what_is_followed_is_emitted(of: Of) -> None:
    module = Written(of).eval()
    network = archc.from_module(module, input=(3, 8, 8))
    assert_same(module, network)


def assert_same(module: nn.Module, network: archc.Network) -> None:
    made = archc.module(network).eval()
    for count in (1, 3):
        images = torch.randn(count, *network.input_shape)
        with torch.no_grad():
            assert torch.equal(made(images), module(images))


def test_what_is_made_is_made_where_the_values_are() -> None:
    source = archc.emit(archc.from_module(Written(whole_numbers).eval(), input=(3, 8, 8)))
    assert "torch.arange(3, -1, -1, device=x.device)" in source
    assert "torch.full((4,), 3, dtype" not in source


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.adaptive_max_pool2d(self.conv(x), 2, return_indices=True)[0]
        result: Tensor = nn.functional.max_pool2d(y, 2, return_indices=True)[0]
        return result


class Windows(nn.Module):
    """Attention of windows, which lie where images do."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(3, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.qkv(x).view(-1, 12, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(-1, 12, 4, 4)
        q, k, v = y.chunk(3, dim=1)
        y = (q * k).mean((2, 3), keepdim=True) * v
        result: Tensor = y.mean((2, 3)).view(-1, 4, 4).mean(1)
        return result


@pytest.mark.parametrize("module", [Pooled().eval(), Windows().eval()])
def test_others(module: nn.Module) -> None:
    assert_same(module, archc.from_module(module, input=(3, 8, 8)))
