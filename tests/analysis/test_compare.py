"""Comparisons: what is told of networks that differ in a known way, and of those that do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from strategies import compile_data, specs, text_of
from torch import Tensor, nn

import archc
from archc.analysis import compare
from archc.analysis.comparison import Comparison
from archc.compile import compile_spec
from archc.spec import Source, SpecError, resolve


def told(found: Comparison) -> list[tuple[str, str | None, str | None, tuple[str, ...]]]:
    return [(one.change, one.a, one.b, one.what) for one in found.changes]


def test_two_ways_to_write_one_network_are_the_same() -> None:
    short = resolve(
        Source("a", "extends: imagenet/resnet50\nname: a\nwith: {depth: [3, 4, 11, 3]}")
    )
    long = archc.load("imagenet/resnet101", with_={"depth": [3, 4, 11, 3]})
    found = compare(compile_spec(short), long)
    assert found.same
    assert found.changes == ()
    assert found.renamed == 0
    assert found.totals_a == found.totals_b
    assert all(pair.a == pair.b for pair in found.parts)


def test_stages_of_a_vgg_that_are_cut_otherwise_are_the_same() -> None:
    data = {"name": "x", "input": [3, 8, 8], "defaults": {"block": "conv", "width": 4}}
    one = compile_data({**data, "stages": [{"depth": 2}]})
    two = compile_data({**data, "stages": [{"depth": 1}, {"depth": 1}]})
    assert compare(one, two).same


@given(specs())
def test_a_network_is_the_same_as_itself_with_other_words(data: dict[str, Any]) -> None:
    try:
        network = compile_data(data)
        other = compile_spec(resolve(Source("b.yaml", text_of({**data, "title": "other"}))))
    except SpecError:
        return
    found = compare(network, other)
    assert found.same
    assert not found.changes


def test_more_blocks_are_added_at_the_end_of_their_stage() -> None:
    found = archc.compare("imagenet/resnet50", "imagenet/resnet101")
    assert not found.same
    assert {one.change for one in found.changes} == {"added"}
    assert {one.part for one in found.changes} == {"stage 3"}
    assert {one.block for one in found.changes} == set(range(6, 23))
    assert len(found.changes) == 17 * 10
    assert sum(one.params for one in found.changes) == 44549160 - 25557032
    assert sum(one.multiply_adds for one in found.changes) == 7570194432 - 3857973248


def test_fewer_blocks_are_removed() -> None:
    there = archc.compare("imagenet/resnet50", "imagenet/resnet101")
    back = archc.compare("imagenet/resnet101", "imagenet/resnet50")
    assert [one.a for one in back.changes] == [one.b for one in there.changes]
    assert {one.change for one in back.changes} == {"removed"}
    assert sum(o.params for o in back.changes) == -sum(o.params for o in there.changes)


def test_a_stride_that_moved_is_told_with_what_it_changes() -> None:
    network = archc.load("imagenet/resnet50", with_={"depth": 1})
    moved = archc.load("imagenet/resnet50", with_={"depth": 1, "stride_at": "3x3"})
    found = [one for one in compare(network, moved).changes if one.part == "stage 2"]
    assert [(one.role, one.what) for one in found] == [
        ("conv1", ("stride 2 → 1", "output 128x28x28 → 128x56x56")),
        ("bn1", ("output 128x28x28 → 128x56x56",)),
        ("relu1", ("output 128x28x28 → 128x56x56",)),
        ("conv2", ("stride 1 → 2",)),
    ]


def test_a_shortcut_that_is_added_rewires_what_follows() -> None:
    plain, residual = (
        archc.load(f"imagenet/{n}", with_={"depth": 1}) for n in ("plain18", "resnet18")
    )
    found = [one for one in compare(plain, residual).changes if one.part == "stage 2"]
    assert [(one.change, one.role, one.what) for one in found] == [
        ("changed", "relu2", ("reads bn2 → add",)),
        ("added", "shortcut", ()),
        ("added", "add", ()),
    ]


def test_modules_of_a_vgg_are_matched_though_their_numbers_move() -> None:
    found = archc.compare("torchvision/vgg11", "torchvision/vgg13")
    assert [(one.change, one.b) for one in found.changes] == [
        ("added", "features.2"),
        ("added", "features.3"),
        ("added", "features.7"),
        ("added", "features.8"),
    ]
    assert found.renamed == 19


def test_blocks_of_another_kind_are_exchanged_whole() -> None:
    found = archc.compare("imagenet/resnet18", "imagenet/resnet50")
    of_stage = [one for one in found.changes if one.part == "stage 1"]
    assert {one.change for one in of_stage} == {"removed", "added"}
    pair = next(pair for pair in found.parts if pair.name == "stage 1")
    assert pair.a is not None
    assert pair.b is not None
    assert (pair.a.blocks, pair.a.block) == (2, "BasicBlock")
    assert (pair.b.blocks, pair.b.block) == (3, "Bottleneck")
    head = [one for one in found.changes if one.op == "linear"]
    assert [one.what for one in head] == [("in_features 512 → 2048",)]


def test_a_stage_that_only_one_network_has() -> None:
    data: dict[str, Any] = {"name": "x", "input": [3, 8, 8]}
    stage = {"block": "basic", "depth": 1, "width": 4, "shortcut": "B"}
    found = compare(
        compile_data({**data, "stages": [stage]}), compile_data({**data, "stages": [stage, stage]})
    )
    assert [(pair.name, pair.a is None) for pair in found.parts] == [
        ("stem", False),
        ("stage 1", False),
        ("stage 2", True),
    ]


@pytest.mark.parametrize(
    "pair", [("imagenet/resnet34", "imagenet/vgg19"), ("cifar10/resnet20",) * 2]
)
def test_what_differs_adds_up_to_the_difference(pair: tuple[str, str]) -> None:
    found = archc.compare(*pair)
    a, b = found.totals_a, found.totals_b
    assert sum(one.params for one in found.changes) == b.params - a.params
    assert sum(one.multiply_adds for one in found.changes) == b.multiply_adds - a.multiply_adds
    assert (a.weights, b.weights) == (4 * a.params, 4 * b.params)


class Tied(nn.Module):
    """Three convolutions, of which one uses another's weight, or the whole of another."""

    def __init__(self, second: str, third: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])
        if second == "weight":
            self.layers[1].weight = self.layers[0].weight
        if third == "module":
            self.layers[2] = self.layers[0]
        elif third == "other":
            self.layers[2] = nn.Conv2d(4, 4, 3, padding=1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_tensors_that_one_network_shares_are_a_difference() -> None:
    networks = {
        (second, third): archc.from_module(Tied(second, third), input=(4, 6, 6))
        for second, third in [("weight", "module"), ("own", "own"), ("own", "other")]
    }
    tied, plain, other = networks.values()
    assert compare(tied, tied).same
    assert [(one.what, one.params) for one in compare(tied, plain).changes] == [
        (("tensors: those of layers.0 → its own",), 144),
        (("tensors: those of layers.0 → its own",), 148),
    ]
    back = [one.what for one in compare(plain, tied).changes]
    assert back[0] == ("tensors: its own → those of layers.0",)
    strided = compare(tied, other).changes[-1].what
    assert "stride 1 → 2" in strided
    assert "tensors: those of layers.0 → its own" in strided
