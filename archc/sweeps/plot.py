"""A sweep as a picture: parameters against multiply-adds, the Pareto front marked."""

from __future__ import annotations

from collections.abc import Sequence

from archc.backends.numbers import exactly
from archc.dataclassing import dataclass
from archc.plots import GREY, plot_style, require_matplotlib, saved, title_lines

_MANY = 3000
"""From how many points on an SVG holds them as one image instead of a shape each."""

_WIDE = 50
"""From which ratio of the largest to the smallest on axes are logarithmic."""

_BLUE, _ORANGE = "#0072b2", "#d55e00"


@dataclass(frozen=True, slots=True)
class Points:
    """Variants as points: their parameters and their multiply-adds; ``base`` is the spec's own."""

    title: str
    params: Sequence[float]
    multiply_adds: Sequence[float]
    base: tuple[int, int] | None = None


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


def plot(points: Points, format: str) -> bytes:
    """The picture; ``format`` is svg, png or pdf. The same points give the same bytes."""
    require_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    marked = front(points)
    with plot_style():
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axes = figure.subplots()
        axes.scatter(
            points.multiply_adds,
            points.params,
            s=14 if len(points.params) < _MANY else 5,
            color=_BLUE,
            alpha=0.55,
            linewidths=0,
            rasterized=len(points.params) > _MANY,
            label=f"{exactly(len(points.params))} variants",
        )
        axes.plot(
            [points.multiply_adds[i] for i in marked],
            [points.params[i] for i in marked],
            color=_ORANGE,
            linewidth=1.2 if len(marked) < 60 else 0.7,
            marker="o",
            markersize=4.5 if len(marked) < 60 else 1.5,
            label="Pareto front: the most parameters for their multiply-adds",
        )
        if points.base is not None:
            params, multiply_adds = points.base
            axes.plot(
                [multiply_adds],
                [params],
                linestyle="none",
                marker="*",
                markersize=13,
                color="black",
                markeredgecolor="white",
                label=title_lines(points.title, 10, 300),
            )
        axes.set_title(title_lines(f"Variants of {points.title}", 12, 400))
        axes.set_xlabel("multiply-adds for one image")
        axes.set_ylabel("parameters")
        if _spread(points.params) > _WIDE or _spread(points.multiply_adds) > _WIDE:
            axes.set_xscale("log")
            axes.set_yscale("log")
        else:
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
        axes.grid(color=GREY, alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="best")
        return saved(figure, format)


def _spread(numbers: Sequence[float]) -> float:
    least = min(numbers, default=1)
    return max(numbers, default=1) / least if least > 0 else 1.0
