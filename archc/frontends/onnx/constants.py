"""Rules for ONNX's constants, and for control flow that is decided by them."""

from __future__ import annotations

from dataclasses import replace

from archc.frontends.onnx.model import FLOAT, INT64, STRING, Graph, Tensor, size
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.onnx.statics import Static


def _shape(at: At) -> None:
    dims = at.shape(0)
    start, end = at.whole("start", 0), at.whole("end", len(dims))
    sides = dims[start:end]
    at.put_static(Static((len(sides),), INT64, tuple(sides)))


def _size(at: At) -> None:
    at.put_static(Static((), INT64, (size(at.shape(0)),)))


def _constant(at: At) -> object:
    """A tensor that a node holds."""
    attributes = at.node.attributes
    value = attributes.get("value")
    if isinstance(value, Tensor):
        named = replace(value, name=at.node.outputs[0])
        at.reading.constants[named.name] = named
        at.put_static(Static.of(named))
        return None
    for name, kind in (("value_int", INT64), ("value_float", FLOAT)):
        one = attributes.get(name)
        if isinstance(one, (int, float)):
            at.put_static(Static((), kind, (one,)))
            return None
    for name, kind in (("value_ints", INT64), ("value_floats", FLOAT)):
        many = attributes.get(name)
        if isinstance(many, tuple):
            numbers = tuple([one for one in many if isinstance(one, (int, float))])
            at.put_static(Static((len(numbers),), kind, numbers))
            return None
    if "value_string" in attributes:
        at.put_static(Static((), STRING))
        return None
    return False


def _if(at: At) -> object:
    """The branch that is taken, where it is known; it may read what is computed outside."""
    known = at.numbers(0)
    if known is None or len(known) != 1:
        return False
    branch = at.node.attributes.get("then_branch" if known[0] else "else_branch")
    if not isinstance(branch, Graph) or len(branch.outputs) != len(at.node.outputs):
        return False
    for tensor in branch.initializers:
        if tensor.name in at.reading.made:
            at.fail("has a branch with a tensor whose name is already taken")
        at.reading.statics[tensor.name] = Static.of(tensor)
        at.reading.constants[tensor.name] = tensor
        at.reading.made.add(tensor.name)
    at.reading.read(branch)
    for name, output in zip(at.node.outputs, branch.outputs, strict=True):
        found = at.reading.resolved(output.name)
        if found in at.reading.statics:
            at.reading.statics[name] = at.reading.statics[found]
        elif found in at.reading.made:
            at.reading.aliases[name] = found
        else:
            at.fail("has a branch that does not compute its output")
    return None


OTHERS: dict[str, Rule] = {"Constant": _constant, "Shape": _shape, "Size": _size, "If": _if}
