"""A network as a spec: from the shortest form that can be found to a plain list of layers, each
compiled and compared before it is believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from string import ascii_lowercase

from archc.analysis.comparison import compare
from archc.analysis.exported import with_ids_of
from archc.blocks import STANDARD
from archc.blocks.layers import LAYERS
from archc.blocks.lowering import Module
from archc.blocks.names import RESERVED, hides
from archc.compile import compile_spec
from archc.dataclassing import dataclass
from archc.frontends.program import ForeignError
from archc.graph import Network
from archc.lifting.definitions import Defined, Plain, define
from archc.lifting.families import ApartError
from archc.lifting.modules import (
    Naming,
    added_alike,
    count_paths,
    grouped,
    meeting,
    own_names,
    plain_labels,
)
from archc.lifting.numbers import Solution
from archc.lifting.outside import check_language
from archc.lifting.parts import library_part
from archc.lifting.proposals import Proposal, Proposals, library
from archc.lifting.rows import Rows
from archc.lifting.stages import Placed, staged
from archc.lifting.style import Style
from archc.lifting.tree import Data, Layer, Part, Row, labels, walk
from archc.lifting.units import Unit, as_block, chain, prepared
from archc.lifting.writing import written
from archc.source.diagnostics import Source, SpecError
from archc.spec import resolve
from archc.text import quote, visible

LEAST_HELD = 1 / 3
"""How many of a network's layers its blocks hold at least, so that it is said in terms of them."""


@dataclass(frozen=True)
class Lifted:
    """A spec that was found for a model.

    ``text`` is it, ``network`` what it compiles to; ``steps`` say how it was found, ``notes`` what
    its user has to know.
    """

    text: str
    network: Network
    steps: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Outside(Module):
    """A stem or a head, in which every layer with tensors bears the name that it needs."""

    def _by_kind(self, family: str) -> str:
        return f"{family}#{self.kinds[family]}"

    def apart(self, word: str) -> str:
        self.kinds[word] += 1
        return f"{word}#{self.kinds[word]}"


