"""What the commands share: the SPEC argument, its options, and where output goes."""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archc.cli.changes import Changes
from archc.cli.complete import ATTRIBUTES, KEYS, SETTINGS, Complete
from archc.cli.startup import GC_THRESHOLDS
from archc.cli.terminal import say, say_heading
from archc.errors import OutputError, reason
from archc.inputs import note_output
from archc.shipped import is_shipped
from archc.text import quote_name

if TYPE_CHECKING:
    from pathlib import Path

    from archc.backends.table import Table
    from archc.blocks import Definition
    from archc.design import Design
    from archc.graph import Network
    from archc.source.diagnostics import Diagnostic, Note
    from archc.weights import Checkpoint

MAX_BATCH = 2**31 - 1
"""More images at once than any memory holds; sizes of tensors of so many are still numbers."""

_MAX_LINKS = 40
"""How many links Linux follows."""

Command = TypeVar("Command", bound=Callable[..., Any])
Item = TypeVar("Item")


if TYPE_CHECKING:
    _ParamType = click.ParamType[str]
else:
    _ParamType = click.ParamType  # generic since click 8.4 only


_STREAM = re.compile(
    r"/dev/(std(in|out|err)|fd/\d+)|/proc/(self|thread-self|\d+)/(task/\d+/)?fd/\d+"
)
"""Paths of what a process has open: a file behind one is a stream all the same."""

_QUIET = "archc.quiet"
"""Where the context of a command keeps that `--quiet` was given."""


class OutputFile(click.Path):
    """The path of a file to write; `note_output` knows of it before anything is read."""

    def __init__(self, *, allow_dash: bool = False):
        super().__init__(allow_dash=allow_dash)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises click.BadParameter, and `OutputError` if it is read, too."""
        if value == "":
            self.fail("the file name is empty", param, ctx)
        from pathlib import Path

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not (self.allow_dash and str(path) == "-"):
            note_output(path)
        return path


class OutputFolder(click.Path):
    """The path of a folder to write into."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises click.BadParameter for an empty one, which is no folder's name."""
        if value == "":
            self.fail("the folder name is empty", param, ctx)
        from pathlib import Path

        return Path(os.fsdecode(super().convert(value, param, ctx)))


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
    from archc.shipped import shipped_names

    return shipped_names()


def _shipped_recipes() -> list[str]:
    from archc.recipes import recipe_names

    return recipe_names()


class _Device(_ParamType):
    """The name of a device of the kinds that archc runs on; whether it is there is seen later."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name; raises click.BadParameter."""
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", value):
            self.fail(f"{value!r} is not cpu, cuda or a GPU such as cuda:1.", param, ctx)
        return str(value)


class _Lengths(_ParamType):
    """Lengths in pixels, separated by commas."""

    name = "lengths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The lengths, each once, as they are given; raises click.BadParameter."""
        from archc.recipes.models import MAX_SIDE

        words = [word.strip() for word in str(value).split(",")]
        if not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
            self.fail(f"{value!r} is not a list of lengths such as 224,256.", param, ctx)
        found = tuple(dict.fromkeys(int(word) for word in words))
        if not 1 <= min(found) <= max(found) <= MAX_SIDE:
            self.fail(f"lengths go from 1 to {MAX_SIDE:,} pixels.", param, ctx)
        return found


