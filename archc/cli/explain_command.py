"""``archc explain``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from archc.cli.complete import CODES
from archc.cli.terminal import say


@click.command("explain")
@click.argument("codes", metavar="[CODE]...", nargs=-1, shell_complete=CODES)
def command(codes: tuple[str, ...]) -> None:
    """Explain what a diagnostic means, with an example and what to write instead.

    CODE is the kind of a diagnostic. Warnings show it at the end of their first line; of every
    diagnostic, `archc check --format json` has it. Without CODE, all of them are listed.
    What is wrong with a spec is explained by `archc check SPEC --explain`.

    \b
    Examples:
      archc explain
      archc explain unused-default
      archc explain unknown-key missing-key
    """
    from archc.source.explaining import explanation

    known = [_known(code) for code in codes]
    if not known:
        say(*_listed())
    for index, code in enumerate(known):
        say(*([""] if index else []), *explanation(code))


def _known(code: str) -> str:
    """A code as it is in the list, whether or not it is given in brackets."""
    from archc.source import codes
    from archc.source.suggest import closest
    from archc.text import quote

    word = code.strip().removeprefix("[").removesuffix("]").lower().replace("_", "-")
    if word not in codes.CODES:
        hint = closest(word, codes.CODES) or "`archc explain` lists the codes"
        raise click.UsageError(
            f"there is no code {quote(code)}: {hint}", click.get_current_context()
        )
    return word


def _listed() -> Iterator[str]:
    """Every code with its sentence."""
    from archc.source.codes import ERRORS, WARNINGS

    width = max(map(len, (*WARNINGS, *ERRORS)))
    for heading, codes in (("Warnings", WARNINGS), ("Errors", ERRORS)):
        yield from ([""] if heading == "Errors" else [])
        yield f"{heading}:"
        for code, sentence in codes.items():
            yield f"  {code:{width}}  {sentence}"
