"""The figure: what it shows, where it stands, and the files that hold it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from families import OF_THE_PAPERS
from geometry import GEOMETRY, check_everything_is_on_the_page, check_texts_do_not_overlap
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import compile_data, specs

import archc
from archc import ops
from archc.backends.figure import FORMATS, THEMES, DrawOptions, FigureError, bands, draw, font, png
from archc.backends.figure.arrows import nesting
from archc.backends.figure.blocks import Block, distinct_blocks, lay_out_blocks
from archc.backends.figure.columns import column, folded_column, shown_in
from archc.backends.figure.font import text_width
from archc.backends.figure.layout import lay_out
from archc.backends.figure.scene import Curve, Point, Scene
from archc.backends.figure.text import one_line, shorten, wrap
from archc.backends.numbers import in_short
from archc.errors import ArchcWarning
from archc.graph import Network, Op, Region, fold_repeats
from archc.graph.network import FragmentBuilder, NetworkBuilder
from archc.ops.facts import NOTHING, Look, OnnxStep, Saved, Torch
from archc.ops.traits import ElementWise
from archc.spec import SpecError

PAPER = ("imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34")
SVG = "{http://www.w3.org/2000/svg}"


@cache
def load(name: str) -> Network:
    return archc.load(name)


@cache
def scene(*names: str) -> Scene:
    return lay_out([column(load(name)) for name in names])


@cache
def svg(*names: str) -> ElementTree.Element:
    return ElementTree.fromstring(draw([load(name) for name in names]))


def blocks(*names: str) -> list[Block]:
    return [block for name in names for block in distinct_blocks(load(name))]


def groups(root: ElementTree.Element, role: str) -> list[ElementTree.Element]:
    return [group for group in root.iter(f"{SVG}g") if role in group.get("class", "").split()]


def texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def network(input_shape: ops.Shape, *steps: tuple[str, Op] | tuple[str, Op, list[str]]) -> Network:
    """A network of steps: a name, an op, and its inputs where they are not the step before."""
    piece = FragmentBuilder(input_shape)
    for name, op, *inputs in steps:
        sources = [source for given in inputs for source in given]
        piece.add(name, op, *sources)
    builder = NetworkBuilder(input_shape)
    builder.append(piece.build(), lambda step: step.name)
    return Network("odd", builder.nodes)


def conv(channels: int, padding: int = 1) -> ops.Conv2d:
    return ops.Conv2d(channels, channels, 3, padding=padding)


NESTED = network(
    (8, 16, 16),
    ("conv1", conv(8)),
    ("conv2", conv(8)),
    ("conv3", conv(8)),
    ("add1", ops.Add(), ["conv3", "conv2"]),
    ("conv4", conv(8)),
    ("add2", ops.Add(), ["conv4", "conv1"]),
    ("conv5", conv(8)),
    ("add3", ops.Add(), ["conv5", ""]),
    ("conv6", conv(8)),
    ("add4", ops.Add(), ["conv6", "add3"]),
)
ODD = {
    "input alone": network((3, 8, 8)),
    "head alone": network((3, 1, 1), ("flatten", ops.Flatten()), ("fc", ops.Linear(3, 10))),
    "no box but a shortcut": network(
        (3, 8, 8), ("relu", ops.ReLU()), ("add", ops.Add(), ["relu", ""])
    ),
    "one pixel": network((4, 1, 1), ("conv1", conv(4)), ("pool", ops.AdaptiveAvgPool2d(1))),
    "rising sizes": network(
        (4, 8, 6),
        ("conv1", conv(4, padding=0)),
        ("conv2", conv(4, padding=2)),
        ("conv3", conv(4, padding=0)),
        ("conv4", conv(4, padding=2)),
    ),
    "nested": NESTED,
    "long labels": network((65536, 9, 9), ("conv", ops.Conv2d(65536, 65536, 9, 2, groups=65536))),
}
SHIPPED = [
    PAPER,
    ("imagenet/resnet50", "torchvision/resnext50_32x4d"),
    ("imagenet/resnet34-c", "torchvision/vgg11"),
    ("cifar10/resnet20", "cifar10/preresnet164"),
]
SCENES = [
    *[pytest.param(scene(*names), id=" ".join(names)) for names in SHIPPED],
    *[pytest.param(lay_out([column(one)]), id=name) for name, one in ODD.items()],
    pytest.param(lay_out([column(one) for one in ODD.values()]), id="all odd ones"),
    *[
        pytest.param(lay_out([folded_column(load(name)) for name in names]), id=f"folded {names}")
        for names in [*SHIPPED, ("imagenet/resnet152", "cifar10/resnet1202", "torchvision/vgg19")]
    ],
]
BLOCKS = [
    pytest.param(lay_out_blocks(blocks(*names)), id=f"blocks {names}")
    for names in [*SHIPPED, ("imagenet/resnet34", "imagenet/resnet50")]
]


# What is shown


@pytest.mark.parametrize(
    ("name", "boxes", "shortcuts", "dotted"),
    [
        ("imagenet/vgg19", {"conv": 16, "pool": 5, "fc": 3}, 0, 0),
        ("imagenet/plain34", {"conv": 33, "pool": 2, "fc": 1}, 0, 0),
        ("imagenet/resnet34", {"conv": 33, "pool": 2, "fc": 1}, 16, 3),
        ("imagenet/resnet34-c", {"conv": 33, "pool": 2, "fc": 1}, 16, 3),
        ("imagenet/resnet50", {"conv": 49, "pool": 2, "fc": 1}, 16, 4),
        ("torchvision/vgg11", {"conv": 8, "pool": 5, "fc": 3}, 0, 0),
        ("cifar10/resnet20", {"conv": 19, "pool": 1, "fc": 1}, 9, 2),
        ("cifar10/preresnet164", {"conv": 163, "pool": 1, "fc": 1}, 54, 3),
    ],
)
def test_counts(name: str, boxes: dict[str, int], shortcuts: int, dotted: int) -> None:
    shown = column(load(name))
    assert Counter(box.kind for box in shown.boxes) == boxes
    assert len(shown.shortcuts) == shortcuts
    assert sum(shortcut.dotted for shortcut in shown.shortcuts) == dotted


def test_counts_are_the_graphs() -> None:
    for name in ("imagenet/resnet34", "cifar10/preresnet110", "torchvision/wide_resnet50_2"):
        loaded, shown = load(name), column(load(name))
        assert sum(box.kind in {"conv", "fc"} for box in shown.boxes) == loaded.layers
        adds = sum(node.op.kind == "add" for node in loaded.nodes.values())
        assert len(shown.shortcuts) == adds
        convs = sum(node.op.kind == "conv2d" for node in loaded.nodes.values())
        projections = sum(bool(shortcut.mark) for shortcut in shown.shortcuts)
        assert sum(box.kind == "conv" for box in shown.boxes) + projections == convs


def test_labels_are_the_papers() -> None:
    vgg, plain, residual = [column(load(name)) for name in PAPER]
    assert [box.label for box in vgg.boxes[-5:]] == [
        "3x3 conv, 512",
        "pool, /2",
        "fc 4096",
        "fc 4096",
        "fc 1000",
    ]
    labels = [box.label for box in residual.boxes]
    assert labels == [box.label for box in plain.boxes]
    assert labels[:3] == ["7x7 conv, 64, /2", "pool, /2", "3x3 conv, 64"]
    assert labels[8] == "3x3 conv, 128, /2"
    assert labels[-2:] == ["avg pool", "fc 1000"]
    assert column(load("torchvision/resnext50_32x4d")).boxes[3].label == "3x3 conv, 128, g32"


def test_projections_are_marked() -> None:
    marks = [shortcut.mark for shortcut in column(load("imagenet/resnet34-c")).shortcuts]
    assert marks == ["1x1"] * 16
    assert {shortcut.mark for shortcut in column(load("imagenet/resnet34")).shortcuts} == {""}


def test_one_colour_per_stage_width() -> None:
    shades: dict[str, set[int | None]] = {}
    for box in scene(*PAPER).boxes:
        width = box.label.split(", ")[1] if box.role == "conv" else "none"
        shades.setdefault(width, set()).add(box.shade)
    assert shades == {"64": {3}, "128": {4}, "256": {5}, "512": {6}, "none": {None}}


def test_the_conv_that_opens_a_stage_has_its_colour() -> None:
    stages = [box for box in column(load("imagenet/resnet50")).boxes if box.kind == "conv"]
    assert [box.width for box in stages[:5]] == [64, 64, 64, 64, 64]
    assert stages[9].label == "1x1 conv, 256"
    assert (stages[10].label, stages[10].width) == ("1x1 conv, 128, /2", 128)


def test_tooltips() -> None:
    shown = column(load("imagenet/resnet34"))
    assert shown.boxes[2].tooltip.splitlines() == [
        "layer1.0.conv1",
        "64x56x56 → 64x56x56",
        "36,864 parameters",
        "115,605,504 multiply-adds",
    ]
    assert shown.shortcuts[0].tooltip == "identity shortcut\n64x56x56 → 64x56x56"
    assert "layer2.0.shortcut" in shown.shortcuts[3].tooltip


def test_an_op_that_archc_does_not_have_is_shown_as_it_says() -> None:
    @dataclass(frozen=True, slots=True)
    class Swish(ElementWise):
        kind = "swish"
        torch = Torch(is_module=False)

        def saved(self) -> Saved:
            return NOTHING

        def look(self) -> Look:
            return Look(box="other", label="swish")

        def onnx(self, output: ops.Shape, *inputs: ops.Shape) -> Iterator[OnnxStep]:
            yield from ()

    odd = network((4, 8, 8), ("conv", conv(4)), ("act", Swish()), ("add", ops.Add(), ["act", ""]))
    assert [box.label for box in column(odd).boxes] == ["3x3 conv, 4", "swish"]
    assert b"swish" in draw([odd])


def test_shortcuts_go_around_what_they_skip() -> None:
    shown = column(NESTED)
    stops = shown.stops(shown.row)
    ends = [(stops[one.leaves], stops[one.arrives]) for one in shown.row.ways]
    assert ends == [(2, 3), (1, 4), (0, 5), (5, 6)]
    assert nesting(shown.row.ways) == [0, 1, 2, 0]


def test_totals_and_legend() -> None:
    words = [text.text for text in scene(*PAPER).texts]
    for word in ("VGG-19", "34-layer plain", "34-layer residual", "21.62 M parameters"):
        assert word in words
    assert words.count("3.64 G multiply-adds") == 2
    assert words.count("image") == 3
    assert [text.text for text in scene(*PAPER).texts if text.role == "legend"] == [
        "shortcut, same shape",
        "shortcut, shape changes",
    ]
    assert not [text for text in scene("imagenet/vgg19").texts if text.role == "legend"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (9_990, "9.99 k"),
        (999_994, "999.99 k"),
        (999_995, "1.00 M"),
        (21_797_672, "21.80 M"),
        (19_632_062_464, "19.63 G"),
        (10**18, "1.00 E"),
        (10**22, "10,000.00 E"),
    ],
)
def test_numbers_in_short(number: int, words: str) -> None:
    assert in_short(number) == words


# Bands


def sizes(*numbers: int) -> list[tuple[int, int]]:
    return [(number, number) for number in numbers]


def test_bands_of_the_paper() -> None:
    labels = [text.text for text in scene(*PAPER).texts if text.role == "band"]
    assert labels == [f"output size: {size}" for size in (224, 112, 56, 28, 14, 7, 1)]


@pytest.mark.parametrize(
    ("columns", "merged"),
    [
        ([[], []], []),
        ([[8, 8, 8]], [8]),
        ([[8, 4], [8, 6, 4]], [8, 6, 4]),
        ([[8, 16, 8], [16, 8]], [8, 16, 8]),
        ([[32, 4], [16, 8]], [32, 16, 8, 4]),
        ([[8, 10, 8, 10], [8]], [8, 10, 8, 10]),
    ],
)
def test_merged_sizes(columns: list[list[int]], merged: list[int]) -> None:
    assert bands.merge([sizes(*one) for one in columns]) == sizes(*merged)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), max_size=8), min_size=1, max_size=3))
def test_every_column_finds_its_bands(columns: list[list[int]]) -> None:
    given_sizes = [sizes(*one) for one in columns]
    merged = bands.merge(given_sizes)
    for one in given_sizes:
        found = bands.places(one, merged)
        assert found == sorted(found)
        assert [merged[band] for band in found] == one
    if len(columns) == 2:
        runs = [[size for i, size in enumerate(one) if one[i - 1 : i] != [size]] for one in columns]
        assert len(merged) == sum(map(len, runs)) - longest_common(*runs)


def longest_common(first: list[int], second: list[int]) -> int:
    row = [0] * (len(second) + 1)
    for one in first:
        previous, row = row, [0]
        for j, other in enumerate(second):
            row.append(previous[j] + 1 if one == other else max(previous[j + 1], row[j]))
    return row[-1]


def test_sizes_that_are_not_square() -> None:
    labels = [text.text for text in lay_out([column(ODD["rising sizes"])]).texts]
    assert labels[:4] == [f"output size: {size}" for size in ("6x4", "8x6", "6x4", "8x6")]


# Geometry


@pytest.mark.parametrize("check", GEOMETRY)
@pytest.mark.parametrize("laid", [*SCENES, *BLOCKS])
def test_the_geometry_of_scenes(laid: Scene, check: Callable[[Scene], None]) -> None:
    check(laid)


def test_bands_align_across_columns() -> None:
    laid = scene(*PAPER)
    centres = {text.text.split()[-1]: text.at.y for text in laid.texts if text.role == "band"}
    order = sorted(centres.values())
    for number, name in enumerate(PAPER, start=1):
        placed = [box for box in laid.boxes if box.id.startswith(f"c{number}-")]
        for box, rect in zip(column(load(name)).boxes, placed, strict=True):
            top = centres[str(box.size[0])]
            assert rect.centre.y >= top
            assert all(rect.centre.y < below for below in order if below > top)
        for size in {box.size[0] for box in column(load(name)).boxes}:
            assert centres[str(size)] in [rect.centre.y for rect in placed]


def test_plain_and_residual_stand_row_by_row() -> None:
    rows = [
        [box.centre.y for box in scene(*PAPER).boxes if box.id.startswith(prefix)]
        for prefix in ("c2-", "c3-")
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("laid", SCENES)
def test_shortcuts_meet_arrows_at_distinct_points(laid: Scene) -> None:
    arrows = [curve for curve in laid.curves if curve.role == "arrow"]
    met: dict[str, list[float]] = {}
    for curve in laid.curves:
        if "shortcut" not in curve.role:
            continue
        for end in (curve.points[0], curve.tip):
            assert end is not None
            (arrow,) = [one for one in arrows if on(end, one)]
            met.setdefault(arrow.id, []).append(end.y)
    for heights in met.values():
        assert all(below - above > 1 for above, below in pairwise(sorted(heights)))


def on(point: Point, arrow: Curve) -> bool:
    """Whether a point is on the line of an arrow, outside its head."""
    return arrow.points[0].x == point.x and arrow.points[0].y < point.y < arrow.points[-1].y


@pytest.mark.parametrize("name", OF_THE_PAPERS)
@pytest.mark.parametrize("fold", [False, True])
def test_the_geometry_of_every_shipped_network(name: str, fold: bool) -> None:
    shown = folded_column(load(name)) if fold else column(load(name))
    laid = lay_out([shown])
    for check in GEOMETRY:
        check(laid)
    assert_counts(laid, load(name) if not fold else fold_repeats(load(name)).network)


@given(st.lists(specs(), min_size=1, max_size=3), st.booleans())
@settings(max_examples=60)
def test_the_geometry_of_any_networks_side_by_side(many: list[dict[str, Any]], fold: bool) -> None:
    networks = []
    for data in many:
        try:
            networks.append(compile_data(data))
        except SpecError:
            continue
    if not networks:
        return
    laid = lay_out([(folded_column if fold else column)(one) for one in networks])
    for check in GEOMETRY:
        check(laid)
    shown = [fold_repeats(one).network if fold else one for one in networks]
    assert_counts(laid, *shown)
    found = [block for one in networks for block in distinct_blocks(one)]
    if found:
        drawn = lay_out_blocks(found)
        for check in GEOMETRY:
            check(drawn)


def assert_counts(laid: Scene, *networks: Network) -> None:
    """As many boxes and curves as the graphs have layers, poolings and ways around."""
    kinds = Counter(
        {"conv2d": "conv", "linear": "fc"}.get(network.nodes[one].op.kind, "pool")
        for network in networks
        for one in network.main_path
        if shown_in(network, network.nodes[one])
    )
    assert Counter(box.role for box in laid.boxes if box.role != "legend") == kinds
    sums = [
        len(network.nodes[one].inputs) - 1
        for network in networks
        for one in network.main_path
        if isinstance(network.nodes[one].op, ops.Add)
    ]
    assert sum("shortcut" in curve.role for curve in laid.curves) == sum(sums)


def test_shortcuts_leave_above_the_block_and_arrive_below() -> None:
    laid = scene("imagenet/resnet34")
    boxes = {box.id: box for box in laid.boxes}
    for curve in laid.curves:
        if "shortcut" in curve.role:
            block = curve.id.rpartition(".")[0]
            assert curve.tip is not None
            assert curve.points[0].y < boxes[f"{block}.conv1"].top
            assert curve.tip.y > boxes[f"{block}.conv2"].bottom


def test_the_paper_figure_is_portrait_and_legible() -> None:
    laid = scene(*PAPER)
    assert laid.width < laid.height
    a4 = min(550 / laid.width, 800 / laid.height)
    assert 11 * a4 > 7  # points


# Text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\u202eevil\u2066", "evil"),
        ("\x00\x1b[31mred\ud800\uffff", "[31mred"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 4),
        ("  ", ""),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.floats(20, 200))
def test_shortened_text_fits(text: str, width: float) -> None:
    cut = shorten(text, 10, width)
    assert text_width(cut, 10) <= width
    assert cut == text or cut.endswith("…")


@given(st.text(), st.floats(20, 300))
def test_wrapped_text_fits_two_lines_and_is_cut_only_behind_them(text: str, width: float) -> None:
    text = one_line(text)
    lines = wrap(text, 10, width)
    assert len(lines) == 1 + (text_width(text, 10) > width)
    assert all(text_width(line, 10) <= width for line in lines)
    if lines[-1][-1:] != "…":
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("34-layer residual network", ["34-layer", "residual network"]),
        ("a_name_without_spaces_x", ["a_name_with", "out_spaces_x"]),
        ("one two three four five six seven eight", ["one two three", "four five six sev…"]),
    ],
)
def test_wrapped_text(text: str, lines: list[str]) -> None:
    assert wrap(text, 10, 80) == lines


def test_a_long_title_wraps_and_totals_stay_at_one_height() -> None:
    long = replace(load("imagenet/resnet34"), title="A 34-layer residual network with projections")
    laid = lay_out([column(long), column(load("imagenet/vgg19"))])
    found = {text.id: text for text in laid.texts}
    titles = [text.text for text in laid.texts if text.role == "title"]
    assert titles == ["A 34-layer residual", "network with projections", "VGG-19"]
    assert found["c1-title-2"].at.y == found["c2-title"].at.y > found["c1-title"].at.y
    assert found["c1-total-1"].at.y == found["c2-total-1"].at.y
    for test in (check_everything_is_on_the_page, check_texts_do_not_overlap):
        test(laid)
    assert lay_out([column(load("imagenet/vgg19"))]).height < laid.height


def test_a_long_title_wraps_above_a_block() -> None:
    title = "A 34-layer residual network with a title that is too long for a line"
    long = replace(load("imagenet/resnet34"), title=title)
    laid = lay_out_blocks(distinct_blocks(long))
    name, *titles = [text.text for text in laid.texts if text.id.startswith("b1-title")]
    assert name == "BasicBlock A"
    assert " ".join(titles[:2]) == title
    check_texts_do_not_overlap(laid)


def test_widths_are_the_fonts() -> None:
    # Helvetica's: 556 of 1000 for a digit, 278 for a space and a comma; Liberation's em is 2048.
    assert text_width("0", 2048) == 1139
    assert text_width(" ,", 2048) == 2 * 569
    assert text_width("🎉", 10) == 13


# Files


def test_svg_counts() -> None:
    root = svg(*PAPER)
    counts = {role: len(groups(root, role)) for role in ("conv", "pool", "fc", "title", "image")}
    assert counts == {"conv": 16 + 33 + 33, "pool": 5 + 2 + 2, "fc": 3 + 1 + 1} | {
        "title": 3,
        "image": 3,
    }
    assert len(groups(root, "shortcut")) == 16
    dotted = [group for group in groups(root, "shortcut") if "dotted" in group.get("class", "")]
    assert [group.get("id") for group in dotted] == [f"c3-layer{n}.0.add" for n in (2, 3, 4)]
    for group in groups(root, "shortcut"):
        path = group.find(f"{SVG}path")
        assert path is not None
        assert ("stroke-dasharray" in path.attrib) == (group in dotted)
    assert len(groups(root, "band")) == 7
    for box in scene(*PAPER).boxes:
        assert box.label in texts(root)


def test_svg_is_where_the_layout_put_it() -> None:
    laid, root = scene(*PAPER), svg(*PAPER)
    page = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    for box in laid.boxes:
        rect = page[box.id].find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        assert (x, y) == pytest.approx((box.right - box.width, box.top), abs=0.01)
        assert (width, height) == pytest.approx((box.width, box.height), abs=0.01)
        assert re.fullmatch("#[0-9a-f]{6}", rect.get("fill", ""))
        (words,) = page[box.id].iter(f"{SVG}text")
        assert list(page[box.id]).index(words) == list(page[box.id]).index(rect) + 1
        assert float(words.get("x", "")) == pytest.approx(box.centre.x, abs=0.01)
        assert box.top + 8 < float(words.get("y", "")) < box.bottom - 2
    for curve in laid.curves:
        path = page[curve.id].find(f"{SVG}path")
        assert path is not None
        assert ends(path.get("d", "")) == pytest.approx(
            [*curve.points[0], *curve.points[-1]], abs=0.01
        )
        head = page[curve.id].find(f"{SVG}polygon")
        assert (head is None) == (curve.tip is None)
        if head is not None and curve.tip:
            places = [[*map(float, one.split(","))] for one in head.get("points", "").split()]
            assert places[1] == pytest.approx(curve.tip, abs=0.01)


def ends(way: str) -> list[float]:
    """Where a path begins and ends."""
    x = y = 0.0
    start: list[float] = []
    for letter, numbers in re.findall(r"([MVHC])([^MVHC]*)", way):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        x = x if letter == "V" else values[-1 if letter == "H" else -2]
        y = y if letter == "H" else values[-1]
        start = start or [x, y]
    return [*start, x, y]


def test_svg_is_described() -> None:
    root = svg(*PAPER)
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")
    assert title.text == "VGG-19, 34-layer plain and 34-layer residual"
    assert "16 shortcuts (3 dotted: the shape changes), 3.64 G" in (description.text or "")
    assert (
        "VGG-19: 16 convolutions, 5 poolings, 3 fully connected layers, 19.63 G multiply-adds"
        in (description.text or "")
    )


def test_svg_tooltips() -> None:
    for group in [*groups(svg(*PAPER), "conv"), *groups(svg(*PAPER), "fc")]:
        tooltip = group.findtext(f"{SVG}title", "").splitlines()
        assert group.get("id", "").partition("-")[2] == tooltip[0]
        assert tooltip[3].endswith(" multiply-adds")
    assert not list(svg(*PAPER).iter(f"{SVG}a"))


def test_svg_stands_on_its_own() -> None:
    drawn = draw([load(name) for name in PAPER]).decode()
    assert "Liberation Sans,Helvetica,Arial,sans-serif" in drawn
    assert 'fill="#ffffff"' in drawn
    for absent in ("<!--", "<!DOCTYPE", "graphviz", "Graphviz", "xlink", os.sep + "tmp", "http:"):
        assert absent not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")


HOSTILE = [
    "<script>alert(1)</script>",
    "<b>bold</b>",
    "&lt;i&gt; &amp; &#65;",
    'quote " and \\N \\l \\G \\',
    'charset="latin1"',
    "]]> --> <!--",
    "日本語 🎉",
    "\\",
]


@pytest.mark.filterwarnings("ignore::archc.errors.ArchcWarning")
@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_come_out_as_text(title: str) -> None:
    hostile = replace(load("cifar10/plain20"), title=title, description=title)
    drawn = draw([hostile])
    root = ElementTree.fromstring(drawn)
    (shown,) = groups(root, "title")
    text = shown.findtext(f"{SVG}text", "")
    assert text == title or title.startswith(text.removesuffix("…"))
    assert root[0].text == title
    assert b"<script" not in drawn
    assert b"<b>" not in drawn
    assert draw([hostile], "png").startswith(b"\x89PNG")


def test_ten_thousand_characters() -> None:
    long = replace(load("cifar10/plain20"), title="x" * 10_000, description="y" * 10_000)
    drawn = draw([long])
    assert len(drawn) < len(draw([load("cifar10/plain20")])) + 1000
    assert "xxx…" in texts(ElementTree.fromstring(drawn))[-1] or b"xxx\xe2\x80\xa6" in drawn


def test_no_title_at_all() -> None:
    assert column(replace(ODD["nested"], title="\n")).title == "odd"


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("format", FORMATS)
def test_odd_networks_come_out(
    odd: Network, format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert draw([odd], format)
    assert capfd.readouterr() == ("", "")


MAGIC = {
    "svg": b"<?xml",
    "png": b"\x89PNG",
    "pdf": b"%PDF-",
    "tex": b"% Written by archc",
    "dot": b"digraph",
}


@pytest.mark.parametrize("format", FORMATS)
def test_same_bytes_in_every_process(format: str) -> None:
    code = (
        "import sys, archc; from archc.backends.figure import draw;"
        f"nets = [archc.load(name) for name in {PAPER!r}];"
        f"sys.stdout.buffer.write(draw(nets, {format!r}))"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": "1",
        "TZ": "Asia/Tokyo",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    drawn = draw([load(name) for name in PAPER], format)
    assert drawn.startswith(MAGIC[format])
    assert (inflated(done.stdout) == inflated(drawn)) if format == "pdf" else done.stdout == drawn
    assert done.stderr == b""


def inflated(pdf: bytes) -> list[bytes]:
    """What a PDF holds, whatever its streams were deflated by: its objects and its trailer."""
    objects = re.findall(rb"\d+ 0 obj\n(.*?)\nendobj", pdf, re.DOTALL)
    held = []
    for each in objects:
        entries, _, stream = each.partition(b"\nstream\n")
        deflated = b"/FlateDecode" in entries
        data = stream.removesuffix(b"\nendstream")
        held += [re.sub(rb"/Length \d+", b"", entries), zlib.decompress(data) if deflated else data]
    return [*held, re.findall(rb"trailer\n.*", pdf)[0]]


IN_ANOTHER = (
    "process = multiprocessing.get_context('fork').Process(target=task); "
    "process.start(); process.join(); assert process.exitcode == 0"
)


@pytest.mark.parametrize("run", ["task()", IN_ANOTHER], ids=["alone", "of multiprocessing"])
def test_a_process_leaves_no_temporary_file(run: str, tmp_path: Path) -> None:
    program, temporary = tmp_path / "program.py", tmp_path / "temporary"
    program.write_text(
        "import multiprocessing, archc\n"
        "def task():\n"
        f"    for format in {FORMATS}:\n"
        "        archc.draw('cifar10/resnet20', format=format)\n"
        f"if __name__ == '__main__':\n    {run}\n"
    )
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, program], check=True, env=environment)
    assert list(temporary.iterdir()) == []


def test_bitmaps_and_pdf_have_no_date_and_only_the_shipped_font() -> None:
    pdf = draw([load("cifar10/resnet20")], "pdf")
    assert re.findall(rb"/FontName /[A-Z]{6}\+(\S+)", pdf) == [b"LiberationSans"]
    assert b"Date" not in pdf
    assert b"Producer" not in pdf
    drawn = draw([load("cifar10/resnet20")], "png")
    assert b"tEXt" not in drawn
    assert b"tIME" not in drawn


@pytest.mark.parametrize("format", FORMATS)
def test_characters_that_the_font_lacks_are_named(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "unknown", list)
    one = replace(load("cifar10/resnet20"), title="残差 é ≤ \u2764\ufe0f 残")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw([one], format, DrawOptions(fold=True))
    glyphs = "glyphs for 残 (U+6B8B), 差 (U+5DEE) and \u2764 (U+2764)"
    advice = "shows boxes instead; draw it as SVG to use the viewer's fonts"
    messages = {
        "png": [f"no font on this machine has {glyphs}: the PNG {advice}"],
        "pdf": [f"the figure font has no {glyphs}: the PDF {advice}"],
        "tex": [
            f"TeX's own fonts may have no {glyphs}: pdfLaTeX shows boxes instead; use LuaLaTeX or "
            "XeLaTeX with a font that has them, or define \\archcother"
        ],
    }
    assert [str(one.message) for one in caught] == messages.get(format, [])
    assert {one.filename for one in caught} <= {__file__}


def test_many_characters_are_named_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "unknown", list)
    one = replace(load("cifar10/resnet20"), title="".join(map(chr, range(0x4E00, 0x4E0C))))
    with pytest.warns(ArchcWarning, match=r"一 \(U\+4E00\), .*上? \(U\+4E09\) and 2 more: the PNG"):
        drawn = draw([one], "png", DrawOptions(fold=True))
    assert drawn.startswith(b"\x89PNG")


def test_png_is_two_pixels_a_point() -> None:
    drawn = draw([load(name) for name in PAPER], "png")
    width, height = (int.from_bytes(drawn[start : start + 4], "big") for start in (16, 20))
    assert (width / 2, height / 2) == pytest.approx(
        (scene(*PAPER).width, scene(*PAPER).height), abs=1
    )


def test_pixels_follow_the_dpi() -> None:
    sizes = []
    for dpi in (72, 216):
        drawn = draw([load("cifar10/resnet20")], "png", DrawOptions(dpi=dpi))
        sizes.append(int.from_bytes(drawn[16:20], "big"))
    assert abs(sizes[1] - 3 * sizes[0]) <= 3


def test_folded_blocks_are_bracketed_with_their_number() -> None:
    laid = lay_out([folded_column(load("cifar10/resnet1202"))])
    brackets = [curve for curve in laid.curves if curve.role == "repeat"]
    boxes = {box.id: box for box in laid.boxes}
    assert [one.mark.text for one in brackets if one.mark] == ["× 200", "× 199", "× 199"]
    for bracket in brackets:
        first, last = boxes[bracket.tail], boxes[bracket.head]
        ys = [point.y for point in bracket.points]
        assert (min(ys), max(ys)) == (first.top, last.bottom)
        left = min(box.centre.x - box.width / 2 for box in laid.boxes)
        assert max(point.x for point in bracket.points) < left
    assert brackets[1].tooltip == "stage 2: blocks 1 to 199 are equal"
    assert "equal blocks in a row" in [text.text for text in laid.texts]


def test_a_folded_figure_has_the_totals_and_the_words_of_the_whole() -> None:
    networks = [load("imagenet/resnet152")]
    whole, folded = (
        ElementTree.fromstring(draw(networks, "svg", DrawOptions(fold=fold)))
        for fold in (False, True)
    )
    for words in ("11.28 G multiply-adds", "60.19 M parameters"):
        assert words in texts(folded)
    descriptions = [root.findtext(f"{SVG}desc") for root in (whole, folded)]
    assert descriptions[0] == descriptions[1]
    assert len(groups(folded, "conv")) == 25
    assert len(groups(folded, "shortcut")) == 8


def test_resnet152_folded_fits_a_page() -> None:
    """A4 in portrait, type of at least 6 points."""
    laid = lay_out([folded_column(load("imagenet/resnet152"))])
    scale = min(595 / laid.width, 842 / laid.height)
    assert scale * 11 > 6


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_s_text_stands_out_from_everything_below_it(theme: str) -> None:
    """By the contrast that WCAG 2.1 asks of text, 4.5 to 1."""
    colours = THEMES[theme]
    for ground in (colours.paper, colours.stripe, *colours.fills):
        assert contrast(colours.ink, ground) >= 4.5
    for fill in colours.fills:
        assert contrast(colours.outline, fill) > 1.3
    root = ElementTree.fromstring(
        draw([load("imagenet/resnet34")], "svg", DrawOptions(theme=theme))
    )
    assert colours.paper in [one.get("fill") for one in root.iter(f"{SVG}rect")]
    assert {one.get("fill") for one in root.iter(f"{SVG}text")} <= {colours.ink, None}


def contrast(first: str, second: str) -> float:
    """The contrast of two colours as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("imagenet/resnet34", ["identity", "zero pad, /2"]),
        ("imagenet/resnet50", ["1x1, 256", "identity", "1x1, 512, /2"]),
        ("imagenet/resnet34-c", ["1x1, 64", "1x1, 128, /2"]),
        ("cifar10/preresnet164", ["1x1, 64", "identity", "1x1, 128, /2"]),
        ("imagenet/plain34", [None, None]),
        ("torchvision/vgg16_bn", [None]),
    ],
)
def test_distinct_blocks_and_what_goes_around_them(name: str, found: list[str | None]) -> None:
    marks = []
    for block in blocks(name):
        laid = lay_out_blocks([block])
        (mark, *more) = [c.mark for c in laid.curves if "shortcut" in c.role] or [None]
        assert not more
        marks.append(mark.text if mark else None)
    assert marks == found


