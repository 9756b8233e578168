"""Figures for paper: sizes of type, colours, and what is chosen to be shown."""

from __future__ import annotations

import warnings
from itertools import combinations, pairwise

import pytest
from geometry import GEOMETRY

import archc
from archc.backends.figure import THEMES, DrawOptions, FigureError, draw
from archc.backends.figure.blocks import distinct_blocks, lay_out_blocks
from archc.backends.figure.chosen import chosen_blocks
from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.fitting import HEIGHT, fit_blocks, fit_columns
from archc.backends.figure.layout import lay_out
from archc.backends.figure.metrics import LARGE, TIGHT, WIDE
from archc.backends.figure.scene import Scene
from archc.errors import ArchcWarning
from archc.graph import Network
from archc.widths import COLUMN, PAGE

PAPER = ("imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34")
RESNETS = tuple(f"imagenet/resnet{depth}" for depth in (18, 34, 50, 101, 152))


def load(name: str) -> Network:
    return archc.load(name)


def fitted(
    names: tuple[str, ...], width: float | None, size: float | None = None, fold: bool = False
) -> Scene:
    whole = [column(load(name)) for name in names]
    shown = [folded_column(load(name)) for name in names] if fold else whole
    return fit_columns(shown, whole, width, size)


def points(scene: Scene) -> float:
    """The size of type of labels."""
    return WIDE.label * scene.scale


@pytest.mark.parametrize(
    ("names", "width", "fold", "least"),
    [
        (PAPER, COLUMN, False, 6.5),
        (("imagenet/resnet152",), COLUMN, True, 7.0),
        (RESNETS, PAGE, True, 6.0),
        (("torchvision/densenet121",), COLUMN, True, 7.0),
        (("timm/seresnet50",), COLUMN, True, 6.0),
    ],
)
def test_labels_are_large_enough_in_print(
    names: tuple[str, ...], width: float, fold: bool, least: float
) -> None:
    scene = fitted(names, width, fold=fold)
    assert points(scene) >= least
    assert scene.width <= width + 0.01
    assert scene.height <= HEIGHT + 0.01
    small = [box.size for box in scene.boxes] + [text.size for text in scene.texts]
    assert min(small) >= 5 or points(scene) < 7


@pytest.mark.parametrize("names", [PAPER, RESNETS[2:4], ("torchvision/inception_v3",)])
@pytest.mark.parametrize("check", GEOMETRY)
def test_the_geometry_of_tight_figures(names: tuple[str, ...], check: object) -> None:
    columns = [column(load(name)) for name in names]
    if not any(one.sides for one in columns):  # the arrow of a side head is level
        check(lay_out(columns, metrics=TIGHT))  # type: ignore[operator]


def test_a_figure_takes_the_room_that_a_width_leaves() -> None:
    narrow, wide = fitted(PAPER, COLUMN), fitted(PAPER, PAGE)
    assert points(wide) == pytest.approx(points(narrow), abs=0.2)  # both are as high as the page
    assert "output size: 56" in [text.text for text in wide.texts]
    assert {"output", "size", "56"} <= {text.text for text in narrow.texts}


def test_type_is_as_large_as_asked_for() -> None:
    assert points(fitted(PAPER, None, 7)) == pytest.approx(7)
    assert points(fitted(PAPER, PAGE, 6)) == pytest.approx(6)
    assert points(fitted(("imagenet/resnet18",), PAGE)) == pytest.approx(9)  # never above
    blocks = distinct_blocks(load("imagenet/resnet50"))
    assert LARGE.label * fit_blocks(blocks, None, 8).scale == pytest.approx(8)
    narrow = fit_blocks(blocks, COLUMN, None)
    assert narrow.width <= COLUMN
    assert len({text.at.y for text in narrow.texts if text.id.endswith("-entry")}) == 3


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (
            RESNETS,
            DrawOptions(width=COLUMN),
            "labels are 1.9 pt, which is hard to read in print; for larger ones use --fold or "
            "fewer networks",
        ),
        (
            RESNETS,
            DrawOptions(fold=True, width=COLUMN),
            "labels are 3.1 pt, which is hard to read in print; for larger ones use fewer networks "
            "or --width page",
        ),
        (
            PAPER,
            DrawOptions(width=COLUMN, font_size=9),
            "at this font size the figure is 10.4 cm wide, more than the 8.2 cm asked for",
        ),
        (PAPER, DrawOptions(width=PAGE, font_size=4), "labels are 4.0 pt, which is hard"),
    ],
)
def test_type_that_cannot_be_read_is_warned_of(
    names: tuple[str, ...], options: DrawOptions, words: str
) -> None:
    with pytest.warns(ArchcWarning) as told:
        draw([load(name) for name in names], "svg", options)
    assert str(told[0].message).startswith(words)


def test_type_that_can_be_read_is_not_warned_of() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        draw([load(name) for name in PAPER], "svg", DrawOptions(width=COLUMN))
    assert told == []


# Colours


