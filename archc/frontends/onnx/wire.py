"""Protocol buffers as they lie in a file: fields by number, nothing copied that is not asked for.

The format is https://protobuf.dev/programming-guides/encoding. Whoever reads with this sees every
length bounded by what lies around it, and goes only as deep as it asks to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import TypeAlias

Buffer: TypeAlias = bytes | mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}

MAX_LIST = 65_536
"""Numbers in one list."""


class WireError(ValueError):
    """The bytes are no message."""


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of the message between two places: number, wire type, and where the value lies;
    of a varint its value, and 0. Raises `WireError`."""
    at = start
    while at < end:
        key = data[at]
        at += 1
        if key > 127:
            key, at = _rest(data, at, end, key)
        number, kind = key >> 3, key & 7
        if not number:
            raise WireError("a field has no number")
        if kind in (BYTES, VARINT):
            if at >= end:
                raise WireError("it ends in the middle of a field")
            value = data[at]
            at += 1
            if value > 127:
                value, at = _rest(data, at, end, value)
            if kind == VARINT:
                yield number, kind, value, 0
                continue
        else:
            width = _WIDTHS.get(kind)
            if width is None:
                raise WireError(f"a field has the wire type {kind}")
            value = width
        if value > end - at:
            raise WireError("a field is longer than what it is in")
        yield number, kind, at, at + value
        at += value


def _rest(data: Buffer, at: int, end: int, first: int) -> tuple[int, int]:
    """A varint whose first byte says that it goes on, and where it ends."""
    value, shift = first & 127, 7
    while True:
        if at >= end or shift > 63:
            raise WireError("a number does not end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
        shift += 7


def signed(value: int) -> int:
    """A varint as a number with a sign."""
    return value - 2**64 if value >= 2**63 else value


def text(data: Buffer, start: int, end: int) -> str:
    """A text. Raises `WireError` for what is not UTF-8."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as error:
        raise WireError("a text is not UTF-8") from error


def number32(data: Buffer, start: int) -> float:
    """A float of 32 bits."""
    value: float = struct.unpack_from("<f", data, start)[0]
    return value


def whole_numbers(data: Buffer, kind: int, start: int, end: int, most: int = MAX_LIST) -> list[int]:
    """The numbers of a repeated field, packed or one. Raises `WireError` for too many."""
    if kind == VARINT:
        return [signed(start)]
    values: list[int] = []
    at = start
    while at < end:
        value = data[at]
        at += 1
        if value > 127:
            value, at = _rest(data, at, end, value)
        values.append(signed(value))
        if len(values) > most:
            raise WireError(f"a list has more than {most:,} numbers")
    return values


def floats(data: Buffer, start: int, end: int) -> list[float]:
    """The numbers of a repeated field of floats, packed or one. Raises `WireError` for too many."""
    count, rest = divmod(end - start, 4)
    if rest or count > MAX_LIST:
        raise WireError(f"a list has more than {MAX_LIST:,} numbers, or a part of one")
    return list(struct.unpack_from(f"<{count}f", data, start))
