"""The signs in the circles of a figure, where values of a model meet."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import archc

CASES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str, str]] = {
    "sub": (lambda a, b: (a - b).abs(), "\N{MINUS SIGN}", "difference"),
    "div": (lambda a, b: a / (b + 3), "\N{DIVISION SIGN}", "quotient"),
    "lt": (lambda a, b: (a < b).float(), "&lt;", "comparison"),
    "max": (torch.maximum, "M", "maximum"),
}


class Two(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return CASES[self.name][0](self.left(x), self.right(x))


@pytest.mark.parametrize("name", CASES)
def test_circles_say_what_is_computed(name: str) -> None:
    _, sign, meaning = CASES[name]
    network = archc.from_module(Two(name).eval(), input=(3, 8, 8))
    drawn = archc.draw(network)
    texts = re.findall(r"<text[^>]*>([^<]*)", drawn if isinstance(drawn, str) else drawn.decode())
    assert sign in texts
    assert meaning in texts  # in the legend, or beside the circle
    assert "?" not in texts
