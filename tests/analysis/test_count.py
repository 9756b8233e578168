"""Counts: rows that add up to the totals, and the numbers of papers and of plain arithmetic."""

from __future__ import annotations

import re
from functools import cache

import pytest
from strategies import compile_data

import archc
from archc.analysis import CONVENTIONS, LEVELS, Count, count
from archc.analysis.counting import Level
from archc.graph import Network
from archc.shipped import shipped_names


@cache
def load(spec: str) -> Network:
    return archc.load(spec)


def sums(result: Count) -> tuple[int, ...]:
    """What the rows add up to."""
    names = ("layers", "params", "multiply_adds", "flops")
    return tuple(sum(getattr(row, name) for row in result.rows) for name in names)


def totals(result: Count) -> tuple[int, ...]:
    return (result.layers, result.params, result.multiply_adds, result.flops)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("spec", shipped_names())
def test_rows_add_up_to_the_totals(spec: str, level: Level) -> None:
    network = load(spec)
    result = count(network, level)
    assert sums(result) == totals(result)
    assert totals(result)[1:] == (network.params, network.multiply_adds, network.multiply_adds)
    assert len({row.name for row in result.rows}) == len(result.rows)


@pytest.mark.parametrize("spec", shipped_names())
def test_rows_of_each_level_add_up_to_those_above(spec: str) -> None:
    network = load(spec)
    stages = {row.name: row for row in count(network, "stage").rows}
    blocks = count(network, "block").rows
    layers = count(network, "layer").rows
    for name, stage in stages.items():
        if stage.stage is None:
            (block,) = [row for row in blocks if row.name == name]
            assert (block.params, block.multiply_adds) == (stage.params, stage.multiply_adds)
        for parts in (blocks, layers):
            inside = [row for row in parts if row.stage == stage.stage]
            if stage.stage is not None:
                assert sum(row.params for row in inside) == stage.params
                assert sum(row.multiply_adds for row in inside) == stage.multiply_adds
    for block in blocks:
        if block.block is not None:
            inside = [row for row in layers if (row.stage, row.block) == (block.stage, block.block)]
            assert sum(row.params for row in inside) == block.params
            assert sum(row.layers for row in inside) == block.layers


BY_DEPTH = re.compile(r"(cifar10|imagenet|torchvision)/((pre|wide_)?resne(x?)t|plain)\d+")


@pytest.mark.parametrize("spec", [name for name in shipped_names() if BY_DEPTH.match(name)])
def test_layers_are_the_papers_depth_in_the_name(spec: str) -> None:
    """Projections and norms are not counted (He et al. 2015, Table 1)."""
    digits = "".join(c if c.isdigit() else " " for c in spec.split("/")[1]).split()
    assert load(spec).layers == int(digits[0])


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("imagenet/resnet34", 34),
        ("imagenet/resnet34-c", 34),
        ("imagenet/resnet152", 152),
        ("cifar10/resnet1202", 1202),
        ("cifar10/preresnet164", 164),
        ("imagenet/vgg19", 19),
        ("torchvision/vgg16_bn", 16),
        ("torchvision/wide_resnet50_2", 50),
    ],
)
def test_layers_are_the_papers_depth(spec: str, layers: int) -> None:
    assert count(load(spec)).layers == layers


def test_projections_are_no_layers_but_have_parameters() -> None:
    rows = {row.name: row for row in count(load("imagenet/resnet50"), "layer").rows}
    assert rows["layer1.0.downsample.0"].layers == 0
    assert rows["layer1.0.downsample.0"].params == 64 * 256
    assert rows["layer1.0.conv3"].layers == 1


