"""Figures of networks in the manner of Figure 3 of He et al. 2015, as SVG, PNG, PDF or DOT.

The pipeline: ``columns`` reads off a network what its column shows, ``layout`` gives everything
its place, ``svg`` and ``dot`` write that down, ``render`` has Graphviz draw DOT as PNG and PDF.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from archc.backends.figure.blocks import distinct_blocks, lay_out_blocks
from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.dot import to_dot
from archc.backends.figure.font import FontError, font_data, lacking
from archc.backends.figure.layout import lay_out
from archc.backends.figure.render import run_graphviz
from archc.backends.figure.scene import Scene
from archc.backends.figure.svg import to_svg
from archc.backends.figure.theme import THEMES, Theme
from archc.choices import DPI, FORMATS, HEATS, diff_conflict, figure_conflict
from archc.dataclassing import dataclass
from archc.errors import ArchcError, ArchcWarning
from archc.graph import Network
from archc.text import code_points

__all__ = ["FORMATS", "MOST_LAYERS", "THEMES", "DrawOptions", "FigureError", "Theme", "draw"]
_MOST_PIXELS, _MOST_AREA = 32_767, 2**28
"""What Cairo draws: pixels on a side, and pixels in all, of 4 bytes each (here 1 GiB)."""
_MOST_POINTS = 14_400
"""What PDF readers show: 200 inches (ISO 32000-1, annex C)."""


class FigureError(ArchcError, ValueError):
    """A figure cannot be drawn as asked; the message says why and what can be done."""


MOST_LAYERS = 60
"""Up to how many layers pages and notebooks draw a network whole; of deeper ones they draw equal
blocks in a row once."""


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """How a figure is drawn: ``fold`` draws equal blocks in a row once, with their number.

    With ``blocks`` it shows the distinct blocks of the networks, drawn large (He et al. 2015,
    Figure 5), instead of the networks. ``theme`` is one of `THEMES`, ``dpi`` the pixels per inch
    of a PNG. ``overview`` shows each stage as one box, ``diff`` marks what differs between two
    networks, ``heat`` shades boxes by their share of what it names, one of `HEATS`.
    """

    fold: bool = False
    blocks: bool = False
    theme: str = "light"
    dpi: int = DPI
    overview: bool = False
    diff: bool = False
    heat: str | None = None


DEFAULTS = DrawOptions()


def draw(
    networks: Sequence[Network], format: str = "svg", options: DrawOptions = DEFAULTS
) -> bytes:
    """Draw networks side by side, in this order, as a file of the format: one of `FORMATS`.

    The same networks give the same bytes. Raises `FigureError` where there is no network, no such
    format or theme, and where the figure is larger than the format carries. Warns with
    `ArchcWarning` of characters that the font lacks, in PNG and PDF.
    """
    if format not in FORMATS:
        raise FigureError(f"cannot draw as {format!r}: use one of {', '.join(FORMATS)}")
    if options.theme not in THEMES:
        raise FigureError(f"there is no theme {options.theme!r}: use one of {', '.join(THEMES)}")
    if options.dpi < 1:
        raise FigureError(f"{options.dpi} pixels per inch are none: use at least 1")
    if not networks:
        raise FigureError("there is no network to draw")
    _check_kind(networks, options)
    try:
        font_data()
    except FontError as error:
        raise FigureError(str(error)) from None
    scene = _scene(networks, options)
    _check_size(scene, format, options)
    theme = THEMES[options.theme]
    if format == "svg":
        return to_svg(scene, theme)
    dot = to_dot(scene, options.dpi if format == "png" else None, theme)
    if format == "dot":
        return dot.encode()
    _warn_of_lacking(scene, format)
    return run_graphviz(dot, format)


def _warn_of_lacking(scene: Scene, format: str) -> None:
    """Warn of characters that come out as boxes; an SVG is shown in its viewer's fonts."""
    marks = [curve.mark.text for curve in scene.curves if curve.mark]
    texts = [text.text for text in scene.texts] + [box.label for box in scene.boxes] + marks
    if characters := lacking("".join(texts)):
        warnings.warn(
            f"the figure font has no glyphs for {code_points(characters)}: the {format.upper()} "
            "shows boxes instead; draw it as SVG to use the viewer's fonts",
            ArchcWarning,
            stacklevel=3,
        )


def _check_kind(networks: Sequence[Network], options: DrawOptions) -> None:
    """Raise `FigureError` where the options contradict each other, or do not fit the networks."""
    if options.heat is not None and options.heat not in HEATS:
        raise FigureError(f"`heat` must be one of {', '.join(HEATS)}, not {options.heat!r}")
    kinds = [name for name in ("fold", "blocks", "overview", "diff") if getattr(options, name)]
    chosen = [*kinds, *["heat"] * (options.heat is not None)]
    trouble = figure_conflict(chosen, "`{}`".format)
    if options.diff and trouble is None:
        trouble = diff_conflict(len(networks), "`diff`")
    if trouble:
        raise FigureError(trouble)


def _scene(networks: Sequence[Network], options: DrawOptions) -> Scene:
    """What is drawn, of whichever kind."""
    if options.blocks:
        return _block_scene(networks)
    if options.overview:
        from archc.backends.figure.overview import lay_out_overview

        return lay_out_overview(networks)
    scene = _column_scene(networks, options.fold)
    if options.diff:
        from archc.backends.figure.differences import with_differences

        first, second = networks
        return with_differences(scene, first, second, options.fold)
    if options.heat is not None:
        from archc.backends.figure.heat import with_heat

        return with_heat(scene, networks, options.fold, options.heat)
    return scene


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


def _check_size(scene: Scene, format: str, options: DrawOptions) -> None:
    """Raise `FigureError` where a format cannot carry a page of this size."""
    is_least = options.fold or options.overview
    instead = "draw it as SVG" if is_least else "fold it, or draw it as SVG"
    if format == "png":
        sides = (scene.width, scene.height)
        width, height = (math.ceil(side * options.dpi / 72) + 1 for side in sides)
        if max(width, height) > _MOST_PIXELS:
            limit = f"the {_MOST_PIXELS:,} a PNG can have on a side"
        elif width * height > _MOST_AREA:
            limit = f"the {_MOST_AREA:,} in all that can be drawn at once"
        else:
            return
        raise _too_large(f"{width:,} x {height:,} pixels", limit, instead)
    width, height = math.ceil(scene.width), math.ceil(scene.height)
    if format == "pdf" and max(width, height) > _MOST_POINTS:
        limit = f"the {_MOST_POINTS:,} that PDF readers show on a side"
        raise _too_large(f"{width:,} x {height:,} points", limit, instead)


def _too_large(size: str, limit: str, instead: str) -> FigureError:
    return FigureError(f"the figure is {size}, more than {limit}: {instead}")
