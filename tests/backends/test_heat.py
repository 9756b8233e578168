"""Figures shaded by shares: the numbers, the colours, the scale."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from geometry import GEOMETRY
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import compile_data, specs

import archc
from archc import ops
from archc.analysis import memory
from archc.backends.figure import THEMES, DrawOptions, draw, scene_of
from archc.backends.figure.attribution import attributions
from archc.backends.figure.scene import Rect, Scene
from archc.backends.figure.theme import fill_of
from archc.choices import HEATS
from archc.graph import Network
from archc.graph.network import FragmentBuilder, NetworkBuilder
from archc.spec import SpecError

NAMES = (
    "cifar10/preresnet110",
    "imagenet/resnet34-c",
    "imagenet/resnet50",
    "torchvision/convnext_tiny",
    "torchvision/densenet121",
    "torchvision/efficientnet_b0",
    "torchvision/googlenet",
    "torchvision/inception_v3",
    "torchvision/shufflenet_v2_x1_0",
    "torchvision/vgg16",
)


@cache
def load(name: str) -> Network:
    return archc.load(name)


@cache
def heated(name: str, by: str, fold: bool = False) -> Scene:
    return scene_of([load(name)], DrawOptions(fold=fold, heat=by))


def scale(scene: Scene) -> list[str]:
    return [box.label for box in scene.boxes if box.role == "scale"]


def box(scene: Scene, id: str) -> Rect:
    return next(box for box in scene.boxes if box.id == id)


@pytest.mark.parametrize("by", HEATS)
@pytest.mark.parametrize("name", NAMES)
def test_geometry(name: str, by: str) -> None:
    # Arrows to side heads run to the right.
    checks = [c for c in GEOMETRY if not load(name).sides or "arrows" not in c.__name__]
    for fold in (False, True):
        for check in checks:
            check(heated(name, by, fold))


@settings(max_examples=60)
@given(specs(), st.sampled_from(HEATS), st.booleans())
def test_geometry_of_random_specs(data: dict[str, object], by: str, fold: bool) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        return
    scene = scene_of([network, load("imagenet/resnet50")], DrawOptions(fold=fold, heat=by))
    for check in GEOMETRY:
        check(scene)


def test_the_shares_of_resnet50() -> None:
    scene = heated("imagenet/resnet50", "params")
    network = load("imagenet/resnet50")
    conv = box(scene, "c1-layer4.2.conv2")
    # The convolution with the norm after it, which has no box.
    held = 512 * 512 * 9 + 2 * 512
    assert conv.tooltip.splitlines()[-1] == (
        f"{held:,} parameters, {100 * held / network.params:.1f} % of the network's"
    )
    assert scale(scene) == ["0 %", "2.5 %", "5.0 %", "7.5 %", "10.0 %"]
    assert conv.heat == pytest.approx(held / network.params / 0.1)
    assert conv.shade is None


def test_a_folded_block_has_the_shares_of_all_that_it_represents() -> None:
    network = load("imagenet/resnet50")
    conv = box(heated("imagenet/resnet50", "multiply_adds", fold=True), "c1-layer3.1.conv2")
    product = 5 * network.nodes["layer3.1.conv2"].multiply_adds
    assert f"{product:,} multiply-adds, " in conv.tooltip


def test_projections_count_at_their_curves() -> None:
    scene = heated("imagenet/resnet50", "params")
    patches = [patch for patch in scene.boxes if patch.role == "heat"]
    assert [patch.id for patch in patches] == [f"c1-layer{n}.0.add-heat" for n in (1, 2, 3, 4)]
    network = load("imagenet/resnet50")
    ops = [id for id in network.nodes if id.startswith("layer4.0.downsample")]
    held = sum(network.nodes[id].params for id in ops)
    assert f"{held:,} parameters, " in patches[-1].tooltip


def test_what_a_curve_without_a_mark_holds_counts_at_the_box_above_its_end() -> None:
    piece = FragmentBuilder((4, 8, 8))
    first = piece.add("first", ops.Conv2d(4, 4, 3, padding=1, bias=False))
    second = piece.add("second", ops.Conv2d(4, 4, 3, padding=1, bias=False), first)
    norm = piece.add("norm", ops.BatchNorm2d(4), first)
    piece.add("add", ops.Add(), second, norm)
    builder = NetworkBuilder((4, 8, 8))
    builder.append(piece.build(), lambda step: step.name)
    scene = scene_of([Network("norms", builder.nodes)], DrawOptions(heat="params"))
    assert [curve.mark for curve in scene.curves if "shortcut" in curve.role] == [None]
    words = box(scene, "c1-second").tooltip.splitlines()[-1]
    assert words == "152 parameters, 51.4 % of the network's"  # 144 of 296, and 8 of the norm


@pytest.mark.parametrize("name", NAMES)
def test_the_shares_add_up(name: str) -> None:
    network = load(name)
    for fold in (False, True):
        scene = scene_of([network], DrawOptions(fold=fold))
        (found,) = attributions(scene, [network], fold)
        ops = [op for thing in found.ops for op in found.all_ops(thing)]
        assert len(ops) == len(set(ops)) == len(network.nodes)
        assert set(ops) == set(network.nodes)
        params = {node.id: node.params for node in network.nodes.values()}
        things = {rect.id for rect in scene.boxes}
        things |= {curve.id for curve in scene.curves if curve.mark}
        seen = [op for thing in found.ops if thing in things for op in found.all_ops(thing)]
        assert sum(params[op] for op in seen) == network.params


def test_memory_is_what_a_training_step_keeps() -> None:
    network = load("cifar10/preresnet110")
    scene = heated("cifar10/preresnet110", "memory")
    kept = {row.name: row.kept for row in memory(network).rows}
    words = box(scene, "c1-conv1").tooltip.splitlines()[-1]
    assert words.endswith("of the network's")
    assert "of activations saved for training, " in words
    assert sum(kept.values()) == memory(network).training


def test_a_network_that_holds_nothing_has_no_scale() -> None:
    network = compile_data(
        {"name": "pools", "input": [3, 8, 8], "stem": [{"max_pool": {"kernel": 2}}]}
    )
    scene = scene_of([network], DrawOptions(heat="params"))
    assert not scale(scene)
    assert "no parameters" in [text.text for text in scene.texts]


def test_scales_end_in_round_numbers() -> None:
    labels = scale(scene_of([load("torchvision/vgg16")], DrawOptions(heat="params")))
    assert labels == ["0 %", "20 %", "40 %", "60 %", "80 %"]
    labels = scale(scene_of([load("imagenet/resnet50")], DrawOptions(heat="multiply_adds")))
    assert labels == ["0 %", "0.8 %", "1.6 %", "2.4 %", "3.2 %"]


# Colours


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def lightness(colour: str) -> float:
    """L* (CIE 1976)."""
    y = luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else 24389 / 27 * y


@pytest.mark.parametrize("name", THEMES)
def test_labels_keep_their_contrast_on_every_shade(name: str) -> None:
    theme = THEMES[name]
    ink = luminance(theme.ink)
    for step in range(101):
        ground = luminance(theme.warmth(step / 100))
        ratio = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert ratio >= 4.5, step


@pytest.mark.parametrize("name", THEMES)
def test_shades_can_be_read_by_their_lightness_alone(name: str) -> None:
    """That holds in grey, and whatever colours an eye sees."""
    theme = THEMES[name]
    found = [lightness(theme.warmth(step / 20)) for step in range(21)]
    steps = [after - before for before, after in itertools.pairwise(found)]
    sign = 1 if name == "dark" else -1
    assert min(sign * step for step in steps) > 0.5
    fifths = [lightness(theme.warmth(step / 4)) for step in range(5)]
    assert min(abs(b - a) for a, b in itertools.pairwise(fifths)) > 5


def test_shades_are_what_files_have() -> None:
    scene = heated("imagenet/resnet50", "params")
    fill = fill_of(box(scene, "c1-layer4.2.conv2"), THEMES["dark"])
    drawn = draw(
        [load("imagenet/resnet50")], "svg", DrawOptions(heat="params", theme="dark")
    ).decode()
    assert f'fill="{fill}"' in drawn
