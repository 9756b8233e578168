"""A program as a network: which ops its calls are, what they read, what they are called.

Calls that only lay a tensor out otherwise make no node where what reads it can take it as it was:
channels moved last and back, channels in groups, parts of a split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import cache
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.naming import Names, family, is_path
from archc.frontends.program import Argument, Call, ForeignError, Program, Ref, Weight
from archc.graph import Node, Shape
from archc.graph.network import key_of
from archc.ops import Arity, Identity, Op, ShapeError, moves
from archc.ops.foreign import EVERY_OP
from archc.ops.given import Given, NotReadError
from archc.ops.traits import ElementWise
from archc.text import listing, quote, visible

MAX_DETAILS = 200
"""Characters of an opaque op's arguments."""


# Forms: how a value lies beside the node whose value it is.


@dataclass(frozen=True, slots=True)
class Plain:
    """As the node puts it out."""


@dataclass(frozen=True, slots=True)
class Last:
    """A map with its channels last."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """A map with its channels in groups, ``turned`` when these have changed places with the
    channels of each."""

    groups: int
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Subsampled:
    """Every ``stride``-th row, and with ``both`` column, of a map."""

    stride: int
    both: bool = False


Form: TypeAlias = Plain | Last | Grouped | Subsampled
PLAIN, LAST = Plain(), Last()


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the program: the node that it comes from, and how it lies.

    ``shape`` is its own with the batch; ``owner`` is the name of the tensor whose memory it shares.
    """

    node: str
    shape: tuple[int, ...]
    form: Form = PLAIN
    owner: str = ""


@dataclass(frozen=True)
class Built:
    """The nodes of a program, and under which keys of its own it has the tensors of theirs."""

    nodes: Mapping[str, Node]
    keys: Mapping[str, str]
    outputs: tuple[str, ...]
    calls: Mapping[str, Call]
    """The call that each node comes from, by id."""
    has_paths: bool = True
    """Whether the model says anything of modules."""
    given: Mapping[str, Value] = field(default_factory=dict)
    """What the program takes besides images, by its names."""
    folded: frozenset[str] = frozenset()
    """The paths of norms that an exporter has folded into the layers before them."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """The innermost module of each node's call, by id, as the model has it."""


def build(program: Program) -> Built:
    """The nodes of a program. Raises `ForeignError` where it does what no network of archc can."""
    return _Building(program).built()


@cache
def _readers() -> Mapping[str, tuple[type[Op], ...]]:
    """The ops that go by each of torch's names."""
    readers: dict[str, tuple[type[Op], ...]] = {}
    for op in EVERY_OP.values():
        for name in op.torch.exported:
            name = name.removesuffix("_")
            readers[name] = (*readers.get(name, ()), op)
    return readers


_VIEWS = frozenset(
    [
        *("view", "reshape", "permute", "transpose", "flatten", "unflatten", "slice", "select"),
        *("split", "split_with_sizes", "chunk", "unbind", "unsqueeze", "squeeze", "expand"),
        *("narrow", "as_strided", "t", "movedim", "diagonal", "view_as", "alias", "detach"),
    ]
)
"""Calls whose results may share the memory of what they read."""


_NEW = frozenset(
    [
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided", "zeros_like"),
        *("ones_like", "full_like", "empty_like", "rand_like", "randn_like"),
    ]
)
"""Calls that read of a value but its shape and its type."""


MAX_PARTS = 100
"""Values that concatenations join in the end for which it is looked whether they go on from others;
dense blocks have up to 64."""