@dataclass
class _Lifting:
    network: Network
    keeps_names: bool = True
    steps: list[str] = field(default_factory=list)
    used: dict[str, None] = field(default_factory=dict)
    proposed: dict[object, Proposal | None] = field(default_factory=dict)
    is_irregular: bool = False
    """Whether something that is no module stands between blocks."""

    def __post_init__(self) -> None:
        nodes = self.network.nodes
        self.style = Style.of(nodes)
        self.rows = Rows(nodes, self.style, self.keeps_names)
        self.kept = [id for id, node in nodes.items() if node.op.state and self.keeps_names]
        self.total = count_paths(self.kept)
        self.start = next(iter(nodes))
        self.naming = Naming(self.style, lambda group: library_part(group, self.style))

    def lift(self) -> Lifted:
        """The shortest form that compiles to the network."""
        found = self._first([("stages", self._with_stages)])
        if found is None or self.is_irregular:
            other = self._first([("blocks as layers", self._with_blocks)])
            found = min(
                [one for one in (found, other) if one is not None],
                key=lambda one: one.text.count("\n"),
                default=None,
            )
        found = found or self._first([("a list of layers", self._as_list)])
        if found is not None:
            return replace(found, steps=tuple(self.steps))
        why = self.steps[-1].partition(": no, ")[2]
        raise ForeignError(f"{quote(self.network.name)} could not be written as a spec: {why}")

    def _first(self, forms: Sequence[tuple[str, Callable[[], dict[str, Data]]]]) -> Lifted | None:
        for what, form in forms:
            self.used.clear()
            try:
                data = form()
            except ApartError as error:
                self.steps.append(f"{what}: no, {error}")
                continue
            found = self._checked(what, data)
            if found is None and not self.naming.names_all and _SAME_NAME in self.steps[-1]:
                self.naming.names_all = True
                found = self._first([(what, form)])
            if found is not None:
                return found
        return None

    # Forms

    def _header(self) -> dict[str, Data]:
        shape = list(self.network.input_shape)
        data: dict[str, Data] = {"name": self.network.name}
        if shape != [3, 224, 224]:
            data["input"] = shape
        return data | self.style.header

    def _with_stages(self) -> dict[str, Data]:
        """A stem, stages of blocks, a head."""
        units = chain(self.network, self.rows)
        at = [index for index, unit in enumerate(units) if unit.path is not None]
        if not at:
            raise ApartError("there are no blocks")
        first, last = at[0], at[-1]
        blocks: list[Unit] = []
        for number, unit in enumerate(units[first : last + 1]):
            block: Unit | None = unit
            if unit.path is None:
                block = as_block(unit, self.network, number, keeps_names=self.keeps_names)
            if block is None:
                raise ApartError(
                    f"{quote(unit.ids[0])} is between blocks, and in no module of its own"
                )
            blocks.append(block)
        self._check_held(units[index] for index in at)
        between = f", {len(blocks) - len(at)} parts between them" if len(blocks) > len(at) else ""
        self.steps.append(f"found {_blocks(len(at))}{between}")
        definitions, placed = self._families(blocks)
        stem = self._outside(units[:first], self.start)
        head = self._outside(units[last + 1 :], blocks[-1].end)
        data = self._header()
        if self.used:
            data["use"] = list(self.used)
        if definitions:
            data["blocks"] = definitions
        if stem:
            data["stem"] = stem
        data |= staged(placed, keeps_names=self.keeps_names)
        self.is_irregular = any(
            not any(self.network.nodes[id].op.state for id in unit.ids) for unit in blocks
        )
        if head:
            data["head"] = head
        return data

    def _check_held(self, blocks: Iterable[Unit]) -> None:
        """Raise `ApartError` for blocks that hold little of the network."""
        nodes = self.network.nodes
        held = sum(nodes[id].is_layer for unit in blocks for id in unit.ids)
        total = sum(node.is_layer for node in nodes.values())
        if held < LEAST_HELD * total:
            raise ApartError(f"blocks hold {held} of {total} layers alone")

    def _with_blocks(self) -> dict[str, Data]:
        """Blocks as layers of the stem."""
        units = chain(self.network, self.rows)
        blocks = [unit for unit in units if unit.path is not None]
        if not blocks:
            raise ApartError("there are no blocks")
        self._check_held(blocks)
        definitions, placed = self._families(blocks)
        made = {unit.ids: one for unit, one in zip(blocks, placed, strict=True)}
        nodes = self.network.nodes
        row: Row = []
        for unit in units:
            if unit.path is None:
                row += self.rows.between(unit.start, unit.end)
                continue
            one = made[unit.ids]
            fields = {**one.said, **({"stride": one.stride} if one.stride != 1 else {})}
            parts = (Part(one.block, unit.path, is_kept=self.keeps_names),)
            channels = nodes[unit.start].output_shape[0], nodes[unit.end].output_shape[0]
            row.append(Layer(one.block, fields, parts, *channels, source=unit.path))
        inside = {id for unit in blocks for id in unit.ids}
        alone = [id for id in self.kept if id not in inside]
        total = count_paths([*alone, *[one.path for one in placed]])
        row = grouped(row, "", total)
        row = plain_labels(self.naming.name(row, _Outside(), "", own_names(row, "")))
        data = self._header()
        if self.used:
            data["use"] = list(self.used)
        if definitions:
            data["blocks"] = definitions
        return {**data, **self._parts(row, lambda item: item.source is not None)}

    def _parts(self, row: Row, is_body: Callable[[Layer], bool]) -> dict[str, Data]:
        """A row as stem and head, which begins behind the last item that has certain layers."""
        last = max(
            (
                index
                for index, item in enumerate(row)
                if any(isinstance(one, Layer) and is_body(one) for one in walk([item]))
            ),
            default=-1,
        )
        stem, head = row[: last + 1], row[last + 1 :]
        if labels(stem)[0] & labels(head)[1]:
            stem, head = row, []
        parts = {"stem": Plain(self.style).row(stem), "head": Plain(self.style).row(head)}
        return {key: one for key, one in parts.items() if one}

    def _as_list(self) -> dict[str, Data]:
        """Layers alone."""
        row = self._row(self.start, self.network.output)
        return {**self._header(), **self._parts(row, lambda item: item.word in _CONVOLUTIONS)}

    def _outside(self, units: Sequence[Unit], start: str) -> list[Data]:
        row: Row = []
        for unit in units:
            row += self._row(start, unit.end)
            start = unit.end
        return Plain(self.style).row(row)

    def _row(self, start: str, end: str) -> Row:
        """A row of stem or head between two values."""
        row = grouped(self.rows.between(start, end), "", self.total)
        return plain_labels(self.naming.name(row, _Outside(), "", own_names(row, "")))

    # Blocks

    def _families(self, blocks: Sequence[Unit]) -> tuple[dict[str, Data], list[Placed]]:
        """Definitions by name, and the blocks in their places."""
        families: dict[object, list[int]] = {}
        for number, unit in enumerate(blocks):
            families.setdefault(self._kind(unit), []).append(number)
        definitions: dict[str, Data] = {}
        placed: dict[int, Placed] = {}
        queue = list(families.values())
        while queue:
            numbers = queue.pop(0)
            units = [blocks[number] for number in numbers]
            proposal = self._proposed(units)
            if proposal is not None:
                if proposal.file is not None:
                    self.used[proposal.file] = None
                self.steps.append(f"{proposal.name}, of the library: {_blocks(len(units))}")
                for number, said, stride in zip(
                    numbers, proposal.said, proposal.strides, strict=True
                ):
                    unit = blocks[number]
                    assert unit.path is not None
                    placed[number] = Placed(proposal.name, said, stride, unit.path, unit.stage)
                continue
            try:
                made = self._define(units)
            except ApartError as error:
                self.steps.append(
                    f"{visible(units[0].label or str(units[0].path))}: no one definition, {error}"
                )
                parts = self._divided(units, numbers)
                if len(parts) == 1:
                    parts = [[number] for number in numbers]
                queue = [*parts, *queue]
                continue
            name = _unique(self._block_name(units[0]), definitions)
            definitions[name] = made.data
            self.steps.append(f"{name}, defined in the spec: {_blocks(len(units))}")
            for number, said, stride in zip(numbers, made.said, made.strides, strict=True):
                unit = blocks[number]
                assert unit.path is not None
                placed[number] = Placed(name, said, stride, unit.path, unit.stage)
        return definitions, [placed[number] for number in range(len(blocks))]

    def _proposed(self, units: Sequence[Unit]) -> Proposal | None:
        key = tuple([unit.ids for unit in units])
        if key not in self.proposed:
            around = self.style.around(len(self.network.nodes))
            finder = Proposals(self.network.nodes, around, keeps_names=self.keeps_names)
            self.proposed[key] = finder.find(units, self._runs(units), library())
            self.steps += finder.tried
        return self.proposed[key]

    def _kind(self, unit: Unit) -> object:
        if unit.label is not None:
            return unit.label
        return self._skeleton(unit)

    def _skeleton(self, unit: Unit) -> tuple[str, ...]:
        return tuple(self.network.nodes[id].op.kind for id in unit.ids)

    def _divided(self, units: Sequence[Unit], numbers: Sequence[int]) -> list[list[int]]:
        parts: dict[object, list[int]] = {}
        for unit, number in zip(units, numbers, strict=True):
            parts.setdefault(self._skeleton(unit), []).append(number)
        return list(parts.values())

    def _define(self, units: Sequence[Unit]) -> Defined:
        nodes = self.network.nodes
        rows = added_alike([self._raw_body(unit) for unit in units])
        rows = [self._named_body(row, unit) for row, unit in zip(rows, units, strict=True)]
        solution = Solution(
            [nodes[unit.start].output_shape[0] for unit in units],
            [nodes[unit.end].output_shape[0] for unit in units],
            self._strides(units),
            self._runs(units),
        )
        label = _class(units[0].label)
        name = self._block_name(units[0])
        if label is not None and "".join(p[:1].upper() + p[1:] for p in name.split("_")) == label:
            label = None
        return define(rows, solution, self.style, label)

    def _block_name(self, unit: Unit) -> str:
        """What the definition of a block is called: as nothing else that a spec may read."""
        word = _words(unit)
        taken = {one.name for one in library()}
        is_taken = (
            word in taken or word in STANDARD or word in _TAKEN or hides(word, is_module=True)
        )
        return f"{word}_block" if is_taken or word in LAYERS or word in RESERVED else word

    def _raw_body(self, unit: Unit) -> Row:
        row = self.rows.between(unit.start, unit.end)
        return meeting(grouped(row, f"{unit.path}.", self.total))

    def _named_body(self, row: Row, unit: Unit) -> Row:
        prefix = f"{unit.path}."
        return plain_labels(self.naming.name(row, Module(), prefix, own_names(row, prefix)))

    def _strides(self, units: Sequence[Unit]) -> list[int]:
        """The strides of blocks; 1 where all have the same."""
        found = []
        for unit in units:
            ops = [self.network.nodes[id].op for id in unit.ids]
            strides = {
                getattr(op, "stride", 1)
                for op in ops
                if op.kind not in ("max_pool2d", "avg_pool2d")
            }
            strides = {one for one in strides if isinstance(one, int)} - {1}
            found.append(strides.pop() if len(strides) == 1 else 1)
        return found if len(set(found)) > 1 else [1] * len(found)

    def _runs(self, units: Sequence[Unit]) -> list[int]:
        """Which stage each block is likely to be of."""
        nodes = self.network.nodes
        runs: list[int] = []
        last: object = None
        for unit, stride in zip(units, self._strides(units), strict=True):
            key = (unit.stage, nodes[unit.end].output_shape)
            if key != last or stride != 1:
                runs.append(runs[-1] + 1 if runs else 0)
            else:
                runs.append(runs[-1])
            last = key
        return runs

    # Proof

    def _checked(self, what: str, data: dict[str, Data]) -> Lifted | None:
        """What compiles to the network, with as few names as will do."""
        found = self._compiled(data)
        if isinstance(found, str):
            self.steps.append(f"{what}: no, {found}")
            return None
        data = self._fewer_names(data)
        network = self._compiled(data)
        assert isinstance(network, Network)
        self.steps.append(f"{what}: yes")
        return Lifted(written(data), network, tuple(self.steps))

    def _compiled(self, data: dict[str, Data]) -> Network | str:
        """The network of a spec; why it is not the one that it should be."""
        text = written(data)
        try:
            network = compile_spec(resolve(Source("lifted", text)))
        except SpecError as error:
            return str(error.diagnostics[0].message)
        same = network if self.keeps_names else with_ids_of(self.network, network)
        found = compare(self.network, same)
        if not found.same:
            change = found.changes[0]
            return f"{change.a or change.b}: {change.change}, {', '.join(change.what)}"
        if dict(same.state) != dict(self.network.state):
            differ = dict(same.state).items() ^ dict(self.network.state).items()
            return f"other keys: {sorted(differ)[0][0]}"
        return network

    def _fewer_names(self, data: dict[str, Data]) -> dict[str, Data]:
        """A spec without the names of stem and head that archc gives anyway."""
        places = [
            (part, index)
            for part in ("stem", "head")
            for index, item in enumerate(data.get(part, ()))
            if isinstance(item, dict) and "name" in item and "layers" not in item
        ]
        simple = [
            (part, index)
            for part, index in places
            if re.fullmatch(
                r"(conv|bn|fc|norm)\d*|features\.\d+|classifier\.\d+",
                str(data[part][index]["name"]),
            )
        ]
        every = _unnamed(data, simple)
        if simple and not isinstance(self._compiled(every), str):
            return every
        for place in simple if len(simple) > 1 else []:
            fewer = _unnamed(data, [place])
            if not isinstance(self._compiled(fewer), str):
                data = fewer
        return data


