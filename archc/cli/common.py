"""What the commands share: the SPEC argument, its options, and where output goes."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archc.files import OutputError, write
from archc.text import quote_name

if TYPE_CHECKING:
    from archc.backends.table import Table
    from archc.graph import Network
    from archc.spec import Diagnostic, Spec
    from archc.weights import Checkpoint

MAX_BATCH = 2**31 - 1
"""More images at once than any memory holds; sizes of tensors of so many are still numbers."""

Command = TypeVar("Command", bound=Callable[..., Any])
Item = TypeVar("Item")


if TYPE_CHECKING:
    _ParamType = click.ParamType[str]
else:
    _ParamType = click.ParamType  # generic since click 8.4 only


class _NamedFile(_ParamType):
    """A path or a shipped name; completes both."""

    def __init__(self, name: str, shipped: Callable[[], list[str]]):
        self.name = name
        self._shipped = shipped

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Shipped names that begin so, and files."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name) for name in self._shipped() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="file")]


def _shipped_specs() -> list[str]:
    from archc.spec.files import shipped_names

    return shipped_names()


def _shipped_recipes() -> list[str]:
    from archc.recipes import recipe_names

    return recipe_names()


SPEC = _NamedFile("spec", _shipped_specs)
"""A spec: a path, a shipped name or ``-``."""

RECIPE = _NamedFile("recipe", _shipped_recipes)
"""A recipe: a path or a shipped name."""


def specs(command: Command) -> Command:
    """One or more SPEC, with ``--with`` and ``--input``."""
    return click.argument("specs", metavar="SPEC...", type=SPEC, nargs=-1, required=True)(
        spec_options(command)
    )


def spec(command: Command) -> Command:
    """One SPEC, with ``--with`` and ``--input``."""
    return click.argument("spec", metavar="SPEC", type=SPEC)(spec_options(command))


def spec_options(command: Command) -> Command:
    """``--with`` and ``--input``."""
    command = click.option(
        "--input",
        "input_",
        metavar="C,H,W",
        help="The image's channels, height and width, instead of the spec's.",
    )(command)
    return click.option(
        "--with",
        "with_",
        metavar="NAME=VALUE",
        multiple=True,
        help="Set a stage attribute: one value, or one per stage (depth=3,4,11,3).",
    )(command)


def output(command: Command) -> Command:
    """``-o FILE``; without it, standard output."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=click.Path(path_type=Path, allow_dash=True),
        help="Write to FILE, whole or not at all, instead of standard output.",
    )(command)


def table_format(help: str) -> Callable[[Command], Command]:
    """``--format table|json|csv|markdown``, as ``format_``."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", "csv", "markdown"]),
        default="table",
        show_default=True,
        help=help,
    )


def weights(command: Command) -> Command:
    """``--weights FILE``."""
    return click.option(
        "--weights",
        metavar="FILE",
        type=click.Path(readable=False),
        help="A checkpoint: .safetensors, or .pth as torch.save writes state dicts.",
    )(command)


def deploy(command: Command) -> Command:
    """``--deploy``."""
    return click.option(
        "--deploy",
        is_flag=True,
        help="The deploy form: batch norms folded into the convolutions before them.",
    )(command)


def device(command: Command) -> Command:
    """``--device cpu|cuda``."""
    return click.option(
        "--device",
        metavar="cpu|cuda",
        default="cpu",
        show_default=True,
        help="Where to run it; cuda:1 is the second GPU.",
    )(command)


def data(command: Command) -> Command:
    """``--data DIR``."""
    return click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path),
        required=True,
        help="The images: CIFAR-10's binary version, or train/CLASS/... and val/CLASS/...",
    )(command)


def device_or_auto(command: Command) -> Command:
    """``--device auto|cpu|cuda``."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="auto is cuda where there is one.",
    )(command)


def recipe(help: str, *, required: bool = False) -> Callable[[Command], Command]:
    """``--recipe NAME``, a path or a shipped name."""
    return click.option("--recipe", metavar="NAME", type=RECIPE, required=required, help=help)


def workers(command: Command) -> Command:
    """``--workers N``."""
    return click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(min=0),
        help="How many processes decode image files.",
    )(command)


def tell_foldings(network: Network, checkpoint: Checkpoint | None = None) -> None:
    """Say on stderr which norms the deploy form of a network does without, and which it keeps; or
    that a checkpoint was one of that form already."""
    from archc.words import folded

    words = folded(network)
    if checkpoint is not None:
        from archc.weights import is_folded

        words = "the weights were folded already" if is_folded(network, checkpoint) else words
    click.echo(f"archc: {words}", err=True)


def tell_weights(network: Network, checkpoint: Checkpoint, *, deploy: bool) -> None:
    """Say on stderr how a checkpoint fits, and which part of it was taken."""
    from archc.weights import describe, match

    found = describe(checkpoint, match(network, checkpoint, deploy=deploy))
    click.echo(f"archc: {quote_name(checkpoint.file)}: {found}", err=True)


def read_specs(names: Sequence[str], with_: Sequence[str], input_: str | None) -> list[Spec]:
    """Read several specs; all their mistakes are told at once."""
    from archc.spec import load_spec

    return _each(names, lambda name: load_spec(name, with_, input_))


