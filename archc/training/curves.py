"""Training and test error over the iterations, in the manner of the paper's Figures 1 and 6."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from archc.errors import ArchcWarning
from archc.plots import (
    INK,
    LINES,
    OUTLINE,
    SIZE,
    legend_above,
    plot_style,
    require_matplotlib,
    saved,
    title_lines,
)
from archc.training.metrics import Row, read_metrics
from archc.training.run import Run
from archc.widths import COLUMN, check_plot_width

_BOLD, _THIN = 1.4, 0.7
_DASHES = (0, (3.2, 1.4))
_MARKERS = "os^DvPX"
"""Seven for eight colours, so that 56 curves differ."""
_MARKED = 8
"""How many markers a curve has, about."""
_SMOOTH = 200
"""How many points a curve of the training error has at most; each is the mean of its rows."""
_NUMBER, _THOUSANDS = 45.0, 25.0
"""How much of a plot's width a number of iterations takes, and of thousands of them, in points."""
_HANDLE = 40.0
"""What a legend needs beside its words, in points."""


def draw_curves(
    runs: Sequence[Run], format: str = "svg", *, split: bool = False, width: float = COLUMN
) -> bytes:
    """A plot of the runs' training error (dashed and thin) and test error (solid and bold).

    With ``split`` training stands on the left and tests on the right, as in the paper's Figure 1.
    ``format`` is svg, png or pdf, ``width`` in points. A run that is given twice is drawn once.
    Raises `TrainingError` for a run without metrics, `SpecError` where they hold what no run
    measures, ValueError for a width that no plot can have.
    """
    check_plot_width(width)
    runs = list({run.folder.resolve(): run for run in runs}.values())
    measured = [read_metrics(run.metrics) for run in runs]
    titles = _titles(runs)
    require_matplotlib()
    from matplotlib.figure import Figure

    with plot_style():
        height = min(0.6 * width, 250.0)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        panels = figure.subplots(1, 2 if split else 1, sharey=True, squeeze=False)[0]
        for index, rows in enumerate(measured):
            look = _look(index, len(runs))
            _training_curve(panels[0], rows, look)
            _test_curve(panels[-1], rows, look, index / len(runs))
        for axes, what in zip(panels, ("training ", "test ") if split else ("",), strict=True):
            _decorate(axes, measured, f"{what}error (%)", width / len(panels))
        _legend(figure, titles, measured, width)
        _tell_ends(figure, panels[-1], measured)
        return saved(figure, format, f"Training and test error: {', '.join(titles)}")


def _titles(runs: Sequence[Run]) -> list[str]:
    """The networks' titles; those of several runs with as much of the folder as they differ in."""
    titles = [run.title for run in runs]
    shown = []
    for run, title in zip(runs, titles, strict=True):
        same = [
            other.folder.resolve().parts
            for other, its in zip(runs, titles, strict=True)
            if its == title
        ]
        parts = run.folder.resolve().parts
        count = next(
            n for n in range(1, len(parts) + 1) if sum(o[-n:] == parts[-n:] for o in same) == 1
        )
        shown.append(title if len(same) == 1 else f"{title} ({'/'.join(parts[-count:])})")
    return shown


def _look(index: int, count: int) -> dict[str, Any]:
    """A curve's colour, and its marker where there are several."""
    look: dict[str, Any] = {"color": LINES[index % len(LINES)]}
    return look if count == 1 else {**look, "marker": _MARKERS[index % len(_MARKERS)]}


def _training_curve(axes: Any, rows: Sequence[Row], look: dict[str, Any]) -> None:
    points = [(r.iteration, r.training_error) for r in rows if r.training_error is not None]
    xs, ys = _averaged(points)
    style = {"linestyle": _DASHES, "linewidth": _THIN, "color": look["color"]}
    axes.plot(xs, ys, **style, **_single(xs))


def _test_curve(axes: Any, rows: Sequence[Row], look: dict[str, Any], shift: float) -> None:
    """The markers begin later by a ``shift`` of 0 to 1, so that the markers of curves are apart."""
    tests = [(row.iteration, row.test_error) for row in rows if row.test_error is not None]
    xs, ys = [x for x, _ in tests], [y for _, y in tests]
    every = max(1, round(len(xs) / _MARKED))
    style = {
        "linewidth": _BOLD,
        "markersize": 3.5,
        "markevery": (int(shift * every), every),
        **look,
    }
    axes.plot(xs, ys, **{**style, **_single(xs)})


def _single(xs: Sequence[float]) -> dict[str, Any]:
    """A single point, which no line would show, as a dot."""
    return {"marker": "o", "markersize": 3, "markevery": 1} if len(xs) == 1 else {}


