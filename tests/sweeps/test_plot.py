"""Plots of sweeps: nothing cut, the front in steps, labels that cover nothing."""

from __future__ import annotations

import random
from array import array
from pathlib import Path
from typing import Any

import pytest
from plotted import (
    assert_embeds_the_shipped_font_alone,
    assert_legible,
    laid_out,
    legend_of,
    texts_of,
)

import archc
from archc.spec import Source, resolve
from archc.sweeps import Plan, parse_axes
from archc.sweeps.labels import place_labels
from archc.sweeps.plot import Points, front, plot
from archc.sweeps.swept import SweepRow
from archc.widths import COLUMN, PAGE

pytest.importorskip("matplotlib")


def swept(spec: str, *vary: str) -> Points:
    """A sweep's points as the command line labels them."""
    found = [one for one in archc.sweep(spec, list(vary)) if isinstance(one, SweepRow)]
    network = archc.load(spec)
    points = Points(
        network.title,
        array("d", [one.params for one in found]),
        array("d", [one.multiply_adds for one in found]),
        (network.params, network.multiply_adds),
    )
    labels = {place: ", ".join(map(str, found[place].settings.values())) for place in front(points)}
    varied = ", ".join(axis.partition("=")[0] for axis in vary)
    return Points(points.title, points.params, points.multiply_adds, points.base, labels, varied)


def scattered(seed: int) -> Points:
    """Points anywhere, few or many, in any range."""
    chance = random.Random(seed)
    count = chance.choice([1, 2, 5, 40, 400])
    scale, spread = 10 ** chance.uniform(0, 12), 10 ** chance.uniform(0, 3)
    params = [float(int(scale * chance.uniform(1, spread))) for _ in range(count)]
    adds = [float(int(scale * chance.uniform(1, spread))) for _ in range(count)]
    base = (int(params[0]), int(adds[0])) if seed % 2 else None
    names = {place: "x" * chance.randint(1, 30) for place in range(count)}
    return Points("a", params, adds, base, names, "depth")


SWEEPS = [
    ("imagenet/resnet50", "depth[3]=4..36:4", "width=x0.5..x2:0.25"),
    ("imagenet/resnet34", "shortcut=A,B,C"),
    ("cifar10/resnet20", "depth=1..20"),
    ("cifar10/resnet20", "depth=3"),
    ("torchvision/vgg16_bn", "width[4]=64,512", "depth=1..2"),
]


def test_the_front_has_the_most_parameters_for_their_multiply_adds() -> None:
    points = Points("x", params=[5, 3, 9, 9, 1], multiply_adds=[2, 1, 4, 5, 2])
    assert front(points) == [1, 0, 2]


def test_the_front_of_a_sweep_is_not_dominated() -> None:
    found = [
        (one.layers, one.params, one.multiply_adds)
        for one in archc.sweep("imagenet/resnet50", ["depth=1..4", "width=x0.5,x1"])
        if isinstance(one, SweepRow)
    ]
    points = Points("x", [n[1] for n in found], [n[2] for n in found])
    chosen = set(front(points))
    for place, (_, params, work) in enumerate(found):
        better = [n for n in found if n[1] >= params and n[2] <= work and n[1:] != (params, work)]
        assert (place in chosen) == (not better)


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_a_plot_is_the_same_byte_for_byte(format: str) -> None:
    points = swept("cifar10/resnet20", "depth=1..5")
    assert plot(points, format) == plot(points, format)


def test_a_plot_is_set_in_the_shipped_font() -> None:
    points = swept("imagenet/resnet50", "depth[3]=4..36:8", "width=x0.5,x1")
    texts = texts_of(plot(points, "svg").content)
    for words in ("10 variants", "labels: depth[3], width", "50-layer residual", "36, x1"):
        assert words in texts
    assert_embeds_the_shipped_font_alone(plot(points, "pdf").content)


@pytest.mark.parametrize("width", [142.0, COLUMN, PAGE])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_nothing_is_cut_and_nothing_overlaps(
    sweep: tuple[str, ...], width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.sweeps.plot")
    content = plot(swept(*sweep), "svg", width).content
    (figure,) = figures
    assert f'width="{width:.6g}'[:10].encode() in content
    assert_legible(figure)
    assert_within_the_frame(figure)


@pytest.mark.parametrize("seed", range(16))
def test_no_point_of_any_sweep_is_cut(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = laid_out(monkeypatch, "archc.sweeps.plot")
    points = scattered(seed)
    drawn = plot(points, "svg")
    (figure,) = figures
    assert_legible(figure)
    assert_within_the_frame(figure)
    assert drawn.left_out + len(figure.axes[0].texts) == len(front(points))


def assert_within_the_frame(figure: Any) -> None:
    """Every point with its marker, and every label."""
    (axes,) = figure.axes
    frame = axes.bbox
    (scatter,) = axes.collections
    marked = [(scatter.get_offsets(), 1.5)]
    marked += [(line.get_xydata(), line.get_markersize() / 2) for line in axes.lines]
    for places, radius in marked:
        at = axes.transData.transform(places)
        assert at[:, 0].min() - radius >= frame.x0
        assert at[:, 0].max() + radius <= frame.x1
        assert at[:, 1].min() - radius >= frame.y0
        assert at[:, 1].max() + radius <= frame.y1
    texts = [text.get_window_extent() for text in axes.texts]
    for box in texts:
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1
        for places, _ in marked:
            assert not box.count_contains(axes.transData.transform(places))


def test_the_front_is_drawn_in_steps_and_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = laid_out(monkeypatch, "archc.sweeps.plot")
    drawn = plot(swept("cifar10/resnet20", "depth=1..6"), "svg")
    (axes,) = figures[0].axes
    assert axes.lines[0].get_drawstyle() == "steps-post"
    assert drawn.left_out == 0
    assert [text.get_text() for text in axes.texts] == ["1", "6", "3", "2", "4", "5"]
    assert legend_of(figures[0]) == [
        "6 variants",
        "Pareto front: the most parameters for their multiply-adds\nlabels: depth",
        "20-layer residual",
    ]


def test_numbers_are_short_and_their_unit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = laid_out(monkeypatch, "archc.sweeps.plot")
    plot(Points("x", [1.9e6, 2e6, 2.2e6], [1e9, 3e9, 1.1e10]), "svg")
    plot(Points("x", [1e6, 1e8], [1e9, 3e9]), "svg")
    linear, logarithmic = (figure.axes[0] for figure in figures)
    assert linear.get_xlabel() == "multiply-adds for one image (G)"
    assert linear.get_ylabel() == "parameters (M)"
    numbers = [text.get_text() for text in linear.get_yticklabels()]
    assert {"1.9", "2.0", "2.1", "2.2"} <= set(numbers)
    assert len({len(number) for number in numbers}) == 1
    assert logarithmic.get_ylabel() == "parameters"
    assert "10\N{THIN SPACE}M" in [text.get_text() for text in logarithmic.get_yticklabels()]
    assert logarithmic.get_xscale() == "linear"


@pytest.mark.parametrize(
    ("params", "adds"), [([0.0], [0.0]), ([0.0, 0.0], [1e9, 2e9]), ([5.0] * 3, [7.0] * 3)]
)
def test_numbers_that_are_all_the_same(
    params: list[float], adds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.sweeps.plot")
    plot(Points("x", params, adds, labels={0: "1"}, varied="depth"), "svg")
    assert_within_the_frame(figures[0])


def test_many_points_are_one_image_and_quick() -> None:
    chance = random.Random(0)
    numbers = [chance.uniform(1e6, 1e8) for _ in range(20_000)]
    points = Points("x", numbers, numbers[::-1])
    svg = plot(points, "svg").content
    assert svg.count(b"<image") == 1
    assert len(svg) < 400_000
    assert "20,000 variants" in texts_of(svg)


def test_labels_go_where_there_is_room_and_the_ends_come_first() -> None:
    anchors = [(10.0, 10.0), (12.0, 12.0), (14.0, 14.0), (90.0, 90.0)]
    frame = (0.0, 0.0, 100.0, 100.0)
    found = place_labels(anchors, [(8, 8)] * 4, [2] * 4, [], frame)
    assert sorted(found) == [0, 1, 2, 3]
    found = place_labels(anchors, [(8, 8)] * 4, [2] * 4, [(0, 11, 9, 100)], frame)
    assert found[0][1] < 10  # not above, where there is an obstacle
    assert place_labels(anchors, [(99, 8)] * 4, [2] * 4, [], frame) == {}
    assert place_labels([], [], [], [], frame) == {}


@pytest.mark.parametrize(
    "vary", [["depth=1..7"], ["depth=1,3", "width=x0.5..x2:0.5", "shortcut=A,B"], []]
)
def test_what_a_variant_of_an_index_sets(vary: list[str]) -> None:
    source = Source("x", "extends: cifar10/resnet20\nname: x")
    sweep = Plan(source, parse_axes(vary, resolve(source)))
    assert [sweep.settings_of(index) for index in range(sweep.count)] == list(sweep.settings())


def test_a_width_that_no_plot_has(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^30pt is too narrow: the minimum is 5cm$"):
        plot(Points("x", [1], [1]), "svg", 30)
