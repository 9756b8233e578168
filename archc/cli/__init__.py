"""The command line: one thin command per file, imported when it is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from archc import __version__
from archc.cli.signals import Endings
from archc.cli.startup import start_quickly
from archc.cli.terminal import say, say_click_error, say_warnings

GROUPS = {
    "Author": {
        "new": "Write a variant of a spec, or a block, to start from.",
        "lift": "Write a model of another library as a spec.",
        "list": "List the shipped networks, or block types.",
        "check": "Check specs and blocks and explain what is wrong with them.",
        "explain": "Explain a kind of error or warning, with an example.",
        "show": "Print the resolved spec with the origin of each value.",
        "schema": "Print the JSON Schema of specs, or of results.",
    },
    "Count": {
        "count": "Count parameters and multiply-adds.",
        "fit": "Find the largest batch that fits into a memory.",
        "diff": "Compare two specs and the cost of the difference.",
        "sweep": "Count the variants of a spec and find the best.",
    },
    "Draw": {
        "draw": "Draw networks side by side, as SVG, PNG, PDF, TikZ or DOT.",
        "report": "Write figure, tables and source as one HTML file.",
        "watch": "Show a figure on a local page that updates on every save.",
    },
    "Modules": {
        "emit": "Print the PyTorch module.",
        "verify": "Verify the emitted module against its graph.",
        "build": "Write module, counts and figure of many specs.",
        "graph": "Print the graph as node-link JSON or GraphML.",
        "fold": "Fold batch norms into trained weights.",
        "export": "Write an ONNX file or a torch exported program.",
        "bench": "Time the module against the limit of the hardware.",
    },
    "Train": {
        "train": "Train a network by a recipe, on one device or many.",
        "evaluate": "Measure the test error of trained weights.",
        "curves": "Plot the training and test error of runs.",
    },
    "Shell": {
        "completion": "Print the shell completion script.",
    },
}
"""The commands by what they are for, with the lines that `archc --help` has of them."""

COMMANDS = {name: help for group in GROUPS.values() for name, help in group.items()}


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of `archc --help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"archc.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command: what it reads it cannot write, and warnings are in archc's words."""
        from archc.inputs import guarded_inputs
        from archc.source.caller import on_command_line

        with on_command_line(), guarded_inputs(), say_warnings():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with the closest command where there is none of the name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from archc.source.suggest import closest

            hint = closest(args[0], COMMANDS) if args else None
            raise click.UsageError(
                f"{error.message} {(hint or '').capitalize()}".strip(), ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by group with their first lines, without importing them."""
        width = max(map(len, COMMANDS))
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{width}}", help) for name, help in commands.items()])


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="SPEC is the path of a YAML file, the name of a shipped spec (imagenet/resnet34), "
    "or - for standard input. Where a network is counted, drawn, compared or emitted it may be a "
    "model: FILE.onnx, FILE.pt2 (torch.export), FILE.py:NAME or package.module:NAME, which run "
    "code. Shell completion: archc completion --help",
)
@click.version_option(__version__, "--version", "-V", message="archc %(version)s")
def cli() -> None:
    """Compile YAML specs of convolutional networks: count, draw and emit them.

    \b
    Examples:
      archc count imagenet/resnet34 imagenet/vgg19
      archc draw imagenet/resnet34 -o resnet34.svg
      archc emit imagenet/resnet34 -o resnet34.py
      archc new resnet65 --from imagenet/resnet50
    """


def main() -> NoReturn:
    """Run the command line; no traceback reaches the user unless ARCHC_DEBUG is set."""
    start_quickly()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show ends no command
    if "_ARCHC_COMPLETE" in os.environ:
        from archc.cli.shells import register

        register()
    with Endings() as endings:
        try:
            code = cli.main(prog_name="archc", standalone_mode=False)
            if sys.stdout is not None:
                sys.stdout.flush()
            code = code if isinstance(code, int) else 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception as error:
            code = _report(error, endings)
        except KeyboardInterrupt:
            code = _interrupted(endings)
    _leave(code)


def _interrupted(endings: Endings) -> int:
    """Tell the user, who may have closed the terminal, what has ended the command."""
    with suppress(OSError):
        say(f"archc: {endings.words}", err=True)
    return endings.code


def _leave(code: int) -> NoReturn:
    """Exit; a process that trained together with others exits at once.

    As torch takes a process group down, it may wait for ever for a thread that waits for Python.
    """
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)
    sys.exit(code)


def _report(error: Exception, endings: Endings) -> int:
    """Tell the user of an error; return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    # Where a terminal is closed, telling of it fails, too.
    if isinstance(error, click.Abort) or (endings.came and isinstance(error, OSError)):
        return _interrupted(endings)
    if isinstance(error, click.ClickException):
        say_click_error(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        from archc.cli.common import close_stdout

        close_stdout()
        return 1
    from archc.cli.errors import explain, is_debugging

    say(*explain(error), err=True)
    if is_debugging():
        raise error
    return 1
