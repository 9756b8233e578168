"""Transposed convolutions, which only models of other libraries have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.verification import Options

ort = pytest.importorskip("onnxruntime")

SHAPE = (4, 7, 6)
MANNERS: list[dict[str, Any]] = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    {"kernel_size": (3, 1), "stride": (1, 3), "padding": (1, 0), "output_padding": (0, 2)},
    {"kernel_size": 3, "dilation": 2, "groups": 2},
]


class Decoder(nn.Module):
    def __init__(self, manner: dict[str, Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.up = nn.ConvTranspose2d(4, 6, **manner)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.up(self.conv(x))).relu()
        return y


@pytest.mark.parametrize("manner", MANNERS)
def test_it_is_counted_written_and_read_again(manner: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Decoder(manner).eval()
    network = archc.from_module(module, input=SHAPE)
    assert [node.op.kind for node in network.nodes.values()] == [
        *("input", "conv2d", "conv_transpose2d", "batch_norm2d", "relu")
    ]
    with FlopCounterMode(display=False) as counter:
        expected = module(torch.zeros(1, *SHAPE))
    assert network.nodes[network.output].output_shape == expected.shape[1:]
    assert 2 * network.multiply_adds == counter.get_total_flops()
    assert network.params == sum(one.numel() for one in module.parameters())
    assert "nn.ConvTranspose2d(" in archc.emit(network)
    assert archc.verify(network, options=Options(quick=True)).passed

    file = tmp_path / "model.onnx"
    file.write_bytes(archc.export(network, "onnx", weights=module.state_dict()))
    images = torch.randn(1, *SHAPE)
    (found,) = ort.InferenceSession(str(file)).run(None, {"input": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(images).numpy(), atol=1e-5, rtol=1e-4)
    assert archc.diff(network, archc.from_onnx(file)).same


def test_norms_behind_it_stay_when_weights_are_folded() -> None:
    module = Decoder(MANNERS[0]).eval()
    network = archc.from_module(module, input=SHAPE)
    assert "norm.running_var" in archc.fold(network)


def test_ops_that_only_torch_counts_are_not_compared() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 5, 3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x.flatten(2))
            return y.mean(2)

    network = archc.from_module(Flat().eval(), input=(3, 6, 6))
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed
    row = next(row for row in report.rows if row.check == "multiply-adds")
    assert (row.passed, row.number) == (None, "no rule for conv1d")
