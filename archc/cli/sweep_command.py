"""``archc sweep``."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    PLOT_WIDTH,
    OutputFile,
    OutputFolder,
    is_quiet,
    is_stream,
    print_table,
    progress_bar,
    put_out,
    quiet,
    spec,
    table_format,
    tell_warnings,
    tell_written,
)
from archc.cli.complete import BOUNDS, COLUMNS, VARIED
from archc.cli.terminal import say
from archc.widths import COLUMN, HELP, PAGE

if TYPE_CHECKING:
    from archc.backends.table import Table
    from archc.sweeps import Bounds, Outcome, Plan
    from archc.sweeps.costs import Numbers

LIMIT = 1_000_000
BY = "multiply_adds"
"""What variants are in order of, unless it is said."""
_REASONS = 5
"""Of how many reasons why variants cannot be built a sweep tells."""


@click.command("sweep", cls=SpecCommand)
@spec
@click.option(
    "--vary",
    metavar="NAME=VALUES",
    multiple=True,
    required=True,
    shell_complete=VARIED,
    help="What varies and its values: depth=2..8:2, depth[3]=4,6,23, width=x0.5..x2.",
)
@click.option(
    "--max",
    "most",
    metavar="NAME=N",
    multiple=True,
    shell_complete=BOUNDS,
    help="An upper bound, such as multiply_adds=4G; also on layers or params.",
)
@click.option(
    "--min",
    "least",
    metavar="NAME=N",
    multiple=True,
    shell_complete=BOUNDS,
    help="A lower bound, such as params=20M or layers=50.",
)
@click.option(
    "--sort",
    metavar="NAME|-NAME",
    shell_complete=COLUMNS,
    help="layers, params or multiply_adds; -params: largest first. [default: multiply_adds]",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Number of variants to show.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=LIMIT,
    show_default=True,
    help="The maximum number of variants.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE.csv|FILE.json",
    type=OutputFile(),
    help="Write every variant within the bounds, in the order of --sort if given.",
)
@quiet
@table_format("The format of the table; csv has the columns of FILE.csv.", default="table")
@click.option(
    "--plot",
    metavar="FILE.svg|png|pdf",
    type=OutputFile(),
    help="Plot parameters against multiply-adds and mark the Pareto front.",
)
@click.option(
    "--width", metavar="WIDTH", type=PLOT_WIDTH, help=f"With --plot. {HELP} [default: column]"
)
@click.option(
    "--write",
    metavar="DIR",
    type=OutputFolder(),
    help="Write the best few as specs that extend SPEC.",
)
@click.option("--force", is_flag=True, help="Overwrite existing specs with --write.")
def command(
    spec: str,
    changes: Changes,
    vary: tuple[str, ...],
    most: tuple[str, ...],
    least: tuple[str, ...],
    sort: str | None,
    top: int,
    limit: int,
    output: Path | None,
    format_: str | None,
    plot: Path | None,
    width: float | None,
    write: Path | None,
    force: bool,
) -> int:
    """Count every variant of a spec, and show the best few.

    VALUES are a list (4,6,23), a range (2..8:2), multiples of what the spec says (x0.5, x1..x2:0.5)
    or words (A,B,C), for all stages or for one: depth[3]. Ctrl-C keeps what was counted so far.

    \b
    Examples:
      archc sweep imagenet/resnet50 --vary 'depth[3]=4..36:2' --vary width=x0.5..x2:0.25
      archc sweep imagenet/resnet50 --vary depth=2..6 --max multiply_adds=4G --sort -params
      archc sweep cifar10/resnet20 --vary depth=1..200 -o depths.csv --plot depths.svg
      archc sweep imagenet/resnet34 --vary shortcut=A,B,C --write variants
    """
    _check_names(output, plot)
    if force and write is None:
        raise click.UsageError("--force is for --write")
    if width is not None and plot is None:
        raise click.UsageError("--width is for --plot")
    from archc.sweeps import parse_bounds, parse_order

    plan = _plan(spec, changes, vary, limit)
    bounds, order = parse_bounds(least, most), parse_order(sort or BY)
    _check_targets(plan, spec, plot, write)
    outcome = _run(
        plan, bounds, order, top, output, sort_rows=sort is not None, keep_points=plot is not None
    )
    _tell(plan, outcome)
    if output is not None:
        tell_written(output)
    if outcome.kept or format_ not in (None, "table"):
        _show(plan, outcome, sort or BY, format_)
    if plot is not None and outcome.kept:
        _plot(plan, outcome, plot, width or COLUMN)
    if write is not None and outcome.best:
        _write(plan, outcome, spec, write, force)
    if outcome.interrupted:
        return 130
    if outcome.unbuildable < outcome.seen:
        return 0
    from archc.compile import compile_spec

    compile_spec(plan.spec)  # which points at the fault, if it is the spec's own
    return 1


def _plan(spec: str, changes: Changes, vary: Sequence[str], limit: int) -> Plan:
    """What is to be gone through, if it is not too much."""
    from archc.design import Design
    from archc.spec.files import open_spec
    from archc.sweeps import Plan, SweepError, parse_axes

    source = open_spec(spec)
    base = Design(Plan(source, (), changes).spec)
    axes = parse_axes(vary, tell_warnings(base).spec)
    plan = Plan(source, axes, changes)
    if plan.count > limit:
        ways = " x ".join(f"{axis.values.count:,} of {axis.name}" for axis in axes)
        raise SweepError(
            f"this is a sweep of {plan.count:,} variants ({ways}), more than {limit:,}",
            "narrow it, or raise `--limit`",
        )
    return plan


def _run(
    plan: Plan,
    bounds: Bounds,
    order: Callable[[Numbers], int],
    top: int,
    output: Path | None,
    *,
    sort_rows: bool,
    keep_points: bool,
) -> Outcome:
    from archc.sweeps import RowsFile, run

    rows = None if output is None else RowsFile(output, plan.axes, sortable=sort_rows)
    variants = progress_bar(plan.variants(), plan.count, "variants")
    with _Signals() as signals:
        return run(
            variants,
            bounds,
            order,
            top,
            rows,
            sort_rows=sort_rows,
            keep_points=keep_points,
            stopped=signals.stopped,
        )


def _check_names(output: Path | None, plot: Path | None) -> None:
    """Refuse files whose names do not say what they are to hold."""
    from archc.plots import SUFFIXES
    from archc.sweeps import rows

    for option, path, suffixes in (
        ("'-o'", output, rows.SUFFIXES),
        ("'--plot'", plot, SUFFIXES),
    ):
        if path is None or is_stream(path):  # a stream without an ending gets the first of them
            continue
        if path.suffix.lower() not in suffixes:
            ends = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            message = f"{str(path)!r} does not end in {ends}"
            raise click.BadParameter(message, param_hint=option)


def _check_targets(plan: Plan, spec: str, plot: Path | None, write: Path | None) -> None:
    """Find out before the sweep what can be known of what comes after it."""
    from archc.errors import OutputError

    source = plan.source
    if write is not None:
        base = None if source.path is None else Path(source.path)
        if base is None or is_stream(base) or not base.is_file():
            raise click.BadParameter("only a file can be extended", param_hint="'--write'")
        from archc.spec.variant import reference

        reference(spec, write / "variant.yaml")
    for folder in (write, None if plot is None else plot.parent):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise OutputError(folder, "it is not a folder")
    if plot is not None:
        from archc.plots import require_matplotlib

        require_matplotlib()
        if plot.is_dir():
            raise OutputError(plot, "it is a folder")
    if write is not None:
        _check_specs(plan, write)


def _check_specs(plan: Plan, folder: Path) -> None:
    """Refuse a folder where a variant may take the place of a spec that was read."""
    from archc.inputs import inputs_in, note_output
    from archc.sweeps.specs import variants_called

    for name in variants_called(plan, inputs_in(folder)):
        note_output(folder / name)


class _Signals:
    """While it is entered, Ctrl-C, SIGTERM and SIGHUP are noted instead of breaking in anywhere.

    A second Ctrl-C breaks in.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)  # nohup would have it ignored
        for number in numbers:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopped(self) -> bool:
        """Whether one has come."""
        return self.came

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.came and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came = True


