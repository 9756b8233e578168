"""Checkpoints as tensors by key. Nothing in a file is executed: tensors are all that is read."""

from __future__ import annotations

import os
import pickle
import re
import stat
import tarfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from archc.dataclassing import dataclass
from archc.errors import ArchcError, reason
from archc.inputs import note_input
from archc.running import lacks_memory
from archc.text import listing, quote, quote_name
from archc.weights.archives import (
    ArchiveLimitError,
    check_parts,
    open_archive,
)
from archc.weights.files import require_safetensors
from archc.weights.pickles import MAX_BYTES, ForbiddenCallError, PickleLimitError, Scan

if TYPE_CHECKING:
    from torch import Tensor


class WeightsError(ArchcError):
    """A checkpoint cannot be used: ``message`` says of its ``file`` why, ``hint`` what to do."""

    def __init__(self, file: str, message: str, hint: str | None = None):
        super().__init__(f"{quote_name(file)}: error: {message}", hint)
        self.file, self.message = file, message

    def _lines(self) -> Iterator[str]:
        """The first line says of which file it is."""
        first, *more = self.message.split("\n")
        yield f"archc: error: {self.file}: {first}"
        yield from more


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """The tensors of a state dict, on the CPU.

    ``inside`` is the key under which the file held it, where it held more than the state dict, and
    ``others`` are the other state dicts of the file by their keys: dotted paths, where they lie
    deeper. ``is_ambiguous`` is whether no key says which of them is the model's; ``tensors`` is the
    first then. ``about`` is a safetensors file's metadata. ``is_in_memory`` is whether a program
    gave the state dict itself. ``left_out`` names the objects of the file that were not loaded:
    ``an argparse.Namespace under `args```.
    """

    file: str
    tensors: Mapping[str, Tensor]
    inside: str | None = None
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    is_in_memory: bool = False
    is_ambiguous: bool = False
    left_out: str | None = None

    def __repr__(self) -> str:
        return f"Checkpoint({self.file!r}, {len(self.tensors)} tensors)"

    @property
    def beside(self) -> tuple[str, ...]:
        """The keys of the other state dicts of the file."""
        return tuple(self.others)

    def select(self, key: str) -> Checkpoint:
        """The checkpoint with the state dict under ``key`` as its tensors.

        Raises `WeightsError`, which lists the keys there are, where there is none.
        """
        if key == self.inside:
            return replace(self, is_ambiguous=False)
        if key not in self.others:
            raise WeightsError(self.file, *_no_such_key(key, self.keys))
        left = {} if self.inside is None else {self.inside: self.tensors}
        left |= {other: self.others[other] for other in self.others if other != key}
        return replace(self, tensors=self.others[key], inside=key, others=left, is_ambiguous=False)

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


DAMAGED = "is a truncated or damaged PyTorch checkpoint"
TOO_LARGE = "needs more memory than is available: it is too large or damaged"
SAVE_HINT = "save only the state dict: torch.save(model.state_dict(), FILE), or use safetensors"

MAX_HEADER = 2**22
"""The longest header of a safetensors file: that of 20,000 tensors has 2 MB."""

MAX_TENSORS, MAX_KEY, MAX_KEY_PARTS = 50_000, 500, 50

NUMPY_HINT = (
    "PyTorch reads it when saved so: "
    "torch.save({key: torch.from_numpy(a) for key, a in numpy.load(FILE).items()}, NEW_FILE)"
)

# Under which keys training scripts put the model's state dict, those that mean it most first.
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net_state_dict",
    "net",
    "network",
    "module",
    "model_weights",
    "weights",
    "params",
    "parameters",
)

# Words by which they call a running average of the model's weights.
_AVERAGES = frozenset(("ema", "swa", "avg", "average", "averaged", "shadow", "polyak"))


