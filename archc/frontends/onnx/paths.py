"""Which modules the nodes of an ONNX file stand in, by what exporters say of it.

torch's older exporter puts the path of a module into the name of its nodes
(``/layer1/layer1.0/conv1/Conv``), the newer one into metadata, with the classes of the modules.
TensorFlow's names are paths as well; archc's are those of its graph.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from archc.frontends.naming import is_path
from archc.frontends.onnx.model import Graph, OnnxNode
from archc.frontends.program import Scope

LEAF = "torch.nn.Module"
"""The class of modules that have none in them and whose own is not known."""
ROW = "torch.nn.Sequential"

_SCOPES, _CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
_MAX_NOTE = 20_000
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_MAX_DEPTH = 32
_MAX_NAMES = 2**23
"""Characters of the paths that all names of a file come to: a file of 5,000 nodes has a million."""

_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,200}", re.ASCII)


class Paths:
    """The modules around each node of a graph."""

    def __init__(self, graph: Graph, producer: str, tensors: set[str]):
        self.producer, self.tensors = producer, tensors
        self.noted = list(self._by_notes(graph))
        self.named: list[tuple[str, ...]] = []
        if not any(self.noted):
            bases = {node.name for node in graph.nodes} | tensors if producer == "archc" else set()
            self.named = list(self._by_names(graph, bases))
            self._drop_common(graph)
            self._drop_repeats()
            self.labels = _labels(self.named)
        self.scopes = self._all()

    def of(self, node: OnnxNode, index: int) -> tuple[Scope, ...]:
        """The modules around a node, outermost first."""
        return self.scopes[index] if 0 <= index < len(self.scopes) else ()

    def _by_notes(self, graph: Graph) -> Iterator[tuple[Scope, ...]]:
        """The modules around each node by its metadata, as far as there is room."""
        room = _MAX_NAMES
        for node in graph.nodes:
            scopes = _noted(node) if room > 0 else ()
            room -= sum(len(one.path) + len(one.label) for one in scopes)
            yield scopes

    def _by_names(self, graph: Graph, bases: Collection[str]) -> Iterator[tuple[str, ...]]:
        """The paths of the modules around each node by its name, as far as there is room."""
        room = _MAX_NAMES
        for node in graph.nodes:
            steps = _components(node.name, bases) if len(node.name) < room else ()
            room -= sum(map(len, steps))
            yield steps

    def _all(self) -> list[tuple[Scope, ...]]:
        if self.named:
            return [self._scopes(steps) for steps in self.named]
        scopes: list[tuple[Scope, ...]] = []
        after: list[tuple[Scope, ...]] = []
        last: tuple[Scope, ...] = ()
        for found in reversed(self.noted):
            last = found or last
            after.append(last)
        last = ()
        for found, following in zip(self.noted, reversed(after), strict=True):
            last = found or last
            # What nothing is said of stands where both of its neighbours do.
            scopes.append(found or _common(last, following))
        return scopes

    def _scopes(self, steps: Sequence[str]) -> tuple[Scope, ...]:
        return tuple([Scope(path, self.labels[path]) for path in steps if is_path(path)])

    def _drop_common(self, graph: Graph) -> None:
        """Without what all paths begin with in names that are not torch's: the model itself."""
        if any(node.name.startswith("/") for node in graph.nodes):
            return
        while True:
            firsts = {steps[0] for steps in self.named if steps}
            if len(firsts) != 1 or max(map(len, self.named)) < 2:
                return
            (first,) = firsts
            self.named = [
                tuple([step.removeprefix(f"{first}.") for step in steps[1:]])
                for steps in self.named
            ]

    def _drop_repeats(self) -> None:
        """Modules that run again, ``relu_1``, are the modules that they are."""
        known = {path for steps in self.named for path in steps}
        held = {name.rpartition(".")[0] for name in self.tensors}

        def first(path: str) -> str:
            match = re.fullmatch(r"(.+)_\d+", path)
            if match and match[1] in known and path not in held:
                return match[1]
            return path

        self.named = [(*steps[:-1], *map(first, steps[-1:])) for steps in self.named]


