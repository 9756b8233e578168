"""The writers of figures: every format shows the scene, and its readers understand it."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pypdf
import pytest
import shell
from numpy.typing import NDArray
from PIL import Image

import archc
from archc.backends.figure import THEMES, DrawOptions, draw, font, png, tex
from archc.backends.figure.blocks import distinct_blocks, lay_out_blocks
from archc.backends.figure.columns import column
from archc.backends.figure.dot import to_dot
from archc.backends.figure.font.subset import metrics, subset
from archc.backends.figure.layout import lay_out
from archc.backends.figure.pdf import to_pdf
from archc.backends.figure.png import to_png
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.svg import to_svg
from archc.backends.figure.theme import fill_of
from archc.backends.figure.tikz import node_name, to_tikz
from archc.graph import Network

SVG = "{http://www.w3.org/2000/svg}"
PAPER = ("imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34")
LIGHT = THEMES["light"]
ODD = "& < > \\ { } $ # % _ ^ ~ \" ' -- `` ?` | [ ] ; é ≤ ½ α ą 残 \U0001f389"


def straight(*corners: tuple[float, float]) -> tuple[Point, ...]:
    points = [Point(*corners[0])]
    for corner in corners[1:]:
        points += [points[-1], Point(*corner), Point(*corner)]
    return tuple(points)


def made(words: str = "words") -> Scene:
    """A scene with everything that there is to write."""
    block = ("c1", "c1-stage1", "c1-stage1-block0")
    conv = Rect("c1-a.0", "conv", Point(60, 40), 80, 14, 3, "3x3, 64", "a.0\n64x8x8", within=block)
    odd = Rect("c1-a.1", "conv", Point(60, 70), 80, 14, 4, "3x3, 96", is_odd=True, within=block)
    plus = Rect("c1-add", "plus", Point(60, 100), 20, 20, None, "+", size=15, within=block[:2])
    pill = Rect("c1-se", "pill", Point(150, 70), 30, 12, None, "SE", size=9, within=block)
    small = Rect("fc", "fc", Point(60, 140), 50, 10, None, "fc 10", size=8)
    bend = (Point(100, 30), Point(125, 30), Point(125, 95), Point(80, 100))
    return Scene(
        width=200,
        height=160.5,
        title="A scene",
        description="All kinds of things.",
        stripes=(Rect("stripe-1", "stripe", Point(100, 40), 200, 40),),
        curves=(
            Curve("arrow", "arrow", straight((60, 47), (60, 59.5)), "a", "b", Point(60, 63)),
            Curve("long", "arrow", straight((60, 110), (60, 130)), "a", "b", Point(60, 135)),
            Curve(
                id="c1-way",
                role="shortcut dotted",
                points=bend,
                tail="a",
                head="b",
                tip=Point(70, 100),
                mark=Text("c1-way-mark", "mark", "1x1", Point(130, 60), 8.5, left=True),
                within=block[:2],
            ),
            Curve("bus", "bus", straight((180, 20), (180, 150)), "a", "b", within=("c1",)),
            Curve("legend-1", "legend solid", straight((16, 150), (40, 150)), "a", "b"),
        ),
        boxes=(conv, odd, plus, pill, small),
        texts=(
            Text("c1-title", "title", words, Point(60, 15), 14.5, within=("c1",)),
            Text("legend-1-text", "legend", "shortcut", Point(45, 150), 10, left=True),
            Text("c1-entry", "end", "", Point(60, 25), 10),
        ),
    )


@cache
def load(name: str) -> Network:
    return archc.load(name)


@cache
def paper() -> Scene:
    return lay_out([column(load(name)) for name in PAPER])


@cache
def blocks() -> Scene:
    names = ("imagenet/resnet34", "imagenet/resnet50")
    return lay_out_blocks([block for name in names for block in distinct_blocks(load(name))])


def shares() -> Scene:
    """With boxes that are coloured by shares."""
    boxes = [replace(box, heat=number / 7) for number, box in enumerate(made().boxes)]
    return replace(made(), boxes=tuple(boxes))


SCENES = {"made": made(), "paper": paper(), "blocks": blocks(), "shares": shares()}
scenes = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


# SVG


def groups(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {group.get("id", ""): group for group in root.iter(f"{SVG}g")}


def test_an_svg_groups_columns_stages_and_blocks() -> None:
    root = ElementTree.fromstring(to_svg(made()))
    found = groups(root)
    parents = {child: parent for parent in root.iter() for child in parent}

    def around(id: str) -> list[str]:
        inner = found[id]
        ids = []
        while (inner := parents[inner]).get("id") != "figure":
            ids.append(inner.get("id", ""))
        return ids[::-1]

    block = ["c1", "c1-stage1", "c1-stage1-block0"]
    assert around("c1-a.0") == around("c1-a.1") == around("c1-se") == block
    assert around("c1-add") == around("c1-way") == block[:2]
    assert around("c1-title") == around("bus") == block[:1]
    assert around("fc") == around("arrow") == []
    assert len(found) == len(list(root.iter(f"{SVG}g")))


def test_an_svg_has_the_shapes_of_roles() -> None:
    found = groups(ElementTree.fromstring(to_svg(made())))
    box, odd, pill = (found[id].find(f"{SVG}rect") for id in ("c1-a.0", "c1-a.1", "c1-se"))
    circle = found["c1-add"].find(f"{SVG}circle")
    assert box is not None
    assert odd is not None
    assert pill is not None
    assert circle is not None
    assert (box.get("fill"), box.get("stroke-width"), box.get("rx")) == ("#e2d1f4", "0.7", None)
    assert (odd.get("fill"), odd.get("stroke-width")) == ("#c2d2a3", "1.4")
    assert (pill.get("fill"), pill.get("rx")) == ("#ffffff", "6")
    assert (circle.get("cx"), circle.get("cy"), circle.get("r")) == ("60", "100", "10")
    for id in ("c1-a.0", "c1-a.1", "c1-se", "c1-add", "fc"):
        shapes = [child.tag.removeprefix(SVG) for child in found[id]]
        assert shapes in (["rect", "text"], ["circle", "text"], ["title", "rect", "text"])


@scenes
def test_lines_of_an_svg_are_solid_thick_or_round_dots(scene: Scene) -> None:
    found = groups(ElementTree.fromstring(to_svg(scene)))
    for curve in scene.curves:
        path = found[curve.id].find(f"{SVG}path")
        assert path is not None
        dots = (path.get("stroke-dasharray"), path.get("stroke-linecap"))
        dotted = "dotted" in curve.role
        assert dots == (("0 3", "round") if dotted else (None, None))
        width = "1.3" if dotted else "2.4" if curve.role == "bus" else "0.9"
        assert path.get("stroke-width") == width


@scenes
def test_coordinates_of_an_svg_are_positive(scene: Scene) -> None:
    drawn = to_svg(scene).decode()
    assert not re.search(r'(?: (?:x|y|cx|cy|d|points)="|[ ,MHVC])-\d', drawn.partition("<g")[2])
    assert "transform" not in drawn


def test_strokes_follow_the_scale_of_a_figure() -> None:
    half = replace(made(), scale=0.5)
    drawn = to_svg(half).decode()
    widths = set(re.findall(r'stroke-width="([\d.]+)"', drawn))
    assert widths == {"0.35", "0.7", "0.45", "0.65", "1.2"}
    assert 'stroke-dasharray="0 1.5"' in drawn
    assert "on 0bp off 1.5bp" in to_tikz(half).decode()
    assert b"0.65 w [0 1.5] 0 d 1 J" in page_of(to_pdf(half))


# Every format


@pytest.mark.parametrize("theme", THEMES)
def test_a_transparent_figure_has_no_ground(theme: str) -> None:
    networks, colours = [load("cifar10/resnet20")], THEMES[theme]
    opaque, clear = (DrawOptions(theme=theme, transparent=on) for on in (False, True))
    ground = f'fill="{colours.paper}"/>\n<g'
    assert ground in draw(networks, "svg", opaque).decode()
    assert ground not in draw(networks, "svg", clear).decode()
    corners = []
    for options in (opaque, clear):
        image = Image.open(io.BytesIO(draw(networks, "png", options)))
        corners.append(image.convert("RGBA").getpixel((0, 0)))
    red, green, blue = (int(colours.paper[place : place + 2], 16) for place in (1, 3, 5))
    assert corners == [(red, green, blue, 255), (0, 0, 0, 0)]
    whole = rb"rg 0 0 [\d.]+ [\d.]+ re f\n"
    assert re.search(whole, page_of(draw(networks, "pdf", opaque)))
    assert not re.search(whole, page_of(draw(networks, "pdf", clear)))
    assert b"archc ground]" in draw(networks, "tex", opaque)
    assert b"archc ground]" not in draw(networks, "tex", clear)
    assert b"bgcolor=transparent" in draw(networks, "dot", clear)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf", "tex", "dot"])
@pytest.mark.parametrize("transparent", [False, True])
def test_the_command_and_the_library_draw_the_same(
    ending: str, transparent: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"figure.{ending}"
    flags = ["--transparent"] * transparent
    done = shell.archc("draw", "cifar10/resnet20", "-o", str(path), *flags)
    assert (done.returncode, done.stderr) == (0, f"archc: wrote {path}\n")
    drawn = archc.draw("cifar10/resnet20", format=cast(Any, ending), transparent=transparent)
    assert path.read_bytes() == drawn


def test_a_figure_too_large_for_a_format_says_what_helps(tmp_path: Path) -> None:
    limits = {
        "png": r"[\d,]+ x [\d,]+ pixels, more than the 32,767 a PNG can have on a side",
        "pdf": r"[\d,]+ x [\d,]+ points, more than the 14,400 that PDF readers show on a side",
        "tex": r"[\d,]+ x [\d,]+ points, more than the 14,400 that PDF readers show on a side",
    }
    for ending, limit in limits.items():
        path = tmp_path / f"figure.{ending}"
        done = shell.archc("draw", "cifar10/resnet1202", "-o", str(path))
        message = f"archc: error: the figure is {limit}: fold it, or draw it as SVG\n"
        assert re.fullmatch(message, done.stderr)
        assert done.returncode == 1
        assert not path.exists()


@pytest.mark.parametrize("theme", THEMES)
def test_stripes_on_a_transparent_ground_let_it_through(theme: str) -> None:
    """On the paper of the theme they have the colour of its stripes."""
    scene, colours = replace(made(), boxes=(), curves=(), texts=()), THEMES[theme]
    drawn, _ = to_png(scene, 72, colours, transparent=True)
    page = Image.new("RGBA", Image.open(io.BytesIO(drawn)).size, colours.paper)
    page.alpha_composite(Image.open(io.BytesIO(drawn)).convert("RGBA"))
    pixel = page.getpixel((100, 40))
    assert isinstance(pixel, tuple)
    assert pixel[:3] == pytest.approx(tuple(bytes.fromhex(colours.stripe[1:])), abs=8)
    assert b"/Veil gs" in page_of(to_pdf(scene, colours, transparent=True))
    assert b"fill opacity=0.04" in to_tikz(scene, colours, transparent=True)


@pytest.mark.filterwarnings("ignore::archc.errors.ArchcWarning")
@pytest.mark.parametrize("format", ["svg", "png", "pdf", "tex", "dot"])
def test_any_title_comes_out(format: str) -> None:
    named = replace(load("cifar10/plain20"), title=f"\u200f{ODD}\u202e")
    assert draw([named], format)


# PDF


def kinds_of_fonts(page: pypdf.PageObject) -> set[str]:
    resources: Any = page["/Resources"]
    return {one.get_object()["/Subtype"] for one in resources["/Font"].values()}


def page_of(pdf: bytes) -> bytes:
    contents = pypdf.PdfReader(io.BytesIO(pdf), strict=True).pages[0].get_contents()
    assert contents is not None
    return contents.get_data()


def number_of(operand: Any) -> float:
    return float(operand)


def painted(pdf: bytes) -> list[tuple[list[float], str]]:
    """The rectangles of the figure itself, with the colours that fill them."""
    reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
    contents = reader.pages[0].get_contents()
    assert contents is not None
    found, colour, is_figure = [], "", False
    for operands, operator in contents.operations:
        if operator == b"BDC":
            is_figure = is_figure or operands[0] == "/Figure"
        elif operator == b"rg":
            colour = "#" + "".join([f"{round(255 * number_of(part)):02x}" for part in operands])
        elif operator == b"re" and is_figure:
            found.append(([number_of(operand) for operand in operands], colour))
    return found


@scenes
def test_the_boxes_of_a_pdf_are_the_scene_s(scene: Scene) -> None:
    boxes = [box for box in scene.boxes if box.role not in ("plus", "pill")]
    rectangles = {tuple(corners): colour for corners, colour in painted(to_pdf(scene))}
    assert len(rectangles) == len(boxes)
    for box in boxes:
        corners = (box.right - box.width, box.top, box.width, box.height)
        (same,) = [one for one in rectangles if one == pytest.approx(corners, abs=0.01)]
        assert rectangles[same] == fill_of(box, LIGHT)


@scenes
def test_a_pdf_has_its_size_title_and_description(scene: Scene) -> None:
    pdf = to_pdf(scene)
    reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
    (page,) = reader.pages
    assert [float(side) for side in page.mediabox] == pytest.approx(
        [0, 0, scene.width, scene.height], abs=0.01
    )
    assert reader.metadata == {"/Title": scene.title}
    assert reader.xmp_metadata is not None
    assert reader.xmp_metadata.dc_title == {"x-default": scene.title}
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"] == {"/Marked": True}
    assert root["/ViewerPreferences"] == {"/DisplayDocTitle": True}
    figure = root["/StructTreeRoot"]["/K"]
    assert (figure["/S"], figure["/Alt"]) == ("/Figure", scene.description)
    ids: Any = reader.trailer["/ID"]
    assert ids[0] == ids[1]
    assert to_pdf(replace(scene, title="Another")) != pdf
    for absent in (b"Date", b"Producer", b"Creator", b"archc"):
        assert absent not in pdf


@scenes
def test_the_text_of_a_pdf_can_be_read(scene: Scene) -> None:
    reader = pypdf.PdfReader(io.BytesIO(to_pdf(scene)), strict=True)
    read = reader.pages[0].extract_text()
    marks = [curve.mark.text for curve in scene.curves if curve.mark]
    written = [box.label for box in scene.boxes] + [text.text for text in scene.texts] + marks
    assert Counter("".join(read.split())) == Counter("".join("".join(written).split()))


def test_a_pdf_is_deflated() -> None:
    pdf = to_pdf(paper())
    assert len(pdf) < 20_000
    assert len(page_of(pdf)) > 30_000


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="poppler's tools are not installed")
@scenes
def test_poppler_finds_one_embedded_truetype_font(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    path.write_bytes(to_pdf(scene))
    lines = poppler("pdffonts", path).splitlines()
    assert len(lines) == 3
    assert re.match(r"[A-Z]{6}\+LiberationSans +CID TrueType +Identity-H +yes yes yes ", lines[2])


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler's tools are not installed")
def test_characters_that_the_font_lacks_copy_as_themselves(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    path.write_bytes(to_pdf(made("残é\u2764\ufe0f差 (b) \\ ß 🎉 x")))
    text = poppler("pdftotext", path, "-")
    assert "残é\u2764\ufe0f差 (b) \\ ß 🎉 x" in text


def test_a_character_that_the_font_lacks_is_the_font_s_box() -> None:
    page = page_of(to_pdf(made("a残b")))
    assert re.search(rb"/Span << /ActualText <FEFF6B8B> >> BDC <0000> Tj EMC", page)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler's tools are not installed")
def test_hebrew_is_read_leftwards(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    path.write_bytes(to_pdf(made("net \u05e8\u05e9\u05ea 34")))
    text = re.sub("[\u202a-\u202e]", "", poppler("pdftotext", path, "-"))
    assert "\u05e8\u05e9\u05ea" in text


def poppler(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_glyphs_of_a_subset_are_those_of_the_font() -> None:
    fonttools = pytest.importorskip("fontTools.ttLib")
    pens = pytest.importorskip("fontTools.pens.recordingPen")
    characters = "3x3 conv, 64/éÅą½≤\u00a0 残"
    made = subset(characters)
    assert subset(reversed(characters)) == made
    assert "残" not in made.glyphs
    small = fonttools.TTFont(io.BytesIO(made.data), checkChecksums=2)
    full = fonttools.TTFont(font.FILE)
    names = [".notdef", *[full.getBestCmap()[ord(char)] for char in made.glyphs]]

    def outline(of: Any, name: str) -> tuple[Any, Any]:
        glyphs = of.getGlyphSet()
        pen = pens.DecomposingRecordingPen(glyphs)
        glyphs[name].draw(pen)
        return pen.value, glyphs[name].width

    for number, name in enumerate(names):
        drawn = outline(full, name)
        assert outline(small, small.getGlyphName(number)) == drawn
        assert made.widths[number] == pytest.approx(drawn[1] / 2.048)
    assert "fpgm" not in small
    assert metrics().ascent == round(full["hhea"].ascent / 2.048)


# PNG


def test_a_png_says_its_resolution() -> None:
    for dpi in (72, 144, 300):
        image = Image.open(
            io.BytesIO(draw([load("cifar10/resnet20")], "png", DrawOptions(dpi=dpi)))
        )
        assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)


def test_a_png_shows_the_boxes_where_they_are() -> None:
    scene = paper()
    image = Image.open(io.BytesIO(to_png(scene, 144)[0])).convert("RGB")
    for box in scene.boxes:
        colour = LIGHT.paper if box.shade is None else LIGHT.fills[box.shade]
        inside = (2 * (box.right - box.width + 4), 2 * (box.top + 4))
        pixel = image.getpixel((round(inside[0]), round(inside[1])))
        assert isinstance(pixel, tuple)
        assert "#" + "".join([f"{int(part):02x}" for part in pixel[:3]]) == colour


def test_what_the_machine_s_fonts_have_is_drawn_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind a character that none of them has, which is a box."""
    fonts = []
    drawn = png._drawn

    def watched(svg: str, dpi: int, with_machine_fonts: bool) -> bytes:
        fonts.append((re.findall(r">([^<]*)</text>", svg)[-2], with_machine_fonts))
        return drawn(svg, dpi, with_machine_fonts)

    monkeypatch.setattr(png, "_drawn", watched)
    scene = replace(made("残a\u2764"), texts=made("残a\u2764").texts[:1], boxes=(), curves=())
    scene = replace(scene, texts=(*scene.texts, Text("end", "end", "", Point(0, 0), 10)))
    for missing, shown, with_fonts in (
        ([], "残a\u2764", True),
        (["残"], "\u25a1a\u2764", True),
        (["残", "\u2764"], "\u25a1a\u25a1", False),
    ):
        monkeypatch.setattr(png, "unknown", lambda _, missing=missing: missing)
        fonts.clear()
        assert to_png(scene, 72)[1] == missing
        assert fonts == [(shown, with_fonts)]
    monkeypatch.undo()


