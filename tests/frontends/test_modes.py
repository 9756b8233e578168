"""Programs that were exported in training mode."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import archc

pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning")  # torch's own


class Normed(nn.Module):
    def __init__(self, *, has_averages: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.first = nn.BatchNorm2d(4, track_running_stats=has_averages)
        self.second = nn.BatchNorm2d(4, track_running_stats=has_averages)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(self.conv(x)).relu())
        return result


@pytest.mark.parametrize("is_core", [False, True])
def test_they_are_refused_with_what_to_do(is_core: bool, tmp_path: Path) -> None:
    program = torch.export.export(Normed().train(), (torch.zeros(2, 3, 8, 8),))
    program = program.run_decompositions() if is_core else program
    words = "was exported in training mode: its 2 batch norms take the statistics of the batch"
    with pytest.raises(archc.ForeignError) as failed:
        archc.count(program)
    assert failed.value.message == f"the program {words}"
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(archc.ForeignError) as failed:
        archc.count(tmp_path / "net.pt2")
    assert failed.value.message.endswith(f"net.pt2 {words}")
    hint = "export it in eval mode: call `model.eval()` before `torch.export.export`"
    assert failed.value.hint == hint


def test_norms_without_averages_are_the_same_in_both_modes() -> None:
    module = Normed(has_averages=False)
    program = torch.export.export(module.eval(), (torch.zeros(2, 3, 8, 8),))
    assert archc.count(program).params == sum(one.numel() for one in module.parameters())
    module.train()
    assert archc.from_module(Normed().train(), input=(3, 8, 8)).nodes["first"].op.kind == (
        "batch_norm2d"
    )
