"""Results as plain data, for JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def as_plain(record: Any) -> dict[str, Any]:
    """A dataclass instance as a dictionary, and so the instances in its fields.

    What is said of models of other libraries alone is left out where there is nothing to say.

    Like `dataclasses.asdict`, which copies every number and takes ten times as long.
    """
    plain = {name: _plain(getattr(record, name)) for name in _names(type(record))}
    for name in _OPTIONAL & plain.keys():
        if not plain[name]:
            del plain[name]
    if "inputs" in plain and plain.pop("inputs"):  # of one, its shape is all there is to say
        named = record.inputs.items()
        plain["input"] = None
        plain["inputs"] = [{"name": name, "shape": list(shape)} for name, shape in named]
    return plain


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind in (tuple, list):
        # Shapes, of which there is one a row, are spared the recursion.
        return value if _ATOMS.issuperset(map(type, value)) else kind(map(_plain, value))
    if kind is dict:
        return {key: _plain(one) for key, one in value.items()}
    return as_plain(value) if is_dataclass(kind) else value


_OPTIONAL = frozenset({"products", "no_rule"})

_ATOMS = frozenset({str, int, float, bool, type(None)})


_NAMES: dict[type, tuple[str, ...]] = {}


def _names(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple([field.name for field in fields(kind)])
    return _NAMES[kind]