def test_characters_that_no_font_has_are_known() -> None:
    """Noncharacters are in no font, letters in the shipped one, wherever this runs."""
    assert png.unknown(["\U0010fffc", "a", "\U000ffff0", "é"]) == ["\U0010fffc", "\U000ffff0"]


def test_the_rows_of_a_png_are_its_pixels() -> None:
    drawn, _ = to_png(made(), 96)
    image = Image.open(io.BytesIO(drawn)).convert("RGBA")
    assert b"".join(png._rows(drawn)) == image.tobytes()


def test_characters_of_the_font_leave_the_machine_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> list[str]:
        raise AssertionError("the machine's fonts are asked")

    monkeypatch.setattr(png, "unknown", refuse)
    assert to_png(made("é ≤ ½ α \ufe0f"), 72)[1] == []


# TikZ


NODE = re.compile(r"\\node\[(.*?)\] \(([^)]*)\) at \(([\d.]+),([\d.]+)\) \{(.*)\};")


def nodes(source: str) -> Iterator[tuple[str, dict[str, str], Point, str]]:
    """The nodes of a file: name, options, place and words."""
    for options, name, x, y, words in NODE.findall(source):
        pairs = [option.partition("=")[::2] for option in options.split(", ")]
        yield name, dict(pairs), Point(float(x), float(y)), words