def read_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Read a ``.safetensors`` file or one that ``torch.save`` wrote (``.pth``, ``.pt``).

    ``key`` chooses one of several state dicts of the file, as ``FILE#KEY`` does; otherwise it is
    found under its usual keys. Raises `WeightsError` for a file that is missing, damaged, holds no
    state dict, or none under ``key``, or holds objects other than tensors, which are not loaded.
    """
    file = os.fsdecode(path)
    if key is None:
        file, key = _split_key(file)
    checkpoint = _read(file)
    return checkpoint if key is None else checkpoint.select(key)


def _split_key(name: str) -> tuple[str, str | None]:
    """``FILE#KEY`` as its two parts. A file whose whole name exists is that file, ``#`` or not;
    where several parts of the name do, the longest is."""
    if "#" not in name or os.path.lexists(name):
        return name, None
    ends = [match.start() for match in re.finditer("#", name)][::-1]
    end = next((end for end in ends if os.path.lexists(name[:end])), ends[0])
    return name[:end], name[end + 1 :]


def _read(file: str) -> Checkpoint:
    note_input(file)
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise WeightsError(file, "is a folder, not a checkpoint")
        if not stat.S_ISREG(mode):
            raise WeightsError(file, "is not a regular file", "write it to one first")
        with open(file, "rb") as stream:
            head = stream.read(128)
    except (OSError, ValueError) as error:
        raise WeightsError(file, f"cannot be read: {reason(error)}") from None
    if head.startswith(b"version https://git-lfs"):
        what = "is a Git LFS pointer, not the checkpoint itself"
        raise WeightsError(file, what, "run `git lfs pull`")
    if not head:
        raise WeightsError(file, "is empty")
    if head.startswith(b"\x93NUMPY"):
        raise WeightsError(file, "is a NumPy array, not a PyTorch checkpoint", NUMPY_HINT)
    is_pickled = head.startswith((b"PK\x03\x04", b"\x80")) and head[8:9] != b"{"
    if not is_pickled and (Path(file).suffix.lower() == ".safetensors" or head[8:9] == b"{"):
        return _read_safetensors(file)
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise WeightsError(file, "is neither a PyTorch checkpoint nor a safetensors file")
    _check_cost(file, _check_archive if head.startswith(b"PK") else _check_pickles)
    return _state_dict(file, _read_pickled(file))


def checkpoint_of(state: Mapping[str, Tensor]) -> Checkpoint:
    """A state dict, or a training checkpoint with one in it, that is in memory.

    Raises `WeightsError` for what is none.
    """
    return replace(_state_dict("the state dict", state), is_in_memory=True)


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
            _check_keys(file, keys)
            tensors = {key: opened.get_tensor(key) for key in keys}
            return Checkpoint(file, tensors, about=opened.metadata() or {})
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:
        if lacks_memory(error):
            raise WeightsError(file, TOO_LARGE) from error
        raise WeightsError(file, damaged) from error


def _read_pickled(file: str) -> object:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch remarks on the file, in its own words
            with open(file, "rb") as stream:  # of a path, torch looks at how it ends
                return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is not None:
            what = f"holds more than tensors: loading it would call `{quote_name(refused[1])}`"
            raise WeightsError(file, f"{what}; nothing was executed", SAVE_HINT) from error
        if "Unsupported operand" in str(error):
            what = (
                "is damaged, or is not a protocol 2 pickle as torch.save writes; nothing was "
                "executed"
            )
            raise WeightsError(file, what, SAVE_HINT) from error
        raise WeightsError(file, DAMAGED) from error
    except Exception as error:
        # Whatever torch stumbles over in a damaged file: its zip reader, its unpickler and its
        # storages raise a dozen types.
        raise WeightsError(file, TOO_LARGE if lacks_memory(error) else DAMAGED) from error


def _check_cost(file: str, check: Callable[[str, BinaryIO], None]) -> None:
    """Refuse a file that would take more time or memory than a checkpoint does, before it does."""
    try:
        with open(file, "rb") as stream:
            check(file, stream)
    except WeightsError:
        raise
    except ForbiddenCallError as error:
        what = f"holds more than tensors: loading it would call `{error}`; nothing was executed"
        raise WeightsError(file, what, SAVE_HINT) from error
    except (ArchiveLimitError, PickleLimitError) as error:
        raise WeightsError(file, f"{error}, far more than a checkpoint needs", SAVE_HINT) from error
    except Exception as error:  # zipfile raises half a dozen types
        raise WeightsError(file, TOO_LARGE if lacks_memory(error) else DAMAGED) from error


def _check_archive(file: str, stream: BinaryIO) -> None:
    """Refuse an archive that holds something else, or whose parts differ from their checksums."""
    with open_archive(stream) as archive:
        files = archive.namelist()
        names = [name.partition("/")[2] for name in files]
        if "constants.pkl" in names or any(name.startswith("models/") for name in names):
            what = "is a TorchScript or exported program, not weights"
            raise WeightsError(file, what, SAVE_HINT)
        if files and all(name.endswith(".npy") for name in files):
            raise WeightsError(file, "is a NumPy archive, not a PyTorch checkpoint", NUMPY_HINT)
        check_parts(archive)


def _check_pickles(file: str, stream: BinaryIO) -> None:
    """Follow what torch would unpickle of a file as it wrote them before version 1.6."""
    start = stream.read(MAX_BYTES)
    if _is_tar(start[:512]):
        raise WeightsError(file, "is neither a PyTorch checkpoint nor a safetensors file")
    scan = Scan(start)
    # A number that says what it is, a version, the machine, the content, the keys of its storages.
    for _ in range(5):
        if not scan.follow():
            return


def _is_tar(block: bytes) -> bool:
    """Whether torch, whose first files were tar archives, would unpack a file."""
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _state_dict(file: str, loaded: object) -> Checkpoint:
    """The state dict of what was loaded, whatever it stands in."""
    from torch import Tensor

    if not isinstance(loaded, Mapping):
        name = type(loaded).__name__
        kind = "a tensor" if isinstance(loaded, Tensor) else f"a Python `{name}`"
        raise WeightsError(file, f"holds {kind}, not a state dict", SAVE_HINT)
    if _is_state_dict(loaded):
        return Checkpoint(file, _tensors(file, loaded))
    found = [key for key, value in loaded.items() if _is_state_dict(value) and value]
    named = [key for key in _WRAPPERS if key in found]
    if not found:
        raise WeightsError(file, _why_none(loaded), SAVE_HINT)
    if not named:
        named = [key for key in found if not _is_average(key)]
        named = named if len(named) == 1 else []
    inside = (named or found)[0]
    others = {str(key): _tensors(file, loaded[key]) for key in found if key != inside}
    is_ambiguous = not named and len(found) > 1
    tensors = _tensors(file, loaded[inside])
    return Checkpoint(file, tensors, str(inside), others, is_ambiguous=is_ambiguous)


def _is_average(key: object) -> bool:
    """Whether a key names an average: ``ema_state``, ``paramsEma``."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", str(key))
    return not _AVERAGES.isdisjoint(word.lower() for word in words)


