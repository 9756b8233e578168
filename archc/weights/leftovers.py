"""What a file holds beside tensors, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from archc.text import listing, quote, quote_name
from archc.weights.modules import is_module
from archc.weights.values import Array, Name, StandIn, Storage, TensorView, TypeName

MAX_KINDS = 5
"""Of how many kinds of objects the line tells."""

MAX_LENGTH = 80
"""Of a class's name in a message."""

_PLAIN = frozenset(
    ("set", "frozenset", "bytearray", "complex", "int", "slice", "range", "xrange", "torch.device")
)
"""Values that are left out no more than the numbers and text around them."""

_TENSORS = {
    "_rebuild_sparse_tensor": "sparse tensor",
    "_rebuild_qtensor": "quantized tensor",
    "_rebuild_nested_tensor": "nested tensor",
    "_rebuild_meta_tensor_no_storage": "tensor without numbers",
}


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor, of any kind: the description of one in a file, or torch's."""
    if isinstance(value, TensorView):
        return True
    if isinstance(value, StandIn):
        maker = value.maker
        is_torch = isinstance(maker, Name) and maker.module in ("torch._utils", "torch._tensor")
        return is_torch and isinstance(maker, Name) and maker.name.startswith("_rebuild_")
    return _is_torch_tensor(value)


def _is_torch_tensor(value: object) -> bool:
    from torch import Tensor

    return isinstance(value, Tensor)


def in_words(value: object) -> str:
    """``a Python `int```, ``a tensor``, ``an `argparse.Namespace```."""
    if isinstance(value, StandIn | Array | Name):
        return _counted(_noun(value), 1)
    if is_tensor(value):
        return "a tensor"
    if isinstance(value, Storage):
        return "a storage of tensors"
    return f"a Python `{type(value).__name__}`"


class _Noun(NamedTuple):
    """How objects of a kind are called: the name of a class, or words."""

    word: str
    plural: str


def _noun(value: StandIn | Array | Name) -> _Noun:
    if isinstance(value, Array):
        word = "NumPy number" if value.is_number else "NumPy array"
        return _Noun(word, f"{word}s")
    if isinstance(value, Name):
        name = _shown(value.path)
        return _Noun(f"reference to {name}", f"references to {name}")
    if is_tensor(value):
        word = _TENSORS.get(getattr(value.maker, "name", ""), "tensor of a special kind")
        return _Noun(word, word.replace("tensor", "tensors"))
    name = _shown(value.path)
    return _Noun(name, f"{name} objects")


def _shown(path: str) -> str:
    return quote_name(path if len(path) <= MAX_LENGTH else f"{path[: MAX_LENGTH - 1]}…")


def _counted(noun: _Noun, count: int) -> str:
    if count > 1:
        return f"{count:,} {noun.plural}"
    return f"{'an' if noun.word[:1].lower() in 'aeiou' else 'a'} {noun.word}"


def left_out(content: object, states: Collection[object] = ()) -> str | None:
    """Which objects of a file are not loaded, and where they are: ``an argparse.Namespace under
    `args```; None where there are none. ``states`` are the state dicts in it."""
    found: dict[str, tuple[_Noun, list[str]]] = {}
    for value, path in _objects(content, {id(state) for state in states}):
        noun = _noun(value)
        found.setdefault(noun.word, (noun, []))[1].append(path)
    words = [_in_places(noun, paths) for noun, paths in found.values()]
    if len(words) > MAX_KINDS:
        more = len(words) - MAX_KINDS
        words[MAX_KINDS:] = [f"{more} more kind{'s' * (more > 1)} of objects"]
    return listing(words, "and") if words else None


def _in_places(noun: _Noun, paths: list[str]) -> str:
    count = _counted(noun, len(paths))
    if not paths[0]:
        return count
    return f"{count}{' under' if len(paths) == 1 else ', the first under'} {quote(paths[0])}"


def _objects(content: object, seen: set[int]) -> Iterator[tuple[StandIn | Array | Name, str]]:
    """The objects among plain values and containers, each once, with the keys that lead to it; but
    for what is in the containers of these ids."""
    left: list[tuple[object, str]] = [(content, "")]
    while left:
        value, path = left.pop()
        if isinstance(value, TypeName):
            continue
        if isinstance(value, Array | Name):
            yield value, path
            continue
        if not isinstance(value, Mapping | list | tuple | StandIn) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, StandIn) and value.path not in _PLAIN and not is_module(value):
            yield value, path
        inner: list[tuple[object, Any]] = []
        if isinstance(value, Mapping):
            inner = list(value.items())
        elif isinstance(value, list | tuple):
            inner = list(enumerate(value))
        left += [(one, _joined(path, key)) for key, one in reversed(inner)]


def _joined(path: str, key: object) -> str:
    """A longer path, as far as anyone reads it."""
    return f"{path}.{str(key)[:200]}"[:200].removeprefix(".") if len(path) < 200 else path
