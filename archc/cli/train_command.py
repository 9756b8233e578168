"""``archc train``."""

from __future__ import annotations

import signal
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from archc.backends.numbers import in_bytes
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    SPEC,
    OutputFolder,
    data,
    device_or_auto,
    quiet,
    read_spec,
    recipe,
    spec_and_recipe_options,
    tell_written,
    workers,
)
from archc.cli.terminal import say
from archc.cli.weights_options import GivenWeights, partial_weights
from archc.devices import PRECISIONS
from archc.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from archc.errors import Interrupted
    from archc.training import Progress, Trained

WEIGHTS = "weights.safetensors"
"""What a run ends with."""


@click.command("train", cls=SpecCommand)
@click.argument("spec", metavar="SPEC", type=SPEC)
@spec_and_recipe_options
@recipe("The recipe: cifar10, imagenet, torchvision, or a path.", required=True)
@data
@click.option(
    "-o",
    "--out",
    metavar="RUN",
    type=OutputFolder(),
    help="The folder of the run. [default: runs/SPEC-RECIPE]",
)
@quiet
@click.option(
    "--devices",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Devices per machine.",
)
@click.option(
    "--nodes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of machines.",
)
@device_or_auto
@click.option(
    "--precision",
    type=click.Choice(list(PRECISIONS)),
    default="float32",
    show_default=True,
    help="Precision of matrix products; weights are always float32.",
)
@click.option("--compile", "compile_", is_flag=True, help="torch.compile, with CUDA graphs.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    help="Seed of the weights, the order of images and the crops. [default: 0]",
)
@partial_weights
@click.option(
    "--freeze",
    metavar="PATTERN",
    multiple=True,
    help="Do not train modules or tensors whose paths match: layer1, 'layer[12].*', '*.bn1'. Norms "
    "in them use their running statistics.",
)
@click.option("--resume", is_flag=True, help="Continue the run if it exists.")
@workers
def command(
    spec: str,
    changes: Changes,
    recipe: str,
    data: Path,
    out: Path | None,
    weights: GivenWeights | None,
    freeze: tuple[str, ...],
    **options: Any,
) -> int:
    """Train a network by a recipe; Ctrl-C saves and stops, --resume continues.

    With --weights it begins with those of a checkpoint, to fine-tune them.

    A run is a folder: spec, module, recipe, metrics.csv, checkpoints, curves.svg and at the end
    weights.safetensors. Several devices share each batch; on several machines, start it
    with torchrun.

    --set changes the recipe if recipes have such a key, and otherwise the spec; recipe.KEY and
    spec.KEY always work.

    \b
    Examples:
      archc train cifar10/resnet20 --recipe cifar10 --data cifar-10-batches-bin
      archc train cifar10/resnet56 --recipe cifar10 --data DIR --precision bfloat16 --compile
      archc train imagenet/resnet50 --recipe imagenet --data DIR --devices 8 --resume
      archc train cifar10/resnet20 --recipe cifar10 --data DIR --set width=x2 --set iterations=6400
      archc train imagenet/resnet50 --set classes=10 --recipe imagenet --data DIR \\
          --weights resnet50.pth --partial --freeze conv1 --freeze bn1 --freeze layer1
    """
    from archc.errors import Interrupted
    from archc.extras import require
    from archc.recipes import check_settings, load_recipe, route

    if spec == "-" and options["devices"] > 1:
        raise click.BadParameter("several processes cannot read standard input", param_hint="SPEC")
    options["compile"] = options.pop("compile_")
    of_spec, settings = route(changes)
    design = read_spec(spec, of_spec)
    check_settings(settings, design.spec)
    chosen = load_recipe(recipe, settings)
    require("torch", "training", "torch")
    from archc.training import TrainOptions
    from archc.training.facade import run_folder, train

    options |= {"weights": weights.read() if weights else None, "freeze": freeze}
    folder = out or run_folder(design, chosen)
    before = _modified(folder / WEIGHTS)
    with _Shown(design.spec.header.name, chosen.header.iterations) as shown:
        try:
            trained = train(
                design, chosen, data, folder, options=TrainOptions(**options), observer=shown
            )
        except Interrupted as error:
            shown.close()
            return _interrupted(error, folder)
    if trained.is_first:
        _tell(trained)
        _tell_weights(folder, before)
    return 0


def _tell_weights(folder: Path, before: tuple[int, int] | None) -> None:
    """Say where the weights of a run are, where it has written any."""
    if _modified(folder / WEIGHTS) != before:
        tell_written(folder / WEIGHTS)


def _interrupted(error: Interrupted, folder: Path) -> int:
    """Say where a run that was asked to stop is saved; returns the exit code."""
    name = signal.Signals(error.signal).name
    say(
        f"archc: {name}: saved at iteration {error.iteration:,} in {folder}; continue with "
        "--resume",
        err=True,
    )
    return 128 + error.signal


def _modified(file: Path) -> tuple[int, int] | None:
    """What changes whenever a file is written; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _tell(trained: Trained) -> None:
    error = f", test error {trained.test.error:.2f} %" if trained.test else ""
    memory = f", peak memory {in_bytes(trained.peak_memory)}" if trained.peak_memory else ""
    say(f"{trained.folder}: {trained.iteration:,} iterations{error}{memory}")


_WIDE = 110
"""How wide a terminal has to be for a bar beside the numbers."""


class _Shown:
    """Progress for a person: a bar on a terminal, and a line for each test."""

    def __init__(self, title: str, iterations: int):
        self._title, self._iterations = title, iterations
        self._bar: Any = None

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advanced(self, progress: Progress) -> None:
        """Move the bar."""
        if sys.stderr is None or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar, self._task = _bar(self._title, self._iterations)
            self._bar.start()
        told = _told(progress).replace("training error", "error")
        self._bar.update(self._task, completed=progress.iteration, told=told)

    def tested(self, progress: Progress) -> None:
        """Print a line."""
        test = "" if progress.test_error is None else f"  test error {progress.test_error:6.2f} %"
        line = f"iteration {progress.iteration:>9,}{test}  {_told(progress)}"
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, soft_wrap=True)
        else:
            say(line)
        if sys.stdout is not None:
            sys.stdout.flush()

    def said(self, words: str) -> None:
        """Print a remark."""
        if self._bar is not None:
            self._bar.console.print(
                visible(f"archc: {words}"), highlight=False, markup=False, soft_wrap=True
            )
        else:
            say(f"archc: {words}", err=True)


def _told(progress: Progress) -> str:
    """What is known of the training, in a row of fixed width."""
    parts = []
    if progress.training_error is not None:
        parts.append(f"training error {progress.training_error:6.2f} %")
    parts.append(f"rate {progress.learning_rate:g}")
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    if progress.seconds_left:
        parts.append(f"{_clock(progress.seconds_left)} left, ends {_end(progress.seconds_left)}")
    if progress.peak_memory is not None:
        parts.append(in_bytes(progress.peak_memory))
    return "  ".join(parts)


def _end(seconds: float) -> str:
    """When it is over: the time of this machine's clock, with the day where that is another."""
    now = datetime.now()
    end = now + timedelta(seconds=seconds)
    return f"{end:%H:%M}" if end.date() == now.date() else f"{end:%a %d %b, %H:%M}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _bar(title: str, iterations: int) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    ]
    if console.width < _WIDE:
        del columns[1]
    bar = Progress(*columns, console=console, transient=True)
    return bar, bar.add_task(title, total=iterations, told="")
