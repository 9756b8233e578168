"""What a pickle would cost to load, found out without loading it.

torch's own unpickler runs nothing that it does not know, but it takes whatever time and memory a
file asks for: ten million marks, a tuple in a tuple in a tuple as the key of a dict, a call that
copies a long list ten thousand times. Here the opcodes are followed with stand-ins for the values,
and what each step would cost is added up.
"""

from __future__ import annotations

from typing import Any, TypeAlias

MAX_BYTES = 2**24
"""The longest pickle. That of 20,000 tensors, a ResNet-1202's with its optimizer's, has 5 MB."""

MAX_OPCODES = 1_000_000
MAX_OBJECTS = 100_000
"""How many lists and dicts there may be, and objects that a call makes: two or three for every
tensor."""

MAX_DEPTH = 500
"""How deep tuples may be nested, and how many marks may be open."""

MAX_COST = 1_000_000
"""How many values may be copied and hashed: ten for every tensor."""


class PickleLimitError(Exception):
    """A pickle asks for more than a checkpoint needs; the message says what."""


class ForbiddenCallError(PickleLimitError):
    """A pickle calls something whose cost depends on a number alone; the message is its name."""


_Stand: TypeAlias = Any
"""What stands for a value while opcodes are followed: None for a small one, bytes for a text, a
tuple for a tuple (its depth first), `_Container` for anything that grows or that a call made."""


class _Container:
    """A list, a dict, or what a call has made: how many values it holds, how many long integers."""

    __slots__ = ("longs", "size")

    def __init__(self, size: int = 0, longs: int = 0):
        self.size = size
        self.longs = longs


_LONG = object()
"""Stands for a long integer. Those that differ by multiples of 2**61 - 1 have one hash."""

_PUSHED = {ord(op): size for op, size in {"N": 0, "K": 1, "M": 2, "J": 4, "G": 8}.items()} | {
    0x88: 0,
    0x89: 0,
}
"""Opcodes that put a small value on the stack, and how many bytes it takes."""

_PUT, _GET, _STOP = b"qh."


