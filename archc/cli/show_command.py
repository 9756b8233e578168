"""``archc show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.cli.common import output, put_out, read_spec, spec

if TYPE_CHECKING:
    from archc.blocks import Definition


@click.command("show")
@spec
@click.option("--blocks", is_flag=True, help="Print its blocks alone; SPEC may be a block's name.")
@output
def command(
    spec: str,
    with_: tuple[str, ...],
    input_: str | None,
    output: Path | None,
    *,
    blocks: bool,
) -> None:
    """Print the resolved spec with the origin of each value.

    What a spec extends, its defaults and `with` are laid in; the result is a spec itself.

    \b
    Examples:
      archc show imagenet/resnet152
      archc show imagenet/resnet50 --with depth=3,4,11,3
      archc show --blocks bottleneck
    """
    if blocks:
        from archc.spec.show import show_blocks

        definitions = _library_block(spec)
        if definitions is None:
            definitions = read_spec(spec, with_, input_).spec.definitions
        put_out(show_blocks(definitions), output)
        return
    put_out(read_spec(spec, with_, input_).text, output)


def _library_block(name: str) -> dict[str, Definition] | None:
    """A block of the library by its name, with those that it uses."""
    from archc.blocks import STANDARD

    one = STANDARD.definition(name)
    return None if one is None else one.with_all_it_uses
