"""Where the stages of a model begin and end."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc


class Double(nn.Module):
    def __init__(self, read: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(read, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu()).relu()
        return y


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.low = Double(3, 8), Double(8, 16), Double(16, 32)
        self.up2, self.up1 = Double(48, 16), Double(24, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Any:
        high = self.down1(x)
        middle = self.down2(F.max_pool2d(high, 2))
        x = F.interpolate(self.low(F.max_pool2d(middle, 2)), scale_factor=2)
        x = F.interpolate(self.up2(torch.cat([x, middle], 1)), scale_factor=2)
        return self.out(self.up1(torch.cat([x, high], 1)))


class Joined(nn.Module):
    """Stages whose values are joined at their ends, with a norm before what makes maps smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.one, self.two = Double(8, 8), Double(16, 8)
        self.norm, self.smaller = nn.BatchNorm2d(16), nn.Conv2d(16, 16, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.one(x)], 1).relu()
        x = self.smaller(self.norm(x))
        return torch.cat([x, self.two(x)], 1).mean((2, 3))


def outputs(module: nn.Module) -> list[str]:
    rows = archc.count(module, input=(3, 16, 16)).as_dict()["rows"]
    return [f"{row['name']} {'x'.join(map(str, row['output_shape']))}" for row in rows]


def test_what_changes_the_size_of_maps_begins_a_stage() -> None:
    assert outputs(UNet()) == [
        *("stage 1 8x16x16", "stage 2 16x8x8", "stage 3 32x4x4", "stage 4 16x8x8"),
        *("stage 5 8x16x16", "head 2x16x16"),
    ]


def test_what_joins_the_values_of_a_stage_ends_it() -> None:
    module = Joined()
    assert outputs(module) == ["stem 8x16x16", "stage 1 16x16x16", "stage 2 24x8x8", "head 24"]
    network = archc.from_module(module, input=(3, 16, 16))
    first = next(region for region in network.regions if region.kind == "stage")
    assert first.members[-2:] == ("concat", "relu")
