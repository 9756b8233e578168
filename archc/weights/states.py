"""The state dicts among what a file or a program holds, and which of them is the model's.

Training scripts keep the state dict under one of a few names, beside an average of it, the state of
the optimizer and whatever else. They are looked for wherever in nested dictionaries they lie, and
chosen by the names of the keys that lead to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from itertools import islice
from typing import Any, TypeAlias

from archc.dataclassing import dataclass
from archc.text import listing, quote, quote_name
from archc.weights.errors import SAVE_HINT, WeightsError
from archc.weights.leftovers import in_words, is_tensor, left_out
from archc.weights.modules import is_module, module_state
from archc.weights.values import Array, StandIn

State: TypeAlias = Mapping[str, Any]
"""The values of a state dict: tensors of torch's, or descriptions of such in a file."""

# Under which keys training scripts put the model's state dict, those that mean it most first.
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net_state_dict",
    "net",
    "network",
    "module",
    "model_weights",
    "weights",
    "params",
    "parameters",
)

# Words by which they call a running average of the model's weights.
_AVERAGES = frozenset(("ema", "swa", "avg", "average", "averaged", "shadow", "polyak"))

_OPTIMIZERS = frozenset(("optim", "optims", "optimizer", "optimizers", "optimiser", "optimisers"))

MAX_DEPTH = 50
"""How deep dictionaries are searched."""

MAX_STATES = 1000
"""How many state dicts one file may hold."""

_TOO_MANY = f"holds more than {MAX_STATES:,} state dicts"

MAX_NAMES = 2_000_000
"""How many entries of dictionaries are looked at."""


@dataclass(frozen=True)
class Found:
    """The state dict of the model and the others, by the keys that lead to them joined with dots.

    ``key`` is None where all there is is a state dict. ``is_ambiguous`` is whether no name says
    which is the model's: ``state`` is the first. ``has_key`` is whether there is one under the key
    that was asked for.
    """

    key: str | None
    state: State
    others: Mapping[str, State] = field(default_factory=dict)
    is_ambiguous: bool = False
    has_key: bool = True


@dataclass
class _Node:
    """A dictionary: a state dict itself, or with those in it by key; or with some tensors in it,
    and a ``fault`` that says why it is no state dict."""

    state: State | None = None
    inner: dict[str, _Node] = field(default_factory=dict)
    fault: str | None = None
    is_mostly_tensors: bool = False

    def states(self, path: str = "") -> Iterator[tuple[str, State]]:
        """All state dicts in it, with their keys."""
        if self.state is not None:
            yield path, self.state
        for key, node in self.inner.items():
            yield from node.states(f"{path}.{key}" if path else key)


def find_states(file: str, content: object, key: str | None = None) -> Found:
    """The state dicts in what was read from a file: the model's, or that under ``key``, and others.

    Raises `WeightsError` where there is none, or where what is under ``key`` is none or several,
    `PickleLimitError` for modules that are larger than any network.
    """
    if isinstance(content, Mapping) and not content:
        return Found(None, {})
    tree = _Search(file, is_tensor).tree(content)
    if not _holds_state(tree) and not _faults(tree):
        tree = _Search(file, _is_numbers).tree(content)  # as detectron2's converted ones have
    if not isinstance(content, Mapping) and not _holds_state(tree):
        what = f"holds {in_words(content)}, not a state dict"
        raise WeightsError(file, f"{what}{_inert(content)}", SAVE_HINT)
    if not _holds_state(tree):
        raise WeightsError(file, next(iter(_faults(tree)), _nothing(content)), SAVE_HINT)
    return _choose(file, tree, key)


def _nothing(content: object) -> str:
    objects = left_out(content)
    return f"holds no state dict{f', but {objects}; nothing was executed' if objects else ''}"


def _is_numbers(value: object) -> bool:
    return isinstance(value, Array) or is_tensor(value)


def _inert(value: object) -> str:
    return "; nothing was executed" if isinstance(value, StandIn) else ""


