"""Expressions of Python, laid out as ruff formats them at 88 columns."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

WIDTH = 88
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Call:
    """A call; an argument is an expression, behind its keyword where it has one."""

    function: str
    arguments: tuple[tuple[str, Expression], ...] = ()

    def written(self) -> list[str]:
        """The arguments as text."""
        return [f"{name}={x}" if name else str(x) for name, x in self.arguments]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.written())})"


@dataclass(frozen=True, slots=True)
class Repeat:
    """An expression evaluated a number of times, unpacked into the arguments around it."""

    item: Expression
    times: int

    def __str__(self) -> str:
        return f"*({self.item} for _ in range({self.times}))"


Expression: TypeAlias = str | Call | Repeat


def call(function: str, *positional: Expression, **named: Expression) -> Call:
    """A call with these arguments."""
    return Call(function, (*(("", x) for x in positional), *named.items()))


def lay_out(indent: str, before: str, expression: Expression, after: str = "") -> list[str]:
    """The lines of an expression behind ``before``: one if it fits, else its arguments on a line
    of their own if they are plain and fit, else an argument a line.

    A comma behind the last argument makes ruff keep the last form.
    """
    line = f"{indent}{before}{expression}{after}"
    if len(line) <= WIDTH or isinstance(expression, str):
        return [line]
    deeper = indent + INDENT
    if isinstance(expression, Repeat):
        return [
            f"{indent}{before}*(",
            *lay_out(deeper, "", expression.item),
            f"{deeper}for _ in range({expression.times})",
            f"{indent}){after}",
        ]
    lines = [f"{indent}{before}{expression.function}("]
    inside = f"{deeper}{', '.join(expression.written())}"
    if len(inside) <= WIDTH and all(isinstance(x, str) for _, x in expression.arguments):
        return [*lines, inside, f"{indent}){after}"]
    for name, argument in expression.arguments:
        lines += lay_out(deeper, f"{name}=" if name else "", argument, ",")
    return [*lines, f"{indent}){after}"]


def run_together(items: Iterable[Expression], at_least: int = 3) -> list[Expression]:
    """Runs of equal expressions as one comprehension each."""
    row: list[Expression] = []
    for item, run in groupby(items):
        times = len(list(run))
        row += [Repeat(item, times)] if times >= at_least else [item] * times
    return row


class Namespace:
    """Hands out identifiers: valid, no keyword, each once."""

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = set(taken)

    def new(self, wish: str) -> str:
        """The wished-for identifier, or the first of it with 2, 3, ... behind that is free."""
        name, number = wish, 1
        while name in self._taken or keyword.iskeyword(name):
            number += 1
            name = f"{wish}{number}"
        self._taken.add(name)
        return name


_STEMS = {"resnet": "ResNet", "resnext": "ResNeXt", "vgg": "VGG", "preresnet": "PreResNet"}


def class_name(name: str) -> str:
    """A network's name as a class's.

    >>> [class_name(name) for name in ("resnet34", "resnext50_32x4d", "vgg11_bn", "none")]
    ['ResNet34', 'ResNeXt50_32x4d', 'VGG11Bn', 'NoneNet']
    """
    result = ""
    for part in re.split(r"[_.-]+", name):
        stem = re.match(r"[A-Za-z]*", part)
        word = stem[0] if stem else ""
        word = _STEMS.get(word.lower(), word[:1].upper() + word[1:])
        piece = word + part[len(word) :]
        joint = "_" if result and piece[:1].isdigit() else ""
        result += joint + piece
    # `Net` also where a name in the file would be hidden: `torch`, `nn`, `F`, `Tensor`.
    return f"{result}Net" if keyword.iskeyword(result) or result in RESERVED else result


RESERVED = {"F", "Tensor", "ZeroPadShortcut"}
"""Capitalised names that an emitted file uses for itself."""


def prose(text: str, width: int = WIDTH) -> list[str]:
    """A user's words as lines of a docstring: printable, nothing in them able to end it."""
    harmless = "".join(c if c.isprintable() else " " for c in text).replace('"', "'")
    lines = textwrap.wrap(" ".join(harmless.split()), width, break_on_hyphens=False)
    return [line.replace("\\", "\\\\") for line in lines]
