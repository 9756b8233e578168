"""Three ops that archc does not have, defined here alone: that is all that it needs to know.

An activation with a number, a product, and a pooling; the interpreter of verification, which has to
be independent of what is emitted, gets a line for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from trained import images_for, trained

import archc
from archc import analysis
from archc.analysis import Device, compare, roofline
from archc.backends.onnx import to_onnx
from archc.backends.pytorch import emit
from archc.graph import FragmentBuilder, Network, NetworkBuilder, Step, lint
from archc.graph.modules import StructureError
from archc.live import build_module
from archc.ops import AdaptiveAvgPool2d as Pool
from archc.ops import (
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Op,
    Shape,
    ZeroPadShortcut,
)
from archc.ops.facts import OUTPUT, Call, Look, Module, OnnxNode, OnnxStep, Saved, Storage, Torch
from archc.ops.traits import ElementWise, Merging, Windowed
from archc.verification import interpreter
from archc.verification.check import Options, verify


@dataclass(frozen=True, slots=True)
class Leaky(ElementWise):
    """x, or ``slope`` times x below zero."""

    kind = "leaky"
    negative_slope: float = 0.01

    overwrites = True
    torch = Torch(
        is_module=True,
        module=Module("nn.LeakyReLU", (), (("negative_slope", 0.01),)),
        ends_line=True,
        in_place=True,
    )

    def saved(self) -> Saved:
        """Its output."""
        return OUTPUT

    def look(self) -> Look:
        """A word."""
        return Look(word="leaky")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A LeakyRelu."""
        yield OnnxNode("LeakyRelu", output, {"alpha": self.negative_slope})


@dataclass(frozen=True, slots=True)
class Product(Merging):
    """The element-wise product."""

    kind = "product"
    verb = "multiplied"
    storage = Storage.KEPT
    overwrites = False
    torch = Torch(is_module=False, call=Call(lambda *xs: f"torch.mul({', '.join(xs)})"))

    def saved(self) -> Saved:
        """What it reads."""
        return Saved(inputs=True)

    def look(self) -> Look:
        """A cross where ways meet."""
        return Look(glyph="x", name="product")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Mul."""
        yield OnnxNode("Mul", output)


@dataclass(frozen=True, slots=True)
class LpPool(Windowed):
    """The root of the sum of squares over a window."""

    kind = "lp_pool2d"
    norm_type: int = 2

    channels = archc.ops.facts.TIED
    torch = Torch(
        is_module=True,
        module=Module("nn.LPPool2d", ("norm_type", "kernel_size"), (("stride", "kernel_size"),)),
        ends_line=True,
    )

    def infer(self, *inputs: Shape) -> Shape:
        """The channels, and the places of the window."""
        return (inputs[0][0], *archc.ops.base.slide(inputs[0], self.kernel_size, self.stride, 0))

    def saved(self) -> Saved:
        """What it reads."""
        return Saved(inputs=True)

    def look(self) -> Look:
        """A box."""
        return Look(box="pool", label=f"lp pool, /{self.stride}", mark="lp pool")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An LpPool."""
        sizes = {"kernel_shape": [self.kernel_size] * 2, "strides": [self.stride] * 2}
        yield OnnxNode("LpPool", output, {**sizes, "p": self.norm_type})


RULES = {
    "leaky": lambda n, _, x: torch.where(x > 0, x, n["negative_slope"] * x),
    "product": lambda _, __, a, b: a * b,
    "lp_pool2d": lambda n, _, x: F.lp_pool2d(x, n["norm_type"], n["kernel_size"], n["stride"]),
}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, rule in RULES.items():
        monkeypatch.setitem(interpreter._FUNCTIONS, kind, rule)


def network(slope: float = 0.2) -> Network:
    """Two convolutions multiplied, a pooling, a residual sum, a classifier."""
    piece = FragmentBuilder((3, 12, 12))
    piece.add("conv1", Conv2d(3, 8, 3, padding=1, bias=False))
    piece.add("bn1", BatchNorm2d(8))
    first = piece.add("act1", Leaky(slope))
    gate = piece.add("gate", Conv2d(8, 8, 1), first)
    piece.add("product", Product(), first, gate)
    pooled = piece.add("pool", LpPool(2, 2, 0))
    piece.add("conv2", Conv2d(8, 8, 3, padding=1))
    piece.add("add", Add(), piece.last, pooled)
    piece.add("act2", Leaky())
    piece.add("avgpool", Pool(1))
    piece.add("flatten", Flatten())
    piece.add("fc", Linear(8, 5))
    nodes = NetworkBuilder((3, 12, 12))
    nodes.append(piece.build(), lambda step: step.name)
    return lint(Network("toy", nodes.nodes, title="A toy"))


def test_they_are_counted() -> None:
    counted = archc.count(network(), by="layer")
    assert counted.params == 3 * 8 * 9 + 16 + 72 + 584 + 45
    assert [row.op for row in counted.rows if row.op in RULES] == []
    fvcore = archc.count(network(), convention="fvcore")
    assert {"leaky": 2, "product": 1, "lp_pool2d": 1}.items() <= fvcore.not_counted.items()


def test_they_take_memory() -> None:
    needs = {row.name: row for row in analysis.memory(network()).rows}
    image = 4 * 8 * 12 * 12
    assert needs["act1"].output == 0  # in place, over what the norm put out
    assert needs["product"].output == image
    assert needs["product"].kept == image  # the gate's value; the activation's is kept already
    assert needs["pool"].kept == image


