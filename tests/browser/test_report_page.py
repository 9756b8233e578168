"""The report as readers use it, in headless Chromium: pointing, keyboard, dark, print."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import Watched
from playwright.sync_api import Page, expect
from strategies import HOSTILE, compile_data

import archc
from archc.backends.figure import FORMATS, THEMES, DrawOptions, draw
from archc.backends.figure.theme import octave
from archc.graph import Network
from archc.pages import report

NAMES = ["imagenet/plain34", "imagenet/resnet34"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report([archc.load(name) for name in NAMES], NAMES), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def opened(shared: Watched, path: Path) -> Watched:
    shared.open(path)
    return shared


@pytest.fixture
def page(opened: Watched) -> Page:
    """The page of both networks as it is when it has been opened."""
    page = opened.page
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.mouse.move(0, 0)
    page.evaluate(
        """() => {
          delete document.documentElement.dataset.theme;
          const first = document.getElementById("c1-conv1");
          first.dispatchEvent(new MouseEvent("click", { bubbles: true }));
          document.activeElement.blur();
          const fold = document.getElementById("fold");
          if (fold.getAttribute("aria-pressed") === "true") { fold.click(); }
          scrollTo(0, 0);
        }"""
    )
    expect(page.locator("#fold")).to_have_attribute("aria-pressed", "false")
    return page


def box(page: Page, name: str) -> str:
    return f"[id='{name}']"


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def test_pointing_at_a_box_shows_its_layer_and_marks_its_row(page: Page) -> None:
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


def test_every_box_and_every_shortcut_has_its_row(page: Page) -> None:
    parts = page.locator("#figure [role=button]")
    ids = parts.evaluate_all("all => all.map(one => one.id)")
    rows = page.locator("tr[data-box]").evaluate_all("all => all.map(one => one.dataset.box)")
    assert sorted(ids) == sorted(set(rows))
    assert len(ids) == 36 * 2 + 16


def test_a_shortcut_is_told_as_a_box_is(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report([archc.load("imagenet/resnet50")], ["imagenet/resnet50"]))
    page = watched.open(path)
    details = page.locator("#details")
    page.locator("[id='c1-layer1.0.add'] text").hover()
    projection = "projection shortcut: layer1.0.downsample.0, layer1.0.downsample.1"
    expect(details.locator(".name")).to_have_text(projection)
    assert details.locator(".fact").all_inner_texts() == [
        "64x56x56 → 256x56x56",
        "16,896 parameters",
        "51,380,224 multiply-adds",
    ]
    expect(page.locator("tr.marked th")).to_have_text("layer1.0.downsample.0")
    page.locator("tr[data-box]", has_text="layer2.0.downsample.1").click()
    expect(page.locator("#figure .marked")).to_have_attribute("id", "c1-layer2.0.add")
    expect(details.locator(".name")).to_have_text("layer2.0.downsample.1")
    page.locator("[id='c1-layer1.0.conv1']").focus()
    page.keyboard.press("ArrowUp")
    assert focused(page) == "c1-layer1.0.add"
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert focused(page) == "c1-layer1.1.add"  # an identity, which has no op but the sum
    expect(details.locator(".name")).to_have_text("identity shortcut")
    assert details.locator(".fact").all_inner_texts() == ["256x56x56 → 256x56x56"]
    label = page.locator("[id='c1-layer1.1.add']").get_attribute("aria-label")
    assert label == "identity shortcut: layer1.1.add of 50-layer residual"
    page.keyboard.press("Enter")
    assert focused(page) == "row-c1-layer1.1.add"


def test_the_arrow_keys_reach_every_part(page: Page) -> None:
    column = page.locator("#figure [id^='c2-'][role=button]")
    page.locator("[id='c2-conv1']").focus()
    page.keyboard.press("Home")
    seen = [focused(page)]
    while len(seen) < 200:
        page.keyboard.press("ArrowDown")
        if focused(page) == seen[-1]:
            break
        seen.append(focused(page))
    assert len(seen) == len(set(seen))
    assert sorted(seen) == sorted(column.evaluate_all("all => all.map(one => one.id)"))


def test_the_keyboard_reaches_the_figure_and_its_rows(page: Page) -> None:
    page.locator("#tools [data-format=pdf]").focus()
    while focused(page) == "" and page.evaluate("document.activeElement.dataset.format"):
        page.keyboard.press("Tab")
    assert focused(page) == "c1-conv1"
    page.keyboard.press("ArrowDown")
    assert focused(page) == "c1-maxpool"
    page.keyboard.press("ArrowRight")
    assert focused(page) == "c2-maxpool"
    page.keyboard.press("End")
    assert focused(page) == "c2-fc"
    page.keyboard.press("ArrowDown")
    assert focused(page) == "c2-fc"
    expect(page.locator("#details .name")).to_have_text("fc")
    page.keyboard.press("Enter")
    assert focused(page) == "row-c2-fc"
    page.keyboard.press("Escape")
    assert focused(page) == "c2-fc"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == "c1-conv1"
    # The figure is one stop of the tab key, not eighty-eight.
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.dataset.format")


def test_focus_is_seen(page: Page) -> None:
    width = "one => getComputedStyle(one).strokeWidth"
    page.locator("#tools [data-format=pdf]").focus()
    page.locator("[id='c2-conv1']").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("[id='c2-maxpool'] > rect").evaluate(width) == "3.2px"
    page.keyboard.press("ArrowDown")
    assert focused(page) == "c2-layer1.0.add"
    assert page.locator("[id='c2-layer1.0.add'] > path").evaluate(width) == "3.2px"
    assert page.locator("[id='c2-maxpool'] > rect").evaluate(width) == "0.7px"


def test_folding_and_unfolding_keeps_what_is_selected(page: Page, opened: Watched) -> None:
    boxes = page.locator("#figure .conv")
    expect(boxes).to_have_count(33 * 2)
    page.locator("tr[data-box]", has_text="layer2.3.conv2").last.click()
    expect(page.locator("#figure .marked")).to_have_attribute("id", "c2-layer2.3.conv2")
    fold = page.locator("#fold")
    fold.click()
    expect(fold).to_have_attribute("aria-pressed", "true")
    expect(boxes).to_have_count(15 * 2)
    marked = page.locator("#figure .marked")
    expect(marked).to_have_attribute("id", "c2-layer2.1.conv2")
    expect(marked).to_be_in_viewport()
    expect(page.locator("#details .name")).to_have_text("layer2.3.conv2")
    expect(page.locator("tr.marked")).to_have_attribute("id", "row-c2-layer2.3.conv2")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.tagName") == "BUTTON":
        page.keyboard.press("Tab")
    assert focused(page) == "c2-layer2.1.conv2"
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#details .name")).to_have_text("stage 2: blocks 1 to 3 are equal")
    page.keyboard.press("ArrowRight")
    page.locator("tr[data-box]", has_text="layer2.3.conv2").last.click()
    fold.click()
    expect(boxes).to_have_count(33 * 2)
    expect(page.locator("#figure .marked")).to_have_attribute("id", "c2-layer2.3.conv2")
    assert opened.complaints == []


def test_what_scrolls_under_a_resting_pointer_is_not_pointed_at(page: Page) -> None:
    first, second = (f"c2-layer{stage}.0.conv1" for stage in (1, 2))
    page.evaluate("addEventListener('pointerover', (event) => { window.last = event; })")
    page.hover(box(page, first))
    # What a browser sends once it has scrolled: the pointer is over another box where it was.
    scrolled = """id => document.getElementById(id).dispatchEvent(new PointerEvent("pointerover",
        { bubbles: true, screenX: last.screenX, screenY: last.screenY }))"""
    page.evaluate(scrolled, second)
    expect(page.locator("#figure .marked")).to_have_attribute("id", first)
    page.hover(box(page, second))
    expect(page.locator("#figure .marked")).to_have_attribute("id", second)


def test_the_figure_is_saved_as_it_is_drawn(page: Page) -> None:
    networks = [archc.load(name) for name in NAMES]
    for folded in (False, True):
        for format in ("svg", "pdf", "tex"):
            button = page.locator(f"#tools [data-format={format}]")
            if format not in FORMATS:
                expect(button).to_have_count(0)
                continue
            with page.expect_download() as download:
                button.click()
            name = f"plain34-resnet34{'-folded' * folded}.{format}"
            assert download.value.suggested_filename == name
            data = download.value.path().read_bytes()
            assert data == draw(networks, format, DrawOptions(fold=folded))
        page.click("#fold")


def test_it_fits_or_keeps_its_size(page: Page) -> None:
    frame, fit = page.locator("#figure-frame"), page.locator("#fit")
    widths = "frame => [frame.scrollWidth, frame.clientWidth]"
    expect(fit).to_be_hidden()  # there is room
    page.set_viewport_size({"width": 400, "height": 800})
    expect(fit).to_have_attribute("aria-pressed", "false")
    whole, seen = frame.evaluate(widths)
    assert whole > seen
    fit.click()
    expect(fit).to_have_attribute("aria-pressed", "true")
    whole, seen = frame.evaluate(widths)
    assert whole == seen
    fit.click()
    expect(fit).to_have_attribute("aria-pressed", "false")


def test_colours_follow_the_reader_and_the_button(page: Page, scheme: str) -> None:
    for wanted in (scheme, "light" if scheme == "dark" else "dark", scheme):
        theme = THEMES[wanted]
        fill = page.locator("[id='c2-conv1'] rect").evaluate("one => getComputedStyle(one).fill")
        paper = page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")
        assert fill == rgb(theme.fills[octave(64)])
        assert paper == rgb(theme.paper)
        page.click("#theme")


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_nothing_is_asked_for_and_nothing_complained_of(
    page: Page, opened: Watched, path: Path
) -> None:
    page.hover(box(page, "c2-fc"))
    page.click("summary >> nth=0")
    page.wait_for_timeout(100)
    page.click("summary >> nth=0")
    assert {one for one in opened.requests if not one.startswith("blob:")} == {path.as_uri()}
    assert opened.complaints == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that a page has, in few rows: axe looks at each cell for milliseconds."""
    stages = [{"depth": 3, "width": 8}, {"depth": 1, "width": 16, "stride": 2}]
    data = {"input": [3, 16, 16], "head": ["global_avg_pool", "linear"]}
    networks = [
        compile_data({**data, "name": name, "defaults": defaults, "stages": stages})
        for name, defaults in {
            "basic": {"block": "basic", "shortcut": "A"},
            "bottle": {"block": "bottleneck", "shortcut": "B"},
        }.items()
    ]
    file = tmp_path_factory.mktemp("small") / "report.html"
    file.write_text(report(networks, ["basic.yaml", "bottle.yaml"]), encoding="utf-8")
    return file


