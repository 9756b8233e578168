"""``.pt2`` files as programs. Nothing in them is executed: they are read as zip and JSON.

``torch.export.load`` unpickles samples and constants, and evaluates sizes; archc never calls it.
The schema is that of torch/_export/serde/schema.py, version 8.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, NoReturn

from archc.frontends.patterns import gathered
from archc.frontends.program import (
    MAX_CALLS,
    MAX_ELEMENTS,
    Argument,
    Call,
    ForeignError,
    Program,
    Ref,
    Scope,
    Weight,
)
from archc.frontends.tensors import ArchiveTensors, Source
from archc.frontends.torch_export.core import recomposed
from archc.frontends.torch_export.modes import require_eval_mode
from archc.text import quote, visible

MAX_JSON = 2**26
"""Bytes of a graph's JSON: that of EfficientNetV2-L has 3 MB."""

MAX_LISTS, MAX_ITEMS = 1_000_000, 4_000_000
"""Its lists and mappings, and what is in them: parsed, they take some hundred bytes each. That of
MaxViT has 36,000 and 72,000."""

MAX_SCOPES, MAX_ALL_SCOPES = 64, 500_000
"""Modules around a call that are noted, and around all calls."""

MAX_DEPTH = 100
"""How deep its lists and mappings may stand in each other; a graph's do 12 deep."""

MAX_DIGITS = 20
"""Digits of a number: none needs more than 64 bits."""

