"""Figures of blocks with branches: every layer is there, and nothing is drawn wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from definitions import specs_of_blocks
from geometry import GEOMETRY, check_arrows_run_from_edge_to_edge
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import compile_data

import archc
from archc import ops
from archc.backends.figure import DrawOptions, draw
from archc.backends.figure.blocks import distinct_blocks, lay_out_blocks, picture_of
from archc.backends.figure.branches import Drawn
from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.layout import lay_out
from archc.backends.figure.model import Column
from archc.backends.figure.scene import Scene
from archc.backends.figure.tree import layers_of
from archc.graph import Network, Region
from archc.graph.network import FragmentBuilder, NetworkBuilder
from archc.pages import report
from archc.spec import SpecError

CONV = {"conv": {"width": "width", "kernel": 3}}
POINT = {"conv": {"width": "width", "kernel": 1}}


def network(*layers: Any, width: int = 16, depth: int = 1, **more: Any) -> Network:
    """A network of one stage of a block with these layers, on 16 channels."""
    block = {"attributes": {"width": "int"}, "layers": list(layers)}
    inner = more.pop("inner", {})
    return compile_data(
        {
            "name": "branches",
            "input": [3, 16, 16],
            "classes": 10,
            "blocks": {**inner, "own": block},
            "stem": [{"conv": {"width": 16, "kernel": 3}}],
            "stages": [{"block": "own", "depth": depth, "width": width}],
            "head": ["global_avg_pool", "linear"],
            **more,
        }
    )


def wired(steps: Sequence[tuple[Any, ...]]) -> Network:
    """A network without regions: of each step its op, and the numbers of the steps it reads,
    where that is not the one before; -1 is the image."""
    piece = FragmentBuilder((16, 8, 8))
    for number, (kind, *reads) in enumerate(steps):
        sources = [f"op{read}" if read >= 0 else "" for read in reads]
        op = {"conv": ops.Conv2d(16, 16, 3, padding=1), "add": ops.Add(), "concat": ops.Concat()}
        piece.add(f"op{number}", op[kind], *sources)
    builder = NetworkBuilder((16, 8, 8))
    builder.append(piece.build(), lambda step: step.name)
    return Network("wired", builder.nodes)


def large(of: Network) -> Scene:
    """The blocks of a network drawn large, checked."""
    laid = lay_out_blocks(distinct_blocks(of))
    for check in GEOMETRY:
        check(laid)
    return laid


def labels(laid: Scene) -> list[str]:
    return [box.label for box in laid.boxes]


def words(laid: Scene) -> list[str]:
    return [text.text for text in laid.texts if text.role == "relu"]


def marks(laid: Scene) -> list[str]:
    return [curve.mark.text for curve in laid.curves if curve.mark]


SPLIT_ATTENTION = {
    "attributes": {"width": "int"},
    "layers": [
        {"conv": {"width": "2 * width", "kernel": 3, "stride": "stride"}},
        {"label": "both"},
        {"chunk": {"of": 2, "take": 1}},
        {"label": "first"},
        "both",
        {"chunk": {"of": 2, "take": 2}},
        {"label": "second"},
        {"add": "first"},
        "global_avg_pool",
        {"label": "squeezed"},
        {"conv": {"width": "width", "kernel": 1, "activation": "sigmoid"}},
        {"multiply": "first"},
        {"label": "weighed"},
        "squeezed",
        {"conv": {"width": "width", "kernel": 1, "activation": "sigmoid"}},
        {"multiply": "second"},
        {"add": "weighed"},
    ],
}
RES2 = [
    CONV,
    {"label": "all"},
    {"chunk": {"of": 4, "take": 1}},
    {"label": "y1"},
    "all",
    {"chunk": {"of": 4, "take": 2}},
    {"conv": {"width": "width // 4", "kernel": 3}},
    {"label": "y2"},
    "all",
    {"chunk": {"of": 4, "take": 3}},
    {"add": "y2"},
    {"conv": {"width": "width // 4", "kernel": 3}},
    {"concat": ["y1", "y2", "identity", {"all": [{"chunk": {"of": 4, "take": 4}}]}]},
    POINT,
    {"add": "input"},
]
GATE = {
    "attributes": {},
    "layers": [{"multiply": ["identity", [{"conv": {"width": "in", "kernel": 1}}]]}],
}
DUAL = [
    {"label": "x"},
    CONV,
    {"label": "m"},
    POINT,
    {"add": {"x": [POINT]}},
    {"concat": ["identity", {"m": [POINT]}]},
]


def test_blocks_of_a_network_with_a_side_head_are_drawn() -> None:
    """It was an internal error."""
    stem = [
        {"conv": {"width": 16, "kernel": 3}},
        {"side": ["global_avg_pool", "linear"], "name": "aux"},
    ]
    of = network(CONV, stem=stem)
    assert labels(large(of)) == ["3x3, 16"]
    assert b"3x3, 16" in draw([of], options=DrawOptions(blocks=True))


def test_a_group_that_curves_cannot_show_is_a_box_with_its_name_and_size() -> None:
    split = {"split_attention": {"width": "width", "stride": "stride"}, "name": "splat"}
    of = network(POINT, split, {"add": "input"}, inner={"split_attention": SPLIT_ATTENTION})
    assert labels(large(of)) == ["1x1, 16", "SplitAttention, 16", "+"]
    shown = column(of)
    assert [box.label for box in shown.boxes][1:3] == ["1x1 conv, 16", "SplitAttention, 16"]
    assert [one.mark for one in shown.shortcuts] == [""]
    (part,) = [box for box in shown.boxes if box.holds]
    learned = sum(of.nodes[id].params for id in part.holds)
    assert part.tooltip.splitlines() == [
        "layer1.0.splat",
        "16x16x16 → 16x16x16",
        f"{learned:,} parameters",
        f"{sum(of.nodes[id].multiply_adds for id in part.holds):,} multiply-adds",
        "inside: 3x3 conv, 32; avg pool; 1x1 conv, 16; 1x1 conv, 16",
    ]
    assert part.width == 16


def test_a_box_for_a_group_says_its_stride() -> None:
    split = {"split_attention": {"width": "width", "stride": 2}, "name": "splat"}
    of = network(split, POINT, inner={"split_attention": SPLIT_ATTENTION})
    assert labels(large(of)) == ["SplitAttention, 16, /2", "1x1, 16"]


def test_curves_that_would_cross_are_a_box_within_their_block() -> None:
    """Of Res2Net's four parts the figure once named three, and curves crossed."""
    laid = large(network(*RES2))
    assert labels(laid) == ["3x3, 16", "Own branches, 16", "1x1, 16", "+"]
    assert marks(laid) == ["identity"]
    assert [box.label for box in column(network(*RES2)).boxes][1] == "Own, 16"


