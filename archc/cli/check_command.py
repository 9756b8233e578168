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
    from archc.source.diagnostics import Edit
    from archc.spec import Diagnostic


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
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@click.option(
    "--fix",
    is_flag=True,
    help="Apply the hints that are certain to the files named, and check what is left.",
)
@click.option("--explain", is_flag=True, help="Explain each kind of diagnostic that was found.")
def command(
    specs: tuple[str, ...],
    changes: Changes,
    format_: str,
    strict: bool,
    fix: bool,
    explain: bool,
) -> int:
    """Check specs, recipes and files of blocks, and explain what is wrong with them.

    For a folder, every spec, recipe and file of blocks below it is checked: *.yaml and *.yml with
    `name`, `extends`, `stages`, `blocks` or `recipe` at the top. Hidden files, hidden folders and
    links are left out.

    --with, --set and --input apply to specs. A recipe or a file of blocks does not take them;
    those in a folder are checked without them.

    Warnings are of what is valid, but probably not meant. A comment in the same line allows it:
    # archc: allow unused-classes

    --fix changes files only where that leaves fewer mistakes and no new ones. It never changes
    shipped specs, standard input, or files that are extended or used but not named.

    Exit code 0 if all are valid, 1 if one is not.

    \b
    Examples:
      archc check resnet65.yaml
      archc check specs
      archc check specs/*.yaml --format github
      archc check resnet65.yaml --fix
      archc check specs --strict
    """
    from archc.source.diagnostics import merged
    from archc.spec.folders import find_specs

    read_stdin_once(specs)
    found = find_specs(specs)
    faults: list[Diagnostic] = list(found.faults)
    is_text = format_ == "text"
    if fix:
        for name in found.specs:
            _fix(name, changes, name in specs, is_text=is_text)
    for name in found.specs:
        faults += _check(name, changes, name in specs, is_text=is_text)
    faults = merged(faults)
    _tell(faults, format_, found.summary)
    if explain and is_text:
        _explain(faults)
    mistakes = [fault for fault in faults if fault.severity == "error"]
    return 1 if mistakes or (strict and faults) else 0


def _check(name: str, changes: Changes, is_named: bool, *, is_text: bool) -> Sequence[Diagnostic]:
    """What is wrong with a file, and what is to be warned of; says that it is valid if it is."""
    from archc.api.checking import check_source
    from archc.spec import SpecError
    from archc.spec.files import open_spec

    try:
        with many_objects():
            source = open_spec(name)
            found = check_source(source, changes, is_named=is_named)
    except SpecError as error:
        return error.diagnostics
    tell_notes(found.notes)
    if is_text and not found.mistakes:
        say(f"{name}: ok, {found.what}")
    return [*found.mistakes, *found.warnings]


def _fix(name: str, changes: Changes, is_named: bool, *, is_text: bool) -> None:
    """Mend a file, and say what was done."""
    from archc.api.checking import fix_changed

    if name == "-":
        return
    for edit in fix_changed(name, changes, is_named=is_named):
        say(_fixed(edit), err=not is_text)


def _fixed(edit: Edit) -> str:
    from archc.text import quote

    start, end = edit.start, edit.end
    line = start.source.lines[start.line - 1]
    was = line[start.column - 1 : end.column - 1] if start.line == end.line else line
    return f"{start}: fixed: {quote(was)} is now {quote(edit.replacement)}"


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
            tail = f"; {summary}" if summary else ""
            say(f"{_counted(faults)}{tail}", err=True)
        elif summary:
            say(summary)


def _counted(faults: Sequence[Diagnostic]) -> str:
    """``2 mistakes and more and 1 warning``."""
    warnings = sum(fault.severity == "warning" for fault in faults)
    count = sum(not fault.is_end for fault in faults) - warnings
    more = " and more" * any(fault.is_end for fault in faults)
    words = [f"{count} mistake{'s' if count > 1 else ''}{more}"] if count else []
    words += [f"{warnings} warning{'s' if warnings > 1 else ''}"] if warnings else []
    return " and ".join(words)


def _explain(faults: Sequence[Diagnostic]) -> None:
    from archc.source.explaining import explanation

    for code in dict.fromkeys(fault.code for fault in faults):
        say("", *explanation(code))


def _annotation(fault: Diagnostic) -> str:
    """A workflow command of GitHub Actions, with what would end it escaped."""
    place = fault.place
    text = fault.message + (f"\nhint: {fault.hint}" if fault.hint else "")

    def escape(value: str, also: str = "") -> str:
        for character in f"%\r\n{also}":
            value = value.replace(character, f"%{ord(character):02X}")
        return value

    where = f"file={escape(place.source.name, ':,')},line={place.line},col={place.column}"
    if fault.severity == "warning":
        where += f",title={fault.code}"
    return f"::{fault.severity} {where}::{escape(text)}"
