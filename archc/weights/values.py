"""What a pickle is read into: plain values, descriptions of tensors and arrays, and stand-ins.

Nothing here does anything. A name that a pickle refers to is looked up in a fixed list of exact
(module, name) pairs, `KNOWN`. The few names on it are the storages, types and functions that
torch's and NumPy's pickles need for tensors, and Python's containers; each gives a description or
a plain container of ours, never the object of that name. Any other name is a `Name`, and whatever
a pickle makes with it a `StandIn`: it keeps what it was given and does nothing with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

ITEM_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
}
"""The types of numbers that a tensor may have, by torch's names, with the bytes of each number."""

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}

_NUMPY_KINDS = {
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "u8": "uint64",
    "b1": "bool",
    "c8": "complex64",
    "c16": "complex128",
}

MAX_DIMENSIONS = 64
MAX_NUMBER = 2**62
"""Sizes, strides and offsets beyond it are nobody's, and torch cannot hold them."""


class Name:
    """A name that a pickle refers to, which is not looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    @property
    def path(self) -> str:
        """``argparse.Namespace``; ``eval`` of Python's own."""
        builtin = self.module in ("builtins", "__builtin__", "")
        return self.name if builtin else f"{self.module}.{self.name}"


class Maker(Name):
    """A name on the list that a pickle may call: ``make`` gives a description or a container.

    ``is_copying`` is whether that copies a container it is given.
    """

    __slots__ = ("is_copying", "make")

    def __init__(
        self, module: str, name: str, make: Callable[..., object], *, is_copying: bool = False
    ):
        super().__init__(module, name)
        self.make, self.is_copying = make, is_copying


class TypeName(Name):
    """The name of a type of numbers, or of a storage that holds them: ``dtype`` is torch's name."""

    __slots__ = ("dtype", "is_storage")

    def __init__(self, module: str, name: str, dtype: str, *, is_storage: bool):
        super().__init__(module, name)
        self.dtype, self.is_storage = dtype, is_storage


class StandIn:
    """In place of an object that a pickle would make: what it would be made of, and no more."""

    __slots__ = ("arguments", "items", "maker", "pairs", "state")

    def __init__(self, maker: object, arguments: object = ()):
        self.maker, self.arguments = maker, arguments
        self.state: object = None
        self.items: list[object] = []
        self.pairs: dict[object, object] = {}

    @property
    def path(self) -> str:
        """The name of its class, or of the function that would make it, as far as that is known."""
        maker, arguments = self.maker, self.arguments
        if not isinstance(maker, Name):
            return "object"
        if maker.name in _OF_CLASSES and isinstance(arguments, tuple):
            maker = next((one for one in arguments[:1] if isinstance(one, Name)), maker)
        return maker.path


_OF_CLASSES = ("_reconstructor", "__newobj__", "__newobj_ex__")
"""The functions of copyreg by which classes are pickled that have no way of their own."""


class OddKey:
    """The key of a dict that cannot be one, such as a list."""

    __slots__ = ("text",)

    def __init__(self, value: object):
        self.text = f"a {type(value).__name__}"

    def __str__(self) -> str:
        return self.text


class Storage:
    """The numbers that tensors are views of: ``count`` of them, from the one at ``start`` on, of
    what the file calls ``key``."""

    __slots__ = ("count", "dtype", "key", "start")

    def __init__(self, key: str, dtype: str, count: int, start: int = 0):
        self.key, self.dtype, self.count, self.start = key, dtype, count, start

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * ITEM_BYTES[self.dtype]


class TensorView:
    """A tensor: a view of a storage with an offset, a size and strides, counted in numbers."""

    __slots__ = ("dtype", "offset", "size", "storage", "strides")

    def __init__(
        self,
        storage: Storage,
        offset: int,
        size: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: str,
    ):
        self.storage, self.offset, self.size, self.strides = storage, offset, size, strides
        self.dtype = dtype

    def fault(self) -> str | None:
        """Why it is no view of its storage, if it is none."""
        numbers = (self.offset, *self.size, *self.strides)
        if len(self.size) != len(self.strides) or len(self.size) > MAX_DIMENSIONS:
            return "has a shape and strides that do not match"
        if any(number < 0 for number in numbers):
            return "has a negative size, stride or offset"
        if any(number > MAX_NUMBER for number in numbers):
            return "reaches outside its storage"
        count = prod(self.size)
        if not count:
            return None
        reach = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.size, self.strides, strict=True)
        )
        width = ITEM_BYTES[self.dtype]
        if (reach + 1) * width > self.storage.size:
            return "reaches outside its storage"
        if count * width > self.storage.size:
            return "is larger than its storage, as an expanded tensor is"
        return None


