"""Expressions of the language of blocks: exact arithmetic, conditions, words.

An expression stands where a number, a truth value or a choice of words may:
``max(1, in // 4)``, ``stride != 1 or in != out``, ``width if shortcut == A else 2 * width``. It is
read once, into a tree whose parts know their places in the text, and made into a function that is
called wherever its block is lowered. Numbers are rationals: what comes out as 62.4 is 312/5, not a
rounding of it.

There are no loops, no functions to define and no calls but those in `FUNCTIONS`, so it always ends;
texts, nesting and numbers are bounded.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.source.diagnostics import Advice
from archc.source.suggest import closest
from archc.text import listing, quote

MAX_LENGTH = 1_000
"""Characters that an expression may have."""
MAX_NESTING = 32
"""Parentheses, conditions and signs inside each other."""
MAX_DIGITS = 60
_TOO_LARGE = 10**MAX_DIGITS
"""Digits that numerator and denominator of a number may have after every step."""


NOT_CLOSED = "this `(` is not closed"
"""The message for a parenthesis without its other half."""


class Word(str):
    """A word that an attribute may be: ``none``, ``A``, ``3x3``."""

    __slots__ = ()


Value: TypeAlias = Fraction | bool | Word
"""What an expression comes to."""


class ExpressionError(ValueError):
    """An expression cannot be read or evaluated; it is at fault from ``start`` to ``end``."""

    def __init__(self, message: str, start: int, end: int, hint: str | None = None):
        super().__init__(message)
        self.message, self.start, self.end, self.hint = message, start, end, hint


def shown(value: Value) -> str:
    """A value as an author writes it: ``4``, ``62.4``, ``1/3``, ``true``, ``none``.

    >>> [shown(one) for one in (Fraction(4), Fraction(312, 5), Fraction(1, 3), True, Word("A"))]
    ['4', '62.4', '1/3', 'true', 'A']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):  # a size of two, which is passed on as it is
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, Word):
        return str(value)
    if value.denominator == 1:
        return str(value.numerator)
    decimal = f"{float(value):.12g}"
    return decimal if Fraction(decimal) == value else str(value)


# The tree


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression, with its first and last position in the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, ``true`` or ``false``."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name, or a word: which of them it is, what is known where it stands decides."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-x`` or ``not x``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two operands and what stands between them: arithmetic, a comparison, ``and``, ``or``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """``then if condition else otherwise``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of one of `FUNCTIONS`."""

    function: str
    arguments: tuple[Node, ...]


# Reading

_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.]))"
    r"|(?P<word>[A-Za-z0-9_]+)"
    r"|(?P<operator>//|==|!=|<=|>=|[-+*/%<>(),])"
)
_FOREIGN = {
    "**": "there are no powers: write x * x",
    "&&": "write `and`",
    "||": "write `or`",
    "^": "there are no powers: write x * x",
    "<>": "write `!=`",
    "=": "`==` compares",
    "!": "write `not`",
    "&": "write `and`",
    "|": "write `or`",
    "?": "a choice is written `b if a else c`",
    ":": "a choice is written `b if a else c`",
    "[": "there are no lists; for one of several values, write `a == 1 or a == 2`",
    ".": "decimals have a digit on both sides of the point, for example 0.5",
    "{": "names are written without braces here",
    "$": "names are written without `$`",
    "'": "words are written without quotes, for example `mode == A`",
    '"': "words are written without quotes, for example `mode == A`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "×": "write `*`",
    "÷": "write `/`",
    "\N{MINUS SIGN}": "write `-`",
    "True": "write `true`",
    "False": "write `false`",
    "None": "write `none`, where an attribute may be that",
}
"""Signs of other languages, and what is meant by them here."""

_MISPLACED = {
    "in": "`in` is the number of input channels; for one of several values, write "
    "`a == 1 or a == 2`",
    "not": "`not` comes before a condition, for example `not (a == 1 or a == 2)`",
    "is": "values are compared with `==` and `!=`",
    "then": "a choice is written `b if a else c`",
    "and": "write `and` in lower case",
    "or": "write `or` in lower case",
    "if": "write `if` in lower case",
    "else": "a choice is written `b if a else c`",
}
"""Words that other languages have between two values, in lower case."""

