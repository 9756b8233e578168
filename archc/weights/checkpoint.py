"""Checkpoints as tensors by key. Nothing in a file is executed: tensors are all that is read."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.errors import reason
from archc.inputs import note_input
from archc.running import lacks_memory
from archc.text import listing, quote
from archc.weights.archives import Archive, ArchiveLimitError
from archc.weights.errors import DAMAGED, SAVE_HINT, TOO_LARGE
from archc.weights.errors import WeightsError as WeightsError
from archc.weights.files import require_safetensors
from archc.weights.leftovers import left_out
from archc.weights.numpyfiles import is_numpy_archive, read_numpy_archive
from archc.weights.options import MatchOptions
from archc.weights.pickles import PickleLimitError
from archc.weights.shards import read_index
from archc.weights.states import State, find_states
from archc.weights.tensors import check_keys, tensors_of
from archc.weights.torchfiles import Content, read_archive, read_pickles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """The tensors of a state dict, on the CPU.

    ``inside`` is the key under which the file held it, where it held more than the state dict, and
    ``others`` are the other state dicts of the file by their keys: dotted paths, where they lie
    deeper. ``is_ambiguous`` is whether no key says which of them is the model's; ``tensors`` is the
    first then. ``is_chosen`` is whether it was asked for by its key. ``about`` is a safetensors
    file's metadata. ``is_in_memory`` is whether a program gave the state dict itself. ``left_out``
    names the objects of the file that were not loaded: ``an argparse.Namespace under `args```.
    ``options`` say how it is to be matched with a network.
    """

    file: str
    tensors: Mapping[str, Tensor]
    inside: str | None = None
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    is_in_memory: bool = False
    is_ambiguous: bool = False
    is_chosen: bool = False
    left_out: str | None = None
    options: MatchOptions = field(default_factory=MatchOptions)

    def __repr__(self) -> str:
        return f"Checkpoint({self.file!r}, {len(self.tensors)} tensors)"

    @property
    def beside(self) -> tuple[str, ...]:
        """The keys of the other state dicts of the file."""
        return tuple(self.others)

    def select(self, key: str) -> Checkpoint:
        """The checkpoint with the state dict under ``key`` as its tensors.

        A key may also be the path of a module whose tensors a state dict holds, as of one of two
        encoders: they are taken alone. Raises `WeightsError`, which lists the keys there are, where
        there is none.
        """
        if key == self.inside:
            return replace(self, is_ambiguous=False)
        if key not in self.others:
            part = self._part(key)
            if part is None:
                raise WeightsError(self.file, *_no_such_key(key, self.keys))
            return replace(self, tensors=part, inside=key, others={}, is_ambiguous=False)
        left = {} if self.inside is None else {self.inside: self.tensors}
        left |= {other: self.others[other] for other in self.others if other != key}
        return replace(self, tensors=self.others[key], inside=key, others=left, is_ambiguous=False)

    def _part(self, key: str) -> Mapping[str, Tensor] | None:
        """The tensors under a path in the only state dict, or behind its key in one of several."""
        found = []
        for outer, tensors in [(self.inside or "", self.tensors), *self.others.items()]:
            for path in {key, key.removeprefix(f"{outer}.")}:
                behind = re.compile(rf"(?:.*?\.)?{re.escape(path)}\.(.+)", re.DOTALL)
                named = [(behind.fullmatch(name), tensor) for name, tensor in tensors.items()]
                part = {match[1]: tensor for match, tensor in named if match}
                if part:
                    found.append(part)
        return found[0] if len(found) == 1 else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all state dicts of the file; none for a file that is a state dict itself."""
        return (() if self.inside is None else (self.inside,)) + self.beside

    def check_unambiguous(self) -> None:
        """Raise `WeightsError` where nothing says which state dict of the file is the model's."""
        if self.is_ambiguous:
            keys = [quote(key) for key in self.keys]
            examples = [quote(f"{self.file}#{key}", limit=200) for key in self.keys[:2]]
            hint = f"choose one by its key: {listing(examples, 'or')}"
            raise WeightsError(
                self.file, f"holds several state dicts, {listing(keys, 'and')}", hint
            )


