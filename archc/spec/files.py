"""From what a user calls a spec to its text: a path, a shipped name, or ``-``."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from archc.inputs import note_input
from archc.spec.diagnostics import Findings, Place, Source, SpecError, distance, fail, nearest
from archc.spec.reader import MAX_BYTES, REFUSED, check_characters, read
from archc.text import listing, quote, quote_name

STDIN = "-"
SUFFIX = ".yaml"
_SUFFIXES = (SUFFIX, ".yml")
RECIPES = "recipes"
"""The folder of the shipped specs that holds no specs, but recipes."""

_SHOWN = 6
"""How many specs of a group a hint names."""

PIPE_WAIT = 500
"""How long, in milliseconds, a pipe that nobody writes to is waited for."""


_CHECKPOINTS = {
    ".bin": "PyTorch",
    ".ckpt": "PyTorch",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".npy": "NumPy",
    ".npz": "NumPy",
    ".onnx": "ONNX",
    ".pkl": "pickle",
    ".pt": "PyTorch",
    ".pt2": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "safetensors",
}
"""Whose checkpoints have such names."""
_BEGINNINGS = (
    (b"PK\x03\x04", b"data.pkl", "PyTorch"),
    (b"PK\x03\x04", b".npy", "NumPy"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", b"", "PyTorch"),
    (b"\x93NUMPY", b"", "NumPy"),
    (b"\x89HDF\r\n", b"", "HDF5"),
)
"""How checkpoints begin, what stands early in them, and whose they are."""
_WEIGHTS_HINT = (
    "give the spec of its network, and the weights (.safetensors or .pth) as "
    "`--weights FILE`, for example to `archc verify`"
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


def open_text(
    path: str,
    kind: str,
    *,
    name: str | None = None,
    via: Place | None = None,
    written: str | None = None,
) -> Source:
    """Read a file of another kind that archc takes (``device table``), as a spec is read.

    ``name`` is how diagnostics call it, ``via`` the place of the ``extends`` that led to it, and
    ``written`` what stands there.
    """
    source = Source(name or path, path=path, via=via, kind=kind)
    raw = _read(source, via or source.start(), written or path)
    if via is not None:
        _check_is_meant(source, raw, via, written or path)
    _fill(source, raw)
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
    raw = _read(parent, place, spec)
    _check_is_meant(parent, raw, place, spec)
    _fill(parent, raw)
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
    with suppress(OSError, ValueError):  # where a program has put something else in its place
        note_input(sys.stdin.fileno(), "standard input")
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
    note_input(path)
    try:
        if os.path.isdir(path):
            group, held = _group(spec) if source.kind == "spec" else ("", [])
            hint = f"`archc list {group}` shows the shipped specs of this name" if held else None
            fail(place, f"{quote(spec)} is a folder, not a {source.kind}", hint)
        with open(path, "rb", opener=_open_without_waiting) as file:
            is_pipe = _await_writer(file.fileno())
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if os.path.lexists(path):
            fail(place, f"{quote(spec)} is a link to a file that does not exist")
        if source.kind != "spec":
            fail(place, f"there is no file {quote(spec)}")
        _refuse_group(spec, place)
        hint = _suggest(spec, path, place.source.path)
        fail(place, f"there is no file or shipped spec {quote(spec)}", hint)
    except OSError as error:
        fail(place, f"{quote(spec)} cannot be read: {_reason(error)}")
    except ValueError:
        fail(place, f"{quote(spec)} is not a valid file name")
    if is_pipe and not raw:
        fail(place, f"{quote(spec)} is a pipe without a writer")
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

    Case does not count. ``author`` is the path of the spec that extends this one, and so is not
    meant.
    """
    wanted = os.path.basename(spec).removesuffix(SUFFIX)
    beside = {Path(name).stem: name for name in _specs_beside(path, author)}
    near = nearest(wanted, beside)
    alike = _shipped_alike(spec.removesuffix(SUFFIX))
    if near is not None and _is_meant(near, wanted, alike, is_file=spec.endswith(_SUFFIXES)):
        alike = [quote_name(os.path.join(os.path.dirname(spec), beside[near]))]
    if not alike:
        return "`archc list` shows the shipped specs"
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
        listed = f"it holds {listing(some, 'and')}; `archc list {group}` shows them"
        fail(place, what, f"name one of them, for example `{group}/{held[0]}`; {listed}")