def _why_none(loaded: Mapping[Any, object]) -> str:
    """Why a mapping holds no state dict, the first entry that is none of one being pointed at."""
    from torch import Tensor

    if not loaded:
        return "is an empty state dict"
    for state in (loaded, *(loaded[key] for key in _WRAPPERS if key in loaded)):
        if not isinstance(state, Mapping):
            continue
        tensors = [isinstance(value, Tensor) for value in state.values()]
        for (key, value), is_tensor in zip(state.items(), tensors, strict=True):
            if any(tensors) and not is_tensor:
                kind = f"a Python `{type(value).__name__}`"
                return f"holds no state dict: `{quote_name(str(key))}` is {kind}, not a tensor"
            if any(tensors) and not isinstance(key, str):
                return f"holds no state dict: the key `{quote_name(str(key))}` is not text"
    return "holds no state dict"


def _is_state_dict(value: object) -> bool:
    from torch import Tensor

    if not isinstance(value, Mapping):
        return False
    return all(isinstance(key, str) and isinstance(one, Tensor) for key, one in value.items())


def _check_keys(file: str, keys: Collection[str]) -> None:
    """Refuse keys that nobody gives a tensor: comparing them would take long."""
    if len(keys) > MAX_TENSORS:
        raise WeightsError(file, f"holds more than {MAX_TENSORS:,} tensors in a state dict")
    for key in keys:
        if len(key) > MAX_KEY or key.count(".") > MAX_KEY_PARTS:
            what = f"has a key of {len(key):,} characters and {key.count('.') + 1:,} parts"
            raise WeightsError(file, f"{what}, more than any network needs")


def _tensors(file: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    import torch

    _check_keys(file, state)
    for key, tensor in state.items():
        other = tensor.is_nested or tensor.is_quantized or tensor.is_meta
        if other or tensor.layout != torch.strided:
            raise WeightsError(file, f"`{quote_name(key)}` is not a dense tensor of plain numbers")
    return {key: tensor.detach() for key, tensor in state.items()}