def test_a_block_drawn_large_is_that_of_the_paper() -> None:
    """Figure 5, right: 256-d into 1x1, 64, relu, 3x3, 64, relu, 1x1, 256, sum, relu."""
    (block,) = [
        one for one in blocks("imagenet/resnet50") if one.place.startswith("stage 1, blocks")
    ]
    laid = lay_out_blocks([block])
    assert [text.text for text in laid.texts if text.role == "entry"] == ["256-d"]
    assert [text.text for text in laid.texts if text.role == "relu"] == ["relu"] * 3
    assert [box.label for box in laid.boxes] == ["1x1, 64", "3x3, 64", "1x1, 256", "+"]
    assert block.place == (
        "stage 1, blocks 1-2; stage 2, blocks 1-3; stage 3, blocks 1-5; stage 4, blocks 1-2"
    )
    assert laid.description == (
        f"50-layer residual, {block.place}: on 256 channels 1x1 conv, 64, then 3x3 conv, 64, then "
        "1x1 conv, 256; around them a shortcut: identity."
    )


def test_blocks_that_differ_in_width_alone_are_drawn_once() -> None:
    assert len(blocks("imagenet/resnet152")) == len(blocks("imagenet/resnet50")) == 3
    assert [one.label for one in blocks("imagenet/resnet50")] == ["Bottleneck"] * 3


