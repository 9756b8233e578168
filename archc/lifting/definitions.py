"""Families of blocks as definitions, and rows of stem and head, in the data that YAML holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from archc.blocks.layers import LAYERS
from archc.dataclassing import dataclass
from archc.lifting.families import Slot, overlaid
from archc.lifting.numbers import Attribute, Solution, columns, reaching
from archc.lifting.style import NONE, Style
from archc.lifting.tree import Data, Group, Item, Label, Layer, Merge, Recall, Row
from archc.ops import pair

USUAL = 0.75
"""How many blocks have something that is to be the default."""
USUAL_KERNELS = {"conv_norm": 3, "basic_conv": 1}
"""The kernels of blocks of the library that need not be said."""


@dataclass
class Defined:
    """A definition, and what each of its blocks says to be what it is."""

    data: dict[str, Data]
    said: list[dict[str, Data]]
    strides: list[int]


def define(rows: Sequence[Row], solution: Solution, style: Style, label: str | None) -> Defined:
    """The definition of a family of blocks, given the row of each. Raises `ApartError`."""
    slots = overlaid(rows)
    writer = _Definer(solution, style)
    writer.solve(slots)
    writer.name_what_recurs()
    layers = writer.row(slots, set(range(len(rows))))
    data: dict[str, Data] = {}
    if label is not None:
        data["class"] = label
    attributes = {name: one for name, one in solution.attributes.items() if one.is_used}
    if attributes:
        data["attributes"] = {
            name: _declared(name, one, len(rows)) for name, one in attributes.items()
        }
    if solution.let:
        data["let"] = dict(solution.let)
    data["layers"] = layers
    said: list[dict[str, Data]] = []
    for number in range(len(rows)):
        values = {}
        for name, one in attributes.items():
            value = one.values.get(number, one.default)
            if value != one.default or type(value) is not type(one.default):
                values[name] = value
        said.append(values)
    strides = list(solution.strides) if solution.reads_stride else [1] * len(rows)
    return Defined(data, said, strides)


def _declared(name: str, one: Attribute, count: int) -> Data:
    """An attribute as it is declared; one that most blocks agree on gets a default."""
    if name == "width":
        return "int"
    ((value, often),) = Counter(map(_hashable, one.values.values())).most_common(1)
    is_given = len(one.values) == count
    if one.kind in ("int", "size", "number") and is_given and often < 0.6 * count:
        return one.kind
    one.default = next(v for v in one.values.values() if _hashable(v) == value)
    if one.kind == "bool":
        one.default = is_given and one.default and often >= USUAL * count
    if one.kind in ("activation", "norm"):
        return {"type": one.kind, "default": one.default}
    if name in ("kernel", "padding") and isinstance(one.default, int):
        return one.default
    if one.kind == "size" or (one.kind == "int" and isinstance(one.default, list)):
        return {"type": "size", "default": one.default}
    if one.kind == "number":
        one.default = float(one.default)
    return one.default


def _hashable(value: Data) -> Data:
    return tuple(value) if isinstance(value, list) else value


@dataclass
class _Definer:
    """Writes the rows of a definition."""

    solution: Solution
    style: Style
    fields: dict[int, dict[str, Data]] = field(default_factory=dict)

    def solve(self, slots: Sequence[Slot]) -> None:
        """Find the expressions of all fields."""
        layers = [(slot, slot.first) for slot in _walk(slots) if isinstance(slot.first, Layer)]
        # What the others have in the middle of a block follows from a convolution of each channel.
        layers.sort(key=lambda one: not _is_depthwise(one[0]))
        for slot, item in layers:
            self.fields[id(slot)] = self._fields(slot, item)

    def name_what_recurs(self) -> None:
        """Put expressions that stand several times under ``let``."""
        texts = Counter(
            text
            for fields in self.fields.values()
            if isinstance(text := fields.get("width"), str)
            and " " in text
            and "channels" not in text
        )
        for text, often in texts.items():
            if often > 1:
                name = self.solution.let_be("inner", text)
                for fields in self.fields.values():
                    if fields.get("width") == text:
                        fields["width"] = name

    def row(self, slots: Sequence[Slot], around: set[int]) -> list[Data]:
        """A row as data, after `solve`."""
        return [self._item(slot, around) for slot in slots]

    def _item(self, slot: Slot, around: set[int]) -> Data:
        item, present = slot.first, set(slot.members)
        more: dict[str, Data] = {}
        if present != around:
            more["if"] = self.solution.condition(present, around, _what(item))
        if isinstance(item, Layer):
            word = "activation" if item.word == self.style.activation else item.word
            return layer_data(word, self.fields[id(slot)], item.name, more)
        if isinstance(item, Group):
            return {"name": _name(item.name), **more, "layers": self.row(slot.rows[0], present)}
        if isinstance(item, Merge):
            branches = [self.row(one, present) for one in slot.rows]
            return {item.word: merge_data(item, branches), **more}
        return _value(item)

    def _fields(self, slot: Slot, item: Layer) -> dict[str, Data]:
        found = columns(slot)
        reach = reaching(slot)
        if "groups" in found and "width" in found:
            return self._convolution(slot, item, found, reach)
        solution = self.solution
        fields: dict[str, Data] = {}
        for name, values in found.items():
            if name in ("width", "features"):
                fields[name] = solution.channels(values, reach, _asked_name(item, name))
            elif name == "stride":
                fields[name] = solution.stride(values)
            elif name in ("activation", "gate"):
                fields[name] = solution.other(values, name, "activation")
            else:
                fields[name] = solution.other(values, name, _kind(next(iter(values.values()))))
        return _shortened(item.word, fields)

    def _words(self, values: Mapping[int, Data]) -> dict[int, Data]:
        usual = self.style.activation
        return {i: "network" if one == usual else one for i, one in values.items()}

    def _convolution(
        self, slot: Slot, item: Layer, found: dict[str, dict[int, Data]], reach: Mapping[int, Data]
    ) -> dict[str, Data]:
        solution = self.solution
        fields: dict[str, Data] = {}
        name = _asked_name(item, "width")
        widths, reaches = found["width"], dict(reach)
        is_depthwise = _is_depthwise(slot)
        if is_depthwise or name == "width":
            name = "hidden"
        fields["width"] = solution.channels(widths, None if is_depthwise else reaches, name)
        fields["kernel"] = solution.other(found["kernel"], "kernel", "size")
        fields["stride"] = solution.stride(found["stride"])
        if any(not usual_padding(*_window(found, i)) for i in found["padding"]):
            fields["padding"] = solution.other(found["padding"], "padding", "size")
        fields["dilation"] = solution.other(found["dilation"], "dilation", "int")
        fields["groups"] = solution.groups(found["groups"], reaches, fields["width"], widths)
        norms = found["norm"]
        if self.style.norm == NONE:
            norms = {i: "network" if one == "none" else one for i, one in norms.items()}
        fields["norm"] = solution.other(norms, "norm", "norm")
        fields["bias"] = solution.other(found["bias"], "bias", "bool")
        words = self._words(found["activation"])
        fields["activation"] = solution.other(words, "activation", "activation")
        return _shortened(item.word, fields, self.style, in_definition=True)


def _walk(slots: Sequence[Slot]) -> Iterator[Slot]:
    for slot in slots:
        yield slot
        for row in slot.rows:
            yield from _walk(row)


def _is_depthwise(slot: Slot) -> bool:
    """Whether a layer's place has a convolution of each channel by itself."""
    layers = [one for one in slot.members.values() if isinstance(one, Layer)]
    groups = [one.fields.get("groups", 1) for one in layers]
    return any(one > 1 for one in groups) and groups == [one.channels for one in layers]


