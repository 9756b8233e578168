"""Keys that a `--set` gives, but that change nothing: nothing in the network reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from archc.blocks.tree import Expr, Item, LayerItem, walk
from archc.source.diagnostics import Note
from archc.source.reader import Value
from archc.spec.models import Spec
from archc.spec.options import numbered
from archc.spec.overrides import is_set
from archc.text import quote_name

_READ = ("classes", "norm", "activation", "pre_activation")
"""The keys of the network that layers, blocks and expressions read."""
_SELF = {"classes": "features", "norm": "norm", "activation": "activation"}
"""The field of a layer that stands for a key where it is not given."""


def notes_of_effects(spec: Spec, written: Iterable[Value]) -> Iterator[Note]:
    """What the user of `--set` should know of keys that have no effect, or not on all stages.

    ``written`` are the values from which stages were made: expressions in them may read keys.
    """
    set_keys = [key for key in _READ if key in spec.entries and is_set(spec.entries[key].key)]
    set_variables = [name for name, place in spec.origins.items() if is_set(place)]
    if not set_keys and not set_variables:
        return
    network = quote_name(spec.header.name)
    text = text_of(spec, written)
    items = list(_items(spec))
    for key in set_keys:
        place = spec.entries[key].key
        if not is_word_in(key, text) and not any(_reads(item, key) for item in items):
            told = f"`{key}` has no effect: nothing in {network} reads it"
            if key == "classes":
                told = f"`{key}` has no effect: each `linear` of {network} has its own number"
            if key == "classes" and not any(_is_linear(item) for item in items):
                told = f"`{key}` has no effect: {network} has no `linear`"
            yield Note(place, told)
            continue
        own = [number for number, stage in enumerate(spec.stages, 1) if key in stage.attributes]
        if own:
            has = "has its" if len(own) == 1 else "have their"
            yield Note(place, f"{numbered(own)} {has} own `{key}`, which stays")
    for name in set_variables:
        if not is_word_in(name, text):
            told = f"the variable `{name}` has no effect: nothing in {network} reads it"
            yield Note(spec.origins[name], told)


def _items(spec: Spec) -> Iterator[Item]:
    yield from walk(spec.row("stem") + spec.row("head"))
    for definition in spec.definitions.values():
        yield from walk(definition.layers)
        yield from walk(definition.end)


def _is_linear(item: Item) -> bool:
    return isinstance(item, LayerItem) and item.word == "linear"


def _reads(item: Item, key: str) -> bool:
    """Whether a layer takes a key of the network where it says nothing itself."""
    if not isinstance(item, LayerItem):
        return False
    if item.word == key or (key == "norm" and item.word.endswith("_norm")):
        return True
    name = _SELF.get(key, "")
    if name not in item.model.model_fields or (key == "classes" and item.word != "linear"):
        return False
    given = item.fields.get(name)
    return given is None or isinstance(given.value, Expr) or given.value == "network"


def text_of(spec: Spec, written: Iterable[Value]) -> str:
    """All of a spec in which expressions may stand; ``written`` are the values of its stages."""
    rows = [one.written.plain for one in (*spec.stem, *spec.head)]
    blocks = [dict(one.source) for one in spec.definitions.values()]
    header = [entry.value.plain for key, entry in spec.entries.items() if key in ("norm", "names")]
    return json.dumps(_but_keys([rows, blocks, header, [value.plain for value in written]]))


def _but_keys(data: object) -> object:
    """Data without keys, which are names of fields and read nothing."""
    if isinstance(data, dict):
        return [_but_keys(value) for key, value in data.items() if key != "description"]
    return [_but_keys(one) for one in data] if isinstance(data, list) else data


def is_word_in(name: str, text: str) -> bool:
    """Whether a text of `text_of` may read a name."""
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