def _unnamed(data: dict[str, Data], places: Sequence[tuple[str, int]]) -> dict[str, Data]:
    out = {key: list(one) if key in ("stem", "head") else one for key, one in data.items()}
    for part, index in places:
        item = {key: one for key, one in out[part][index].items() if key != "name"}
        ((word, value),) = item.items()
        out[part][index] = word if value == {} else item
    return out


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"


_SAME_NAME = "two layers would have the name"
_CONVOLUTIONS = ("conv", "conv_norm", "basic_conv")
_TAKEN = frozenset(["block", "layer", "add", "concat", "multiply", "label", "side", "layers"])


def _words(unit: Unit) -> str:
    """What a block is called: its class's name as people write words."""
    text = unit.label or ""
    if not text and unit.path is not None:
        parts = [part.rstrip("0123456789_-") for part in unit.path.split(".")]
        text = next((one for one in reversed(parts) if one), "block")
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text).lower()
    word = re.sub(r"[^a-z0-9]+", "_", word).strip("_")[:40]
    return word if word and word[0].isalpha() else "block"


def _class(label: str | None) -> str | None:
    if label is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,40}", label):
        return None
    return label


def _unique(name: str, taken: Mapping[str, object]) -> str:
    """A name that nothing has yet: digits at its end would be taken for those that archc counts
    layers with."""
    suffixes = [f"_{letter}" for letter in ascii_lowercase[1:]]
    number, found = 0, name
    while found in taken:
        suffix = suffixes[number] if number < len(suffixes) else f"_{number}x"
        found, number = f"{name}{suffix}", number + 1
    return found