class _Joined:
    """Concatenations by what they join in the end."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[str, ...]] = {}
        self.after: dict[tuple[int, str], int] = {}
        """Rows of values, each by that without its last one, and that."""
        self.made: dict[int, str] = {}

    def note(self, id: str, inputs: Sequence[str]) -> None:
        """Note what a concatenation joins."""
        parts = self._spread(inputs)
        if len(parts) > MAX_PARTS:
            return
        self.parts[id] = parts
        row = 0
        for part in parts:
            row = self.after.setdefault((row, part), len(self.after) + 1)
        self.made[row] = id

    def begun(self, inputs: Sequence[str]) -> Sequence[str]:
        """What is joined, beginning with what has been joined before, as in dense blocks: they add
        to what there is."""
        parts = self._spread(inputs)
        longest, row = 0, 0
        for count, part in enumerate(parts[:MAX_PARTS], 1):
            row = self.after.get((row, part), 0)
            if not row:
                break
            if row in self.made and 1 < count < len(parts):
                longest, id = count, self.made[row]
        return (id, *parts[longest:]) if longest else inputs

    def _spread(self, inputs: Sequence[str]) -> tuple[str, ...]:
        return tuple([part for one in inputs for part in self.parts.get(one, (one,))])


@dataclass
class _Building:
    program: Program
    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    parts: dict[str, tuple[str, int]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    constants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What is computed from the model's tensors alone, with the names of these."""
    said: dict[str, str] = field(default_factory=dict)
    """The paths of the modules that layers stand in, as the model says."""
    layers: dict[str, tuple[Op, Shape]] = field(default_factory=dict)
    """The layers on tensors of the model alone, by the names of their calls."""
    works: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls of such layers that a value is computed with."""
    worked: set[str] = field(default_factory=set)
    """Those of them that some op counts."""
    holders: dict[str, str] = field(default_factory=dict)
    """The ids of the ops that have the model's tensors, by key."""
    counted: set[str] = field(default_factory=set)
    """The names of the tensors that some op has."""
    fixed: set[str] = field(default_factory=set)
    """The keys of the tensors that are not learned."""
    joined: _Joined = field(default_factory=_Joined)
    roots: dict[str, str] = field(default_factory=dict)
    """The constants whose memory others share, by the names of these."""
    sharing: dict[str, list[str]] = field(default_factory=dict)
    """The names of the values that share a tensor's memory, by that tensor's."""
    last_read: dict[str, int] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)
    given: dict[str, Value] = field(default_factory=dict)
    at: int = 0

    def built(self) -> Built:
        program = self.program
        self.names = Names(program.calls)
        keys = [one.key for one in program.weights.values()]
        self.fixed = {one.key for one in program.weights.values() if not one.is_learned}
        self.names.note_tensors(keys, surround=program.dialect == "onnx")
        self._given_values()
        for index, call in enumerate(program.calls):
            for name in call.reads:
                self.last_read[name] = index
                self.readers[name] += 1
        for name in program.outputs:
            self.last_read[name] = len(program.calls)
        for self.at, call in enumerate(program.calls):
            self._call(call)
        if not program.outputs:
            raise ForeignError(f"{program.source or 'the model'} puts out nothing")
        outputs = tuple([self._plain(self._value(name, None), None) for name in program.outputs])
        if len(distinct := tuple(dict.fromkeys(outputs))) > 1:
            shape = self.nodes[distinct[0]].output_shape
            id = self.names.unique("", "outputs")
            outputs = (self._append(id, moves.ends(len(distinct)), distinct, shape, None),)
        folded = frozenset(self._folded() if program.dialect == "onnx" else ())
        has_paths = self.names.has_paths
        built = Built(self.nodes, self.keys, outputs, self.calls, has_paths, self.given, folded)
        return self._cleaned(replace(built, paths=self.said))

    def _given_values(self) -> None:
        """The images, the first of the inputs that can be, and whatever else is given."""
        inputs = self.program.inputs
        images = next((name for name, shape in inputs.items() if len(shape) == 4), None)
        if images is None:
            shapes = [f"{quote(visible(n))} is {'x'.join(map(str, s))}" for n, s in inputs.items()]
            what = f"it takes no images (batch, channels, height, width): {listing(shapes, 'and')}"
            raise ForeignError(what if shapes else "it takes nothing")
        shape = inputs[images]
        self.batch = shape[0]
        image = shape[1:]
        form: Form = PLAIN
        if self.program.channels_last:
            image, form = (shape[3], *shape[1:3]), LAST
        self.nodes["input"] = Node("input", moves.image(), (), image)
        self._keep(images, Value("input", shape, form, owner=images))
        modules = {call.path.partition(".")[0] for call in self.program.calls}
        for name, full in inputs.items():
            if name != images:
                shown = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:40] or "value"
                shown = shown if shown[0].isalpha() else f"value_{shown}"
                shown = f"{shown}_input" if shown in modules else shown
                id, own = self.names.unique("", shown), self._shape(full)
                dtype = self.program.types.get(name, "float32")
                self._append(id, moves.given(id, own, dtype), ("input",), own, None)
                self.given[name] = Value(id, full, owner=name)
                self._keep(name, self.given[name])

    def _folded(self) -> Iterator[str]:
        """The counted modules that are gone behind layers whose weights are not their own any more,
        or which stand under the path of what is gone."""
        for id, node in self.nodes.items():
            parent, _, last = id.rpartition(".")
            if not (node.op.kind == "conv2d" and last.isdigit() and self.keys.get(f"{id}.bias")):
                continue
            following = f"{parent}.{int(last) + 1}" if parent else str(int(last) + 1)
            if following in self.names.taken or following in self.names.around:
                continue
            if self.keys[f"{id}.weight"] != f"{id}.weight" or self.said[id] == following:
                yield following

    def _cleaned(self, built: Built) -> Built:
        """Without what no output needs."""
        needed = {"input", *built.outputs}
        for node in reversed(list(built.nodes.values())):
            if node.id in needed:
                needed.update(node.inputs)
        nodes = {id: node for id, node in built.nodes.items() if id in needed}
        keys = {
            key: theirs
            for id, node in nodes.items()
            for key in (key_of(id, name) for name in node.op.state)
            if (theirs := built.keys.get(key)) is not None
        }
        return replace(built, nodes=nodes, keys=keys)

    # Values

    def _value(self, name: str, call: Call | None) -> Value:
        value = self.values.get(name)
        if value is None:
            shown, file = quote(visible(name)), self.program.source or "the model"
            if call is None:
                raise ForeignError(f"{file}: no call computes the output {shown}")
            raise ForeignError(
                f"{file}: {call.shown} reads {shown}, which no earlier call computes"
            )
        return value

    def _shape(self, full: tuple[int, ...]) -> Shape:
        """A shape without the batch; one of a single number where there is nothing else."""
        if full and full[0] == self.batch:
            return full[1:] or (1,)
        return full or (1,)

    def _plain(self, value: Value, call: Call | None) -> str:
        """The node of a value as it lies: one more where it lies otherwise than its node says."""
        if value.form == PLAIN:
            return value.node
        source = self.nodes[value.node].output_shape
        if isinstance(value.form, Subsampled) and value.form.both and len(source) == 3:
            op = moves.padded(source[0], 0, value.form.stride)  # option A where widths are equal
            made = self.names.within_module(self._place_of(value, call), op.kind)
            return self._append(made, op, (value.node,), op.infer(source), call)
        words = {Last: "permute", Grouped: "view", Subsampled: "slice"}
        name = words[type(value.form)]
        if isinstance(value.form, Grouped) and value.form.turned:
            name = "transpose"
        shape = self._shape(value.shape)
        made = self.names.within_module(self._place_of(value, call), name)
        return self._append(made, moves.unknown(name, shape), (value.node,), shape, call)

    def _place_of(self, value: Value, call: Call | None) -> str:
        """The path of the module in which a value is read, or where it comes from."""
        around = [scope.path for scope in call.scopes if not scope.is_torchs] if call else []
        return around[-1] if around else value.node.rpartition(".")[0]

    def _as_it_lies(self, value: Value, call: Call) -> Value:
        """A value whose node says how it lies."""
        if value.form == PLAIN:
            return value
        return Value(self._plain(value, call), value.shape, owner=value.owner)

    def _append(
        self, id: str, op: Op, inputs: tuple[str, ...], shape: Shape, call: Call | None
    ) -> str:
        self.nodes[id] = Node(id, op, inputs, shape)
        if call is not None:
            self.said[id] = call.path
            inside = tuple(
                [one for one in call.scopes if not one.path or f"{id}.".startswith(f"{one.path}.")]
            )
            self.calls[id] = call if inside == call.scopes else replace(call, scopes=inside)
        return id

    def _set(
        self,
        call: Call,
        node: str,
        form: Form = PLAIN,
        *,
        shape: tuple[int, ...] | None = None,
        owner: str = "",
        output: str | None = None,
    ) -> None:
        """Say what a call puts out."""
        name = call.outputs[0] if output is None else output
        full = self._full(call, name, node) if shape is None else shape
        self._keep(name, Value(node, full, form, owner or name))

    def _keep(self, name: str, value: Value) -> None:
        self.values[name] = value
        self.sharing.setdefault(value.owner, []).append(name)

    def _full(self, call: Call, name: str, node: str) -> tuple[int, ...]:
        known = self.program.shapes.get(name)
        return known if known is not None else (self.batch, *self.nodes[node].output_shape)

    # Calls

    def _call(self, call: Call) -> None:
        if call.target in ("_operator.getitem", "builtin.getitem"):
            return
        plain = call.function
        reads = [one for one in call.reads if one in self.values]
        if not reads or plain in _NEW:
            self._constant(call, is_view=plain in _VIEWS)
            return
        if call.is_in_place and call.reads[0] not in self.values:
            self._write_over(call, plain, [self.values[one] for one in reads])
            return
        if call.is_in_place:
            self._check_in_place(call, call.reads[0])
        handler = _HANDLERS.get(plain)
        first = self._value(reads[0], call)
        is_free = handler in _ANYWHERE or first.shape[:1] == (self.batch,)
        if handler is None or not is_free or not handler(self, call, first):
            self._op(call, plain)
        if call.is_in_place and call.outputs[0] in self.values:
            self._keep(call.reads[0], self.values[call.outputs[0]])

    def _write_over(self, call: Call, plain: str, reads: Sequence[Value]) -> None:
        """A constant that values of the images are written over, in part or as a whole."""
        first = call.reads[0]
        inputs = tuple([self._plain(value, call) for value in reads])
        held = _shapes(self._others(call))
        for name in dict.fromkeys((self.roots.get(first, first), first, *call.outputs)):
            full = self.program.shapes.get(name)
            if full is None or self.last_read.get(name, -1) <= self.at:
                continue
            shape = self._shape(full)
            op = moves.unknown(plain, shape, "", held)
            id = self._append(self.names.of_call(call, op), op, inputs, shape, call)
            self._keep(name, Value(id, full, owner=name))
            held = ()

    def _constant(self, call: Call, *, is_view: bool = False) -> None:
        """A call on constants alone: what is made of it is not followed."""
        if is_view and call.reads:
            root = self.roots.get(call.reads[0], call.reads[0])
            self.roots.update(dict.fromkeys(call.outputs, root))
        for output in call.outputs:
            self.constants[output] = tuple(self._sources(call))
        self._note_layer(call)

    def _sources(self, call: Call) -> list[str]:
        """The tensors of the model that a call reads, at first hand or computed from."""
        names: dict[str, None] = {}
        for name in call.reads:
            if name in self.program.weights:
                names[name] = None
            names.update(dict.fromkeys(self.constants.get(name, ())))
        return list(names)

    def _check_in_place(self, call: Call, name: str) -> None:
        """Refuse to lose what is written over a view of something that is read later."""
        value = self._value(name, call)
        sharing = self.sharing.get(value.owner, ())
        alive = [one for one in sharing if self.last_read.get(one, -1) > self.at]
        self.sharing[value.owner] = alive
        for other in alive:
            one = self.values[other]
            if other != name and one.owner == value.owner and one != value:
                raise ForeignError(
                    f"{call.shown} writes over a part of {quote(visible(other))}, which is read "
                    "later",
                    "export it without the operation in place",
                    call=call.name,
                )

    def _op(self, call: Call, plain: str) -> None:
        """The op that a call is, by the records; opaque where none knows it."""
        values = {name: self._value(name, call) for name in call.reads if name in self.values}
        reads = [values[name] for name in call.reads if name in values]
        weights = {
            argument: self.program.weights[one.name]
            for argument, one in call.arguments.items()
            if isinstance(one, Ref) and one.name in self.program.weights
        }
        forms = {value.form for value in reads}
        is_subsampled = any(isinstance(form, Subsampled) for form in forms)
        if is_subsampled or (len(forms) > 1 and forms <= {PLAIN, LAST}):
            reads = [self._as_it_lies(value, call) for value in reads]
            forms = {PLAIN}
        form = forms.pop()
        is_twice = len({value.node for value in reads}) < len(reads) and len(reads) > 1
        known = _readers().get(plain, ()) if not forms and form in (PLAIN, LAST) else ()
        if sum(one in self.last_read for one in call.outputs) > 1:
            known = ()  # as of a pooling whose indices are used
        for kind in known:
            given = self._given(call, reads, weights, form)
            try:
                op = kind.of_aten(given)
                self._check_form(op, form)
                if not self._reads_well(op, reads):
                    continue
                shape = op.infer(*given.inputs)
            except (NotReadError, ShapeError):
                continue
            if self._agrees(call, op, shape, form) and self._holds(op, weights):
                inputs = [value.node for value in reads]
                if is_twice and kind.arity is Arity.SEVERAL:
                    inputs = self._apart(call, reads)
                self._place(call, op, inputs, shape, form)
                return
        self._opaque(call, plain, reads)

    def _given(
        self, call: Call, reads: Sequence[Value], weights: Mapping[str, Weight], form: Form
    ) -> Given:
        """A call as records read it, in terms of maps whose channels come first."""
        output = self.program.shapes.get(call.outputs[0])
        return Given(
            target=call.target.removesuffix("_"),
            arguments={
                name: one for name, one in call.arguments.items() if not isinstance(one, Ref)
            },
            inputs=[self.nodes[value.node].output_shape for value in reads],
            weights={name: one.shape for name, one in weights.items()},
            output=None if output is None else self._shape(output),
            rank=len(reads[0].shape),
        )

    def _reads_well(self, op: Op, reads: Sequence[Value]) -> bool:
        """Whether an op reads as many values as it can."""
        return op.arity is not Arity.ONE or len(reads) == 1

    def _check_form(self, op: Op, form: Form) -> None:
        """Raise `NotReadError` for an op that does not act on values that lie like this."""
        acts_on_last = op.kind in ("layer_norm", "channel_linear", "add", "multiply")
        if form == LAST and not (acts_on_last or (isinstance(op, ElementWise) and not op.state)):
            raise NotReadError("it reads channels where they are not")
        if form == PLAIN and op.kind == "channel_linear":
            raise NotReadError("it reads channels last")

    def _agrees(self, call: Call, op: Op, shape: Shape, form: Form) -> bool:
        """Whether the model says the same of what an op puts out, where it says anything."""
        known = self.program.shapes.get(call.outputs[0])
        if form == LAST:
            shape = (*shape[1:], shape[0])
        return known is None or self._shape(known) == shape

    def _holds(self, op: Op, weights: Mapping[str, Weight]) -> bool:
        """Whether the tensors that an op needs are tensors of the model."""
        needed = {name for name in op.state if name not in ("", "num_batches_tracked")}
        return needed <= weights.keys() if needed else True

    def _place(
        self, call: Call, op: Op, inputs: Sequence[str], shape: Shape, form: Form = PLAIN
    ) -> None:
        """Put an op into the network, under the name that it bears in the model."""
        if op.arity is Arity.SEVERAL and len(inputs) == 1:  # a sum of one
            self._set(call, inputs[0], form, owner=self._owner(call))
            return
        if op.kind == "concat":
            inputs = self.joined.begun(inputs)
        op = self._again(call, op)
        held = self._held(call, op.plain)
        others = self._others(call, held.values())
        op = moves.besides(op, _shapes(others), self._computed(call))
        id = self._named(call, op, inputs)
        for name, one in others.items():
            self.keys[key_of(id, name)] = one.key
        self._append(id, op, tuple(inputs), shape, call)
        if op.kind == "concat":
            self.joined.note(id, inputs)
        owner = self._owner(call) if op.storage.value == "shared" else ""
        self._set(call, id, form, owner=owner)

    def _apart(self, call: Call, reads: Sequence[Value]) -> list[str]:
        """The nodes that a merge reads, which are different ones: what it reads again is a value
        that is the same."""
        found: list[str] = []
        for value in reads:
            id = value.node
            if id in found:
                op = Identity()
                id = self._unique(call, op)
                self._append(id, op, (value.node,), self.nodes[value.node].output_shape, call)
            found.append(id)
        return found

    def _again(self, call: Call, op: Op) -> Op:
        """The op, or another call of one that has some of its tensors; without those that are not
        learned where the op would learn them."""
        if not op.state:
            return op
        held = self._held(call, op)
        lent = [name for name, key in held.items() if key in self.holders]
        fixed = [name for name, key in held.items() if key in self.fixed and name not in op.buffers]
        if not lent and not fixed:
            return op
        names = [name for name in op.state if name not in held or name in (*lent, *fixed)]
        return moves.again(op, self.holders[held[lent[0]]] if lent else "", names)

    def _owner(self, call: Call) -> str:
        return next(self.values[name].owner for name in call.reads if name in self.values)

    def _named(self, call: Call, op: Op, inputs: Sequence[str]) -> str:
        held = self._held(call, op)
        if not held and op.shares:
            return self._unique(call, op)
        if not held:
            return self.names.of_call(call, op.plain, inputs)
        paths = {_path(key, name) for name, key in held.items()}
        path = paths.pop() if len(paths) == 1 else None
        if self.program.dialect == "onnx":
            path = self._path_in_onnx(call, held)
        elif call.scopes and call.scopes[-1].is_torchs and self._is_lent(call):
            path = call.path  # its tensors may be called as those of another module
        id = None if path is None else self.names.of_module(path)
        if id is None:
            id = self._unique(call, op)
        for name, key in held.items():
            self.keys[key_of(id, name)] = key
            self.holders.setdefault(key, id)
        self.counted.update(self._sources(call))
        return id

    def _unique(self, call: Call, op: Op) -> str:
        """An id that nothing has yet, beside the module that a call is of."""
        parent, _, last = call.path.rpartition(".")
        word = last if op.shares and is_path(last) and not last.isdigit() else family(op.plain)
        return self.names.unique(parent, word)

    def _is_lent(self, call: Call) -> bool:
        """Whether another call reads a tensor of the model that this one reads."""
        return any(self.readers[name] > 1 for name in call.reads if name in self.program.weights)

    def _path_in_onnx(self, call: Call, held: Mapping[str, str]) -> str:
        """The path of a layer: its weight's where that has kept its name and is nobody else's,
        otherwise what the exporter says, which takes a folded norm's for the layer's."""
        path = _path(held.get("weight", ""), "weight")
        if "" in held:
            path = held[""]
        if path and self.readers[held.get("weight", path)] == 1:
            return path
        bias = held.get("bias", "")
        beside = _path(bias, "bias") if self.readers[bias] == 1 else ""
        return call.path or beside  # optimizers rename what they put together

    def _held(self, call: Call, op: Op) -> dict[str, str]:
        """The model's keys of the tensors that an op has, by their names in the op."""
        weights = {
            argument: self.program.weights[one.name].key
            for argument, one in call.arguments.items()
            if isinstance(one, Ref) and one.name in self.program.weights
        }
        if "" in op.state:
            return dict.fromkeys([""], *weights.values())
        return {name: weights[name] for name in op.state if name in weights}

    def _opaque(self, call: Call, plain: str, reads: Sequence[Value]) -> None:
        """What no record knows: a node with the model's own shape for each thing it puts out."""
        inputs = tuple([self._plain(value, call) for value in reads])
        weights = self._others(call)
        held = _shapes(weights)
        for number, output in enumerate(call.outputs):
            if not output or output not in self.last_read:
                continue
            known = self.program.shapes.get(output)
            if known is None:
                raise ForeignError(
                    f"{call.shown} is not an op that archc knows, and the model does not give "
                    "the shape of its output",
                    call=call.name,
                )
            details = _details(call) + (f" [{number}]" if len(call.outputs) > 1 else "")
            shape = self._shape(known)
            op = moves.unknown(plain, shape, details[:MAX_DETAILS], held)
            op = moves.besides(op, (), self._computed(call))
            id = self._named_opaque(call, op, weights)
            self._append(id, op, inputs, shape, call)
            owner = reads[0].owner if plain in _VIEWS and reads else ""
            self._set(call, id, output=output, owner=owner)
            held = ()

    def _others(self, call: Call, held: Collection[str] = ()) -> dict[str, Weight]:
        """The tensors of the model that a call reads, directly or computed from, and no op has;
        ``held`` are the keys of those that the call's own op has."""
        weights = self.program.weights
        names = [one for one in self._sources(call) if one not in self.counted]
        names = [one for one in names if weights[one].key not in held]
        if held and self.program.dialect == "onnx":
            return {}
        self.counted.update(names)
        return _worded([weights[name] for name in names])

    def _computed(self, call: Call) -> list[tuple[Op, Shape]]:
        """The layers that compute what a call reads of tensors of the model alone, each once."""
        names = [one for name in call.reads for one in self.works.get(name, ())]
        new = [one for one in dict.fromkeys(names) if one not in self.worked]
        self.worked.update(new)
        return [self.layers[name] for name in new]

    def _note_layer(self, call: Call) -> None:
        """Note a layer on tensors of the model alone, and what is made of such."""
        names = [one for name in call.reads for one in self.works.get(name, ())]
        weights = {
            argument: self.program.weights[one.name].shape
            for argument, one in call.arguments.items()
            if isinstance(one, Ref) and one.name in self.program.weights
        }
        shape = self.program.shapes.get(call.outputs[0])
        given = Given(call.target, {}, [], {n: s for n, s in weights.items() if n != "input"})
        for kind in _readers().get(call.target.partition(".")[2], ()) if shape else ():
            if kind.kind == "token_linear" and "weight" in given.weights and shape:
                with suppress(NotReadError):
                    self.layers[call.name] = (kind.of_aten(given), shape)
                    names.append(call.name)
        if names:
            self.works.update(dict.fromkeys(call.outputs, tuple(names)))

    def _named_opaque(self, call: Call, op: Op, weights: Mapping[str, Weight]) -> str:
        id = self.names.of_call(call, op)
        for name, one in weights.items():
            self.keys[key_of(id, name)] = one.key
        return id

    # Calls that lay tensors out

    def _same(self, call: Call, value: Value) -> bool:
        """A call that puts out what it reads."""
        self._set(call, value.node, value.form, shape=value.shape, owner=value.owner)
        return True

    def _cast(self, call: Call, value: Value) -> bool:
        """A call that changes no type."""
        return self.program.keeps_type(call) and self._same(call, value)

    def _expand(self, call: Call, value: Value) -> bool:
        """A call that repeats nothing."""
        known = self.program.shapes.get(call.outputs[0])
        return known == value.shape and self._same(call, value)

    def _as_strided(self, call: Call, value: Value) -> bool:
        """A call that lays a tensor out as it is."""
        shape, strides = value.shape, call.arguments.get("stride")
        if call.arguments.get("size") != shape or call.arguments.get("storage_offset"):
            return False
        step, expected = 1, []
        for side in reversed(shape):
            expected.append(step)
            step *= side
        given = strides if isinstance(strides, tuple) and len(strides) == len(shape) else ()
        plain = zip(given, reversed(expected), shape, strict=False)
        fits = bool(given) and all(side == 1 or a == b for a, b, side in plain)
        return fits and value.form == PLAIN and self._same(call, value)

    def _permute(self, call: Call, value: Value) -> bool:
        dims = call.arguments.get("dims")
        if isinstance(value.form, Grouped) and dims == (0, 2, 1, 3, 4):
            return self._turn(call, value)
        turns: dict[tuple[tuple[int, ...], Form], Form] = {
            ((0, 2, 3, 1), PLAIN): LAST,
            ((0, 3, 1, 2), LAST): PLAIN,
        }
        form = turns.get((_positive(dims, len(value.shape)), value.form))
        if form is None or len(self.nodes[value.node].output_shape) != 3:
            return False
        self._set(call, value.node, form, shape=self._turned(value, dims), owner=value.owner)
        return True

    def _turned(self, value: Value, dims: Argument) -> tuple[int, ...]:
        return tuple([value.shape[dim] for dim in _positive(dims, len(value.shape))])

    def _transpose(self, call: Call, value: Value) -> bool:
        sides = _positive((call.arguments.get("dim0"), call.arguments.get("dim1")), 5)
        return set(sides) == {1, 2} and self._turn(call, value)

    def _turn(self, call: Call, value: Value) -> bool:
        """Groups exchanged with the channels of each."""
        if not isinstance(value.form, Grouped) or value.form.turned:
            return False
        batch, groups, each, *rest = value.shape
        form = Grouped(value.form.groups, turned=True)
        self._set(call, value.node, form, shape=(batch, each, groups, *rest), owner=value.owner)
        return True

    def _view(self, call: Call, value: Value) -> bool:
        known = self.program.shapes.get(call.outputs[0])
        node = self.nodes[value.node].output_shape
        if known is None:
            return False
        if isinstance(value.form, Grouped) and known == (self.batch, *node):
            if value.form.turned:
                op = moves.shuffled(value.form.groups)
                self._place(call, op, [value.node], node)
            else:
                self._set(call, value.node, owner=value.owner)
            return True
        is_grouped = len(known) == 5 and known[3:] == node[1:] and known[0] == self.batch
        if isinstance(value.form, Grouped) and value.form.turned and is_grouped:
            # Exporters leave out that the groups were one map before they became others.
            self._place(call, moves.shuffled(value.form.groups), [value.node], node)
            value = self._value(call.outputs[0], call)
            self._set(call, value.node, Grouped(known[1]), shape=known, owner=value.owner)
            return True
        if value.form == LAST and node[1:] == (1, 1) and known == (self.batch, node[0]):
            self._place(call, moves.flat(), [value.node], (node[0],))
            return True
        if value.form != PLAIN:
            return False
        if known == value.shape:
            return self._same(call, value)
        if len(node) == 3 and is_grouped:
            self._set(call, value.node, Grouped(known[1]), shape=known, owner=value.owner)
            return True
        return False

    def _shuffle(self, call: Call, value: Value) -> bool:
        """The channels of groups in turn."""
        groups = call.arguments.get("groups")
        if value.form != PLAIN or not isinstance(groups, int) or groups < 1:
            return False
        op = moves.shuffled(groups)
        self._place(call, op, [value.node], op.infer(self.nodes[value.node].output_shape))
        return True

    def _mean(self, call: Call, value: Value) -> bool:
        """A mean over the map that leaves a vector: a pooling and a flatten."""
        dims = _positive(call.arguments.get("dim"), len(value.shape))
        over = {PLAIN: [2, 3], LAST: [1, 2]}.get(value.form)
        if len(value.shape) != 4 or sorted(dims) != over:
            return False
        if call.arguments.get("keepdim") or call.arguments.get("dtype") is not None:
            return False
        pool, flatten = moves.averaged(), moves.flat()
        channels = self.nodes[value.node].output_shape[0]
        id = self.names.of_call(call, pool)
        self._append(id, pool, (value.node,), (channels, 1, 1), call)
        flat = self.names.of_call(call, flatten)
        self._append(flat, flatten, (id,), (channels,), call)
        self._set(call, flat)
        return True

    def _chunk(self, call: Call, value: Value) -> bool:
        """Equal parts of the channels."""
        dim = call.arguments.get("dim", 0)
        shapes = {self.program.shapes.get(one) for one in call.outputs}
        if value.form != PLAIN or _positive((dim,), len(value.shape)) != (1,) or len(shapes) != 1:
            return False
        if len(value.shape) < 2 or value.shape[1] % len(call.outputs):
            return False
        for number, output in enumerate(call.outputs, 1):
            if output in self.last_read:
                op = moves.part(number, len(call.outputs))
                shape = op.infer(self.nodes[value.node].output_shape)
                id = self.names.of_call(call, op)
                self._append(id, op, (value.node,), shape, call)
                self._set(call, id, output=output, owner=value.owner)
        return True

    def _slice(self, call: Call, value: Value) -> bool:
        """Every so many rows or columns, as option A has them; all of them; a part of channels."""
        known, get = self.program.shapes.get(call.outputs[0]), call.arguments.get
        dim = _positive((get("dim", 0),), len(value.shape))[0]
        step, start = get("step", 1), get("start")
        if known == value.shape and step == 1:
            return self._same(call, value)
        if value.form == PLAIN and dim == 1 and step == 1 and known is not None:
            return self._part(call, value, 0 if start is None else start, known[1])
        if start not in (None, 0) or not isinstance(step, int) or known is None:
            return False
        rows = value.form == PLAIN and dim == 2
        columns = value.form == Subsampled(step) and dim == 3
        if step < 2 or not (rows or columns) or known[dim] != -(-value.shape[dim] // step):
            return False
        self._set(call, value.node, Subsampled(step, columns), shape=known, owner=value.owner)
        return True

    def _part(self, call: Call, value: Value, start: Argument, count: int) -> bool:
        """A part of the channels that they have a whole number of."""
        if not isinstance(start, int) or start < 0 or count < 1 or len(value.shape) < 2:
            return False
        if value.shape[1] % count or start % count:
            return False
        op = moves.part(start // count + 1, value.shape[1] // count)
        shape = op.infer(self.nodes[value.node].output_shape)
        id = self.names.of_call(call, op)
        self._append(id, op, (value.node,), shape, call)
        self._set(call, id, owner=value.owner)
        return True

    def _pad(self, call: Call, value: Value) -> bool:
        """Zero channels behind a map, which may be subsampled: option A."""
        pads, mode = call.arguments.get("pad"), call.arguments.get("mode", "constant")
        if not isinstance(pads, tuple) or mode != "constant" or call.arguments.get("value"):
            return False
        if not any(pads):
            return self._same(call, value)
        zeros = len(pads) == 6 and not any(pads[:5])
        if not zeros or not isinstance(pads[5], int) or pads[5] < 0:
            return False
        stride = 1
        if isinstance(value.form, Subsampled) and value.form.both:
            stride = value.form.stride
        elif value.form != PLAIN:
            return False
        shape = self.nodes[value.node].output_shape
        if len(shape) != 3:
            return False
        op = moves.padded(shape[0], pads[5], stride)
        self._place(call, op, [value.node], op.infer(shape))
        return True


_Handler: TypeAlias = Callable[[_Building, Call, Value], bool]

_HANDLERS: Mapping[str, _Handler] = {
    **dict.fromkeys(("contiguous", "clone", "alias", "detach"), _Building._same),
    "expand": _Building._expand,
    "as_strided": _Building._as_strided,
    "permute": _Building._permute,
    "transpose": _Building._transpose,
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten"), _Building._view),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _Building._shuffle),
    **dict.fromkeys(("to", "type_as"), _Building._cast),
    "mean": _Building._mean,
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), _Building._chunk),
    "slice": _Building._slice,
    **dict.fromkeys(("pad", "constant_pad_nd"), _Building._pad),
}