def _no_such_key(key: str, keys: Collection[str]) -> tuple[str, str | None]:
    """What is wrong with a key, and a hint."""
    if not keys:
        return f"is a single state dict: it has no {quote(key)}", None
    there = listing([quote(one) for one in keys], "and")
    return f"has no state dict under {quote(key)}", f"it has state dicts under {there}"


MAX_HEADER = 2**22
"""The longest header of a safetensors file: that of 20,000 tensors has 2 MB."""

NUMPY_HINT = "save all arrays of a network in an archive: numpy.savez(FILE, **{key: array})"


def read_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Read the tensors of a file that torch, safetensors or NumPy wrote, or of the files that an
    index of Hugging Face's lists.

    ``key`` chooses one of several state dicts of the file, as ``FILE#KEY`` does; otherwise it is
    found under its usual keys. The tensors are views of the file: it may be replaced, but should
    not be written to while they are used. Objects other than tensors are not loaded. Raises
    `WeightsError` for a file that is missing, damaged, holds no state dict, or none under ``key``.
    """
    file = os.fsdecode(path)
    if key is None:
        file, key = _split_key(file)
    checkpoint = _read(file, key)
    return checkpoint if key is None else replace(checkpoint, is_chosen=True)


def _split_key(name: str) -> tuple[str, str | None]:
    """``FILE#KEY`` as its two parts. A file whose whole name exists is that file, ``#`` or not;
    where several parts of the name do, the longest is."""
    if "#" not in name or _exists(name):
        return name, None
    ends = [match.start() for match in re.finditer("#", name)][::-1]
    end = next((end for end in ends if _exists(name[:end])), ends[0])
    return name[:end], name[end + 1 :]


def _exists(name: str) -> bool:
    try:
        return os.path.lexists(name)
    except ValueError:  # a name that no file can have
        return False


def _read(file: str, key: str | None) -> Checkpoint:
    note_input(file)
    head = _head(file)
    if head.startswith(b"version https://git-lfs"):
        what = "is a Git LFS pointer, not the checkpoint itself"
        raise WeightsError(file, what, "run `git lfs pull`")
    if not head:
        raise WeightsError(file, "is empty")
    if head.startswith(b"\x93NUMPY"):
        raise WeightsError(file, "is a single NumPy array, not a checkpoint", NUMPY_HINT)
    suffix = Path(file).suffix.lower()
    is_pickled = head.startswith((b"PK\x03\x04", b"\x80")) and head[8:9] != b"{"
    if suffix == ".json" and head.lstrip().startswith(b"{"):
        checkpoint = Checkpoint(file, read_index(file, _shard))
    elif not is_pickled and (suffix == ".safetensors" or head[8:9] == b"{"):
        checkpoint = _read_safetensors(file)
    elif head.startswith((b"PK\x03\x04", b"\x80")):
        return _read_others(file, key)
    else:
        raise WeightsError(file, "is neither a PyTorch checkpoint nor a safetensors file")
    return checkpoint if key is None else checkpoint.select(key)


def _shard(file: str) -> Mapping[str, Tensor]:
    """The tensors of a file that an index lists."""
    checkpoint = _read(file, None)
    if checkpoint.inside is not None:
        raise WeightsError(file, "holds more than a state dict, which is all that a shard holds")
    return checkpoint.tensors


def _head(file: str) -> bytes:
    """The first bytes of a file. Raises `WeightsError` where it cannot be read."""
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise WeightsError(file, "is a folder, not a checkpoint")
        if not stat.S_ISREG(mode):
            raise WeightsError(file, "is not a regular file", "write it to one first")
        with open(file, "rb") as stream:
            return stream.read(128)
    except (OSError, ValueError) as error:
        raise WeightsError(file, f"cannot be read: {reason(error)}") from None


def checkpoint_of(state: Mapping[str, Tensor]) -> Checkpoint:
    """A state dict, or a training checkpoint with one in it, that is in memory.

    Raises `WeightsError` for what is none.
    """
    found = _state_dict("the state dict", Content(state), None)
    return replace(found, is_in_memory=True, left_out=None)


def _read_safetensors(file: str) -> Checkpoint:
    require_safetensors()
    from safetensors import SafetensorError, safe_open

    damaged = "is a truncated or damaged safetensors file"
    try:
        with open(file, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if MAX_HEADER < size < os.fstat(stream.fileno()).st_size:
                what = f"has a header of {size:,} bytes, far more than a checkpoint needs"
                raise WeightsError(file, what, SAVE_HINT)
        with safe_open(file, framework="pt") as opened:
            keys = opened.keys()
            check_keys(file, keys)
            tensors = {key: opened.get_tensor(key) for key in keys}
            return Checkpoint(file, tensors, about=opened.metadata() or {})
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:
        if lacks_memory(error):
            raise WeightsError(file, TOO_LARGE) from error
        raise WeightsError(file, damaged) from error


def _read_others(file: str, key: str | None) -> Checkpoint:
    """Read an archive or pickles."""
    with _explained(file):
        contents = _contents(file)
        if contents[:2] != b"PK":
            return _state_dict(file, read_pickles(file, contents), key)
        archive = Archive(contents)
        if is_numpy_archive(archive):
            return _state_dict(file, read_numpy_archive(file, archive), key)
        return _state_dict(file, read_archive(file, archive), key)


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """Say what goes wrong while a file is read: it is damaged, or takes more than it should."""
    try:
        yield
    except WeightsError:
        raise
    except (ArchiveLimitError, PickleLimitError) as error:
        raise WeightsError(file, f"{error}, far more than a checkpoint needs", SAVE_HINT) from error
    except Exception as error:  # zipfile and torch raise a dozen types over damaged files
        raise WeightsError(file, TOO_LARGE if lacks_memory(error) else DAMAGED) from error


def _contents(file: str) -> mmap:
    """The bytes of a file, which take memory only once they are looked at, and may be written to
    without any effect on the file."""
    with open(file, "rb") as stream:
        try:
            return mmap(stream.fileno(), 0, access=ACCESS_COPY)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise
        # Some file systems have no such views.
        size = os.fstat(stream.fileno()).st_size
        found = mmap(-1, size)
        stream.readinto(found)
        return found


def _state_dict(file: str, content: Content, key: str | None) -> Checkpoint:
    """The state dicts in what a file holds."""

    def tensors(state: State) -> dict[str, Tensor]:
        with _explained(file):
            return tensors_of(file, state, content.read)

    found = find_states(file, content.value, key)
    states = [found.state, *found.others.values()]
    checkpoint = Checkpoint(
        file,
        tensors(found.state),
        found.key,
        _Unread(found.others, tensors),
        is_ambiguous=found.is_ambiguous,
        left_out=left_out(content.value, states) or left_out(content.rest),
    )
    return checkpoint if key is None or found.has_key else checkpoint.select(key)


class _Unread(Mapping[str, Mapping[str, "Tensor"]]):
    """State dicts by key, each of which is read when it is asked for.

    Asking raises `WeightsError` where it cannot be read.
    """

    def __init__(self, states: Mapping[str, State], read: Callable[[State], dict[str, Tensor]]):
        self._states, self._read = states, read
        self._found: dict[str, dict[str, Tensor]] = {}

    def __getitem__(self, key: str) -> Mapping[str, Tensor]:
        if key not in self._found:
            self._found[key] = self._read(self._states[key])
        return self._found[key]

    def __contains__(self, key: object) -> bool:
        return key in self._states

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)
