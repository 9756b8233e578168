"""Pickles read with nothing executed, and no more time or memory spent than a checkpoint needs.

A pickle is a program for a small machine whose opcodes can look up any object by name and call it.
`Unpickler` carries out the opcodes itself. Its values are those of `archc.weights.values`: names
are resolved by a fixed list alone, and whatever else a pickle calls, builds or fills is a stand-in.
It knows all opcodes of the protocols 0 to 5.

Harmless opcodes can still be expensive: ten million marks, a tuple in a tuple in a tuple as the key
of a dict, a call that copies a long list ten thousand times. What each step costs is added up, and
the limits below hold.
"""

from __future__ import annotations

import codecs
import struct
import warnings
from collections.abc import Callable
from mmap import mmap
from typing import Any

from archc.weights.values import (
    FROZEN_SET,
    KNOWN,
    SET,
    Array,
    Maker,
    Name,
    NumberType,
    OddKey,
    StandIn,
    Storage,
    TypeName,
)

MAX_BYTES = 2**24
"""The longest pickle, the numbers of arrays left out. That of 20,000 tensors, a ResNet-1202's with
its optimizer's, has 5 MB."""

MAX_OPCODES = 1_000_000
MAX_OBJECTS = 100_000
"""How many lists and dicts there may be, and objects that a call makes: two or three for every
tensor."""

MAX_DEPTH = 500
"""How deep tuples may be nested, and how many marks may be open."""

MAX_COST = 1_000_000
"""How many values may be copied and hashed: ten for every tensor."""

_LARGE = 2**12
"""From how many bytes on a string of them is the numbers of an array, which limits do not count."""

_LONGEST = 16
"""Bytes of the longest whole number that is kept."""


class PickleLimitError(Exception):
    """A pickle asks for more than a checkpoint needs; the message says what."""


class DamagedPickleError(Exception):
    """A pickle is none, or ends early."""


_LONG = Name("builtins", "int")
"""The name of a stand-in for a number that is too long to be kept."""

_PERSISTENT = Name("", "persistent object")
_MANY = 2**60
"""Whole numbers beyond it may have one hash: those that differ by multiples of 2**61 - 1 do."""

_PUT, _GET, _STOP = b"qh."
_CONSTANTS: dict[int, object] = {ord("N"): None, 0x88: True, 0x89: False}


