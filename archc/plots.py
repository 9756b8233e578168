"""What plots share: matplotlib when it is needed, one style, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from archc.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
GREY = "#5f6b76"

_METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def plot_format(path: Path) -> str:
    """The format that a file's name asks for."""
    return path.suffix.lower().removeprefix(".")


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
    figure.savefig(out, format=format, dpi=200, metadata=_METADATA[format])
    return out.getvalue()
