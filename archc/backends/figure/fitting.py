"""Figures for a page: how large everything is drawn, so that a width on paper holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from archc.backends.figure.blocks import Block, lay_out_blocks
from archc.backends.figure.layout import lay_out
from archc.backends.figure.metrics import LARGE, TIGHT, WIDE, Metrics
from archc.backends.figure.model import Column
from archc.backends.figure.scene import Scene, scaled
from archc.text import listing
from archc.widths import PAGE

MAX_TYPE, MIN_TYPE = 9.0, 5.0
"""Points: larger than labels need to be in a paper, and smaller than they can be read."""
HEIGHT = 22.5 * 72 / 2.54
"""How high a figure may be on a page, in points."""

_ACROSS = (
    *("least_width", "gutter_gap", "column_gap", "overhang", "reach", "padding", "bus"),
    "most_title",
)
"""The measures of `Metrics` that make a figure wider."""
_DOWN = ("title_line", "totals_line", "legend_line", "box", "gap", "band_gap", "below", "above")
"""Those that make it higher."""


def _between(across: float, down: float) -> Metrics:
    """Measures that are so far, from 0 to 1, from the tight ones to the wide ones."""
    metrics = replace(TIGHT, has_long_bands=across >= 0.5)
    for names, part in ((_ACROSS, across), (_DOWN, down)):
        for name in names:
            tight, wide = getattr(TIGHT, name), getattr(WIDE, name)
            metrics = replace(metrics, **{name: tight + (wide - tight) * part})
    return metrics


_STEPS = (1.0, 0.75, 0.5, 0.25)


def fit_columns(
    columns: Sequence[Column],
    described: Sequence[Column],
    width: float | None,
    size: float | None,
    finish: Callable[[Scene], Scene] = lambda scene: scene,
    *,
    lane_gap: float = WIDE.lane_gap,
) -> Scene:
    """Columns for a ``width`` on paper in points, with labels of a ``size`` of type in points where
    that is given, otherwise as large as both sides of a page allow. ``finish`` adds to a scene what
    is beside the columns."""

    def made(across: float, down: float) -> Scene:
        metrics = replace(_between(across, down), lane_gap=lane_gap)
        return finish(lay_out(columns, described, metrics))

    if width is None:
        assert size is not None
        metrics = replace(WIDE, lane_gap=lane_gap)
        return scaled(finish(lay_out(columns, described, metrics)), size / WIDE.label)
    tight = made(0.0, 0.0)
    unit = size / TIGHT.label if size else _unit(tight, width, TIGHT.label)
    across = _widest(lambda part: made(part, 0.0).width * unit <= width)
    down = _widest(lambda part: made(across, part).height * unit <= HEIGHT)
    return scaled(made(across, down), unit)


def _unit(scene: Scene, width: float, label: float) -> float:
    """What a figure may be multiplied with, so that it fits a width and a page."""
    return min(width / scene.width, HEIGHT / scene.height, MAX_TYPE / label)


def _widest(fits: Callable[[float], bool]) -> float:
    """The largest step from tight to wide that fits; 0 where none does."""
    return next((part for part in _STEPS if fits(part)), 0.0)


def fit_blocks(
    blocks: Sequence[Block],
    width: float | None,
    size: float | None,
    *,
    with_norms: bool = False,
) -> Scene:
    """Blocks for a ``width`` on paper in points, in as many rows as they need, with labels of a
    ``size`` of type in points where that is given, otherwise as large as a page allows."""
    if width is None:
        assert size is not None
        return scaled(lay_out_blocks(blocks, with_norms=with_norms), size / LARGE.label)
    sizes = [size] if size else [MAX_TYPE - step / 4 for step in range(17)]
    scene = lay_out_blocks(blocks, with_norms=with_norms)
    for points in sizes:
        unit = points / LARGE.label
        scene = lay_out_blocks(blocks, width / unit, with_norms=with_norms)
        if size or (scene.width * unit <= width and scene.height * unit <= HEIGHT):
            return scaled(scene, unit)
    return scaled(scene, _unit(scene, width, LARGE.label))


def fit_scene(scene: Scene, width: float | None, size: float | None, label: float) -> Scene:
    """Any other figure, whose labels have ``label`` units, scaled as a whole."""
    if size is not None:
        return scaled(scene, size / label)
    return scene if width is None else scaled(scene, _unit(scene, width, label))


def advice(scene: Scene, width: float | None, label: float, *, fold: bool, many: bool) -> str:
    """What is wrong with the size of a figure, and what would help; "" if nothing is."""
    points = label * scene.scale
    is_bound_by_width = width is not None and scene.width > width - 0.5
    helps = [
        *(["--fold"] if fold else []),
        *(["fewer networks"] if many else []),
        *(["--width page"] if width and width < PAGE - 1 and is_bound_by_width else []),
    ]
    hint = f"; for larger ones use {listing(helps)}" if helps else ""
    if width is not None and scene.width > width + 0.5:
        have, asked = (f"{one / 72 * 2.54:.1f} cm" for one in (scene.width, width))
        return f"at this font size the figure is {have} wide, more than the {asked} asked for"
    if points < MIN_TYPE:
        return f"labels are {points:.1f} pt, which is hard to read in print{hint}"
    return ""
