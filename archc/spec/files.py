"""From what a user calls a spec to its text: a path, a shipped name, or ``-``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from archc.spec.diagnostics import Place, Source, closest, fail, quote, quote_name
from archc.spec.reader import MAX_BYTES

STDIN = "-"
SUFFIX = ".yaml"

# Characters that YAML 1.2 does not allow, and the three that end a line in YAML 1.1 alone.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


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
        _fill(source, sys.stdin.buffer.read(MAX_BYTES + 1))
        return source
    source = Source(quote_name(spec), path=spec)
    shipped = _shipped_path(spec)
    if not os.path.lexists(spec) and shipped is not None:
        source.path = str(shipped)
    _fill(source, _read(source, source.start(), f"there is no file or shipped spec {quote(spec)}"))
    return source


def open_parent(spec: str, place: Place) -> Source:
    """Read the spec that ``extends`` names at a place: a path relative to its file, or shipped."""
    child = place.source
    folder = os.path.dirname(child.path) if child.path else ""
    path = os.path.normpath(os.path.join(folder, spec))
    shipped = _shipped_path(spec)
    if not os.path.lexists(path) and shipped is not None:
        path = str(shipped)
        parent = Source(quote_name(spec), path=path, via=place)
    else:
        parent = Source(quote_name(_beside(child.name, spec)), path=path, via=place)
    _fill(parent, _read(parent, place, f"there is no file or shipped spec {quote(spec)}"))
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
    if group in (".", ".."):
        return None
    path = shipped_folder() / group / (name.removesuffix(SUFFIX) + SUFFIX)
    return path if path.is_file() else None


def _read(source: Source, place: Place, missing: str) -> bytes:
    """The bytes of a source's file, at most one more than allowed; faults are told at a place."""
    assert source.path is not None
    try:
        if os.path.isdir(source.path):
            fail(place, f"{quote(source.path)} is a folder, not a spec")
        with open(source.path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        fail(place, missing, _suggest(source.path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name is possible"
        fail(place, f"{quote(source.path)} cannot be read: {str(reason).lower()}")


def _suggest(path: str) -> str:
    base = os.path.basename(path).removesuffix(SUFFIX)
    names = shipped_names()
    near = closest(path, names) or closest(base, [name.split("/")[1] for name in names])
    return near or "`archc list` shows the shipped specs"


def _fill(source: Source, raw: bytes) -> None:
    """Decode a text into its source; refuse what cannot be a spec."""
    if len(raw) > MAX_BYTES:
        fail(source.start(), f"a spec may have {MAX_BYTES:,} bytes, and this has more")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(source.start(), "the spec is UTF-16, not UTF-8", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source.text = raw.decode("utf-8-sig", errors="replace")
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        place = _place_after(source, before)
        binary = b"\0" in raw[:1024]
        fail(
            place,
            "this is a binary file, not a spec" if binary else "this is not UTF-8",
            None if binary else "save the spec as UTF-8",
        )
    source.text = text
    refused = _REFUSED.search(text)
    if refused:
        place = _place_after(source, text[: refused.start()])
        if refused[0] == "\0":
            fail(place, "this is a binary file, not a spec")
        fail(
            place,
            f"the character U+{ord(refused[0]):04X} is not allowed in a spec",
            "write it as an escape between double quotes, if it is meant",
        )


def _place_after(source: Source, before: str) -> Place:
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Place(source, len(lines), len(lines[-1]) + 1)
