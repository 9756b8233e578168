"""What all plots share: archc's font and colours, authors' titles as they are, the same bytes."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from plotted import assert_embeds_the_shipped_font_alone, texts_of

from archc.backends.figure import font
from archc.errors import ArchcError, ArchcWarning
from archc.plots import LINES, plot_style, saved, title_lines

pytest.importorskip("matplotlib")

Colour = tuple[float, float, float]


def picture(title: str, format: str = "svg") -> bytes:
    from matplotlib.figure import Figure

    with plot_style():
        figure = Figure(figsize=(3, 2))
        figure.subplots().set_title(title_lines(title, 400))
        return saved(figure, format, title)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("resnet20", "resnet20"),
        ("20-layer residual network, trained twice", "20-layer residual\nnetwork, trained twice"),
        ("$x^2$ and $", "$x^2$ and $"),
        ("_hidden", " _hidden"),
        ("a\x1b\n\u202eb", "a b"),
    ],
)
def test_titles_are_wrapped_and_taken_as_text(title: str, shown: str) -> None:
    assert title_lines(title, 98) == shown


@pytest.mark.parametrize("title", [r"$\foo$ and $\frac{$", "$x^2$", r"\$5", "a & <b>"])
def test_a_formula_is_text(title: str) -> None:
    assert title in texts_of(picture(title))
    assert picture(title, "pdf")


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_characters_that_the_font_lacks_are_named(format: str) -> None:
    with pytest.warns(ArchcWarning) as caught:
        content = picture("残 34 é 差 残", format)
    assert [str(one.message) for one in caught] == [
        "the plot font has no glyphs for 残 (U+6B8B) and 差 (U+5DEE): the "
        f"{format.upper()} shows boxes instead; plot as SVG to use the viewer's fonts"
    ]
    if format == "pdf":
        assert_embeds_the_shipped_font_alone(content)


def test_an_svg_leaves_them_to_its_viewer() -> None:
    assert "残 34 é 差 残" in texts_of(picture("残 34 é 差 残"))


def test_a_pdf_embeds_truetype() -> None:
    assert_embeds_the_shipped_font_alone(picture("−20 × 3 …", "pdf"))


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="needs pdffonts")
def test_pdffonts_names_one_embedded_truetype_font(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(picture("resnet20", "pdf"))
    told = subprocess.run(
        ["pdffonts", "a.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (font,) = told.stdout.splitlines()[2:]
    assert font[7:21] == "LiberationSans"
    assert "TrueType" in font
    assert font.split()[-5:-2] == ["yes", "yes", "yes"]


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_the_users_settings_neither_count_nor_change(format: str) -> None:
    import matplotlib as mpl

    expected = picture("resnet20", format)
    odd: dict[Any, Any] = {
        "font.size": 20,
        "font.family": ["DejaVu Serif"],
        "svg.fonttype": "path",
        "axes.facecolor": "red",
        "text.usetex": True,
        "savefig.transparent": True,
    }
    with mpl.rc_context(odd):
        before = dict(mpl.rcParams)
        assert picture("resnet20", format) == expected
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("format", ["svg", "pdf"])
def test_a_document_has_its_title(format: str) -> None:
    content = picture("resnet20", format)
    assert (b"<title>resnet20</title>" if format == "svg" else b"/Title (resnet20)") in content


def test_a_damaged_font_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(font, "FILE", tmp_path / "none.ttf")
    font.font_data.cache_clear()
    try:
        with pytest.raises(ArchcError, match=r"archc's own font '.*none.ttf' is missing"):
            picture("x")
    finally:
        font.font_data.cache_clear()


def test_matplotlib_is_imported_for_a_plot_alone() -> None:
    code = (
        "import sys, archc.plots, archc.sweeps.plot, archc.sweeps.labels, archc.cli.sweep_command\n"
        "print([name for name in ('matplotlib', 'numpy') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


# Colours: Machado et al. 2009 at full severity; CIE 1976.

_SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def lab(colour: str, sight: str) -> Colour:
    rgb = [
        min(1.0, max(0.0, sum(map(float.__mul__, map(float, row), linear(colour)))))
        for row in _SIGHT[sight]
    ]
    white = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (
        _root(sum(map(float.__mul__, row, rgb)) / sum(row))  # of what white has
        for row in white
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(t: float) -> float:
    return t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116


@pytest.mark.parametrize("sight", _SIGHT)
def test_curves_colours_differ_for_the_colour_blind(sight: str) -> None:
    labs = [lab(colour, sight) for colour in LINES]
    assert min(math.dist(a, b) for a, b in combinations(labs, 2)) > 19


def test_curves_colours_differ_in_grey_and_from_paper() -> None:
    lightness = sorted(lab(colour, "normal")[0] for colour in LINES)
    assert min(b - a for a, b in pairwise(lightness)) > 5
    for colour in LINES:
        luminance = sum(map(float.__mul__, (0.2126, 0.7152, 0.0722), linear(colour)))
        assert 1.05 / (luminance + 0.05) >= 3  # WCAG's contrast of graphics
