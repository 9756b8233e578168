"""A program call by call: what is written in PyTorch of a model whose graph has opaque ops.

Where `archc.frontends.building` makes one op of calls that lay values out, for people to see, this
keeps each of them; tensors of the model, and what is computed of them alone, are nodes, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import cache
from typing import Any

from archc.dataclassing import dataclass
from archc.frontends.batches import Following, Lie, Seen, Step, ways
from archc.frontends.naming import Names, family, is_path
from archc.frontends.program import Argument, Call, Program, Ref, Weight
from archc.graph import Node, Shape
from archc.graph.network import key_of
from archc.ops import Arity, Op, ShapeError, moves
from archc.ops.calls import Operand, PlainGELU, Tensor, TensorCall
from archc.ops.foreign import EVERY_OP
from archc.ops.given import Given, NotReadError
from archc.ops.spelling import DTYPES, SPELLINGS, Side, is_typed
from archc.ops.traits import ElementWise
from archc.text import quote, quote_name, visible

MAX_LITERAL = 64
"""Elements of a constant without a key that are written as numbers."""


@dataclass(frozen=True)
class Explicit:
    """The nodes of a program, under which keys of its own it has their tensors, the calls that they
    come from, and what of it cannot be written, by id."""

    nodes: Mapping[str, Node]
    keys: Mapping[str, str]
    calls: Mapping[str, Call]
    refused: Mapping[str, str]


def explicit(program: Program, taken: Mapping[str, str]) -> Explicit:
    """The nodes of a program. ``taken`` are the ids of what it takes besides images, by name."""
    return _Explicit(program, taken).built()


_LAYERS = frozenset(
    [
        *("conv2d", "batch_norm2d", "relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"),
        *("add", "flatten", "linear", "softmax", "relu6", "leaky_relu", "silu", "hardswish"),
        *("hardsigmoid", "sigmoid", "tanh", "multiply", "concat", "group_norm", "layer_scale"),
        *("affine", "token_linear", "token_norm", "conv_transpose2d", "prelu"),
    ]
)
"""The ops, by kind, that calls are taken for; the others only make pictures easier to read."""

_ANYWHERE = frozenset(["token_linear", "token_norm", "add"])
"""Those of them that do not ask where the images lie; all that act on elements do not."""

_COPIES = frozenset(["clone", "lift_fresh_copy"])
_SAME = _COPIES | {"detach", "alias", "dropout", "feature_dropout"}
"""Calls that put out what they read, in eval mode."""
_CASTS = {"to": "detach", "type_as": "detach", "_to_copy": "clone"}
"""What casts to the type that a value has anyway are."""
_MADE = frozenset(["zeros", "ones", "full", "arange"])
"""Calls that read nothing."""
_OVER = "it is written over in part"
_WITH_INDICES = frozenset(["adaptive_max_pool2d", "max_pool2d"])
"""Calls that may also put out where the largest values are."""

_NAMES = {"view": "reshape", "_unsafe_view": "reshape", "constant_pad_nd": "pad"}
_NAMES |= {"_softmax": "softmax", "concat": "cat", "multiply": "mul", "divide": "div"}
_NAMES |= {"swapaxes": "transpose", "swapdims": "transpose", "moveaxis": "movedim"}
_NAMES |= {"max_pool2d_with_indices": "max_pool2d"}
_NAMES |= {"reshape_as": "reshape", "view_as": "reshape", "_unsafe_index": "index", "numpy_T": "t"}
"""What calls are called here whose names say less than others of the same value."""

_RENAMED = {"size": "shape", "input": "self", "x": "self", "mat2": "other", "batch1": "self"}
_RENAMED |= {"axis0": "dim0", "axis1": "dim1"}

_IGNORED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(["pin_memory", "train", "non_blocking", "copy"], (False, None)),
    **dict.fromkeys(["memory_format", "dtype", "device", "layout", "path"], (None,)),
    "rounding_mode": (None,),
    "alpha": (1,),
    "dropout_p": (0, 0.0, None),
    "count_include_pad": (True,),
    "divisor_override": (None,),
    "half_to_float": (False,),
    "antialias": (False,),
    "scales_h": (None,),
    "scales_w": (None,),
    "p": (0, 0.0),
}
"""Arguments that need not be written where they have such values."""
_IRRELEVANT = frozenset(["cudnn_enable", "cudnn_enabled", "momentum", "implicit"])


@cache
def _layers() -> Mapping[str, tuple[type[Op], ...]]:
    """The ops that calls are taken for, by torch's names."""
    found: dict[str, tuple[type[Op], ...]] = {"gelu": (PlainGELU,)}
    for op in EVERY_OP.values():
        for name in op.torch.exported if op.kind in _LAYERS else ():
            name = name.removesuffix("_")
            found[name] = (*found.get(name, ()), op)
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the program: its node, its shape with the batch, and how the images lie in it.

    ``owner`` is the name of the tensor whose memory it shares; a part of that has a ``window``.
    """

    node: str
    shape: tuple[int, ...]
    lie: Lie | None = None
    owner: str = ""
    window: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A call as it is read: with names of values that are each computed once, and the steps that
    it is, one for each thing that it puts out and others read."""

    call: Call
    function: str
    steps: tuple[tuple[Step, int | None], ...]