SMALL = {
    "name": "small",
    "input": [3, 8, 8],
    "classes": 5,
    "stem": [{"conv": {"width": 4, "kernel": 3, "stride": 2}}],
    "stages": [
        {"block": "basic", "depth": 1, "width": 4, "shortcut": "A"},
        {"block": "basic", "depth": 1, "width": 8, "stride": 2, "shortcut": "B"},
        {"block": "conv", "depth": 1, "width": 2, "kernel": 1, "pool": 2},
    ],
    "head": ["global_avg_pool", "linear", "softmax"],
}
BY_HAND = {  # parameters and multiply-adds; 4x4 pixels, then 2x2, then 1x1 after the pooling
    "conv1": (3 * 4 * 9, 16 * 3 * 4 * 9),
    "bn1": (8, 0),
    "layer1.0.conv1": (4 * 4 * 9, 16 * 4 * 4 * 9),
    "layer1.0.bn1": (8, 0),
    "layer1.0.conv2": (4 * 4 * 9, 16 * 4 * 4 * 9),
    "layer1.0.bn2": (8, 0),
    "layer2.0.conv1": (4 * 8 * 9, 4 * 4 * 8 * 9),
    "layer2.0.bn1": (16, 0),
    "layer2.0.conv2": (8 * 8 * 9, 4 * 8 * 8 * 9),
    "layer2.0.bn2": (16, 0),
    "layer2.0.downsample.0": (4 * 8, 4 * 4 * 8),
    "layer2.0.downsample.1": (16, 0),
    "layer3.0.conv": (8 * 2, 4 * 8 * 2),
    "layer3.0.bn": (4, 0),
    "fc": (2 * 5 + 5, 2 * 5),
}


def test_every_layer_of_a_small_network_by_hand() -> None:
    result = count(compile_data(SMALL), "layer")
    assert {row.name: (row.params, row.multiply_adds) for row in result.rows} == BY_HAND
    assert result.params == sum(params for params, _ in BY_HAND.values())
    assert result.multiply_adds == sum(products for _, products in BY_HAND.values())
    assert result.layers == 1 + 2 + 2 + 1 + 1
    assert result.input == (3, 8, 8)


def test_rows_stand_in_order_and_know_their_place() -> None:
    network = compile_data(SMALL)
    by_stage = [(row.name, row.stage, row.block) for row in count(network, "stage").rows]
    assert by_stage == [
        ("stem", None, None),
        ("stage 1", 1, None),
        ("stage 2", 2, None),
        ("stage 3", 3, None),
        ("head", None, None),
    ]
    by_block = [(row.name, row.stage, row.block) for row in count(network, "block").rows]
    assert by_block == [
        ("stem", None, None),
        ("stage 1, block 0", 1, 0),
        ("stage 2, block 0", 2, 0),
        ("stage 3, block 0", 3, 0),
        ("stage 3, end", 3, None),
        ("head", None, None),
    ]
    places = {row.name: (row.stage, row.block) for row in count(network, "layer").rows}
    assert places["conv1"] == places["fc"] == (None, None)
    assert places["layer2.0.downsample.0"] == (2, 0)
    (whole,) = count(network, "network").rows
    assert (whole.name, whole.stage, whole.block, whole.op) == ("small", None, None, None)


def test_rows_have_the_shape_and_by_layer_the_op_that_they_put_out() -> None:
    network = compile_data(SMALL)
    shapes = {row.name: row.output_shape for row in count(network, "stage").rows}
    assert shapes == {
        "stem": (4, 4, 4),
        "stage 1": (4, 4, 4),
        "stage 2": (8, 2, 2),
        "stage 3": (2, 1, 1),
        "head": (5,),
    }
    ops = {row.name: row.op for row in count(network, "layer").rows}
    assert ops["layer2.0.downsample.1"] == "batch_norm2d"
    assert ops["fc"] == "linear"
    assert {row.op for row in count(network, "block").rows} == {None}


def test_a_network_without_stem_has_no_row_for_one() -> None:
    data = {name: value for name, value in SMALL.items() if name != "stem"}
    assert count(compile_data(data)).rows[0].name == "stage 1"


def test_counts_as_plain_data_are_exact() -> None:
    data = archc.count("imagenet/vgg19", by="network").as_dict()
    assert data["params"] == 143_667_240
    assert data["multiply_adds"] == data["flops"] == 19_632_062_464
    assert data["rows"][0]["multiply_adds"] == 19_632_062_464
    assert data["convention"] in CONVENTIONS


def test_a_network_without_stages_is_stem_and_head() -> None:
    network = compile_data({"name": "net", "head": [{"linear": 5}, "relu", "linear"]})
    assert [row.name for row in count(network, "stage").rows] == ["stem and head"]


def test_an_unknown_level_or_convention_is_refused() -> None:
    network = compile_data(SMALL)
    with pytest.raises(ValueError, match="`by` must be one of network, stage, block, layer"):
        count(network, "op")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="`convention` must be one of multiply-adds, torch, fvcore, "
    ):
        count(network, convention="flips")