_ANYWHERE = frozenset([_Building._same, _Building._expand, _Building._view, _Building._cast])
"""The handlers that do not take the first side for that of the images."""


def _positive(dims: Argument, rank: int) -> tuple[int, ...]:
    """Dimensions counted from 0; none where they are not numbers."""
    dims = dims if isinstance(dims, tuple) else (dims,)
    if not all(isinstance(dim, int) for dim in dims):
        return ()
    return tuple([dim % rank if rank else 0 for dim in dims if isinstance(dim, int)])


def _path(key: str, name: str) -> str:
    """The path of the module that has a tensor under a key, by what the op calls the tensor."""
    if not name:
        return key
    return key.removesuffix(f".{name}") if key.endswith(f".{name}") else ""


def _shapes(weights: Mapping[str, Weight]) -> tuple[tuple[str, Shape], ...]:
    """The shapes of the tensors that are learned, by name."""
    return tuple([(name, one.shape) for name, one in weights.items() if one.is_learned])


def _worded(weights: Sequence[Weight]) -> dict[str, Weight]:
    """Tensors by names that keys of a state dict can end in."""
    named: dict[str, Weight] = {}
    for weight in weights:
        word = re.sub(r"\W", "_", weight.key, flags=re.ASCII)
        while word in named:
            word += "_"
        named[word] = weight
    return named


def _details(call: Call) -> str:
    """A call's arguments that are no tensors, in short."""
    plain = {
        name: value
        for name, value in call.arguments.items()
        if not isinstance(value, Ref) and not (isinstance(value, tuple) and _has_ref(value))
    }
    return ", ".join(f"{visible(name)}={_told(value)}" for name, value in plain.items())


def _has_ref(value: tuple[Argument, ...]) -> bool:
    return any(isinstance(one, Ref) for one in value)


def _told(value: Argument) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_told, value))}]"
    return visible(str(value))
