"""ONNX files as records: graph, nodes, attributes, and where tensors lie.

The fields are those of onnx/onnx.proto, which has kept its numbers since 2017. Tensors of more than
a few numbers are not read, only where they lie in the file: a model of 100 MB takes some
milliseconds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.onnx import wire
from archc.frontends.onnx.wire import Buffer, WireError, fields
from archc.frontends.program import MAX_CALLS, MAX_ELEMENTS

MAX_KNOWN = 4096
"""Elements of a tensor whose values may say something of the graph: shapes, axes, bounds."""

MAX_FIELDS = 3_000_000
"""Fields of all of a file's messages: names, attributes, dimensions."""

MAX_FILE_FIELDS = 50_000
"""Fields at the level of the file: opsets, notes, functions, of which files have some hundreds."""

MAX_GRAPH_FIELDS = 10 * MAX_CALLS
"""Fields at the level of all graphs together: nodes, tensors, inputs, outputs and shapes."""

MAX_RANK = 16
MAX_GRAPHS = 16
"""How deep graphs may stand in each other, as branches of control flow do."""

MAX_COPIED = 2**21
"""Numbers of small tensors and of attributes that are known, of all together."""

_OP = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_DOMAIN = re.compile(r"[A-Za-z0-9_.\-]{0,100}")