@pytest.mark.parametrize("format", FORMATS)
def test_blocks_come_in_every_format(format: str) -> None:
    networks = [load("imagenet/resnet34"), load("imagenet/resnet50")]
    drawn = draw(networks, format, DrawOptions(blocks=True))
    assert drawn == draw(networks, format, DrawOptions(blocks=True))
    if format == "svg":
        root = ElementTree.fromstring(drawn)
        assert len(groups(root, "plus")) == 5
        assert len(list(root.iter(f"{SVG}circle"))) == 5


FORK = network(
    (8, 16, 16),
    ("conv1", conv(8)),
    ("relu1", ops.ReLU()),
    ("conv2", conv(8)),
    ("branch", ops.Conv2d(8, 8, 1), [""]),
    ("inner", ops.Conv2d(8, 8, 1), ["relu1"]),
    ("add", ops.Add(), ["conv2", "branch", "", "inner"]),
    ("relu2", ops.ReLU()),
)


def test_several_shortcuts_around_a_block_keep_apart_and_say_what_each_is() -> None:
    block = Region("block", tuple(list(FORK.nodes)[1:]), 0)
    forked = replace(FORK, regions=(Region("stage", (block,), 1),))
    laid = lay_out_blocks(distinct_blocks(forked))
    for check in GEOMETRY:
        check(laid)
    marks = [curve.mark.text for curve in laid.curves if curve.mark]
    assert sorted(marks) == ["1x1, 8", "1x1, 8", "identity"]
    starts = [curve.points[0] for curve in laid.curves if "shortcut" in curve.role]
    assert len(set(starts)) == 3


