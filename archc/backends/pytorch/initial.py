"""What the weights of an emitted module start as: the end of its constructor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.backends.pytorch.layout import path_of
from archc.backends.pytorch.text import WIDTH, Expression, call, lay_out
from archc.graph import Network, Node
from archc.graph.initial import Rule
from archc.ops import ChannelLinear, Conv2d, Linear

_INDENT = " " * 8
_GAINS = {1.0: "linear", 5 / 3: "tanh"}
"""Gains that torch knows by a word; any other up to sqrt(2) is that of a leaky relu."""


def initialisation(network: Network) -> list[str]:
    """The lines that draw weights, and set biases, where torch's own start is not wanted.

    On the meta device there is nothing to draw, and torch takes a second to import what it would
    not draw it with.
    """
    initial = network.initial
    nodes = list(network.nodes.values())
    convolutions = [node for node in nodes if isinstance(node.op, Conv2d)]
    linears = [node for node in nodes if isinstance(node.op, Linear | ChannelLinear)]
    branches = [
        *_branch("nn.Conv2d", initial.conv, convolutions),
        *_branch("nn.Linear", initial.linear, linears),
    ]
    if len(branches) == 2 and branches[0][1] == branches[1][1]:
        (test, draws), _ = branches
        branches = [(test.replace("nn.Conv2d", "(nn.Conv2d, nn.Linear)"), draws)]
    lines: list[str] = []
    if branches:
        lines.append(f"{_INDENT}for module in self.modules():")
        for number, (test, draws) in enumerate(branches):
            lines.append(f"{_INDENT}    {'elif' if number else 'if'} {test}:")
            lines += draws
    own: dict[Rule, list[Node]] = {}
    for node in (*convolutions, *linears):
        if node.id in initial.own:
            own.setdefault(initial.own[node.id], []).append(node)
    for rule, alike in own.items():
        lines += _own(rule, alike)
    return lines


def _branch(kind: str, rule: Rule, nodes: Sequence[Node]) -> list[tuple[str, list[str]]]:
    """The test for layers of a kind, and what is done with each."""
    draws = _draws(rule, nodes, _INDENT + " " * 8, "module") if nodes else []
    return [(f"isinstance(module, {kind}) and not module.weight.is_meta", draws)] if draws else []


def _own(rule: Rule, nodes: Sequence[Node]) -> list[str]:
    """The lines for layers that have a rule of their own."""
    draws = _draws(rule, nodes, _INDENT + " " * 8, "module")
    if not draws:
        return []
    paths = [path_of(node.id) for node in nodes]
    line = f"{_INDENT}for module in ({', '.join(paths)}{',' * (len(paths) == 1)}):"
    if len(line) > WIDTH:
        rows = [f"{_INDENT}    {path}," for path in paths]
        loop = [f"{_INDENT}for module in (", *rows, f"{_INDENT}):"]
    else:
        loop = [line]
    return [*loop, f"{_INDENT}    if not module.weight.is_meta:", *draws]


def _draws(rule: Rule, nodes: Sequence[Node], indent: str, module: str) -> list[str]:
    """What is done with a layer's weight and bias."""
    lines = [
        line for made in _weight(rule, f"{module}.weight") for line in lay_out(indent, "", made)
    ]
    biased = sum("bias" in node.op.state for node in nodes)
    if rule.bias is None or not biased:
        return lines
    write = "nn.init.zeros_({})" if rule.bias == 0 else f"nn.init.constant_({{}}, {rule.bias})"
    if biased == len(nodes):
        return [*lines, indent + write.format(f"{module}.bias")]
    inner = f"{indent}    " + write.format(f"{module}.bias")
    return [*lines, f"{indent}if {module}.bias is not None:", inner]


def _weight(rule: Rule, weight: str) -> list[Expression]:
    """How a weight is drawn; nothing where torch has drawn it so already."""
    value = repr(rule.value)
    if rule.how == "default":
        return []
    if rule.how == "normal":
        return [call("nn.init.normal_", weight, std=value)]
    if rule.how == "truncated_normal":
        return [call("nn.init.trunc_normal_", weight, std=value)]
    if rule.how == "uniform":
        return [call("nn.init.uniform_", weight, f"-{value}", value)]
    named: dict[str, Expression] = {}
    if rule.mode != "fan_in":
        named["mode"] = f'"{rule.mode}"'
    if rule.how == "kaiming_normal" or rule.gain is None:
        return [call(f"nn.init.{rule.how}_", weight, **named)]
    if rule.gain in _GAINS:
        word = f'"{_GAINS[rule.gain]}"'
        return [call("nn.init.kaiming_uniform_", weight, **named, nonlinearity=word)]
    if rule.gain > math.sqrt(2):
        positions = f"{weight}[{':, ' if rule.mode == 'fan_out' else ''}0].numel()"
        bound = f"bound = {rule.gain * math.sqrt(3)!r} / {positions} ** 0.5"
        return [bound, call("nn.init.uniform_", weight, "-bound", "bound")]
    slope = _short(math.sqrt(2 / rule.gain**2 - 1))
    return [call("nn.init.kaiming_uniform_", weight, a=slope, **named)]


def _short(number: float) -> str:
    """A number with as few digits as tell it apart within rounding."""
    for digits in range(1, 17):
        text = f"{number:.{digits}g}"
        if math.isclose(float(text), number, rel_tol=1e-7):
            return text
    return repr(number)
