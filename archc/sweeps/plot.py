"""A sweep as a plot: parameters against multiply-adds, the Pareto front in steps, labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from archc.backends.figure.font import text_width
from archc.backends.numbers import exactly
from archc.dataclassing import dataclass
from archc.plots import (
    INK,
    LINES,
    SIZE,
    legend_above,
    plot_style,
    require_matplotlib,
    saved,
    title_lines,
)
from archc.sweeps.labels import Box, place_labels
from archc.widths import COLUMN, check_plot_width

_MANY = 3000
"""From how many points on an SVG holds them as one image instead of a shape each."""
_WIDE = 25
"""From which ratio of the largest to the smallest on an axis is logarithmic."""
_CROWDED = 60
"""From how many points on a front has small markers."""

_POINTS, _FRONT, _BASE = "#8797c2", LINES[0], LINES[1]
_UNITS = ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"))
_MARKER, _STAR = 3.0, 8.0
"""How wide a point of the front and the base are, in points."""
_HANDLE = 30.0
"""What a legend needs beside its words, in points."""


@dataclass(frozen=True, slots=True)
class Points:
    """Variants as points: their parameters and their multiply-adds; ``base`` is the spec's own.

    ``labels`` are those of points by their places, ``varied`` says what they tell.
    """

    title: str
    params: Sequence[float]
    multiply_adds: Sequence[float]
    base: tuple[int, int] | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    varied: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as a file's content, and how many of its labels there was no room for."""

    content: bytes
    left_out: int


def front(points: Points) -> list[int]:
    """The places of the Pareto front, fewest multiply-adds first.

    On it are the variants that no other one has at least as many parameters as for at most as
    many multiply-adds: the most capacity for what they compute.
    """
    places = sorted(
        range(len(points.params)), key=lambda i: (points.multiply_adds[i], -points.params[i])
    )
    most, found = -1.0, []
    for place in places:
        if points.params[place] > most:
            most = points.params[place]
            found.append(place)
    return found


def plot(points: Points, format: str, width: float = COLUMN) -> Plot:
    """The plot; ``format`` is svg, png or pdf, ``width`` in points.

    The same points give the same bytes. Raises ValueError for a width that no plot can have.
    """
    check_plot_width(width)
    require_matplotlib()
    from matplotlib.figure import Figure

    marked = front(points)
    with plot_style():
        height = min(0.68 * width, 300.0)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        axes = figure.subplots()
        handles = [_all(axes, points), _front(axes, points, marked)]
        if points.base is not None:
            handles.append(_base(axes, points.base))
        _scale(axes.xaxis, "multiply-adds for one image", _values(points, 1))
        _scale(axes.yaxis, "parameters", _values(points, 0))
        legend_above(figure, handles, _legend(points, width - _HANDLE))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        left_out = _label(axes, points, marked)
        return Plot(saved(figure, format, f"Variants of {points.title}"), left_out)


def _legend(points: Points, width: float) -> list[str]:
    """What the points, the front and the star are, in lines of a width."""
    count = len(points.params)
    front = "Pareto front: the most parameters for their multiply-adds"
    told = [title_lines(front, width)]
    if points.labels:
        told.append(title_lines(f"labels: {points.varied}", width))
    own = [] if points.base is None else [title_lines(points.title, width)]
    return [f"{exactly(count)} variant{'s' * (count != 1)}", "\n".join(told), *own]


def _all(axes: Any, points: Points) -> Any:
    return axes.scatter(
        points.multiply_adds,
        points.params,
        s=7 if len(points.params) < _MANY else 2,
        color=_POINTS,
        linewidths=0,
        rasterized=len(points.params) > _MANY,
    )


def _front(axes: Any, points: Points, marked: Sequence[int]) -> Any:
    """The front in steps: up to the next point it has the parameters of the last."""
    crowded = len(marked) > _CROWDED
    (line,) = axes.plot(
        [points.multiply_adds[i] for i in marked],
        [points.params[i] for i in marked],
        color=_FRONT,
        linewidth=0.6 if crowded else 0.9,
        drawstyle="steps-post",
        marker="o",
        markersize=_MARKER / 2 if crowded else _MARKER,
    )
    return line


