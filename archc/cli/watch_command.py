"""``archc watch``."""

from __future__ import annotations

import click

from archc.choices import diff_conflict
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import SPEC, read_model, spec_options
from archc.cli.terminal import say
from archc.text import quote_name


@click.command("watch", cls=SpecCommand)
@click.argument("specs", metavar="SPEC [SPEC]", type=SPEC, nargs=-1, required=True)
@spec_options
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="The port of the page; 0 takes any free port.",
)
@click.option(
    "--fold/--no-fold",
    default=None,
    help="Draw a run of equal blocks once. [default: if a network has more than 60 layers]",
)
@click.option("--diff", is_flag=True, help="Mark what differs between two SPECs.")
def command(
    specs: tuple[str, ...],
    changes: Changes,
    port: int,
    fold: bool | None,
    diff: bool,
) -> None:
    """Show a spec's figure on a local page, redrawn on every save; Ctrl-C stops it.

    While the spec is broken, the figure ends at the first mistake, and the mistakes are listed
    above it. A model's file (FILE.onnx, FILE.pt2, FILE.py:NAME) is watched, too. Only this
    machine can reach the page.

    \b
    Examples:
      archc watch resnet65.yaml
      archc watch resnet65.yaml --port 0
      archc watch imagenet/resnet50 resnet65.yaml --diff
    """
    if diff and (trouble := diff_conflict(len(specs), "--diff")):
        raise click.UsageError(trouble)
    if not diff and len(specs) > 1:
        raise click.UsageError("several specs can be watched only with --diff, which takes two")
    base, spec = specs if diff else (None, specs[0])
    if "-" in specs:
        raise click.BadParameter("standard input cannot be watched", param_hint="'SPEC'")
    from archc import api
    from archc.source.foreign import file_of
    from archc.spec.files import open_spec
    from archc.watching import Preview, serve

    for name in specs:
        if not api.is_model(name):
            open_spec(name)
        elif not file_of(name):
            raise click.UsageError(
                f"{quote_name(name)} cannot be watched: give the file it is in, FILE.py:NAME"
            )
        else:
            read_model(name, changes)
    preview = Preview(spec, changes, fold, base)

    def ready(address: str) -> None:
        for fault in preview.state.faults:
            say(*fault.split("\n"), err=True)
        say(f"{address} shows {spec}; Ctrl-C stops it")

    def warn(words: str) -> None:
        say(f"archc: {words}", err=True)

    serve(preview, port, ready, warn)
    say("archc: stopped", err=True)