def lifted(
    network: Network,
    keys: Mapping[str, str] | None = None,
    *,
    keeps_names: bool = True,
    paths: Mapping[str, str] | None = None,
) -> Lifted:
    """The spec of a network.

    ``keys`` are what the model calls the tensors of the network's state, where it calls any
    otherwise. With ``keeps_names`` the state of the spec has the network's keys; without, blocks
    and layers are called as archc calls them. ``paths`` are the modules of ops by their ids, for
    messages. Raises `ForeignError` where an op is outside of the language, naming it.
    """
    if keys is not None:
        _check_not_shared(keys)
    model = prepared(network)
    check_language(model, paths or {})
    found = _Lifting(model, keeps_names=keeps_names).lift()
    if keeps_names:
        return replace(found, notes=tuple(_notes(model, found.network, keys or {})))
    return replace(found, notes=tuple(_new_keys(model, found.network, keys or {})))


def _check_not_shared(keys: Mapping[str, str]) -> None:
    """Refuse a model in which two ops have one tensor."""
    first: dict[str, str] = {}
    for key, theirs in keys.items():
        other = first.setdefault(theirs, key)
        if other != key:
            raise ForeignError(
                f"{quote(visible(other))} and {quote(visible(key))} are one tensor, which a spec "
                "cannot say"
            )


def _notes(model: Network, spec: Network, keys: Mapping[str, str]) -> Iterator[str]:
    """What makes a difference between a model and its spec."""
    own = dict(model.inference.state)
    others = [key for key, theirs in keys.items() if key != theirs]
    if others:
        yield (
            f"{len(others):,} of {len(own):,} tensors have other keys than in the model: "
            f"{quote(visible(keys[others[0]]))} is {quote(visible(others[0]))} here"
        )
    differ = [key for key in {**own, **spec.state} if own.get(key) != spec.state.get(key)]
    if differ and not others:
        yield (
            f"{len(differ):,} keys of the state dict are not the model's, "
            f"{quote(visible(differ[0]))} among them: weights have to be renamed"
        )


def _new_keys(model: Network, spec: Network, keys: Mapping[str, str]) -> Iterator[str]:
    """What tensors are called in the spec of a model that does not name its modules."""
    pairs = zip(with_ids_of(model, spec).state, spec.state, strict=True)
    for one, own in pairs:
        if one in keys:
            yield (
                "the model does not name its modules; in the spec they have archc's names: "
                f"{quote(visible(keys[one]))} is {quote(visible(own))}"
            )
            return