def _noted(node: OnnxNode) -> tuple[Scope, ...]:
    """The modules around a node by its metadata."""
    scopes, classes = node.notes.get(_SCOPES, ""), node.notes.get(_CLASSES, "")
    if not scopes or len(scopes) > _MAX_NOTE or len(classes) > _MAX_NOTE:
        return ()
    paths, labels = _texts(scopes)[:-1], _texts(classes)[:-1]
    if len(paths) != len(labels):
        labels = [""] * len(paths)
    scopes_of: list[Scope] = []
    for path, label in zip(paths[:_MAX_DEPTH], labels[:_MAX_DEPTH], strict=True):
        path = re.sub(r"@\d+$", "", path)
        if not path or is_path(path):
            scopes_of.append(Scope(path, label if _CLASS.fullmatch(label) else ""))
    return tuple(scopes_of)


def _texts(written: str) -> list[str]:
    """The texts of a list as Python writes it."""
    return [one or two for one, two in _QUOTED.findall(written)]


def _components(name: str, bases: Collection[str]) -> tuple[str, ...]:
    """The paths of the modules around a node by its name, outermost first.

    ``bases`` are archc's own names: of an op's nodes the last one bears its id, and the others have
    a word behind it.
    """
    if "/" in name:
        name = name.strip("/")
        while name.endswith("Fusion"):  # as onnxruntime calls what it has put together
            name = name.rpartition("/")[0].rstrip("/")
        steps = name.split("/")[:-1][:_MAX_DEPTH]
    elif bases:
        base = name.rpartition(".")[0]
        return _prefixes(base if base in bases else name)
    else:
        return ()
    paths: list[str] = []
    parts: list[str] = []
    for step in steps:
        if parts and step.startswith(f"{parts[-1]}."):
            parts[-1] = step
        else:
            parts.append(step)
        paths.append(".".join(parts))
    return tuple(paths)


def _prefixes(name: str) -> tuple[str, ...]:
    parts = name.split(".")[:_MAX_DEPTH]
    return tuple([".".join(parts[: count + 1]) for count in range(len(parts))])


def _common(a: Sequence[Scope], b: Sequence[Scope]) -> tuple[Scope, ...]:
    shared: list[Scope] = []
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        shared.append(one)
    return tuple(shared)


def _labels(named: Iterable[Sequence[str]]) -> Mapping[str, str]:
    """Classes for modules of which only paths are known: those without others in them are taken for
    torch's, those whose members are counted for rows. Others that hold the same are of one class,
    and so are those side by side of which one lacks some of what another has."""
    inside: dict[str, dict[str, str]] = {}
    for steps in named:
        for index, path in enumerate(steps):
            members = inside.setdefault(path, {})
            if index + 1 < len(steps):
                members[steps[index + 1].removeprefix(f"{path}.")] = steps[index + 1]
    kinds = {
        path: frozenset([re.sub(r"\d+", "", member) for member in members])
        for path, members in inside.items()
        if members and not all(member.isdigit() for member in members)
    }
    fuller: dict[frozenset[str], frozenset[str]] = {}
    for members in inside.values():
        beside = {kinds[path] for path in members.values() if path in kinds}
        for one in beside:
            largest = max((other for other in beside if one <= other), key=len)
            if len(largest) > len(fuller.get(one, one)):
                fuller[one] = largest
    classes: dict[frozenset[str], str] = {}
    labels: dict[str, str] = {}
    for path, members in inside.items():
        if path in kinds:
            kind = fuller.get(kinds[path], kinds[path])
            labels[path] = classes.setdefault(kind, f"Block{len(classes) + 1 if classes else ''}")
        else:
            labels[path] = ROW if members else LEAF
    return labels
