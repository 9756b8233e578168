"""FLOPs as other tools count them, against what these tools printed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import compile_data, specs

import archc
from archc.analysis import CONVENTIONS, Convention, count, explain
from archc.analysis.conventions import Call, tally
from archc.ops import (
    GELU,
    ChannelLinear,
    ChannelShuffle,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Identity,
    LayerNorm2d,
    LayerScale,
    LeakyReLU,
    Op,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from archc.ops.foreign import EVERY_OP
from archc.spec import SpecError

# Printed by the tools for torchvision's modules: tests/data/make_counters.py.
COUNTED = json.loads((Path(__file__).parents[1] / "data" / "counters.json").read_text())

# The figures of the published table of counters, and pycls's own for its ResNets.
TABLE = {
    "multiply-adds": (1814073344, 3663761408, 4089184256, 11513626624, 19632062464),
    "torchinfo": (1814083944, 3663779432, 4089238376, 11513779048, 19646923752),
    "fvcore": (1819065856, 3671262720, 4111512576, 11558835200, 19632087552),
    "thop": (1824033792, 3678739456, 4133742592, 11603945472, 19632112640),
    "ptflops": (1825313768, 3680019432, 4132436968, 11602639848, 19688937448),
    "calflops": (3636250112, 7339389440, 8211108352, 23094313472, 39299983872),
}
NETWORKS = ("resnet18", "resnet34", "resnet50", "resnet152", "vgg19")

ODD = {
    "name": "odd",
    "input": [3, 44, 60],
    "classes": 10,
    "stem": [
        {"conv": {"width": 8, "kernel": 3, "stride": 2, "norm": "none"}},
        {"avg_pool": {"kernel": 3, "stride": 2, "padding": 1}},
        {"conv": {"width": 12, "kernel": 3, "groups": 4}},
        {"max_pool": {"kernel": 2}},
        {"adaptive_avg_pool": 3},
    ],
    "head": ["flatten", {"dropout": 0.5}, "linear", "softmax"],
}
"""Biases, groups, both poolings, windows of uneven size; counted by the tools as they are here."""
ODD_COUNTED = {
    "torch": 358560,
    "fvcore": 183660,
    "ptflops": 218410,
    "thop": 189048,
    "torchinfo": 184594,
    "calflops": 382740,
}


# What a tool prints for torchvision's own module less what it would print were all of its ops the
# modules that archc emits. Tools that hook modules pass over what is called as a function.
MNASNET = {"fvcore": -62720, "ptflops": -125440, "thop": -64000, "calflops": -62720}
SHUFFLENET = {"fvcore": -50176, "ptflops": -100352, "thop": -51200, "calflops": -50176}
OTHERWISE_CALLED = {
    # The last ReLU and the pooling are functions; so is the pooling of MobileNetV2.
    "densenet121": {"ptflops": -100352, "thop": -51200},
    "densenet161": {"ptflops": -216384, "thop": -110400},
    "densenet169": {"ptflops": -163072, "thop": -83200},
    "densenet201": {"ptflops": -188160, "thop": -96000},
    "mobilenet_v2": {"ptflops": -62720, "thop": -64000},
    # The pooling is a mean.
    **dict.fromkeys(("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"), MNASNET),
    **dict.fromkeys(("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5"), SHUFFLENET),
    "shufflenet_v2_x2_0": {tool: 2 * less for tool, less in SHUFFLENET.items()},
    # ReLUs are functions, and of Inception v3 average poolings and two of the max poolings.
    "googlenet": {"ptflops": -3226160},
    "inception_v3": {"ptflops": -11544640, "thop": -2002400},
    # Layer norms outside of blocks are of a class of torchvision's own.
    "convnext_tiny": {"ptflops": -828672, "thop": -3314688},
    "convnext_small": {"ptflops": -828672, "thop": -3314688},
    "convnext_base": {"ptflops": -1104896, "thop": -4419584},
    "convnext_large": {"ptflops": -1657344, "thop": -6629376},
}


@pytest.mark.parametrize("name", COUNTED)
def test_every_tool_s_total_of_every_torchvision_network_is_exact(name: str) -> None:
    network = archc.load(f"torchvision/{name}")
    less = OTHERWISE_CALLED.get(name, {})
    ours = {
        tool: count(network, convention=tool).flops + less.get(tool, 0) for tool in COUNTED[name]
    }
    assert ours == COUNTED[name]


def test_every_network_of_torchvision_is_compared() -> None:
    assert set(COUNTED) == {
        name.removeprefix("torchvision/") for name in archc.specs("torchvision")
    }


def test_what_torchvision_calls_as_functions_accounts_for_the_differences() -> None:
    """Elements of the ops that the comments name, by the tools' own rules."""
    assert {
        "googlenet": -_elements("googlenet", "relu"),
        "inception_v3": -_sums("inception_v3", "avg_pool2d"),
        "mnasnet1_0": -_sums("mnasnet1_0", "adaptive_avg_pool2d"),
    } == {
        "googlenet": OTHERWISE_CALLED["googlenet"]["ptflops"],
        "inception_v3": OTHERWISE_CALLED["inception_v3"]["thop"],
        "mnasnet1_0": OTHERWISE_CALLED["mnasnet1_0"]["thop"],
    }


def _elements(name: str, kind: str) -> int:
    nodes = archc.load(f"torchvision/{name}").inference.nodes.values()
    return sum(math.prod(node.output_shape) for node in nodes if node.op.kind == kind)


def _sums(name: str, kind: str) -> int:
    network = archc.load(f"torchvision/{name}")
    by_id = tally(network, CONVENTIONS["thop"]).by_id
    return sum(by_id[node.id].flops for node in network.nodes.values() if node.op.kind == kind)


