"""Figures of networks in the manner of Figure 3 of He et al. 2015, as SVG, PNG, PDF, TikZ or DOT.

The pipeline: ``columns`` reads off a network what its column shows, ``layout`` gives everything
its place, and ``writing`` writes that down by the writer of a format.
"""

from __future__ import annotations

from collections.abc import Sequence

from archc.backends.figure.blocks import distinct_blocks, lay_out_blocks
from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.font import FontError, font_data
from archc.backends.figure.layout import lay_out
from archc.backends.figure.scene import Scene
from archc.backends.figure.theme import THEMES, Theme
from archc.backends.figure.writing import FigureError, write
from archc.choices import DPI, FORMATS
from archc.dataclassing import dataclass
from archc.graph import Network

__all__ = ["FORMATS", "MOST_LAYERS", "THEMES", "DrawOptions", "FigureError", "Theme", "draw"]

MOST_LAYERS = 60
"""Up to how many layers pages and notebooks draw a network whole; of deeper ones they draw equal
blocks in a row once."""


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """How a figure is drawn: ``fold`` draws equal blocks in a row once, with their number.

    With ``blocks`` it shows the distinct blocks of the networks, drawn large (He et al. 2015,
    Figure 5), instead of the networks. ``theme`` is one of `THEMES`, ``dpi`` the pixels per inch
    of a PNG. A ``transparent`` figure has no ground.
    """

    fold: bool = False
    blocks: bool = False
    theme: str = "light"
    dpi: int = DPI
    transparent: bool = False


DEFAULTS = DrawOptions()


def draw(
    networks: Sequence[Network], format: str = "svg", options: DrawOptions = DEFAULTS
) -> bytes:
    """Draw networks side by side, in this order, as a file of the format: one of `FORMATS`.

    The same networks give the same bytes. Raises `FigureError` where there is no network, no such
    format or theme, and where the figure is larger than the format carries. Warns with
    `ArchcWarning` of characters that are shown as boxes, in PNG, PDF and TeX.
    """
    if format not in FORMATS:
        raise FigureError(f"cannot draw as {format!r}: use one of {', '.join(FORMATS)}")
    if options.theme not in THEMES:
        raise FigureError(f"there is no theme {options.theme!r}: use one of {', '.join(THEMES)}")
    if options.dpi < 1:
        raise FigureError(f"{options.dpi} pixels per inch are none: use at least 1")
    if not networks:
        raise FigureError("there is no network to draw")
    try:
        font_data()
    except FontError as error:
        raise FigureError(str(error)) from None
    scene = _block_scene(networks) if options.blocks else _column_scene(networks, options.fold)
    instead = "draw it as SVG" if options.fold else "fold it, or draw it as SVG"
    return write(
        scene, format, options.theme, options.dpi, transparent=options.transparent, instead=instead
    )


def _column_scene(networks: Sequence[Network], fold: bool) -> Scene:
    whole = [column(network) for network in networks]
    shown = [folded_column(network) for network in networks] if fold else whole
    return lay_out(shown, described=whole)


def _block_scene(networks: Sequence[Network]) -> Scene:
    blocks = [block for network in networks for block in distinct_blocks(network)]
    if not blocks:
        names = ", ".join(network.name for network in networks)
        raise FigureError(f"there is no block to draw: {names} has no stages")
    return lay_out_blocks(blocks)
