"""``archc check``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from archc.cli.common import many_objects, read_stdin_once, specs

if TYPE_CHECKING:
    from archc.spec import Diagnostic


@click.command("check")
@specs
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How mistakes are told; github makes annotations of them.",
)
def command(
    specs: tuple[str, ...], with_: tuple[str, ...], input_: str | None, format_: str
) -> int:
    """Check specs, and recipes, and explain what is wrong with them.

    Exit code 0 if all are valid, 1 if one is not.

    \b
    Examples:
      archc check resnet65.yaml
      archc check specs/*.yaml --format github
    """
    from archc.spec import SpecError

    read_stdin_once(specs)
    faults: list[Diagnostic] = []
    for name in specs:
        try:
            with many_objects():
                what = _checked(name, with_, input_)
        except SpecError as error:
            faults += error.diagnostics
        else:
            if format_ == "text":
                click.echo(f"{name}: ok, {what}")
    _tell(faults, format_)
    return 1 if faults else 0


def _checked(name: str, with_: tuple[str, ...], input_: str | None) -> str:
    """What a spec or a recipe is, in a few words; raises `SpecError` if it is not valid."""
    from archc.compile import compile_spec
    from archc.recipes import is_recipe, resolve_recipe
    from archc.spec import resolve
    from archc.spec.files import open_spec
    from archc.words import summary

    source = open_spec(name)
    if is_recipe(source):
        source.kind = "recipe"
        recipe = resolve_recipe(source)
        return f"a recipe of {recipe.header.iterations:,} iterations"
    return summary(compile_spec(resolve(source, with_, input_)))


def _tell(faults: Sequence[Diagnostic], format_: str) -> None:
    if format_ == "json":
        click.echo(json.dumps([fault.as_dict() for fault in faults], indent=1))
    elif format_ == "github":
        for fault in faults:
            click.echo(_annotation(fault))
    else:
        for fault in faults:
            click.echo(fault.render(), err=True)
        if faults:
            count = sum(not fault.is_end for fault in faults)
            more = " and more" * (count < len(faults))
            click.echo(f"{count} mistake{'s' if count > 1 else ''}{more}", err=True)


def _annotation(fault: Diagnostic) -> str:
    """A workflow command of GitHub Actions, with what would end it escaped."""
    place = fault.place
    text = fault.message + (f"\nhint: {fault.hint}" if fault.hint else "")

    def escape(value: str, also: str = "") -> str:
        for character in f"%\r\n{also}":
            value = value.replace(character, f"%{ord(character):02X}")
        return value

    where = f"file={escape(place.source.name, ':,')},line={place.line},col={place.column}"
    return f"::error {where}::{escape(text)}"