@pytest.mark.parametrize("convention", TABLE)
def test_totals_are_those_of_the_published_table(convention: Any) -> None:
    found = [archc.count(f"torchvision/{n}", convention=convention).flops for n in NETWORKS]
    assert tuple(found) == TABLE[convention]


@pytest.mark.parametrize(("name", "total"), [("resnet50", 4089185256), ("resnet152", 11513627624)])
def test_pycls_prints_its_own_figures(name: str, total: int) -> None:
    assert archc.count(f"torchvision/{name}", convention="pycls").flops == total


@pytest.mark.parametrize(("name", "total"), [("resnet50", 3857974248), ("resnet152", 11282416616)])
def test_pycls_s_figures_with_the_stride_on_the_1x1(name: str, total: int) -> None:
    network = archc.load(f"imagenet/{name}", with_={"shortcut": "B", "stride_at": "1x1"})
    assert archc.count(network, convention="pycls").flops == total


def test_ops_that_torchvision_s_networks_do_not_have_are_counted_as_the_tools_do() -> None:
    network = compile_data(ODD)
    assert {tool: count(network, convention=tool).flops for tool in ODD_COUNTED} == ODD_COUNTED


def test_what_a_convention_says_nothing_about_is_named() -> None:
    found = count(compile_data(ODD), convention="pycls")
    assert (found.not_counted, found.tool) == ({"avg_pool2d": 1}, "pycls 5719de6")


def test_every_op_has_a_formula_or_is_left_out_on_purpose() -> None:
    silent = {
        (name, kind)
        for name, convention in CONVENTIONS.items()
        for kind in EVERY_OP
        if kind not in convention.formulas and kind != "again"  # which is counted as what it is of
    }
    of_pycls = (
        *("avg_pool2d", "relu6", "leaky_relu", "hardswish", "hardsigmoid", "tanh", "gelu"),
        *("concat", "chunk", "channel_shuffle", "group_norm", "layer_norm", "layer_scale"),
        *("affine", "channel_linear"),
    )
    # Products of matrices that are no module's are seen by those alone that watch functions.
    products = {
        *((name, "attention") for name in ("fvcore", "ptflops", "thop", "torchinfo", "calflops")),
        *(
            (name, kind)
            for name in ("ptflops", "thop", "torchinfo", "calflops")
            for kind in ("matmul", "einsum")
        ),
        *(("pycls", kind) for kind in ("attention", "matmul", "einsum")),
        *(("pycls", kind) for kind in ("token_linear", "token_norm")),
    }
    others = ("ptflops", "thop", "torchinfo", "calflops", "pycls")
    transposed = {(name, "conv_transpose2d") for name in others}
    slopes = {(name, "prelu") for name in others}
    assert silent == {("pycls", kind) for kind in of_pycls} | products | transposed | slopes
    assert EVERY_OP.keys() >= {kind for one in CONVENTIONS.values() for kind in one.formulas}


# What each tool prints for torch's module of an op (of a layer norm and a linear layer over
# channels, for one between two permutations) on a map of 6x4x5, behind a convolution whose own
# number is taken off: fvcore, ptflops, thop, torchinfo, torch, calflops.
ON_A_MAP: dict[Op, tuple[int, ...]] = {
    ReLU(): (0, 240, 0, 0, 0, 120),
    ReLU6(): (0, 120, 0, 0, 0, 0),
    LeakyReLU(): (0, 120, 0, 0, 0, 120),
    SiLU(): (0, 120, 0, 0, 0, 120),
    Hardswish(): (0, 0, 0, 0, 0, 0),
    Hardsigmoid(): (0, 0, 0, 0, 0, 0),
    Sigmoid(): (0, 0, 0, 0, 0, 0),
    Tanh(): (0, 0, 0, 0, 0, 0),
    GELU(): (0, 240, 0, 0, 0, 120),
    GroupNorm(2, 6): (600, 240, 0, 12, 0, 600),
    LayerNorm2d(6): (600, 120, 480, 12, 0, 600),
    ChannelLinear(6, 4): (480, 560, 480, 28, 960, 960),
    ChannelLinear(6, 4, bias=False): (480, 480, 480, 24, 960, 960),
    LayerScale(6): (0, 0, 0, 0, 0, 0),
    ChannelShuffle(2): (0, 0, 0, 0, 0, 0),
    Identity(): (0, 0, 0, 0, 0, 0),
}
TOOLS = ("fvcore", "ptflops", "thop", "torchinfo", "torch", "calflops")


@pytest.mark.parametrize("op", ON_A_MAP, ids=str)
def test_ops_are_counted_as_the_tools_count_torch_s_modules(op: Op) -> None:
    call = Call(op, (6, 4, 5), op.infer((6, 4, 5)))
    found = tuple([CONVENTIONS[tool].flops(call) for tool in TOOLS])
    assert found == ON_A_MAP[op]


def test_an_op_without_a_formula_is_not_taken_as_zero() -> None:
    network = archc.load("imagenet/resnet18")
    convs = Convention("convs", "a tool", "FLOPs", "", {"conv2d": lambda call: call.multiply_adds})
    found = tally(network, convs)
    assert found.total == network.multiply_adds - 512_000
    assert found.not_counted["linear"] == 1
    assert found.not_counted["batch_norm2d"] == 17


@given(specs())
def test_what_is_explained_adds_up_to_each_total(data: dict[str, object]) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        return
    found = explain(network)
    for one in found.conventions:
        assert found.multiply_adds + sum(one.adds.values()) == one.flops
        assert one.flops == count(network, "layer", one.convention).flops
        rows = count(network, "layer", one.convention).rows
        assert sum(row.flops for row in rows) == one.flops
    assert found.conventions[0].flops == network.multiply_adds