def load_networks(names: Sequence[str], with_: Sequence[str], input_: str | None) -> list[Network]:
    """Read and compile several specs; all their mistakes are told at once."""
    from archc.compile import compile_spec
    from archc.spec import load_spec

    return _each(names, lambda name: compile_spec(load_spec(name, with_, input_)))


def _each(names: Sequence[str], load: Callable[[str], Item]) -> list[Item]:
    from archc.spec import SpecError

    done: list[Item] = []
    faults: list[Diagnostic] = []
    read_stdin_once(names)
    _refuse_overwriting(names)
    for name in names:
        try:
            with many_objects():
                done.append(load(name))
        except SpecError as error:
            told = {fault.render() for fault in faults}  # what an option says is said of each spec
            faults += [fault for fault in error.diagnostics if fault.render() not in told]
    if faults:
        raise SpecError(faults)
    return done


@contextmanager
def many_objects() -> Iterator[None]:
    """Spare what is made in here the search for garbage, which networks hold none of.

    Python would look through all of a deep network again and again while it grows: a third of the
    time that reading it takes. Afterwards it looks less often, for what is made of the network.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()


_THRESHOLDS = (50_000, 100, 100)
"""Python looks for garbage after so many new objects, and among older ones every hundredth time
only; by default after 700, and every tenth time."""


def _refuse_overwriting(specs: Sequence[str]) -> None:
    """Raise `OutputError` where what a command writes would take the place of what it is made of:
    a spec, what that extends, weights."""
    from archc.spec.files import STDIN
    from archc.spec.resolve import spec_files

    options = click.get_current_context().params
    output, weights = options.get("output"), options.get("weights")
    if output is None or not output.exists():
        return
    for spec in specs:
        if spec == STDIN or (os.path.exists(spec) and not os.path.isfile(spec)):
            continue  # a pipe can be read only once
        own, *others = spec_files(spec)
        if _is_same(output, own):
            raise OutputError(output, "it holds the spec that is read")
        if any(_is_same(output, other) for other in others):
            raise OutputError(output, "it holds a spec that the one that is read extends")
    if weights is not None and _is_same(output, weights):
        raise OutputError(output, "it holds the weights that are read")


def _is_same(output: Path, read: str | Path) -> bool:
    """Whether two paths are of one file; where one is not there, whoever reads or writes it says
    so."""
    try:
        return os.path.samefile(output, read)
    except (OSError, ValueError):
        return False


def read_stdin_once(names: Sequence[str]) -> None:
    """Refuse a command line that names standard input twice."""
    if names.count("-") > 1:
        raise click.UsageError("standard input can be read only once")


def put_out(content: str | bytes, path: Path | None) -> None:
    """Write to a file, or to standard output where there is none."""
    raw = content.encode() if isinstance(content, str) else content
    if path is None or str(path) == "-":
        if sys.stdout is None:
            raise OutputError(Path("-"), "standard output is closed")
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    else:
        write(path, raw)


def close_stdout() -> None:
    """Have what is still to be printed go nowhere, whoever read it having closed the pipe.

    Python would complain again when it exits.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def can_show(text: str) -> bool:
    """Whether standard output takes a text: a terminal in its encoding, anything else as UTF-8."""
    if sys.stdout is None or not sys.stdout.isatty():
        return True
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def print_table(table: Table) -> None:
    """Print a table, on a terminal with its lines and colours; no cell is ever cut."""
    if sys.stdout is None or not sys.stdout.isatty():
        put_out(table.text(), None)
        return
    if table.title:
        click.secho(table.title, bold=True)
    heading, *lines = table.lines()
    click.echo(
        "\n".join(["", f" {click.style(heading, bold=True)}", *(f" {x}" for x in lines), ""])
    )


def put_out_tables(
    tables: Sequence[Table], format_: str, output: Path | None, notes: Sequence[str] = ()
) -> None:
    """Print tables below each other, or write them to a file, as text or as Markdown."""
    if format_ == "table" and output is None:
        for index, table in enumerate(tables):
            click.echo("\n" * (index > 0), nl=False)
            print_table(table)
        if notes:
            put_out("\n" + "\n".join(notes) + "\n", None)
        return
    markdown = format_ == "markdown"
    texts = [table.markdown() if markdown else table.text() for table in tables]
    if notes:
        texts.append("".join(f"- {n.strip()}\n" if markdown else f"{n}\n" for n in notes))
    put_out("\n".join(texts), output)


def with_progress(items: Iterable[Item], label: str) -> Iterator[Item]:
    """The items, with a progress bar on a terminal once they take more than a second."""
    rows = list(items)
    started = time.monotonic()
    for index, item in enumerate(rows):
        if time.monotonic() - started > 1 and sys.stderr is not None and sys.stderr.isatty():
            yield from _with_bar(rows[index:], index, len(rows), label)
            return
        yield item


def _with_bar(items: Sequence[Item], done: int, total: int, label: str) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total, completed=done)
        for item in items:
            yield item
            progress.advance(task)


def progress_bar(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """A stream of items, with a progress bar on a terminal once it takes more than a second."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    shown: Progress | None = None
    try:
        for index, item in enumerate(items):
            if index % 256 == 0 and time.monotonic() - started > 1:
                if shown is None:
                    shown = Progress(*columns, console=Console(stderr=True), transient=True)
                    shown.start()
                    task = shown.add_task(label, total=total)
                shown.update(task, completed=index)
            yield item
    finally:
        if shown is not None:
            shown.stop()