_AT_TOP = ("name", "extends", "stages", "recipe")
"""Keys of which every spec and every recipe has one at the top."""

_KEY = rf"""["']?(?:{"|".join(_AT_TOP)})["']?[ \t]*:(?:\s|$)"""
_HAS_KEY = re.compile(rf"^{_KEY}|^\s*{{(?:.*,)?\s*{_KEY}", re.MULTILINE)


def _check_is_meant(source: Source, raw: bytes, place: Place, spec: str) -> None:
    """Refuse a file that ``extends`` leads outside to, but that is something else altogether.

    Who runs archc may be allowed to read more than who wrote the spec, and mistakes are shown with
    their lines: those of ``/etc/shadow`` are not to be seen. A spec that is merely broken is told
    as any, and so is everything in the folder of the first file.
    """
    kind = source.kind
    if len(raw) > MAX_BYTES or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return  # of which nothing is shown
    if _is_inside(source):
        return
    text = raw.decode("utf-8-sig", errors="replace")
    if not text.strip() or _HAS_KEY.search(text):
        return
    try:
        data = read(Source("", text), Findings()).data
    except SpecError:
        data = None
    if not isinstance(data, dict) or not any(key in data for key in _AT_TOP):
        keys = ("recipe", "extends") if kind == "recipe" else ("name", "extends", "stages")
        hint = f"a {kind} has {listing(f'`{key}`' for key in keys)} at the top"
        fail(place, f"{quote(spec)} is not a {kind}", hint)


def _is_inside(source: Source) -> bool:
    """Whether a file lies in the folder of the one that the user named, or below it."""
    first = source
    while first.via is not None:
        first = first.via.source
    folder = os.path.realpath(os.path.dirname(first.path or ""))
    path = os.path.realpath(source.path or "")
    return os.path.commonpath([folder, path]) == folder


def _fill(source: Source, raw: bytes) -> None:
    """Decode a text into its source; refuse what cannot be a spec, or what else it should be."""
    binary = (f"this is a binary file, not a {source.kind}", f"a {source.kind} is UTF-8 text")
    if checkpoint := _checkpoint(raw, source.path or ""):
        what = f"this is a checkpoint ({checkpoint}), not a {source.kind}"
        fail(source.start(), what, _WEIGHTS_HINT if source.kind == "spec" else None)
    if len(raw) > MAX_BYTES:
        most = f"at most {MAX_BYTES:,} bytes"
        fail(source.start(), f"a {source.kind} may have {most}; this one has more")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(source.start(), "this is UTF-16, not UTF-8", "save it as UTF-8")
    try:
        source.text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            fail(source.start(), *binary)
        source.text = raw.decode("utf-8-sig", errors="replace")
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        fail(source.place_after(before), "this is not UTF-8", "save it as UTF-8")
    refused = REFUSED.search(source.text)
    if refused and refused[0] == "\0":
        fail(source.place_after(source.text[: refused.start()]), *binary)
    check_characters(source, "delete it; it may be invisible in your editor")


def _checkpoint(raw: bytes, path: str) -> str | None:
    """Whose checkpoint this is, by how it begins; by the file's name where it is no text."""
    if raw[8:10] in (b'{"', b"{}") and int.from_bytes(raw[:8], "little") < 2**40:
        return "safetensors"
    suffix = os.path.splitext(path)[1].lower()
    for begin, part, kind in _BEGINNINGS:
        if raw.startswith(begin) and part in raw[:200]:
            return kind
    is_text = b"\0" not in raw and _is_utf8(raw)
    return None if is_text else _CHECKPOINTS.get(suffix)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.start > len(raw) - 4  # a character that the limit of a spec cuts
    return True