def _averaged(points: Sequence[tuple[int, float | None]]) -> tuple[list[float], list[float]]:
    """The points, neighbours averaged where there are too many for a thin line."""
    size = math.ceil(len(points) / _SMOOTH) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    xs = [sum(x for x, _ in group) / len(group) for group in groups]
    return xs, [sum(y or 0.0 for _, y in group) / len(group) for group in groups]


def _legend(
    figure: Any, titles: Sequence[str], measured: Sequence[Sequence[Row]], width: float
) -> None:
    """Which colour is which network, and what solid and dashed are, where there are such lines."""
    from matplotlib.lines import Line2D

    rows = [row for run in measured for row in run]
    handles = [
        Line2D([], [], linewidth=_BOLD, markersize=3.5, **_look(index, len(titles)))
        for index in range(len(titles))
    ]
    labels = [title_lines(title, width - _HANDLE) for title in titles]
    if any(row.test_error is not None for row in rows):
        handles.append(Line2D([], [], color=OUTLINE, linewidth=_BOLD))
        labels.append("test")
    if any(row.training_error is not None for row in rows):
        handles.append(Line2D([], [], color=OUTLINE, linewidth=_THIN, linestyle=_DASHES))
        labels.append("training")
    legend_above(figure, handles, labels, columns=3)


def _decorate(axes: Any, measured: Sequence[Sequence[Row]], label: str, width: float) -> None:
    """Axes as in the paper: thousands of iterations, percent, a height that shows the ends."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    longest = max(1, *(row.iteration for rows in measured for row in rows))
    height = _height(measured)
    axes.set_xlim(0, 1.02 * longest)  # room for a marker at the end, and for a line at zero
    axes.set_ylim(-0.01 * height, height)
    in_thousands = longest >= 10_000
    across = max(1, min(5, int(width / (_THOUSANDS if in_thousands else _NUMBER))))
    for axis, most in ((axes.xaxis, across), (axes.yaxis, 5)):
        axis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x / 1000:g}" if in_thousands else f"{x:,.0f}")
    )
    axes.set_xlabel("iterations (thousands)" if in_thousands else "iterations")
    axes.set_ylabel(label)


def _height(measured: Sequence[Sequence[Row]]) -> float:
    """What the errors of the later half stay below, in tens, with some room; 20 at least."""
    errors = [
        error
        for rows in measured
        for row in rows
        if row.iteration > rows[-1].iteration / 2
        for error in (row.training_error, row.test_error)
        if error is not None
    ]
    return min(100.0, max(20.0, 10 * math.ceil(1.15 * max(errors, default=100.0) / 10)))


def _tell_ends(figure: Any, axes: Any, measured: Sequence[Sequence[Row]]) -> None:
    """The last test error of each run in the margin, at the height of its curve's end.

    The figure's layout is settled here. Warns where there are more than the margin has room for.
    """
    ends = {
        index: [row.test_error for row in rows if row.test_error is not None]
        for index, rows in enumerate(measured)
    }
    last = {index: errors[-1] for index, errors in ends.items() if errors}
    texts = {
        index: axes.text(
            1.02,
            error,
            f"{error:.2f}",
            transform=axes.get_yaxis_transform(),
            color=_darker(LINES[index % len(LINES)]),
            va="center_baseline",
        )
        for index, error in last.items()
    }
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    bottom, top = axes.get_ylim()
    line = 1.15 * SIZE * (top - bottom) / axes.bbox.height
    if len(texts) * line > top - bottom:
        for text in texts.values():
            text.remove()
        warnings.warn(
            f"the plot has no room for the last test errors of {len(texts)} runs", ArchcWarning, 2
        )
        return
    for index, place in _spread(last, line, bottom + line / 2, top - line / 2).items():
        texts[index].set_y(place)


def _spread(places: dict[int, float], gap: float, low: float, high: float) -> dict[int, float]:
    """The places, moved as little as it takes to be a gap apart and between the bounds.

    >>> _spread({0: 5.0, 1: 5.5, 2: 9.5}, 1, 0.5, 9)
    {0: 5.0, 1: 6.0, 2: 9}
    """
    order = sorted(places, key=lambda index: (places[index], index))
    found: dict[int, float] = {}
    for index in order:
        low = found[index] = max(low, places[index])
        low += gap
    for index in reversed(order):
        high = found[index] = min(high, found[index])
        high -= gap
    return {index: found[index] for index in places}


def _darker(colour: str) -> str:
    """A colour of curves, dark enough for small type."""
    parts = [
        (int(colour[at : at + 2], 16) + int(INK[at : at + 2], 16)) // 2 for at in range(1, 7, 2)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)
