"""Checking files of every kind, and applying the hints that are certain."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from archc.api.reading import read_blocks, read_changed
from archc.dataclassing import dataclass
from archc.design import Design
from archc.errors import OutputError
from archc.expectations import check_expectations
from archc.shipped import shipped_folder
from archc.source.diagnostics import Diagnostic, Edit, Note, Source, SpecError
from archc.spec import Spec
from archc.spec.files import open_spec
from archc.spec.overrides import Change
from archc.text import a_type

_MAX_ROUNDS = 200
"""How often a file is checked anew while its mistakes are mended."""


@dataclass(frozen=True)
class Checked:
    """What was found in a file: in a few words what it is, if it is valid, and what is wrong.

    ``is_read`` says that all that is written is valid by itself: what is wrong then are shapes.
    """

    what: str
    mistakes: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    notes: tuple[Note, ...] = ()
    is_read: bool = True


def check_source(
    source: Source, changes: Sequence[Change] = (), *, is_named: bool = True
) -> Checked:
    """Check a spec, a recipe or a file of blocks that has been read.

    Only one that ``is_named`` by the user, rather than found in a folder, must be of the kind that
    takes the changes.
    """
    design: Design | None = None
    try:
        what = _other_kind(source, changes if is_named else ())
        if what:
            return Checked(what)
        design = read_changed(source, changes)
        check_expectations(design.spec, design.network)
        from archc.words import summary

        what = f"{summary(design.network)}{_met(design.spec)}"
        return Checked(what, (), design.warnings, design.notes)
    except SpecError as error:
        if design is None:
            return Checked("", error.diagnostics, is_read=False)
        return Checked("", error.diagnostics, design.warnings, design.notes)


def _met(spec: Spec) -> str:
    """What is to be said of the expectations of a spec that are not unmet."""
    if not spec.expected:
        return ""
    if not spec.is_as_written:
        return "; `expect` is for the spec as it is written, and was not checked"
    return ", as expected"


def _other_kind(source: Source, changes: Sequence[Change]) -> str:
    """What a recipe or a file of blocks is, in a few words; empty for a spec."""
    from archc.recipes import is_recipe, resolve_recipe
    from archc.spec.overrides import refuse_changes

    if is_recipe(source):
        source.kind = "recipe"
        recipe = resolve_recipe(source)
        refuse_changes(source.start(), "a recipe", changes)
        return f"a recipe of {recipe.header.iterations:,} iterations"
    blocks = read_blocks(source, changes)
    if blocks is not None:
        return f"{len(blocks)} block{'s' * (len(blocks) != 1)}: {', '.join(blocks)}"
    return ""


def fix(spec: str | os.PathLike[str]) -> tuple[Edit, ...]:
    """Apply to a file those hints of `check` that are certain; returns the edits that were made.

    The file is written whole, or not at all: only where the edits mend mistakes and bring no new
    ones to light. All else in it stays as it is, byte for byte. What it extends or uses is left
    alone, and so are shipped specs, of which ``fix`` returns no edits.

    Raises `SpecError` where there is no such file, `OutputError` where it cannot be written.
    """
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(f"`spec` must be a path, not {a_type(spec)}")
    open_spec(os.fsdecode(spec))
    return fix_changed(os.fsdecode(spec))


def fix_changed(
    name: str, changes: Sequence[Change] = (), *, is_named: bool = True
) -> tuple[Edit, ...]:
    """As `fix`, the file being checked with options."""
    try:
        source = open_spec(name)
    except SpecError:
        return ()
    if not may_change(source):
        return ()

    def check(text: str) -> Checked:
        return check_source(replace(source, text=text), changes, is_named=is_named)

    text, edits = mended(source.text, check)
    if not edits:
        return ()
    assert source.path is not None
    _rewrite(Path(source.path), source.text, text)
    return tuple(edits)


def may_change(source: Source) -> bool:
    """Whether a text is a file that is the user's: no shipped one, no pipe, no standard input."""
    if source.path is None:
        return False
    path = os.path.realpath(source.path)
    shipped = os.path.realpath(shipped_folder())
    return os.path.isfile(path) and os.path.commonpath([path, shipped]) != shipped


def _rewrite(path: Path, text: str, new: str) -> None:
    from archc.files import write

    mark = b"\xef\xbb\xbf"
    raw = path.read_bytes()
    head = mark if raw.startswith(mark) else b""
    if raw != head + text.encode():
        raise OutputError(path, "it has changed meanwhile")
    if not os.access(path, os.W_OK):
        raise OutputError(path, "permission denied")
    write(path, head + new.encode())


# Edits that mend


def mended(text: str, check: Callable[[str], Checked]) -> tuple[str, list[Edit]]:
    """A text with those of the certain edits made that leave it with fewer mistakes, and no new
    ones; and these edits, in order."""
    made: list[Edit] = []
    for _ in range(_MAX_ROUNDS):
        before = check(text)
        edits = _certain(before)
        step = _better(text, edits, before, check)
        if step is None:
            # Perhaps one of them is to blame.
            tries = (_better(text, [edit], before, check) for edit in edits if len(edits) > 1)
            step = next((one for one in tries if one is not None), None)
        if step is None:
            break
        text, more = step
        made += more
    return text, made


def _certain(found: Checked) -> list[Edit]:
    """The certain edits of the text itself, each place once."""
    edits: dict[tuple[int, int], Edit] = {}
    for mistake in found.mistakes:
        edit = mistake.fix
        if edit is not None and edit.is_certain and edit.start.source.via is None:
            edits.setdefault((edit.start.line, edit.start.column), edit)
    return [edit for edit in edits.values() if edit.start.source.path is not None]


def _better(
    text: str, edits: Sequence[Edit], before: Checked, check: Callable[[str], Checked]
) -> tuple[str, list[Edit]] | None:
    """The text with the edits, and with those that they bring to light; None if it is no better."""
    from archc.source.spans import apply

    made: list[Edit] = []
    known = {(edit.start.line, edit.replacement) for edit in _certain(before)}
    while edits and len(made) < _MAX_ROUNDS:
        made += edits
        text = apply(text, edits)
        after = check(text)
        if _is_better(before, after):
            return text, made
        known |= {(edit.start.line, edit.replacement) for edit in edits}
        edits = [e for e in _certain(after) if (e.start.line, e.replacement) not in known]
    return None


def _is_better(before: Checked, after: Checked) -> bool:
    """Whether there are fewer mistakes, none of which is new.

    Shapes are looked at only once all that is written is valid: what is wrong with them is not new.
    So is what comes after the last of too many mistakes.
    """
    if any(one.is_end for one in before.mistakes):
        return True
    if after.is_read and not before.is_read:
        return True
    old, new = (Counter((m.code, m.message) for m in one.mistakes) for one in (before, after))
    return new.total() < old.total() and not new - old
