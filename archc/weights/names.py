"""From the keys of a checkpoint to those of a network: what a user renames, wrappers around the
model and its parts, and the schemes of other projects."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.text import quote
from archc.weights.options import MatchOptions
from archc.weights.schemes import SCHEMES, Scheme

# Modules that others put around a network or its parts: data parallelism, torch.compile, sharding,
# checkpointing of activations. They may stand anywhere in a key.
_AROUND = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

OPTIONAL = "num_batches_tracked"
"""Counters that torch kept only from version 0.4.1 on; nothing computed depends on them."""

# What the parts of a model are called that follow another one as a running average of its weights.
_FOLLOWERS = frozenset(
    ("ema", "swa", "avg", "average", "averaged", "shadow", "polyak", "momentum")
) | {"teacher", "target", "key", "k"}

_MAX_SUFFIXES = 60_000
"""Of how many ends of keys schemes are tried: ResNet-1202 has 29,000."""

_MAX_PREFIXES = 8
"""How many prefixes are tried with a scheme, those that most keys have first, and how many are
taken off."""

_Found: TypeAlias = "dict[str, dict[str, str]]"
"""By the prefix that is taken off: the network's keys that are then found, and as what."""


class RenameError(Exception):
    """A user's renaming cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Names:
    """What the keys of a checkpoint are to a network.

    ``keys`` has the checkpoint's key for the network's keys, ``rest`` the other ones without their
    prefixes. ``prefixes`` were taken off, ``scheme`` is whose names the rest has. ``left_out`` has
    the prefixes of other copies of the network, with how many tensors each has. ``rivals`` are
    prefixes that fit equally, where nothing says which of them is meant. ``is_average`` is whether
    a running average was chosen.
    """

    keys: Mapping[str, str]
    rest: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    scheme: Scheme | None = None
    left_out: Mapping[str, int] | None = None
    rivals: tuple[str, ...] = ()
    is_average: bool = False


def is_average(name: str) -> bool:
    """Whether a name in a checkpoint is that of a running average: ``model_ema``, ``emaModel``,
    ``encoder_k``, ``teacher``."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return not _FOLLOWERS.isdisjoint(word.lower() for word in words)


def find_names(network: Network, shapes: Mapping[str, Shape], options: MatchOptions) -> Names:
    """The names by which most tensors fit, given the shapes of a checkpoint's.

    Raises `RenameError`.
    """
    keys, wrappers = _unwrapped(network, _renamed(shapes, options.rename))
    search = _Search(network.state, {name: shapes[key] for name, key in keys.items()}, options)
    best, most = search.best()
    strange = keys.keys() - set(best.keys.values()) if best.rest else set()
    for scheme in _schemes_for(strange):
        names, count = search.best(scheme, strange)
        if count > most:
            best, most = names, count
    return Names(
        {ours: keys[theirs] for ours, theirs in best.keys.items()},
        best.rest,
        (*wrappers, *best.prefixes),
        best.scheme,
        best.left_out,
        best.rivals,
        best.is_average,
    )