def _window(found: Mapping[str, Mapping[int, Data]], i: int) -> tuple[Data, Data, Data]:
    return found["padding"][i], found["kernel"][i], found["dilation"][i]


def usual_padding(padding: Data, kernel: Data, dilation: int) -> bool:
    """Whether a convolution's padding is the one that need not be said."""
    return pair(padding) == tuple(dilation * (one - 1) // 2 for one in pair(kernel))


def _shortened(
    word: str, fields: dict[str, Data], style: Style | None = None, *, in_definition: bool = False
) -> dict[str, Data]:
    """Fields without those that need not be said."""
    usual: dict[str, Data] = {"stride": 1, "dilation": 1, "groups": 1}
    if word in USUAL_KERNELS:
        usual["kernel"] = USUAL_KERNELS[word]
    if style is not None:
        usual |= {"norm": "network", "activation": "network"}
        has_none = fields["norm"] == "none" or (fields["norm"] == "network" and style.norm == NONE)
        must_say = in_definition and fields["norm"] == "none" and word == "conv"
        if not must_say and isinstance(fields["bias"], bool):
            usual["bias"] = has_none
    elif word == "squeeze":
        usual = {"activation": "relu", "gate": "sigmoid"}
    elif word in ("channel_shuffle", "group_norm", "max_pool", "avg_pool"):
        usual = {}
    return {
        name: one
        for name, one in fields.items()
        if name not in usual or one != usual[name] or type(one) is not type(usual[name])
    }


def _asked_name(item: Layer, name: str) -> str:
    """What an attribute is called that says a layer's channels."""
    source = item.name or (item.parts[0].id if item.parts else "")
    pieces = source.split(".")
    last = max((i for i, one in enumerate(pieces) if not one.isdigit()), default=0)
    source = "_".join(pieces[last:])
    word = "".join(char if char.isalnum() and char.isascii() else "_" for char in source)
    word = word.strip("_").lower()
    if not word or word[0].isdigit() or source.startswith("conv"):
        return name
    return f"{word}_{name}" if name == "width" and word == pieces[-1].lower() else word


def _kind(value: Data) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, float):
        return "number"
    return "size" if isinstance(value, (tuple, list)) else "int"