def test_what_is_no_box_stands_beside_its_arrow_and_in_the_words() -> None:
    laid = large(
        network(
            {"conv": {"width": "width", "kernel": 1, "groups": 4}},
            {"channel_shuffle": 4},
            {"dropout": 0.1},
            CONV,
            {"layer_scale": 0.1},
            {"stochastic_depth": 0.2},
            {"add": "input"},
        )
    )
    assert words(laid) == [
        "relu, shuffle g4",
        "dropout 0.1",
        "relu, layer scale",
        "stochastic depth",
    ]
    assert laid.description.endswith(
        "on 16 channels 1x1 conv, 16, g4, then shuffle g4, then dropout 0.1, then 3x3 conv, 16, "
        "then layer scale, then stochastic depth; around them a shortcut: identity."
    )


def test_norms_other_than_batch_norm_are_named() -> None:
    laid = large(network(CONV, "layer_norm", POINT, norm={"group_norm": {"groups": 4}}))
    assert words(laid) == ["group norm", "relu", "layer norm", "group norm", "relu"]


def test_every_part_of_the_channels_is_named() -> None:
    halves = [[{"chunk": {"of": 2, "take": 1}}], [{"chunk": {"of": 2, "take": 2}}, CONV]]
    laid = large(network({"concat": halves}))
    assert labels(laid) == ["3x3, 16", "C"]
    assert words(laid) == ["part 2 of 2", "relu"]
    assert marks(laid) == ["half, 8-d"]
    (shortcut,) = column(network({"concat": halves})).shortcuts
    assert (shortcut.mark, shortcut.dotted) == ("half, 8-d", False)


def test_a_curve_between_words_leaves_between_them() -> None:
    """What is computed before it leaves stands above, what comes after below."""
    of = network(
        *(CONV, {"label": "whole"}, {"chunk": {"of": 2, "take": 1}}),
        *({"conv": {"width": "width", "kernel": 3}}, {"add": "whole"}),
    )
    laid = large(of)
    (curve,) = [one for one in laid.curves if "shortcut" in one.role]
    relu, part, _ = [text for text in laid.texts if text.role == "relu"]
    assert (relu.text, part.text) == ("relu", "part 1 of 2")
    assert relu.at.y < curve.points[0].y < part.at.y


