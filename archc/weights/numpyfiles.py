"""NumPy archives, as `numpy.savez` writes them: a part for each array, with a short text before its
numbers. Arrays of objects, which are pickled, are not read."""

from __future__ import annotations

import re

from archc.weights.archives import Archive, DamagedArchiveError
from archc.weights.errors import WeightsError
from archc.weights.torchfiles import Content
from archc.weights.values import Array, NumberType

MAX_HEADER = 2**14
"""The longest text before the numbers of an array: that of 64 dimensions has 1.5 kB."""

_HEADER = re.compile(
    r"\{'descr': '([<>=|]?)([^']*)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), *\} *\n"
)
"""What NumPy writes; of records, ``descr`` is a list."""

_SUFFIX = ".npy"


def is_numpy_archive(archive: Archive) -> bool:
    """Whether there is nothing but arrays in an archive."""
    names = archive.names
    return bool(names) and all(name.endswith(_SUFFIX) for name in names)


def read_numpy_archive(file: str, archive: Archive) -> Content:
    """The arrays by name.

    Raises `WeightsError` where none has numbers, and `DamagedArchiveError`.
    """
    arrays = {name.removesuffix(_SUFFIX): _array(archive.read(name)) for name in archive.names}
    usable = {key: array for key, array in arrays.items() if array.dtype is not None}
    odd = {key: array for key, array in arrays.items() if array.dtype is None}
    if not usable:
        raise WeightsError(file, "holds no arrays of numbers")
    return Content(usable, rest=odd)


def _array(data: memoryview | bytearray) -> Array:
    """The array of a part: a mark, a version, the length of the text, the text and the numbers."""
    whole = memoryview(data)
    version = whole[6] if len(whole) > 8 else 0
    width = 2 if version == 1 else 4
    size = int.from_bytes(whole[8 : 8 + width], "little")
    start = 8 + width + size
    if bytes(whole[:6]) != b"\x93NUMPY" or version not in (1, 2, 3) or start > len(whole):
        raise DamagedArchiveError("an array has no header")
    if size > MAX_HEADER:
        return Array()
    found = _HEADER.fullmatch(str(whole[8 + width : start], "latin-1"))
    if found is None:
        return Array()
    order, code, fortran, sizes = found.groups()
    shape = tuple(int(one) for one in sizes.replace(",", " ").split())
    return Array(NumberType(code, order or "="), shape, whole[start:], fortran == "True")
