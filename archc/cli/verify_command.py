"""``archc verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from archc.cli.common import (
    MAX_BATCH,
    can_show,
    deploy,
    device,
    load_networks,
    print_table,
    put_out,
    specs,
    weights,
    with_progress,
)
from archc.running import BACKENDS

if TYPE_CHECKING:
    from archc.verify import Fault, Report, Row

MAX_FAULTS = 20
_MARKS: dict[bool | None, str] = {True: "✓", False: "✗", None: "–"}
_MARKS_IN_ASCII: dict[bool | None, str] = {True: "ok", False: "no", None: "-"}


@click.command("verify")
@specs
@device
@weights
@deploy
@click.option(
    "--source",
    metavar="FILE.py",
    type=click.Path(readable=False),
    help="Check this file, which is run, instead of what archc emits.",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(2, MAX_BATCH),
    default=2,
    show_default=True,
    help="On how many images.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="inductor",
    show_default=True,
    help="What torch.compile compiles with; inductor needs a C++ compiler.",
)
@click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def command(
    specs: tuple[str, ...],
    with_: tuple[str, ...],
    input_: str | None,
    device: str,
    weights: str | None,
    deploy: bool,
    source: str | None,
    batch: int,
    backend: str,
    format_: str,
) -> int:
    """Prove the emitted module equal to its graph, op by op.

    The graph is run op by op beside the module, with the same weights: freshly initialised, or
    those of a checkpoint, which must fit. Exit code 0 if every check passes, 1 if one does not.

    \b
    Examples:
      archc verify imagenet/resnet34
      archc verify torchvision/resnet50 --weights resnet50.pth
      archc verify cifar10/resnet20 cifar10/resnet56 --device cuda
      archc verify cifar10/preresnet110 --deploy --format json
      archc verify imagenet/resnet50 --source my_resnet50.py
    """
    for name, value in (("--weights", weights), ("--source", source)):
        if value is not None and len(specs) > 1:
            raise click.UsageError(f"{name} goes with a single SPEC")
    from archc.spec.files import open_text

    networks = load_networks(specs, with_, input_)
    file = None if source is None else open_text(source, "module")
    text, path = (file.text, file.path) if file else (None, None)
    from archc.devices import find_device
    from archc.live import require_torch

    require_torch("verification")
    find_device(device)
    from archc.verify import Options, verify
    from archc.weights import read_checkpoint

    options = Options(device, batch, backend)
    reports: list[Report] = []
    for one, network in with_progress(list(zip(specs, networks, strict=True)), "verifying"):
        checkpoint = None if weights is None else read_checkpoint(weights)
        with redirect_stdout(sys.stderr):  # whatever a source prints
            report = verify(network, checkpoint, options, source=text, file=path, deploy=deploy)
        if format_ == "table":
            click.echo("\n" * bool(reports), nl=False)
            _show(one, report, file.name if file else None)
        reports.append(report)
    if format_ == "json":
        from archc.backends.jsontext import to_text

        records = [{"spec": s, **r.as_dict()} for s, r in zip(specs, reports, strict=True)]
        put_out(to_text(records), None)
    return 0 if all(report.passed for report in reports) else 1


def _show(spec: str, report: Report, file: str | None) -> None:
    from archc.backends.table import Column, Table

    marks = _MARKS if can_show("✓✗–") else _MARKS_IN_ASCII
    columns = (Column("", "passed"), Column("check", "check"), Column("result", "result"))
    rows = tuple((marks[row.passed], row.check, row.number) for row in report.rows)
    title = f"{spec}: {'verified' if report.passed else 'differs from its graph'}"
    if file is not None:
        title = f"{file}: {'verified as' if report.passed else 'differs from'} {spec}"
    print_table(Table(columns, rows, f"{title} on {report.device}"))
    lines = (
        f"{marks[False]} {row.check}: {fault}\n" for row in report.rows for fault in _told(row)
    )
    put_out("".join(lines), None)


def _told(row: Row) -> Iterator[Fault | str]:
    """The faults of a row, up to so many."""
    yield from row.faults[:MAX_FAULTS]
    if len(row.faults) > MAX_FAULTS:
        yield f"and {len(row.faults) - MAX_FAULTS} more"