@scenes
def test_the_boxes_of_tikz_are_the_scene_s(scene: Scene) -> None:
    source = to_tikz(scene).decode()
    usual, *_ = re.findall(r"archc size=([\d.]+), minimum width=([\d.]+)bp, .*=([\d.]+)bp", source)
    colours = dict(re.findall(r"\\providecolor\{(\w+)\}\{HTML\}\{([0-9A-F]{6})\}", source))
    found = {name: (options, at, words) for name, options, at, words in nodes(source)}
    for box in scene.boxes:
        options, at, words = found[node_name(box.id)]
        assert at == pytest.approx(box.centre, abs=0.01)
        width = options.get("minimum width", usual[1]).removesuffix("bp")
        height = options.get("minimum height", usual[2]).removesuffix("bp")
        assert (float(width), float(height)) == pytest.approx((box.width, box.height), abs=0.01)
        fill = options[f"archc {box.role}"] or "paper"
        assert colours[f"archc{fill}"] == fill_of(box, LIGHT)[1:].upper()
        assert ("archc odd" in options) == box.is_odd
        assert tex.escaped(box.label) == words
    for text in scene.texts:
        if text.text:
            options, at, words = found[node_name(text.id)]
            assert at == pytest.approx(text.at, abs=0.01)
            assert words == tex.escaped(text.text)
            assert ("anchor" in options) == text.left
    picture = source.partition("\\begin{tikzpicture}")[2]
    assert picture.count("\\draw[") == len(scene.curves)