class Unpickler:
    """One pickle after another in the same bytes; limits are for all of them together.

    ``at`` is where the next one begins. ``storages`` are the storages that tensors refer to, in the
    order in which they are first met.
    """

    def __init__(self, data: bytes | mmap | bytearray, at: int = 0):
        self.data: Any = data  # an index gives a number, a slice bytes
        self.at = at
        self.storages: dict[str, Storage] = {}
        self._opcodes = self._objects = self._cost = self._long_keys = 0
        self._uncounted = at
        self._names: dict[tuple[str, str], Name] = {}

    def load(self) -> object:
        """The value of the next pickle.

        Raises `DamagedPickleError` for one that is none, and `PickleLimitError` where it asks for
        more than a checkpoint needs.
        """
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._depths: dict[int, tuple[tuple[object, ...], int]] = {}
        try:
            return self._run()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DamagedPickleError from error
        except struct.error as error:
            raise DamagedPickleError from error

    def find_class(self, module: str, name: str) -> Name:
        """What stands for a name: that of `KNOWN`, or one that does nothing.

        Nothing is imported.
        """
        pair = module, name
        found = KNOWN.get(pair) or self._names.get(pair)
        if found is None:
            found = self._names[pair] = Name(module, name)
        return found

    def _run(self) -> object:
        """Carry out opcodes up to the last. The commonest are handled here: a call takes longer."""
        data = self.data
        for count in range(MAX_OPCODES - self._opcodes):
            op = data[self.at]
            self.at += 1
            if op == _PUT:
                self._memo[data[self.at]] = self._stack[-1]
                self.at += 1
            elif op == _GET:
                self._stack.append(self._memo[data[self.at]])
                self.at += 1
            elif op in _CONSTANTS:
                self._stack.append(_CONSTANTS[op])
            elif op == _STOP:
                self._opcodes += count + 1
                return self._stack.pop()
            else:
                _HANDLERS[op](self)
        raise PickleLimitError(f"holds a pickle of more than {MAX_OPCODES:,} opcodes")

    # Bytes

    def _take(self, size: int) -> bytes:
        """The next bytes. Raises IndexError where there are not as many."""
        end = self.at + size
        if size < 0 or end > len(self.data):
            raise IndexError
        if size >= _LARGE:
            self._uncounted += size
        if end - self._uncounted > MAX_BYTES:
            raise PickleLimitError(f"holds a pickle of more than {MAX_BYTES:,} bytes")
        found: bytes = self.data[self.at : end]
        self.at = end
        return found

    def _counted(self, size: int) -> bytes:
        """The next bytes, which are no numbers of an array."""
        if size >= _LARGE:
            self._uncounted -= size
        return self._take(size)

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise IndexError
        found = self._counted(end - self.at)
        self.at = end + 1
        return found

    # Costs

    def _spend(self, cost: int) -> None:
        self._cost += cost
        if self._cost > MAX_COST:
            raise PickleLimitError("holds a pickle that would take too long to load")

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PickleLimitError(f"holds a pickle nested more than {MAX_DEPTH} levels deep")

    def _made(self, value: object) -> None:
        """Put a new object on the stack."""
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise PickleLimitError(f"holds more than {MAX_OBJECTS:,} objects")
        self._stack.append(value)

    def _copying(self, arguments: tuple[object, ...]) -> None:
        """Count what a call copies."""
        for value in arguments:
            if isinstance(value, str | bytes):
                self._spend(len(value) // 64)
            elif isinstance(value, list | tuple | dict):
                self._spend(len(value))
            elif isinstance(value, StandIn):
                self._spend(len(value.items))

    def _hashing(self, key: object) -> None:
        """Count what putting a key into a dict takes, where it is compared with all of its hash."""
        left = [(key, 0)]
        while left:
            value, depth = left.pop()
            self._spend(1)
            if isinstance(value, tuple):
                self._check_depth(depth)
                left += [(item, depth + 1) for item in value]
            elif isinstance(value, str | bytes):
                self._spend(len(value) // 64)
            elif isinstance(value, int) and not -_MANY < value < _MANY:
                self._long_keys += 1
        self._spend(self._long_keys)

    # Values on the stack

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._check_depth(len(self._marks) + 1)
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _tuple(self, items: list[Any]) -> None:
        found = tuple(items)
        inner = [self._depths.get(id(one), (one, 1))[1] for one in items if type(one) is tuple]
        if inner:
            depth = 1 + max(inner)
            self._check_depth(depth)
            self._depths[id(found)] = found, depth  # which keeps the tuple, and so its id
        self._stack.append(found)

    def _short_tuple(self, size: int) -> None:
        items = [self._stack.pop() for _ in range(size)]
        self._tuple(items[::-1])

    def _long(self, size: int) -> None:
        data = self._counted(size)
        short = len(data) <= _LONGEST
        self._push(int.from_bytes(data, "little", signed=True) if short else StandIn(_LONG))

    def _text(self, size: int) -> None:
        self._push(self._counted(size).decode("utf-8", "surrogatepass"))

    def _string(self, data: bytes) -> None:
        """Python 2's text, which may be bytes."""
        try:
            self._push(data.decode("utf-8"))
        except UnicodeDecodeError:
            self._push(data)

    def _quoted(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            data, _ = codecs.escape_decode(line[1:-1])
        self._string(data)

    def _whole(self) -> None:
        line = self._line()
        booleans = {b"00": False, b"01": True}
        self._push(booleans[line] if line in booleans else int(line))

    def _long_line(self) -> None:
        line = self._line().removesuffix(b"L")
        self._push(int(line) if len(line) < 2 * _LONGEST else StandIn(_LONG))

    # Names and objects

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._push(self.find_class(module.decode("utf-8"), name.decode("utf-8")))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError
        self._push(self.find_class(module, name))

    def _extension(self, size: int) -> None:
        """A number in place of a name: who knows what it is in the program that wrote it?"""
        self._push(self.find_class("", f"extension {self._number(size)}"))

    def _instance(self) -> None:
        module, name = self._line(), self._line()
        maker = self.find_class(module.decode("utf-8"), name.decode("utf-8"))
        self._call(maker, tuple(self._pop_mark()))

    def _object(self) -> None:
        maker, *arguments = self._pop_mark()
        self._call(maker, tuple(arguments))

    def _reduce(self) -> None:
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments)

    def _reduce_named(self) -> None:
        named, arguments = self._stack.pop(), self._stack.pop()
        maker = self._stack.pop()
        self._made(StandIn(maker, (arguments, named)))

    def _call(self, maker: object, arguments: object) -> None:
        """Put on the stack what a name on the list gives, or else a stand-in for the result."""
        if isinstance(maker, Maker) and type(arguments) is tuple:
            if maker.is_copying:
                self._copying(arguments)
            try:
                return self._made(maker.make(*arguments))
            except (TypeError, ValueError):  # not the arguments that torch and NumPy give it
                pass
        return self._made(StandIn(maker, arguments))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, StandIn):
            target.state = state
        elif isinstance(target, Array | NumberType):
            target.build(state)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target += items
        elif isinstance(target, StandIn):
            target.items += items
        elif not isinstance(target, Name):
            raise TypeError

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Name):
            return
        if isinstance(target, StandIn):
            target = target.pairs
        elif not isinstance(target, dict):
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._hashing(key)
            try:
                target[key] = value
            except TypeError:
                target[OddKey(key)] = value

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _dict(self) -> None:
        items = self._pop_mark()
        self._made({})
        self._set_items(items)

    def _frozen_set(self) -> None:
        found = StandIn(FROZEN_SET)
        found.items = self._pop_mark()
        self._made(found)

    def _persistent(self, told: object) -> None:
        """What a pickle says is kept elsewhere: the numbers of tensors, or a class of modules with
        its source."""
        found: object = StandIn(_PERSISTENT, told)
        if isinstance(told, tuple) and told[:1] == ("module",) and isinstance(told[1], Name):
            found = told[1]
        elif isinstance(told, tuple) and told[:1] == ("storage",):
            found = self._storage(told) or found
        self._push(found)

    def _storage(self, told: tuple[Any, ...]) -> Storage | None:
        """A storage by ``("storage", type, key, device, size)``, and of files before torch 1.6 the
        part of another one that it is: ``(key, offset, size)``."""
        _, kind, key, _, count, *view = told
        is_kind = isinstance(kind, TypeName) and kind.is_storage
        if not is_kind or not isinstance(key, str) or type(count) is not int or count < 0:
            return None
        whole = self.storages.setdefault(key, Storage(key, kind.dtype, count))
        found = Storage(key, kind.dtype, count)
        if whole.size < found.size:
            return None
        if view[:1] not in ([], [None]):
            _, start, part = view[0]
            if type(start) is not int or type(part) is not int or min(start, part) < 0:
                return None
            if start + part > count:
                return None
            found = Storage(key, kind.dtype, part, start)
        return found

    # The memo

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]


