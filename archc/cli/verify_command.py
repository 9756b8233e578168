"""``archc verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING

import click

from archc.choices import BACKENDS, Backend
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    MAX_BATCH,
    can_show,
    deploy,
    device,
    load_networks,
    put_out,
    specs,
    with_progress,
)
from archc.cli.terminal import say, say_heading
from archc.cli.weights_options import GivenWeights, tell_left_out, weights

if TYPE_CHECKING:
    from archc.verification import Fault, Report, Row

MAX_FAULTS = 20
_RULE = 73
"""How long the line below the head of the table is; the results are not yet known then."""
_CHECK = len("running statistics")
"""How wide the names of checks are at the most."""
_MARKS: dict[bool | None, str] = {True: "✓", False: "✗", None: "–"}
_MARKS_IN_ASCII: dict[bool | None, str] = {True: "ok", False: "no", None: "-"}


@click.command("verify", cls=SpecCommand)
@specs
@device
@weights
@deploy
@click.option(
    "--source",
    metavar="FILE.py",
    type=click.Path(readable=False),
    help="Verify this file instead of the emitted module; it is executed.",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(2, MAX_BATCH),
    default=2,
    show_default=True,
    help="Number of images.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="inductor",
    show_default=True,
    help="The compiler of torch.compile; inductor needs a C++ compiler.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Leave out other inputs, torch.export and torch.compile.",
)
@click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def command(
    specs: tuple[str, ...],
    changes: Changes,
    device: str,
    weights: GivenWeights | None,
    deploy: bool,
    source: str | None,
    batch: int,
    backend: Backend,
    quick: bool,
    format_: str,
) -> int:
    """Verify the emitted module against its graph, op by op.

    The graph is run op by op beside the module, with the same weights: freshly initialised, or
    those of a checkpoint, which must fit. Of a model, such as FILE.onnx, they are its own, and
    the module is compared with the model, too. Exit code 0 if every check passes, 1 if one does
    not.

    \b
    Examples:
      archc verify imagenet/resnet34
      archc verify imagenet/resnet50 --quick
      archc verify torchvision/resnet50 --weights resnet50.pth
      archc verify torchvision/resnet50 --weights checkpoint.pth#model_ema
      archc verify cifar10/resnet20 cifar10/resnet56 --device cuda
      archc verify cifar10/preresnet110 --deploy --format json
      archc verify model.onnx
      archc verify imagenet/resnet50 --source my_resnet50.py
    """
    _check_single(specs, {"--weights": weights, "--source": source})
    networks = load_networks(specs, changes)
    text, path = _read(source)
    from archc import api
    from archc.devices import find_device

    api.require_torch("verification")
    find_device(device)
    from archc.verification import Options

    options = Options(device, batch, backend, quick)
    reports: list[Report] = []
    pairs = list(zip(specs, networks, strict=True))
    for spec, network in with_progress(pairs, "verifying") if format_ == "json" else pairs:
        checkpoint = None if weights is None else weights.read()
        if checkpoint is not None:
            tell_left_out(checkpoint)
        checks = _Checks(spec, path, device) if format_ == "table" else None
        if checks and reports:
            say("")
        run = partial(api.verify, network, weights=checkpoint, deploy=deploy, options=options)
        with redirect_stdout(sys.stderr):  # whatever a source prints
            report = run(source=text, file=path, done=checks.show if checks else None)
        if checks:
            checks.end(report)
        reports.append(report)
    if format_ == "json":
        _put_out(specs, reports)
    return 0 if all(report.passed for report in reports) else 1


def _read(source: str | None) -> tuple[str | None, str | None]:
    """The text of a source, and where it lies."""
    if source is None:
        return None, None
    from archc.source.files import open_text

    file = open_text(source, "module")
    return file.text, file.path


def _check_single(specs: Sequence[str], given: Mapping[str, object]) -> None:
    """Refuse options that are about one network where there are several."""
    for name, value in given.items():
        if value is not None and len(specs) > 1:
            raise click.UsageError(f"{name} takes a single SPEC")


def _put_out(specs: Sequence[str], reports: Sequence[Report]) -> None:
    from archc.backends.jsontext import to_text

    records = [{"spec": s, **r.as_dict()} for s, r in zip(specs, reports, strict=True)]
    put_out(to_text(records), None)


class _Checks:
    """The table of a network's checks, each row printed as soon as the check is done."""

    def __init__(self, spec: str, file: str | None, device: str):
        self._spec, self._file, self._device = spec, file, device
        self._out = sys.stdout
        self._marks = _MARKS if can_show("✓✗–─") else _MARKS_IN_ASCII
        self._has_begun = False

    def show(self, row: Row) -> None:
        """Print a row, below the head of the table if it is the first."""
        with redirect_stdout(self._out):
            if not self._has_begun:
                self._begin()
            say(self._line(self._marks[row.passed], row.check, row.number))
            if self._out is not None:
                self._out.flush()

    def _begin(self) -> None:
        self._has_begun = True
        say_heading(f"{self._file or self._spec} on {self._device}")
        say(self._line("", "check", "result"))
        say(("─" if self._marks is _MARKS else "-") * _RULE)

    def _line(self, mark: str, check: str, result: str) -> str:
        first, second = max(map(len, self._marks.values())), _CHECK
        return f"{mark:<{first}}   {check:<{second}}   {result}".rstrip()

    def end(self, report: Report) -> None:
        """Print the faults, and what came of it all."""
        verdict = f"{self._spec}: {'verified' if report.passed else 'differs from its graph'}"
        if self._file is not None:
            relation = "verified as" if report.passed else "differs from"
            verdict = f"{self._file}: {relation} {self._spec}"
        for row in report.rows:
            say(*[f"{self._marks[False]} {row.check}: {fault}" for fault in _told(row)])
        say(f"{verdict} on {report.device}")


def _told(row: Row) -> Iterator[Fault | str]:
    """The faults of a row, up to so many."""
    yield from row.faults[:MAX_FAULTS]
    if len(row.faults) > MAX_FAULTS:
        yield f"and {len(row.faults) - MAX_FAULTS} more"
