"""What plots share: matplotlib when it is needed, a style and a font, the same bytes each time.

A plot is as wide as a column of a paper unless it is said, and its type is set for that: it goes
into a paper as it is.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.backends.figure.font import FALLBACKS, FILE, FontError, font_data, lacking
from archc.backends.figure.text import one_line, wrap
from archc.backends.figure.theme import THEMES
from archc.errors import ArchcError, ArchcWarning
from archc.extras import require
from archc.text import code_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
SIZE = 7.0
"""Points of all type: what papers have in their figures."""
DPI = 300
"""Pixels per inch of a PNG, and of points that are too many to be shapes."""

_THEME = THEMES["light"]
INK, OUTLINE = _THEME.ink, _THEME.outline
GREY = "#5f6b76"
LINES = (
    "#004a9e",
    "#d97a10",
    "#1c1c1c",
    "#1a7f5a",
    "#ba4add",
    "#5e5f08",
    "#4e114c",
    "#254413",
)
"""Colours of curves: with every kind of colour-blindness at least 19 apart (CIE76), and at least 5
in lightness, so that prints in grey keep them apart, too."""

_FAMILY = "archc Liberation Sans"
"""What matplotlib knows the shipped font as, so that it takes no other that a machine has."""

_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "archc",
    "svg.fonttype": "none",  # text is text
    "pdf.fonttype": 42,  # TrueType: conferences refuse Type 3, matplotlib's own choice
    "text.parse_math": False,  # authors' titles are no formulas
    "text.hinting": "no_hinting",
    "text.color": INK,
    "font.family": [_FAMILY],
    "font.size": SIZE,
    "figure.dpi": 72,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "axes.labelcolor": INK,
    "axes.edgecolor": OUTLINE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dfe2e5",
    "grid.linewidth": 0.5,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "xtick.color": OUTLINE,
    "ytick.color": OUTLINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": SIZE,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.5,
    "legend.handlelength": 2.4,
    "legend.labelspacing": 0.35,
    "legend.columnspacing": 1.5,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.h_pad": 0.03,
}


def plot_format(path: Path) -> str:
    """The format that a file's name asks for; SVG for a stream whose name asks for none."""
    suffix = path.suffix.lower()
    return (suffix if suffix in SUFFIXES else SUFFIXES[0]).removeprefix(".")


def require_matplotlib() -> None:
    """Raise ModuleNotFoundError, saying what to install, where matplotlib is missing."""
    require("matplotlib", "a plot", "plot")


@contextmanager
def plot_style() -> Iterator[None]:
    """The settings that a figure is made and saved with, whatever the user's own are.

    Raises ArchcError where the shipped font is missing or damaged.
    """
    import matplotlib as mpl

    _register_font()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        if (
            "font.enable_last_resort" in mpl.rcParams
        ):  # since matplotlib 3.9, which ships such a font
            mpl.rcParams["font.enable_last_resort"] = False
        warnings.filterwarnings("ignore", r"Glyph \d+ ")  # `saved` tells of them
        yield


def _register_font() -> None:
    """Make the shipped font known to matplotlib, in this process and under a name of its own."""
    from dataclasses import replace

    from matplotlib.font_manager import fontManager, ttfFontProperty
    from matplotlib.ft2font import FT2Font

    try:
        font_data()
    except FontError as error:
        raise ArchcError(str(error)) from None
    if not any(known.name == _FAMILY for known in fontManager.ttflist):
        fontManager.ttflist.append(replace(ttfFontProperty(FT2Font(str(FILE))), name=_FAMILY))


def saved(figure: Figure, format: str, title: str) -> bytes:
    """A figure as svg, png or pdf with a title, without a date; inside `plot_style`.

    Warns with `ArchcWarning` of characters that the font lacks, in PNG and PDF; the viewer of an
    SVG draws them with fonts of its own.
    """
    out = io.BytesIO()
    figure.savefig(
        out, format=format, dpi=DPI, metadata={"Title": one_line(title), **_NO_DATE[format]}
    )
    if format == "svg":
        return _with_fallbacks(out.getvalue())
    _warn_of_lacking(figure, format)
    return out.getvalue()


def _with_fallbacks(svg: bytes) -> bytes:
    """An SVG that names the font as its viewers know it, and those that are as wide."""
    families = ", ".join(f"'{name}'" if " " in name else name for name in FALLBACKS)
    # Versions of matplotlib differ in their quotes.
    quote = rb"(?:'|&quot;|&apos;|&#39;)"
    return re.sub(quote + re.escape(_FAMILY.encode()) + quote, families.encode(), svg)


def _warn_of_lacking(figure: Figure, format: str) -> None:
    from matplotlib.text import Text

    texts = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    if characters := lacking("".join(texts).replace("\n", "")):
        warnings.warn(
            f"the plot font has no glyphs for {code_points(characters)}: the {format.upper()} "
            "shows boxes instead; plot as SVG to use the viewer's fonts",
            ArchcWarning,
            stacklevel=3,
        )


def title_lines(text: str, width: float) -> str:
    """An author's text on up to two lines of a width in points."""
    # matplotlib leaves what begins with an underscore out of its legends.
    return "\n".join(wrap(one_line(text), SIZE, width)).replace("_", " _", text.startswith("_"))


def legend_above(figure: Figure, handles: list[Any], labels: list[str], columns: int = 1) -> None:
    """A legend above the axes, at the left: there it covers no data, however many entries it has.

    With more ``columns`` it has as many of them, up to that, as the figure has room for.
    """
    for count in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(
            handles, labels, loc="outside upper left", ncols=count, alignment="left"
        )
        extent = legend.get_window_extent()
        if count == 1 or extent.width <= figure.bbox.width - SIZE:
            break
        legend.remove()
    # The figure grows by the legend's height, so that the axes stay as high as they were.
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + extent.height / figure.dpi)
