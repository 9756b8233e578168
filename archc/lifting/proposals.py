"""Blocks of the library that a family of blocks may be: proposed, and believed only where what they
come to is the family, op by op."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from functools import cache
from itertools import combinations, islice, product
from typing import TypeAlias

from archc.blocks import STANDARD, Around, Definition
from archc.blocks.definition import Attribute
from archc.blocks.lowering import lower_block
from archc.dataclassing import dataclass
from archc.graph import Fragment, Node, ShapeError
from archc.lifting.ranges import Counts, Ranges, ranges_of
from archc.lifting.tree import Data
from archc.lifting.units import Unit
from archc.ops import Op
from archc.shipped import shipped_folder
from archc.source.diagnostics import Source
from archc.source.record import ValidationError
from archc.spec.blocks import read_block_file
from archc.text import quote

MOST_STARTS = 60
SWEEPS = 4
MOST_GUESSES = 500
LARGEST_FACTOR = 16
MOST_TRIES = 700
"""How often a definition is tried on the blocks of a stage."""
NOT_FOR_STAGES = frozenset(["conv", "conv_norm", "basic_conv", "squeeze", "squeeze_excitation"])

Said = Mapping[str, Data]


@dataclass(frozen=True)
class Proposal:
    """A block of the library for a family: its name, the file that has it where it is none of the
    standard ones, and what each block says; ``strides`` are theirs."""

    name: str
    file: str | None
    said: list[dict[str, Data]]
    strides: list[int]


@dataclass(frozen=True)
class Candidate:
    """A block by its name, and the file that it lies in where a spec has to name that; ``ranges``
    say how many ops of which kinds it has."""

    name: str
    file: str | None
    definition: Definition
    ranges: Ranges


@cache
def library() -> Sequence[Candidate]:
    """The blocks that stages may be made of."""
    return [*_standard(), *_shipped()]


def _standard() -> Iterator[Candidate]:
    for name in STANDARD:
        definition = STANDARD.definition(name)
        if definition is not None and name not in NOT_FOR_STAGES:
            yield Candidate(name, None, definition, ranges_of(definition))


def _shipped() -> Iterator[Candidate]:
    for path in sorted(shipped_folder().glob("*/blocks/*.yaml")):
        file = f"{path.parent.parent.name}/blocks/{path.name}"
        source = Source(file, path.read_text(), path=str(path))
        for name, definition in read_block_file(source, STANDARD).items():
            if not definition.inline:
                yield Candidate(name, file, definition, ranges_of(definition))


@dataclass
class Proposals:
    """Finds blocks of the library for families of a network's blocks."""

    nodes: Mapping[str, Node]
    around: Around
    keeps_names: bool
    tried: list[str] = field(default_factory=list)
    """The blocks of the library that were like it in names, but not the same."""

    def find(
        self, units: Sequence[Unit], runs: Sequence[int], blocks: Sequence[Candidate]
    ) -> Proposal | None:
        """The first block that all units are."""
        counted = [Counts.of(self.nodes[id] for id in unit.ids) for unit in units]
        for one in blocks:
            solver = _Solver(self.nodes, self.around, one.definition, keeps_names=self.keeps_names)
            if not all(found.may_be(one.ranges) for found in counted):
                continue
            if not any(solver.may_be(unit) for unit in _some(units)):
                continue
            found = solver.solve(units, runs)
            if found is None:
                self.tried.append(f"{one.name}, of the library: no, {solver.why}")
            if found is not None:
                said, strides = found
                return Proposal(one.name, one.file, said, strides)
        return None


