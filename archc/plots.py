"""What plots share: matplotlib when it is needed, one style, the same bytes each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from archc.backends.figure.text import one_line, wrap
from archc.errors import ArchcWarning
from archc.extras import require
from archc.text import code_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
GREY = "#5f6b76"

_METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def plot_format(path: Path) -> str:
    """The format that a file's name asks for; SVG for a stream whose name asks for none."""
    suffix = path.suffix.lower()
    return (suffix if suffix in SUFFIXES else SUFFIXES[0]).removeprefix(".")


def require_matplotlib() -> None:
    """Raise ModuleNotFoundError, saying what to install, where matplotlib is missing."""
    require("matplotlib", "a plot", "plot")


@contextmanager
def plot_style() -> Iterator[None]:
    """The settings that a figure is made and saved with."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "archc", "font.size": 10, "svg.fonttype": "path"}):
        yield


def saved(figure: Figure, format: str) -> bytes:
    """A figure as svg, png or pdf, without a date; inside `plot_style`."""
    out = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(out, format=format, dpi=200, metadata=_METADATA[format])
    lacking: dict[str, None] = {}
    for one in caught:
        if glyph := re.match(r"Glyph (\d+) ", str(one.message)):
            lacking[chr(int(glyph[1]))] = None
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        # In SVG, too: matplotlib draws letters as shapes there, whatever fonts the viewer has.
        words = (
            f"the plot font has no glyphs for {code_points(list(lacking))}: boxes are shown instead"
        )
        warnings.warn(words, ArchcWarning, stacklevel=2)
    return out.getvalue()


def title_lines(text: str, size: float, width: float) -> str:
    """An author's text on up to two lines of a width in points, none of it taken for a formula."""
    # matplotlib's own font is about an eighth wider than that of figures, which is measured.
    lines = wrap(one_line(text), size, width / 1.125)
    # matplotlib leaves what begins with an underscore out of its legends.
    return "\n".join(lines).replace("$", r"\$").replace("_", " _", text.startswith("_"))
