"""Lists that are written without brackets: ``depth: 3, 4, 11, 3``, and ``{depth: 3, 4, 11, 3}``,
which YAML takes for the keys ``4``, ``11`` and ``3`` without values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from archc.source.reader import Entry, Value
from archc.source.validate import is_nothing

_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")
_ITEM = re.compile(r"[-+]?[\w.]+")


def list_in_text(value: Value) -> str | None:
    """``[3, 4, 11, 3]``, where a value is the text ``3, 4, 11, 3``; otherwise None."""
    if not isinstance(value.data, str) or _THOUSANDS.fullmatch(value.data):
        return None
    items = [one.strip() for one in value.data.split(",")]
    if len(items) < 2 or not all(map(_ITEM.fullmatch, items)):
        return None
    return f"[{', '.join(items)}]"


def list_in_keys(entries: Mapping[str, Entry], name: str) -> tuple[str, str, list[str]] | None:
    """The key with whose value a list begins that goes on with a key ``name`` without a value; the
    list; and all keys that are items of it. None where there is no such list."""
    names = list(entries)
    at = first = names.index(name)
    while first and is_nothing(entries[names[first]].value):
        first -= 1
    last = at
    while last + 1 < len(names) and is_nothing(entries[names[last + 1]].value):
        last += 1
    begins = entries[names[first]].value
    items = names[first + 1 : last + 1]
    if not is_nothing(entries[name].value) or begins.text is None or not begins.text:
        return None
    if not all(map(_ITEM.fullmatch, [begins.text, *items])):
        return None
    return names[first], f"[{', '.join([begins.text, *items])}]", items
