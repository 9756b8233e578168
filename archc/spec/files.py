"""From what a user calls a spec to its text: a path, a shipped name, or ``-``."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from archc.spec.diagnostics import Place, Source, fail, nearest
from archc.spec.reader import MAX_BYTES
from archc.text import listing, quote, quote_name

STDIN = "-"
SUFFIX = ".yaml"
RECIPES = "recipes"
"""The folder of the shipped specs that holds no specs, but recipes."""

PIPE_WAIT = 500
"""How long, in milliseconds, a pipe that nobody writes to is waited for."""


# Characters that YAML 1.2 does not allow, the three that end a line in YAML 1.1 alone, and a byte
# order mark that is not the first character.
_REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)


@cache
def shipped_folder() -> Path:
    """Where the shipped specs lie: inside an installed package, or in the checkout's ``specs/``."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "specs"
    return installed if installed.is_dir() else package.parent / "specs"


def shipped_names() -> list[str]:
    """The names of all shipped specs, as ``imagenet/resnet34``, in order."""
    return [name for _, name in sorted(_shipped())]


def _shipped() -> Iterator[tuple[tuple[str, list[tuple[int, int | str]]], str]]:
    for path in shipped_folder().glob(f"*/*{SUFFIX}"):
        group = path.parent.name
        if group == RECIPES:
            continue
        # resnet18 before resnet101: runs of digits sort as numbers.
        parts = re.findall(r"\d+|\D+", path.stem)
        key = [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
        yield (group, key), f"{group}/{path.stem}"


def open_spec(spec: str) -> Source:
    """Read the spec that a user names: an existing path, a shipped name, or ``-``.

    Raises `SpecError` if there is none, or if it cannot be a spec (not a file, not UTF-8, larger
    than 1 MB).
    """
    if spec == STDIN:
        source = Source("<stdin>")
        _fill(source, _read_stdin(source))
        return source
    source = Source(spec, path=spec)
    shipped = _shipped_path(spec)
    if not os.path.lexists(spec) and shipped is not None:
        source.path = str(shipped)
    _fill(source, _read(source, source.start(), spec))
    return source


def open_text(path: str, kind: str, *, name: str | None = None, via: Place | None = None) -> Source:
    """Read a file of another kind that archc takes (``device table``), as a spec is read.

    ``name`` is how diagnostics call it, ``via`` the place of the ``extends`` that led to it.
    """
    source = Source(name or path, path=path, via=via, kind=kind)
    _fill(source, _read(source, via or source.start(), path))
    return source


def open_parent(spec: str, place: Place) -> Source:
    """Read the spec that ``extends`` names at a place: a path relative to its file, or shipped."""
    child = place.source
    folder = os.path.dirname(child.path) if child.path else ""
    path = os.path.normpath(os.path.join(folder, spec))
    shipped = _shipped_path(spec)
    if not os.path.lexists(path) and shipped is not None:
        path = str(shipped)
        parent = Source(spec, path=path, via=place)
    else:
        name = _beside(child.name, spec)
        if _shipped_path(child.name) == Path(child.path or "") and _shipped_path(name):
            name = name.removesuffix(SUFFIX)  # one shipped spec beside another, both by name
        parent = Source(name, path=path, via=place)
    _fill(parent, _read(parent, place, spec))
    return parent


def identity(source: Source) -> object:
    """Something that is equal for two sources exactly if they are the same file."""
    return source if source.path is None else os.path.realpath(source.path)


def _beside(child: str, spec: str) -> str:
    """How to call a file relative to another one, in the terms that one was called in."""
    return os.path.normpath(os.path.join(os.path.dirname(child), spec))


def _shipped_path(spec: str) -> Path | None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", spec):
        return None
    group, name = spec.split("/")
    if group in (".", "..", RECIPES):
        return None
    path = shipped_folder() / group / (name.removesuffix(SUFFIX) + SUFFIX)
    return path if os.path.isfile(path) else None


def _read_stdin(source: Source) -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        fail(source.start(), "standard input is closed")
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        fail(source.start(), f"standard input cannot be read: {_reason(error)}")


def _read(source: Source, place: Place, spec: str) -> bytes:
    """The bytes of a source's file, at most one more than allowed.

    Faults are told at a place, where the author or the user calls the file ``spec``.
    """
    path = source.path
    assert path is not None
    try:
        if os.path.isdir(path):
            fail(place, f"{quote(spec)} is a folder, not a {source.kind}")
        with open(path, "rb", opener=_open_without_waiting) as file:
            is_pipe = _await_writer(file.fileno())
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if os.path.lexists(path):
            fail(place, f"{quote(spec)} is a link to a file that does not exist")
        if source.kind != "spec":
            fail(place, f"there is no file {quote(spec)}")
        hint = _suggest(spec, path, place.source.path)
        fail(place, f"there is no file or shipped spec {quote(spec)}", hint)
    except OSError as error:
        fail(place, f"{quote(spec)} cannot be read: {_reason(error)}")
    except ValueError:
        fail(place, f"{quote(spec)} cannot be read: no file can have this name")
    if is_pipe and not raw:
        fail(place, f"{quote(spec)} is a pipe that nobody writes to")
    return raw


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a pipe that nobody has opened for writing would wait for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _await_writer(descriptor: int) -> bool:
    """Whether this is a pipe; if so, wait a moment for a writer: without one it reads as empty."""
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    if is_pipe:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll(PIPE_WAIT)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return is_pipe


def _suggest(spec: str, path: str, author: str | None) -> str:
    """What was probably meant: a spec in the same folder, or shipped names; or where to look.

    ``author`` is the path of the spec that extends this one, and so is not meant.
    """
    beside = {Path(name).stem: name for name in _specs_beside(path, author)}
    wanted = os.path.basename(spec).removesuffix(SUFFIX)
    near = nearest(wanted, beside)
    exact = any(name.split("/")[1] == wanted for name in shipped_names())
    if near is not None and (near == wanted or not exact):
        alike = [quote_name(os.path.join(os.path.dirname(spec), beside[near]))]
    else:
        alike = _shipped_alike(spec.removesuffix(SUFFIX))
    if not alike:
        return "`archc list` shows the shipped specs"
    return f"did you mean {listing(f'`{name}`' for name in alike)}?"


def _specs_beside(path: str, author: str | None) -> list[str]:
    folder = os.path.dirname(path) or "."
    try:
        names = [name for name in os.listdir(folder) if name.endswith((SUFFIX, ".yml"))]
    except OSError:
        return []
    own = os.path.realpath(author) if author else None
    return sorted(name for name in names if os.path.realpath(os.path.join(folder, name)) != own)


def _shipped_alike(spec: str) -> list[str]:
    """Shipped names that end or at least go on like this one, or that are close to it."""
    names = {name: name.split("/")[1] for name in shipped_names()}
    wanted = os.path.basename(spec)
    same = [name for name, base in names.items() if base == wanted]
    longer = [name for name, base in names.items() if wanted and base.startswith(wanted)]
    if same or 0 < len(longer) <= 3:
        return same or longer
    near = nearest(spec, names)
    base = nearest(wanted, names.values())
    return [near] if near else [name for name in names if names[name] == base]


def _fill(source: Source, raw: bytes) -> None:
    """Decode a text into its source; refuse what cannot be a spec, or what else it should be."""
    binary = (f"this is a binary file, not a {source.kind}", f"a {source.kind} is text in UTF-8")
    if len(raw) > MAX_BYTES:
        most = f"at most {MAX_BYTES:,} bytes"
        fail(source.start(), f"a {source.kind} may have {most}; this has more")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(source.start(), "this is UTF-16, not UTF-8", "save it as UTF-8")
    try:
        source.text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            fail(source.start(), *binary)
        source.text = raw.decode("utf-8-sig", errors="replace")
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        fail(_place_after(source, before), "this is not UTF-8", "save it as UTF-8")
    refused = _REFUSED.search(source.text)
    if refused:
        place = _place_after(source, source.text[: refused.start()])
        if refused[0] == "\0":
            fail(place, *binary)
        what = f"the character U+{ord(refused[0]):04X} is not allowed in a {source.kind}"
        fail(place, what, "delete it: editors may not show it")


def _place_after(source: Source, before: str) -> Place:
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Place(source, len(lines), len(lines[-1]) + 1)