class Scan:
    """One pickle after another in the same bytes; limits are for all of them together.

    ``storages`` are the keys of the storages that tensors refer to.
    """

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0
        self.storages: set[bytes] = set()
        self._opcodes = self._objects = self._cost = self._key_longs = 0

    def follow(self) -> bool:
        """Follow a pickle to its end; False where torch's unpickler would stop with an error.

        Raises `PickleLimitError` where it asks for more than a checkpoint needs.
        """
        self._stack: list[_Stand] = []
        self._marks: list[list[_Stand]] = []
        self._memo: dict[int, _Stand] = {}
        try:
            self._run()
        except (IndexError, KeyError, ValueError, TypeError, AttributeError):
            return False
        return True

    def _run(self) -> None:
        """Follow opcodes up to the last. The commonest are handled here: a call takes as long."""
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
            elif op in _PUSHED:
                self._stack.append(None)
                self.at += _PUSHED[op]
            elif op == _STOP:
                self._stack.pop()
                self._opcodes += count + 1
                return
            else:
                _HANDLERS[op](self)
        raise PickleLimitError(f"holds a pickle of more than {MAX_OPCODES:,} opcodes")

    def _take(self, size: int) -> bytes:
        """The next bytes. Raises IndexError where there are not as many."""
        end = self.at + size
        if end > len(self.data):
            raise IndexError
        if end > MAX_BYTES:
            raise PickleLimitError(f"holds a pickle of more than {MAX_BYTES:,} bytes")
        found = self.data[self.at : end]
        self.at = end
        return found

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _charge(self, *values: _Stand) -> int:
        """Add what copying or hashing values would cost; how many long integers are in them."""
        longs = 0
        left = list(values)
        while left:
            value = left.pop()
            self._cost += 1
            if isinstance(value, tuple):
                left += value[1:]
            elif isinstance(value, bytes):
                self._cost += len(value) // 64
            elif isinstance(value, _Container):
                self._cost += value.size + value.longs**2
            elif value is _LONG:
                longs += 1
            if self._cost > MAX_COST:
                raise PickleLimitError("holds a pickle that would take too long to load")
        self._cost += longs**2
        return longs

    def _mark(self) -> None:
        if len(self._marks) >= MAX_DEPTH:
            raise PickleLimitError(f"holds a pickle nested more than {MAX_DEPTH} levels deep")
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[_Stand]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _tuple(self, items: list[_Stand]) -> None:
        depth = 1 + max((item[0] for item in items if type(item) is tuple), default=0)
        if depth > MAX_DEPTH:
            raise PickleLimitError(f"holds a pickle nested more than {MAX_DEPTH} levels deep")
        self._stack.append((depth, *items))

    def _short_tuple(self, size: int) -> None:
        items = [self._stack.pop() for _ in range(size)]
        self._tuple(items[::-1])

    def _container(self) -> None:
        self._made(_Container())

    def _made(self, value: _Container) -> None:
        """Put a new object on the stack."""
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise PickleLimitError(f"holds more than {MAX_OBJECTS:,} objects")
        self._stack.append(value)

    def _call(self) -> None:
        arguments = self._stack.pop()
        self._stack.pop()
        size = len(arguments) if isinstance(arguments, tuple) else arguments.size
        longs = self._charge(arguments)
        self._made(_Container(size, longs))

    def _build(self) -> None:
        self._charge(self._stack.pop())
        self._stack[-1]  # the object: IndexError where there is none

    def _extend(self, items: list[_Stand]) -> None:
        container = self._stack[-1]
        container.size += len(items)
        container.longs += sum(item is _LONG for item in items)

    def _set_items(self, items: list[_Stand]) -> None:
        container = self._stack[-1]
        for key in items[::2]:
            # A dict compares a new key with all that have its hash.
            self._key_longs += self._charge(key)
            self._cost += self._key_longs
        container.size += len(items)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _global(self) -> None:
        end = self.data.index(b"\n", self.at)
        last = self.data.index(b"\n", end + 1)
        name = self.data[end + 1 : last]
        if name == b"bytearray":  # of 10**10 bytes, if it is told so
            raise ForbiddenCallError("bytearray")
        self.at = last + 1
        self._stack.append(None)

    def _text(self, width: int) -> None:
        self._stack.append(self._take(self._number(width)))

    def _long(self) -> None:
        self._take(self._number(1))
        self._stack.append(_LONG)

    def _get(self) -> None:
        self._stack.append(self._memo[self._number(4)])

    def _put(self) -> None:
        self._memo[self._number(4)] = self._stack[-1]

    def _storage(self) -> None:
        # ("storage", type, key, device, size)
        told = self._stack.pop()
        if isinstance(told, tuple) and len(told) > 3 and isinstance(told[3], bytes):
            self.storages.add(told[3])
        self._stack.append(None)

    def _protocol(self) -> None:
        self._take(1)


_HANDLERS = {
    0x80: Scan._protocol,
    ord("("): Scan._mark,
    ord("t"): lambda scan: scan._tuple(scan._pop_mark()),
    ord(")"): lambda scan: scan._tuple([]),
    0x85: lambda scan: scan._short_tuple(1),
    0x86: lambda scan: scan._short_tuple(2),
    0x87: lambda scan: scan._short_tuple(3),
    ord("]"): Scan._container,
    ord("}"): Scan._container,
    0x8F: Scan._container,
    ord("R"): Scan._call,
    0x81: Scan._call,
    ord("b"): Scan._build,
    ord("a"): lambda scan: scan._extend([scan._stack.pop()]),
    ord("e"): lambda scan: scan._extend(scan._pop_mark()),
    ord("s"): Scan._set_item,
    ord("u"): lambda scan: scan._set_items(scan._pop_mark()),
    ord("c"): Scan._global,
    ord("X"): lambda scan: scan._text(4),
    ord("U"): lambda scan: scan._text(1),
    0x8A: Scan._long,
    ord("j"): Scan._get,
    ord("r"): Scan._put,
    ord("Q"): Scan._storage,
}
"""What torch's unpickler knows; at any other opcode it stops."""