_TYPES: Mapping[object, str] = {
    **{1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32"},
    **{8: "float64", 12: "bool", 13: "bfloat16"},
}
"""The types of elements by their numbers in torch/_export/serde/schema.py."""

SCHEMA = 8
"""The major version of torch's schema of exported programs."""

_GRAPH, _WEIGHTS = "models/", "data/weights/model_weights_config.json"
_CONSTANTS = "data/constants/model_constants_config.json"


def read_archive(stream: BinaryIO, file: str, source: Source | None = None) -> Program:
    """The program in a ``.pt2`` file. Raises `ForeignError` where it cannot be read.

    ``source`` is the file, or what is in it, for whoever needs the tensors later.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, file)
            graph = _json(archive, members, _the_graph(members, file), file)
            config = _json(archive, members, _WEIGHTS, file) if _WEIGHTS in members else {}
            constants = _json(archive, members, _CONSTANTS, file) if _CONSTANTS in members else {}
        read = require_eval_mode(_Reading(file, graph, config).program(), file)
        program = gathered(recomposed(read), exactly=True)
        if source is None or _lacks_values(members):
            return program
        tensors = {**constants.get("config", {}), **config.get("config", {})}
        names = {name: info.filename for name, info in members.items()}
        shapes = {one.key: one.shape for one in read.weights.values()}
        return replace(program, tensors=ArchiveTensors(source, file, tensors, names, shapes))
    except ForeignError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise ForeignError(f"{file} is damaged, or not as torch writes it") from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise ForeignError(f"{file} is a truncated or damaged archive") from error


def _members(archive: zipfile.ZipFile, file: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by their names under its root."""
    members: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for info in archive.infolist():
        root, _, name = info.filename.partition("/")
        roots.add(root)
        if name in members:
            raise ForeignError(f"{file} has two members {quote(visible(name))}")
        members[name] = info
    if any(name.startswith("serialized_") or name == "" for name in members) and len(roots) > 1:
        raise ForeignError(
            f"{file} has the form of torch 2.7 or older",
            "export and save it again with a newer one",
        )
    if len(roots) != 1:
        raise ForeignError(f"{file} is not an exported program: its members are not in one folder")
    return members


def _lacks_values(members: Mapping[str, zipfile.ZipInfo]) -> bool:
    """Whether the weights of a model without values are there, as of torch's meta device."""
    folder = f"{os.path.dirname(_WEIGHTS)}/"
    sizes = [info.file_size for name, info in members.items() if name.startswith(folder)]
    return len(sizes) > 1 and sum(size > 0 for size in sizes) == 1  # that of the JSON


def _the_graph(members: Mapping[str, object], file: str) -> str:
    graphs = [name for name in members if name.startswith(_GRAPH) and name.endswith(".json")]
    if len(graphs) == 1:
        return graphs[0]
    if graphs:
        raise ForeignError(f"{file} holds {len(graphs)} programs; archc reads files of one")
    if any(name.startswith("data/aotinductor/") for name in members):
        raise ForeignError(
            f"{file} is a package of compiled code", "save the program with torch.export.save"
        )
    if any(name.endswith(("constants.pkl", "data.pkl")) for name in members):
        raise ForeignError(
            f"{file} is a checkpoint or TorchScript, not an exported program",
            "torch.export.save(torch.export.export(model.eval(), (images,)), FILE) writes one",
        )
    raise ForeignError(f"{file} is not an exported program: it has no graph")


def _json(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str, file: str
) -> Any:
    """A member's JSON, its size, depth and numbers bounded before it is parsed."""
    what = f"{file}: {name}"
    if members[name].file_size > MAX_JSON:
        raise ForeignError(f"{what} has more than {MAX_JSON >> 20} MB, far more than a graph needs")
    with archive.open(members[name]) as opened:
        data = opened.read(MAX_JSON + 1)  # whatever the archive says of its size
    if len(data) > MAX_JSON:
        raise ForeignError(f"{what} has more than {MAX_JSON >> 20} MB, far more than a graph needs")
    # Brackets and commas in texts count, too: none has a hundred more opening than closing ones.
    brackets = data.translate(None, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_LISTS or data.count(b",") > MAX_ITEMS:
        raise ForeignError(
            f"{what} has more than {MAX_ITEMS:,} values, far more than a graph needs"
        )
    depth = deepest = 0
    for byte in brackets:
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ForeignError(f"{what} is nested deeper than {MAX_DEPTH} levels")

    def whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise ForeignError(f"{what} has a number of {len(digits):,} digits")
        return int(digits)

    def constant(name: str) -> float:
        return float(name.replace("Infinity", "inf"))

    return json.loads(data, parse_int=whole, parse_constant=constant)


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class _Reading:
    """A graph's JSON as a program."""

    def __init__(self, file: str, document: Any, config: Any):
        self.file = file
        version = document["schema_version"]["major"]
        if version != SCHEMA:
            raise ForeignError(
                f"{file} has version {version!r:.20} of torch's schema; archc reads {SCHEMA}",
                "export and save it again with torch 2.8 or newer",
            )
        module = document["graph_module"]
        self.graph, self.signature = module["graph"], module["signature"]
        self.config = config.get("config", {})
        self.scopes: dict[str, tuple[Scope, ...]] = {}
        self.room = MAX_ALL_SCOPES
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, str] = {}
        self.named: dict[str, str] = {}
        """What the values of the graph that is read are called, by their names in it."""

    def program(self) -> Program:
        calls: list[Call] = []
        for call in self._calls(self.graph, ""):
            calls.append(call)
            if len(calls) > MAX_CALLS:
                raise ForeignError(f"{self.file} has more than {MAX_CALLS:,} calls")
        made = Counter(name for call in calls for name in call.outputs if name)
        if twice := next((name for name, times in made.items() if times > 1), None):
            self._fail(f"two calls put out {quote(visible(twice))}")
        weights, inputs = self._taken(self.shapes)
        return Program(
            name=self.file,
            dialect="aten",
            inputs=inputs,
            outputs=tuple(self._results()),
            calls=tuple(calls),
            weights=weights,
            shapes=self.shapes,
            source=self.file,
            types=self.types,
        )

    def _calls(self, graph: Any, around: str) -> Iterator[Call]:
        """The calls of a graph, with those of the graphs in it that are only run in another mode.

        The names of what is computed begin with ``around``, which is empty for the whole graph.
        """
        for name, value in graph["tensor_values"].items():
            own = self.named.setdefault(name, around + name)
            self.shapes[own] = self._shape(value)
            if (dtype := _TYPES.get(value.get("dtype"), "?")) != "float32":
                self.types[own] = dtype
        for node in graph["nodes"]:
            if is_mode(_text(node["target"])):
                yield from self._inside(node, around)
            else:
                yield self._call(node, around)

    def _inside(self, node: Any, around: str) -> Iterator[Call]:
        """The calls of a node that runs a graph in another mode, whose results then go by the names
        that they have around it."""
        given = [one["arg"] for one in node["inputs"]]
        place = next((at for at, one in enumerate(given) if "as_graph" in one), len(given))
        if place == len(given):
            self._fail("it has a mode without a graph")
        if "autocast" in node["target"] and given[AUTOCAST_IS_ON].get("as_bool") is not False:
            raise ForeignError(f"{self.file} computes {UNDER_AUTOCAST}", WITHOUT_AUTOCAST)
        graph = given[place]["as_graph"]["graph"]
        outside = self.named
        self.named = {}
        for inner, outer in zip(graph["inputs"], given[place + 1 :], strict=True):
            if "as_tensor" in inner:
                name = _text(outer["as_tensor"]["name"])
                self.named[_text(inner["as_tensor"]["name"])] = outside.get(name, name)
        yield from self._calls(graph, f"{around}{_text(node.get('name') or 'mode')}/")
        results = [self.named.get(name, name) for name in _put_out(graph["outputs"])]
        self.named = outside
        self.named.update(zip(_put_out(node["outputs"]), results, strict=True))

    def _shape(self, value: Any) -> tuple[int, ...]:
        shape = tuple([_size(one) for one in value["sizes"]])
        count = 1
        for side in shape:
            count *= side
            if side < 0 or count > MAX_ELEMENTS:
                self._fail(f"it has a tensor of {'x'.join(map(str, shape))}")
        return shape

    def _taken(
        self, shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, Weight], dict[str, tuple[int, ...]]]:
        """What the graph takes: its weights by name, and its inputs."""
        weights: dict[str, Weight] = {}
        inputs: dict[str, tuple[int, ...]] = {}
        for spec in self.signature["input_specs"]:
            ((kind, one),) = spec.items()
            if kind == "user_input":
                argument = one["arg"]
                if "as_tensor" in argument:
                    name = argument["as_tensor"]["name"]
                    inputs[name] = shapes[name]
                continue
            name = one["arg"]["name"] if kind != "custom_obj" else ""
            key = one.get(f"{kind}_name") or one.get("tensor_constant_name") or name
            if kind in ("parameter", "buffer", "tensor_constant"):
                _text(key)
                weights[name] = Weight(key, shapes[name], is_learned=kind == "parameter")
                pickled = self.config.get(key, {}).get("use_pickle")
                if pickled:
                    self._fail(f"its weight {quote(visible(key))} is pickled")
            else:
                self._fail(f"it takes a {visible(kind).replace('_', ' ')}")
        return weights, inputs

    def _results(self) -> Iterator[str]:
        for spec in self.signature["output_specs"]:
            ((kind, one),) = spec.items()
            if kind == "user_output" and "as_tensor" in one["arg"]:
                name = _text(one["arg"]["as_tensor"]["name"])
                yield self.named.get(name, name)
            elif kind not in ("user_output", "buffer_mutation"):
                self._fail(f"it has a result of the kind {quote(visible(kind))}")

    def _call(self, node: Any, around: str) -> Call:
        target = _text(node["target"])
        arguments: dict[str, Argument] = {}
        for number, given in enumerate(node["inputs"]):
            name = _text(given.get("name") or str(number))
            arguments[name] = self._argument(given["arg"])
        names = _put_out(node["outputs"])
        outputs = [self.named.get(name, name) for name in names]
        stack = node["metadata"].get("nn_module_stack", "")
        scopes = self.scopes.get(stack)
        if scopes is None:
            scopes = _scopes(stack) if self.room > 0 else ()
            self.scopes[stack] = scopes
            self.room -= len(scopes)
        return Call(
            around + _text(node.get("name") or names[0]),
            plain_target(target),
            arguments,
            tuple(outputs),
            scopes,
        )

    def _argument(self, given: Any) -> Argument:
        ((kind, value),) = given.items()
        if kind == "as_none":
            return None
        if kind == "as_tensor":
            return self._ref(value)
        if kind == "as_tensors":
            return tuple([self._ref(one) for one in value])
        if kind == "as_optional_tensors":
            return tuple([self._argument(one) for one in value])
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            return _sym(value)
        if kind in ("as_sym_ints", "as_sym_floats"):
            return tuple([_sym(one) for one in value])
        if isinstance(value, list):
            return tuple([_plain(one) for one in value])
        return _plain(value)

    def _ref(self, value: Any) -> Ref:
        name = _text(value["name"])
        return Ref(self.named.get(name, name))

    def _fail(self, what: str) -> NoReturn:
        raise ForeignError(f"{self.file} cannot be read: {what}")


