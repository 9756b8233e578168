"""Two networks with their differences marked: the marks are those of ``archc diff``."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from geometry import GEOMETRY
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Data, Draw, compile_data, networks

import archc
from archc.analysis import compare
from archc.backends.figure import DrawOptions, draw, scene_of
from archc.backends.figure.attribution import Attribution, attributions
from archc.backends.figure.columns import folded_column
from archc.backends.figure.layout import lay_out
from archc.backends.figure.scene import Scene, element_id
from archc.graph import Network
from archc.spec import SpecError

PAIRS = (
    ("imagenet/resnet50", "imagenet/resnet101"),
    ("imagenet/resnet34", "imagenet/resnet34-b"),
    ("imagenet/resnet18", "imagenet/plain18"),
    ("timm/seresnet50", "torchvision/resnet50"),
    ("timm/resnet50d", "timm/resnet50c"),
    ("torchvision/vgg16", "torchvision/vgg16_bn"),
    ("torchvision/efficientnet_b0", "torchvision/efficientnet_b1"),
    ("torchvision/mobilenet_v3_small", "torchvision/mobilenet_v3_large"),
    ("torchvision/densenet121", "torchvision/densenet169"),
    ("torchvision/googlenet", "torchvision/inception_v3"),
    ("torchvision/convnext_tiny", "torchvision/resnet18"),
    ("torchvision/squeezenet1_0", "torchvision/squeezenet1_1"),
    ("cifar10/resnet110", "cifar10/preresnet110"),
)
SIGNS = {"+": "added", "\N{MINUS SIGN}": "removed", "~": "changed"}


@cache
def load(name: str) -> Network:
    return archc.load(name)


@cache
def scene(a: str, b: str, fold: bool = False) -> Scene:
    return scene_of([load(a), load(b)], DrawOptions(fold=fold, diff=True))


def signs(scene: Scene) -> dict[str, str]:
    """What the signs in a figure say, by the things that they stand at."""
    return {
        text.id.removesuffix("-sign"): SIGNS[text.text]
        for text in scene.texts
        if text.id.endswith("-sign") and not text.id.startswith("legend")
    }


def bars(scene: Scene) -> dict[str, str]:
    """What the bars say, by the boxes, or the image, that they stand at."""
    return {
        curve.id.removesuffix("-change"): curve.role.split()[1]
        for curve in scene.curves
        if curve.id.endswith("-change")
    }


def deltas(scene: Scene) -> dict[str, list[str]]:
    """What is listed on the right, by what it is beside."""
    found: dict[str, list[str]] = {}
    for text in scene.texts:
        if text.role == "delta":
            found.setdefault(text.id.rpartition("-")[0], []).append(text.text)
    return found


def checks(*networks: Network) -> list[Any]:
    # Arrows to side heads run to the right.
    sides = any(network.sides for network in networks)
    return [check for check in GEOMETRY if not sides or "arrows" not in check.__name__]


# Geometry


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_geometry(a: str, b: str) -> None:
    for fold in (False, True):
        for check in checks(load(a), load(b)):
            check(scene(a, b, fold))


# The marks


@st.composite
def pairs(draw: Draw) -> tuple[Data, Data]:
    """A spec and a variant of it, or now and then another one."""
    first, _ = draw(networks())
    if draw(st.integers(0, 9)) == 0:
        return first, draw(networks())[0]
    second = deepcopy(first)
    for _ in range(draw(st.integers(1, 4))):
        _vary(draw, second)
    return first, second


def _vary(draw: Draw, data: Data) -> None:
    stages = data.get("stages", [])
    kind = draw(st.sampled_from(("depth", "width", "shortcut", "stage", "stem", "norm", "pre")))
    if kind == "norm":
        data["norm"] = draw(st.sampled_from(("batch_norm", "none")))
    elif kind == "pre":
        data["pre_activation"] = draw(st.booleans())
    elif kind == "stem":
        layer = draw(st.sampled_from(("relu", {"max_pool": {"kernel": 1}}, "batch_norm")))
        data.setdefault("stem", []).append(layer)
    elif stages:
        stage = draw(st.sampled_from(stages))
        if kind == "stage" and len(stages) > 1:
            stages.remove(stage)
        elif kind == "shortcut" and "shortcut" in stage:
            stage["shortcut"] = draw(st.sampled_from(("A", "B", "C", "none")))
        elif kind == "width":
            stage["width"] = draw(st.sampled_from((4, 8, 12)))
        else:
            stage["depth"] = draw(st.integers(1, 6))


def of_ops(a: Network, b: Network) -> tuple[dict[str, str], dict[str, str]]:
    """What ``archc diff`` says of each network's ops."""
    changes = compare(a, b).changes
    return (
        {change.a: change.change for change in changes if change.a is not None},
        {change.b: change.change for change in changes if change.b is not None},
    )