def _renamed(keys: Iterable[str], rename: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The keys by what a user calls them."""
    names = {key: key for key in keys}
    for old, new in rename:
        old, new = old.rstrip("."), new.rstrip(".")
        found = False
        renamed: dict[str, str] = {}
        for name, key in names.items():
            if name == old and new:
                name, found = new, True
            elif name.startswith(f"{old}."):
                name = f"{new}.{name[len(old) + 1 :]}" if new else name[len(old) + 1 :]
                found = True
            if name in renamed:
                raise RenameError(
                    f"renaming {quote(old)} gives two tensors the name {quote(name, 200)}"
                )
            renamed[name] = key
        if not found:
            raise RenameError(f"no key is {quote(old, 200)} or begins with {quote(old + '.', 200)}")
        names = renamed
    return names


def _unwrapped(network: Network, keys: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The keys by what they are without the modules of `_AROUND`, and which those were."""
    own = {part for node_id in network.nodes for part in node_id.split(".")}
    wrappers: list[str] = []
    for wrapper in _AROUND:
        if wrapper in own or not any(wrapper in key.split(".")[:-1] for key in keys):
            continue
        without = {_without(key, wrapper): original for key, original in keys.items()}
        if len(without) == len(keys):
            keys, wrappers = without, [*wrappers, f"{wrapper}."]
    return keys, wrappers


def _without(key: str, wrapper: str) -> str:
    *path, name = key.split(".")
    return ".".join([*(part for part in path if part != wrapper), name])


def _schemes_for(keys: Collection[str]) -> Iterator[Scheme]:
    """The schemes to try, none for more keys than networks have."""
    if sum(key.count(".") + 1 for key in keys) <= _MAX_SUFFIXES:
        yield from SCHEMES


class _Search:
    """The search for prefixes that, taken off, make most keys those of a network."""

    def __init__(
        self, state: Mapping[str, Shape], shapes: Mapping[str, Shape], options: MatchOptions
    ):
        self._state, self._shapes, self._options = state, shapes, options

    def best(
        self, scheme: Scheme | None = None, strange: Collection[str] = ()
    ) -> tuple[Names, int]:
        """The names after the best prefixes have been taken off, and how many tensors fit so.

        ``strange`` are the keys that do not fit without the scheme.
        """
        self._scheme = scheme
        found = self._found(strange)
        copies = self._copies(found)
        first, rivals, others = self._chosen(found, copies, self._options.ema)
        used = dict(found.get(first, {}))
        chosen = [first]
        while not rivals and len(chosen) < _MAX_PREFIXES:
            parts = self._parts(found, used, chosen)
            if not parts:
                break
            more, rivals, beside = self._chosen(found, parts, is_average(first))
            used |= found[more]
            chosen.append(more)
            others += beside
        out = {} if rivals else self._left_out(found, others, used)
        prefixes = [prefix for prefix in chosen if prefix]
        gone = {*used.values(), *chain.from_iterable(out.values())}
        names = Names(
            used,
            tuple(_stripped(key, prefixes) for key in self._shapes if key not in gone),
            tuple(dict.fromkeys(chain(*(re.findall(r"[^.]*\.", one) for one in prefixes)))),
            scheme,
            {prefix: len(keys) for prefix, keys in out.items()},
            rivals,
            bool(used) and is_average(first),
        )
        return names, self._good(used)

    def _found(self, strange: Iterable[str]) -> _Found:
        """The network's keys by each prefix that some of them have."""
        found: _Found = {}
        if self._scheme is None:
            return self._plain
        prefixes = Counter(
            key[:start]
            for key in strange
            for start in _starts(key)
            if self._scheme.matches(key[start:])
        )
        if not prefixes:
            return found
        plain = Counter({one: len(keys) for one, keys in self._plain.items() if not _is_block(one)})
        tried = [*prefixes.most_common(_MAX_PREFIXES), *plain.most_common(_MAX_PREFIXES)]
        for prefix in dict.fromkeys(["", *(prefix for prefix, _ in tried)]):
            inner = [key[len(prefix) :] for key in self._shapes if key.startswith(prefix)]
            keys = found.setdefault(prefix, {})
            # Where two become one key, that which has the name already is taken: it comes first.
            for theirs, ours in sorted(
                self._scheme.renamed(inner).items(), key=lambda pair: pair[0] != pair[1]
            ):
                if ours in self._state:
                    keys.setdefault(ours, prefix + theirs)
        return {prefix: keys for prefix, keys in found.items() if keys}

    @cached_property
    def _plain(self) -> _Found:
        """What is found without a scheme."""
        found: _Found = {}
        for key in self._shapes:
            for start in _starts(key):
                if key[start:] in self._state:
                    found.setdefault(key[:start], {})[key[start:]] = key
        return found

    def _good(self, keys: Mapping[str, str]) -> int:
        """How many tensors have their shapes, too."""
        return sum(
            fits(ours, theirs, self._state[ours], self._shapes[theirs], self._scheme)
            for ours, theirs in keys.items()
        )

    def _copies(self, found: _Found) -> list[str]:
        """The prefixes of modules that may be the network, bare keys among them."""
        half = min(len(self._state), len(self._shapes)) / 2
        around = [
            prefix
            for prefix, keys in found.items()
            if prefix and (len(keys) > half or all(key.startswith(prefix) for key in self._shapes))
        ]
        most = max((len(found[prefix]) for prefix in around), default=0)
        bare = len(found.get("", ()))
        copies = [prefix for prefix in around if 2 * len(found[prefix]) > max(most, bare)]
        return [*([""] if 2 * bare > most else []), *copies]

    def _chosen(
        self, found: _Found, prefixes: list[str], ema: bool
    ) -> tuple[str, tuple[str, ...], list[str]]:
        """The prefix by which most fits, those that fit as well though nothing says which of them
        is meant, and the others. A model comes before averages of it, unless with ``ema``."""
        followers = [prefix for prefix in prefixes if is_average(prefix)]
        leaders = [prefix for prefix in prefixes if prefix not in followers]
        pool = (followers if ema else leaders) or prefixes or [""]
        score = {p: (self._good(found.get(p, {})), len(found.get(p, ()))) for p in pool}
        top = [prefix for prefix in pool if score[prefix] == max(score.values())]
        if "" in top and self._options.rename:
            top = [""]  # the user has made them so
        rivals = tuple(top) if len(top) > 1 else ()
        return top[0], rivals, [prefix for prefix in prefixes if prefix != top[0]]

    def _parts(self, found: _Found, used: Mapping[str, str], chosen: list[str]) -> list[str]:
        """The prefixes of what else the network needs, as `head.` beside `backbone.`: they have
        nothing of what is found already, for that would be another network's part."""
        keys = set(used.values())
        parts = [
            prefix
            for prefix, names in found.items()
            if prefix not in chosen
            and used
            and used.keys().isdisjoint(names)
            and keys.isdisjoint(names.values())
            and not _is_block(prefix)
        ]
        # An average's head is none of the model's.
        is_mixed = not is_average(chosen[0]) and all(map(is_average, parts))
        return [] if is_mixed else parts

    def _left_out(
        self, found: _Found, others: Iterable[str], used: Mapping[str, str]
    ) -> dict[str, set[str]]:
        """The keys of other copies of the network, or of its parts, by their prefixes."""
        taken = set(used.values())
        out: dict[str, set[str]] = {}
        for prefix in others:
            of_it = set(found[prefix].values())
            if prefix:
                of_it |= {key for key in self._shapes if key.startswith(prefix)}
            out[prefix] = of_it - taken
        return {prefix: keys for prefix, keys in out.items() if keys}


def fits(ours: str, theirs: str, needed: Shape, found: Shape, scheme: Scheme | None = None) -> bool:
    """Whether a tensor has the shape that is needed, or has it after `Tensor.reshape`, where its
    scheme calls it by another name and that is what the other shape means."""
    is_renamed = theirs != ours and not theirs.endswith(f".{ours}")
    if found == needed or scheme is None or not scheme.reshapes or not is_renamed:
        return found == needed
    same_rows = bool(found) and bool(needed) and found[0] == needed[0]
    return same_rows and math.prod(found) == math.prod(needed)


def _is_block(prefix: str) -> bool:
    """Whether a prefix is that of a part with a number, whose modules may be called as others are:
    `layer1.0.` has a `conv1`, too."""
    return re.search(r"(^|\.)\d+\.", prefix) is not None


def _starts(key: str) -> Iterator[int]:
    """Where a key or a part of it begins."""
    yield 0
    for match in re.finditer(r"\.", key):
        yield match.end()


def _stripped(key: str, prefixes: Iterable[str]) -> str:
    """A key without the prefix that it has."""
    for prefix in prefixes:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key