def _float(unpickler: Unpickler) -> None:
    unpickler._push(struct.unpack(">d", unpickler._take(8))[0])


_HANDLERS: dict[int, Callable[[Unpickler], object]] = {
    0x80: lambda it: it._take(1),  # the protocol
    0x95: lambda it: it._take(8),  # a frame: how many bytes to read at once
    ord("("): Unpickler._mark,
    ord("0"): Unpickler._pop,
    ord("1"): Unpickler._pop_mark,
    ord("2"): lambda it: it._push(it._stack[-1]),
    ord("I"): Unpickler._whole,
    ord("L"): Unpickler._long_line,
    ord("F"): lambda it: it._push(float(it._line())),
    ord("G"): _float,
    ord("K"): lambda it: it._push(it._number(1)),
    ord("M"): lambda it: it._push(it._number(2)),
    ord("J"): lambda it: it._push(int.from_bytes(it._take(4), "little", signed=True)),
    0x8A: lambda it: it._long(it._number(1)),
    0x8B: lambda it: it._long(int.from_bytes(it._take(4), "little", signed=True)),
    ord("S"): Unpickler._quoted,
    ord("U"): lambda it: it._string(it._take(it._number(1))),
    ord("T"): lambda it: it._string(it._take(int.from_bytes(it._take(4), "little", signed=True))),
    ord("V"): lambda it: it._push(codecs.raw_unicode_escape_decode(it._line())[0]),
    ord("X"): lambda it: it._text(it._number(4)),
    0x8C: lambda it: it._text(it._number(1)),
    0x8D: lambda it: it._text(it._number(8)),
    ord("C"): lambda it: it._push(it._take(it._number(1))),
    ord("B"): lambda it: it._push(it._take(it._number(4))),
    0x8E: lambda it: it._push(it._take(it._number(8))),
    0x96: lambda it: it._push(it._take(it._number(8))),
    ord("t"): lambda it: it._tuple(it._pop_mark()),
    ord(")"): lambda it: it._push(()),
    0x85: lambda it: it._short_tuple(1),
    0x86: lambda it: it._short_tuple(2),
    0x87: lambda it: it._short_tuple(3),
    ord("]"): lambda it: it._made([]),
    ord("l"): lambda it: it._made(it._pop_mark()),
    ord("}"): lambda it: it._made({}),
    ord("d"): Unpickler._dict,
    0x8F: lambda it: it._made(StandIn(SET)),
    0x91: Unpickler._frozen_set,
    ord("a"): lambda it: it._extend([it._stack.pop()]),
    ord("e"): lambda it: it._extend(it._pop_mark()),
    0x90: lambda it: it._extend(it._pop_mark()),
    ord("s"): Unpickler._set_item,
    ord("u"): lambda it: it._set_items(it._pop_mark()),
    ord("c"): Unpickler._global,
    0x93: Unpickler._stack_global,
    0x82: lambda it: it._extension(1),
    0x83: lambda it: it._extension(2),
    0x84: lambda it: it._extension(4),
    ord("R"): Unpickler._reduce,
    0x81: Unpickler._reduce,
    0x92: Unpickler._reduce_named,
    ord("i"): Unpickler._instance,
    ord("o"): Unpickler._object,
    ord("b"): Unpickler._build,
    ord("P"): lambda it: it._persistent(it._line().decode("utf-8")),
    ord("Q"): lambda it: it._persistent(it._stack.pop()),
    ord("g"): lambda it: it._get(int(it._line())),
    ord("h"): lambda it: it._get(it._number(1)),
    ord("j"): lambda it: it._get(it._number(4)),
    ord("p"): lambda it: it._put(int(it._line())),
    ord("q"): lambda it: it._put(it._number(1)),
    ord("r"): lambda it: it._put(it._number(4)),
    0x94: lambda it: it._put(len(it._memo)),
}
"""What each opcode does, but for those that `Unpickler._run` carries out. Two are missing, for data
kept outside of a pickle: a file has none."""
