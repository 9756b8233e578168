"""The page of ``archc watch`` as readers see it, in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import Watched
from playwright.sync_api import Page, expect
from watching import SPEC, Watcher, watching

from archc.backends.figure import THEMES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def watcher(path: Path) -> Iterator[Watcher]:
    with watching(path) as found:
        yield found


@pytest.fixture
def page(watched: Watched, watcher: Watcher) -> Page:
    watched.page.goto(watcher.address)
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
    expect(boxes).to_have_count(8)
    expect(page.locator("#frame")).to_have_class("stale")
    assert page.title().startswith("\u26a0 Tiny")
    path.write_text(SPEC.replace("depth: 2, width: 16", "depth: 3, width: 16"))
    expect(page.locator("#status")).to_have_text("up to date")
    expect(page.locator("#faults")).to_be_hidden()
    expect(boxes).to_have_count(10)
    expect(page.locator("#frame")).to_have_class("")
    assert watched.complaints == []
    assert {url.removeprefix(watcher.address) for url in watched.requests} == {
        "",
        "watch.css",
        "watch.js",
        "events",
    }


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
    path.write_text("nonsense")
    expect(page.locator("#status")).to_have_text("1 mistake")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_page_whose_server_has_stopped_says_so(page: Page, watcher: Watcher) -> None:
    assert watcher.stop()[0] == 0
    expect(page.locator("#status")).to_have_text("archc watch has stopped; trying again")
    expect(page.locator("#frame .conv")).to_have_count(8)
