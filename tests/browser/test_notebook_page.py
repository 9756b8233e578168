"""A network as notebooks show it, in headless Chromium: their theme, their width."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Watched

import archc
from archc.backends.figure import THEMES
from archc.backends.figure.theme import octave

PAGE = """<!doctype html><meta charset="utf-8"><title>notebook</title>
<body{theme} style="margin: 8px; width: auto">{cells}</body>"""


@pytest.fixture(scope="module")
def cells() -> str:
    names = ("imagenet/resnet50", "torchvision/vgg16")
    return "".join([f"<div>{archc.load(name)._repr_html_()}</div>" for name in names])


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        ("", None),
        (' data-jp-theme-light="true"', "light"),
        (' data-jp-theme-light="false"', "dark"),
        (' class="vscode-dark"', "dark"),
    ],
)
def test_it_follows_the_notebook_s_theme(
    shared: Watched, tmp_path: Path, cells: str, scheme: str, attribute: str, wanted: str | None
) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(PAGE.format(theme=attribute, cells=cells), encoding="utf-8")
    page = shared.open(path)
    theme = THEMES[wanted or scheme]
    for selector, colour in (
        ("[id$='-figure'] > rect", theme.paper),
        ("[id$='-c1-conv1'] rect", theme.fills[octave(64)]),
        ("[id$='-c1-features.0'] rect", theme.fills[octave(64)]),
    ):
        fill = page.locator(selector).first.evaluate("one => getComputedStyle(one).fill")
        assert fill == rgb(colour)
    for width in (1400, 400, 250):
        page.set_viewport_size({"width": width, "height": 800})
        assert not shared.overflows
        assert shared.broken_numbers() == []
    assert shared.complaints == []