@dataclass
class _Solver:
    """Finds what a definition's attributes have to be for some blocks."""

    nodes: Mapping[str, Node]
    around: Around
    definition: Definition
    keeps_names: bool
    why: str = ""
    left: int = MOST_TRIES

    def may_be(self, unit: Unit) -> bool:
        """Whether the block has names like the unit, whatever its numbers."""
        first = next(self._starts(unit), None)
        if first is None:
            return False
        made = self._lowered(unit, first, self._stride(unit))
        assert made is not None
        if not self.keeps_names:
            return True
        names = {step.name for step in made.steps if step.op.state}
        kept = {id.removeprefix(f"{unit.path}.") for id in unit.ids if self.nodes[id].op.state}
        return len(names & kept) * 2 >= len(names | kept)

    def solve(
        self, units: Sequence[Unit], runs: Sequence[int]
    ) -> tuple[list[dict[str, Data]], list[int]] | None:
        """What each unit says, and its stride; None where some unit is no such block."""
        stages: list[tuple[list[Unit], dict[str, Data], int]] = []
        before: dict[str, Data] | None = None
        for run in dict.fromkeys(runs):
            members = [unit for unit, one in zip(units, runs, strict=True) if one == run]
            found = self._run(members, before)
            for part in [members] if found else [[unit] for unit in members]:
                found = found or self._run(part, before)
                if found is None:
                    return None
                before, stride = found
                stages.append((part, before, stride))
                found = None
        self._agree(stages)
        said = [self._short(values) for members, values, _ in stages for _ in members]
        strides = [stride if i == 0 else 1 for m, _, stride in stages for i in range(len(m))]
        return said, strides

    def _agree(self, stages: list[tuple[list[Unit], dict[str, Data], int]]) -> None:
        """Have all stages say the same wherever that makes no difference."""
        for name in self.definition.attributes:
            values = list(dict.fromkeys(one.get(name) for _, one, _ in reversed(stages)))
            for value in values if len(values) > 1 else ():
                if all(
                    self._all_are(units, {**said, name: value}, stride)
                    for units, said, stride in stages
                    if said.get(name) != value
                ):
                    for _, said, _ in stages:
                        said[name] = value
                    break

    def _short(self, values: Said) -> dict[str, Data]:
        attributes = self.definition.attributes
        return {
            name: int(one) if isinstance(one, float) and one.is_integer() else one
            for name, one in values.items()
            if attributes[name].default != one
        }

    def _run(
        self, units: Sequence[Unit], before: dict[str, Data] | None
    ) -> tuple[dict[str, Data], int] | None:
        """The attributes of a stage of units, and its stride."""
        self.left = MOST_TRIES
        first = units[0]
        stride = self._stride(first)
        if before is not None and self._all_are(units, before, stride):
            return dict(before), stride
        starts = self._starts(first)
        if before is not None and self._lowered(first, before, stride):
            starts = iter([before, *islice(starts, 2)])
        for start in islice(starts, 3):
            for counted in (_whole, _counted):
                values = self._descended(units, start, stride, counted)
                if self._all_are(units, values, stride):
                    return self._simpler(units, values, stride), stride
        self.why = f"no attributes make it {quote(first.path or first.end)}"
        return None

    def _stride(self, unit: Unit) -> int:
        if not self.definition.reads("stride"):
            return 1
        before, after = (self.nodes[id].output_shape for id in (unit.start, unit.end))
        if len(before) != 3 or len(after) != 3:
            return 1
        strides = {getattr(self.nodes[id].op, "stride", 1) for id in unit.ids} - {1}
        ratio = round(before[1] / after[1])
        return ratio if ratio in strides else 1

    # Search

    def _guesses(self, unit: Unit) -> dict[str, list[Data]]:
        """What each attribute may be."""
        facts = _Facts.of(unit, self.nodes)
        attributes = self.definition.attributes
        factors = [one.default for one in attributes.values() if one.kind == "int"]
        found = {name: list(facts.values(one)) for name, one in attributes.items()}
        for name, one in attributes.items():
            if one.is_required and one.kind == "int":  # what the block then widens
                first = [
                    facts.widths[0] // by
                    for by in factors
                    if isinstance(by, int) and by > 1 and facts.widths[0] % by == 0
                ]
                found[name] = list(dict.fromkeys([*first, *found[name]]))
        return found

    def _starts(self, unit: Unit) -> Iterator[dict[str, Data]]:
        """Attributes with which the block can stand here at all."""
        attributes = self.definition.attributes
        asked = {
            name: one for name, one in self._guesses(unit).items() if attributes[name].is_required
        }
        usual = {
            name: one.default
            for name, one in attributes.items()
            if not one.is_required and isinstance(one.default, (bool, int, float, str, tuple))
        }
        for values in islice(product(*asked.values()), MOST_STARTS):
            given = {**usual, **dict(zip(asked, values, strict=True))}
            if self._lowered(unit, given, self._stride(unit)) is not None:
                yield given

    def _descended(
        self, units: Sequence[Unit], start: Said, stride: int, counted: _Counted
    ) -> dict[str, Data]:
        """Attributes that come nearest to some units, changed one by one, then by twos."""
        guesses = self._guesses(units[0])
        values = dict(start)
        ends = [(units[0], stride)] + ([(units[-1], 1)] if len(units) > 1 else [])
        best = self._distance(ends, values, counted)
        for _ in range(SWEEPS):
            last = best
            for name in guesses:
                best, values = self._bettered(ends, values, best, (name,), guesses, counted)
            if best == last and self._distance(ends, values, _kinds) == 0:
                for names in combinations(guesses, 2):
                    best, values = self._bettered(ends, values, best, names, guesses, counted)
            if best in (0, last):
                break
        return values

    def _simpler(
        self, units: Sequence[Unit], values: dict[str, Data], stride: int
    ) -> dict[str, Data]:
        """Attributes that do as well, more of them at their defaults."""
        attributes, guesses = self.definition.attributes, self._guesses(units[0])
        for name, attribute in attributes.items():
            usual = attribute.default
            if attribute.kind != "int" or not isinstance(usual, int) or values[name] == usual:
                continue
            others = [one for one in guesses if one != name and attributes[one].kind == "int"]
            for names in combinations(others, 2):
                for guess in islice(product(*[guesses[one] for one in names]), MOST_GUESSES):
                    changed = {**values, name: usual, **dict(zip(names, guess, strict=True))}
                    is_shorter = len(self._short(changed)) < len(self._short(values))
                    if is_shorter and self._all_are(units, changed, stride):
                        values = changed
        return values

    def _bettered(
        self,
        ends: Sequence[tuple[Unit, int]],
        values: dict[str, Data],
        best: float,
        names: tuple[str, ...],
        guesses: Mapping[str, list[Data]],
        counted: _Counted,
    ) -> tuple[float, dict[str, Data]]:
        """The least distance, and the attributes that have it, when some of them are changed."""
        if best and self.left > 0:
            for guess in islice(product(*[guesses[name] for name in names]), MOST_GUESSES):
                changed = {**values, **dict(zip(names, guess, strict=True))}
                distance = self._distance(ends, changed, counted)
                if distance < best:
                    best, values = distance, changed
        return best, values

    def _distance(self, ends: Sequence[tuple[Unit, int]], values: Said, counted: _Counted) -> float:
        """How much is in one and not in the other."""
        total = 0.0
        for unit, stride in ends:
            made = self._lowered(unit, values, stride)
            if made is None:
                return float("inf")
            ours = counted(
                (step.name if step.op.state and self.keeps_names else "", step.op)
                for step in made.steps
                if not _is_left_out(step.op)
            )
            theirs = counted(
                (id.removeprefix(f"{unit.path}.") if op.state and self.keeps_names else "", op)
                for id in unit.ids
                for op in [self.nodes[id].op]
            )
            total += sum((ours - theirs).values()) + sum((theirs - ours).values())
        return total

    def _lowered(self, unit: Unit, values: Said, stride: int) -> Fragment | None:
        self.left -= 1
        try:
            model = self.definition.fields.model_validate({**values, "stride": stride})
            x = self.nodes[unit.start].output_shape
            return lower_block(self.definition, model, x, stride, self.around, 0)
        except (ShapeError, ValidationError):
            return None

    # Proof

    def _all_are(self, units: Sequence[Unit], values: Said, stride: int) -> bool:
        return all(
            self._is(unit, values, stride if index == 0 else 1) for index, unit in enumerate(units)
        )

    def _is(self, unit: Unit, values: Said, stride: int) -> bool:
        """Whether a unit is the block with these attributes, name by name."""
        made = self._lowered(unit, values, stride)
        if made is None:
            return False
        ids = {Fragment.INPUT: unit.start}
        left = {id: self.nodes[id] for id in unit.ids}
        for step in made.steps:
            inputs = tuple([ids[source] for source in step.inputs])
            if _is_left_out(step.op):
                ids[step.name] = inputs[0]
                continue
            wanted = f"{unit.path}.{step.name}" if step.op.state and self.keeps_names else None
            found = next(
                (id for id, one in left.items() if _does(one, step.op, inputs, wanted)), None
            )
            if found is None:
                return False
            del left[found]
            ids[step.name] = found
        return not left and ids[made.output] == unit.end


