"""Files that are read as text: whole, in UTF-8, of at most 1 MB, whatever they hold."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence

from archc.inputs import note_input
from archc.source.diagnostics import Findings, Place, Source, SpecError, fail
from archc.source.reader import MAX_BYTES, REFUSED, check_characters, read
from archc.text import listing, quote

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


def open_text(
    path: str,
    kind: str,
    *,
    name: str | None = None,
    via: Place | None = None,
    written: str | None = None,
    keys: Sequence[str] = (),
    all_keys: Sequence[str] = (),
) -> Source:
    """Read a file of a kind (``device table``).

    ``name`` is how diagnostics call it, ``via`` the place of the ``extends`` that led to it, and
    ``written`` what stands there; ``keys`` and ``all_keys`` are those of `check_is_meant`.
    """
    source = Source(name or path, path=path, via=via, kind=kind)
    raw = read_bytes(source, via or source.start(), written or path)
    if via is not None:
        check_is_meant(source, raw, via, written or path, keys, all_keys)
    fill(source, raw)
    return source


def identity(source: Source) -> object:
    """Something that is equal for two sources exactly if they are the same file."""
    return source if source.path is None else os.path.realpath(source.path)


def read_bytes(
    source: Source,
    place: Place,
    written: str,
    folder_hint: Callable[[], str | None] = lambda: None,
    refuse_missing: Callable[[], None] = lambda: None,
) -> bytes:
    """The bytes of a source's file, at most one more than allowed.

    Errors point at ``place``, where the author or the user has ``written`` the file's name.
    ``folder_hint`` says what to do where it is a folder's; ``refuse_missing`` may say more than
    that there is no such file, and raise `SpecError`.
    """
    path = source.path
    assert path is not None
    note_input(path)
    try:
        if os.path.isdir(path):
            fail(
                place,
                f"{quote(written)} is a folder, not a {source.kind}",
                folder_hint(),
                code="unreadable-file",
            )
        with open(path, "rb", opener=_open_without_waiting) as file:
            is_pipe = _await_writer(file.fileno())
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if os.path.lexists(path):
            fail(
                place,
                f"{quote(written)} is a link to a file that does not exist",
                code="file-not-found",
            )
        refuse_missing()
        fail(place, f"there is no file {quote(written)}", code="file-not-found")
    except OSError as error:
        fail(place, f"{quote(written)} cannot be read: {os_reason(error)}", code="unreadable-file")
    except ValueError:
        fail(place, f"{quote(written)} is not a valid file name", code="file-not-found")
    if is_pipe and not raw:
        fail(place, f"{quote(written)} is a pipe without a writer", code="unreadable-file")
    return raw


def os_reason(error: OSError) -> str:
    """Why a file cannot be read, in the system's words."""
    return (error.strerror or str(error)).lower()


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a pipe that nobody has opened for writing would wait for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _await_writer(descriptor: int) -> bool:
    """Whether this is a pipe; if so, wait a moment for a writer: without one it reads as empty."""
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    if is_pipe:
        import select

        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll(PIPE_WAIT)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return is_pipe


def _has_key(text: str, keys: Sequence[str]) -> bool:
    """Whether one of these keys seems to stand at the top of a text."""
    key = rf"""["']?(?:{"|".join(keys)})["']?[ \t]*:(?:\s|$)"""
    return bool(re.search(rf"^{key}|^\s*{{(?:.*,)?\s*{key}", text, re.MULTILINE))


def check_is_meant(
    source: Source,
    raw: bytes,
    place: Place,
    written: str,
    keys: Sequence[str],
    all_keys: Sequence[str],
) -> None:
    """Refuse a file that ``extends`` leads outside to, but that is something else altogether.

    What is meant has one of ``keys`` at the top; ``all_keys`` are those of every kind of file.

    Who runs archc may be allowed to read more than who wrote the spec, and mistakes are shown with
    their lines, which must not be those of ``/etc/shadow``. A spec that is merely broken gets the
    usual diagnostics, and so does everything in the folder of the first file.
    """
    kind = source.kind
    if len(raw) > MAX_BYTES or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return  # of which nothing is shown
    if _is_inside(source):
        return
    text = raw.decode("utf-8-sig", errors="replace")
    if not text.strip() or _has_key(text, all_keys):
        return
    try:
        data = read(Source("", text), Findings()).data
    except SpecError:
        data = None
    if not isinstance(data, dict) or not any(key in data for key in all_keys):
        hint = f"a {kind} has {listing(f'`{key}`' for key in keys)} at the top"
        fail(place, f"{quote(written)} is not a {kind}", hint, code="not-a-spec")


def _is_inside(source: Source) -> bool:
    """Whether a file lies in the folder of the one that the user named, or below it."""
    first = source
    while first.via is not None:
        first = first.via.source
    folder = os.path.realpath(first.base)
    path = os.path.realpath(source.path or "")
    return os.path.commonpath([folder, path]) == folder


def fill(source: Source, raw: bytes, checkpoint_hint: str | None = None) -> None:
    """Decode a text into its source; refuse what is no text, or too long.

    ``checkpoint_hint`` says what to do with a checkpoint of weights.
    """
    binary = (f"this is a binary file, not a {source.kind}", f"a {source.kind} is UTF-8 text")
    if checkpoint := _checkpoint(raw, source.path or ""):
        what = f"this is a checkpoint ({checkpoint}), not a {source.kind}"
        fail(source.start(), what, checkpoint_hint, code="not-a-spec")
    if len(raw) > MAX_BYTES:
        most = f"at most {MAX_BYTES:,} bytes"
        fail(
            source.start(),
            f"a {source.kind} may have {most}; this one has more",
            code="limit-exceeded",
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(source.start(), "this is UTF-16, not UTF-8", "save it as UTF-8", code="bad-encoding")
    try:
        source.text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            fail(source.start(), *binary, code="not-a-spec")
        source.text = raw.decode("utf-8-sig", errors="replace")
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        fail(
            source.place_after(before), "this is not UTF-8", "save it as UTF-8", code="bad-encoding"
        )
    refused = REFUSED.search(source.text)
    if refused and refused[0] == "\0":
        fail(source.place_after(source.text[: refused.start()]), *binary, code="not-a-spec")
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
