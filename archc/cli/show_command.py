"""``archc show``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import SPEC, output, put_out, read_spec_or_blocks, spec_options

if TYPE_CHECKING:
    from pathlib import Path

    from archc.blocks import Definition


@click.command("show", cls=SpecCommand)
@click.argument("specs", metavar="[BLOCK] SPEC", type=SPEC, nargs=-1, required=True)
@spec_options
@click.option(
    "--blocks",
    is_flag=True,
    help="Print only blocks: all that SPEC uses, or BLOCK, which is SPEC's or the library's.",
)
@output
def command(
    specs: tuple[str, ...],
    changes: Changes,
    output: Path | None,
    *,
    blocks: bool,
) -> None:
    """Print the resolved spec with the origin of each value.

    What the spec extends, its defaults and its `with` are applied: the result is a complete spec.
    For a file of blocks, its blocks are printed.

    \b
    Examples:
      archc show imagenet/resnet152
      archc show imagenet/resnet50 --with depth=3,4,11,3
      archc show --blocks torchvision/densenet121
      archc show --blocks bottleneck
      archc show --blocks my_block my.yaml
    """
    from archc.spec.show import show_blocks

    *named, spec = specs
    if len(named) > blocks:
        strange = specs[1 + blocks]
        more = "" if blocks else "; --blocks prints a block of a spec"
        raise click.UsageError(f"Got unexpected extra argument ({strange}){more}")
    if blocks and not named and (found := _of_library(spec)) is not None:
        if changes:
            from archc.spec.overrides import option_of

            raise click.UsageError(
                f"{option_of(changes[0])} is for specs, and {spec!r} is a block of the library"
            )
        put_out(show_blocks(found), output)
        return
    read = read_spec_or_blocks(spec, changes)
    if named:
        known = read if isinstance(read, dict) else read.spec.library.definitions
        text = show_blocks(_of_spec(named[0], known, spec))
    elif isinstance(read, dict):
        text = show_blocks(read)
    else:
        text = show_blocks(read.spec.definitions) if blocks else read.text
    put_out(text, output)


def _of_library(name: str) -> Mapping[str, Definition] | None:
    """A block of the library by its name, with those that it uses; None for what may be a spec.

    Raises `SpecError` for what is neither.
    """
    from archc.blocks import STANDARD
    from archc.shipped import shipped_names
    from archc.source.diagnostics import Source, fail
    from archc.source.suggest import closest
    from archc.text import quote

    found = STANDARD.definition(name)
    if found is None and name.isidentifier() and not os.path.lexists(name):
        if name in {shipped.split("/")[1] for shipped in shipped_names()}:
            return None  # reading it as a spec says what it is called in full
        hint = closest(name, STANDARD) or "`archc list --blocks` lists the library."
        message = f"there is no block of the library, and no file, called {quote(name)}"
        of_spec = f"`archc show --blocks {name} SPEC` prints a block of a spec"
        fail(Source(name).start(), message, f"{hint} {of_spec}", code="unknown-block")
    return None if found is None else found.with_all_it_uses


def _of_spec(name: str, known: Mapping[str, Definition], spec: str) -> Mapping[str, Definition]:
    """One of the blocks that a spec may use, with those that it uses itself.

    Raises `SpecError` where there is none of the name.
    """
    from archc.blocks import STANDARD
    from archc.source.diagnostics import Source, fail
    from archc.source.suggest import closest
    from archc.text import listing, quote, quote_name

    found = known.get(name) or STANDARD.definition(name)
    if found is None:
        own = [one for one in known if one not in STANDARD]
        hint: str | None = closest(name, [*own, *STANDARD])
        if hint is None and own:
            hint = f"its own blocks are {listing([f'`{quote_name(one)}`' for one in own], 'and')}"
        message = f"there is no block {quote(name)} in this file or the library"
        fail(Source(spec).start(), message, hint, code="unknown-block")
    return found.with_all_it_uses
