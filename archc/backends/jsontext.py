"""JSON that people can read and compare: a record a line."""

from __future__ import annotations

import json
from collections.abc import Mapping


def to_text(value: object) -> str:
    """JSON with what holds records broken over lines, and each flat record on one of its own.

    >>> print(to_text({"name": "a", "shape": [1, 2], "rows": [{"n": 1}, {"n": 2}]}), end="")
    {
     "name": "a",
     "shape": [1, 2],
     "rows": [
      {"n": 1},
      {"n": 2}
     ]
    }
    """
    return _text(value, "") + "\n"


def _text(value: object, indent: str) -> str:
    deeper = indent + " "
    if isinstance(value, Mapping) and any(map(_holds_records, value.values())):
        rows = [f"{deeper}{json.dumps(k)}: {_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and any(map(_holds_records, value)):
        return "[\n" + ",\n".join(deeper + _text(v, deeper) for v in value) + f"\n{indent}]"
    return json.dumps(value)


def _holds_records(value: object) -> bool:
    """Whether a value is, or holds, a mapping."""
    if isinstance(value, _ATOMS):
        return False  # asked first: whether a number is a Mapping takes far longer to find out
    if isinstance(value, (list, tuple)):
        return any(map(_holds_records, value))
    return isinstance(value, Mapping)


_ATOMS = (str, int, float, type(None))
