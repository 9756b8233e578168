"""Training and test error over the iterations, in the manner of the paper's Figure 6."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from archc.sweeps.plot import require_matplotlib
from archc.training.metrics import Row, read_metrics
from archc.training.run import Run

# Colours that are told apart in print and by the colour-blind (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
_SMOOTH = 200
"""How many points a curve of the training error has at most; each is the mean of its rows."""


def draw(runs: Sequence[Run], format: str = "svg") -> bytes:
    """A picture of the runs' training (thin) and test error (bold), each in its colour.

    ``format`` is svg, png or pdf. Raises `TrainingError` for a run without metrics.
    """
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    measured = [read_metrics(run.metrics) for run in runs]
    titles = [_title(run, runs) for run in runs]
    with mpl.rc_context({"svg.hashsalt": "archc", "font.size": 10, "svg.fonttype": "path"}):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        for index, (title, rows) in enumerate(zip(titles, measured, strict=True)):
            _curves(axes, rows, title, _COLOURS[index % len(_COLOURS)])
        _decorate(axes, measured)
        out = io.BytesIO()
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
        figure.savefig(out, format=format, dpi=200, metadata=metadata[format])
    return out.getvalue()


def _title(run: Run, runs: Sequence[Run]) -> str:
    """The network's name, and the folder's where others have the same."""
    title = run.title
    same = sum(other.title == title for other in runs) > 1
    return f"{title} ({run.folder.resolve().name})" if same else title


def _curves(axes: Any, rows: Sequence[Row], title: str, colour: str) -> None:
    training = [
        (row.iteration, row.training_error) for row in rows if row.training_error is not None
    ]
    tested = [(row.iteration, row.test_error) for row in rows if row.test_error is not None]
    xs, ys = _averaged(training)
    axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.9)
    last = f", {tested[-1][1]:.2f} %" if tested else ""
    mark = "o" if len(tested) == 1 else None
    axes.plot(
        [one[0] for one in tested],
        [one[1] for one in tested],
        color=colour,
        linewidth=2.2,
        marker=mark,
        markersize=4,
        label=f"{title}{last}",
    )


def _averaged(points: Sequence[tuple[int, float | None]]) -> tuple[list[float], list[float]]:
    """The points, neighbours averaged where there are too many for a thin line."""
    size = math.ceil(len(points) / _SMOOTH) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    xs = [sum(one[0] for one in group) / len(group) for group in groups]
    return xs, [sum(one[1] or 0.0 for one in group) / len(group) for group in groups]


def _decorate(axes: Any, measured: Sequence[Sequence[Row]]) -> None:
    """Axes as in the paper: thousands of iterations, percent, a height that shows the ends."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    longest = max(row.iteration for rows in measured for row in rows)
    axes.set_xlim(0, longest)
    axes.set_ylim(0, _height(measured))
    thousands = FuncFormatter(lambda x, _: f"{x / 1000:g}")
    if longest >= 10_000:
        axes.xaxis.set_major_formatter(thousands)
    axes.set_xlabel("iterations (thousands)" if longest >= 10_000 else "iterations")
    axes.set_ylabel("error (%)")
    axes.grid(color="#5f6b76", alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    how = [
        Line2D([], [], color="#5f6b76", linewidth=2.2, label="test"),
        Line2D([], [], color="#5f6b76", linewidth=0.8, label="training"),
    ]
    handles = [*axes.get_legend_handles_labels()[0], *how]
    axes.legend(handles=handles, frameon=False, loc="upper right", fontsize=9)


def _height(measured: Sequence[Sequence[Row]]) -> float:
    """What the errors of the later three quarters stay below, in tens, with room for the legend."""
    errors = [
        error
        for rows in measured
        for row in rows
        if row.iteration > rows[-1].iteration / 4
        for error in (row.training_error, row.test_error)
        if error is not None
    ]
    return min(100.0, max(20.0, 10 * math.ceil(1.15 * max(errors, default=100.0) / 10)))
