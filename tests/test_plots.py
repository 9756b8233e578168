"""Authors' titles in plots: wrapped, no formulas, no character lost in silence."""

from __future__ import annotations

import pytest

from archc.errors import ArchcWarning
from archc.plots import plot_style, saved, title_lines

pytest.importorskip("matplotlib")


def picture(title: str, format: str = "svg") -> bytes:
    from matplotlib.figure import Figure

    with plot_style():
        figure = Figure(figsize=(3, 2))
        figure.subplots().set_title(title_lines(title, 12, 400))
        return saved(figure, format)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("resnet20", "resnet20"),
        ("20-layer residual network, trained twice", "20-layer residual\nnetwork, trained twice"),
        ("$x^2$ and $", r"\$x^2\$ and \$"),
        ("_hidden", " _hidden"),
        ("a\x1b\n\u202eb", "a b"),
    ],
)
def test_titles_are_wrapped_and_taken_as_text(title: str, shown: str) -> None:
    assert title_lines(title, 10, 140) == shown


def test_a_broken_formula_is_text() -> None:
    assert picture(r"$\foo$ and $\frac{$")


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_characters_that_the_font_lacks_are_named(format: str) -> None:
    with pytest.warns(ArchcWarning) as caught:
        picture("残 34 é 差 残", format)
    assert [str(one.message) for one in caught] == [
        "the plot font has no glyphs for 残 (U+6B8B) and 差 (U+5DEE): boxes are shown instead"
    ]