class NumberType:
    """NumPy's type of numbers: ``code`` is like ``f4``, ``order`` as in NumPy."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, order: str = "="):
        self.code, self.order = code, order

    def build(self, state: object) -> None:
        """Take the state that NumPy pickles: a version, the order, and three more for records."""
        order = None
        if isinstance(state, tuple) and len(state) > 4 and state[2:5] == (None, None, None):
            order = state[1]
        if isinstance(order, bytes):
            order = order.decode("latin-1")
        if isinstance(order, str) and order in set("<>=|"):
            self.order = order
        else:
            self.code = ""


class Array:
    """A NumPy array: its numbers in ``data``, or with ``is_number`` a single one of NumPy's."""

    __slots__ = ("data", "is_fortran", "is_number", "numbers", "shape")

    def __init__(
        self,
        numbers: object = None,
        shape: object = (),
        data: object = b"",
        is_fortran: bool = False,
        is_number: bool = False,
    ):
        self.numbers, self.shape, self.data = numbers, shape, data
        self.is_fortran, self.is_number = is_fortran, is_number

    def build(self, state: object) -> None:
        """Take the state that NumPy pickles: a version, and what the array consists of."""
        if isinstance(state, tuple) and len(state) == 5:
            _, self.shape, self.numbers, is_fortran, self.data = state
            self.is_fortran = is_fortran is True or is_fortran == 1

    @property
    def dtype(self) -> str | None:
        """torch's name for its type of numbers; None for objects, text and records."""
        if not isinstance(self.numbers, NumberType):
            return None
        return _NUMPY_KINDS.get(self.numbers.code)

    @property
    def is_big_endian(self) -> bool:
        """Whether its numbers have their first byte first."""
        return isinstance(self.numbers, NumberType) and self.numbers.order == ">"

    def fault(self) -> str | None:
        """Why it holds no numbers that make a tensor, if it does not."""
        if self.dtype is None:
            return "is a NumPy array of objects, text or records, not of numbers"
        shape, data = self.shape, self.bytes()
        if not isinstance(shape, tuple) or not _is_size(shape) or data is None:
            return "is a damaged NumPy array"
        is_shape = len(shape) <= MAX_DIMENSIONS and min(shape, default=0) >= 0
        if not is_shape or len(data) != prod(shape) * ITEM_BYTES[self.dtype]:
            return "is a damaged NumPy array"
        return None

    def bytes(self) -> bytes | bytearray | memoryview | None:
        """Its numbers as bytes; None where there are none."""
        if isinstance(self.data, str):  # Python 2's bytes, if they happen to be text
            return self.data.encode("utf-8", "surrogatepass")
        return self.data if isinstance(self.data, bytes | bytearray | memoryview) else None


def _is_size(value: object) -> bool:
    return isinstance(value, tuple) and all(type(one) is int for one in value)


def _tensor(storage: object, offset: object, size: object, strides: object, *rest: object) -> Any:
    """`torch._utils._rebuild_tensor_v2`, and its elder, which has no more arguments.

    Raises TypeError where it is given something else.
    """
    if not isinstance(storage, Storage):
        raise TypeError
    return _view(storage, offset, size, strides, storage.dtype, rest[2:])


def _typed_tensor(
    storage: object, offset: object, size: object, strides: object, _: object, __: object,
    dtype: object, *rest: object,
) -> Any:  # fmt: skip
    """`torch._utils._rebuild_tensor_v3`, for types of numbers that have no storage of their own."""
    if not isinstance(storage, Storage) or not isinstance(dtype, TypeName) or dtype.is_storage:
        raise TypeError
    if storage.start:  # counted in numbers of another type
        raise TypeError
    return _view(storage, offset, size, strides, dtype.dtype, rest)