@dataclass
class _Explicit:
    program: Program
    taken: Mapping[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    holders: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of the model's tensors that layers have, by key: the layer, and what it calls the tensor."""
    literals: dict[str, int | float | bool] = field(default_factory=dict)
    """The constants of one number, by name."""
    now: dict[str, str] = field(default_factory=dict)
    """What a name stands for after what was written over it."""
    last_read: dict[str, int] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    """The tensors whose memory views share, by the names of these."""
    sharing: dict[str, list[str]] = field(default_factory=dict)
    """Those views that are read later, with the tensor, by its name."""
    holding: set[str] = field(default_factory=set)
    """The paths of modules around tensors of the model."""
    shrunk: set[str] = field(default_factory=set)
    """What has one place that all images share instead of one for each."""
    at: int = 0
    call: Call | None = None
    """The one that is built."""

    def built(self) -> Explicit:
        program = self.program
        self.names = Names(program.calls)
        keys = [one.key for one in program.weights.values()]
        self.names.note_tensors(keys, surround=program.dialect == "onnx")
        self.holding = {key[:at] for key in keys for at, c in enumerate(key) if c == "."}
        self._given_values()
        for index, call in enumerate(program.calls):
            self.last_read.update(dict.fromkeys(call.reads, index))
        self.last_read.update(dict.fromkeys(program.outputs, len(program.calls)))
        shapes = {**program.shapes, **{n: one.shape for n, one in program.weights.items()}}
        given = {name: Seen(one.shape, one.lie) for name, one in self.values.items()}
        self.following = Following(self.batch, given, shapes)
        rows = []
        for self.at, call in enumerate(program.calls):
            rows.append(self._read_call(call))
        self.sharing = {}  # once more from the beginning
        for name, root in self.roots.items():
            self.sharing.setdefault(root, [root]).append(name)
        outputs = [self._current(name) for name in program.outputs]
        try:
            self.lies = self.following.chosen(outputs)
        except NotReadError as error:
            return Explicit(self.nodes, {}, {}, {"input": str(error)})
        for self.at, row in enumerate(rows):
            if row is not None:
                self._build(row)
        ids = tuple([self._value(name).node for name in outputs])
        if len(ids) > 1:
            end = self.names.unique("", "outputs")
            shape = self.nodes[ids[0]].output_shape
            self.nodes[end] = Node(end, moves.ends(len(ids)), ids, shape)
            ids = (end,)
        return self._cleaned(ids[0])

    def _given_values(self) -> None:
        """The images, and whatever else is given."""
        inputs = self.program.inputs
        images = next(name for name, shape in inputs.items() if len(shape) == 4)
        self.batch = inputs[images][0]
        shape = inputs[images]
        self.nodes["input"] = Node("input", moves.image(), (), shape[1:])
        self.values[images] = Value("input", shape, Lie(0), images)
        if self.program.channels_last:
            self._as_channels_last(images, shape)
        for name, full in inputs.items():
            if name in self.taken:
                id = self.taken[name]
                self.names.taken.add(id)
                lie = Lie(0) if full[:1] == (self.batch,) else None
                own = self._shape(full, lie)
                dtype = self.program.types.get(name, "float32")
                op = moves.given(id, own, dtype, is_shared=lie is None)
                self.nodes[id] = Node(id, op, ("input",), own)
                self.values[name] = Value(id, full, lie, name)

    def _as_channels_last(self, images: str, shape: tuple[int, ...]) -> None:
        """Images as the program takes them: archc's have their channels first."""
        _, height, width, channels = shape
        self.nodes["input"] = Node("input", moves.image(), (), (channels, height, width))
        id = self.names.unique("", "permute")
        arguments = (("self", Operand(0)), ("dims", (0, 2, 3, 1)))
        op = TensorCall("permute", arguments, shape[1:])
        self.nodes[id] = Node(id, op, ("input",), shape[1:])
        self.values[images] = Value(id, shape, Lie(0), images)

    def _cleaned(self, output: str) -> Explicit:
        """Without what the output does not need."""
        needed = {"input", output, *self.taken.values()}
        for node in reversed(list(self.nodes.values())):
            if node.id in needed:
                needed.update(node.inputs)
                needed.update([node.op.shares] if node.op.shares else ())
        nodes = {id: node for id, node in self.nodes.items() if id in needed and id != output}
        nodes[output] = self.nodes[output]
        _join_fills(nodes)
        _join_slices(nodes)
        held = {key_of(id, name) for id, node in nodes.items() for name in node.op.state}
        keys = {key: theirs for key, theirs in self.keys.items() if key in held}
        refused = {id: why for id, why in self.refused.items() if id in nodes}
        calls = {id: call for id, call in self.calls.items() if id in nodes}
        return Explicit(nodes, keys, calls, refused)

    # Values

    def _shape(self, full: tuple[int, ...], lie: Lie | None) -> Shape:
        """A shape for one image: without the batch, where that is a side of its own."""
        if lie is None:
            return full or (1,)
        if lie == Lie(0):
            return full[1:] or (1,)
        return (*full[: lie.axis], lie.places, *full[lie.axis + 1 :])

    def _value(self, name: str) -> Value:
        """A tensor of the program; one of the model becomes a node when it is read first."""
        value = self.values.get(name)
        if value is None:
            value = self.values[name] = self._tensor(name, self.program.weights[name])
        return value

    def _tensor(self, name: str, weight: Weight) -> Value:
        """The node of a tensor of the model."""
        dtype = self.program.types.get(name, "float32")
        holder, own = self.holders.get(weight.key, ("", ""))
        op = Tensor(weight.shape, dtype, weight.is_learned, holder, own)
        if holder:
            parent, _, last = holder.rpartition(".")
            id = self.names.unique(parent, re.sub(r"\W", "_", f"{last}_{own}", flags=re.ASCII))
        else:
            id = self.names.of_module(weight.key) or self._unlike(weight.key)
            self.keys[id] = weight.key
        if self.call is not None:
            around = [one for one in self.call.scopes if f"{id}.".startswith(f"{one.path}.")]
            self.calls[id] = replace(self.call, scopes=tuple(around))
        if dtype not in DTYPES:
            self.refused[id] = f"it is a tensor of the type {visible(dtype)}"
        self.nodes[id] = Node(id, op, (), weight.shape or (1,))
        return Value(id, weight.shape, None, name)

    def _unlike(self, key: str) -> str:
        """An id for a tensor whose key cannot be one."""
        path, _, last = key.rpartition(".")
        word = re.sub(r"\W+", "_", last, flags=re.ASCII).strip("_")[:40] or "tensor"
        return self.names.unique(path, word if word[0].isalpha() else f"tensor_{word}")

    # Calls, read in order

    def _current(self, name: str) -> str:
        return self.now.get(name, name)

    def _read_call(self, call: Call) -> _Read | None:
        """Follow a call; None where it makes nothing of its own."""
        if call.target in ("_operator.getitem", "builtin.getitem") or not any(call.outputs):
            return None
        plain = _NAMES.get(call.function, call.function)
        call = replace(call, arguments={n: self._resolved(v) for n, v in call.arguments.items()})
        call = self._with_types(call, plain)
        first = call.reads[0] if call.reads else ""
        if plain in _CASTS and self.program.keeps_type(call):
            plain = "clone" if call.arguments.get("copy") else _CASTS[plain]
        if plain in _SAME and first and self._is_same(call, plain, first):
            return None
        if plain == "pad" and _is_zero(call.arguments.get("pad")):
            plain = "clone"
        used = [(n, out) for n, out in enumerate(call.outputs) if out and out in self.last_read]
        is_alone = [number for number, _ in used] == [0]
        has_item = len(call.outputs) > 1 and not (is_alone and plain in _WITH_INDICES)
        steps: list[tuple[Step, int | None]] = []
        for number, output in used or [(0, call.outputs[0])]:
            item = number if has_item else None
            shape = self.program.shapes.get(output)
            try:
                step = self._for_one(self._step(call, plain, output, item, shape))
            except NotReadError as error:
                self.following.ways[output] = []
                self.following.refused[output] = str(error)
                step = Step(plain, {}, output, shape or ())
            else:
                self.following.follow(step)
            steps.append((step, item))
        spelling = SPELLINGS.get(plain)
        if first and (call.is_in_place or (spelling is not None and spelling.is_view)):
            root = self.roots.get(first, first)
            made = [one for one in call.outputs if one]
            self.roots.update(dict.fromkeys(made, root))
            self.sharing.setdefault(root, [root]).extend(made)
        if call.is_in_place:
            self._note_writing(call, first)
            of_model = first in self.program.weights or self.following.ways.get(first) == [None]
            self.now[call.outputs[0]] = call.outputs[0]
            if not (of_model and plain in ("fill", "zero")):
                self.now[first] = call.outputs[0]
                self.now.update({n: call.outputs[0] for n, one in self.now.items() if one == first})
        return _Read(call, plain, tuple(steps))

    def _note_writing(self, call: Call, first: str) -> None:
        """Refuse what shares memory that a call writes over and is read later by another name,
        unless that is a number for a part, which is followed."""
        if call.function in ("fill", "zero"):
            return
        for name in self._read_later(first):
            is_other = name not in (first, *call.outputs)
            if is_other and name not in self.now:
                self.following.ways[name] = []
                self.following.refused[name] = _OVER

    def _with_types(self, call: Call, plain: str) -> Call:
        """A call whose type is said where it has to be: where torch would make another."""
        if self.program.dialect == "onnx" or not call.outputs:
            return call
        given = dict(call.arguments)
        own = self.program.type_of(call.outputs[0])
        if plain in _MADE:
            given = {name: one for name, one in given.items() if name not in ("dtype", "device")}
            if own != _usual_type(plain, given):
                given["dtype"] = own
        elif given.get("dtype") is not None and self.program.keeps_type(call):
            del given["dtype"]
        return replace(call, arguments=given)

    def _resolved(self, value: Argument) -> Argument:
        """An argument by the current names of values, constants of one number as that."""
        if isinstance(value, Ref):
            name = self._current(value.name)
            return self.literals[name] if name in self.literals else Ref(name)
        if isinstance(value, tuple):
            return tuple([self._resolved(one) for one in value])
        return value

    def _is_same(self, call: Call, plain: str, first: str) -> bool:
        """Note what a call puts out that is what it reads; whether it is that."""
        if call.arguments.get("train"):
            return False
        weight = self.program.weights.get(first)
        if weight is not None and not weight.shape and not weight.is_learned:
            try:
                self.literals[call.outputs[0]] = self._number(weight)
            except NotReadError:
                return False
            return True
        if plain in _COPIES or self._is_module_of_its_own(call, plain):
            return False
        self.now[call.outputs[0]] = first
        return True

    def _number(self, weight: Weight) -> int | float | bool:
        """The number that a constant of one is."""
        if weight.values is not None and len(weight.values) == 1:
            return weight.values[0]
        if self.program.tensors is None:
            raise NotReadError("the value of a constant that it reads is not known")
        found = self.program.tensors.read({weight.key})[weight.key].item()
        if not isinstance(found, (bool, int, float)):
            raise NotReadError("it reads a constant that is not a number")
        return found

    def _is_module_of_its_own(self, call: Call, plain: str) -> bool:
        last = call.scopes[-1] if call.scopes else None
        alone = last is not None and last.is_torchs and self.names.within[last.path] == 1
        return "dropout" in plain and alone and isinstance(call.arguments.get("p", 0.5), float)

    def _step(
        self, call: Call, plain: str, output: str, item: int | None, shape: tuple[int, ...] | None
    ) -> Step:
        """A call by the names of torch's schema. Raises `NotReadError`."""
        if shape is None:
            raise NotReadError("the model does not give the shape of its output")
        spelling = SPELLINGS.get("select" if plain == "unbind" else plain)
        known = {one.name for one in spelling.arguments} if spelling is not None else set()
        arguments: dict[str, Argument] = {}
        for name, value in call.arguments.items():
            arguments[name if name in known else _RENAMED.get(name, name)] = value
        if item is not None:
            arguments["item"] = item
        if plain == "reshape":  # its shape is that of what it puts out
            arguments = {"self": arguments["self"]} if "self" in arguments else {}
        return Step(plain, arguments, output, shape)

    def _for_one(self, step: Step) -> Step:
        """A call of none of the images' values that has a place for each image, with one place
        instead, which all share. Raises `NotReadError` where more is computed of that."""
        if any(self.following.ways.get(n, [None]) != [None] for n in step.reads) or any(
            name in self.following.given for name in step.reads
        ):
            return step
        if self.shrunk.intersection(step.reads):
            raise NotReadError("it is computed of as many places as there are images")
        sizes = step.arguments.get("size")
        if self.batch == 1 or not isinstance(sizes, tuple) or self.batch not in sizes:
            return step
        place = sizes.index(self.batch)
        sizes = (*sizes[:place], 1, *sizes[place + 1 :])
        shape = (*step.shape[:place], 1, *step.shape[place + 1 :])
        self.shrunk.add(step.output)
        self.following.shapes = {**self.following.shapes, step.output: shape}
        return replace(step, arguments={**step.arguments, "size": sizes}, shape=shape)

    # Nodes, made in order

    def _build(self, row: _Read) -> None:
        for step, item in row.steps:
            if step.output not in self.lies.of and row.function not in ("fill", "zero"):
                continue  # nothing needs it
            try:
                why = self.lies.refused.get(step.output)
                if why is not None or not all(self._is_made(name) for name in step.reads):
                    raise NotReadError(why or "")
                self._build_step(row, step, item)
            except (NotReadError, ShapeError) as error:
                self._refuse(row, step, str(error))
                if row.call.is_in_place and row.call.reads:
                    self._lose(row.call.reads[0])

    def _lose(self, first: str) -> None:
        """Refuse what shares memory with a tensor that is written over, where it is read later."""
        for name in self._read_later(first):
            if self._is_made(name):
                self.refused[self._value(name).node] = _OVER

    def _read_later(self, name: str) -> list[str]:
        """The names of a tensor, and of all that shares its memory, that are read later; others are
        forgotten."""
        root = self.roots.get(name, name)
        names = self.sharing.get(root, [root])
        later = [name for name in names if self.last_read.get(name, -1) > self.at]
        self.sharing[root] = later
        return later

    def _is_made(self, name: str) -> bool:
        return name in self.values or name in self.program.weights

    def _build_step(self, row: _Read, step: Step, item: int | None) -> None:
        call = self.call = row.call
        first = call.reads[0] if call.reads else ""
        if row.function in _COPIES:
            self.values[step.output] = replace(self._value(first), owner=step.output)
        elif row.function in ("fill", "zero") and call.is_in_place:
            self._fill(call, self._value(first))
        elif row.function in _SAME:
            self._dropout(call)
        else:
            if call.is_in_place:
                self._check_in_place(first)
            if item is not None or not self._layer(call, row.function):
                self._tensor_call(call, step)

    def _refuse(self, row: _Read, step: Step, why: str) -> None:
        """A node for what cannot be written; what reads it cannot either."""
        op = moves.unknown(row.function, step.shape or (1,))
        id = self.names.of_call(row.call, op)
        reads = [self.values[name].node for name in step.reads if name in self.values]
        inputs = tuple(dict.fromkeys(reads)) or ("input",)
        self._append(id, op, inputs, step.shape or (1,), row.call)
        self.refused[id] = why
        self.values[step.output] = Value(id, step.shape, Lie(0), step.output)

    def _dropout(self, call: Call) -> None:
        """Place a dropout that is a module by itself."""
        value = self._value(call.reads[0])
        probability = call.arguments.get("p", 0.5)
        id = self.names.of_module(call.path)
        if id is None or not isinstance(probability, float):
            self.values[call.outputs[0]] = value
            return
        op = moves.dropped(probability)
        self._append(id, op, (value.node,), self.nodes[value.node].output_shape, call)
        self.values[call.outputs[0]] = replace(value, node=id)

    # Layers

    def _layer(self, call: Call, plain: str) -> bool:
        """Place a call that is a layer of archc's; whether it is one."""
        weights = {
            argument: self.program.weights[one.name]
            for argument, one in call.arguments.items()
            if isinstance(one, Ref) and one.name in self.program.weights
            if argument not in ("input", "self")
        }
        reads = [name for name in call.reads if name not in self.program.weights]
        first = call.arguments.get("input", call.arguments.get("self"))
        if isinstance(first, Ref) and first.name in self.program.weights:
            reads.insert(0, first.name)
            self._value(first.name)
        if not reads or any(name not in self.values for name in reads):
            return False
        values = [self.values[name] for name in reads]
        lies = {value.lie for value in values}
        if len(lies) > 1:
            return False
        (lie,) = lies
        for kind in _layers().get(plain, ()):
            if not _acts(kind, values, lie):
                continue
            try:
                op = kind.of_aten(self._given(call, values, weights))
                shape = op.infer(*[self.nodes[value.node].output_shape for value in values])
            except (NotReadError, ShapeError):
                continue
            known = self.program.shapes.get(call.outputs[0])
            if known is not None and self._shape(known, lie) != shape:
                continue
            if self._place(call, op, values, shape, weights, lie):
                return True
        return False

    def _given(self, call: Call, values: Sequence[Value], weights: Mapping[str, Weight]) -> Given:
        output = self.program.shapes.get(call.outputs[0])
        return Given(
            target=call.target.removesuffix("_"),
            arguments={n: one for n, one in call.arguments.items() if not isinstance(one, Ref)},
            inputs=[self.nodes[value.node].output_shape for value in values],
            weights={name: one.shape for name, one in weights.items()},
            output=None if output is None else self._shape(output, values[0].lie),
            rank=len(values[0].shape),
        )

    def _place(
        self,
        call: Call,
        op: Op,
        values: Sequence[Value],
        shape: Shape,
        weights: Mapping[str, Weight],
        lie: Lie | None,
    ) -> bool:
        """Give a layer its node, where all its tensors lie under one path; whether they do."""
        held = _held(op, weights)
        if held is None:
            return False
        inputs = tuple([value.node for value in values])
        if not held:
            id = self._named(call, op, inputs)
        else:
            found = self._id_of_layer(call, op, held)
            if found is None:
                return False
            op, id = found
        self._append(id, op, inputs, shape, call)
        full = self.program.shapes.get(call.outputs[0])
        full = (self.batch, *shape) if full is None else full
        owner = values[0].owner if op.storage.value == "shared" else call.outputs[0]
        self.values[call.outputs[0]] = Value(id, full, lie, owner)
        return True

    def _id_of_layer(self, call: Call, op: Op, held: Mapping[str, str]) -> tuple[Op, str] | None:
        """A layer with tensors, and its id: the path of these; of one that has been called before,
        another call of it. None where it is no module that holds them by these names."""
        owners = {self.holders.get(key) for key in held.values()}
        if owners != {None}:
            homes = {owner[0] for owner in owners if owner is not None}
            own = {name: self.holders.get(key, ("", ""))[1] for name, key in held.items()}
            if len(homes) > 1 or None in owners or any(n != name for name, n in own.items()):
                return None
            (home,) = homes
            if self.nodes[home].op != op:
                return None
            again = moves.again(op, home, op.state)
            return again, self.names.unique(
                home.rpartition(".")[0], f"{home.rpartition('.')[2]}_again"
            )
        paths = {_home(key, name) for name, key in held.items()}
        path = paths.pop() if len(paths) == 1 else None
        if self.program.dialect == "onnx" and path is None:
            path = call.path
        id = None if path is None else self.names.of_module(path)
        if id is None and self.program.dialect == "onnx":
            id = self.names.unique(call.path.rpartition(".")[0], family(op))
        if id is None:
            return None
        for name, key in held.items():
            self.keys[key_of(id, name)] = key
            self.holders[key] = (id, name)
        return op, id

    def _named(self, call: Call, op: Op, inputs: Sequence[str]) -> str:
        """An id for what has no tensors of its own: below the path of the module of torch's that it
        belongs to, where that holds tensors or other modules."""
        last = call.scopes[-1] if call.scopes else None
        holds = last is not None and last.is_torchs and last.path in self.holding
        if last is not None and holds and _begins_in(last.path, inputs):
            return self.names.within_module(last.path, family(op))
        if last is not None and last.is_torchs and op.torch.module is None:
            call = replace(call, scopes=call.scopes[:-1])
        return self.names.of_call(call, op, inputs)

    def _append(self, id: str, op: Op, inputs: tuple[str, ...], shape: Shape, call: Call) -> None:
        self.nodes[id] = Node(id, op, inputs, shape)
        inside = [one for one in call.scopes if not one.path or f"{id}.".startswith(f"{one.path}.")]
        self.calls[id] = replace(call, scopes=tuple(inside))

    # Calls of functions

    def _tensor_call(self, call: Call, step: Step) -> None:
        """A node for a call of a function, or for one of the things that it puts out."""
        function = "select" if step.function == "unbind" else step.function
        lie = self.lies.of[step.output]
        lies = {name: self._value(name).lie for name in step.reads}
        found = ways(self.following.asked(step, lies))
        given = next((given for given, one in found if one == lie), None)
        if given is None:
            raise NotReadError("it mixes what is computed of several images")
        given = self._restricted(function, given)
        first = self._value(step.reads[0]) if step.reads else None
        is_as_it_was = first is not None and first.shape == step.shape
        if function in ("reshape", "expand") and first is not None and is_as_it_was:
            self.values[step.output] = first
            return
        if function in ("cat", "stack") and lie is not None:
            given = self._with_spread(call, given, step, lie)
        if function in _MADE:
            given["on"] = Ref(self._nearest())
        reads: list[str] = []
        arguments = {name: _operands(value, self.values, reads) for name, value in given.items()}
        own = self._shape(step.shape, lie)
        op = TensorCall(function, tuple(arguments.items()), own, self._counted(call, function))
        id = self._named(call, op, reads)
        self._append(id, op, tuple(reads), own, call)
        shares = SPELLINGS[function].is_view and first is not None
        owner = first.owner if shares and first is not None else step.output
        window = _window(first, given, step.shape) if function == "slice" and first else None
        self.values[step.output] = Value(id, step.shape, lie, owner, window)

    def _nearest(self) -> str:
        """The value that has been computed of images last."""
        return next(name for name in reversed(self.values) if self.values[name].lie is not None)

    def _restricted(self, function: str, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments that can be written. Raises `NotReadError` for any that says more."""
        spelling = SPELLINGS[function]
        known = {one.name: one for one in spelling.arguments}
        found: dict[str, Any] = {}
        for name, value in given.items():
            argument = known.get(name)
            if argument is None:
                ignored = name in _IRRELEVANT or value in _IGNORED.get(name, ())
                if not ignored:
                    raise NotReadError(f"its {visible(name)} cannot be written")
                continue
            is_word = isinstance(value, str) and (value in argument.words or name == "equation")
            if not (is_word or _is_written(value)):
                raise NotReadError(f"its {visible(name)} is not a fixed number")
            found[name] = value
        return found

    def _with_spread(
        self, call: Call, given: dict[str, Any], step: Step, lie: Lie
    ) -> dict[str, Any]:
        """What is joined, with a tensor for each image where all share one."""
        parts = given["tensors"]
        like = next(one.name for one in parts if self._value(one.name).lie is not None)
        of_like = self._value(like).lie
        axis = lie.axis if of_like is None else of_like.axis
        return {**given, "tensors": tuple([self._spread(call, one, like, axis) for one in parts])}

    def _spread(self, call: Call, part: Ref, like: str, axis: int) -> Ref:
        value, other = self._value(part.name), self._value(like)
        if value.lie is not None:
            return part
        if other.lie is None or other.lie.places != 1 or value.shape[axis] != 1:
            raise NotReadError("it mixes what is computed of several images")
        name = f"{part.name}@{other.node}@{axis}"
        if name not in self.values:
            arguments = (
                *(("self", Operand(0)), ("like", Operand(1)), ("axis", axis)),
                *(("like_axis", other.lie.axis), ("rank", len(value.shape))),
            )
            full = (*value.shape[:axis], self.batch, *value.shape[axis + 1 :])
            own = self._shape(full, Lie(axis))
            op = TensorCall("spread", arguments, own)
            id = self._named(call, op, (value.node, other.node))
            self._append(id, op, (value.node, other.node), own, call)
            self.values[name] = Value(id, full, Lie(axis), value.owner)
        return Ref(name)

    def _counted(self, call: Call, function: str) -> Op | None:
        """The op that multiplies as a call does, if there is one."""
        weights = {
            name: self._value(one.name).shape
            for name, one in call.arguments.items()
            if isinstance(one, Ref) and name in ("weight", "bias", "mat2") and function != "bmm"
            if self._value(one.name).lie is None
        }
        others = [call.arguments.get(name) for name in ("weight", "bias")]
        values = [self._value(name) for name in call.reads if Ref(name) not in others]
        given = Given(
            call.target.removesuffix("_"),
            {n: one for n, one in call.arguments.items() if not isinstance(one, Ref)},
            [self._shape(value.shape, value.lie) for value in values],
            weights,
            rank=len(values[0].shape) if values else 0,
        )
        for kind in _COUNTED.get(function, ()):
            with suppress(NotReadError, ShapeError):
                return EVERY_OP[kind].of_aten(given)
        return None

    # In place

    def _check_in_place(self, name: str) -> None:
        """Refuse to lose what is written over a part of something that is read later."""
        value = self._value(name)
        for other, one in self.values.items():
            is_part = other != name and one.owner == value.owner and one != value
            if is_part and self.last_read.get(other, -1) > self.at:
                raise NotReadError("it writes over a part of what is read later")

    def _fill(self, call: Call, value: Value) -> None:
        """A number for a part of a tensor that is computed from none of the images."""
        if value.lie is not None:
            raise NotReadError("it fills a part of what is computed of images")
        number = call.arguments.get("value", 0)
        if isinstance(number, Ref) or not isinstance(number, (bool, int, float)):
            raise NotReadError("it fills a tensor with what is not a number")
        base = self._value(value.owner)
        window = value.window
        if window is None:
            window = tuple([(0, size) for size in base.shape])
            if value.shape != base.shape or value.owner not in (call.reads[0],):
                raise NotReadError("it writes over a part of a tensor")
        box = (number, *[Side(*side) for side in window])
        for other, one in self.values.items():
            is_part = other not in (value.owner, call.reads[0]) and one.owner == value.owner
            if is_part and self.last_read.get(other, -1) > self.at:
                raise NotReadError("it writes over a part of what is read later")
        filled = _filled(box, base.shape)
        id = self._named(call, filled, (base.node,))
        self._append(id, filled, (base.node,), base.shape or (1,), call)
        self.values[value.owner] = Value(id, base.shape, None, value.owner)
        self.values[call.outputs[0]] = self.values[value.owner]


_COUNTED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(["linear", "addmm"], ("linear", "token_linear")),
    **dict.fromkeys(["matmul", "bmm", "mm"], ("matmul",)),
    **{one: (one,) for one in ("conv2d", "conv_transpose2d")},
    "einsum": ("einsum",),
    "scaled_dot_product_attention": ("attention",),
}
"""Which ops of archc functions are that multiply, by kind."""


def _usual_type(function: str, given: Mapping[str, Argument]) -> str:
    """The type of what a function makes that is not told which."""
    if function in ("zeros", "ones"):
        return "float32"
    names = ["fill_value"] if function == "full" else ["start", "end", "step"]
    values = [given[name] for name in names if name in given]
    if any(isinstance(one, bool) for one in values):
        return "bool"
    return "int64" if all(isinstance(one, int) for one in values) else "float32"


def _filled(box: tuple[Any, ...], shape: Shape) -> TensorCall:
    return TensorCall("filled", (("self", Operand(0)), ("boxes", (box,))), shape or (1,))


def _join_fills(nodes: dict[str, Node]) -> None:
    """Fill tensors with all that they are filled with at once."""
    for node, own, before in _in_a_row(nodes, ("filled",)):
        boxes = (*before["boxes"], *own["boxes"])
        arguments = (("self", Operand(0)), ("boxes", boxes))
        _replace(nodes, node, TensorCall("filled", arguments, node.output_shape))


def _join_slices(nodes: dict[str, Node]) -> None:
    """Take slices of sides, the first ones first, at once."""
    for node, own, before in _in_a_row(nodes, ("slice", "slices")):
        sides = (*_sides(before), *_sides(own))
        dims = [side[0] for side in sides]
        if min(dims) >= 0 and dims == sorted(set(dims)):
            arguments = (("self", Operand(0)), ("sides", sides))
            _replace(nodes, node, TensorCall("slices", arguments, node.output_shape))


def _sides(given: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    if "sides" in given:
        return tuple(given["sides"])
    return ((given["dim"], given["start"], given["end"], given["step"]),)


def _in_a_row(
    nodes: dict[str, Node], functions: tuple[str, ...]
) -> Iterator[tuple[Node, Mapping[str, Any], Mapping[str, Any]]]:
    """Calls of functions that alone read another such call, with the arguments of both."""
    readers = Counter(source for node in nodes.values() for source in node.inputs)
    for id in list(nodes):
        node = nodes[id]
        before = nodes.get(node.inputs[0]) if node.inputs else None
        if before is None or readers[before.id] > 1 or len(node.inputs) > 1:
            continue
        own, first = (
            dict(one.op.arguments)
            if isinstance(one.op, TensorCall) and one.op.function in functions
            else None
            for one in (node, before)
        )
        if own is not None and first is not None:
            yield node, own, first


def _replace(nodes: dict[str, Node], node: Node, op: TensorCall) -> None:
    """Have a node compute what it and the one before it do."""
    before = nodes.pop(node.inputs[0])
    nodes[node.id] = node._replace(op=op, inputs=before.inputs)


def _begins_in(path: str, inputs: Sequence[str]) -> bool:
    """Whether what reads these can stand in a module: it reads one value, or one of the module."""
    return len(set(inputs)) <= 1 or any(one.startswith(f"{path}.") for one in inputs)


def _is_zero(pads: Argument) -> bool:
    return isinstance(pads, tuple) and not any(pads)


_OF_CHANNELS = frozenset(["softmax", "layer_scale", "affine", "prelu"])
"""Ops on elements that ask which side is that of the channels."""


def _acts(kind: type[Op], values: Sequence[Value], lie: Lie | None) -> bool:
    """Whether an op is one for values in which the images lie like this."""
    count = len(values)
    if kind.arity is Arity.ONE and count != 1:
        return False
    if kind.arity is Arity.SEVERAL and (count < 2 or len({one.node for one in values}) < count):
        return False
    if issubclass(kind, ElementWise) and kind.kind not in _OF_CHANNELS:
        return True
    if kind.kind == "add":
        return len({one.shape for one in values}) == 1
    if kind.kind in _ANYWHERE:
        rank = len(values[0].shape)
        return rank > 1 and (lie is None or lie.axis < rank - 1)
    return lie == Lie(0)


def _held(op: Op, weights: Mapping[str, Weight]) -> dict[str, str] | None:
    """The model's keys of the tensors that a layer has, by its names; None where it does not have
    all of those that the call reads, or they are others', or the layer would learn what the model
    does not."""
    if "" in op.state:
        own = dict(zip([""], weights.values(), strict=False))
    else:
        own = {name: weights[name] for name in op.state if name in weights}
    needed = {name for name in op.state if name != "num_batches_tracked"}
    is_whole = needed == own.keys() and len(own) == len(weights)
    learns_more = any(not own[name].is_learned for name in own.keys() - op.buffers)
    return {n: one.key for n, one in own.items()} if is_whole and not learns_more else None


def _home(key: str, name: str) -> str | None:
    """The path of the module that has a tensor under a key, by what the layer calls it."""
    if not name:
        return key
    path, _, last = key.rpartition(".")
    return path if last == name and is_path(path or "-") else None


def _is_written(value: Any) -> bool:
    """Whether an argument is a tensor, a number, or a list of such."""
    if isinstance(value, tuple):
        return all(map(_is_written, value))
    return isinstance(value, Ref) or is_typed(value)


def _operands(value: Any, values: Mapping[str, Value], reads: list[str]) -> Any:
    """An argument with values by their number among those that are read."""
    if isinstance(value, tuple):
        return tuple([_operands(one, values, reads) for one in value])
    if not isinstance(value, Ref):
        return value
    node = values[value.name].node
    if node not in reads:
        reads.append(node)
    return Operand(reads.index(node))


def _window(
    first: Value, given: Mapping[str, Any], shape: tuple[int, ...]
) -> tuple[tuple[int, int], ...] | None:
    """Which part of the tensor whose memory it shares a slice is."""
    whole = tuple([(0, size) for size in first.shape])
    before = first.window if first.window is not None else whole
    dim, step = given["dim"] % len(shape), given.get("step", 1)
    if step != 1 or first.lie is not None:
        return None
    size = first.shape[dim]
    start = given.get("start") or 0
    start = max(start + size, 0) if start < 0 else min(start, size)
    low = before[dim][0] + start
    return (*before[:dim], (low, low + shape[dim]), *before[dim + 1 :])


def told(name: str, refused: Mapping[str, str], nodes: Mapping[str, Node]) -> str:
    """What a message says of what cannot be written: the first of it, and why."""
    id, why = next(iter(refused.items()))
    called = quote(visible(nodes[id].op.called))
    what = f"archc does not know how to write {called} at `{quote_name(id)}`"
    return f"{name} cannot be written in PyTorch: {what}{f': {why}' if why else ''}"
