"""Damaged ONNX files and exported programs: archc's own error or a network, and nothing else."""

from __future__ import annotations

import io
import json
import random
import zipfile
from contextlib import suppress
from functools import cache

import pytest

pytest.importorskip("torch")
import torch
from damage import damaged_bytes, damaged_json
from onnxmaker import Maker
from torch import Tensor, nn

from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.frontends.program import ForeignError
from archc.frontends.torch_export.archive import read_archive

COUNT = 500


class Small(nn.Module):
    """A residual block, a gate, tokens: each kind of rule."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.gate, self.fc = nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).relu_()
        x = x + x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        a, b = torch.cat([x, x.flip(1)], 1).chunk(2, 1)
        result: Tensor = self.fc((a + b).permute(0, 2, 3, 1)[:, 0].mean(1))
        return result


@cache
def members() -> dict[str, bytes]:
    """A small program's members by their names, without its samples."""
    program = torch.export.export(Small().eval(), (torch.zeros(1, 3, 8, 8),))
    stream = io.BytesIO()
    torch.export.save(program, stream)
    with zipfile.ZipFile(stream) as archive:
        names = [one for one in archive.namelist() if not one.endswith("model.pt")]
        return {f"net/{name.partition('/')[2]}": archive.read(name) for name in names}


def archived(content: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return stream.getvalue()


@cache
def model() -> bytes:
    """A small ONNX file with each kind of rule."""
    m = Maker(("batch", 3, 8, 8))
    y = m.conv("x", 3, 4, 3, "/conv/Conv", pads=[1] * 4)
    norm = [m.weight(4, name=f"norm.{number}") for number in range(4)]
    y = m.node("BatchNormalization", y, *norm, epsilon=1e-3, name="/norm/BatchNormalization")
    y = m.node("Clip", y, m.constant(0.0), m.constant(6.0))
    gate = m.node("Sigmoid", m.conv(m.node("ReduceMean", y, axes=[2, 3]), 4, 4, name="/gate/Conv"))
    y = m.node("Add", y, m.node("Mul", y, gate))
    side = m.node("Gather", m.node("Shape", y), m.constant([1], int), axis=0)
    half = m.node("Div", side, m.constant([2], int))
    a = m.node("Slice", y, m.constant([0], int), half, m.constant([1], int))
    a, b = m.node("Split", m.node("Concat", a, a, axis=1), axis=1, outputs=2)
    y = m.node("MaxPool", m.node("Sum", a, b), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    y = m.node("Reshape", m.node("GlobalAveragePool", y), m.whole(0, -1))
    return m.data(m.node("Gemm", y, m.weight(5, 2), m.weight(5), transB=1))


def is_model(data: bytes) -> bool:
    """Whether bytes are an ONNX file that can be read; anything but a diagnostic is raised."""
    try:
        found = Imported(read_onnx(data, "net.onnx"), "net.onnx")
        assert found.network.multiply_adds >= 0
    except ForeignError:
        return False
    with suppress(ForeignError):
        found.arrays()
    return True


def is_program(data: bytes) -> bool:
    """Whether bytes are a program that can be read; anything but a diagnostic is raised."""
    try:
        found = Imported(read_archive(io.BytesIO(data), "net.pt2", data), "net.pt2")
        assert found.network.multiply_adds >= 0
    except ForeignError:
        return False
    with suppress(ForeignError):
        found.arrays()
    return True


def test_what_is_not_damaged_is_read() -> None:
    assert Imported(read_onnx(model(), "net.onnx"), "net.onnx").network.params > 100
    data = archived(members())
    assert Imported(read_archive(io.BytesIO(data), "x.pt2", data), "x.pt2").network.params > 100


def test_damaged_onnx_files() -> None:
    rng = random.Random(26)
    read = [is_model(damaged_bytes(model(), rng)) for _ in range(COUNT)]
    assert 0 < sum(read) < COUNT


def test_damaged_programs() -> None:
    """In the bytes of the archive, in those of a member, and in the values of a member."""
    rng = random.Random(26)
    whole = archived(members())
    inner = [name for name in members() if name.endswith(".json")]
    parsed = {name: json.loads(members()[name]) for name in inner}
    read: list[bool] = []
    for number in range(COUNT):
        name = inner[0] if rng.random() < 0.8 else rng.choice(inner)
        if number % 5 == 0:
            read.append(is_program(damaged_bytes(whole, rng)))
        elif number % 5 == 1:
            read.append(
                is_program(archived({**members(), name: damaged_bytes(members()[name], rng)}))
            )
        else:
            read.append(is_program(archived({**members(), name: damaged_json(parsed[name], rng)})))
    assert 0 < sum(read) < COUNT