def _put_out(outputs: Any) -> list[str]:
    """The names of what a call or a graph puts out; nothing for what is no tensor."""
    found: list[str] = []
    for one in outputs:
        ((kind, value),) = one.items()
        if kind == "as_tensor":
            found.append(_text(value["name"]))
        elif kind == "as_tensors":
            found += [_text(each["name"]) for each in value]
        elif kind in ("as_optional_tensor", "as_none"):
            found.append("")
    return found


_MODES = ("wrap_with_autocast", "wrap_with_set_grad_enabled")
AUTOCAST_IS_ON = 2
"""The place among the arguments of the first of them that says whether it is on."""
UNDER_AUTOCAST = "a part of it under autocast, in types that it does not say"
WITHOUT_AUTOCAST = "export it without autocast"


def is_mode(target: str) -> bool:
    """Whether a call is of what runs a graph with autocast or gradients on or off."""
    return target.rpartition(".")[2] in _MODES


def plain_target(target: str) -> str:
    """What a call is called, without its overload.

    >>> plain_target("torch.ops.aten.add.Tensor"), plain_target("_operator.getitem")
    ('aten.add', '_operator.getitem')
    """
    parts = target.removeprefix("torch.ops.").split(".")
    return ".".join(parts[:2])


def _scopes(stack: Any) -> tuple[Scope, ...]:
    """The modules around a call, from ``key,path,class;key,path,class``."""
    scopes = []
    for one in _text(stack).split(";", MAX_SCOPES)[:MAX_SCOPES] if stack else ():
        _, path, label = one.split(",", 2)
        scopes.append(Scope(path, label))
    return tuple(scopes)


def _size(given: Any) -> int:
    """A size; of one that is computed, the hint, which is the sample's. Nothing is evaluated."""
    if "as_int" in given:
        return _whole(given["as_int"])
    return _whole(given["as_expr"]["hint"]["as_int"])


def _sym(given: Any) -> int | float | bool | str:
    """A number or the name of a computed one, as text that no rule takes for a number."""
    if isinstance(given, dict):
        ((kind, value),) = given.items()
        return _text(value) if kind == "as_name" else _plain_number(value)
    return _plain_number(given)


def _plain(value: Any) -> int | float | bool | str | None:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return "?"  # a device, a layout: no rule asks for it


def _plain_number(value: Any) -> int | float | bool:
    if isinstance(value, (bool, int, float)):
        return value
    raise TypeError("not a number")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError("not an integer")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("not a text")