def _base(axes: Any, base: tuple[int, int]) -> Any:
    params, multiply_adds = base
    (star,) = axes.plot(
        [multiply_adds],
        [params],
        linestyle="none",
        marker="*",
        markersize=_STAR,
        color=_BASE,
        markeredgecolor=INK,
        markeredgewidth=0.5,
        zorder=3,
    )
    return star


def _values(points: Points, which: int) -> list[float]:
    """The smallest and the largest number on an axis."""
    numbers = points.multiply_adds if which else points.params
    own = [] if points.base is None else [float(points.base[which])]
    found = [*own, *([min(numbers), max(numbers)] if len(numbers) else [])]
    return [min(found, default=0.0), max(found, default=1.0)]


def _scale(axis: Any, what: str, values: Sequence[float]) -> None:
    """Bounds with room for a marker at each end, numbers in short, their unit beside the name."""
    from matplotlib.ticker import (
        EngFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
    )

    least, most = values
    share = 0.06 if axis.axis_name == "x" else 0.1  # the label is above its point
    limits = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim
    if least > 0 and most / least > _WIDE:
        room = (most / least) ** share
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if most / least < 300 else (1,)))
        axis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
        axis.set_minor_formatter(NullFormatter())
        limits(least / room, most * room)
        axis.set_label_text(what)
        return
    room = share * (most - least) or share * most or 1.0
    limits(0.0 if room <= least <= most / 2 else least - room, most + room)
    power, unit = next(((p, u) for p, u in _UNITS if most >= 10**p), (0, ""))
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(_numbers(10**power))
    axis.set_label_text(f"{what} ({unit})" if unit else what)


def _numbers(unit: float) -> Any:
    """Numbers as multiples of a unit, all with as many decimals as one of them needs."""
    from matplotlib.ticker import Formatter

    class Numbers(Formatter):
        def __call__(self, value: float, pos: int | None = None) -> str:
            return f"{value / unit:.8g}"

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            decimals = max((len(self(value).partition(".")[2]) for value in values), default=0)
            return [f"{value / unit:.{decimals}f}" for value in values]

    return Numbers()


def _label(axes: Any, points: Points, marked: Sequence[int]) -> int:
    """Label the points of the front that have room for it; how many do not."""
    places = [place for place in marked if place in points.labels]
    if not places:
        return 0
    scale = 72 / axes.figure.dpi  # pixels of the layout to points
    at = [
        tuple(scale * axes.transData.transform((points.multiply_adds[i], points.params[i])))
        for i in places
    ]
    sizes = [(text_width(points.labels[i], SIZE), 1.15 * SIZE) for i in places]
    frame = tuple(scale * number for number in axes.bbox.extents)
    gaps = [
        2.5 + (_STAR - _MARKER) / 2 * ((points.params[i], points.multiply_adds[i]) == points.base)
        for i in places
    ]
    found = place_labels(at, sizes, gaps, _obstacles(axes, points, marked, scale), frame)
    for index, (left, bottom, right, top) in found.items():
        axes.annotate(
            points.labels[places[index]],
            ((left + right) / 2, (bottom + top) / 2),
            xycoords="figure points",
            ha="center",
            va="center",
        )
    return len(places) - len(found)


def _obstacles(axes: Any, points: Points, marked: Sequence[int], scale: float) -> list[Box]:
    """What no label may cover, in points: markers, the front's steps, the base."""
    import numpy as np

    def boxes(xs: Sequence[float], ys: Sequence[float], radius: float) -> Any:
        places = scale * axes.transData.transform(np.column_stack([xs, ys]))
        # A million points take only so many places on a page.
        places = np.unique(np.round(2 * places), axis=0) / 2
        return np.hstack([places - radius, places + radius])

    found = [boxes(points.multiply_adds, points.params, _MARKER / 2)]
    if points.base is not None:
        found.append(boxes([points.base[1]], [points.base[0]], _STAR / 2))
    corners = [(points.multiply_adds[i], points.params[i]) for i in marked]
    ends = scale * axes.transData.transform(corners)
    (x, y), (after, above) = ends[:-1].T, ends[1:].T
    found += [
        np.column_stack([x, y - 0.5, after, y + 0.5]),
        np.column_stack([after - 0.5, y, after + 0.5, above]),
    ]
    return [tuple(box) for box in np.vstack(found)]