class _Search:
    """Dictionaries searched for state dicts, each once; ``is_number`` says what is a tensor."""

    def __init__(self, file: str, is_number: Callable[[object], bool]):
        self._file, self._is_number = file, is_number
        self._seen: set[int] = set()
        self._states: dict[int, _Node] = {}
        self._left = MAX_NAMES

    def tree(self, value: object, depth: int = 0) -> _Node:
        """What there is in a dictionary."""
        known = self._states.get(id(value))
        if known is not None:
            return known
        if is_module(value):
            state = module_state(value)
            self._count(len(state))
            return self._keep(value, state) if state else _Node()
        entries = value.pairs if isinstance(value, StandIn) else value
        if not isinstance(entries, Mapping) or id(value) in self._seen or depth > MAX_DEPTH:
            return _Node()
        if "param_groups" in entries:  # an optimizer's
            return _Node()
        self._count(1 + len(entries))
        self._seen.add(id(value))
        tensors = sum(self._is_number(one) for one in entries.values())
        if tensors == len(entries) and all(isinstance(name, str) for name in entries):
            return self._keep(value, entries) if entries else _Node()
        node = _Node()
        for name, one in entries.items():
            inner = self.tree(one, depth + 1) if not _is_optimizer(name) else _Node()
            if inner.state is not None or inner.inner or inner.fault:
                node.inner.setdefault(str(name), inner)
        if tensors and not any(True for _ in node.states()):
            fault = _fault(entries, self._is_number)
            return _Node(fault=fault, is_mostly_tensors=2 * tensors > len(entries))
        return node

    def _count(self, names: int) -> None:
        self._left -= names
        if self._left < 0:
            what = f"holds dictionaries of more than {MAX_NAMES:,} entries"
            raise WeightsError(self._file, what, SAVE_HINT)

    def _keep(self, value: object, state: State) -> _Node:
        node = self._states[id(value)] = _Node(state)
        if len(self._states) > MAX_STATES:
            raise WeightsError(self._file, _TOO_MANY, SAVE_HINT)
        return node


def _is_optimizer(name: object) -> bool:
    """Whether a key is one of an optimizer's state, in which there are tensors for each weight."""
    words = re.findall(r"[a-z]+", name.lower()[:200]) if isinstance(name, str) else []
    return not _OPTIMIZERS.isdisjoint(words)


def _is_average(key: str) -> bool:
    """Whether a key names an average: ``ema_state``, ``paramsEma``."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", key[:200])
    return not _AVERAGES.isdisjoint(word.lower() for word in words)


def _fault(entries: Mapping[Any, object], is_number: Callable[[object], bool]) -> str:
    """Why a dictionary with tensors is no state dict: its first entry that is in the way."""
    for name, value in entries.items():
        shown = quote_name(str(name)[:200])
        if not is_number(value):
            return (
                f"holds no state dict: `{shown}` is {in_words(value)}, not a tensor{_inert(value)}"
            )
        if not isinstance(name, str):
            return f"holds no state dict: the key `{shown}` is not text"
    return "holds no state dict"


def _faults(node: _Node) -> list[str]:
    """Why the dictionaries with tensors in a tree are no state dicts, those known by name first."""
    if node.fault is not None:
        return [node.fault]
    named = [key for key in _WRAPPERS if key in node.inner]
    keys = named + [key for key in node.inner if key not in named]
    return [fault for key in keys for fault in _faults(node.inner[key])]


def _choose(file: str, tree: _Node, key: str | None) -> Found:
    """The state dict under a key, or the one that is most likely the model's."""
    states = dict(islice(tree.states(), MAX_STATES + 1))
    if len(states) > MAX_STATES:
        raise WeightsError(file, _TOO_MANY, SAVE_HINT)
    if tree.state is not None:
        return Found(None, tree.state, has_key=key is None)
    asked = None if key is None else _under(file, tree, key, list(states))
    chosen, is_ambiguous = _most_likely(file, tree) if asked is None else (asked, False)
    others = {name: state for name, state in states.items() if name != chosen}
    has_key = key is None or asked is not None
    return Found(chosen, states[chosen], others, is_ambiguous, has_key)


def _under(file: str, tree: _Node, key: str, keys: list[str]) -> str | None:
    """The key of the state dict that a user's key names: its own, or that of a dictionary which has
    no other state dict. None where there is nothing of that name."""
    if key in keys:
        return key
    inner = [name for name in keys if name.startswith(f"{key}.")]
    if len(inner) == 1:
        return inner[0]
    if inner:
        names = listing([quote(name) for name in inner], "and")
        raise WeightsError(file, f"holds several state dicts under {quote(key)}: {names}")
    for name, node in tree.inner.items():
        if name == key and node.fault is not None:
            raise WeightsError(file, node.fault, SAVE_HINT)
    return None


def _most_likely(file: str, tree: _Node) -> tuple[str, bool]:
    """The key of the state dict that is most likely the model's, and whether it is but the first.

    Raises `WeightsError` where something else is under the key that it should be under.
    """
    path: list[str] = []
    while tree.state is None:
        if tree.fault is not None:
            raise WeightsError(file, tree.fault, SAVE_HINT)
        inner = tree.inner
        likely = [key for key in _WRAPPERS if key in inner and _may_be_meant(inner[key])][:1]
        holding = [key for key in inner if _holds_state(inner[key])]
        likely = likely or [key for key in holding if not _is_average(key)] or holding
        if len({id(inner[key]) for key in likely}) > 1:
            first = next(inner[likely[0]].states(".".join([*path, likely[0]])))
            return first[0], True
        path.append(likely[0])
        tree = inner[likely[0]]
    return ".".join(path), False


def _holds_state(node: _Node) -> bool:
    return any(True for _ in node.states())


def _may_be_meant(node: _Node) -> bool:
    return node.is_mostly_tensors or _holds_state(node)