_OTHER_FUNCTIONS = {
    "int": "`floor` rounds down, and `round` to the nearest integer",
    "trunc": "`floor` rounds down, and `round` to the nearest integer",
    "make_divisible": Advice("did you mean `divisible`?", "divisible", "make_divisible"),
    "abs": "write `max(x, -x)`",
    "pow": "there are no powers: write x * x",
}
"""Functions of other languages, and what to write here."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def parse(text: str) -> Node:
    """Read an expression. Raises `ExpressionError`."""
    if len(text) > MAX_LENGTH:
        words = f"an expression may have at most {MAX_LENGTH:,} characters, not {len(text):,}"
        raise ExpressionError(words, 0, MAX_LENGTH)
    return _Parser(text).whole()


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _TOKEN.match(text, at)
        if found is None or found[0] in _FOREIGN or text[at : at + 2] in _FOREIGN:
            raise _foreign(text, at, found and found[0])
        yield _Token(str(found.lastgroup), found[0], at)
        at = found.end()


def _foreign(text: str, at: int, word: str | None) -> ExpressionError:
    """A sign, or a word, of another language, with what to write in its place."""
    sign = next((one for one in (text[at : at + 2], word) if one in _FOREIGN), text[at])
    words = f"{quote(sign)} is not part of an expression"
    return ExpressionError(words, at, at + len(sign), _hint_for(sign, text, at))


def _hint_for(sign: str, text: str, at: int) -> str | None:
    if sign == "." and (before := re.search(r"[A-Za-z_]\w*$", text[:at])):
        after = re.match(r"\w*", text[at + 1 :])
        if after and after[0] in FUNCTIONS:
            return f"functions are called by their name alone: `{after[0]}(...)`"
        written = f"{before[0]}.{after[0] if after else ''}"
        return f"names have no `.`: write one name in place of {quote(written)}"
    if sign in "'\"" and (word := re.match(r"(['\"])([A-Za-z0-9_]+)\1", text[at:])):
        return f"words are written without quotes: `{word[2]}`"
    return _FOREIGN.get(sign)


class _Parser:
    """Reads an expression by recursive descent, one method for each level of precedence."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = list(_tokens(text))
        self.next = 0
        self.nesting = 0

    def whole(self) -> Node:
        """The whole text as one expression."""
        if not self.tokens:
            raise ExpressionError("an expression is missing here", 0, len(self.text))
        found = self._choice()
        if (token := self._peek()) is not None:
            raise self._unexpected(token)
        return found

    def _choice(self) -> Node:
        self._enter()
        then = self._chain(("or",), self._all)
        if self._take("if") is not None:
            condition = self._chain(("or",), self._all)
            if self._take("else") is None:
                raise self._missing("`else`", "a condition is `A if CONDITION else B`")
            otherwise = self._choice()
            then = Choice(then.start, otherwise.end, condition, then, otherwise)
        self.nesting -= 1
        return then

    def _all(self) -> Node:
        return self._chain(("and",), self._negation)

    def _negation(self) -> Node:
        token = self._take("not")
        if token is None:
            return self._comparison()
        self._enter()
        operand = self._negation()
        self.nesting -= 1
        return Unary(token.start, operand.end, "not", operand)

    def _comparison(self) -> Node:
        left = self._chain(("+", "-"), self._product)
        token = self._take(*COMPARISONS)
        if token is None:
            return left
        right = self._chain(("+", "-"), self._product)
        if (more := self._take(*COMPARISONS)) is not None:
            hint = "write both: `a < b and b < c`"
            raise ExpressionError("comparisons cannot be chained", more.start, more.end, hint)
        return Binary(left.start, right.end, token.text, left, right)

    def _chain(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        """Operands with one of some operators between them, from the left."""
        left = operand()
        while (token := self._take(*operators)) is not None:
            right = operand()
            left = Binary(left.start, right.end, token.text, left, right)
        return left

    def _product(self) -> Node:
        return self._chain(("*", "/", "//", "%"), self._signed)

    def _signed(self) -> Node:
        token = self._take("-", "+")
        if token is None:
            return self._primary()
        self._enter()
        operand = self._signed()
        self.nesting -= 1
        return operand if token.text == "+" else Unary(token.start, operand.end, "-", operand)

    def _primary(self) -> Node:
        token = self._peek()
        if token is None or token.text in ("if", "else", "and", "or", ")", ","):
            hint = None
            if token is not None and token.text == "if":
                hint = _MISPLACED["else"]
            elif token is None and self.tokens[-1].text == "%":
                hint = "write a percentage as a decimal, for example 0.5"
            raise self._missing("a value", hint)
        self.next += 1
        if token.kind == "number":
            return Literal(token.start, token.end, _number(token))
        if token.text in ("true", "false"):
            return Literal(token.start, token.end, token.text == "true")
        if token.text == "(":
            inside = self._choice()
            self._close(token)
            return inside
        if token.kind != "word":
            raise self._unexpected(token)
        if (bracket := self._take("(")) is not None:
            return self._call(token, bracket)
        return Name(token.start, token.end, token.text)

    def _call(self, name: _Token, bracket: _Token) -> Node:
        if name.text not in FUNCTIONS:
            hint = _OTHER_FUNCTIONS.get(name.text.lower()) or closest(name.text, FUNCTIONS)
            hint = hint or f"functions are {listing(FUNCTIONS, 'and')}"
            words = f"there is no function {quote(name.text)}"
            raise ExpressionError(words, name.start, name.end, hint)
        arguments: list[Node] = []
        while not arguments or self._take(",") is not None:
            arguments.append(self._choice())
        end = self._close(bracket)
        function = FUNCTIONS[name.text]
        if not function.least <= len(arguments) <= function.most:
            takes = f"`{name.text}` takes {function.takes}, not {len(arguments)}"
            raise ExpressionError(takes, name.start, end.end)
        return Call(name.start, end.end, name.text, tuple(arguments))

    def _close(self, bracket: _Token) -> _Token:
        token = self._take(")")
        if token is None:
            raise ExpressionError(NOT_CLOSED, bracket.start, bracket.end)
        return token

    def _enter(self) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            at = self.tokens[min(self.next, len(self.tokens) - 1)]
            words = f"an expression may be nested at most {MAX_NESTING} deep"
            raise ExpressionError(words, at.start, at.end, "give a part of it a name under `let`")

    def _peek(self) -> _Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def _take(self, *texts: str) -> _Token | None:
        token = self._peek()
        if token is None or token.text not in texts:
            return None
        self.next += 1
        return token

    def _missing(self, what: str, hint: str | None) -> ExpressionError:
        token = self._peek()
        at = len(self.text.rstrip()) if token is None else token.start
        end = at + 1 if token is None else token.end
        return ExpressionError(f"{what} is missing here", at, end, hint)

    def _unexpected(self, token: _Token) -> ExpressionError:
        words = f"{quote(token.text)} does not belong here"
        hint = _MISPLACED.get(token.text.lower())
        if token.text in COMPARISONS:
            hint = f"a comparison begins with what it compares, for example `width {token.text} 3`"
        return ExpressionError(words, token.start, token.end, hint)


def _number(token: _Token) -> Fraction:
    exponent = re.search(r"[eE]([+-]?\d+)$", token.text)
    if len(token.text) > MAX_DIGITS or (exponent and abs(int(exponent[1])) > MAX_DIGITS):
        words = f"a number may have at most {MAX_DIGITS} digits"
        raise ExpressionError(words, token.start, token.end)
    return Fraction(token.text)


# Evaluating

Values: TypeAlias = Mapping[str, Value]
"""What names stand for where an expression is evaluated."""
Computation: TypeAlias = Callable[[Values], Value]
"""An expression made ready: from the values of names to what it comes to."""


def evaluate(node: Node, values: Values) -> Value:
    """What an expression comes to with these names; any other name is a word.

    Raises `ExpressionError` at the part that cannot be evaluated.
    """
    return computation(node)(values)


def computation(node: Node) -> Computation:
    """An expression as a function, for those that are evaluated again and again."""
    if isinstance(node, Literal):
        value = node.value
        return lambda values: value
    if isinstance(node, Name):
        return _name(node.name)
    if isinstance(node, Choice):
        return _choice(node)
    if isinstance(node, Unary):
        return _unary(node)
    if isinstance(node, Call):
        return _call(node)
    # Chains lean to the left, as deep as they are long: down, then up again.
    spine: list[Binary] = []
    while isinstance(node, Binary):
        spine.append(node)
        node = node.left
    first, steps = computation(node), [_step(part) for part in reversed(spine)]
    if len(steps) == 1:
        (step,) = steps
        return lambda values: step(first(values), values)

    def chain(values: Values) -> Value:
        found = first(values)
        for step in steps:
            found = step(found, values)
        return found

    return chain


def _name(name: str) -> Computation:
    word = Word(name)
    return lambda values: values.get(name, word)


def _choice(node: Choice) -> Computation:
    holds = _truth(node.condition)
    then, otherwise = computation(node.then), computation(node.otherwise)
    return lambda values: then(values) if holds(values) else otherwise(values)


def _unary(node: Unary) -> Computation:
    if node.operator == "not":
        holds = _truth(node.operand)
        return lambda values: not holds(values)
    number = _number_of(node.operand)
    return lambda values: _bounded(-number(values), node)


def _call(node: Call) -> Computation:
    arguments = [_number_of(one) for one in node.arguments]
    compute = FUNCTIONS[node.function].compute

    def call(values: Values) -> Value:
        numbers = [one(values) for one in arguments]
        if node.function == "divisible" and numbers[1] <= 0:
            words = f"multiples are of a number above 0, not of {shown(numbers[1])}"
            raise _at(node.arguments[1], words)
        return _bounded(compute(*numbers), node)

    return call


def _step(node: Binary) -> Callable[[Value, Values], Value]:
    """A link of a chain: from what its left operand comes to, and the values of names."""
    if node.operator in ("and", "or"):
        return _connective(node)
    if node.operator in ("==", "!="):
        right, equal = computation(node.right), node.operator == "=="
        return lambda left, values: _equal(left, right(values)) is equal
    number = _number_of(node.right)
    if node.operator in COMPARISONS:
        compare = COMPARISONS[node.operator]
        return lambda left, values: compare(_checked_number(node.left, left), number(values))
    return _arithmetic(node, number)


def _connective(node: Binary) -> Callable[[Value, Values], Value]:
    decides, right = node.operator == "or", _truth(node.right)

    def connect(left: Value, values: Values) -> Value:
        holds = _checked_truth(node.left, left)
        return holds if holds is decides else right(values)

    return connect


def _arithmetic(
    node: Binary, number: Callable[[Values], Fraction]
) -> Callable[[Value, Values], Value]:
    operate, divides = _ARITHMETIC[node.operator], node.operator in ("/", "//", "%")

    def compute(left: Value, values: Values) -> Value:
        one, other = _checked_number(node.left, left), number(values)
        if divides and not other:
            raise _at(node.right, "this is 0, and nothing can be divided by it")
        if one.denominator == 1 == other.denominator and node.operator != "/":
            # Fractions take several times as long.
            return _bounded(whole(operate(one.numerator, other.numerator)), node)  # type: ignore[arg-type]
        found = operate(one, other)
        return _bounded(found if isinstance(found, Fraction) else whole(found), node)

    return compute


whole = lru_cache(maxsize=4096)(Fraction)
"""An integer as expressions have it."""


def _equal(left: Value, right: Value) -> bool:
    """Whether two values are the same; true is not 1, and a word is no number."""
    return left is right or (type(left) is type(right) and left == right)


def _truth(node: Node) -> Callable[[Values], bool]:
    compute = computation(node)
    return lambda values: _checked_truth(node, compute(values))


def _checked_truth(node: Node, found: Value) -> bool:
    if not isinstance(found, bool):
        raise _at(node, f"a condition must be true or false, not {_described(node, found)}")
    return found


def _number_of(node: Node) -> Callable[[Values], Fraction]:
    compute = computation(node)
    return lambda values: _checked_number(node, compute(values))


def _checked_number(node: Node, found: Value) -> Fraction:
    if not isinstance(found, Fraction):
        raise _at(node, f"a number is needed here, not {_described(node, found)}")
    return found


def _described(node: Node, value: Value) -> str:
    of = f" (`{node.name}`)" if isinstance(node, Name) and node.name != shown(value) else ""
    return f"`{shown(value)}`{of}"


def _bounded(value: Fraction, node: Node) -> Fraction:
    if max(abs(value.numerator), value.denominator) >= _TOO_LARGE:
        raise _at(node, f"this number has more than {MAX_DIGITS} digits")
    return value


def _at(node: Node, message: str, hint: str | None = None) -> ExpressionError:
    return ExpressionError(message, node.start, node.end, hint)


def names_in(node: Node) -> Iterator[Name]:
    """Every name or word of an expression, from the left."""
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, Name):
            yield part
        left += reversed(_parts(part))