def _tell(plan: Plan, outcome: Outcome) -> None:
    """Say on stderr what came of it."""
    from archc.sweeps.axes import shown

    words = [f"{outcome.seen:,} of {plan.count:,} variants counted"]
    if not outcome.interrupted:
        words = [f"{plan.count:,} variant{'s' * (plan.count != 1)}"]
    built = outcome.seen - outcome.unbuildable
    if outcome.kept != built:
        words.append(f"{outcome.kept:,} within the bounds")
    if outcome.unbuildable:
        words.append(f"{outcome.unbuildable:,} cannot be built")
    say(f"archc: {'interrupted: ' * outcome.interrupted}{', '.join(words)}", err=True)
    reasons = sorted(outcome.faults.values(), key=lambda fault: -fault[0])
    for count, first in reasons[:_REASONS]:
        pairs = zip(plan.axes, first.settings, strict=True)
        settings = " ".join(f"{axis.name}={shown(choice)}" for axis, choice in pairs)
        say(f"  {count:,}: {first.reason} (first with {settings})", err=True)
    if len(reasons) > _REASONS:
        say(f"  and for {len(reasons) - _REASONS:,} more reasons", err=True)


def _table(plan: Plan, outcome: Outcome, sort: str) -> Table:
    from archc.sweeps.plan import METRICS
    from archc.sweeps.rows import plain
    from archc.tables.sweeps import title_of, variants

    axes = [axis.name for axis in plan.axes]
    rows = [
        dict(zip((*axes, *METRICS), (*map(plain, one.settings), *one.numbers), strict=True))
        for one in outcome.best
    ]
    name, by = plan.spec.header.name, sort.removeprefix("-")
    title = title_of(name, len(rows), outcome.kept, by, most=sort[0] == "-")
    return variants(axes, rows, title)


