"""Expressions of Python, laid out as ruff formats them at 88 columns."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.ops import OPS

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
    """An expression evaluated a number of times, unpacked into the arguments around it.

    With a ``key`` it is one in a dictionary; either may tell times apart by ``i``, from 0.
    """

    item: Expression
    times: int
    key: str | None = None
    is_unpacked: bool = True

    @property
    def loop(self) -> str:
        """What comes after the expression."""
        text = f"{self.key} {self.item}"
        return f"for {'i' if _COUNTER.search(text) else '_'} in range({self.times})"

    @property
    def brackets(self) -> tuple[str, str]:
        """What stands around it."""
        if not self.is_unpacked:
            return "", ""
        return ("*(", ")") if self.key is None else ("**{", "}")

    @property
    def before(self) -> str:
        """What stands before the item."""
        return "" if self.key is None else f"{self.key}: "

    def __str__(self) -> str:
        start, end = self.brackets
        return f"{start}{self.before}{self.item} {self.loop}{end}"


_COUNTER = re.compile(r"(?<![\w.])i(?![\w=])")
"""The variable of a comprehension."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of expressions, or a dictionary of them where each has a key."""

    items: tuple[Expression, ...]
    keys: tuple[str, ...] | None = None

    def written(self) -> list[tuple[str, Expression]]:
        """Each item after its key."""
        keys = [""] * len(self.items) if self.keys is None else self.keys
        return [(f'"{key}": ' if key else "", x) for key, x in zip(keys, self.items, strict=True)]

    @property
    def brackets(self) -> tuple[str, str]:
        """What stands around them."""
        return ("[", "]") if self.keys is None else ("{", "}")

    def __str__(self) -> str:
        start, end = self.brackets
        return f"{start}{', '.join(f'{key}{item}' for key, item in self.written())}{end}"


Expression: TypeAlias = str | Call | Repeat | Items


def call(function: str, *positional: Expression, **named: Expression) -> Call:
    """A call with these arguments."""
    return Call(function, (*(("", x) for x in positional), *named.items()))


def is_name(text: str) -> bool:
    """Whether a text can be the name of an attribute or an argument."""
    return text.isidentifier() and not keyword.iskeyword(text)


def keyed(items: Mapping[str, Expression]) -> Items:
    """A dictionary, runs of equal or evenly rising items as one comprehension each."""
    names, row = list(items), list(items.values())
    found: list[tuple[str, Expression]] = []
    at = 0
    while at < len(row):
        times = _run(row[at:], names[at:])
        if times < 4:
            found.append((names[at], row[at]))
            at += 1
            continue
        found.append(("", Repeat(_rising(row[at : at + times]), times, _rising_key(names[at]))))
        at += times
    if len(found) == 1 and isinstance(run := found[0][1], Repeat):
        found = [("", replace(run, is_unpacked=False))]
    return Items(tuple([item for _, item in found]), tuple([name for name, _ in found]))


def ordered(items: Mapping[str, Expression]) -> Call:
    """An ordered dictionary, its keys as arguments where they can be that."""
    made = keyed(items)
    if all(map(is_name, items)) and len(made.items) == len(items):
        return Call("OrderedDict", tuple(items.items()))
    return call("OrderedDict", made)


_ENDS_IN_NUMBER = re.compile(r"(.*?)(0|[1-9]\d*)")


def _run(row: Sequence[Expression], names: Sequence[str] = ()) -> int:
    """How many expressions at the beginning are equal, or calls with numbers that rise evenly; and
    their names as well."""
    step = _step(row[0], row[1]) if len(row) > 1 else None
    times = 1
    while times < len(row) and step is not None:
        if _step(row[times - 1], row[times]) != step:
            break
        if names and not _follows(names[times - 1], names[times]):
            break
        times += 1
    return times


def _follows(name: str, next_name: str) -> bool:
    """Whether two names are the same but for a number at the end, which is one more."""
    one, other = _ENDS_IN_NUMBER.fullmatch(name), _ENDS_IN_NUMBER.fullmatch(next_name)
    if one is None or other is None or "{" in name or "}" in name:
        return False
    return one[1] == other[1] and int(one[2]) + 1 == int(other[2])


def _step(one: Expression, other: Expression) -> tuple[int, ...] | None:
    """By how much each argument of a call rises towards another's; None where they differ
    otherwise, and nothing for equal expressions."""
    if one == other:
        return ()
    if not (isinstance(one, Call) and isinstance(other, Call)) or one.function != other.function:
        return None
    names, others = ([name for name, _ in call.arguments] for call in (one, other))
    if names != others:
        return None
    steps = []
    for (_, x), (_, y) in zip(one.arguments, other.arguments, strict=True):
        if x == y:
            steps.append(0)
        elif isinstance(x, str) and isinstance(y, str) and x.isdecimal() and y.isdecimal():
            steps.append(int(y) - int(x))
        else:
            return None
    return tuple(steps) if min(steps) >= 0 else None


