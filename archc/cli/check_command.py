"""``archc check``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import many_objects, put_out, read_stdin_once, specs, tell_notes
from archc.cli.terminal import say

if TYPE_CHECKING:
    from archc.spec import Diagnostic, Spec


@click.command("check", cls=SpecCommand)
@specs
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How to print diagnostics; github prints annotations.",
)
def command(specs: tuple[str, ...], changes: Changes, format_: str) -> int:
    """Check specs, recipes and files of blocks, and explain what is wrong with them.

    For a folder, every spec, recipe and file of blocks below it is checked: *.yaml and *.yml with
    `name`, `extends`, `stages`, `blocks` or `recipe` at the top. Hidden files, hidden folders and
    links are left out.

    --with, --set and --input apply to specs. A recipe or a file of blocks does not take them;
    those in a folder are checked without them.

    Exit code 0 if all are valid, 1 if one is not.

    \b
    Examples:
      archc check resnet65.yaml
      archc check specs
      archc check specs/*.yaml --format github
    """
    from archc.source.diagnostics import merged
    from archc.spec import SpecError
    from archc.spec.folders import find_specs

    read_stdin_once(specs)
    found = find_specs(specs)
    faults: list[Diagnostic] = list(found.faults)
    for name in found.specs:
        try:
            with many_objects():
                what = _checked(name, changes, is_named=name in specs)
        except SpecError as error:
            faults += error.diagnostics
        else:
            if format_ == "text":
                say(f"{name}: ok, {what}")
    _tell(merged(faults), format_, found.summary)
    return 1 if faults else 0


def _checked(name: str, changes: Changes, *, is_named: bool) -> str:
    """What a file is, in a few words; raises `SpecError` if it is not valid.

    Only a file that ``is_named`` on the command line must be one that takes the options.
    """
    from archc import api
    from archc.expectations import check_expectations
    from archc.recipes import is_recipe, resolve_recipe
    from archc.spec.files import open_spec
    from archc.spec.overrides import refuse_changes
    from archc.words import summary

    source = open_spec(name)
    told = changes if is_named else ()
    if is_recipe(source):
        source.kind = "recipe"
        recipe = resolve_recipe(source)
        refuse_changes(source.start(), "a recipe", told)
        return f"a recipe of {recipe.header.iterations:,} iterations"
    blocks = api.read_blocks(source, told)
    if blocks is not None:
        return f"{len(blocks)} block{'s' * (len(blocks) != 1)}: {', '.join(blocks)}"
    design = tell_notes(api.read_changed(source, changes))
    check_expectations(design.spec, design.network)
    return f"{summary(design.network)}{_met(design.spec)}"


def _met(spec: Spec) -> str:
    """What is to be said of the expectations of a spec that are not unmet."""
    if not spec.expected:
        return ""
    if not spec.is_as_written:
        return "; `expect` is for the spec as it is written, and was not checked"
    return ", as expected"


def _tell(faults: Sequence[Diagnostic], format_: str, summary: str) -> None:
    if format_ == "json":
        put_out(json.dumps([fault.as_dict() for fault in faults], indent=1) + "\n", None)
    elif format_ == "github":
        for fault in faults:
            say(_annotation(fault))
    else:
        for fault in faults:
            say(*fault.lines(), err=True)
        if faults:
            count = sum(not fault.is_end for fault in faults)
            more = " and more" * (count < len(faults))
            tail = f"; {summary}" if summary else ""
            say(f"{count} mistake{'s' if count > 1 else ''}{more}{tail}", err=True)
        elif summary:
            say(summary)


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
