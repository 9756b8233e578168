"""The ids of a foreign model's ops: paths of its modules, otherwise unique places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import field
from functools import lru_cache

from archc.dataclassing import dataclass
from archc.frontends.program import Call, Scope
from archc.ops import Op

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|[0-9]+")


@dataclass
class Names:
    """Gives each op its id, once.

    ``calls`` are all of the program, so that a module is known that several of them stand in.
    """

    calls: Iterable[Call]
    taken: set[str] = field(default_factory=lambda: {"input"})
    around: set[str] = field(default_factory=set)
    """The paths of modules around others."""
    used: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)
    layers: set[str] = field(default_factory=set)
    """The paths of modules that have weights of their own."""
    holding: set[str] = field(default_factory=set)
    """The paths of modules that have tensors, and of those around them."""
    has_paths: bool = False
    """Whether the program says anything of modules; otherwise all that is of a kind is counted."""

    def __post_init__(self) -> None:
        for call in self.calls:
            self.within[call.path] += 1
            self.has_paths |= bool(call.path)
            for scope in call.scopes[:-1]:
                self.around.add(scope.path)
        self.around.discard("")

    def note_tensors(self, keys: Iterable[str], *, surround: bool = False) -> None:
        """Note the modules that hold tensors of these keys as weights of their own, and with
        ``surround`` those around them, of which nothing else may say anything."""
        above: set[str] = set()
        for key in keys:
            path, _, last = key.rpartition(".")
            if last == "weight":
                self.layers.add(path)
            above.update(_upwards(path.rpartition(".")[0], above))
            self.holding.update(_upwards(path, self.holding))
        # A norm that holds its activation is a module of weights, not one around others.
        self.around -= self.layers - above
        if surround:
            self.around |= above

    def of_module(self, path: str) -> str | None:
        """The path as an id, or None where it cannot be one."""
        if not path or path in self.taken or path in self.around or not is_path(path):
            return None
        is_open = self._is_open(path.rpartition(".")[0]) and not self._is_in_layer(path)
        return self._take(path) if is_open else None

    def of_call(self, call: Call, op: Op, inputs: Sequence[str] = ()) -> str:
        """An id for an op without tensors: its module's path where it has one to itself.

        One that reads several values, of which none is of its module, stands before that module:
        modules have one input.
        """
        last = call.scopes[-1] if call.scopes else Scope("", "")
        if last.is_torchs and self.within[last.path] == 1:
            found = self.of_module(last.path)
            if found is not None:
                return found
        parent = last.path
        if last.is_torchs:
            parent = parent.rpartition(".")[0]
        while parent and not self._has_room(parent):
            parent = parent.rpartition(".")[0]
        if len(set(inputs)) > 1:
            while parent and not any(one.startswith(f"{parent}.") for one in inputs):
                parent = parent.rpartition(".")[0]
        return self.unique(parent, family(op))

    def within_module(self, path: str, word: str) -> str:
        """A place below the innermost module on a path that can have others in it."""
        while path and not self._has_room(path):
            path = path.rpartition(".")[0]
        return self.unique(path, word)

    def _has_room(self, path: str) -> bool:
        """Whether a module can have others in it: it is none of a layer's own."""
        is_layer = path in self.layers and path not in self.around
        is_free = is_path(path) and path not in self.taken
        return is_free and not is_layer and not self._is_in_layer(path)

    def _is_in_layer(self, path: str) -> bool:
        """Whether a path is below a module with weights that is not around others."""
        while path := path.rpartition(".")[0]:
            if path in self.layers and path not in self.around:
                return True
        return False

    def unique(self, parent: str, word: str) -> str:
        """A place below a path that nothing has yet; of a path that can be none, below what of it
        can."""
        while parent and not (is_path(parent) and self._is_open(parent)):
            parent = parent.rpartition(".")[0]
        base = f"{parent}.{word}" if parent else word
        self.used[base] += 1
        number = self.used[base]
        name = base if number == 1 and self.has_paths else numbered(base, number)
        while name in self.taken or name in self.around or name in self.holding:
            self.used[base] += 1
            name = numbered(base, self.used[base])
        return self._take(name)

    def _is_open(self, path: str) -> bool:
        """Whether ops may stand below a path: no op has it, or one above it, as its id."""
        return not any(one in self.taken for one in _upwards(path, ()))

    def _take(self, name: str) -> str:
        self.taken.add(name)
        self.around.update(_upwards(name.rpartition(".")[0], self.around))
        return name


def _upwards(path: str, known: Container[str]) -> Iterator[str]:
    """A path and those above it, as far as they are not known."""
    while path and path not in known:
        yield path
        path = path.rpartition(".")[0]


def numbered(word: str, number: int) -> str:
    """A word that is counted.

    >>> numbered("conv", 2), numbered("relu6", 2)
    ('conv2', 'relu6_2')
    """
    return f"{word}_{number}" if word[-1].isdigit() else f"{word}{number}"


@lru_cache(4096)
def is_path(path: str) -> bool:
    """Whether a path is one that modules may have in archc."""
    return all(_WORD.fullmatch(part) for part in path.split("."))


def family(op: Op) -> str:
    """What an op is called where nobody has named it.

    >>> from archc.ops import ReLU, AdaptiveAvgPool2d
    >>> family(ReLU()), family(AdaptiveAvgPool2d(1))
    ('relu', 'adaptive_avg_pool')
    """
    word = op.called if op.kind in ("opaque", "call") else op.kind
    word = re.sub(r"[^A-Za-z0-9_]", "_", word).strip("_") or "op"
    return re.sub(r"2d$", "", word if not word[0].isdigit() else f"op_{word}")
