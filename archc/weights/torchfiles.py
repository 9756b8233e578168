"""What `torch.save` writes: zip archives, and before version 1.6 pickles followed by numbers."""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Mapping
from mmap import mmap
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.weights.archives import Archive, DamagedArchiveError
from archc.weights.errors import SAVE_HINT, WeightsError
from archc.weights.pickles import MAX_BYTES, DamagedPickleError, PickleLimitError, Unpickler
from archc.weights.tensors import ReadStorage, storage_of
from archc.weights.values import ITEM_BYTES, Storage

if TYPE_CHECKING:
    import torch

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a file before version 1.6."""


@dataclass(frozen=True)
class Content:
    """What a file holds: a ``value`` with descriptions of tensors in it, and how the numbers of
    those are read; None where there are no such descriptions. ``rest`` is what holds none.
    """

    value: object
    read: ReadStorage | None = None
    rest: object = None


def read_archive(file: str, archive: Archive) -> Content:
    """What an archive of torch's holds.

    Raises `WeightsError` for an archive of something else, `PickleLimitError`,
    `DamagedPickleError` and `DamagedArchiveError`.
    """
    names = [name.partition("/")[2] for name in archive.names]
    if "constants.pkl" in names or any(name.startswith("models/") for name in names):
        raise WeightsError(file, "is a TorchScript or exported program, not weights", SAVE_HINT)
    # torch finds parts whether their names are in capitals or not.
    pickles = [name for name in archive.names if name.partition("/")[2].lower() == "data.pkl"]
    if len(pickles) != 1:
        raise DamagedArchiveError("there is not one pickle")
    if archive.size(pickles[0]) > MAX_BYTES:
        raise PickleLimitError(f"holds a pickle of more than {MAX_BYTES:,} bytes")
    unpickler = Unpickler(bytes(archive.read(pickles[0])))
    value = unpickler.load()
    folder = pickles[0][: -len("data.pkl")]
    order = sys.byteorder
    if f"{folder}byteorder" in archive.names:
        order = "big" if bytes(archive.read(f"{folder}byteorder")) == b"big" else "little"
    storages: dict[str, torch.UntypedStorage] = {}

    def read(storage: Storage) -> torch.UntypedStorage:
        key = storage.key
        if key not in storages:
            whole = unpickler.storages[key]
            data = archive.read(f"{folder}data/{key}")
            if len(data) < whole.size:
                raise DamagedArchiveError(f"{key} is too short")
            storages[key] = storage_of(data, whole.dtype, order)
        return storages[key]

    return Content(value, read)


def read_pickles(file: str, contents: mmap) -> Content:
    """What a file holds that torch wrote before version 1.6, or the value of any other pickle.

    Raises `WeightsError` for torch's first format, which was a tar archive, `PickleLimitError` and
    `DamagedPickleError`.
    """
    if _is_tar(contents[:512]):
        raise WeightsError(file, "is neither a PyTorch checkpoint nor a safetensors file")
    unpickler = Unpickler(contents)
    first = unpickler.load()
    if first != _MAGIC:
        return Content(first)
    if unpickler.load() != _VERSION:
        raise DamagedPickleError
    unpickler.load()  # of the machine: its numbers have their last byte first, whatever it says
    value = unpickler.load()
    places = _places(unpickler, contents)
    storages: dict[str, torch.UntypedStorage] = {}

    def read(storage: Storage) -> torch.UntypedStorage:
        key = storage.key
        if key not in storages:
            start, end = places[key]
            dtype = unpickler.storages[key].dtype
            storages[key] = storage_of(memoryview(contents)[start:end], dtype, "little")
        return storages[key]

    return Content(value, read)


def _places(unpickler: Unpickler, contents: mmap) -> Mapping[str, tuple[int, int]]:
    """Where the numbers of storages are: behind the pickles, in the order that the last one gives,
    each with their count before them."""
    storages = dict(unpickler.storages)
    keys = unpickler.load()
    if not isinstance(keys, list):
        raise DamagedPickleError
    places: dict[str, tuple[int, int]] = {}
    at = unpickler.at
    for key in keys:
        if not isinstance(key, str) or key in places or key not in storages:
            raise DamagedPickleError
        storage = storages[key]
        count = int.from_bytes(contents[at : at + 8], "little")
        start = at + 8
        at = start + count * ITEM_BYTES[storage.dtype]
        if count != storage.count or at > len(contents):
            raise DamagedPickleError
        places[key] = start, at
    if places.keys() != storages.keys():
        raise DamagedPickleError
    return places


def _is_tar(block: bytes) -> bool:
    """Whether torch, whose first files were tar archives, would unpack a file."""
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True
