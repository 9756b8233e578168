"""A block type in one file, this one: that is all that archc needs to know of it.

Blocks of three branches: two convolutions in a module of their own, a strided 1x1 convolution,
and the input where the shape stays.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from agreement import assert_agrees, on_meta
from pydantic import Field
from torch import Tensor, nn

import archc
from archc.blocks import STANDARD, BlockType, Stage, Style
from archc.compile import compile_spec
from archc.graph import Fragment, FragmentBuilder, Network, Shape, ShapeError
from archc.ops import Add, BatchNorm2d, Conv2d, ReLU
from archc.spec import load_spec

SPEC = """\
name: toynet
title: A toy network
input: [3, 16, 16]
classes: 4
stem:
  - conv: {width: 8, kernel: 3}
defaults: {block: fork, squeeze: 4}
stages:
  - {depth: 3, width: 8}
  - {depth: 2, width: 16, stride: 2, squeeze: 2, side: none}
head: [global_avg_pool, linear, softmax]
"""


class ForkStage(Stage):
    """Blocks of a squeezing branch, a side branch, and the input."""

    squeeze: int = Field(default=2, ge=1, le=64, description="The branch has width / squeeze.")
    side: Literal["conv", "none"] = Field(default="conv", description="The second branch.")

    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """Relu of the sum of the branches."""
        if self.width % self.squeeze:
            raise ShapeError(
                f"squeeze {self.squeeze} does not divide width {self.width}", attribute="squeeze"
            )
        block = FragmentBuilder(x)
        inner = self.width // self.squeeze
        block.add("branch.conv1", Conv2d(x[0], inner, 1, bias=not style.norm))
        if style.norm:
            block.add("branch.bn1", BatchNorm2d(inner))
        block.add("branch.relu1", ReLU())
        main = block.add("branch.conv2", Conv2d(inner, self.width, 3, stride, padding=1))
        summands = [main]
        if self.side == "conv":
            conv = Conv2d(x[0], self.width, 1, stride, bias=False)
            summands.append(block.add("side", conv, Fragment.INPUT))
        if block.shape(main) == x:
            summands.append(Fragment.INPUT)
        if len(summands) > 1:
            block.add("add", Add(), *summands)
        block.add("relu", ReLU())
        return block.build("ForkBlock")


class Branch(nn.Module):
    """The squeezing branch as a person would write it."""

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, out_channels, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.bn1(self.conv1(x))))
        return out


class Fork(nn.Module):
    """The block as a person would write it."""

    def __init__(
        self, in_channels: int, out_channels: int, squeeze: int, stride: int, side: bool
    ) -> None:
        super().__init__()
        self.branch = Branch(in_channels, out_channels // squeeze, out_channels, stride)
        self.identity = stride == 1 and in_channels == out_channels
        if side:
            self.side = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if hasattr(self, "side"):
            out = out + self.side(x)
        return F.relu(out + x if self.identity else out)


class ToyNet(nn.Module):
    """The network of the spec as a person would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(*(Fork(8, 8, 4, 1, True) for _ in range(3)))
        self.layer2 = nn.Sequential(Fork(8, 16, 2, 2, False), Fork(16, 16, 2, 1, False))
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


class CapStage(Stage):
    """Blocks with a relu where they have a stride and nowhere else."""

    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """A convolution, perhaps a relu, a norm."""
        block = FragmentBuilder(x)
        block.add("conv", Conv2d(x[0], self.width, 1, stride))
        if stride != 1:
            block.add("relu", ReLU())
        block.add("bn", BatchNorm2d(self.width))
        return block.build("a strange (cap)")


LIBRARY = STANDARD.extended(BlockType("fork", ForkStage), BlockType("cap", CapStage))


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def load(spec: Path) -> Network:
    return compile_spec(load_spec(str(spec), library=LIBRARY))


def test_a_library_is_a_value() -> None:
    assert "fork" in LIBRARY
    assert "fork" not in STANDARD
    with pytest.raises(ValueError, match="there are two block types named 'fork'"):
        LIBRARY.extended(BlockType("fork", CapStage))
    assert list(LIBRARY.extended(BlockType("fork", ForkStage))) == list(LIBRARY)