# Data


def layer_data(word: str, fields: Mapping[str, Data], name: str | None, more: Data = None) -> Data:
    """A layer with its fields, and what stands beside it."""
    content: Data = {key: _plain(one) for key, one in fields.items()}
    model = LAYERS.get(word)
    if model is not None and model.scalar is not None and list(content) == [model.scalar]:
        content = content[model.scalar]
    if name is None and not more:
        return {word: content} if content != {} or word not in LAYERS else word
    beside = {} if name is None else {"name": _name(name)}
    return {word: content, **beside, **(more or {})}


def _plain(value: Data) -> Data:
    return list(value) if isinstance(value, tuple) else value


def _name(name: str) -> Data:
    return int(name) if name.isdigit() and (name == "0" or name[0] != "0") else name


def merge_data(item: Merge, branches: Sequence[list[Data]]) -> Data:
    """The branches of a merge, or what meets the current value."""
    if item.meets is not None:
        return {item.meets: branches[0]} if branches[0] else item.meets
    return [_branch(one) for one in branches]


def _branch(row: list[Data]) -> Data:
    if not row:
        return "identity"
    is_layer = row[0] == "identity"  # which by itself would be the current value
    if len(row) > 1 or is_layer or (isinstance(row[0], dict) and "if" in row[0]):
        return row
    return row[0]


def _what(item: Item) -> str:
    """What an item is, in a word of an attribute."""
    if isinstance(item, Merge) and item.word == "add" and item.meets == "input":
        return "shortcut"
    if isinstance(item, (Layer, Merge)):
        return item.word
    return item.name if isinstance(item, Group) and item.name.isidentifier() else "group"


def _value(item: Item) -> Data:
    if isinstance(item, Label):
        return {"label": item.name}
    assert isinstance(item, Recall)
    return item.name


@dataclass
class Plain:
    """Writes the rows of a stem or a head, whose numbers are all known."""

    style: Style

    def row(self, row: Row) -> list[Data]:
        """A row as data."""
        out: list[Data] = []
        times: list[int] = []
        for data in map(self._item, row):
            if out and data == out[-1] and isinstance(data, dict) and len(data) == 1:
                times[-1] += 1
            else:
                out.append(data)
                times.append(1)
        return [
            {**data, "repeat": often} if often > 1 else data
            for data, often in zip(out, times, strict=True)
        ]

    def _item(self, item: Item) -> Data:
        if isinstance(item, Layer):
            return layer_data(item.word, self._fields(item), item.name)
        if isinstance(item, Group):
            return {"name": _name(item.name), "layers": self.row(item.row)}
        if isinstance(item, Merge):
            return {item.word: merge_data(item, [self.row(one) for one in item.branches])}
        return _value(item)

    def _fields(self, item: Layer) -> dict[str, Data]:
        fields, style = dict(item.fields), self.style
        if item.word == "linear" and fields.get("features") == style.classes:
            return {}
        if item.word in ("conv", "conv_norm", "basic_conv"):
            if usual_padding(fields["padding"], fields["kernel"], fields["dilation"]):
                del fields["padding"]
            if fields["groups"] > 1 and fields["groups"] == item.channels:
                fields["groups"] = "depthwise"
            if fields["norm"] == "none" and style.norm == NONE:
                fields["norm"] = "network"
            if fields["activation"] == style.activation:
                fields["activation"] = "network"
            return _shortened(item.word, fields, style)
        return _shortened(item.word, fields)
