"""An ONNX graph as a program: its nodes one after the other, in terms of torch's calls.

Shapes are computed here, because most files do not say them; whatever depends on shapes and
constants alone is computed as well, and makes no call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from itertools import zip_longest
from typing import NoReturn, TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.onnx.model import (
    BOOL,
    FLOAT,
    FLOAT16,
    INT32,
    INT64,
    MAX_COPIED,
    Graph,
    Info,
    Model,
    Number,
    OnnxNode,
    Tensor,
    checked,
)
from archc.frontends.onnx.paths import Paths
from archc.frontends.onnx.sharing import separated
from archc.frontends.onnx.statics import Static, fold
from archc.frontends.onnx.wire import WireError
from archc.frontends.program import (
    MAX_CALLS,
    Argument,
    Call,
    ForeignError,
    Program,
    Ref,
    Scope,
    Weight,
)
from archc.ops import MAX_CHANNELS, MAX_PIXELS
from archc.ops.foreign import EVERY_OP
from archc.ops.given import short
from archc.source.caller import said
from archc.text import quote, visible

Dims: TypeAlias = tuple[int, ...]
Rule: TypeAlias = "Callable[[At], object]"

IMAGE_CHANNELS = 4
"""The most channels of images that are taken to have them last."""


@dataclass
class Reading:
    """What is known of a graph while its nodes are read.

    ``statics`` are the values that do not depend on the image, ``shapes`` has the sides of those
    that do, ``aliases`` other names of values. ``constants`` are the tensors that lie in the file,
    ``tensors`` the statics that some call reads, by key.
    """

    model: Model
    file: str
    rules: Mapping[str, Rule]
    input: Sequence[int] | None = None
    statics: dict[str, Static] = field(default_factory=dict)
    shapes: dict[str, Dims] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lists of tensors, by the names of these."""
    unknown: dict[str, OnnxNode] = field(default_factory=dict)
    declared: dict[str, Info] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    tensors: dict[str, Static] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)
    """What torch calls the types of inputs that are no float32."""
    has_channels_last: bool = False
    folded: int = 0
    """Numbers that have been computed with."""

    def program(self) -> Program:
        """The program. Raises `ForeignError`."""
        graph = self.model.graph
        self._check(graph)
        self.readers = _readers(graph)
        inputs = self._begin(graph)
        self.read(graph)
        outputs = tuple([self.resolved(one.name) for one in graph.outputs])
        for name in outputs:
            if name in self.unknown:
                At(self, self.unknown[name]).fail_unknown()
            if name in self.lists:
                raise ForeignError(f"{self.file}: the output {_shown(name)} is a list of tensors")
            if name not in self.shapes:
                raise ForeignError(f"{self.file}: no node computes the output {_shown(name)}")
        self._separate()
        return Program(
            name=self.file,
            dialect="onnx",
            inputs={name: self.shapes[name] for name in inputs},
            outputs=outputs,
            calls=tuple(self.calls),
            weights=self.weights,
            shapes=self.shapes,
            source=self.file,
            channels_last=self.has_channels_last,
            types={
                **self.types,
                **{
                    key: _TYPES[one.kind] for key, one in self.tensors.items() if one.kind in _TYPES
                },
            },
        )

    def _separate(self) -> None:
        """Give layers their own vectors in the place of equal ones that were merged."""
        stored = {one.name for one in self.model.graph.initializers}
        roots = {key: one.root for key, one in self.tensors.items() if one.is_floating}
        held = {key: self.weights[key] for key, root in roots.items() if root in stored}

        def is_free(name: str, of: str) -> bool:
            static = self.statics.get(name)  # another name of the same, as torch's exporter has it
            is_same = static is not None and static.root == roots[of]
            return name not in self.weights and (is_same or name not in self.made)

        found = separated(self.calls, held, is_free)
        self.calls = list(found.calls)
        self.weights.update(found.weights)
        self.tensors.update({key: self.tensors[name] for key, name in found.origins.items()})

    def _check(self, graph: Graph) -> None:
        if not graph.nodes:
            raise ForeignError(f"{self.file} holds no operations")
        if graph.sparse:
            raise ForeignError(f"{self.file} has sparse initializers, which archc does not read")
        if not graph.outputs:
            raise ForeignError(f"{self.file} does not name an output")

    # Beginning

    def _begin(self, graph: Graph) -> list[str]:
        """Note tensors and declared shapes; the names of the inputs."""
        for tensor in graph.initializers:
            if tensor.name in self.statics or not tensor.name:
                raise ForeignError(f"{self.file} has two initializers named {_shown(tensor.name)}")
            self.statics[tensor.name] = Static.of(tensor)
            self.constants[tensor.name] = tensor
        inputs = [one for one in graph.inputs if one.name not in self.statics]
        images = [one for one in inputs if not self._is_weight(one)]
        if len(inputs) > len(images) > 1:
            # Exported without its tensors: images come first, whatever else reads the others.
            images = [one for one in images if one.dims is None or len(one.dims) == 4][:1] or images
        for one in inputs:
            if one not in images and len(images) == 1:
                dims = self._fixed(one)
                self.statics[one.name] = Static(dims, one.kind, root=one.name)
        if not images:
            raise ForeignError(f"{self.file} has no inputs")
        image = next((one for one in images if one.dims is None or len(one.dims) == 4), images[0])
        self.declared = {one.name: one for one in (*graph.infos, *graph.outputs)}
        self.paths = Paths(graph, self.model.producer, set(self.statics))
        self.made = {*[one.name for one in images], *self.statics}
        self.shapes[image.name] = self._image(image)
        for one in images:
            if one is not image:
                self.shapes[one.name] = self._value_given(one, self.shapes[image.name][0])
            if one.kind in _TYPES:
                self.types[one.name] = _TYPES[one.kind]
        return [one.name for one in images]

    def _value_given(self, info: Info, batch: int) -> Dims:
        """The shape of what is given besides the image, for as many images."""
        dims = info.dims
        sides = [self.symbols.get(one) if isinstance(one, str) else one for one in dims or ()]
        if sides and not sides[0]:
            sides[0] = batch
        known = [side for side in sides if side]
        if dims is None or len(known) < len(sides):
            raise ForeignError(
                f"{self.file} does not fix the shape of its input {_shown(info.name)}",
                "onnxruntime.tools.make_dynamic_shape_fixed does",
            )
        return self.checked(known)

    def _fixed(self, info: Info) -> Dims:
        if info.dims is None or not all(isinstance(side, int) for side in info.dims):
            raise ForeignError(
                f"{self.file}: the shape of the tensor {_shown(info.name)} is not fixed"
            )
        return self.checked([side for side in info.dims if isinstance(side, int)])

    def _is_weight(self, info: Info) -> bool:
        """Whether an input is a tensor of the model that it was exported without."""
        readers = self.readers.get(info.name, [])
        return bool(readers) and all(at > 0 and op in _holding() for op, at in readers)

    def checked(self, dims: Sequence[int]) -> Dims:
        """Sides, where a tensor can have them."""
        try:
            return checked(dims)
        except WireError as error:
            raise ForeignError(f"{self.file}: {error}") from error

    def _image(self, info: Info) -> Dims:
        """The shape of the image, with the size that was asked for."""
        dims = info.dims
        if dims is None:
            dims = (None,) * 4
        if len(dims) != 4:
            raise ForeignError(
                f"{self.file} takes an input of rank {len(dims)}; archc reads models of images "
                "(batch, channels, height, width)"
            )
        batch, *sides = [side if isinstance(side, int) and side > 0 else None for side in dims]
        small = sides[2] is not None and sides[2] <= IMAGE_CHANNELS
        self.has_channels_last = small and (sides[0] is None or sides[0] > IMAGE_CHANNELS)
        if self.has_channels_last:
            sides = [sides[2], *sides[:2]]
        if self.input is not None:
            given = tuple(self.input)
            if sides[0] is not None and sides[0] != given[0]:
                raise ForeignError(
                    f"{self.file} takes images with {sides[0]} channels, not {given[0]}"
                )
            if tuple(sides) != given:
                self.declared = {}
            sides = list(given)
        if None in sides:
            raise ForeignError(
                f"{self.file} does not fix the size of its input",
                said("give the size: --input 3,224,224", "give the size: input=(3, 224, 224)"),
            )
        shape = [side for side in sides if side is not None]
        if shape[0] > MAX_CHANNELS or max(shape[1:]) > MAX_PIXELS:
            shown = "x".join(map(str, shape))
            raise ForeignError(f"{self.file} takes images of {shown}, which exceeds archc's limits")
        if self.has_channels_last:
            shape = [*shape[1:], shape[0]]
        made = self.checked([batch or 1, *shape])
        for name, side in zip(dims, made, strict=True):
            if isinstance(name, str):
                self.symbols[name] = side
        return made

    # Nodes

    def read(self, graph: Graph) -> None:
        """Read the nodes of a graph, or of a branch that is taken."""
        for index, node in enumerate(graph.nodes):
            at = At(self, node, self.paths.of(node, index if graph is self.model.graph else -1))
            if not any(node.outputs):
                at.fail("has no output")
            for name in node.inputs:
                if name and self.resolved(name) not in self.made:
                    is_later = any(name in other.outputs for other in graph.nodes[index:])
                    at.fail(
                        f"reads {_shown(name)}, which no earlier node computes",
                        None if is_later else _LEFT_OUT,
                    )
            if not at.computed():
                rule = self.rules.get(f"{node.domain}.{node.op}" if node.domain else node.op)
                if rule is None or rule(at) is False:
                    at.put_unknown()
            for name in node.outputs:
                if name and (name in self.made or name == ""):
                    at.fail(f"writes {_shown(name)}, which an earlier node already wrote")
                self.made.add(name)
            if len(self.calls) > MAX_CALLS:
                raise ForeignError(f"{self.file} has more than {MAX_CALLS:,} operations")

    def resolved(self, name: str) -> str:
        """What a value is called where it is computed."""
        return self.aliases.get(name, name)

    def weight(self, static: Static, *, is_learned: bool | None = None) -> Ref:
        """A tensor as an argument."""
        key = static.key
        if static.steps and key in self.made:
            raise ForeignError(f"{self.file} has two values named {_shown(key)}")
        learned = static.is_floating if is_learned is None else is_learned
        if key in self.weights:  # something else learns it
            learned |= self.weights[key].is_learned
        self.tensors[key] = static
        values = static.all
        numbers = None if values is None else tuple(map(float, values))
        self.weights[key] = Weight(key, static.dims, learned, numbers)
        return Ref(key)

    def dims_of(self, info: Info | None) -> Dims | None:
        """The shape that the file says something has, where it says it."""
        if info is None or info.dims is None:
            return None
        sides = [self.symbols.get(one) if isinstance(one, str) else one for one in info.dims]
        found = [side for side in sides if side]
        return self.checked(found) if len(found) == len(sides) else None