@pytest.mark.parametrize(
    ("old", "new", "at", "message", "hint"),
    [
        (
            "squeeze: 2, side",
            "sqeeze: 2, side",
            "sqeeze",
            "`sqeeze`",
            "did you mean `squeeze`?",
        ),
        (
            "squeeze: 4}",
            "sqeeze: 4}",
            "sqeeze",
            "`sqeeze`",
            "did you mean `squeeze`?",
        ),
        ("none}", "nine}", "nine", "`side` must be conv or none, not `nine`", "`none`?"),
        ("squeeze: 4", "squeeze: 65", "65", "must be an integer from 1 to 64, not `65`", None),
        ("squeeze: 2", "squeeze: 3", "3, side", "squeeze 3 does not divide width 16", None),
        ("width: 8}", "width: 8, shortcut: A}", "shortcut", "have no attribute", "`bottleneck`"),
        ("block: fork", "block: frok", "frok", "`block` must be", "did you mean `fork`?"),
    ],
)
def test_its_mistakes_are_told_where_they_are(
    spec: Path, old: str, new: str, at: str, message: str, hint: str | None
) -> None:
    assert SPEC.count(old) == 1
    spec.write_text(SPEC.replace(old, new), encoding="utf-8")
    with pytest.raises(archc.SpecError) as caught:
        load(spec)
    (fault,) = caught.value.diagnostics
    line = fault.place.source.lines[fault.place.line - 1]
    assert line[fault.place.column - 1 :].startswith(at)
    assert message in fault.message
    assert hint is None or hint in (fault.hint or "")


def test_its_counts_are_those_of_hand_arithmetic(spec: Path) -> None:
    network = load(spec)
    rows = {row.name: row for row in archc.count(network, by="block").rows}
    stem = 3 * 8 * 9 + 2 * 8
    first = 8 * 2 + 2 * 2 + (2 * 8 * 9 + 8) + 8 * 8
    wider = 8 * 8 + 2 * 8 + (8 * 16 * 9 + 16)
    last = 16 * 8 + 2 * 8 + (8 * 16 * 9 + 16)
    assert rows["stage 1, block 0"].params == rows["stage 1, block 2"].params == first
    assert rows["stage 2, block 0"].params == wider
    assert rows["stage 2, block 1"].params == last
    assert network.params == stem + 3 * first + wider + last + 16 * 4 + 4

    pixels, fewer = 16 * 16, 8 * 8
    assert rows["stage 1, block 0"].multiply_adds == pixels * (8 * 2 + 2 * 8 * 9 + 8 * 8)
    assert rows["stage 2, block 0"].multiply_adds == pixels * 8 * 8 + fewer * 8 * 16 * 9
    assert rows["stage 2, block 1"].multiply_adds == fewer * (16 * 8 + 8 * 16 * 9)
    assert network.layers == 1 + 5 * 2 + 1


def test_its_figure_has_its_layers(spec: Path) -> None:
    figure = archc.draw(load(spec)).decode()
    assert figure.startswith("<?xml")
    assert "A toy network" in figure
    assert "3x3 conv, 16, /2" in figure


def test_its_classes_are_emitted(spec: Path) -> None:
    source = archc.emit(load(spec))
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    blocks = ["ForkBlock", "ForkBlock2", "ForkBlock3"]
    assert classes == ["Branch", *blocks, "Toynet"]
    assert "self.branch = Branch(" in source
    assert "*(ForkBlock(" in source


def test_the_emitted_module_is_the_graph(spec: Path) -> None:
    network = load(spec)
    assert_agrees(network, on_meta(network))


@pytest.mark.parametrize("training", [True, False])
def test_the_emitted_module_is_the_hand_written_one_bit_for_bit(spec: Path, training: bool) -> None:
    ours, theirs = archc.module(load(spec)).train(training), ToyNet().train(training)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(images), theirs(images))
    for module in (ours, theirs):
        module(images).square().sum().backward()
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    assert len(pairs) == len(list(theirs.parameters()))
    for one, other in pairs:
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_blocks_that_differ_by_a_call_are_two_classes(tmp_path: Path) -> None:
    """A call in `forward` cannot be left out by a condition in the constructor."""
    path = tmp_path / "caps.yaml"
    path.write_text(
        "name: caps\ninput: [3, 8, 8]\ndefaults: {block: cap, depth: 2, width: 3}\n"
        "stages: [{}, {stride: 2}]\n"
    )
    network = load(path)
    source = archc.emit(network)
    assert "class AStrangeCap(nn.Module):" in source
    assert "class AStrangeCap2(nn.Module):" in source
    assert_agrees(network, on_meta(network))
