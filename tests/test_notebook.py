"""What notebooks show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from strategies import compile_data

import archc


def test_a_network_shows_its_figure_and_totals() -> None:
    network = archc.load("imagenet/resnet34")
    shown = network._repr_html_()
    assert shown is not None
    root = ElementTree.fromstring(shown)
    assert root.findtext("p/strong") == "34-layer residual"
    told = "".join(root.find("p").itertext())  # type: ignore[union-attr]
    assert "34 layers, 21.62 M parameters, 3.64 G multiply-adds, for one 3x224x224 image" in told
    svg = network._repr_svg_()
    assert svg is not None
    assert svg.startswith("<svg")
    assert svg in shown


def test_networks_are_folded() -> None:
    shown = archc.load("imagenet/resnet34")._repr_svg_()
    assert shown is not None
    assert "× 3" in shown
    shown = archc.load("cifar10/resnet1202")._repr_svg_()
    assert shown is not None
    assert "× 200" in shown
    assert len(shown) < 50_000


def test_its_style_is_of_its_own_figure_alone() -> None:
    shown = archc.load("imagenet/resnet18")._repr_html_() or ""
    (name,) = re.findall(r'^<div id="(archc-[0-9a-f]{8}-)network">', shown)
    (style,) = re.findall("<style>(.*?)</style>", shown, re.DOTALL)
    selectors = re.findall(r"(?m)^([^@}\n][^{]*)\{", style)
    assert len(selectors) > 10
    for selector in selectors:
        assert f"#{name}" in selector, selector


def test_a_hostile_title_is_text() -> None:
    data = {"name": "x", "title": "<script>alert(1)</script>", "head": ["relu"]}
    shown = compile_data(data)._repr_html_()
    assert shown is not None
    assert "<script" not in shown


def test_networks_in_one_notebook_share_no_id() -> None:
    shown = [archc.load(f"imagenet/{name}")._repr_html_() or "" for name in ("resnet18", "plain18")]
    ids = [set(re.findall(r' id="([^"]*)"', text)) for text in shown]
    assert ids[0].isdisjoint(ids[1])
    for text, own in zip(shown, ids, strict=True):
        assert set(re.findall(r'aria-[a-z]+by="([^"]*)"', text)) <= own
