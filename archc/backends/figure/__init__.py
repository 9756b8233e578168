"""Figures of networks in the manner of Figure 3 of He et al. 2015, as SVG, PNG, PDF, TikZ or DOT.

The pipeline: ``columns`` reads off a network what its column shows, ``layout`` gives everything
its place, and ``writing`` writes that down by the writer of a format.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.font import FontError, font_data
from archc.backends.figure.layout import lay_out
from archc.backends.figure.metrics import DIFFERENCE_GAP, LARGE, WIDE
from archc.backends.figure.scene import Scene
from archc.backends.figure.theme import THEMES, Theme
from archc.backends.figure.writing import FigureError, write
from archc.choices import (
    DETAILS,
    DPI,
    FORMATS,
    HEATS,
    diff_conflict,
    figure_conflict,
    wrong_choice,
)
from archc.dataclassing import dataclass
from archc.errors import ArchcWarning
from archc.graph import Network
from archc.widths import MAX, MIN

__all__ = ["FORMATS", "MOST_LAYERS", "THEMES", "DrawOptions", "FigureError", "Theme", "draw"]

MOST_LAYERS = 60
"""Up to how many layers pages and notebooks draw a network whole; of deeper ones they draw equal
blocks in a row once."""


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """How a figure is drawn: ``fold`` draws equal blocks in a row once, with their number.

    With ``blocks`` it shows the distinct blocks of the networks, drawn large (He et al. 2015,
    Figure 5), instead of the networks. ``theme`` is one of `THEMES`, ``dpi`` the pixels per inch of
    a PNG. ``overview`` shows each stage as one box, ``diff`` marks what differs between two
    networks, ``heat`` shades boxes by their share of what it names, one of `HEATS`. A
    ``transparent`` figure has no ground.

    ``block`` chooses blocks by type, class or ``stage:block`` and implies ``blocks``; ``detail``,
    one of `DETAILS`, names norms and activations beside arrows. On paper the figure is ``width``
    points wide at the most, and its labels have ``font_size`` points; where only one of these is
    given, the other follows.
    """

    fold: bool = False
    blocks: bool = False
    theme: str = "light"
    dpi: int = DPI
    overview: bool = False
    diff: bool = False
    heat: str | None = None
    block: tuple[str, ...] = ()
    detail: str | None = None
    width: float | None = None
    font_size: float | None = None
    transparent: bool = False

    @property
    def is_of_blocks(self) -> bool:
        """Whether it shows blocks."""
        return self.blocks or bool(self.block)


DEFAULTS = DrawOptions()


class Drawing(NamedTuple):
    """A figure as a file, and the size of type of its labels in points."""

    content: bytes
    label: float


def draw(
    networks: Sequence[Network], format: str = "svg", options: DrawOptions = DEFAULTS
) -> bytes:
    """As `drawing`: the file alone."""
    return drawing(networks, format, options).content


def drawing(
    networks: Sequence[Network], format: str = "svg", options: DrawOptions = DEFAULTS
) -> Drawing:
    """Draw networks side by side, in this order, as a file of the format: one of `FORMATS`.

    The same networks give the same bytes. Raises `FigureError` where there is no network, no such
    format or theme, and where the figure is larger than the format carries. Warns with
    `ArchcWarning` of characters that are shown as boxes, in PNG, PDF and TeX.
    """
    if words := wrong_choice("format", format, FORMATS):
        raise FigureError(words)
    if words := wrong_choice("theme", options.theme, THEMES):
        raise FigureError(words)
    if options.dpi < 1:
        raise FigureError(f"`dpi` must be at least 1, not {options.dpi}")
    if options.width is not None:
        _check_length("width", options.width, MIN, MAX)
    if options.font_size is not None:
        _check_length("font_size", options.font_size, 2, 72)
    if not networks:
        raise FigureError("there is no network to draw")
    _check_kind(networks, options)
    try:
        font_data()
    except FontError as error:
        raise FigureError(str(error)) from None
    scene, label = _labelled(networks, options)
    is_least = options.fold or options.overview or options.is_of_blocks
    instead = "draw it as SVG" if is_least else "fold it, or draw it as SVG"
    content = write(
        scene, format, options.theme, options.dpi, transparent=options.transparent, instead=instead
    )
    return Drawing(content, label * scene.scale)


def _check_length(name: str, points: float, least: float, most: float) -> None:
    """Raise `FigureError` for a length that no figure can have."""
    if not least <= points <= most:
        raise FigureError(
            f"`{name}` must be from {least:.0f} to {most:,.0f} points, not {points:g}"
        )


def _check_kind(networks: Sequence[Network], options: DrawOptions) -> None:
    """Raise `FigureError` where the options contradict each other, or do not fit the networks."""
    if options.heat is not None and (words := wrong_choice("heat", options.heat, HEATS)):
        raise FigureError(words)
    if options.detail is not None and (words := wrong_choice("detail", options.detail, DETAILS)):
        raise FigureError(words)
    kinds = [name for name in ("fold", "blocks", "overview", "diff") if getattr(options, name)]
    if options.block and not options.blocks:
        kinds.append("block")
    if options.detail:
        kinds.append("detail")
    chosen = [*kinds, *["heat"] * (options.heat is not None)]
    trouble = figure_conflict(chosen, "`{}`".format)
    if options.diff and trouble is None:
        trouble = diff_conflict(len(networks), "`diff`")
    if trouble:
        raise FigureError(trouble)


def scene_of(networks: Sequence[Network], options: DrawOptions = DEFAULTS) -> Scene:
    """What is drawn, of whichever kind, as large as it is asked for."""
    return _labelled(networks, options)[0]


def _labelled(networks: Sequence[Network], options: DrawOptions) -> tuple[Scene, float]:
    """What is drawn, and the size of type of its labels where it is not scaled."""
    width, size = options.width, options.font_size
    if options.is_of_blocks:
        scene, label = _block_scene(networks, options), LARGE.label
    elif options.overview:
        from archc.backends.figure.overview import LABEL, lay_out_overview

        scene, label = lay_out_overview(networks), LABEL
        if width is not None or size is not None:
            from archc.backends.figure.fitting import fit_scene

            scene = fit_scene(scene, width, size, label)
    else:
        scene, label = _column_scene(networks, options), WIDE.label
    if width is not None or size is not None:
        from archc.backends.figure.fitting import advice

        can_fold = not (options.fold or options.is_of_blocks or options.overview)
        if trouble := advice(scene, width, label, fold=can_fold, many=len(networks) > 1):
            warnings.warn(trouble, ArchcWarning, stacklevel=4)
    return scene, label


def _column_scene(networks: Sequence[Network], options: DrawOptions) -> Scene:
    fold, detail = options.fold, options.detail is not None
    whole = [column(network, with_norms=detail) for network in networks]
    shown = whole
    if fold:
        # What is said of each layer has a box to say it of.
        all_layers = options.diff or options.heat is not None
        shown = [
            folded_column(network, with_norms=detail, with_all_layers=all_layers)
            for network in networks
        ]
    # Marks of differences need room between lanes.
    lane_gap = DIFFERENCE_GAP if options.diff else WIDE.lane_gap
    if options.width is None and options.font_size is None:
        metrics = replace(WIDE, lane_gap=lane_gap)
        return _with_marks(lay_out(shown, whole, metrics), networks, options)
    from archc.backends.figure.fitting import fit_columns

    return fit_columns(
        shown,
        whole,
        options.width,
        options.font_size,
        lambda scene: _with_marks(scene, networks, options),
        lane_gap=lane_gap,
    )


def _with_marks(scene: Scene, networks: Sequence[Network], options: DrawOptions) -> Scene:
    """Columns with what differs, or with shares."""
    if options.diff:
        from archc.backends.figure.differences import with_differences

        first, second = networks
        return with_differences(scene, first, second, options.fold)
    if options.heat is not None:
        from archc.backends.figure.heat import with_heat

        return with_heat(scene, networks, options.fold, options.heat)
    return scene


def _block_scene(networks: Sequence[Network], options: DrawOptions) -> Scene:
    from archc.backends.figure.blocks import lay_out_blocks
    from archc.backends.figure.chosen import UnknownBlockError, chosen_blocks

    try:
        blocks = chosen_blocks(networks, options.block)
    except UnknownBlockError as error:
        raise FigureError(str(error)) from None
    if not blocks:
        names = ", ".join(network.name for network in networks)
        raise FigureError(f"there is no block to draw: {names} has no stages and no blocks")
    detail = options.detail is not None
    if options.width is None and options.font_size is None:
        return lay_out_blocks(blocks, with_norms=detail)
    from archc.backends.figure.fitting import fit_blocks

    return fit_blocks(blocks, options.width, options.font_size, with_norms=detail)
