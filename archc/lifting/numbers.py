"""The numbers of a family of blocks: which are the same in all, which follow from others, and
which each stage has to say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from typing import Any

from archc.blocks.layers import LAYERS, MERGES
from archc.blocks.names import RESERVED, hides
from archc.dataclassing import dataclass
from archc.lifting.families import Slot
from archc.lifting.tree import Data, Layer

Values = Mapping[int, Data]
"""What each block has, by its number."""

LARGEST_DIVISOR = 64
_NOT_FREE = frozenset([*RESERVED, *LAYERS, *MERGES, "label", "side", "layers"]) - {"activation"}
"""What no attribute can be called, or should be."""


@dataclass
class Attribute:
    """Something that stages say of a block, with what each says."""

    kind: str
    values: dict[int, Data]
    default: Data = None
    is_used: bool = False


@dataclass
class Solution:
    """Finds an expression for every column of numbers.

    ``ins`` and ``outs`` are the channels that come into each block and leave it, ``strides`` its
    strides, ``runs`` which stage it is likely to be of.
    """

    ins: Sequence[int]
    outs: Sequence[int]
    strides: Sequence[int]
    runs: Sequence[int]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    let: dict[str, str] = field(default_factory=dict)
    named: dict[str, dict[int, int]] = field(default_factory=dict)
    """What values under ``let`` and numbers of attributes come to."""
    reads_stride: bool = False

    def __post_init__(self) -> None:
        self.count = len(self.ins)
        follows = self.count > 1 and len(set(self.ins)) > 1 and self._ratio(self.outs, self.ins)
        self.has_width = self.count > 1 and not follows and not self._adds()
        if self.has_width:
            self.attributes["width"] = Attribute("int", dict(enumerate(self.outs)))
        self.uses: dict[str, int] = {}

    def _adds(self) -> bool:
        """Whether every block appends as many channels as any other."""
        more = {o - i for i, o in zip(self.ins, self.outs, strict=True)}
        return len(more) == 1 and more != {0} and len(set(self.ins)) > 1

    def _ratio(self, values: Sequence[int], others: Sequence[int]) -> Fraction | None:
        found = {Fraction(v, o) for v, o in zip(values, others, strict=True)}
        return next(iter(found)) if len(found) == 1 else None

    # Channels

    def channels(self, values: Values, reaching: Values | None, name: str) -> Data:
        """An expression for a column of channels; ``reaching`` are those that reach the layer."""
        if self.count == 1:
            return values[0]
        found = self._known(values, reaching)
        if found is None:
            found = self._asked(values, name)
        return found

    def _terms(
        self, values: Values, reaching: Values | None = None
    ) -> Iterator[tuple[str, Values]]:
        yield "in", {i: self.ins[i] for i in values}
        if self.has_width:
            yield "width", {i: self.outs[i] for i in values}
        for name, known in self.named.items():
            if values.keys() <= known.keys():
                yield name, {i: known[i] for i in values}
        if reaching is not None:
            yield "channels", reaching

    def _known(self, values: Values, reaching: Values | None) -> Data:
        """An expression of what is known already; None where there is none."""
        terms = list(self._terms(values, reaching))
        order = sorted(
            terms,
            key=lambda term: (
                ("in", "channels").index(term[0]) + 1 if term[0] in ("in", "channels") else 0
            ),
        )
        order = [one for one in order if one[0] != "channels"]
        is_constant = len(set(values.values())) == 1
        for name, known in order:
            if known == values and not (is_constant and name in ("in", "channels")):
                return self._use(name)
        if is_constant and len({*self.runs}) > 1:
            return next(iter(values.values()))
        for name, known in order:
            if known == values and name != "channels":
                return self._use(name)
        if is_constant:
            return next(iter(values.values()))
        for form in _FORMS:
            for name, known in order:
                if (
                    name != "channels"
                    and len(set(known.values())) > 1
                    and (text := form(name, values, known))
                ):
                    self._use(name)
                    return text
        if reaching is None:
            return None
        if reaching == values:
            return self._use("channels")
        return next((text for form in _FORMS if (text := form("channels", values, reaching))), None)

    def _use(self, name: str) -> str:
        if name in self.attributes:
            self.attributes[name].is_used = True
        self.uses[name] = self.uses.get(name, 0) + 1
        return name

    def _asked(self, values: Values, name: str) -> Data:
        """A column of channels as an attribute: the factor by which it widens the input, where
        that is simpler."""
        ratios = {i: Fraction(v, self.ins[i]) for i, v in values.items()}
        whole = all(one.denominator == 1 for one in ratios.values())
        if whole and len(set(ratios.values())) < len(set(values.values())):
            asked = self.attribute("expand", "int", {i: int(one) for i, one in ratios.items()})
            hidden = self._name("hidden")
            self.let[hidden] = f"in * {asked}"
            self.named[hidden] = dict(values)
            self._use("in")
            return hidden
        asked = self.attribute(name, "int", values)
        self.named[asked] = dict(values)
        return asked

    def attribute(self, name: str, kind: str, values: Values) -> str:
        """A new attribute with these values."""
        name = self._name(name)
        self.attributes[name] = Attribute(kind, dict(values), is_used=True)
        return name

    def let_be(self, name: str, text: str) -> str:
        """A new value under ``let``."""
        name = self._name(name)
        self.let[name] = text
        return name

    def _name(self, name: str) -> str:
        if name in _NOT_FREE or hides(name) or hides(name, is_module=True):
            name = f"{name}_of_block"
        number, found = 2, name
        while found in self.attributes or found in self.let:
            found, number = f"{name}{number}", number + 1
        return found

    # Other numbers

    def other(self, values: Values, name: str, kind: str) -> Data:
        """An expression for a column of anything else."""
        found = {repr(one) for one in values.values()}
        if len(found) == 1:
            return next(iter(values.values()))
        for known, one in self.attributes.items():
            if one.kind == kind and all(one.values.get(i) == v for i, v in values.items()):
                one.is_used = True
                return known
        for known, one in self.attributes.items():
            both = one.values.keys() & values.keys()
            is_alike = re.fullmatch(rf"{name}\d*", known) and one.kind == kind
            if is_alike and both and all(one.values[i] == values[i] for i in both):
                one.values |= values  # where both stand they agree
                one.is_used = True
                return known
        return self.attribute(name, kind, values)

    def stride(self, values: Values, name: str = "stride") -> Data:
        """An expression for a column of strides."""
        own = {i: self.strides[i] for i in values}
        if own == values and len({*self.strides}) > 1:
            self.reads_stride = True
            return "stride"
        return self.other(values, f"{name}_of_its_own", "int")

    def groups(self, values: Values, reaching: Values, width: Data, widths: Values) -> Data:
        """An expression for a column of groups."""
        if any(one > 1 for one in values.values()) and values == reaching:
            return "depthwise"
        each = {i: Fraction(widths[i], one) for i, one in values.items()}
        sizes = set(each.values())
        if len(set(values.values())) > 1 and all(one.denominator == 1 for one in sizes):
            if len(sizes) == 1 and isinstance(width, str):
                self._use(width)
                return f"{width} // {sizes.pop()}"
            if isinstance(width, str) and len(sizes) < len(set(values.values())):
                asked = self.attribute("group_width", "int", {i: int(v) for i, v in each.items()})
                return f"{width} // {asked}"
        return self.other(values, "groups", "int")

    # Conditions

    def condition(self, present: set[int], around: set[int], what: str) -> str:
        """Where only some blocks have something: when."""
        for text, holds in self._conditions():
            if all(holds(i) == (i in present) for i in around):
                for name in ("width", *self.named, *self.attributes):
                    if name in text.split():
                        self._use(name)
                self.reads_stride = self.reads_stride or "stride" in text
                return text
        return self.attribute(f"has_{what}", "bool", {i: i in present for i in range(self.count)})

    def _conditions(self) -> Iterator[tuple[str, Callable[[int], bool]]]:
        ins, outs, strides = self.ins, self.outs, self.strides
        strided = len(set(strides)) > 1
        if strided and self.has_width:
            yield "stride != 1 or in != width", lambda i: strides[i] != 1 or ins[i] != outs[i]
            yield "stride == 1 and in == width", lambda i: strides[i] == 1 and ins[i] == outs[i]
        if strided:
            yield "stride != 1", lambda i: strides[i] != 1
            yield "stride == 1", lambda i: strides[i] == 1
        if self.has_width:
            yield "in != width", lambda i: ins[i] != outs[i]
            yield "in == width", lambda i: ins[i] == outs[i]
        for name, one in self.attributes.items():
            if one.kind == "bool":
                yield name, lambda i, one=one: bool(one.values.get(i))  # type: ignore[misc]
                yield f"not {name}", lambda i, one=one: not one.values.get(i)  # type: ignore[misc]
        if "expand" in self.attributes:
            known = self.attributes["expand"].values
            if len(known) == self.count:
                yield "expand != 1", lambda i: known[i] != 1
        for name, values in self.named.items():
            if len(values) == self.count:
                yield f"{name} != in", lambda i, values=values: values[i] != ins[i]  # type: ignore[misc]


_Form = Callable[[str, Values, Values], "str | None"]


def _multiple(name: str, values: Values, known: Values) -> str | None:
    ratios = {Fraction(v, known[i]) for i, v in values.items()}
    if len(ratios) != 1:
        return None
    (ratio,) = ratios
    if ratio.denominator == 1:
        return f"{ratio} * {name}"
    if ratio.numerator == 1:
        return f"{name} // {ratio.denominator}"
    if ratio.denominator <= LARGEST_DIVISOR:
        return f"{name} * {ratio.numerator} // {ratio.denominator}"
    return None


def _rounded(form: str, compute: Callable[[int, int], int]) -> _Form:
    def made(name: str, values: Values, known: Values) -> str | None:
        first = next(iter(values))
        guess = known[first] / max(values[first], 1)
        for divisor in range(max(2, int(guess) - 2), min(int(guess) + 3, LARGEST_DIVISOR)):
            if all(compute(known[i], divisor) == v for i, v in values.items()):
                return form.format(name=name, by=divisor)
        return None

    return made


def divisible(value: Fraction, by: int) -> int:
    """The rounding of MobileNets."""
    rounded = max(by, int(value + Fraction(by, 2)) // by * by)
    return rounded + by if rounded < Fraction(9, 10) * value else rounded


_FORMS: Sequence[_Form] = (
    _multiple,
    _rounded("{name} // {by}", lambda x, by: x // by),
    _rounded("max(1, {name} // {by})", lambda x, by: max(1, x // by)),
    _rounded("round({name} / {by})", lambda x, by: round(Fraction(x, by))),
    _rounded("divisible({name} // {by}, 8)", lambda x, by: divisible(Fraction(x // by), 8)),
    _rounded("divisible({name} / {by}, 8)", lambda x, by: divisible(Fraction(x, by), 8)),
    _rounded("divisible({name} // {by}, 4)", lambda x, by: divisible(Fraction(x // by), 4)),
)


def columns(slot: Slot) -> dict[str, dict[int, Data]]:
    """The fields of a layer's place as columns."""
    found: dict[str, dict[int, Data]] = {}
    for number, item in slot.members.items():
        assert isinstance(item, Layer)
        for name, value in item.fields.items():
            found.setdefault(name, {})[number] = value
    return found


def reaching(slot: Slot) -> dict[int, Any]:
    """The channels that reach a layer's place."""
    return {i: item.channels for i, item in slot.members.items() if isinstance(item, Layer)}