@dataclass
class At:
    """A node as rules read it."""

    reading: Reading
    node: OnnxNode
    scopes: tuple[Scope, ...] = ()
    parts: int = 0

    # What is wrong

    @property
    def shown(self) -> str:
        """The node in messages."""
        name = f" {_shown(self.node.name)}" if self.node.name else ""
        return f"the node{name} (`{visible(self.node.op)}`)"

    def fail(self, what: str, hint: str | None = None) -> NoReturn:
        """Raise the error that says so of the node."""
        message = f"{self.reading.file}: {self.shown} {what}"
        raise ForeignError(message, hint, call=self.node.name)

    def fail_unknown(self) -> NoReturn:
        """Raise the error for a node of which nothing is known."""
        domain = self.node.domain
        if domain == "com.microsoft.nchwc":
            self.fail(
                "is an operation that onnxruntime writes for one kind of processor",
                "save the model before optimizing it, or at the level ORT_ENABLE_EXTENDED",
            )
        of = f" from {domain}" if domain else ""
        self.fail(
            f"is an operation{of} that archc does not know, and the file does not give the shape "
            "of its output",
            "onnx.shape_inference.infer_shapes adds shapes to a model",
        )

    # What it reads

    def has(self, number: int) -> bool:
        """Whether it is given an input."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number])

    def static(self, number: int) -> Static | None:
        """An input that does not depend on the image."""
        if not self.has(number):
            return None
        return self.reading.statics.get(self.reading.resolved(self.node.inputs[number]))

    def shape(self, number: int) -> Dims:
        """The sides of an input."""
        if not self.has(number):
            self.fail(f"lacks input {number + 1}")
        name = self.reading.resolved(self.node.inputs[number])
        static = self.reading.statics.get(name)
        if static is not None:
            return static.dims
        if name in self.reading.unknown:
            At(self.reading, self.reading.unknown[name]).fail_unknown()
        if name in self.reading.lists:
            self.fail("reads a list of tensors")
        return self.reading.shapes[name]

    def list_of(self, number: int) -> tuple[str, ...] | None:
        """The names of the tensors in an input that is a list."""
        if not self.has(number):
            return None
        return self.reading.lists.get(self.reading.resolved(self.node.inputs[number]))

    def value(self, number: int) -> str:
        """The name of an input that depends on the image."""
        self.shape(number)
        return self.reading.resolved(self.node.inputs[number])

    def is_value(self, number: int) -> bool:
        """Whether an input depends on the image."""
        return self.has(number) and self.static(number) is None

    def reads(self, number: int = 0) -> Argument:
        """An input as an argument: a value, a number, or a tensor of the model."""
        static = self.static(number)
        if static is None:
            return Ref(self.value(number))
        values = static.all
        if values is not None and (len(values) == 1 or not static.is_floating):
            is_short = static.kind in (FLOAT, FLOAT16)
            numbers = tuple([short(float(one)) for one in values] if is_short else values)
            return numbers[0] if len(numbers) == 1 else numbers
        return self.reading.weight(static)

    def weight(self, number: int, *, is_learned: bool | None = None) -> Argument:
        """An input as a tensor, even of one number; None for one that is not given."""
        if not self.has(number):
            return None
        static = self.static(number)
        if static is None:
            return Ref(self.value(number))
        return self.reading.weight(static, is_learned=is_learned)

    def numbers(self, number: int) -> tuple[Number, ...] | None:
        """The values of an input that is known and small."""
        static = self.static(number)
        return None if static is None else static.all

    def wholes(self, number: int) -> tuple[int, ...] | None:
        """The whole numbers of an input that is known."""
        values = self.numbers(number)
        if values is None or not all(type(value) is int for value in values):
            return None
        return tuple([int(value) for value in values])

    # Its attributes

    def whole(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        value = self.node.attributes.get(name, default)
        if type(value) is not int:
            self.fail(f"has an attribute `{name}` that is not an integer")
        assert isinstance(value, int)
        return value

    def real(self, name: str, default: float) -> float:
        """An attribute that is a number, as float32 has it in the fewest digits."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, (int, float)):
            self.fail(f"has an attribute `{name}` that is not a number")
        return short(value) if name in self.node.attributes else value

    def list(self, name: str) -> tuple[int, ...] | None:
        """An attribute that is a list of whole numbers."""
        value = self.node.attributes.get(name)
        if value is None or value == ():
            return None
        if not isinstance(value, tuple) or not all(type(one) is int for one in value):
            self.fail(f"has an attribute `{name}` that is not a list of integers")
        assert isinstance(value, tuple)
        return tuple([one for one in value if isinstance(one, int)])

    def word(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.node.attributes.get(name, default)
        return value if isinstance(value, str) else default

    def axes(self, number: int = 1, name: str = "axes") -> tuple[int, ...] | None:
        """Axes, given as an attribute or, in newer opsets, as an input; None where all are meant
        or they are not known."""
        given = self.wholes(number) if self.has(number) else self.list(name)
        rank = len(self.shape(0))
        if given is not None and not all(-rank <= axis < rank for axis in given):
            self.fail(f"has an axis that a tensor of rank {rank} does not have")
        return None if given is None else tuple([axis % rank for axis in given])

    def axis(self, default: int, name: str = "axis", rank: int | None = None) -> int:
        """An axis, counted from 0."""
        rank = len(self.shape(0)) if rank is None else rank
        axis = self.whole(name, default)
        if not -rank <= axis < rank:
            self.fail(f"has an axis that a tensor of rank {rank} does not have")
        return axis % rank

    # What it puts out

    def put(
        self,
        target: str,
        arguments: Mapping[str, Argument],
        *shapes: Sequence[int] | None,
        outputs: Sequence[str] | None = None,
    ) -> Ref:
        """Add a call with what it puts out; the first of it."""
        names = [*(self.node.outputs if outputs is None else outputs)]
        for name, dims in zip_longest(names, shapes):
            if not name:
                continue
            if dims is None:
                self.reading.unknown[name] = self.node
                continue
            try:
                self.reading.shapes[name] = checked(dims)
            except WireError as error:
                self.fail(f"has an output of an impossible shape: {error}")
        given = {name: value for name, value in arguments.items() if value is not None}
        name = self.node.name or names[0]
        call = Call(name, target, given, tuple(names), self.scopes)
        self.reading.calls.append(call)
        return Ref(names[0])

    def between(self) -> str:
        """A name for a value that the file does not have."""
        while True:
            self.parts += 1
            name = f"{next(filter(None, self.node.outputs), '')} {self.parts}"
            if name not in self.reading.made:
                self.reading.made.add(name)
                return name

    def alias(self, number: int = 0) -> None:
        """Put out an input as it is."""
        static = self.static(number)
        if static is not None:
            self.reading.statics[self.node.outputs[0]] = static
        else:
            self.reading.aliases[self.node.outputs[0]] = self.value(number)

    def put_static(self, static: Static, output: int = 0) -> None:
        """Put out what does not depend on the image."""
        if output < len(self.node.outputs):
            name = self.node.outputs[output]
            made = static if static.root else replace(static, root=name)
            self.reading.statics[name] = made

    def computed(self) -> bool:
        """Compute a node that reads nothing but constants, where its rule is known."""
        given = [self.static(number) for number in range(len(self.node.inputs))]
        if not given or any(
            static is None and self.has(number) for number, static in enumerate(given)
        ):
            return False
        if self.node.domain or self.reading.folded > MAX_COPIED:
            return False
        made = fold(self.node.op, self.node.attributes, given)
        if made is None:
            return False
        statics = [made] if isinstance(made, Static) else made
        read = [one for one in (*given, *statics) if one is not None and one.values is not None]
        self.reading.folded += sum(len(one.values or ()) for one in read)
        for number, static in enumerate(statics):
            self.put_static(static, number)
        return True

    def put_unknown(self) -> None:
        """A call that no rule knows, with the shapes that the file says."""
        node = self.node
        declared = [self.reading.declared.get(output) for output in node.outputs]
        name = f"{node.domain}.{node.op}" if node.domain else node.op
        self.put(f"onnx.{name}", self.all(), *map(self.reading.dims_of, declared))

    def all(self) -> dict[str, Argument]:
        """All that it is given, as arguments: inputs by number, attributes by name."""
        values: dict[str, Argument] = {}
        for number in range(len(self.node.inputs)):
            if self.has(number):
                name = self.reading.resolved(self.node.inputs[number])
                values[str(number)] = (
                    Ref(name)
                    if name in self.reading.unknown or name in self.reading.lists
                    else self.reads(number)
                )
        for name, value in self.node.attributes.items():
            if isinstance(value, (int, float, str, tuple)):
                values[name] = value
        return values


_TYPES = {BOOL: "bool", INT32: "int32", INT64: "int64"}
"""What torch calls the types of tensors that are not learned."""

_LEFT_OUT = "it may be a tensor that the file was exported without: set export_params=True"


def _shown(name: str) -> str:
    return quote(visible(name))


@cache
def _holding() -> frozenset[str]:
    """The operations that may read a tensor of the model."""
    ops = [op for op in EVERY_OP.values() if op.roles or op.kind in ("add", "identity")]
    return frozenset([name for op in ops for name in op.onnx_names])


def _readers(graph: Graph) -> dict[str, list[tuple[str, int]]]:
    """Which ops read each value, and as which of their inputs."""
    readers: dict[str, list[tuple[str, int]]] = {}
    for node in graph.nodes:
        for number, name in enumerate(node.inputs):
            readers.setdefault(name, []).append((node.op, number))
    return readers
