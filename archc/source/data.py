"""A mapping that a program gives, as a text with places, and the places as paths into it.

The text is YAML, so that everything behind it reads a mapping as it reads a file. Its lines are
shown with diagnostics; where they say ``FILE:LINE:COLUMN`` of a file, they say
``spec:stages[1].depth`` of a mapping.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import yaml

from archc.source.diagnostics import Place, Source
from archc.source.reader import (
    MAX_DIGITS,
    MAX_LEVELS,
    MAX_VALUES,
    REFUSED,
    SURROGATE,
    loader,
)
from archc.text import a_type

_TOO_LARGE = 10**MAX_DIGITS
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def source_of_data(
    data: Mapping[str, object], name: str, kind: str = "spec", folder: str = ""
) -> Source:
    """A mapping of texts, numbers, booleans, None, lists and mappings as a source called ``name``.

    Numbers may be NumPy's, lists tuples. Paths in it are relative to ``folder``. Raises TypeError
    for a value of any other type. A text is read as YAML reads it without quotes only where YAML
    1.1 takes it for text, too, as `yaml.safe_load` does with ``1e-4``.
    """
    plain = _Plain(name)
    value = plain.value(data, "", 0)
    text = yaml.dump(
        value,
        # libyaml is ten times as quick, and cannot write a lone surrogate.
        Dumper=_SlowDumper if plain.has_surrogates else _Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=2**30,
    )
    return Source(name, text, kind=kind, folder=folder, is_data=True)


def path_of(place: Place) -> str:
    """The path in a mapping of what stands at a place of its text: ``stages[1].depth``.

    It is empty for the mapping itself, and that of a mapping whose first key begins there, too.
    """
    starts, paths = _paths(place.source.text)
    found = bisect_right(starts, (place.line, place.column)) - 1
    return paths[max(found, 0)]


class _Plain:
    """Data of Python's own types, with no part in it twice and no more than a spec may hold."""

    def __init__(self, name: str):
        self.name = name
        self.values = 0
        self.has_surrogates = False

    def value(self, data: Any, path: str, level: int) -> object:
        """A value in the form that is written; what goes beyond a bound is cut so that it still
        does, for the reader to say so."""
        self.values += 1
        if getattr(data, "shape", None) == () and hasattr(data, "item"):
            data = data.item()  # a scalar of NumPy's or torch's
        if isinstance(data, str):
            self.has_surrogates |= SURROGATE.search(data) is not None
            return str.__str__(data)
        if data is None or isinstance(data, bool):
            return data
        if isinstance(data, Integral):
            return max(-_TOO_LARGE, min(int(data), _TOO_LARGE))
        if isinstance(data, Real):
            return float(data)
        is_list = isinstance(data, Sequence) and not isinstance(data, (bytes, bytearray))
        if not is_list and not isinstance(data, Mapping):
            where = f" at `{path}`" if path else ""
            raise TypeError(
                f"`{self.name}` has {a_type(data)}{where}; it may hold texts, numbers, "
                "booleans, None, lists and mappings"
            )
        if level > MAX_LEVELS:
            return []
        if is_list:
            return [self.value(one, f"{path}[{n}]", level + 1) for n, one in self._some(data)]
        return {
            self._key(key, path): self.value(one, _joined(path, str(key)), level + 1)
            for _, (key, one) in self._some(data.items())
        }

    def _some(self, parts: Any) -> Iterator[tuple[int, Any]]:
        for number, part in enumerate(parts):
            if self.values > MAX_VALUES:
                return
            yield number, part

    def _key(self, key: Any, path: str) -> object:
        if key is None or isinstance(key, (str, Integral, Real)):
            return self.value(key, path, 0)
        raise TypeError(f"the keys of `{self.name}` must be texts, not {a_type(key)}")


class _Writes:
    """Writes a value as often as it is there: specs have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _SlowDumper(_Writes, yaml.SafeDumper):
    pass


class _Dumper(_Writes, getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    pass


def _text(dumper: Any, data: str) -> yaml.Node:
    """A text on one line, with escapes for what may not stand in a YAML file."""
    escaped = REFUSED.search(data) or any(char in data for char in "\n\r\t\x85")
    style = '"' if escaped else None
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)
    return node


for _kind in (_SlowDumper, _Dumper):
    _kind.add_representer(str, _text)


@lru_cache(maxsize=4)
def _paths(text: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Where the parts of a text begin, in order, and their paths."""
    found: dict[tuple[int, int], str] = {}
    try:
        root = yaml.compose(text, loader())
    except yaml.YAMLError:  # a lone surrogate, which libyaml does not read either
        root = yaml.compose(text, yaml.SafeLoader)
    assert root is not None
    left: list[tuple[yaml.Node, str]] = [(root, "")]
    while left:
        node, path = left.pop()
        found.setdefault(_start(node), path)
        if isinstance(node, yaml.SequenceNode):
            left += reversed([(one, f"{path}[{n}]") for n, one in enumerate(node.value)])
        elif isinstance(node, yaml.MappingNode):
            for key, value in reversed(node.value):
                inside = _joined(path, str(key.value))
                left += [(value, inside), (key, inside)]
    starts = sorted(found)
    return starts, [found[start] for start in starts]


def _start(node: yaml.Node) -> tuple[int, int]:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def _joined(path: str, key: str) -> str:
    if not _KEY.fullmatch(key):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key
