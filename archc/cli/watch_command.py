"""``archc watch``."""

from __future__ import annotations

import click

from archc.cli.common import spec
from archc.cli.terminal import say


@click.command("watch")
@spec
@click.option(
    "--port",
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
def command(
    spec: str, with_: tuple[str, ...], input_: str | None, port: int, fold: bool | None
) -> None:
    """Show a spec's figure on a local page that follows every save; Ctrl-C stops it.

    While the spec is broken, the figure ends at the first mistake, and the mistakes are listed
    above it. The page can be seen on this machine alone.

    \b
    Examples:
      archc watch resnet65.yaml
      archc watch resnet65.yaml --port 0
    """
    if spec == "-":
        raise click.BadParameter("standard input cannot be watched", param_hint="'SPEC'")
    from archc.spec.files import open_spec
    from archc.watch import Preview, serve

    open_spec(spec)
    preview = Preview(spec, with_, input_, fold)

    def ready(address: str) -> None:
        for fault in preview.state.faults:
            say(*fault.split("\n"), err=True)
        say(f"{address} shows {spec}; Ctrl-C stops it")

    def warn(words: str) -> None:
        say(f"archc: {words}", err=True)

    serve(preview, port, ready, warn)
    say("archc: stopped", err=True)