def check_marks(a: Network, b: Network) -> None:
    """The marks of an unfolded figure are those of ``archc diff``, and nothing else is marked."""
    plain = scene_of([a, b], DrawOptions())
    drawn = scene_of([a, b], DrawOptions(diff=True))
    found = attributions(plain, [a, b], False, to_curves=True)
    things = {box.id for box in plain.boxes} | {curve.id for curve in plain.curves}
    things |= {"c1-input", "c2-input"}
    expected: dict[str, str] = {}
    for number, (of, network, changes) in enumerate(
        zip(found, (a, b), of_ops(a, b), strict=True), start=1
    ):
        check_attribution(of, network, f"c{number}", things)
        for thing, ops in of.ops.items():
            if any(op in changes for op in ops):
                own = {changes.get(op, "same") for op in of.own.get(thing, ())}
                kind = own.pop() if len(own) == 1 else "changed"
                expected[thing] = "changed" if kind == "same" else kind
    boxes = {box.id for box in plain.boxes} | {"c1-input", "c2-input"}
    assert bars(drawn) == {thing: kind for thing, kind in expected.items() if thing in boxes}
    shown = signs(drawn)
    assert shown == {thing: expected[thing] for thing in shown}
    assert {thing for thing in expected if thing not in boxes} <= set(shown)


def check_folded_marks(a: Network, b: Network) -> None:
    """In a folded figure what differs is marked too, or the number of the block that it is in."""
    plain = lay_out([folded_column(network, with_all_layers=True) for network in (a, b)])
    drawn = scene_of([a, b], DrawOptions(fold=True, diff=True))
    shown = {**bars(drawn), **signs(drawn)}
    found = attributions(plain, [a, b], True, to_curves=True)
    for number, (of, network, changes) in enumerate(
        zip(found, (a, b), of_ops(a, b), strict=True), start=1
    ):
        assert sorted(op for thing in of.ops for op in of.all_ops(thing)) == sorted(network.nodes)
        blocks = {thing: network.standings[ops[0]] for thing, ops in of.ops.items()}
        numbered = {
            (blocks[id.removesuffix("-repeat")].stage, blocks[id.removesuffix("-repeat")].block)
            for id in shown
            if id.endswith("-repeat") and id.startswith(f"c{number}-")
        }
        for thing, block in blocks.items():
            differs = any(op in changes for op in of.all_ops(thing))
            assert differs or thing not in shown
            assert not differs or thing in shown or (block.stage, block.block) in numbered


def check_attribution(of: Attribution, network: Network, prefix: str, things: set[str]) -> None:
    """Every op belongs to one thing; one that has a box of its own, to that."""
    ops = [op for thing in of.ops for op in of.ops[thing]]
    assert sorted(ops) == sorted(network.nodes)
    assert set(of.ops) <= things
    for op in network.nodes:
        if element_id(prefix, op) in things:
            assert op in of.ops[element_id(prefix, op)]


# 200 pairs that differ in a run, and more where more are asked for.
@settings(max_examples=max(80, settings().max_examples))
@given(pairs())
def test_the_marks_of_random_pairs_are_those_of_archc_diff(given_pair: tuple[Data, Data]) -> None:
    try:
        a, b = map(compile_data, given_pair)
    except SpecError:
        assume(False)
    assume(compare(a, b).changes)
    check_marks(a, b)
    check_folded_marks(a, b)


@settings(max_examples=30)
@given(pairs(), st.booleans())
def test_geometry_of_random_pairs(given_pair: tuple[Data, Data], fold: bool) -> None:
    try:
        a, b = map(compile_data, given_pair)
    except SpecError:
        return
    drawn = scene_of([a, b], DrawOptions(fold=fold, diff=True))
    for check in GEOMETRY:
        check(drawn)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_marks_of_shipped_pairs_are_those_of_archc_diff(a: str, b: str) -> None:
    check_marks(load(a), load(b))
    check_folded_marks(load(a), load(b))


