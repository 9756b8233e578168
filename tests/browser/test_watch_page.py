"""The page of ``archc watch`` as readers see it, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import Watched
from playwright.sync_api import Page, expect
from watching import SPEC, Watcher, watching

import archc
from archc.backends.figure import FORMATS, THEMES


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    file = tmp_path_factory.mktemp("watch") / "tiny.yaml"
    file.write_text(SPEC)
    with watching(file) as found:
        yield found


@pytest.fixture
def path(watcher: Watcher) -> Path:
    watcher.path.write_text(SPEC)
    return watcher.path


@pytest.fixture
def watched(shared: Watched) -> Watched:
    shared.complaints.clear()
    shared.requests.clear()
    shared.page.set_viewport_size({"width": 1400, "height": 1000})
    return shared


@pytest.fixture
def page(watched: Watched, watcher: Watcher, path: Path) -> Page:
    watched.page.goto(watcher.address)
    expect(watched.page.locator("#totals")).to_contain_text("9 layers")
    expect(watched.page.locator("#title")).to_have_text("Tiny")
    expect(watched.page.locator("#status")).to_have_text("up to date")
    return watched.page


def test_a_save_that_breaks_the_spec_and_one_that_mends_it(
    page: Page, path: Path, watched: Watched, watcher: Watcher
) -> None:
    expect(page.locator("#title")).to_have_text("Tiny")
    boxes = page.locator("#frame .conv")
    expect(boxes).to_have_count(8)
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: two, width: 16"))
    expect(page.locator("#status")).to_have_text("1 mistake")
    expect(page.locator("#faults pre")).to_have_text(
        "tiny.yaml:7:13: error: `depth` must be an integer from 1 to 10,000, not `two`\n"
        "    - {depth: two, width: 16, stride: 2}\n"
        "              ^"
    )
    expect(boxes).to_have_count(4)
    fault, mark = page.locator("#frame .fault"), page.locator("#mark")
    words = "stage 2: `depth` must be an integer from 1 to 10,000, not `two`"
    expect(mark).to_have_text(words)
    expect(fault.locator("text")).to_have_text("stage 2")
    assert fault.locator("rect").evaluate("one => getComputedStyle(one).strokeDasharray") != "none"
    assert page.title().startswith("\u26a0 Tiny")
    box, beside = fault.locator("rect").bounding_box(), mark.bounding_box()
    assert box is not None
    assert beside is not None
    assert beside["x"] > box["x"] + box["width"]
    middle = box["y"] + box["height"] / 2
    assert beside["y"] < middle < beside["y"] + beside["height"]
    fault.focus()
    expect(page.locator("#details")).to_have_text(words)
    page.set_viewport_size({"width": 400, "height": 800})
    expect(mark).not_to_have_class("beside")
    assert not watched.overflows
    assert watched.broken_numbers() == []
    page.set_viewport_size({"width": 1400, "height": 1000})
    path.write_text("name: [")
    expect(page.locator("#faults pre")).to_contain_text("tiny.yaml:1:7: error: ")
    expect(boxes).to_have_count(8)
    expect(mark).to_be_hidden()
    expect(page.locator("#old")).to_be_visible()
    expect(page.locator("#frame")).to_have_class(re.compile("stale"))
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: 3, width: 16"))
    expect(page.locator("#status")).to_have_text("up to date")
    expect(page.locator("#faults")).to_be_hidden()
    expect(boxes).to_have_count(10)
    expect(page.locator("#frame")).not_to_have_class(re.compile("stale"))
    expect(page.locator("#old")).to_be_hidden()
    assert watched.complaints == []
    assert {url.removeprefix(watcher.address) for url in watched.requests} == {
        "",
        "watch.css",
        "watch.js",
        "events",
    }


def test_it_is_folded_saved_and_reached_by_keyboard(
    page: Page, path: Path, watched: Watched
) -> None:
    expect(page.locator("#fold")).to_be_hidden()
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: 4, width: 16"))
    boxes = page.locator("#frame .conv")
    expect(boxes).to_have_count(12)
    page.click("#fold")
    expect(boxes).to_have_count(8)
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: 5, width: 16"))
    expect(page.locator("#totals")).to_contain_text("15 layers")
    expect(boxes).to_have_count(8)  # still
    network = archc.load(path)
    for format in ("svg", "pdf", "tex"):
        if format not in FORMATS:
            continue
        with page.expect_download() as download:
            page.click(f"[data-format={format}]")
        assert download.value.suggested_filename == f"tiny-folded.{format}"
        data = download.value.path().read_bytes()
        assert data == archc.draw(network, format=format, fold=True)
    page.locator("#save button").last.focus()
    page.keyboard.press("Tab")
    expect(page.locator("#details p").first).to_contain_text("layer1.0.shortcut")
    page.keyboard.press("End")
    expect(page.locator("#details p").first).to_have_text("fc")
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: 6, width: 16"))
    expect(page.locator("#totals")).to_contain_text("17 layers")
    expect(page.locator("#details p").first).to_have_text("fc")
    assert page.evaluate("document.activeElement.id") == "c1-fc"
    assert watched.complaints == []


def test_hostile_words_are_shown_and_never_run(page: Page, path: Path, watched: Watched) -> None:
    harm = "<script>window.harm = 1</script><img src=x onerror='window.harm = 1'>"
    path.write_text(SPEC.replace("title: Tiny", f'title: "{harm}"'))
    expect(page.locator("#title")).to_have_text(harm)
    path.write_text(SPEC.replace("depth: 2, width: 8", f"depth: '{harm[:20]}', width: 8"))
    expect(page.locator("#faults")).to_contain_text("<script>window.harm")
    path.write_text(SPEC.replace("name: tiny", f'name: "{harm}"'))
    expect(page.locator("#faults")).to_contain_text("`name` must be")
    assert page.evaluate("window.harm") is None
    assert watched.complaints == []


def test_it_follows_the_reader_s_colours(page: Page, scheme: str) -> None:
    theme = THEMES[scheme]
    for selector, wanted in (("body", theme.paper), ("#status", None)):
        colour = page.locator(selector).evaluate("one => getComputedStyle(one).backgroundColor")
        if wanted is not None:
            assert colour == f"rgb({', '.join(str(int(wanted[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_axe_finds_no_violation(page: Page, path: Path) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: two, width: 16"))
    expect(page.locator("#mark")).to_be_visible()
    page.locator("#frame .fault").focus()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_page_whose_server_has_stopped_says_so(shared: Watched, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    page = shared.page
    with watching(tmp_path / "tiny.yaml") as watcher:
        page.goto(watcher.address)
        expect(page.locator("#status")).to_have_text("up to date")
        assert watcher.stop()[0] == 0
        expect(page.locator("#status")).to_have_text("archc watch has stopped; trying again")
        expect(page.locator("#frame .conv")).to_have_count(8)