def test_tikz_has_groups_and_styles_with_hooks() -> None:
    source = to_tikz(made()).decode()
    assert source.count("\\begin{scope}") == source.count("\\end{scope}") == 3
    for id in ("c1", "c1-stage1", "c1-stage1-block0"):
        assert f"\\begin{{scope}}[archc group={{{id}}}]" in source
    styles = re.findall(r"archc ([\w ]+)/\.style=", source)
    used = re.findall(r"archc ([a-z ]+)[],=]", source.partition("\\begin{tikzpicture}")[2])
    assert {word.strip() for word in used} <= {*styles}
    for style in {*styles} - {"text", "size", "sign"}:
        assert f"every archc {style}/.try" in source
    assert "every archc text/.try" in source
    assert "\\usetikzlibrary" not in source
    body = source.partition("\\begingroup")[2]
    assert body.isascii()
    assert "\\coordinate (c1-entry) at (60,25);" in source


def test_a_role_of_boxes_texts_and_lines_has_a_style_for_each() -> None:
    scene = made()
    odd = replace(
        scene,
        boxes=(*scene.boxes, Rect("l", "legend", Point(20, 120), 10, 10)),
        texts=(*scene.texts, Text("t", "text", "t", Point(20, 135), 8)),
    )
    source = to_tikz(odd).decode()
    for style in ("legend", "legend text", "legend line", "text text"):
        assert source.count(f"archc {style}/.style=") == 1
        assert re.search(rf"\[archc {style}[],]", source)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("50 % & #1", r"50 \% \& \#1"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a_b^c~d$e", r"a\_b\textasciicircum{}c\textasciitilde{}d{\char36}e"),
        ('<"|">', r"\textless{}{\char34}\textbar{}{\char34}\textgreater{}"),
        ("--- ?` '' ,,", "-{}-{}- ?{}` '{}' ,{},"),
        ("é ñ í ǖ Ł ß", r"\'{e} \~{n} \'{\i} \={\"{u}} \L{} \ss{}"),
        ("e\u0301", r"\'{e}"),
        ("2×2 ≤ α…", r"2\ensuremath{\times}2 \ensuremath{\leq} \ensuremath{\alpha}\dots{}"),
        ("残\u2764\ufe0f", "\\archcother{残}\\archcother{\u2764}"),
    ],
)
def test_text_is_escaped_for_tex(text: str, source: str) -> None:
    assert tex.escaped(text) == source


