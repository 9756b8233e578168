"""Curves of runs: test solid, training dashed, a legend that says so and names the networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from plotted import (
    assert_embeds_the_shipped_font_alone,
    assert_legible,
    laid_out,
    legend_of,
    texts_of,
)

from archc.errors import ArchcWarning
from archc.training import Run, draw_curves
from archc.training.metrics import HEADING, Row
from archc.widths import COLUMN, PAGE

pytest.importorskip("matplotlib")


def make_run(
    folder: Path,
    title: str = "",
    *,
    error: float = 10,
    kinds: Sequence[str] = ("training", "test"),
    iterations: int = 20_000,
) -> Run:
    folder.mkdir(parents=True)
    title = f"title: {title}\n" if title else ""
    (folder / "spec.yaml").write_text(f"name: tiny\n{title}head: [linear]\n")
    rows = [HEADING]
    for step in range(200, iterations + 1, 200):
        at = error + 80 * 200 / step
        measured = {f"{kind}_error": at - 2 * (kind == "training") for kind in kinds}
        rows.append(Row(step, 0, 0.1, **measured).line())
    (folder / "metrics.csv").write_text("".join(rows))
    return Run(folder)


def test_test_errors_are_solid_and_training_errors_dashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.training.curves")
    runs = [make_run(tmp_path / "a", "Plain"), make_run(tmp_path / "b", "Residual", error=7)]
    draw_curves(runs)
    (figure,) = figures
    assert legend_of(figure) == ["Plain", "Residual", "test", "training"]
    (axes,) = figure.axes
    training, test = axes.lines[::2], axes.lines[1::2]
    assert all(line.is_dashed() and line.get_marker() == "None" for line in training)
    assert not any(line.is_dashed() for line in test)
    assert min(line.get_linewidth() for line in test) > 1.5 * training[0].get_linewidth()
    handles = figure.legends[0].legend_handles
    for handle, line in zip(handles, test, strict=False):
        assert (handle.get_color(), handle.get_marker()) == (line.get_color(), line.get_marker())
    assert [handle.is_dashed() for handle in handles] == [False, False, False, True]
    assert len({line.get_marker() for line in test}) == 2
    assert [text.get_text() for text in axes.texts] == ["10.80", "7.80"]


@pytest.mark.parametrize("kind", ["training", "test"])
def test_the_legend_explains_what_there_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.training.curves")
    draw_curves([make_run(tmp_path / "a", kinds=(kind,))])
    assert legend_of(figures[0]) == ["tiny", kind]


def test_runs_of_one_network_are_named_by_their_folders_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.training.curves")
    first = make_run(tmp_path / "x" / "a", "Plain")
    runs = [
        first,
        make_run(tmp_path / "y" / "a", "Plain"),
        make_run(tmp_path / "b", "Plain"),
        make_run(tmp_path / "c", "Residual"),
        Run(tmp_path / "x" / ".." / "x" / "a"),
    ]
    draw_curves(runs)
    assert legend_of(figures[0])[:-2] == ["Plain (x/a)", "Plain (y/a)", "Plain (b)", "Residual"]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("width", [142.0, COLUMN, PAGE])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_nothing_overlaps(
    count: int, width: float, split: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = laid_out(monkeypatch, "archc.training.curves")
    titles = ["A network with a title that takes more than the line that it has, and then some"]
    titles += ["20-layer plain", "56-layer plain"]
    runs = [
        make_run(tmp_path / f"r{i}", titles[i % 3], error=10 + i * i / 9, iterations=1000 * (9 - i))
        for i in range(count)
    ]
    if width < COLUMN and count > 8:
        with pytest.warns(
            ArchcWarning, match=r"^the plot has no room for the last test errors of 9 runs$"
        ):
            draw_curves(runs, split=split, width=width)
    else:
        content = draw_curves(runs, split=split, width=width)
        assert f'width="{width:.6g}'[:10].encode() in content
    assert_legible(figures[0])


def test_curves_are_set_in_the_shipped_font(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "$x^2$")
    texts = texts_of(draw_curves([run]))
    for words in ("$x^2$", "test", "training", "10.80", "iterations (thousands)", "error (%)"):
        assert words in texts
    assert_embeds_the_shipped_font_alone(draw_curves([run], "pdf"))
    assert draw_curves([run], "pdf") == draw_curves([run], "pdf")


def test_a_width_that_no_plot_has(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^1e\+06pt is too wide: the maximum is 100cm$"):
        draw_curves([make_run(tmp_path / "a")], width=1e6)
