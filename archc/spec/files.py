"""From what a user calls a spec to its text: a path, a shipped name, or ``-``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from archc.inputs import note_input
from archc.shipped import RECIPES, SUFFIX, shipped_names, shipped_path
from archc.source.caller import said
from archc.source.diagnostics import Place, Source, fail
from archc.source.files import check_is_meant, fill, os_reason, read_bytes
from archc.source.reader import MAX_BYTES
from archc.source.suggest import distance, meant_by, nearest
from archc.text import listing, quote, quote_name

STDIN = "-"
_SUFFIXES = (SUFFIX, ".yml")
_SHOWN = 6
"""How many specs of a group a hint names."""


def _weights_hint() -> str:
    """What to do with a checkpoint."""
    return "give the spec of its network, and the weights (.safetensors or .pth) as " + said(
        "`--weights FILE`, for example to `archc verify`", "`weights=...`"
    )


KEYS_AT_TOP = ("name", "extends", "stages")
"""Keys of which every spec has one at the top."""
ALL_KEYS = (*KEYS_AT_TOP, "recipe")
"""The same of specs and recipes."""


def open_spec(spec: str) -> Source:
    """Read the spec that a user names: an existing path, a shipped name, or ``-``.

    Raises `SpecError` if there is none, or if it cannot be a spec (not a file, not UTF-8, larger
    than 1 MB).
    """
    if spec == STDIN:
        source = Source("<stdin>")
        fill(source, _read_stdin(source), _weights_hint())
        return source
    source = Source(spec, path=spec)
    shipped = _shipped_path(spec)
    if not os.path.lexists(spec) and shipped is not None:
        source.path = str(shipped)
    fill(source, _read(source, source.start(), spec), _weights_hint())
    return source


def open_parent(spec: str, place: Place) -> Source:
    """Read the spec that ``extends`` names at a place: a path relative to its file, or shipped."""
    child = place.source
    path = os.path.normpath(os.path.join(child.base, spec))
    shipped = _shipped_path(spec)
    if not os.path.lexists(path) and shipped is not None:
        path = str(shipped)
        parent = Source(spec, path=path, via=place)
    else:
        name = _beside(os.path.join(child.folder, child.name), spec)
        if _shipped_path(child.name) == child.path and _shipped_path(name):
            name = name.removesuffix(SUFFIX)  # one shipped spec beside another, both by name
        parent = Source(name, path=path, via=place)
    raw = _read(parent, place, spec)
    check_is_meant(parent, raw, place, spec, KEYS_AT_TOP, ALL_KEYS)
    fill(parent, raw, _weights_hint())
    return parent


def _beside(child: str, spec: str) -> str:
    """How to call a file relative to another one, in the terms that one was called in."""
    return os.path.normpath(os.path.join(os.path.dirname(child), spec))


def _shipped_path(spec: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", spec):
        return None
    group, name = spec.split("/")
    if group in (".", "..", RECIPES):
        return None
    path = os.path.join(shipped_path(), group, name.removesuffix(SUFFIX) + SUFFIX)
    return path if os.path.isfile(path) else None


def _read_stdin(source: Source) -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        fail(source.start(), "standard input is closed", code="unreadable-file")
    with suppress(OSError, ValueError):  # where a program has put something else in its place
        note_input(sys.stdin.fileno(), "standard input")
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        fail(
            source.start(),
            f"standard input cannot be read: {os_reason(error)}",
            code="unreadable-file",
        )


def _refuse_model(spec: str, place: Place) -> None:
    """Refuse what is called as models of other libraries are."""
    if "." not in spec or spec.endswith(_SUFFIXES):  # as of most
        return
    from archc.source.foreign import not_a_spec

    if (trouble := not_a_spec(spec)) is not None:
        fail(place, *trouble, code="not-a-spec")


def _read(source: Source, place: Place, spec: str) -> bytes:
    """The bytes of a spec, which its author or the user calls ``spec`` at a place."""
    _refuse_model(spec, place)

    def folder_hint() -> str | None:
        group, held = _group(spec)
        return f"{_listed(group)} shows the shipped specs of this name" if held else None

    def refuse_missing() -> None:
        from archc.blocks import STANDARD  # takes time that most commands need not spend

        _refuse_group(spec, place)
        hint = _suggest(spec, source.path or "", place.source.path)
        if "\n" in spec or ": " in spec:
            hint = said(hint, "`archc.loads` reads YAML text")
        if spec in STANDARD:
            hint = "it is a block of the library, which " + said(
                f"`archc show --blocks {spec}` prints", "a stage names as its `block`"
            )
        fail(place, f"there is no file or shipped spec {quote(spec)}", hint, code="file-not-found")

    return read_bytes(source, place, spec, folder_hint, refuse_missing)


def _listed(group: str = "") -> str:
    """What lists the shipped specs."""
    return said(f"`{f'archc list {group}'.strip()}`", f"`archc.specs({group and repr(group)})`")


def _suggest(spec: str, path: str, author: str | None) -> str:
    """What was probably meant: a spec in the same folder, or shipped names; or where to look.

    Case does not count. ``author`` is the path of the spec that extends this one, and so is not
    meant.
    """
    wanted = os.path.basename(spec).removesuffix(SUFFIX)
    beside = {os.path.splitext(name)[0]: name for name in _specs_beside(path, author)}
    near = nearest(wanted, beside)
    alike = _shipped_alike(spec.removesuffix(SUFFIX))
    if near is not None and _is_meant(near, wanted, alike, is_file=spec.endswith(_SUFFIXES)):
        alike = [quote_name(os.path.join(os.path.dirname(spec), beside[near]))]
    if not alike:
        return f"{_listed()} shows the shipped specs"
    if len(alike) == 1:
        return meant_by(spec, alike[0], [*beside.values(), *shipped_names()])
    return f"did you mean {listing(f'`{name}`' for name in alike)}?"


def _is_meant(near: str, wanted: str, shipped: Sequence[str], *, is_file: bool) -> bool:
    """Whether a file's name, rather than the shipped ones, was meant by a word.

    The closer one was; of equally close ones the file where the word is that of a file.
    """
    if near.lower() == wanted.lower():
        return True
    rival = min([distance(wanted, name.split("/")[1])[0] for name in shipped], default=0.0)
    own = distance(wanted, near)[0]
    return own < rival or (is_file and own == rival)


def _specs_beside(path: str, author: str | None) -> list[str]:
    folder = os.path.dirname(path) or "."
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIXES)]
    except OSError:
        return []
    own = os.path.realpath(author) if author else None
    return sorted(name for name in names if os.path.realpath(os.path.join(folder, name)) != own)


def _shipped_alike(spec: str) -> list[str]:
    """Shipped names that end or at least go on like this one, or that are close to it."""
    names = {name: name.split("/")[1] for name in shipped_names()}
    wanted = os.path.basename(spec).lower()
    same = [name for name, base in names.items() if base.lower() == wanted]
    longer = [name for name, base in names.items() if wanted and base.lower().startswith(wanted)]
    if spec.lower() in names:
        return [spec.lower()]
    if same or 0 < len(longer) <= 3:
        return same or longer
    near = nearest(spec, names)
    base = nearest(wanted, names.values())
    return [near] if near else [name for name in names if names[name] == base]


def _group(spec: str) -> tuple[str, list[str]]:
    """The group of shipped specs that a user's word names, and what it holds; nothing if none."""
    group = spec.rstrip("/").lower()
    return group, [name.split("/")[1] for name in shipped_names() if name.split("/")[0] == group]


def _refuse_group(spec: str, place: Place) -> None:
    """Raise `SpecError` where a name is that of a group of shipped specs."""
    group, held = _group(spec)
    if held:
        some = [*held[:_SHOWN], f"{len(held) - _SHOWN} more"] if len(held) > _SHOWN else held
        what = f"{quote(spec)} is a group of shipped specs, not a spec"
        listed = f"it holds {listing(some, 'and')}; {_listed(group)} shows them"
        fail(
            place,
            what,
            f"name one of them, for example `{group}/{held[0]}`; {listed}",
            code="file-not-found",
        )
