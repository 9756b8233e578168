"""Programs in core ATen: what `run_decompositions` takes apart is the op that it was."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.verification import Options


class Shuffled(nn.Module):
    """As in ShuffleNet: halves, one of them convolved, joined and shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        y = torch.cat([a, self.norm(self.conv(b)).relu_()], 1)
        y = y.view(y.size(0), 2, 4, *y.shape[2:]).transpose(1, 2).contiguous()
        return y.view(y.size(0), 8, *y.shape[3:])


class Excited(nn.Module):
    """As in EfficientNet and MobileNetV3: a squeeze-and-excitation between activations."""

    def __init__(self, activation: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.activation = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), activation
        self.fc1, self.fc2, self.gate = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.norm(self.conv(x)))
        scale = F.adaptive_avg_pool2d(y, 1)
        scale = self.gate(self.fc2(self.activation(self.fc1(scale))))
        result: Tensor = x + y * scale
        return result


class Next(nn.Module):
    """As in ConvNeXt: linear layers on maps with their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8, eps=1e-6)
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8, bias=False)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)
        result: Tensor = x + self.scale * y
        return result


class Convolutional(nn.Module):
    """What the CNN families are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm, self.pool = nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(
            Shuffled(),
            Excited(nn.SiLU(), nn.Sigmoid()),
            Excited(nn.Hardswish(), nn.Hardsigmoid()),
            Next(),
        )
        self.mean, self.grid = nn.AvgPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(2)
        self.groups = nn.GroupNorm(2, 8)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32, 16), nn.ReLU6(), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.pool(self.norm(self.stem(x)).relu()))
        x = self.groups(self.grid(self.mean(F.leaky_relu(x, 0.1))))
        result: Tensor = self.head(x)
        return result


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        y, _ = self.attention(x, x, x, need_weights=False)
        result: Tensor = self.fc((x + y).mean(1))
        return result


pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning")  # torch's own


def both(
    module: nn.Module, size: tuple[int, int, int] = (3, 32, 32)
) -> tuple[torch.export.ExportedProgram, torch.export.ExportedProgram]:
    """A module's program, and that in core ATen."""
    program = torch.export.export(module.eval(), (torch.zeros(1, *size),))
    return program, program.run_decompositions()


def test_a_program_in_core_aten_is_the_same_network(tmp_path: Path) -> None:
    program, core = both(Convolutional())
    expected, found = archc.from_export(program), archc.from_export(core)
    nodes = [
        [(one.id, one.op, one.inputs) for one in net.nodes.values()] for net in (expected, found)
    ]
    assert nodes[0] == nodes[1]
    assert expected.state == found.state
    assert archc.diff(expected, found).same
    torch.export.save(core, tmp_path / "core.pt2")
    assert archc.diff(expected, archc.from_export(tmp_path / "core.pt2")).same
    report = archc.verify(found, options=Options(quick=True))
    assert report.passed
    assert report.rows[-1].check == "original"


def test_attention_in_core_aten_is_counted_the_same() -> None:
    counted = [archc.count(archc.from_export(one)) for one in both(Attending())]
    assert counted[0].params == counted[1].params
    assert counted[0].multiply_adds == counted[1].multiply_adds
    assert counted[0].products == counted[1].products == 2 * 64 * 64 * 8
    assert counted[0].not_counted == counted[1].not_counted


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 4, (1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x[:, :, None])
        return y[:, :, 0]


def test_other_convolutions_keep_their_names() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 4, 2, bias=False), Deep())
    for program in both(module, (3, 8, 8)):
        counted = archc.count(archc.from_export(program))
        assert counted.not_counted == {"conv3d": 1}
        assert counted.multiply_adds == 3 * 4 * 64 + 4 * 4 * 2 * 2 * 64


def test_indices_that_are_read_are_an_output_of_their_own() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y, indices = F.max_pool2d(x, 2, return_indices=True)
            result: Tensor = nn.MaxUnpool2d(2)(y, indices)
            return result

    for program in both(Net(), (3, 8, 8)):
        network = archc.from_export(program)
        assert list(network.nodes.values())[-1].output_shape == (3, 8, 8)


def test_an_attention_does_not_take_the_place_of_its_module() -> None:
    program, _ = both(Attending())
    ids = archc.from_export(program).nodes
    assert "attention.out_proj" in ids
    assert "attention" not in ids


class Resized(nn.Module):
    """Norms of each kind in a network that is written call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8, eps=1e-3)
        self.groups, self.last = nn.GroupNorm(2, 8, eps=1e-4), nn.LayerNorm(8, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.groups(self.norm(self.conv(x)).relu())
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.last(x.permute(0, 2, 3, 1)).mean((1, 2))  # type: ignore[no-any-return]


def test_norms_in_core_aten_are_written_call_by_call() -> None:
    torch.manual_seed(0)
    module = Resized()
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    program, core = both(module, (3, 8, 8))
    source = archc.emit(core)
    assert source == archc.emit(program)
    assert "self.norm = nn.BatchNorm2d(8, eps=0.001)" in source
    made = archc.module(core).eval()
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(made(images), module(images))
    report = archc.verify(core, options=Options(quick=True))
    assert report.passed, str(report)
