"""Blocks of one kind laid over each other: what all have, and what only some have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import field

from archc.dataclassing import dataclass
from archc.lifting.tree import Group, Item, Label, Layer, Merge, Recall, Row


class ApartError(Exception):
    """Blocks that cannot be one definition; the message says why."""


@dataclass(eq=False)
class Slot:
    """A place in a definition, with what each block has there, by the block's number.

    ``rows`` are those inside: of a group its own, of a merge its branches.
    """

    members: dict[int, Item]
    rows: list[list[Slot]] = field(default_factory=list)

    @property
    def first(self) -> Item:
        """What the first block that has something has here."""
        return next(iter(self.members.values()))


def overlaid(rows: Sequence[Row]) -> list[Slot]:
    """Rows laid over each other. Raises `ApartError`."""
    slots: list[Slot] = []
    for number, row in enumerate(rows):
        slots = _add(slots, row, number)
    everywhere = set(range(len(rows)))
    labels = Counter(slot.first.name for slot in slots if isinstance(slot.first, Label))
    for slot in slots:  # a label does no harm where nothing reads it
        if isinstance(slot.first, Label) and labels[slot.first.name] == 1:
            slot.members |= dict.fromkeys(everywhere - slot.members.keys(), slot.first)
    _check(slots, everywhere)
    return slots


def _add(slots: list[Slot], row: Row, number: int) -> list[Slot]:
    out: list[Slot] = []
    for slot, item in _aligned(slots, row):
        if item is None:
            assert slot is not None
            out.append(slot)
            continue
        if slot is None:
            slot = Slot({})
        slot.members[number] = item
        inner = _rows(item)
        if not slot.rows:
            slot.rows = [[] for _ in inner]
        slot.rows = [_add(one, row, number) for one, row in zip(slot.rows, inner, strict=True)]
        out.append(slot)
    return out


def _rows(item: Item) -> list[Row]:
    if isinstance(item, Group):
        return [item.row]
    return item.branches if isinstance(item, Merge) else []


def _aligned(slots: list[Slot], row: Row) -> Iterator[tuple[Slot | None, Item | None]]:
    """Slots and items in order, those together that go together best."""
    height, width = len(slots), len(row)
    best = [[0.0] * (width + 1) for _ in range(height + 1)]
    for i in range(height - 1, -1, -1):
        for j in range(width - 1, -1, -1):
            together = likeness(slots[i].first, row[j])
            options = [best[i + 1][j], best[i][j + 1]]
            if together > 0:
                options.append(best[i + 1][j + 1] + together)
            best[i][j] = max(options)
    i = j = 0
    while i < height or j < width:
        if i < height and j < width:
            together = likeness(slots[i].first, row[j])
            if together > 0 and best[i][j] == best[i + 1][j + 1] + together:
                yield slots[i], row[j]
                i, j = i + 1, j + 1
                continue
        if j >= width or (i < height and best[i][j] == best[i + 1][j]):
            yield slots[i], None
            i += 1
        else:
            yield None, row[j]
            j += 1


def likeness(one: Item, other: Item) -> float:
    """How much two items are alike; 0 for what cannot be in one place."""
    if type(one) is not type(other):
        return 0
    if isinstance(one, Layer) and isinstance(other, Layer):
        return _likeness_of_layers(one, other)
    if isinstance(one, Group) and isinstance(other, Group):
        if one.name != other.name:
            return 0
        return 3 + _likeness_of_rows(one.row, other.row)
    if isinstance(one, Merge) and isinstance(other, Merge):
        if (one.word, one.meets) != (other.word, other.meets):
            return 0
        if len(one.branches) != len(other.branches):
            return 0
        pairs = zip(one.branches, other.branches, strict=True)
        return 3 + sum(_likeness_of_rows(a, b) for a, b in pairs)
    if isinstance(one, (Label, Recall)) and isinstance(other, (Label, Recall)):
        return 1
    return 0


def _likeness_of_rows(one: Row, other: Row) -> float:
    return sum(likeness(a, b) for a, b in zip(one, other, strict=False)) / 4


def _likeness_of_layers(one: Layer, other: Layer) -> float:
    if one.word != other.word:
        return 0
    if one.name != other.name and not (one.name is None or other.name is None):
        return 0
    score = 2.0
    for name in ("kernel", "norm", "activation", "bias"):
        if name in one.fields:
            score += one.fields[name] == other.fields.get(name)
    if "groups" in one.fields:
        score += 2 * (_is_depthwise(one) == _is_depthwise(other))
    return score


def _is_depthwise(layer: Layer) -> bool:
    groups = layer.fields.get("groups", 1)
    return bool(groups > 1 and groups == layer.channels)


def _check(slots: Sequence[Slot], around: set[int]) -> None:
    """Raise `ApartError` for what cannot be said of all blocks at once."""
    for slot in slots:
        members = list(slot.members.values())
        if isinstance(slot.first, (Label, Recall)):
            names = {one.name for one in members if isinstance(one, (Label, Recall))}
            if len(names) != 1 or set(slot.members) != around:
                raise ApartError("they use values by name in different ways")
        if isinstance(slot.first, Layer):
            _name_alike([one for one in members if isinstance(one, Layer)])
        for row in slot.rows:
            _check(row, set(slot.members))


def _name_alike(layers: Sequence[Layer]) -> None:
    """Have layers of one place say their name where some have to. Raises `ApartError`."""
    if len({one.name for one in layers}) == 1:
        return
    names = {one.called for one in layers}
    if len(names) != 1 or None in names:
        raise ApartError(f"layers of one place are called {_listed(names)}")
    for one in layers:
        one.name = one.called


def _listed(names: set[str | None]) -> str:
    return " and ".join(sorted(repr(one) if one else "by their place" for one in names)[:3])