def lab(colour: str | tuple[float, float, float]) -> tuple[float, float, float]:
    """A colour in CIE L*a*b* (D65)."""
    r, g, b = linear(colour) if isinstance(colour, str) else colour
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def linear(colour: str) -> tuple[float, float, float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return r, g, b


SEEN_BY = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopes": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopes": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopes": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB."""


@pytest.mark.parametrize("eyes", SEEN_BY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_octaves_can_be_told_from_each_other(theme: str, eyes: str) -> None:
    """By a distance of 10 in CIE76, for any two of the ten."""
    seen = []
    for fill in THEMES[theme].fills:
        rgb = linear(fill)
        r, g, b = (
            min(max(sum(w * c for w, c in zip(row, rgb, strict=True)), 0.0), 1.0)
            for row in SEEN_BY[eyes]
        )
        seen.append(lab((r, g, b)))
    apart = [
        sum((p - q) ** 2 for p, q in zip(one, other, strict=True)) ** 0.5
        for one, other in combinations(seen, 2)
    ]
    assert min(apart) >= 10


@pytest.mark.parametrize(("theme", "least"), [("light", 3.0), ("dark", 3.0), ("grey", 3.5)])
def test_wider_is_darker_in_grey_too(theme: str, least: float) -> None:
    lightness = [lab(fill)[0] for fill in THEMES[theme].fills]
    steps = [one - other for one, other in pairwise(lightness)]
    assert min(steps if theme != "dark" else [-step for step in steps]) >= least


def test_a_width_has_one_colour_in_every_figure() -> None:
    shades: dict[str, set[int | None]] = {}
    for name in ("imagenet/resnet50", "imagenet/vgg19", "torchvision/mobilenet_v2"):
        for box in lay_out([column(load(name))]).boxes:
            if box.role == "conv" and ", 64" in box.label and "1x1" not in box.label:
                shades.setdefault(name, set()).add(box.shade)
    assert set().union(*shades.values()) == {3}
    odd = [box.is_odd for box in lay_out([column(load("torchvision/mobilenet_v2"))]).boxes]
    assert any(odd)
    assert not all(odd)


# What is shown


def test_blocks_are_chosen_by_type_by_class_and_by_place() -> None:
    networks = [load("imagenet/resnet34"), load("imagenet/resnet50")]
    by_type = chosen_blocks(networks, ["basic", "bottleneck"])
    by_class = chosen_blocks(networks, ["BasicBlock", "Bottleneck"])
    assert [one.name for one in by_type] == [one.name for one in by_class]
    assert [one.label for one in by_type] == ["BasicBlock"] * 2 + ["Bottleneck"] * 3
    at = chosen_blocks(networks, ["1:1"])
    assert [(one.name, one.place) for one in at] == [
        ("BasicBlock", "stage 1, block 1"),
        ("Bottleneck", "stage 1, block 1"),
    ]


def test_the_paper_s_own_figure_5() -> None:
    networks = [load("imagenet/resnet34"), load("imagenet/resnet50")]
    laid = lay_out_blocks(chosen_blocks(networks, ["1:1"]))
    assert [box.label for box in laid.boxes] == [
        *("3x3, 64", "3x3, 64", "+"),
        *("1x1, 64", "3x3, 64", "1x1, 256", "+"),
    ]
    entries = [text.text for text in laid.texts if text.role == "entry"]
    assert entries == ["64-d", "256-d"]
    assert [curve.mark.text for curve in laid.curves if curve.mark] == ["identity"] * 2


def test_blocks_of_a_network_without_stages_are_those_used_as_layers() -> None:
    names = [one.name for one in distinct_blocks(load("torchvision/inception_v3"))]
    assert names == ["InceptionA", "InceptionB", "InceptionC", "InceptionD", "InceptionE"]


@pytest.mark.parametrize(
    ("names", "block", "words"),
    [
        (
            ["imagenet/resnet50"],
            "basic",
            "resnet50 has no block `basic`; choose from `bottleneck`",
        ),
        (
            ["imagenet/resnet50"],
            "5:0",
            "resnet50 has no block 5:0 (stages count from 1, blocks from 0); its stages have 3, 4, "
            "6 and 3 blocks",
        ),
        (
            ["imagenet/resnet50", "imagenet/resnet34"],
            "mbconv",
            "none of the networks has a block `mbconv`; choose from `bottleneck` and `basic`",
        ),
    ],
)
def test_a_block_that_is_not_there(names: list[str], block: str, words: str) -> None:
    with pytest.raises(FigureError) as told:
        draw([load(name) for name in names], "svg", DrawOptions(block=(block,)))
    assert str(told.value) == words


def test_norms_show_what_pre_activation_changes() -> None:
    def around(name: str) -> list[str]:
        laid = lay_out([folded_column(load(name), with_norms=True)])
        for check in GEOMETRY:
            check(laid)
        assert "batch norm" in [text.text for text in laid.texts if text.role == "legend"]
        return [text.text for text in laid.texts if text.role == "relu"]

    after, before = around("cifar10/resnet110"), around("cifar10/preresnet110")
    assert after != before
    assert after[:5] == ["bn, relu", "bn, relu", "bn", "relu", "bn, relu"]
    assert before[:3] == ["bn, relu", "bn, relu", "bn, relu"]
    plain = lay_out([column(load("cifar10/resnet110"))])
    assert not [text for text in plain.texts if text.role == "relu"]


def test_norms_of_blocks_are_named_when_asked_for() -> None:
    blocks = chosen_blocks([load("imagenet/resnet50")], ["1:1"])
    words = [
        text.text for text in lay_out_blocks(blocks, with_norms=True).texts if text.role == "relu"
    ]
    assert words == ["bn, relu", "bn, relu", "bn", "relu"]