def test_boxes_on_the_way_of_a_shortcut_are_a_lane_and_a_gate_is_drawn_out() -> None:
    shortcut = [
        {"conv": {"width": "in", "kernel": 3, "groups": "depthwise"}},
        {"conv": {"width": "width", "kernel": 1, "activation": "none"}},
    ]
    of = network(CONV, CONV, CONV, "squeeze_excitation", {"add": {"input": shortcut}}, width=32)
    laid = large(of)
    gate = ["avg pool", "1x1, 2", "1x1, 32", "×"]
    assert labels(laid) == [*["3x3, 32"] * 3, *gate, "3x3 dw, 16", "1x1, 32", "+"]
    assert marks(laid) == []
    assert laid.description.endswith(
        "the sum of (3x3 conv, 32, then 3x3 conv, 32, then 3x3 conv, 32, then a product with (avg "
        "pool, then 1x1 conv, 2, then 1x1 conv, 32)), (3x3 dw, 16, then 1x1 conv, 32)."
    )
    shown = column(of)
    assert [(pill.label, pill.explained) for pill in shown.pill_of.values()] == [
        ("SE", "squeeze-and-excitation, /16")
    ]


def test_a_shortcut_of_a_norm_alone_is_no_identity() -> None:
    of = network(
        {"conv": {"width": "width", "kernel": 3, "activation": "none"}},
        {"add": {"input": ["norm"]}},
    )
    assert marks(large(of)) == ["batch norm"]
    (shortcut,) = column(of).shortcuts
    assert shortcut.tooltip.startswith("shortcut with parameters: layer1.0.bn2\n")


def test_dotted_means_that_the_shape_changes_on_the_way() -> None:
    """An identity into a concatenation was dotted, though its shape stays."""
    of = network(CONV, {"concat": [{"conv": {"width": "width", "kernel": 3}}, "identity"]})
    (shortcut,) = column(of).shortcuts
    assert (shortcut.dotted, shortcut.mark) == (False, "")


def test_sums_concatenations_and_products_differ_in_columns() -> None:
    legends = {}
    for merge in ("add", "concat", "multiply"):
        shown = column(network({merge: [[CONV, CONV], [POINT]]}))
        (shortcut,) = shown.shortcuts
        assert shortcut.mark == "1x1"
        texts = [text.text for text in lay_out([shown]).texts if text.role == "legend"]
        legends[merge] = texts[1:]
        if merge != "add":
            assert shortcut.tooltip.startswith(
                f"into the {'concatenation' if merge == 'concat' else 'product'}: "
            )
    assert legends == {
        "add": ["projection", "1x1"],
        "concat": ["projection", "1x1", "concatenation", "C"],
        "multiply": ["projection", "1x1", "product", "×"],
    }


def test_a_gate_is_a_pill_in_columns() -> None:
    gated = network(
        CONV, {"gate": {}, "name": "gate"}, POINT, {"add": "input"}, inner={"gate": GATE}
    )
    laid = lay_out([column(gated)])
    assert [box.label for box in laid.boxes][1:5] == ["3x3 conv, 16", "×", "gate", "1x1 conv, 16"]
    assert labels(large(gated)) == ["3x3, 16", "1x1, 16", "×", "1x1, 16", "+"]
    assert [box.label for box in column(network(*DUAL)).boxes][1] == "Own, 32"


def test_equal_branches_are_drawn_once_in_the_stem_too() -> None:
    branch = [{"conv": {"width": 8, "kernel": 3}}] * 3
    of = network(CONV, stem=[{"concat": [branch, branch, "identity"]}])
    shown = column(of)
    assert [box.label for box in shown.boxes][:4] == [*["3x3, 8"] * 3, "3x3 conv, 16"]
    assert [len(box.like) for box in shown.boxes][:4] == [1, 1, 1, 0]
    laid = lay_out([shown])
    assert "× 2" in [text.text for text in laid.texts if text.role == "relu"]
    assert "identical branches" in [text.text for text in laid.texts]


def test_a_value_that_is_read_twice_is_not_drawn_as_one() -> None:
    twice = wired([("conv",), ("concat", 0, 0)])
    assert [box.label for box in column(twice).boxes] == ["3x3 conv, 16", "branches, 32"]


def test_a_folded_column_folds_blocks_that_are_boxes() -> None:
    shown = folded_column(network(*RES2, depth=3))
    assert [box.label for box in shown.boxes][1:-2] == ["Own, 16"]
    assert [(one.first, one.last, one.count) for one in shown.repeats] == [(1, 1, 3)]
    assert "1 composite layer, " in lay_out([shown]).description


