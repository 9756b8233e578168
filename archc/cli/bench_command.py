"""``archc bench``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from archc.choices import TIMED_DTYPES as DTYPES
from archc.choices import TimedDtype
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    MAX_BATCH,
    deploy,
    device,
    format_for,
    load_networks,
    output,
    put_out,
    put_out_tables,
    specs,
    table_format,
    with_progress,
)
from archc.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from archc.timing import BenchResult


BEYOND = (
    "more than 100 % of the limit means that data came from a cache, or that other work slowed "
    "down the measurement of the rates"
)


class _Seconds(click.FloatRange):
    """A range that NaN is outside of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; raises click.BadParameter."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return number


@click.command("bench", cls=SpecCommand)
@specs
@device
@click.option(
    "--batch",
    "batches",
    metavar="N",
    type=click.IntRange(1, MAX_BATCH),
    multiple=True,
    default=(8,),
    help="Batch size; repeat it for several rows. [default: 8]",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="The dtype; with --train, that of autocast.",
)
@deploy
@click.option("--compile", "compile_", is_flag=True, help="Compile the module.")
@click.option("--train", is_flag=True, help="Time a training step instead of a forward.")
@click.option("--channels-last", is_flag=True, help="Use channels_last for images and weights.")
@click.option(
    "--seconds",
    metavar="SECONDS",
    type=_Seconds(min=0.1, max=600),
    default=3.0,
    show_default=True,
    help="Approximate time per row; at least ten runs.",
)
@table_format("csv and json use seconds and bytes.")
@output
def command(
    specs: tuple[str, ...],
    changes: Changes,
    device: str,
    batches: tuple[int, ...],
    dtype: TimedDtype,
    deploy: bool,
    compile_: bool,
    train: bool,
    channels_last: bool,
    seconds: float,
    format_: str | None,
    output: Path | None,
) -> None:
    """Time the module against the limit of the hardware.

    The limit is the larger of multiply-adds over the matrix rate and bytes over the bandwidth,
    both measured on the device in the same run. Weights are random, or the
    model's own.

    \b
    Examples:
      archc bench imagenet/resnet50 --batch 1 --batch 32
      archc bench imagenet/resnet50 --deploy --compile --channels-last --dtype bfloat16
      archc bench imagenet/resnet34 imagenet/resnet34-b --train --device cuda
    """
    if deploy and train:
        raise click.UsageError("--deploy cannot be used with --train: the deploy form has no norms")
    chosen = format_for(format_, output)
    networks = load_networks(specs, changes)
    from archc import api
    from archc.devices import DeviceError, RunError

    api.require_torch("timing a module")
    from archc.timing import BenchOptions, at_best

    options = BenchOptions(device, batches, dtype, deploy, compile_, train, channels_last, seconds)
    names = [spec for spec in specs for _ in batches]
    measured: list[BenchResult] = []
    progress = with_progress(names, "measuring")

    def note(result: BenchResult) -> None:
        measured.append(result)
        next(progress, None)

    try:
        with closing(progress):
            next(progress, None)
            results = api.bench(*networks, options=options, done=note)
    except (DeviceError, RunError):
        if measured:  # what was measured is not lost; a file is whole or not written
            _put_out(names[: len(measured)], at_best(measured), chosen, None)
        raise
    _put_out(names, results, chosen, output)


def _put_out(
    names: Sequence[str], results: Sequence[BenchResult], format_: str, output: Path | None
) -> None:
    from archc.backends.jsontext import to_text
    from archc.tables.bench import exact, measured

    if format_ == "json":
        records = [{"spec": s, **r.as_dict()} for s, r in zip(names, results, strict=True)]
        put_out(to_text(records), output)
        return
    if format_ == "csv":
        put_out(exact(names, results).csv(), output)
        return
    put_out_tables([measured(names, results)], format_, output)
    if output is None and any(one.fraction > 1 for one in results):
        say(f"archc: {BEYOND}", err=True)
