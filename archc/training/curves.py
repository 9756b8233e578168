"""Training and test error over the iterations, in the manner of the paper's Figures 1 and 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archc.plots import GREY, plot_style, require_matplotlib, saved, title_lines
from archc.training.metrics import Row, read_metrics
from archc.training.run import Run

# Colours that are told apart in print and by the colour-blind (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
_BOLD, _THIN = 1.8, 0.9
_LEGEND = 190.0
"""How wide a title in the legend is at the most, in points."""
_SMOOTH = 200
"""How many points a curve of the training error has at most; each is the mean of its rows."""


def draw_curves(runs: Sequence[Run], format: str = "svg", *, split: bool = False) -> bytes:
    """A picture of the runs' training (thin) and test error (bold), each in its colour.

    With ``split`` training stands on the left and tests on the right, as in the paper's Figure 1.
    ``format`` is svg, png or pdf. Raises `TrainingError` for a run without metrics, `SpecError`
    where they hold what no run measures.
    """
    measured = [read_metrics(run.metrics) for run in runs]
    titles = [_title(run, runs) for run in runs]
    require_matplotlib()
    from matplotlib.figure import Figure

    with plot_style():
        figure = Figure(figsize=(10.4, 4.0) if split else (7.6, 4.4), layout="constrained")
        panels = figure.subplots(1, 2 if split else 1, sharey=True, squeeze=False)[0]
        for index, (title, rows) in enumerate(zip(titles, measured, strict=True)):
            colour = _COLOURS[index % len(_COLOURS)]
            _training_curve(panels[0], rows, colour)
            _test_curve(panels[-1], rows, title, colour)
        for axes, what in zip(panels, ("training ", "test ") if split else ("",), strict=True):
            _decorate(axes, measured, f"{what}error (%)")
        # Beside the axes: where errors are high, or curves long, there is no room among them.
        handles = panels[-1].get_legend_handles_labels()[0] + _key()
        figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9)
        return saved(figure, format)


def _title(run: Run, runs: Sequence[Run]) -> str:
    """The network's name, and the folder's where others have the same."""
    title = run.title
    same = sum(other.title == title for other in runs) > 1
    return f"{title} ({run.folder.resolve().name})" if same else title


def _training_curve(axes: Any, rows: Sequence[Row], colour: str) -> None:
    points = [(r.iteration, r.training_error) for r in rows if r.training_error is not None]
    xs, ys = _averaged(points)
    axes.plot(xs, ys, color=colour, linewidth=_THIN, **_mark(xs))


def _test_curve(axes: Any, rows: Sequence[Row], title: str, colour: str) -> None:
    points = [(row.iteration, row.test_error) for row in rows if row.test_error is not None]
    xs, ys = [one[0] for one in points], [one[1] for one in points]
    last = f", {ys[-1]:.2f} %" if ys else ""
    axes.plot(
        xs,
        ys,
        color=colour,
        linewidth=_BOLD,
        label=f"{title_lines(title, 9, _LEGEND)}{last}",
        **_mark(xs),
    )


def _mark(xs: Sequence[float]) -> dict[str, Any]:
    """A single point, which no line would show, as a dot."""
    return {"marker": "o", "markersize": 4} if len(xs) == 1 else {}


def _averaged(points: Sequence[tuple[int, float | None]]) -> tuple[list[float], list[float]]:
    """The points, neighbours averaged where there are too many for a thin line."""
    size = math.ceil(len(points) / _SMOOTH) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    xs = [sum(one[0] for one in group) / len(group) for group in groups]
    return xs, [sum(one[1] or 0.0 for one in group) / len(group) for group in groups]


def _key() -> list[Any]:
    """What thin and bold lines are."""
    from matplotlib.lines import Line2D

    widths = {"test": _BOLD, "training": _THIN}
    return [Line2D([], [], color=GREY, linewidth=widths[what], label=what) for what in widths]


def _decorate(axes: Any, measured: Sequence[Sequence[Row]], label: str) -> None:
    """Axes as in the paper: thousands of iterations, percent, a height that shows the ends."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    longest = max(1, *(row.iteration for rows in measured for row in rows))
    height = _height(measured)
    axes.set_xlim(0, 1.01 * longest)  # room for a dot at the end, and for a line at zero
    axes.set_ylim(-0.01 * height, height)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    thousands = FuncFormatter(lambda x, _: f"{x / 1000:g}")
    if longest >= 10_000:
        axes.xaxis.set_major_formatter(thousands)
    axes.set_xlabel("iterations (thousands)" if longest >= 10_000 else "iterations")
    axes.set_ylabel(label)
    axes.grid(color=GREY, alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


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