def test_layers_inside_of_a_box_lead_to_it_in_a_report() -> None:
    of = network(*RES2)
    (box,) = [box for box in column(of).boxes if box.holds]
    assert report([of], ["branches"]).count(f'data-box="c1-{box.id}"') > 5


def assert_complete(of: Network, picture: Drawn) -> None:
    """Every op of inference stands in the tree once, or in a box."""
    seen = [id for id in layers_of(picture.row) if id not in picture.holds]
    seen += [id for held in picture.holds.values() for id in held]
    assert sorted(seen) == sorted(set(of.inference.nodes) - {"input"})


def assert_named(of: Network, shown: Column) -> None:
    """Every layer that is a box elsewhere is one here, or is named at a curve or a box."""
    held = {id for box in shown.boxes for id in box.holds}
    held |= {id for pill in shown.pill_of.values() for id in pill.holds}
    held |= {id for box in shown.boxes for id in box.like}
    drawn_as_boxes = {box.id for box in shown.boxes if not box.holds}
    on_curves = {id: one.mark for one in shown.shortcuts for id in one.ops}
    for node in of.inference.nodes.values():
        look = node.op.look()
        if look.box in ("conv", "fc") and node.id not in held | drawn_as_boxes:
            assert look.mark in on_curves[node.id].split(", ")


def check_all(of: Network) -> None:
    for shown in (column(of), folded_column(of)):
        laid = lay_out([shown])
        for check in GEOMETRY:
            if not (shown.sides and check is check_arrows_run_from_edge_to_edge):
                check(laid)
    assert_named(of, column(of))
    for block in distinct_blocks(of):
        picture = picture_of(block.network)
        assert_complete(block.network, picture)
        laid = large_of(block)
        told = [text.text for text in laid.texts]
        text = " ".join([*labels(laid), *told, *marks(laid), laid.description])
        for id in layers_of(picture.row):
            op = picture.network.nodes[id].op
            assert op.look().word in text or op.kind == "chunk"  # which says "half, 24-d"


def large_of(block: Any) -> Scene:
    laid = lay_out_blocks([block])
    for check in GEOMETRY:
        check(laid)
    return laid


@given(specs_of_blocks())
@settings(max_examples=60)
def test_every_layer_of_any_block_is_there(data: dict[str, Any]) -> None:
    try:
        of = compile_data(data)
    except SpecError:
        return
    check_all(of)


def test_branches_that_share_a_value_are_one_box() -> None:
    shared = [("conv",), ("conv", -1), ("add", 0, 1), ("conv",), ("add", 3, 1), ("conv",)]
    shown = column(wired(shared))
    assert [box.label for box in shown.boxes] == ["branches, 16", "3x3 conv, 16"]


@st.composite
def wirings(draw: Any) -> list[tuple[Any, ...]]:
    """Steps that read any values before them; the last reads all that nothing has read."""
    steps: list[tuple[Any, ...]] = []
    for number in range(draw(st.integers(2, 14))):
        before = st.integers(max(-1, number - 5), number - 1)
        reads = draw(st.lists(before, min_size=1, max_size=3, unique=True))
        steps.append(("conv" if len(reads) == 1 else "add", *reads))
    read = {one for step in steps for one in step[1:]}
    left = [number for number in range(-1, len(steps)) if number not in read]
    return [*steps, ("add" if len(left) > 1 else "conv", *left)]


@given(wirings())
@settings(max_examples=100)
def test_every_layer_of_any_wiring_is_there(steps: list[tuple[Any, ...]]) -> None:
    of = wired(steps)
    assert_named(of, column(of))
    laid = lay_out([column(of)])
    block = replace(of, regions=(Region("stage", (Region("block", tuple(of.nodes)[1:], 0),), 1),))
    assert_complete(of, picture_of(of))
    for scene in (laid, large_of(distinct_blocks(block)[0])):
        for check in GEOMETRY:
            check(scene)


@pytest.mark.parametrize(
    "name",
    [
        *("convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3"),
        *("mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5", "squeezenet1_0"),
    ],
)
def test_families_of_torchvision_are_drawn_whole(name: str) -> None:
    check_all(archc.load(f"torchvision/{name}"))


@pytest.mark.parametrize("name", ["repvgg_a0", "res2net50_26w_4s", "resnet50d", "vovnet39a"])
def test_families_of_timm_are_drawn_whole(name: str) -> None:
    check_all(archc.load(f"timm/{name}"))
