"""Rows as modules: what stands under one path goes into a group, and what names have to be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from archc.blocks.lowering import Module
from archc.dataclassing import dataclass
from archc.graph.regions import enclosing
from archc.lifting.style import Style, written_norm
from archc.lifting.tree import (
    Group,
    Item,
    Label,
    Layer,
    Merge,
    Part,
    Recall,
    Row,
    kept,
    labels,
    walk,
)


def grouped(row: Row, prefix: str, total: Counter[str], read: frozenset[str] = frozenset()) -> Row:
    """A row in which the ops of each module below a path are a group.

    ``total`` counts the ids below each path that have to come out again in the whole network: what
    is not all together makes no group. ``read`` are the values that are read by name elsewhere.
    """
    out: list[Item] = []
    homes = _homes(row, prefix, total)
    index = 0
    while index < len(row):
        home = homes[index]
        end = index
        if home is not None:
            end = max(i for i, one in enumerate(homes) if one == home) + 1
        run = row[index:end]
        elsewhere = read | labels([*row[:index], *row[end:]])[1]
        if home is not None and _is_module(run, f"{prefix}{home}", total, elsewhere):
            while end < len(row) and _follows(row[end], f"{prefix}{home}."):
                run = row[index : end + 1]
                end += 1
            out.append(Group(home, grouped(run, f"{prefix}{home}.", total)))
            index = end
            continue
        item = row[index]
        if isinstance(item, Merge):
            item.branches = [
                grouped(one, prefix, total, elsewhere | labels([item])[1]) for one in item.branches
            ]
        out.append(item)
        index += 1
    return out


def _homes(row: Row, prefix: str, total: Counter[str]) -> list[str | None]:
    """The module of each item; an item without keys belongs to that of the next one."""
    here = count_paths(kept(row))
    homes = [_home(item, prefix, here, total) for item in row]
    for index in range(len(row) - 2, -1, -1):
        after, item = homes[index + 1], row[index]
        if after is not None and homes[index] is None and _follows(item, f"{prefix}{after}."):
            homes[index] = after
    return homes


def _home(item: Item, prefix: str, here: Counter[str], total: Counter[str]) -> str | None:
    """The outermost module below a path that an item stands in, and that stands wholly in a row:
    ``here`` are the ids of the row below each path."""
    ids = kept([item])
    if not ids:
        return None
    if isinstance(item, Merge):
        ids.add(item.id)
    if not all(id.startswith(prefix) for id in ids):
        return None
    around = f"{enclosing(ids)}." if len(ids) > 1 else f"{next(iter(ids)).rpartition('.')[0]}."
    end = len(prefix)
    while (end := around.find(".", end)) >= 0:
        path = around[:end]
        if here[path] == total[path]:
            return path.removeprefix(prefix)
        end += 1
    return None


def _is_module(run: Row, path: str, total: Counter[str], elsewhere: frozenset[str]) -> bool:
    """Whether a run holds all of a module, and nothing of another; ``elsewhere`` are the values
    that others read by name."""
    ids = kept(run)
    if len(ids) != total[path] or any(not id.startswith(f"{path}.") for id in ids):
        return False
    given, read = labels(run)
    return given >= read and not given & elsewhere


def _follows(item: Item, path: str) -> bool:
    """Whether an item without keys stands in a module."""
    if isinstance(item, Layer):
        return all(not part.is_kept and part.id.startswith(path) for part in item.parts)
    return False


def count_paths(ids: Iterable[str]) -> Counter[str]:
    """How many of some ids stand below each path."""
    total: Counter[str] = Counter()
    for id in ids:
        parent = id.rpartition(".")[0]
        while parent:
            total[parent] += 1
            parent = parent.rpartition(".")[0]
    return total


# What is added to a value by its name


def meeting(row: Row) -> Row:
    """The row of a block: where it begins with a sum of its input and something, that something is
    the row, and meets the input at its end."""
    if row and isinstance(row[0], Label):
        row = _read_as_input(row[1:], row[0].name)
    first = row[0] if row else None
    if not isinstance(first, Merge) or first.word != "add" or len(first.branches) != 2:
        return row
    if first.meets is not None or any(_begins_elsewhere(one) for one in first.branches):
        return row
    main = max((0, 1), key=lambda at: (_layers(first.branches[at]), -at))
    other, rest = first.branches[1 - main], meeting(first.branches[main])
    if labels(rest)[0] & labels(other)[1]:
        return row
    return [*rest, Merge("add", [other], first.id, "input"), *row[1:]]


def added_alike(rows: Sequence[Row]) -> list[Row]:
    """The rows of blocks of which some add something to their input, with sums that others have of
    a later value written in the same way: the value has a name, and meets what comes of it."""
    merges = [item for row in rows for item in row if isinstance(item, Merge)]
    if not any(one.meets == "input" for one in merges):
        return list(rows)
    return [_with_named_sum(row) for row in rows]


def _with_named_sum(row: Row) -> Row:
    for index, item in enumerate(row):
        if not isinstance(item, Merge) or item.word != "add" or item.meets is not None:
            continue
        if len(item.branches) != 2 or any(_begins_elsewhere(one) for one in item.branches):
            continue
        main = max((0, 1), key=lambda at: (_layers(item.branches[at]), -at))
        other, rest = item.branches[1 - main], item.branches[main]
        if not index or labels(rest)[0] & labels(other)[1]:
            continue
        name = item.id  # no label yet is called like this
        met = Merge("add", [other], name, meets=name)
        return [*row[:index], Label(name), *rest, met, *row[index + 1 :]]
    return row


def _begins_elsewhere(row: Row) -> bool:
    return bool(row) and isinstance(row[0], (Recall, Label))


def _layers(row: Row) -> int:
    return sum(isinstance(one, Layer) for one in walk(row))


def _read_as_input(row: Row, name: str) -> Row:
    """A row in which a value is called the input, which it is."""
    for item in walk(row):
        if isinstance(item, Recall) and item.name == name:
            item.name = "input"
    return row


# Names


@dataclass
class Naming:
    """Finds which names have to be written so that the ids come out again."""

    style: Style
    made: Callable[[Group], Layer | None]
    """The block of the library that a group is, if it is one."""
    names_all: bool = False
    """Whether layers of stem and head have names, too, that need none."""
    given: Counter[str] = field(default_factory=Counter)

    def name(self, row: Row, module: Module, prefix: str, taken: set[str]) -> Row:
        """A row whose layers bear the names that they need below a path.

        ``taken`` are the names that the module's parts must have.
        """
        out: list[Item] = []
        for item in row:
            if isinstance(item, Layer):
                out += self._layer(item, module, prefix, taken)
            elif isinstance(item, Group):
                out.append(self._group(item, module, prefix, taken))
            elif isinstance(item, Merge):
                item.branches = [self.name(one, module, prefix, taken) for one in item.branches]
                module.apart(item.word)
                out.append(item)
            else:
                out.append(item)
        return _without_flatten(out, module)

    def _group(self, item: Group, module: Module, prefix: str, taken: set[str]) -> Item:
        path = f"{prefix}{item.name}."
        inner = Module(numbered=True)
        names = own_names(item.row, path)
        item.row = self.name(item.row, inner, path, names)
        block = self.made(item)
        if block is not None:
            block.parts = (Part(block.word, path[:-1], True),)
            (named,) = self._layer(block, module, prefix, taken)
            return named
        only = item.row[0] if len(item.row) == 1 else None
        if isinstance(only, Group):
            only.name = f"{item.name}.{only.name}"
            module.first("group", only.name)
            return only
        if isinstance(only, Layer) and only.called is not None and len(only.parts) == 1:
            only.name = only.called = f"{item.name}.{only.called}"
            module.first(only.parts[0].family, only.name)
            return only
        module.first("group", item.name)
        return item

    def _layer(self, item: Layer, module: Module, prefix: str, taken: set[str]) -> list[Item]:
        """A layer with its name, or the layers that it has to be divided into."""
        if len(item.parts) == 1:
            item = _written(item, self.style)
        wanted = [one.id.removeprefix(prefix) if one.is_kept else None for one in item.parts]
        item.called = wanted[0]
        if self.names_all and not prefix and not item.parts[0].is_kept and not module.numbered:
            item.name = self._new_name(item.parts[0].family, taken)
            return [item]
        before = (module.next, Counter(module.kinds))
        if _fits(_tried(item, module, None), wanted, taken):
            item.name = None
            return [item]
        module.next, module.kinds = before[0], Counter(before[1])
        first = wanted[0]
        if first is None:  # what it is called makes no difference, as long as nothing else is
            first = f"{item.parts[0].family}_{module.kinds[item.parts[0].family]}"
        if _fits(_tried(item, module, first), wanted, taken):
            item.name = first
            return [item]
        module.next, module.kinds = before[0], Counter(before[1])
        if len(item.parts) == 1:  # a name that is taken by what is to come
            module.first(item.parts[0].family, first)
            item.name = first
            return [item]
        return [
            one
            for single in _divided(item, self.style)
            for one in self._layer(single, module, prefix, taken)
        ]

    def _new_name(self, family: str, taken: set[str]) -> str:
        """A name that nothing has in stem and head."""
        while True:
            self.given[family] += 1
            name = f"plain_{family}{self.given[family]}"
            if name not in taken:
                return name


def own_names(row: Row, prefix: str) -> set[str]:
    """What the parts of a module are called that have to be called so, and theirs."""
    names = {id.removeprefix(prefix) for id in kept(row) if id.startswith(prefix)}
    return names | set(count_paths(names))


def _tried(item: Layer, module: Module, name: str | None) -> list[str]:
    """What the ops of a layer are called in a module."""
    first, *rest = item.parts
    if name is None and first.id and item.source is not None and not module.numbered:
        names = [module.apart(first.family)]
    else:
        names = [module.first(first.family, name)]
    for number, part in enumerate(rest, 1):
        names.append(module.behind(part.family, names[0], number, is_named=name is not None))
    return names


def _fits(names: Sequence[str], wanted: Sequence[str | None], taken: set[str]) -> bool:
    for name, want in zip(names, wanted, strict=True):
        if want is None and name in taken:
            return False
        if want is not None and name != want:
            return False
    return True


def _written(item: Layer, style: Style) -> Layer:
    if item.word in ("batch_norm", "layer_norm", "group_norm"):
        return written_norm(item, style)
    return item


def _divided(item: Layer, style: Style) -> list[Layer]:
    """A convolution, its norm and its activation as a layer each."""
    conv, *rest = item.parts
    fields = {**item.fields, "norm": "none", "activation": "none"}
    layers = [Layer("conv", fields, (conv,), item.channels, item.width)]
    if item.fields["norm"] != "none":
        norm, *rest = rest
        word = "norm" if item.fields["norm"] == "network" else item.fields["norm"]
        layers.append(Layer(word, {}, (norm,), item.width, item.width))
    if rest:
        word = item.fields["activation"]
        layers.append(Layer(word, {}, tuple(rest), item.width, item.width))
    return layers


def _without_flatten(row: Row, module: Module) -> Row:
    """A row without the flattens that archc puts in by itself where numbers allow."""
    if module.numbered:
        return row
    out: list[Item] = []
    for item in row:
        last = out[-1] if out else None
        if (
            isinstance(item, Layer)
            and item.word == "linear"
            and isinstance(last, Layer)
            and last.word == "flatten"
            and last.reads_map
        ):
            out.pop()
        out.append(item)
    return out


def plain_labels(row: Row) -> Row:
    """A row whose values are called a, b, c."""
    names: dict[str, str] = {"input": "input"}
    for item in walk(row):
        if isinstance(item, Label):
            number = len(names) - 1
            letter = "abcdefghjklmnopqrstuvwxyz"[number % 25]
            item.name = names.setdefault(
                item.name, letter + (str(number // 25) if number > 24 else "")
            )
    for item in walk(row):
        if isinstance(item, Recall):
            item.name = names.get(item.name, item.name)
        elif isinstance(item, Merge) and item.meets is not None:
            item.meets = names.get(item.meets, item.meets)
    return row