def test_they_reach_over_pixels() -> None:
    fields = {row.name: row for row in analysis.receptive_fields(network()).rows}
    assert fields["act1"].size == (3, 3)
    assert fields["product"].size == (3, 3)
    assert (fields["pool"].size, fields["pool"].stride) == ((4, 4), (2, 2))
    assert fields["add"].size == (8, 8)


def test_they_move_bytes() -> None:
    device = Device("x", "X", "float32", 1e12, 1e9, "")
    moved = {row.name: row.bytes_moved for row in roofline(network(), device).rows}
    assert "act1" not in moved
    assert moved["product"] == 4 * 8 * 144  # its second operand
    assert moved["pool"] == 4 * 8 * (144 + 36)


def test_they_are_compared() -> None:
    (change,) = compare(network(), network(slope=0.3)).changes
    assert (change.a, change.what) == ("act1", ("negative_slope 0.2 → 0.3",))


def test_they_are_drawn() -> None:
    drawn = archc.draw(network()).decode()
    assert ">lp pool, /2</text>" in drawn
    assert "leaky" not in drawn


def test_they_are_emitted() -> None:
    source = emit(network())
    assert "self.act1 = nn.LeakyReLU(negative_slope=0.2, inplace=True)" in source
    assert "self.act2 = nn.LeakyReLU(inplace=True)" in source
    assert "torch.mul(x, self.gate(x))" in source
    assert "self.pool = nn.LPPool2d(2, 2)" in source
    module = build_module(network()).eval()
    with torch.no_grad():
        assert module(torch.randn(2, 3, 12, 12)).shape == (2, 5)


def test_they_are_verified() -> None:
    report = verify(network(), options=Options(backend="eager"))
    assert report.passed, [row for row in report.rows if not row.passed]


def test_they_are_exported() -> None:
    module = trained(network())
    weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    session = onnxruntime.InferenceSession(to_onnx(network(), weights))
    images = images_for(network())
    (found,) = session.run(None, {"input": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(images).numpy(), rtol=1e-4, atol=1e-5)


def test_an_op_with_a_fact_missing_is_refused() -> None:
    with pytest.raises(TypeError) as told:

        @dataclass(frozen=True, slots=True)
        class Silent(ElementWise):
            kind = "silent"

            def look(self) -> Look:
                return Look()

    assert str(told.value) == "the op 'silent' does not say its torch, saved, onnx"


@dataclass(frozen=True, slots=True)
class Join(Merging):
    """Channels one behind the other."""

    kind = "join"
    verb = "joined"
    channels = archc.ops.facts.SUMMED
    overwrites = False
    commutes = False
    torch = Torch(is_module=False, call=Call(lambda *xs: f"torch.cat([{', '.join(xs)}], 1)"))

    def infer(self, *inputs: Shape) -> Shape:
        """The channels of all."""
        return (sum(x[0] for x in inputs), *inputs[0][1:])

    def look(self) -> Look:
        """A C where ways meet."""
        return Look(glyph="C", name="join")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Concat."""
        yield OnnxNode("Concat", output, {"axis": 1})


@dataclass(frozen=True, slots=True)
class Misleading(Join):
    """A join that claims to put out the channels that it reads."""

    kind = "misleading"
    channels = archc.ops.facts.TIED


def joining(join: Op) -> Network:
    """Two blocks, each of which joins what it computes to what it reads."""
    nodes = NetworkBuilder((4, 8, 8))
    for block in range(2):
        piece = FragmentBuilder(nodes.shape)
        piece.add("conv", Conv2d(piece.shape()[0], 3, 1))
        piece.add("join", join, "", "conv")
        piece.add("bn", BatchNorm2d(piece.shape()[0]))
        prefix = f"layer1.{block}."
        nodes.append(piece.build("Block"), partial(_placed, prefix))
    return lint(Network("joining", nodes.nodes))


def _placed(prefix: str, step: Step) -> str:
    return prefix + step.name


def test_arguments_follow_what_channels_do() -> None:
    module = build_module(joining(Join())).eval()
    with torch.no_grad():
        assert module(torch.randn(1, 4, 8, 8)).shape == (1, 10, 8, 8)
    with pytest.raises(StructureError, match="would have to be one argument, `channels`"):
        emit(joining(Misleading()))


def test_ops_of_pairs() -> None:
    assert LpPool((2, 2), 2, 0) == LpPool(2, 2, 0)
    wide = Conv2d(3, 4, (1, 7), (1, 2), (0, 3))
    module = torch.nn.Conv2d(3, 4, (1, 7), (1, 2), (0, 3))
    x = torch.randn(1, 3, 9, 11)
    assert wide.infer((3, 9, 11)) == tuple(module(x).shape[1:])
    assert wide.params == sum(one.numel() for one in module.parameters())
    assert wide.state == {key: tuple(one.shape) for key, one in module.state_dict().items()}
    assert wide.look().label == "1x7 conv, 4, /1x2"


def test_networks_with_pairs_are_verified() -> None:
    main = FragmentBuilder((4, 12, 10))
    shortcut = main.add("shortcut", ZeroPadShortcut(4, 6, 2))
    conv = Conv2d(4, 6, (3, 1), 2, (1, 0), bias=False)
    main.add("add", Add(), main.add("conv1", conv, ""), shortcut)
    main.add("pool", MaxPool2d((3, 2), (1, 2), (1, 0)))
    main.add("avgpool", Pool((2, 1)))
    main.add("flatten", Flatten())
    main.add("fc", Linear(12, 5))
    builder = NetworkBuilder((4, 12, 10))
    builder.append(main.build(), lambda step: step.name)
    network = lint(Network("pairs", builder.nodes))
    report = archc.verify(network, options=Options(backend="eager"))
    assert report.passed, report.faults
    assert "3x1 conv, 6, /2" in archc.draw(network).decode()