FLOAT, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 6, 7, 8, 9, 10, 11, 16
CODES: Mapping[int, str] = {
    **{1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?"},
    **{10: "f2", 11: "f8", 12: "u4", 13: "u8", 14: "c8", 15: "c16", 16: "u2"},
}
"""The types of elements as numpy has them; those of bfloat16 are the upper halves of floats."""

FLOATING = (FLOAT, FLOAT16, DOUBLE, BFLOAT16)
FORMATS: dict[int, str] = {
    1: "f",
    2: "B",
    3: "b",
    4: "H",
    5: "h",
    6: "i",
    7: "q",
    9: "?",
    10: "e",
    11: "d",
}
FORMATS |= {12: "I", 13: "Q"}

Number: TypeAlias = int | float | bool


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the file: ``span`` is where its raw bytes lie, ``external`` what it says of
    another file that has them; ``lists`` are the fields that hold it number by number, as wire
    types and places."""

    name: str
    dims: tuple[int, ...]
    kind: int
    span: tuple[int, int] | None = None
    lists: tuple[tuple[int, int, int, int], ...] = ()
    external: Mapping[str, str] | None = None
    values: tuple[Number, ...] | None = None
    """Its numbers, of a small one."""


@dataclass(frozen=True, slots=True)
class Info:
    """What the file says of a value: its type, and its dimensions as numbers or names, None for one
    that is not given; ``dims`` is None for a value that is not a tensor, or of any rank."""

    name: str
    kind: int = 0
    dims: tuple[int | str | None, ...] | None = None


Lists: TypeAlias = "tuple[int, ...] | tuple[float, ...] | tuple[str, ...]"
Attribute: TypeAlias = "int | float | str | Lists | Tensor | Graph | None"


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node. ``notes`` are what exporters add to it by name."""

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Graph:
    """A graph; ``sparse`` is how many initializers are written as sparse ones."""

    name: str = ""
    nodes: Sequence[OnnxNode] = ()
    initializers: Sequence[Tensor] = ()
    inputs: Sequence[Info] = ()
    outputs: Sequence[Info] = ()
    infos: Sequence[Info] = ()
    sparse: int = 0


@dataclass(frozen=True)
class Model:
    """A model; ``opsets`` has the version of each domain's ops, ``functions`` is how many ops it
    defines by itself."""

    graph: Graph
    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    functions: int = 0

    @property
    def opset(self) -> int:
        """The version of ONNX's own ops."""
        return self.opsets.get("", self.opsets.get("ai.onnx", 1))


def read_model(data: Buffer) -> Model:
    """The model in a file. Raises `WireError` for what is none, and for one that is too large."""
    return _Reader(data).model()


@dataclass
class _Reader:
    data: Buffer
    nodes: int = 0
    copied: int = 0
    read: int = 0
    listed: int = 0

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """The fields of a message, of which a file may have so many in all."""
        for found in fields(self.data, start, end):
            self.read += 1
            if self.read > MAX_FIELDS:
                raise WireError(f"it has more than {MAX_FIELDS:,} names, attributes and dimensions")
            yield found

    def model(self) -> Model:
        data = self.data
        graph: Graph | None = None
        ir_version = functions = 0
        producer = ""
        opsets: dict[str, int] = {}
        for count, (number, _, start, end) in enumerate(self._fields(0, len(data)), 1):
            if count > MAX_FILE_FIELDS:
                raise WireError(f"it has more than {MAX_FILE_FIELDS:,} entries beside its graph")
            if number == 1:
                ir_version = wire.signed(start)
            elif number == 2:
                producer = wire.text(data, start, end)
            elif number == 7:
                if graph is not None:
                    raise WireError("it holds two graphs")
                graph = self._graph(start, end, 0)
            elif number == 8:
                domain, version = "", 0
                for part, _, first, last in self._fields(start, end):
                    if part == 1:
                        domain = wire.text(data, first, last)
                    elif part == 2:
                        version = wire.signed(first)
                opsets[domain] = version
            elif number == 25:
                functions += 1
        if graph is None:
            raise WireError("it holds no graph")
        return Model(graph, ir_version, producer, opsets, functions)

    def _graph(self, start: int, end: int, depth: int) -> Graph:
        if depth > MAX_GRAPHS:
            raise WireError(f"its graphs are nested deeper than {MAX_GRAPHS} levels")
        places: dict[int, list[tuple[int, int]]] = {1: [], 5: [], 11: [], 12: [], 13: [], 15: []}
        name = ""
        for number, kind, first, last in self._fields(start, end):
            self.listed += 1
            if self.listed > MAX_GRAPH_FIELDS:
                raise WireError(f"it has more than {MAX_GRAPH_FIELDS:,} nodes, tensors and shapes")
            if number in places and kind == wire.BYTES:
                places[number].append((first, last))
                if len(places[number]) > MAX_CALLS:
                    raise WireError(f"it has more than {MAX_CALLS:,} nodes or tensors")
            elif number == 2:
                name = wire.text(self.data, first, last)
        self.nodes += len(places[1])
        if self.nodes > MAX_CALLS:
            raise WireError(f"it has more than {MAX_CALLS:,} nodes")
        return Graph(
            name,
            [self._node(*place, depth) for place in places[1]],
            [self._tensor(*place) for place in places[5]],
            [self._info(*place) for place in places[11]],
            [self._info(*place) for place in places[12]],
            [self._info(*place) for place in places[13]],
            len(places[15]),
        )

    def _node(self, start: int, end: int, depth: int) -> OnnxNode:
        data = self.data
        texts: dict[int, str] = {3: "", 4: "", 7: ""}
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: dict[str, Attribute] = {}
        notes: dict[str, str] = {}
        for number, _, first, last in self._fields(start, end):
            if number == 1:
                inputs.append(wire.text(data, first, last))
            elif number == 2:
                outputs.append(wire.text(data, first, last))
            elif number in texts:
                texts[number] = wire.text(data, first, last)
            elif number == 5:
                name, value = self._attribute(first, last, depth)
                attributes[name] = value
            elif number == 9:
                key, note = self._pair(first, last)
                notes[key] = note
        op, domain = texts[4], texts[7]
        if not _OP.fullmatch(op) or not _DOMAIN.fullmatch(domain):
            raise WireError("a node has no operator, or one that is not a name")
        domain = "" if domain == "ai.onnx" else domain
        return OnnxNode(op, domain, texts[3], tuple(inputs), tuple(outputs), attributes, notes)

    def _pair(self, start: int, end: int) -> tuple[str, str]:
        texts = {1: "", 2: ""}
        for number, _, first, last in self._fields(start, end):
            if number in texts:
                texts[number] = wire.text(self.data, first, last)
        return texts[1], texts[2]

    def _attribute(self, start: int, end: int, depth: int) -> tuple[str, Attribute]:
        """An attribute's name and value; None for a value of a kind that no rule asks for."""
        data = self.data
        name, value, kind = "", None, 0
        single: Attribute = None
        numbers: list[int] = []
        reals: list[float] = []
        texts: list[str] = []
        for number, form, first, last in self._fields(start, end):
            if number == 1:
                name = wire.text(data, first, last)
            elif number == 20:
                kind = first
            elif number == 2:
                single = wire.number32(data, first)
            elif number == 3:
                single = wire.signed(first)
            elif number == 4:
                single = data[first:last].decode(errors="replace")
            elif number == 5:
                single = self._tensor(first, last)
            elif number == 6:
                single = self._graph(first, last, depth + 1)
            elif number == 7:
                reals += wire.floats(data, first, last)
            elif number == 8:
                numbers += wire.whole_numbers(data, form, first, last)
            elif number == 9:
                texts.append(data[first:last].decode(errors="replace"))
            if max(len(numbers), len(reals), len(texts)) > wire.MAX_LIST:
                raise WireError(f"an attribute has more than {wire.MAX_LIST:,} numbers")
        self.copied += len(numbers) + len(reals)
        if self.copied > 2 * MAX_COPIED:
            raise WireError(f"its attributes have more than {MAX_COPIED:,} numbers")
        lists: Mapping[int, Attribute] = {6: tuple(reals), 7: tuple(numbers), 8: tuple(texts)}
        # Without a type, as old files have them, what is there counts.
        value = lists.get(kind, single)
        if not kind and single is None:
            value = tuple(numbers) or tuple(reals) or tuple(texts) or None
        if value is None and kind in _USUAL:  # proto3 leaves zeros out
            value = _USUAL[kind]
        return name, value

    def _tensor(self, start: int, end: int) -> Tensor:
        data = self.data
        name, kind, is_external = "", 0, False
        dims: list[int] = []
        span: tuple[int, int] | None = None
        lists: list[tuple[int, int, int, int]] = []
        external: dict[str, str] = {}
        for number, form, first, last in self._fields(start, end):
            if number == 1:
                if len(dims) > MAX_RANK or last - first > 10 * MAX_RANK:
                    raise WireError(f"a tensor has more than {MAX_RANK} dimensions")
                dims += wire.whole_numbers(data, form, first, last)
            elif number == 2:
                kind = first
            elif number in _LISTS:
                lists.append((number, form, first, last))
            elif number == 8:
                name = wire.text(data, first, last)
            elif number == 9:
                span = (first, last)
            elif number == 13:
                key, value = self._pair(first, last)
                external[key] = value
            elif number == 14:
                is_external = first == 1
        shape = checked(dims)
        made = Tensor(
            name, shape, kind, span, tuple(lists), external if is_external or external else None
        )
        return self._with_values(made)

    def _with_values(self, tensor: Tensor) -> Tensor:
        """A tensor with its numbers, where it is small and the file has them."""
        count = size(tensor.dims)
        code = FORMATS.get(tensor.kind)
        if count > MAX_KNOWN or code is None or tensor.external is not None:
            return tensor
        self.copied += count
        if self.copied > MAX_COPIED:
            return tensor
        if tensor.span is not None:
            start, end = tensor.span
            if end - start != count * struct.calcsize(f"<{code}"):
                raise WireError("a tensor has the wrong amount of data for its shape")
            values = struct.unpack(f"<{count}{code}", self.data[start:end])
        else:
            values = tuple(listed(self.data, tensor, count))
            if len(values) != count:
                raise WireError("a tensor has the wrong amount of data for its shape")
        return Tensor(
            tensor.name, tensor.dims, tensor.kind, tensor.span, tensor.lists, None, values
        )

    def _info(self, start: int, end: int) -> Info:
        name, kind = "", 0
        dims: tuple[int | str | None, ...] | None = None
        for number, _, first, last in self._fields(start, end):
            if number == 1:
                name = wire.text(self.data, first, last)
            elif number == 2:
                for form, _, one, two in self._fields(first, last):
                    if form == 1:
                        kind, dims = self._tensor_type(one, two)
        return Info(name, kind, dims)

    def _tensor_type(self, start: int, end: int) -> tuple[int, tuple[int | str | None, ...] | None]:
        kind = 0
        dims: tuple[int | str | None, ...] | None = None
        for number, _, first, last in self._fields(start, end):
            if number == 1:
                kind = first
            elif number == 2:
                places = [place[2:] for place in self._fields(first, last) if place[0] == 1]
                if len(places) > MAX_RANK:
                    raise WireError(f"a tensor has more than {MAX_RANK} dimensions")
                dims = tuple([self._side(*place) for place in places])
        return kind, dims

    def _side(self, start: int, end: int) -> int | str | None:
        side: int | str | None = None
        for number, _, first, last in self._fields(start, end):
            if number == 1:
                side = wire.signed(first)
                if side < 0 and side != -1:
                    raise WireError(f"a tensor has a dimension of {side}")
                side = None if side == -1 else side
            elif number == 2:
                side = wire.text(self.data, first, last) or None
        return side


_USUAL: Mapping[int, Attribute] = {1: 0.0, 2: 0, 3: ""}
_LISTS = {4: FLOAT, 5: INT32, 7: INT64, 10: DOUBLE, 11: 13}
"""The fields of tensors that hold them number by number."""


def checked(dims: Sequence[int]) -> tuple[int, ...]:
    """Dimensions that a tensor can have. Raises `WireError` for others."""
    if len(dims) > MAX_RANK:
        raise WireError(f"a tensor has more than {MAX_RANK} dimensions")
    shown = "x".join(map(str, dims))
    if any(side < 0 for side in dims):
        raise WireError(f"a tensor has a negative dimension: {shown:.80}")
    if size(dims) > MAX_ELEMENTS:
        raise WireError(f"a tensor of {shown:.80} is too large")
    return tuple(dims)


def size(dims: Sequence[int]) -> int:
    """How many elements a tensor has."""
    count = 1
    for side in dims:
        count *= side
    return count


def listed(data: Buffer, tensor: Tensor, most: int) -> list[Number]:
    """The numbers of a tensor that lie one by one, at most one more than ``most``.

    Raises `WireError` for what does not fit its type.
    """
    values: list[Number] = []
    for number, form, start, end in tensor.lists:
        if number in (4, 10):
            code, width = ("f", 4) if number == 4 else ("d", 8)
            count = min((end - start) // width, most + 1 - len(values))
            values += struct.unpack_from(f"<{count}{code}", data, start)
        else:
            values += wire.whole_numbers(data, form, start, end, most)
        if len(values) > most:
            break
    if tensor.kind == FLOAT16:
        return list(struct.unpack(f"<{len(values)}e", struct.pack(f"<{len(values)}H", *values)))
    if tensor.kind == BOOL:
        return [bool(value) for value in values]
    return values