class _Width(_ParamType):
    """A width on paper; a plot's has narrower bounds."""

    name = "width"

    def __init__(self, *, of_plot: bool = False):
        self._of_plot = of_plot

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The width in points; raises click.BadParameter."""
        from archc import widths

        bounds = (widths.PLOT_MIN, widths.PLOT_MAX) if self._of_plot else (widths.MIN, widths.MAX)
        try:
            return widths.parse_width(str(value), *bounds)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Memory(_ParamType):
    """An amount of memory, in bytes."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The bytes; raises click.BadParameter."""
        from archc.amounts import parse_memory

        try:
            return parse_memory(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SPEC = _NamedFile("spec", _shipped_specs)
"""A spec: a path, a shipped name or ``-``; where networks are read, a model, too."""

RECIPE = _NamedFile("recipe", _shipped_recipes)
"""A recipe: a path or a shipped name."""

LENGTHS = _Lengths()
"""Lengths in pixels."""

WIDTH = _Width()
"""How wide a figure is on paper, in points."""

MEMORY = _Memory()
"""An amount of memory, in bytes."""

PLOT_WIDTH = _Width(of_plot=True)
"""How wide a plot is on paper, in points."""


def specs(command: Command) -> Command:
    """One or more SPEC, with ``--with``, ``--set`` and ``--input``."""
    return click.argument("specs", metavar="SPEC...", type=SPEC, nargs=-1, required=True)(
        spec_options(command)
    )


def spec(command: Command) -> Command:
    """One SPEC, with ``--with``, ``--set`` and ``--input``."""
    return click.argument("spec", metavar="SPEC", type=SPEC)(spec_options(command))


def spec_options(command: Command) -> Command:
    """``--with``, ``--set`` and ``--input``, for a `SpecCommand`."""
    help = "Change a key of the spec: classes=10, input=160, depth[3]=20, width=x0.5, norm=none."
    return _with_and_input(_set(help, KEYS)(command))


def spec_and_recipe_options(command: Command) -> Command:
    """`spec_options`, with a ``--set`` that takes keys of recipes, too."""
    help = "Set a key of the recipe (iterations=2000, learning_rate.at=[1000,1500]) or of the spec "
    help += "(classes=10, depth[3]=20)."
    return _with_and_input(_set(help, SETTINGS)(command))


def _set(help: str, complete: Complete) -> Callable[[Command], Command]:
    return click.option(
        "--set", "set_", metavar="KEY=VALUE", multiple=True, shell_complete=complete, help=help
    )


def _with_and_input(command: Command) -> Command:
    command = click.option(
        "--input",
        "input_",
        metavar="C,H,W",
        multiple=True,
        help="Override the image's channels, height and width.",
    )(command)
    return click.option(
        "--with",
        "with_",
        metavar="NAME=VALUE",
        multiple=True,
        shell_complete=ATTRIBUTES,
        help="Set a stage attribute, one value or one per stage (depth=3,4,11,3), or a variable.",
    )(command)


def output(command: Command) -> Command:
    """``-o FILE``; without it, standard output. ``-q`` beside it."""
    return output_alone(quiet(command))


def output_alone(command: Command) -> Command:
    """``-o FILE`` for a command that has a ``-q`` of its own."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=OutputFile(allow_dash=True),
        help="Write to FILE instead of standard output.",
    )(command)


def quiet(command: Command) -> Command:
    """``-q``, which `tell_written` obeys."""
    return click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=keep_quiet,
        help="Do not report on stderr what was written.",
    )(command)


def keep_quiet(context: click.Context, _: click.Parameter, value: bool) -> bool:
    """What ``--quiet`` calls."""
    context.meta[_QUIET] = value
    return value


def is_quiet() -> bool:
    """Whether the command was told to be quiet."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def table_format(
    help: str, *, default: str = "by FILE's extension, otherwise table"
) -> Callable[[Command], Command]:
    """``--format table|json|csv|markdown``, as ``format_``: None where it is not given."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", "csv", "markdown"]),
        help=f"{help} [default: {default}]",
    )


_EXTENSIONS = {".json": "json", ".csv": "csv", ".md": "markdown", ".markdown": "markdown"}


def format_for(given: str | None, output: Path | None) -> str:
    """The format of a table: as given, or by the extension of the file, otherwise ``table``."""
    if given is not None or output is None:
        return given or "table"
    return _EXTENSIONS.get(output.suffix.lower(), "table")


def deploy(command: Command) -> Command:
    """``--deploy``."""
    return click.option(
        "--deploy",
        is_flag=True,
        help="Use the deploy form: batch norms folded into the convolutions before them.",
    )(command)


def device(command: Command) -> Command:
    """``--device cpu|cuda``."""
    return click.option(
        "--device",
        metavar="cpu|cuda",
        type=_Device(),
        default="cpu",
        show_default=True,
        help="The device to run on; cuda:1 is the second GPU.",
    )(command)


def data(command: Command) -> Command:
    """``--data DIR``."""
    from pathlib import Path

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
        help="auto is cuda if available.",
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
        help="Number of processes that decode image files.",
    )(command)


def tell_foldings(network: Network, checkpoint: Checkpoint | None = None) -> None:
    """Say on stderr which norms the deploy form of a network does without, and which it keeps; or
    that a checkpoint was one of that form already."""
    from archc.words import folded

    words = folded(network)
    if checkpoint is not None:
        from archc.weights import is_folded

        words = "the weights are already folded" if is_folded(network, checkpoint) else words
    say(f"archc: {words}", err=True)


def read_spec(name: str, changes: Changes = ()) -> Design:
    """Read a spec, and tell its notes and warnings."""
    from archc import api

    design = api.read_changed(name, changes)
    # Looking for warnings takes time, and as they are, the shipped specs have none (a test).
    if not changes and is_shipped(design.spec.place.source.path):
        return design
    return tell_warnings(design)


def read_spec_or_blocks(name: str, changes: Changes = ()) -> Design | dict[str, Definition]:
    """Read a spec, and tell its notes and warnings, or the blocks of a file of blocks."""
    from archc import api
    from archc.spec.files import open_spec

    source = open_spec(name)
    blocks = api.read_blocks(source, changes)
    return tell_warnings(api.read_changed(source, changes)) if blocks is None else blocks


def read_specs(names: Sequence[str], changes: Changes) -> list[Design]:
    """Read several specs. Raises `SpecError` with the mistakes of all of them."""
    return _each(names, lambda name: read_spec(name, changes))


def load_networks(names: Sequence[str], changes: Changes) -> list[Network]:
    """Read and compile several specs. Raises `SpecError` with the mistakes of all of them."""
    return _each(names, lambda name: _network(name, changes))


def _network(name: str, changes: Changes) -> Network:
    """The network of a spec, or of a model of another library."""
    from archc import api

    if not api.is_model(name):
        return read_spec(name, changes).network
    return read_model(name, changes)


def read_model(name: str, changes: Changes = ()) -> Network:
    """The network of a model of another library; whose code runs is said on stderr."""
    from archc import api

    tell_running(name)
    network: Network = api.read_changed_model(name, changes).network
    return network


def tell_running(name: str) -> None:
    """Say on stderr whose code runs, if any does."""
    from archc import api

    if api.runs_code(name):
        say(f"archc: running {quote_name(name)}", err=True)


def tell_warnings(design: Design) -> Design:
    """Say on stderr, once and in a line each, what is to know of a spec, and what is valid in it
    but probably not meant; `archc check` shows more of that. Returns the spec."""
    tell_notes(design.notes)
    _tell_once(warning.lines()[0] for warning in design.warnings)
    return design


def tell_notes(notes: Iterable[Note]) -> None:
    """Say on stderr, once, what is to know of a spec."""
    _tell_once(f"{note.place}: note: {note.message}" for note in notes)


def _tell_once(texts: Iterable[str]) -> None:
    told: set[str] = click.get_current_context().meta.setdefault("archc.notes", set())
    for text in texts:
        if text not in told:
            say(text, err=True)
            told.add(text)


def _each(names: Sequence[str], load: Callable[[str], Item]) -> list[Item]:
    from archc.source.diagnostics import SpecError, merged

    done: list[Item] = []
    faults: list[Diagnostic] = []
    read_stdin_once(names)
    for name in names:
        try:
            with many_objects():
                done.append(load(name))
        except SpecError as error:
            faults += error.diagnostics
    if faults:
        raise SpecError(merged(faults))
    return done


@contextmanager
def many_objects() -> Iterator[None]:
    """Keep the garbage collector off while a network is read: it holds no cycles.

    Python would search all of a deep network again and again while it grows, which takes a third
    of the time. Afterwards it searches less often, for what is made of the network.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()


