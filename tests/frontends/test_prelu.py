"""Rectifiers with learned slopes, which only models of other libraries have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.verification import Options

ort = pytest.importorskip("onnxruntime")


class Sloped(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.act = nn.PReLU(count, init=0.1)
        self.fc, self.last = nn.Linear(6, 4), nn.PReLU(1 if count == 1 else 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x))).mean((2, 3))
        result: Tensor = self.last(self.fc(x))
        return result


@pytest.mark.parametrize("count", [1, 6])
def test_it_is_counted_written_and_read_again(count: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Sloped(count).eval()
    network = archc.from_module(module, input=(3, 8, 7))
    kinds = [node.op.kind for node in network.nodes.values()]
    assert kinds.count("prelu") == 2
    assert network.nodes["act"].params == count
    assert network.params == sum(one.numel() for one in module.parameters())
    assert "no rule" not in str(archc.count(network))
    assert f"self.act = nn.PReLU({count})" in archc.emit(network)
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, str(report)
    assert report.rows[-1].number == "bit for bit"

    file = tmp_path / "model.onnx"
    file.write_bytes(archc.export(network, "onnx", weights=module.state_dict()))
    images = torch.randn(1, 3, 8, 7)
    (found,) = ort.InferenceSession(str(file)).run(None, {"input": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(images).numpy(), atol=1e-5, rtol=1e-4)
    assert archc.diff(network, archc.from_onnx(file)).same


def test_slopes_that_are_computed_have_no_record() -> None:
    class Computed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return F.prelu(x, x.mean((0, 2, 3)))

    network = archc.from_module(Computed().eval(), input=(3, 8, 8))
    assert [node.op.kind for node in network.nodes.values()][-1] == "opaque"