def test_blocks_of_many_networks_stand_in_rows() -> None:
    laid = lay_out_blocks(blocks("imagenet/resnet34", "imagenet/resnet50", "cifar10/preresnet164"))
    for check in GEOMETRY:
        check(laid)
    assert laid.width < 1500
    entries = {text.at.y for text in laid.texts if text.id.endswith("-entry")}
    assert len(entries) == 2


def test_the_word_output_stands_in_the_band_of_its_size() -> None:
    """Beside a column that goes on with smaller sizes."""
    headless = compile_data(
        {
            "name": "x",
            "input": [3, 32, 32],
            "stages": [{"block": "basic", "depth": 1, "width": 8, "shortcut": "B"}],
        }
    )
    laid = lay_out([column(headless), column(load("cifar10/resnet20"))])
    (word,) = [text for text in laid.texts if text.role == "output"]
    (band,) = [stripe for stripe in laid.stripes if stripe.id == "stripe-1"]
    assert band.top < word.at.y < band.bottom


@pytest.mark.parametrize("content", [None, b"12345678", "cut"])
def test_a_font_that_is_missing_or_damaged_is_told(
    content: bytes | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "font.ttf"
    if content is not None:
        raw = font.FILE.read_bytes()[:100_000] if content == "cut" else content
        path.write_bytes(raw if isinstance(raw, bytes) else b"")
    monkeypatch.setattr(font, "FILE", path)
    font.font_data.cache_clear()
    try:
        with pytest.raises(FigureError) as caught:
            draw([load("cifar10/resnet20")])
    finally:
        monkeypatch.undo()
        font.font_data.cache_clear()
    state = "missing" if content is None else "damaged"
    assert str(caught.value) == f"archc's own font {str(path)!r} is {state}; reinstall archc"


def test_no_pixels_at_all_are_refused() -> None:
    with pytest.raises(FigureError, match="`dpi` must be at least 1, not 0"):
        draw([load("cifar10/resnet20")], "png", DrawOptions(dpi=0))


def test_a_network_without_stages_has_no_blocks() -> None:
    odd = ODD["one pixel"]
    with pytest.raises(FigureError, match="there is no block to draw: odd has no stages"):
        draw([odd], "svg", DrawOptions(blocks=True))


def test_too_large_for_png_pdf_and_tex() -> None:
    large = [load("cifar10/resnet1202")]
    with pytest.raises(FigureError, match=r"pixels, more than the 32,767 .* draw it as SVG"):
        draw(large, "png")
    for format in ("pdf", "tex"):
        with pytest.raises(FigureError, match=r"points, more than the 14,400 .* draw it as SVG"):
            draw(large, format)


def test_resnet1202_is_drawn_unfolded() -> None:
    root = ElementTree.fromstring(draw([load("cifar10/resnet1202"), load("imagenet/resnet18")]))
    assert len(groups(root, "conv")) == 1201 + 17
    assert len(groups(root, "shortcut")) == 600 + 8


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(
        FigureError, match="`format` must be one of svg, png, pdf, tex, dot, not 'gif'"
    ):
        draw([load("cifar10/plain20")], "gif")
    with pytest.raises(FigureError, match="there is no network to draw"):
        draw([])


def test_the_environment_is_left_alone() -> None:
    before = dict(os.environ)
    draw([load("cifar10/plain20")])
    assert dict(os.environ) == before