def read_stdin_once(names: Sequence[str]) -> None:
    """Refuse a command line that names standard input twice."""
    if names.count("-") > 1:
        raise click.UsageError("standard input can be read only once")


def put_out(content: str | bytes, path: Path | None, hint: str | None = None) -> None:
    """Write to a file and say so, or to standard output where there is none.

    ``hint`` is what to do with the file. Raises `OutputError` where it cannot be written, or is
    one that the command has read.
    """
    # A file's name that is not UTF-8 comes out as the bytes that it is.
    raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    if path is None or str(path) == "-":
        if sys.stdout is None:
            raise OutputError("-", "it is closed")
        try:
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise  # whoever reads it has seen enough
        except OSError as error:
            raise OutputError("-", reason(error)) from error
    else:
        from archc.files import write

        note_output(path)
        write(path, raw)
        tell_written(path, hint=hint)


def tell_written(path: Path, *, more: int = 0, hint: str | None = None) -> None:
    """Say on stderr that a file was written, and how many more; of streams nothing is said."""
    if is_quiet() or is_stream(path):
        return
    others = f" and {more} more" if more else ""
    say(f"archc: wrote {path}{others}", err=True)
    if hint:
        say(f"hint: {hint}", err=True)


def is_stream(path: Path) -> bool:
    """Whether a path leads to something that is open already, or to a pipe or a device."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return True
    step = os.path.abspath(path)
    for _ in range(_MAX_LINKS):
        if _STREAM.fullmatch(step):
            return True
        if not os.path.islink(step):
            return False
        step = os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))
    return False


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
        say_heading(table.title)
    say("")
    heading, *lines = table.lines()
    say_heading(f" {heading}")
    say(*(f" {line}" for line in lines), "")


def put_out_tables(
    tables: Sequence[Table], format_: str, output: Path | None, notes: Sequence[str] = ()
) -> None:
    """Print tables below each other, or write them to a file, as text or as Markdown."""
    if format_ == "table" and output is None:
        for index, table in enumerate(tables):
            if index:
                say("")
            print_table(table)
        if notes:
            say("", *notes)
        return
    markdown = format_ == "markdown"
    texts = [table.markdown() if markdown else table.text() for table in tables]
    if notes:
        texts.append("".join(f"- {n.strip()}\n" if markdown else f"{n}\n" for n in notes))
    put_out("\n".join(texts), output)


def with_progress(items: Iterable[Item], label: str) -> Generator[Item, None, None]:
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