def test_nothing_is_marked_where_nothing_differs() -> None:
    same = scene("imagenet/resnet50", "imagenet/resnet50")
    assert not signs(same)
    assert not bars(same)
    assert not deltas(same)
    assert [text.text for text in same.texts if text.id.startswith("legend-change")] == [
        "nothing is added, removed or changed"
    ]
    assert any(box.shade is not None for box in same.boxes)
    assert same.description.endswith("Nothing is different.")


def test_a_deeper_stage_is_marked_at_its_number_when_folded() -> None:
    folded = scene("imagenet/resnet50", "imagenet/resnet101", fold=True)
    assert signs(folded) == {"c2-layer3.1.conv1-repeat": "added"}
    coloured = [box.id for box in folded.boxes if box.shade is not None]
    assert coloured == [f"c2-layer3.1.conv{number}" for number in (1, 2, 3)]
    back = scene("imagenet/resnet101", "imagenet/resnet50", fold=True)
    assert signs(back) == {"c1-layer3.1.conv1-repeat": "removed"}


def test_a_changed_block_is_marked_when_folded() -> None:
    """All of its repeats differ: its boxes are marked, not their number."""
    folded = scene("timm/seresnet50", "torchvision/resnet50", fold=True)
    gates = {id for id, kind in bars(folded).items() if kind == "removed"}
    assert gates == {box.id for box in folded.boxes if box.label in ("SE", "×")}
    assert not any(id.endswith("-repeat") for id in signs(folded))


def test_projections_are_marked_at_their_curves() -> None:
    marked = scene("imagenet/resnet34", "imagenet/resnet34-b")
    curves = {f"{prefix}-layer{stage}.0.add" for prefix in ("c1", "c2") for stage in (2, 3, 4)}
    assert signs(marked) == dict.fromkeys(curves, "changed")


# The numbers beside


def test_differences_by_output_size() -> None:
    assert deltas(scene("imagenet/resnet34", "imagenet/resnet34-b")) == {
        "delta-all": ["difference", "+173.82 k parameters", "+19.27 M multiply-adds"],
        "delta-band-3": ["+8.45 k parameters", "+6.42 M multiply-adds"],
        "delta-band-4": ["+33.28 k parameters", "+6.42 M multiply-adds"],
        "delta-band-5": ["+132.10 k parameters", "+6.42 M multiply-adds"],
    }


@pytest.mark.parametrize("fold", [False, True])
def test_deeper_stages_cost_what_they_do_folded_or_not(fold: bool) -> None:
    shown = deltas(scene("imagenet/resnet101", "imagenet/resnet50", fold))
    more = ["\N{MINUS SIGN}18.99 M parameters", "\N{MINUS SIGN}3.71 G multiply-adds"]
    assert shown == {"delta-all": ["difference", *more], "delta-band-4": more}


# What it says


def test_legend_and_words() -> None:
    marked = scene("imagenet/resnet18", "imagenet/plain18")
    legend = [text.text for text in marked.texts if text.id.startswith("legend-change")]
    assert legend == ["\N{MINUS SIGN}", "removed", "~", "changed", "unmarked: the same in both"]
    lines = [curve.role for curve in marked.curves if curve.id.startswith("legend-change")]
    assert lines == ["legend change changed"]  # no box is removed: a bar would explain nothing
    assert marked.title == "Differences between 18-layer residual and 18-layer plain"
    assert marked.description.endswith("Marked as different: 8 removed, 8 changed.")


@pytest.mark.parametrize("format", ["svg", "png", "pdf", "dot"])
def test_every_format_has_it(format: str) -> None:
    options = DrawOptions(diff=True, fold=True)
    both = [load("imagenet/resnet50"), load("imagenet/resnet101")]
    assert draw(both, format, options) == draw(both, format, options)


def test_another_image_is_marked_at_the_image() -> None:
    stage = {"block": "basic", "depth": 1, "width": 8, "shortcut": "B"}
    grey, colour = [
        compile_data({"name": "net", "input": [channels, 32, 32], "stages": [stage]})
        for channels in (1, 3)
    ]
    assert bars(scene_of([grey, colour], DrawOptions(diff=True)))["c2-input"] == "changed"