def _show(plan: Plan, outcome: Outcome, sort: str, format_: str | None) -> None:
    from archc.sweeps.plan import METRICS

    if format_ == "json":
        from archc.backends.jsontext import to_text
        from archc.sweeps.rows import plain

        keys = [*(axis.name for axis in plan.axes), *METRICS]
        rows = [[*map(plain, one.settings), *one.numbers] for one in outcome.best]
        put_out(to_text([dict(zip(keys, row, strict=True)) for row in rows]), None)
        return
    table = _table(plan, outcome, sort)
    if format_ == "csv":
        width = len(plan.axes) + len(METRICS)  # the columns of RowsFile; the rest is for people
        cells = tuple(row[:width] for row in table.rows)
        put_out(replace(table, columns=table.columns[:width], rows=cells).csv(), None)
    elif format_ == "markdown":
        put_out(table.markdown(), None)
    else:
        print_table(table)


def _plot(plan: Plan, outcome: Outcome, path: Path, width: float) -> None:
    from archc.plots import plot_format
    from archc.sweeps import Plan, Variant
    from archc.sweeps.axes import shown
    from archc.sweeps.plot import Points, front, plot

    own = next(Plan(plan.source, (), plan.changes).variants())
    base = (own.numbers[1], own.numbers[2]) if isinstance(own, Variant) else None
    header = plan.spec.header
    points = Points(header.title or header.name, *outcome.points, base)
    labels = {
        place: ", ".join(map(shown, plan.settings_of(outcome.indices[place])))
        for place in front(points)
    }
    varied = ", ".join(axis.name for axis in plan.axes)
    drawn = plot(replace(points, labels=labels, varied=varied), plot_format(path), width)
    put_out(drawn.content, path)
    if drawn.left_out and not is_quiet():
        which = f"{drawn.left_out:,} of {len(labels):,} points of the Pareto front"
        more = "; `--width page` has more" if width < PAGE else ""
        say(f"archc: no room in the plot for the labels of {which}{more}", err=True)


def _write(plan: Plan, outcome: Outcome, spec: str, folder: Path, force: bool) -> None:
    from archc.building import ConflictError
    from archc.files import write_all
    from archc.inputs import note_output
    from archc.sweeps.specs import variant_specs

    texts = variant_specs(plan, outcome.best, spec, folder)
    contents = {path: text.encode() for path, text in texts.items()}
    for path in contents:
        note_output(path)
    taken = [p for p, raw in contents.items() if p.is_file() and p.read_bytes() != raw]
    if taken and not force:
        reasons = [f"{str(path)!r} already exists and differs" for path in taken]
        raise ConflictError(reasons, "`--force` overwrites it")
    write_all(contents)
    first = next(iter(contents))
    tell_written(
        first, more=len(contents) - 1, hint=f"`archc count {shlex.quote(str(first))}` to count it"
    )
