"""The report as readers use it, in headless Chromium: pointing, keyboard, dark, print."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import Watched
from playwright.sync_api import Page, expect
from strategies import HOSTILE, compile_data

import archc
from archc.backends.figure import THEMES
from archc.graph import Network
from archc.pages import report


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ["imagenet/plain34", "imagenet/resnet34"]
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report([archc.load(name) for name in names], names), encoding="utf-8")
    return file


def box(page: Page, name: str) -> str:
    return f"[id='{name}']"


def test_pointing_at_a_box_shows_its_layer_and_marks_its_row(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    page.hover(box(page, "c2-layer2.0.conv1"))
    details = page.locator("#details")
    expect(details.locator(".name")).to_have_text("layer2.0.conv1")
    told = dict(
        zip(
            details.locator("dt").all_inner_texts(),
            details.locator("dd").all_inner_texts(),
            strict=True,
        )
    )
    assert told["input"] == "64x56x56"
    assert told["output"] == "128x28x28"
    assert told["parameters"] == "73,728"
    assert told["multiply-adds"] == "57,802,752"
    assert told["share of multiply-adds"] == "1.6 %"
    row = page.locator("tr.marked")
    expect(row).to_have_count(1)
    expect(row).to_have_attribute("data-box", "c2-layer2.0.conv1")
    page.hover(box(page, "c1-conv1"))
    expect(row).to_have_attribute("data-box", "c1-conv1")
    expect(page.locator("#figure .marked")).to_have_count(1)
    widths = [
        page.locator(f"{box(page, name)} rect").evaluate("one => getComputedStyle(one).strokeWidth")
        for name in ("c1-conv1", "c2-conv1")
    ]
    assert widths == ["2.4px", "0.7px"]
    strokes = [
        page.locator(f"{box(page, name)} rect").evaluate("one => getComputedStyle(one).stroke")
        for name in ("c1-conv1", "c2-conv1")
    ]
    assert strokes[0] != strokes[1]


def test_every_box_has_its_row(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    boxes = page.locator("#figure [role=button]")
    ids = boxes.evaluate_all("all => all.map(one => one.id)")
    rows = page.locator("tr[data-box]").evaluate_all("all => all.map(one => one.dataset.box)")
    assert sorted(ids) == sorted(rows)
    assert len(ids) == 36 * 2 + 3  # and the shortcuts that pad zeros


def test_a_projection_can_be_pointed_at(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report([archc.load("imagenet/resnet50")], ["imagenet/resnet50"]))
    page = watched.open(path)
    page.locator("[id='c1-layer1.0.add'] text").hover()
    expect(page.locator("#details .name")).to_have_text("layer1.0.downsample.0")
    expect(page.locator("tr.marked th")).to_have_text("layer1.0.downsample.0")
    page.locator("tr[data-box]", has_text="layer2.0.downsample.1").click()
    expect(page.locator("#figure .marked")).to_have_attribute("id", "c1-layer2.0.add")
    page.locator("[id='c1-layer1.0.conv1']").focus()
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "c1-layer1.0.add"


def test_the_keyboard_reaches_every_box_and_its_row(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    focus = "document.activeElement.id"
    page.locator("#theme").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(focus) == "c1-conv1"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focus) == "c1-maxpool"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focus) == "c2-maxpool"
    page.keyboard.press("End")
    assert page.evaluate(focus) == "c2-fc"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focus) == "c2-fc"
    expect(page.locator("#details .name")).to_have_text("fc")
    page.keyboard.press("Enter")
    assert page.evaluate(focus) == "row-c2-fc"
    page.keyboard.press("Escape")
    assert page.evaluate(focus) == "c2-fc"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focus) == "c1-conv1"
    # The figure is one stop of the tab key, not seventy-two.
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(focus) == "theme"


def test_colours_follow_the_reader_and_the_button(
    watched: Watched, path: Path, scheme: str
) -> None:
    page = watched.open(path)
    for wanted in (scheme, "light" if scheme == "dark" else "dark", scheme):
        theme = THEMES[wanted]
        fill = page.locator("[id='c2-conv1'] rect").evaluate("one => getComputedStyle(one).fill")
        paper = page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")
        assert fill == rgb(theme.fills[0])
        assert paper == rgb(theme.paper)
        page.click("#theme")


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_nothing_is_asked_for_and_nothing_complained_of(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    page.hover(box(page, "c2-fc"))
    page.click("summary >> nth=0")
    page.wait_for_timeout(100)
    assert watched.requests == [path.as_uri()]
    assert watched.complaints == []


@pytest.mark.parametrize("width", [1400, 500])
def test_axe_finds_no_violation(watched: Watched, path: Path, width: int) -> None:
    page = watched.open(path)
    page.set_viewport_size({"width": width, "height": 900})
    for summary in page.locator("summary").all():
        summary.click()
    page.hover(box(page, "c1-conv1"))
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_on_a_narrow_page_the_layer_pointed_at_is_in_sight(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    page.set_viewport_size({"width": 700, "height": 600})
    page.locator("#figure-section").scroll_into_view_if_needed()
    page.hover(box(page, "c1-conv1"))
    name = page.locator("#details .name")
    expect(name).to_have_text("conv1")
    expect(name).to_be_in_viewport()


def test_many_networks_stay_legible_and_axe_clean(watched: Watched, tmp_path: Path) -> None:
    names = ["cifar10/resnet20", "cifar10/plain20", "imagenet/resnet18", "imagenet/vgg19"] * 2
    path = tmp_path / "many.html"
    path.write_text(report([archc.load(name) for name in names], names), encoding="utf-8")
    page = watched.open(path)
    size = page.locator("#figure .conv text >> nth=0").bounding_box()
    assert size is not None
    assert size["height"] > 9
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_narrow_page_does_not_scroll_sideways(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_printed_it_has_the_figure_and_every_row(watched: Watched, path: Path) -> None:
    page = watched.open(path)
    page.emulate_media(media="print")
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("#details")).to_be_hidden()
    paper = page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")
    assert paper == "rgb(255, 255, 255)"  # whatever the reader prefers on the screen
    heights = page.locator(".tall").evaluate_all(
        "all => all.map(one => one.scrollHeight - one.clientHeight)"
    )
    assert all(height <= 1 for height in heights)
    assert page.pdf().startswith(b"%PDF")


def hostile() -> list[Network]:
    words = [
        *HOSTILE,
        "<script>window.harm = 1; alert(1)</script>",
        "</style></script><img src=x onerror='window.harm = 1'>",
        "{{ 7 * 7 }} {% raw %} ${window.harm = 1}",
        "x" * 10_000,
    ]
    found = []
    for number, text in enumerate(words):
        data = {"name": f"n{number}", "title": text, "description": text, "input": [1, 4, 4]}
        found.append(compile_data({**data, "head": ["flatten", {"linear": 2}]}))
    return found


def test_hostile_words_are_shown_and_never_run(watched: Watched, tmp_path: Path) -> None:
    networks = hostile()
    path = tmp_path / "hostile.html"
    names = [network.title for network in networks]
    path.write_text(report(networks, names), encoding="utf-8")
    page = watched.open(path)
    page.hover(box(page, "c1-fc"))
    assert page.evaluate("window.harm") is None
    assert watched.complaints == []
    assert watched.requests == [path.as_uri()]
    assert "<script>window.harm = 1" in page.locator("main").inner_text()
    assert "{{ 7 * 7 }}" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