def _rising(row: Sequence[Expression]) -> Expression:
    """One expression for a run, with ``i`` for the times from 0."""
    first, second = row[:2]
    if first == second or not (isinstance(first, Call) and isinstance(second, Call)):
        return first
    arguments = []
    for (name, x), (_, y) in zip(first.arguments, second.arguments, strict=True):
        if x != y:
            step = int(str(y)) - int(str(x))
            product = "i" if step == 1 else f"{step} * i"
            x = product if x == "0" else f"{x} + {product}"
        arguments.append((name, x))
    return Call(first.function, tuple(arguments))


def _rising_key(name: str) -> str:
    """The source of a run's names."""
    found = _ENDS_IN_NUMBER.fullmatch(name)
    assert found is not None
    return f'f"{found[1]}{{i}}"' if found[2] == "0" else f'f"{found[1]}{{i + {found[2]}}}"'


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
        start, end = expression.brackets
        inner = deeper if expression.is_unpacked else indent
        rows = lay_out(inner, expression.before, expression.item)
        rows.append(f"{inner}{expression.loop}")
        if not expression.is_unpacked:
            return rows
        return [f"{indent}{before}{start}", *rows, f"{indent}{end}{after}"]
    if isinstance(expression, Items):
        start, end = expression.brackets
        lines = [f"{indent}{before}{start}"]
        for key, item in expression.written():
            lines += lay_out(deeper, key, item, _comma(item))
        return [*lines, f"{indent}{end}{after}"]
    lines = [f"{indent}{before}{expression.function}("]
    inside = f"{deeper}{', '.join(expression.written())}"
    if len(inside) <= WIDTH and all(isinstance(x, str) for _, x in expression.arguments):
        return [*lines, inside, f"{indent}){after}"]
    for name, argument in expression.arguments:
        lines += lay_out(deeper, f"{name}=" if name else "", argument, _comma(argument))
    return [*lines, f"{indent}){after}"]


def _comma(item: Expression) -> str:
    """What ends an item on a line of its own: nothing for a bare comprehension."""
    return "" if isinstance(item, Repeat) and not item.is_unpacked else ","


def run_together(items: Iterable[Expression], at_least: int = 3) -> list[Expression]:
    """Runs of equal expressions, or of calls whose numbers rise evenly, as one comprehension
    each."""
    left, row = list(items), list[Expression]()
    while left:
        times = _run(left)
        if times < at_least or (left[0] != left[1] and times <= at_least):
            times = 1
        row.append(left[0] if times == 1 else Repeat(_rising(left[:times]), times))
        del left[:times]
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


_STEMS = {
    word.lower(): word
    for word in (
        *("ResNet", "ResNeXt", "VGG", "PreResNet", "SEResNet", "AlexNet", "SqueezeNet"),
        *("DenseNet", "GoogLeNet", "ShuffleNet", "MobileNet", "MNASNet", "EfficientNet"),
        *("RegNet", "ConvNeXt", "RepVGG", "VoVNet"),
    )
}


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


RESERVED = {"F", "Parts", "Tensor"} | {
    op.torch.module.function for op in OPS.values() if op.torch.module and op.torch.module.source
}
"""Capitalised names that an emitted file uses for itself."""


def prose(text: str, width: int = WIDTH) -> list[str]:
    """A user's words as lines of a docstring: printable, nothing in them able to end it."""
    harmless = "".join(c if c.isprintable() else " " for c in text).replace('"', "'")
    lines = textwrap.wrap(" ".join(harmless.split()), width, break_on_hyphens=False)
    return [line.replace("\\", "\\\\") for line in lines]


def wrapped(line: str) -> list[str]:
    """A line of code that may be too long, as ruff breaks it: within its last brackets, as far
    inside as it takes."""
    if line.endswith(",") and len(line) > WIDTH:
        *rows, last = wrapped(line[:-1])
        return [*rows, f"{last},"]
    if len(line) <= WIDTH or line[-1] not in ")]":
        return [line]
    start = _opening(line)
    inside = line[start + 1 : -1]
    if start < 0 or not inside:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + len(INDENT))
    head, tail = line[: start + 1], indent[len(INDENT) :] + line[-1]
    if len(indent + inside) <= WIDTH:
        return [head, indent + inside, tail]
    rows = [row for part in _parts(inside) for row in wrapped(f"{indent}{part},")]
    return [head, *rows, tail]


def _opening(line: str) -> int:
    """Where the brackets open that a line ends with."""
    depth = 0
    for at in range(len(line) - 1, -1, -1):
        depth += (line[at] in ")]}") - (line[at] in "([{")
        if not depth:
            return at
    return -1


def _parts(text: str) -> list[str]:
    """What commas divide, outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts
