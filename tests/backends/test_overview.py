"""The overview: a box per stage, what it says of it, and that nothing is in the way of another."""

from __future__ import annotations

import re
from functools import cache

import pytest
from geometry import GEOMETRY
from hypothesis import given, settings
from strategies import compile_data, specs

import archc
from archc.backends.figure import DrawOptions, FigureError, draw
from archc.backends.figure.overview import HEADS, lay_out_overview
from archc.backends.figure.scene import Scene
from archc.backends.figure.stages import MAX_STAGES, share, stages
from archc.backends.figure.theme import octave
from archc.graph import Network
from archc.shipped import shipped_names
from archc.spec import SpecError

FAMILIES = (
    "cifar10/preresnet110",
    "imagenet/resnet50",
    "imagenet/vgg19",
    "timm/repvgg_a0",
    "timm/vovnet39a",
    "torchvision/alexnet",
    "torchvision/convnext_tiny",
    "torchvision/densenet121",
    "torchvision/efficientnet_b0",
    "torchvision/efficientnet_v2_s",
    "torchvision/googlenet",
    "torchvision/inception_v3",
    "torchvision/mnasnet1_0",
    "torchvision/mobilenet_v3_large",
    "torchvision/mobilenet_v3_small",
    "torchvision/regnet_y_400mf",
    "torchvision/shufflenet_v2_x1_0",
    "torchvision/squeezenet1_0",
)
PAGE = 17 / 2.54 * 72
"""The width of a page's text in points."""


@cache
def load(name: str) -> Network:
    return archc.load(name)


@cache
def overview(*names: str) -> Scene:
    return lay_out_overview([load(name) for name in names])


def words(scene: Scene, ending: str) -> list[str]:
    """Texts whose ids end so, from left to right."""
    found = [text for text in scene.texts if text.id.endswith(ending)]
    return [text.text for text in sorted(found, key=lambda text: text.at.x)]


@pytest.mark.parametrize("name", FAMILIES)
def test_geometry(name: str) -> None:
    for check in GEOMETRY:
        check(overview(name))


@pytest.mark.parametrize("check", GEOMETRY)
def test_geometry_of_several(check: object) -> None:
    assert callable(check)
    check(overview(*FAMILIES))


@settings(max_examples=60)
@given(specs())
def test_geometry_of_random_specs(data: dict[str, object]) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        return
    scene = lay_out_overview([network, load("imagenet/resnet50")])
    for check in GEOMETRY:
        check(scene)


def test_every_shipped_network_has_all_it_costs_in_its_stages() -> None:
    for name in shipped_names():
        network = load(name)
        found = stages(network)
        assert sum(stage.params for stage in found) == network.params, name
        assert sum(stage.multiply_adds for stage in found) == network.multiply_adds, name
        assert 3 <= len(found) <= MAX_STAGES + 2, name


@pytest.mark.parametrize("name", [name for name in FAMILIES if "preresnet" not in name])
def test_labels_are_legible_on_a_page(name: str) -> None:
    scene = overview(name)
    size = min(text.size for text in scene.texts) * PAGE / max(scene.width, PAGE)
    assert size >= 7
    assert not [text.text for text in scene.texts if text.text.endswith("…")]


def test_what_it_says_of_resnet50() -> None:
    assert [stage.label for stage in stages(load("imagenet/resnet50"))] == [
        "7x7 conv, 64, /2; pool, /2",
        "bottleneck, 64, × 3",
        "bottleneck, 128, × 4",
        "bottleneck, 256, × 6",
        "bottleneck, 512, × 3",
        "avg pool; fc 1000",
    ]
    scene = overview("imagenet/resnet50")
    sizes = ["56x56", "56x56", "28x28", "14x14", "7x7", "1x1"]
    assert [box.label for box in scene.boxes] == sizes
    shades = [octave(width) for width in (64, 64, 128, 256, 512)]
    assert [box.shade for box in scene.boxes] == [*shades, None]
    assert words(scene, "-title") == ["50-layer residual"]
    assert words(scene, "-total-1") == ["3.86 G multiply-adds, 25.56 M parameters"]


@pytest.mark.parametrize("name", ["imagenet/resnet50", "torchvision/efficientnet_b0"])
def test_shares_are_those_of_archc_count(name: str) -> None:
    counted = archc.count(name)
    for head, what in zip(HEADS, ("multiply_adds", "params"), strict=True):
        total = getattr(counted, what)
        expected = [share(getattr(row, what), total) for row in counted.rows]
        shown = [text for text in overview(name).texts if text.id.endswith(f"-{head}")]
        assert [text.text for text in shown if text.role == "share"] == expected


def test_stages_are_as_high_as_the_roots_of_their_maps() -> None:
    heights = {box.label: box.height for box in overview("imagenet/resnet50").boxes}
    assert heights["56x56"] / heights["28x28"] == pytest.approx(2**0.5)
    assert heights["28x28"] / heights["7x7"] == pytest.approx(2)


def test_networks_with_as_many_stages_are_aligned() -> None:
    scene = overview("imagenet/resnet50", "imagenet/resnet18", "torchvision/vgg16")
    places = {box.id: box.centre.x for box in scene.boxes}
    for stage in ("stem", "stage-1", "stage-4", "head"):
        assert places[f"c1-{stage}"] == places[f"c2-{stage}"]
    assert places["c3-stage-1"] == places["c1-stage-1"]  # it has no stem


def test_many_stages_are_shown_by_the_size_of_their_maps() -> None:
    found = stages(load("torchvision/mobilenet_v3_large"))
    assert [(stage.name, stage.label) for stage in found[2:6]] == [
        ("stages 2 to 3", "inverted residual, 24, × 2"),
        ("stages 4 to 5", "inverted residual, 40, × 3"),
        ("stages 6 to 10", "inverted residual, 80 to 112, × 6"),
        ("stages 11 to 12", "inverted residual, 160, × 3"),
    ]


def test_a_network_without_stages_is_divided_by_the_size_of_its_maps() -> None:
    found = stages(load("torchvision/inception_v3"))
    assert [(stage.size, stage.label) for stage in found[3:]] == [
        ("71x71", "3x3 conv, 192"),
        ("35x35", "InceptionA, 256 to 288, × 3"),
        ("17x17", "InceptionC, 768, × 4, and 1 other; AuxLogits (training)"),
        ("8x8", "InceptionE, 2048, × 2, and 1 other"),
        ("1x1", "avg pool; fc 1000"),
    ]


def test_tooltips_and_description() -> None:
    scene = overview("imagenet/resnet50")
    assert scene.boxes[1].tooltip.splitlines() == [
        "stage 1: bottleneck, 64, × 3",
        "output 256x56x56",
        "667,942,912 multiply-adds, 17.3 %",
        "215,808 parameters, 0.8 %",
    ]
    assert scene.title == "Overview of 50-layer residual"
    assert "stage 4 (bottleneck, 512, × 3, 7x7, 19.0 % of multiply-adds)" in scene.description


def test_a_network_without_layers_is_drawn() -> None:
    nothing = compile_data({"name": "nothing", "input": [3, 8, 8], "stem": ["relu"]})
    assert stages(nothing) == []
    for check in GEOMETRY:
        check(lay_out_overview([nothing]))


@pytest.mark.parametrize("format", ["svg", "png", "pdf", "dot"])
def test_every_format_has_it(format: str) -> None:
    drawn = draw([load("imagenet/resnet50")], format, DrawOptions(overview=True))
    assert drawn == draw([load("imagenet/resnet50")], format, DrawOptions(overview=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DrawOptions(overview=True, fold=True), "`fold` cannot be used with `overview`, which"),
        (DrawOptions(overview=True, blocks=True), "`overview` cannot be used with `blocks`"),
        (DrawOptions(overview=True, diff=True), "`overview` cannot be used with `diff`"),
        (DrawOptions(overview=True, heat="params"), "`overview` cannot be used with `heat`"),
        (DrawOptions(blocks=True, heat="params"), "`blocks` cannot be used with `heat`"),
        (DrawOptions(diff=True, heat="params"), "`diff` cannot be used with `heat`"),
        (DrawOptions(diff=True), "`diff` needs exactly two specs, not 1"),
        (
            DrawOptions(heat="flops"),
            "`heat` must be one of params, multiply_adds, memory, not 'flops'",
        ),
    ],
)
def test_options_that_cannot_be_used_together(options: DrawOptions, message: str) -> None:
    with pytest.raises(FigureError, match=re.escape(message)):
        draw([load("imagenet/resnet50")], "svg", options)