def _is_left_out(op: Op) -> bool:
    return op.kind in ("stochastic_depth", "identity")


def _bare(op: Op) -> tuple[object, ...]:
    """What an exported model says of an op."""
    return op.kind, *[getattr(op, n) for n in op.field_names() if n not in op.unexported]


_Named: TypeAlias = "Iterable[tuple[str, Op]]"
"""Ops with their names in the block, where those count."""
_Counted: TypeAlias = Callable[[_Named], "Counter[tuple[object, ...]]"]


def _kinds(ops: _Named) -> Counter[tuple[object, ...]]:
    """What kinds of ops there are."""
    return Counter((op.kind,) for _, op in ops)


def _whole(ops: _Named) -> Counter[tuple[object, ...]]:
    """What ops there are."""
    return Counter((name, *_bare(op)) for name, op in ops)


def _counted(ops: _Named) -> Counter[tuple[object, ...]]:
    """What ops there are, and what is said of them, each thing by itself."""
    return Counter(
        (name, op.kind, field, getattr(op, field, None))
        for name, op in ops
        for field in ("", *op.field_names())
        if field not in op.unexported
    )


def _some(units: Sequence[Unit]) -> list[Unit]:
    """The first, the last and one between."""
    return [units[index] for index in dict.fromkeys([0, len(units) // 2, len(units) - 1])]


def _does(node: Node, op: Op, inputs: tuple[str, ...], id: str | None) -> bool:
    if id is not None and node.id != id:
        return False
    read = node.inputs
    if op.commutes:
        read, inputs = tuple(sorted(read)), tuple(sorted(inputs))
    return read == inputs and _bare(node.op) == _bare(op)


@dataclass(frozen=True)
class _Facts:
    """The numbers of a unit, from which those of attributes are guessed."""

    channels: int
    widths: tuple[int, ...]
    kernels: tuple[Data, ...]
    groups: tuple[int, ...]
    activations: tuple[str, ...]
    values: _Guess = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _Guess(self))

    @classmethod
    def of(cls, unit: Unit, nodes: Mapping[str, Node]) -> _Facts:
        """Those of a unit."""
        ops = [nodes[id].op for id in unit.ids]
        convs = [op for op in ops if op.kind == "conv2d"]

        def distinct(name: str) -> tuple[Data, ...]:
            return tuple(dict.fromkeys(getattr(op, name) for op in convs))

        from archc.lifting.layers import ACTIVATION_OF

        words = dict.fromkeys(ACTIVATION_OF[op.kind][0] for op in ops if op.kind in ACTIVATION_OF)
        out = nodes[unit.end].output_shape[0]
        return cls(
            nodes[unit.start].output_shape[0],
            tuple(dict.fromkeys([out, *distinct("out_channels")])),
            distinct("kernel_size"),
            distinct("groups"),
            tuple(words),
        )


@dataclass(frozen=True)
class _Guess:
    facts: _Facts

    def __call__(self, attribute: Attribute) -> Iterator[Data]:
        """What an attribute may be."""
        seen: list[Data] = []
        for value in self._all(attribute):
            if (type(value), value) not in seen:
                seen.append((type(value), value))
                yield value

    def _all(self, attribute: Attribute) -> Iterator[Data]:
        facts = self.facts
        if isinstance(attribute.default, (bool, int, float, str)):
            yield attribute.default
        if attribute.kind == "word":
            yield from attribute.words
        elif attribute.kind == "bool":
            yield from (True, False)
        elif attribute.kind == "activation":
            yield from ("network", *facts.activations)
        elif attribute.kind == "size":
            yield from facts.kernels
        elif attribute.kind == "number":
            yield from (float(one) for one in self._ratios())
        elif attribute.kind == "int":
            yield from facts.widths
            ratios = (int(one) for one in self._ratios() if one.denominator == 1)
            yield from (one for one in ratios if one <= LARGEST_FACTOR)
            yield from facts.groups
            yield from (width // one for width in facts.widths for one in facts.groups if one > 1)
            if isinstance(attribute.default, int) and attribute.default > LARGEST_FACTOR:
                # What the middle of a ResNeXt has for each group and 64 channels.
                for width in facts.widths:
                    for inner in facts.widths:
                        for groups in facts.groups:
                            yield -(-inner * 64 // (width * groups))

    def _ratios(self) -> Iterator[Fraction]:
        facts = self.facts
        for width in facts.widths:
            yield Fraction(width, facts.channels)
            for other in facts.widths:
                if width > other:
                    yield Fraction(width, other)