def _parts(node: Node) -> Sequence[Node]:
    if isinstance(node, Unary):
        return (node.operand,)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Choice):
        return (node.then, node.condition, node.otherwise)
    return node.arguments if isinstance(node, Call) else ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of numbers, and of how many."""

    compute: Callable[..., Fraction]
    least: int
    most: int
    takes: str


def divisible(x: Fraction, by: Fraction) -> Fraction:
    """The multiple of a number that is nearest, halves up, never more than a tenth below: the
    rounding of MobileNets (Sandler et al. 2018, in their authors' code).

    >>> [int(divisible(Fraction(x), Fraction(8))) for x in (3, 24, 27, 28, 62)]
    [8, 24, 32, 32, 64]
    """
    nearest = max(by, (x + by / 2) // by * by)
    return nearest if nearest >= x * Fraction(9, 10) else nearest + by


FUNCTIONS: Mapping[str, Function] = {
    "round": Function(lambda x: Fraction(round(x)), 1, 1, "one number"),
    "floor": Function(lambda x: Fraction(math.floor(x)), 1, 1, "one number"),
    "ceil": Function(lambda x: Fraction(math.ceil(x)), 1, 1, "one number"),
    "min": Function(min, 2, 16, "2 to 16 numbers"),
    "max": Function(max, 2, 16, "2 to 16 numbers"),
    "divisible": Function(divisible, 2, 2, "a number and what its multiple shall be of"),
}
"""What may be called; ``round`` takes halves to the even number."""

_ARITHMETIC: Mapping[str, Callable[[Fraction, Fraction], Fraction | int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
COMPARISONS: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