def test_axe_finds_no_violation(watched: Watched, small: Path, scheme: str) -> None:
    page = watched.open(small)
    # Each run takes seconds: each width once, each scheme once.
    page.set_viewport_size({"width": 1400 if scheme == "light" else 400, "height": 900})
    page.click("summary >> nth=0")
    page.click("#fold")
    page.hover(box(page, "c1-layer1.0.conv1"))
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_on_a_narrow_page_the_layer_pointed_at_is_in_sight(page: Page) -> None:
    page.set_viewport_size({"width": 700, "height": 600})
    page.locator("#figure-section").scroll_into_view_if_needed()
    page.hover(box(page, "c1-conv1"))
    name = page.locator("#details .name")
    expect(name).to_have_text("conv1")
    expect(name).to_be_in_viewport()


def test_many_networks_stay_legible_and_can_be_scrolled_to(
    watched: Watched, tmp_path: Path
) -> None:
    names = ["cifar10/resnet20", "cifar10/plain20"] * 4
    path = tmp_path / "many.html"
    path.write_text(report([archc.load(name) for name in names], names), encoding="utf-8")
    page = watched.open(path)
    size = page.locator("#figure .conv text >> nth=0").bounding_box()
    assert size is not None
    assert size["height"] > 9
    frame = page.locator("#figure-frame")
    assert frame.evaluate("one => one.scrollWidth > one.clientWidth")
    assert not watched.overflows
    rules = {"runOnly": {"type": "rule", "values": ["scrollable-region-focusable"]}}
    found = Axe().run(page, options=rules)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("folded", [False, True])
def test_a_narrow_page_does_not_scroll_sideways(page: Page, opened: Watched, folded: bool) -> None:
    if folded:
        page.click("#fold")
    page.set_viewport_size({"width": 400, "height": 800})
    page.locator("[id='c2-conv1']").focus()
    page.keyboard.press("ArrowDown")
    assert not opened.overflows
    part, panel = (
        page.locator(one).bounding_box() for one in ("[id='c2-maxpool'] > rect", "#details")
    )
    assert part is not None
    assert panel is not None
    assert part["y"] + part["height"] < panel["y"]  # which lies over the figure


@pytest.mark.parametrize("width", [1400, 700, 400, 320])
def test_numbers_are_not_broken(page: Page, opened: Watched, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for part in ("c2-fc", "c2-layer1.0.add"):
        page.locator(f"[id='{part}']").focus()
        assert opened.broken_numbers() == []
    assert not opened.overflows
    page.emulate_media(media="print")
    assert opened.broken_numbers() == []


def test_printed_it_has_the_figure_and_every_row(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("#details")).to_be_hidden()
    expect(page.locator("#tools")).to_be_hidden()
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
    assert not watched.overflows