def _view(
    storage: Storage,
    offset: Any,
    size: Any,
    strides: Any,
    dtype: str,
    metadata: tuple[object, ...],
) -> TensorView:
    if type(offset) is not int or not _is_size(size) or not _is_size(strides) or any(metadata):
        raise TypeError  # metadata: its numbers are conjugated or negated when they are read
    return TensorView(storage, offset, size, strides, dtype)


def _parameter(data: object, *_: object) -> object:
    if not isinstance(data, TensorView):
        raise TypeError
    return data


def _mapping(*arguments: object) -> dict[object, object]:
    """An ordered dict: empty, or with the pairs that Python 2 gave it."""
    if not arguments:
        return {}
    (pairs,) = arguments
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list):
        raise TypeError
    return {key if isinstance(key, str) else OddKey(key): value for key, value in pairs}


def _default_mapping(*_: object) -> dict[object, object]:
    """Without a factory: what a missing key would call is not kept."""
    return {}


def _items(value: object) -> list[object]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, StandIn):
        return list(value.items)
    raise TypeError


def _set(value: object = ()) -> StandIn:
    """A set as a list of its items: they are not hashed."""
    found = StandIn(SET)
    found.items = _items(value)
    return found


def _list(value: object = ()) -> list[object]:
    return _items(value)


def _tuple(value: object = ()) -> tuple[object, ...]:
    return tuple(_items(value))


def _encoded(text: object, encoding: object = None) -> bytes:
    """How bytes are written in pickles that have no opcode for them."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError
    return text.encode("latin-1")


def _bytes(*arguments: object) -> bytes:
    """No bytes at all, which have a call of their own. Of others, the number alone may be told."""
    if arguments:
        raise TypeError
    return b""


def _number_type(code: object, *_: object) -> NumberType:
    if isinstance(code, bytes):
        code = code.decode("latin-1")
    if not isinstance(code, str):
        raise TypeError
    return NumberType(code)


def _array(*_: object) -> Array:
    """An array to be: its state follows."""
    return Array()


def _number(numbers: object, data: object) -> Array:
    return Array(numbers, (), data, is_number=True)


def _array_of(data: object, numbers: object, shape: object, order: object) -> Array:
    return Array(numbers, shape, data, is_fortran=order == "F")


SET, FROZEN_SET = Name("builtins", "set"), Name("builtins", "frozenset")

_CONTAINERS: Mapping[str, Callable[..., object]] = {
    "set": _set,
    "frozenset": _set,
    "list": _list,
    "tuple": _tuple,
    "dict": _mapping,
}


def _known() -> Iterable[Name]:
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
        yield Maker("torch._utils", name, _tensor)
    yield Maker("torch._utils", "_rebuild_tensor_v3", _typed_tensor)
    for name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        yield Maker("torch._utils", name, _parameter)
    yield Maker("torch.nn.parameter", "Parameter", _parameter)
    yield Maker("torch", "Size", _tuple, is_copying=True)
    for module in ("torch", "torch.cuda"):
        for name, dtype in _STORAGES.items():
            yield TypeName(module, name, dtype, is_storage=True)
    for module in ("torch", "torch.storage"):
        yield TypeName(module, "UntypedStorage", "uint8", is_storage=True)
    for name in ITEM_BYTES:
        yield TypeName("torch", name, name, is_storage=False)
    yield Maker("collections", "OrderedDict", _mapping, is_copying=True)
    yield Maker("collections", "Counter", _mapping, is_copying=True)
    yield Maker("collections", "defaultdict", _default_mapping)
    for module in ("builtins", "__builtin__"):
        for name, make in _CONTAINERS.items():
            yield Maker(module, name, make, is_copying=True)
        yield Maker(module, "bytes", _bytes)
    yield Maker("_codecs", "encode", _encoded, is_copying=True)
    yield Maker("numpy", "dtype", _number_type)
    for module in ("numpy.core", "numpy._core"):  # before NumPy 2 and since
        yield Maker(f"{module}.multiarray", "_reconstruct", _array)
        yield Maker(f"{module}.multiarray", "scalar", _number)
        yield Maker(f"{module}.numeric", "_frombuffer", _array_of)


KNOWN: Mapping[tuple[str, str], Name] = {(one.module, one.name): one for one in _known()}
"""All that is looked up, by exact module and name."""
