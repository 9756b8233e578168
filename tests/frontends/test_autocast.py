"""Parts of programs that run in another mode: without gradients, or without autocast."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import archc
from archc.verification import Options


class Guarded(nn.Module):
    def __init__(self, *, is_on: bool = False) -> None:
        super().__init__()
        self.conv, self.more = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 5)
        self.is_on = is_on

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        with torch.autocast("cpu", enabled=self.is_on):
            x = self.more(x.float())
            y = x.relu()
            with torch.no_grad():
                scale = y.sigmoid()
        result: Tensor = self.head((x * scale + y).mean((2, 3)))
        return result


def written(module: nn.Module, folder: Path) -> Path:
    program = torch.export.export(module.eval(), (torch.zeros(1, 3, 8, 8),))
    torch.export.save(program, folder / "guarded.pt2")
    return folder / "guarded.pt2"


def test_they_are_read_as_what_they_compute(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Guarded().eval()
    network = archc.from_module(module, input=(3, 8, 8))
    from_file = archc.from_export(written(module, tmp_path))
    assert network.multiply_adds == 108 * 36 + 144 * 16 + 20
    assert archc.diff(network, from_file).same
    assert list(archc.state_dict(network)) == list(module.state_dict())
    assert "class Guarded" in archc.emit(from_file)
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, str(report)
    assert report.rows[-1].number == "bit for bit"


def test_autocast_that_is_on_is_refused(tmp_path: Path) -> None:
    module = Guarded(is_on=True).eval()
    words = "computes a part of it under autocast, in types that it does not say"
    with pytest.raises(archc.ForeignError, match=f"Guarded {words}") as raised:
        archc.from_module(module, input=(3, 8, 8))
    assert raised.value.hint == "export it without autocast"
    with pytest.raises(archc.ForeignError, match=rf"guarded\.pt2 {words}"):
        archc.from_export(written(module, tmp_path))