def test_what_tex_may_lack_is_told() -> None:
    assert tex.lacking(["é ≤ ½", "ą残", "残\U0001f389\ufe0f"]) == ["ą", "残", "\U0001f389"]


needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")


def pdflatex(path: Path, *options: str) -> bytes:
    """Compile a file, whose directory gets the PDF."""
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", *options, path.name],
        cwd=path.parent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert b"Overfull" not in done.stdout
    return path.with_suffix(".pdf").read_bytes()


@needs_tex
@pytest.mark.parametrize("options", [(), ("-no-shell-escape",)], ids=["", "no shell"])
@pytest.mark.parametrize("words", ["words", ODD], ids=["plain", "odd"])
def test_a_tex_file_compiles_as_it_is(words: str, options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "figure.tex"
    path.write_bytes(to_tikz(made(words)))
    reader = pypdf.PdfReader(io.BytesIO(pdflatex(path, *options)))
    (page,) = reader.pages
    assert [float(side) for side in page.mediabox] == pytest.approx([0, 0, 200, 160.5], abs=0.1)
    assert reader.metadata is not None
    assert reader.metadata.title == "A scene"
    assert kinds_of_fonts(page) == {"/Type1"}


@needs_tex
def test_every_character_that_tex_has_compiles_in_outlines(tmp_path: Path) -> None:
    had = [
        *map(chr, range(0x20, 0x7F)),
        *map(chr, range(0xA0, 0x2000)),
        *map(chr, range(0x2010, 0x2300)),
    ]
    had = [char for char in had if tex._command(char) is not None]
    assert len(had) > 500
    rows = ["".join(had[start : start + 20]).strip() for start in range(0, len(had), 20)]
    texts = [Text(f"t{i}", "title", row, Point(150, 20 + 15 * i), 10) for i, row in enumerate(rows)]
    scene = replace(made(), height=700, texts=tuple(texts), boxes=(), curves=())
    path = tmp_path / "figure.tex"
    path.write_bytes(to_tikz(scene))
    for options in ((), ("-no-shell-escape",)):
        page = pypdf.PdfReader(io.BytesIO(pdflatex(path, *options))).pages[0]
        assert kinds_of_fonts(page) == {"/Type1"}


DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage{tikz}
\definecolor{archc64}{HTML}{FFAA00}
\begin{document}
\catcode`;=13 \def;{\ERROR}
\begin{figure}\resizebox{\columnwidth}{!}{\input{dark}}\end{figure}
\begin{figure}
\tikzset{every archc text/.style={font=\rmfamily\tiny},
  every archc dotted/.style={draw=red}, every archc conv/.style={rounded corners=2bp},
  every archc picture/.style={execute at end picture={
    \draw[blue] (c1-a/0.west) -- +(-10,0) node[left] {here};}}}
\input{light}%
\end{figure}
Two of a size: \setbox0=\hbox{\input{dark}\input{dark}}%
\ifdim\wd0=400bp\else\ifdim\wd0>400.1bp \ERROR\fi\ifdim\wd0<399.9bp \ERROR\fi\fi
\end{document}
"""


@needs_tex
def test_tex_files_are_read_into_a_document_more_than_once(tmp_path: Path) -> None:
    (tmp_path / "light.tex").write_bytes(to_tikz(made(ODD)))
    (tmp_path / "dark.tex").write_bytes(to_tikz(made(), THEMES["dark"]))
    path = tmp_path / "document.tex"
    path.write_text(DOCUMENT)
    page = pypdf.PdfReader(io.BytesIO(pdflatex(path))).pages[0]
    contents = page.get_contents()
    assert contents is not None
    painted = contents.get_data()
    found = {
        tuple([round(255 * float(part)) for part in colour.split()])
        for colour in re.findall(rb"([\d.]+ [\d.]+ [\d.]+) (?:rg|RG)", painted)
    }
    for colour in (
        "#ffaa00",
        "#ff0000",
        "#0000ff",
        THEMES["dark"].paper,
        LIGHT.stripe,
        THEMES["dark"].stripe,
    ):
        assert tuple(bytes.fromhex(colour[1:])) in found


@needs_tex
@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="poppler's tools are not installed")
@scenes
def test_boxes_and_lines_of_tikz_are_those_of_the_pdf(scene: Scene, tmp_path: Path) -> None:
    """To a pixel of 144 to the inch: nothing dark is in one where the other has nothing near."""
    bare = replace(
        scene,
        texts=(),
        boxes=tuple([replace(box, label="") for box in scene.boxes]),
        curves=tuple([replace(curve, mark=None) for curve in scene.curves]),
    )
    (tmp_path / "tikz.tex").write_bytes(to_tikz(bare))
    (tmp_path / "own.pdf").write_bytes(to_pdf(bare))
    pdflatex(tmp_path / "tikz.tex")
    first, second = (pixels(tmp_path / f"{name}.pdf") for name in ("tikz", "own"))
    assert first.shape == second.shape
    for one, other in ((first, second), (second, first)):
        assert (one < 130).sum() > 500
        assert not ((one < 130) & ~beside(other < 230)).any()


def pixels(pdf: Path) -> NDArray[np.uint8]:
    poppler("pdftoppm", "-r", "144", "-gray", "-singlefile", pdf, pdf.with_suffix(""))
    return np.asarray(Image.open(pdf.with_suffix(".pgm")))


def beside(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where something is dark within a pixel."""
    padded = np.pad(dark, 1)
    height, width = dark.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    near: NDArray[np.bool_] = np.any(shifted, axis=0)
    return near


# DOT


TOKEN = re.compile(
    r'\s*(?:(->|[{}\[\]=])|"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*|-?(?:\.\d+|\d+(?:\.\d*)?)))'
)


def tokens(source: str) -> list[str]:
    """The words of a DOT file, by the language's own rules; anything else is an error."""
    found, place = [], 0
    source = source.rstrip()
    while place < len(source):
        token = TOKEN.match(source, place)
        assert token is not None, source[place : place + 40]
        sign, quoted, bare = token.groups()
        found.append(sign or bare or quoted)
        place = token.end()
    return found


def statements(source: str) -> list[tuple[list[str], dict[str, str]]]:
    """What each statement is about, and its attributes."""
    opening, name, brace, *words, last = tokens(source)
    assert (opening, name, brace, last) == ("digraph", "figure", "{", "}")
    found = []
    rest = iter(words)
    subject: list[str] = []
    for word in rest:
        if word != "[":
            subject.append(word)
            continue
        attributes = {}
        while (key := next(rest)) != "]":
            assert next(rest) == "="
            attributes[key] = next(rest)
        found.append((subject, attributes))
        subject = []
    assert subject == []
    return found


@scenes
def test_dot_has_every_thing_in_its_place(scene: Scene) -> None:
    found = statements(to_dot(scene))
    defaults = {subject[0]: attributes for subject, attributes in found[:3]}
    assert set(defaults) == {"graph", "node", "edge"}
    assert defaults["graph"]["bgcolor"] == LIGHT.paper
    named = {attributes.get("id"): (subject, attributes) for subject, attributes in found[3:]}
    assert len(named) == len(found) - 3
    for box in scene.boxes:
        subject, attributes = named[box.id]
        assert subject == [box.id]
        x, y = map(float, attributes["pos"].split(","))
        assert (x, scene.height - y) == pytest.approx(box.centre, abs=0.01)
        size = [72 * float(attributes[side]) for side in ("width", "height")]
        assert size == pytest.approx([box.width, box.height], abs=0.01)
        assert attributes["label"] == box.label
        assert attributes.get("penwidth") == ("1.4" if box.is_odd else None)
    for curve in scene.curves:
        subject, attributes = named[curve.id]
        assert subject == [curve.tail, "->", curve.head]
        assert attributes["pos"].startswith("e,") == (curve.tip is not None)
        assert (attributes.get("style") == "dotted") == ("dotted" in curve.role)


@pytest.mark.parametrize(
    "words", [ODD, 'a " quote', "back\\slash\\", "\\N \\G", "&amp; <b>", "node"]
)
def test_dot_keeps_any_words(words: str) -> None:
    (label,) = [
        attributes["label"]
        for _, attributes in statements(to_dot(made(words)))
        if attributes.get("id") == "c1-title"
    ]
    shown = label.replace('\\"', '"').replace("\\\\", "\\").replace("&amp;", "&")
    assert shown == words


@pytest.mark.skipif(shutil.which("neato") is None, reason="Graphviz is not installed")
def test_graphviz_reads_dot(tmp_path: Path) -> None:
    path = tmp_path / "figure.dot"
    path.write_text(to_dot(made(ODD)), encoding="utf-8")
    assert "<svg" in poppler("neato", "-n2", "-Tsvg", path)
