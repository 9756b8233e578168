"""What expressions may come to, as far as their definition tells: types, and what never holds.

A name stands for a `Possible`: numbers between bounds, words, truth values, or a size. What an
expression of such names may come to is worked out by interval arithmetic, so that it is never too
narrow: where nothing is known, everything is possible. Whatever is refused for its type would be
refused in every use, and a layer that is said never to be there is there in none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction
from typing import TypeAlias

from archc.blocks.expressions import (
    COMPARISONS,
    MAX_DIGITS,
    Binary,
    Call,
    Choice,
    Literal,
    Name,
    Node,
    Unary,
    shown,
)
from archc.dataclassing import dataclass
from archc.text import listing, quote

Bound: TypeAlias = "Fraction | float"
"""An end of an interval; floats are infinities."""
_LARGE = Fraction(10**MAX_DIGITS)
_NO_BOUNDS: tuple[Bound, Bound] = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Possible:
    """What something may be: a number between two bounds, one of some words, true or false, a size
    of two. ``noun`` says it in a message; of what ``is_any`` nothing is known."""

    numbers: tuple[Bound, Bound] | None = None
    is_whole: bool = False
    words: frozenset[str] = frozenset()
    truths: frozenset[bool] = frozenset()
    is_size: bool = False
    noun: str = ""
    is_any: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing that it may be."""
        return not (self.is_any or self.numbers or self.words or self.truths or self.is_size)

    @property
    def single(self) -> Fraction | str | bool | None:
        """The only value that it may be, if there is only one."""
        if self.is_any or self.is_size:
            return None
        found: list[Fraction | str | bool] = [*self.words, *self.truths]
        if self.numbers is not None:
            least, most = self.numbers
            if least != most or not isinstance(least, Fraction):
                return None
            found.append(least)
        return found[0] if len(found) == 1 else None

    def meets(self, other: Possible) -> bool:
        """Whether something may be both, as far as types and words go."""
        if self.is_any or other.is_any:
            return True
        return not _meet(self.without_bounds, other.without_bounds).is_nothing

    @property
    def without_bounds(self) -> Possible:
        """The same for any number, where it may be a number."""
        return replace(self, numbers=self.numbers and _NO_BOUNDS, is_whole=False)

    def described(self) -> str:
        """In a few words."""
        if self.noun:
            return self.noun
        parts = ["a number"] * (self.numbers is not None) + ["true or false"] * bool(self.truths)
        parts += ["[height, width]"] * self.is_size
        return listing([*parts, *(["a word"] if self.words else [])])


ANYTHING = Possible(is_any=True)
NUMBER = Possible(numbers=_NO_BOUNDS, noun="a number")
TRUTH = Possible(truths=frozenset([True, False]), noun="true or false")


def integers(least: float = -math.inf, most: float = math.inf) -> Possible:
    """Integers between two bounds."""
    return Possible(numbers=(_exact(least), _exact(most)), is_whole=True, noun="an integer")


def one_of(choice: Iterable[str], noun: str = "a word") -> Possible:
    """One of some words."""
    return Possible(words=frozenset(choice), noun=noun)


def _exact(bound: float) -> Bound:
    return bound if isinstance(bound, float) and math.isinf(bound) else Fraction(repr(bound))


def _meet(one: Possible, other: Possible) -> Possible:
    """What may be both."""
    if one.is_any or other.is_any:
        return other if one.is_any else one
    whole = one.is_whole or other.is_whole
    numbers = None
    if one.numbers is not None and other.numbers is not None:
        least, most = max(one.numbers[0], other.numbers[0]), min(one.numbers[1], other.numbers[1])
        if whole:
            least, most = _up(least), _down(most)
        numbers = (least, most) if least <= most else None
    return Possible(
        numbers,
        whole and numbers is not None,
        one.words & other.words,
        one.truths & other.truths,
        one.is_size and other.is_size,
        one.noun,
    )


def _join(one: Possible, other: Possible) -> Possible:
    """What may be either."""
    if one.is_any or other.is_any:
        return ANYTHING
    both = [part.numbers for part in (one, other) if part.numbers is not None]
    numbers = (min(a for a, _ in both), max(b for _, b in both)) if both else None
    return Possible(
        numbers,
        all(part.is_whole for part in (one, other) if part.numbers is not None),
        one.words | other.words,
        one.truths | other.truths,
        one.is_size or other.is_size,
        one.noun if one.noun == other.noun else "",
    )


def _up(bound: Bound) -> Bound:
    return bound if isinstance(bound, float) else Fraction(math.ceil(bound))


def _down(bound: Bound) -> Bound:
    return bound if isinstance(bound, float) else Fraction(math.floor(bound))


# Types


class TypeMistakeError(ValueError):
    """A part of an expression can never be what it has to be there."""

    def __init__(self, node: Node, message: str):
        super().__init__(message)
        self.node, self.message = node, message


class _TooMuchError(Exception):
    """The question is not worth the time that its answer would take."""


_MOST_CASES, _MOST_STEPS = 32, 20_000
"""How many cases of conditions are looked at together, and how many parts of expressions for all
conditions of a definition: less than 0.1 s."""


@dataclass
class Known:
    """What is known of the names of a definition: what each may be, and, of those under ``let``,
    what they are. Where nothing ``is_checked``, as in the library, whose tests do it, everything is
    possible."""

    values: dict[str, Possible] = field(default_factory=dict)
    let: dict[str, Node] = field(default_factory=dict)
    is_checked: bool = False
    steps: int = 0
    judged: dict[tuple[str, ...], bool] = field(default_factory=dict)
    last: tuple[Node, Possible] | None = None

    def cover(self, names: Iterable[str]) -> None:
        """Of those among some names of which nothing is known, everything is possible."""
        for name in names:
            self.values.setdefault(name, ANYTHING)

    def check(self, node: Node, text: str) -> Possible:
        """What an expression may come to. Raises `TypeMistakeError` at a part that is always of a
        type that it cannot be."""
        if not self.is_checked:
            return ANYTHING
        if self.last is None or self.last[0] is not node:
            self.last = node, _Case(self, text=text).value(node)
        return self.last[1]

    def never_hold(self, conditions: Sequence[tuple[str, Node]]) -> bool:
        """Whether conditions, each with its text, never hold all together."""
        if not self.is_checked:
            return False
        key = tuple([text for text, _ in conditions])
        if key not in self.judged:
            try:
                self.judged[key] = self._contradict([node for _, node in conditions])
            except _TooMuchError:
                self.judged[key] = False
        return self.judged[key]

    def _contradict(self, nodes: Sequence[Node]) -> bool:
        cases = [_Case(self)]
        for number, node in enumerate(nodes):
            cases = [one for case in cases for one in _few(case.at(number).where(node, True))]
        return not any(case.is_possible() for case in cases)


def described(node: Node, value: Possible, text: str) -> str:
    """A part of an expression, whose text is given, in a message: ```act`, which is an
    activation``."""
    part = text[node.start : node.end]
    if isinstance(node, Literal) or value.single == part:
        return quote(part)
    return f"{quote(part)}, which is {value.described()}"


def _few(cases: Iterable[_Case]) -> list[_Case]:
    found = []
    for case in cases:
        found.append(case)
        if len(found) > _MOST_CASES:
            raise _TooMuchError
    return found


_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
_SIGNS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "==": "=", "!=": "<>"}
"""Of less, equal and greater, those that a comparison allows."""


@dataclass(frozen=True)
class _Case:
    """The names of a definition where some comparisons hold.

    ``narrow`` has what terms may be then, by their keys; ``relations`` the ways in which two terms
    may compare. ``number`` counts the condition at hand: `channels` is another number in each.
    With a ``text``, that of the expression at hand, mistakes in types are raised.
    """

    known: Known
    narrow: Mapping[str, Possible] = field(default_factory=dict)
    relations: Mapping[tuple[str, str], str] = field(default_factory=dict)
    facts: tuple[tuple[int, str, Node, Node], ...] = ()
    number: int = 0
    text: str | None = None
    computed: dict[str, Possible] = field(default_factory=dict)

    def at(self, number: int) -> _Case:
        """The same case at another condition."""
        return replace(self, number=number, computed={})

    # What an expression may come to

    def value(self, node: Node) -> Possible:
        """What an expression may come to."""
        if self.text is None:
            self.known.steps += 1
            if self.known.steps > _MOST_STEPS:
                raise _TooMuchError
        if isinstance(node, Literal):
            if isinstance(node.value, bool):
                return Possible(truths=frozenset([node.value]))
            assert isinstance(node.value, Fraction)
            return Possible((node.value, node.value), node.value.denominator == 1)
        found = self._name(node) if isinstance(node, Name) else self._computed(node)
        if self.narrow and (less := self.narrow.get(_key(node, self.number))) is not None:
            found = _meet(found, less)
        return found

    def _name(self, node: Name) -> Possible:
        known = self.known.values.get(node.name)
        if known is None:
            return Possible(words=frozenset([node.name]))
        inner = self.known.let.get(node.name)
        if inner is None or not self.narrow:
            return known
        if node.name not in self.computed:
            self.computed[node.name] = _meet(known, self.value(inner))
        return self.computed[node.name]

    def _computed(self, node: Node) -> Possible:
        if isinstance(node, Choice):
            self._truths(node.condition)
            return _join(self.value(node.then), self.value(node.otherwise))
        if isinstance(node, Unary):
            if node.operator == "not":
                return Possible(truths=frozenset(not one for one in self._truths(node.operand)))
            (least, most), is_whole = self._numbers(node.operand)
            return Possible((-most, -least), is_whole)
        if isinstance(node, Call):
            return _called(node.function, [self._numbers(one) for one in node.arguments])
        assert isinstance(node, Binary)
        spine = [node]  # chains lean to the left, as deep as they are long
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        found = self.value(spine[-1].left)
        for part in reversed(spine):
            found = self._combined(part, found)
        return found

    def _combined(self, node: Binary, left: Possible) -> Possible:
        if node.operator in ("and", "or"):
            is_or = node.operator == "or"
            one, other = self._truths(node.left, left), self._truths(node.right)
            ends = {is_or} & one
            return Possible(truths=frozenset(ends | (other if (not is_or) in one else set())))
        if node.operator in ("==", "!="):
            right = self.value(node.right)
            if not (self.text is None or left.meets(right) or (left.words and right.words)):
                parts = ((node.left, left), (node.right, right))
                sides = [
                    f"{quote(self.text[part.start : part.end])} is {value.described()}"
                    for part, value in parts
                ]
                raise TypeMistakeError(node, f"{' and '.join(sides)}: they are never equal")
            return _compared(node.operator, left, right)
        low, high = self._numbers(node.left, left), self._numbers(node.right)
        if node.operator in COMPARISONS:
            return _compared(node.operator, Possible(*low), Possible(*high))
        return _arithmetic(node.operator, low, high)

    def _numbers(
        self, node: Node, value: Possible | None = None
    ) -> tuple[tuple[Bound, Bound], bool]:
        """The bounds of a part that has to be a number, and whether it is an integer."""
        value = self.value(node) if value is None else value
        if value.numbers is None:
            if self.text is not None and not value.is_any:
                words = f"a number is needed here, not {described(node, value, self.text)}"
                raise TypeMistakeError(node, words)
            return _NO_BOUNDS, False
        return value.numbers, value.is_whole

    def _truths(self, node: Node, value: Possible | None = None) -> frozenset[bool]:
        """What a part may be that has to be true or false."""
        value = self.value(node) if value is None else value
        if not value.truths:
            if self.text is not None and not value.is_any:
                instead = described(node, value, self.text)
                message = f"a condition must be true or false, not {instead}"
                raise TypeMistakeError(node, message)
            return frozenset([True, False])
        return value.truths

    # What holds together

    def where(self, node: Node, holds: bool) -> Iterator[_Case]:
        """The cases in which a condition holds, or does not."""
        if isinstance(node, Unary) and node.operator == "not":
            yield from self.where(node.operand, not holds)
        elif isinstance(node, Binary) and node.operator in ("and", "or"):
            yield from self._where_all(list(_operands(node)), node.operator == "and", holds)
        elif isinstance(node, Choice):
            for way, result in ((True, node.then), (False, node.otherwise)):
                for case in _few(self.where(node.condition, way)):
                    yield from case.where(result, holds)
        elif isinstance(node, Binary) and node.operator in _SIGNS:
            operator = node.operator if holds else _NEGATED[node.operator]
            narrower = self.compared(operator, node.left, node.right)
            if narrower is not None:
                yield narrower
        elif holds in self._truths(node):
            known = self._narrowed(node, Possible(truths=frozenset([holds])))
            inner = self.known.let.get(node.name) if isinstance(node, Name) else None
            yield from [known] if inner is None else known.where(inner, holds)

    def _where_all(self, parts: list[Node], is_and: bool, holds: bool) -> Iterator[_Case]:
        """The cases in which operands of `and` or `or` come to a truth value."""
        left = [self]
        for part in parts:
            if is_and is not holds:  # it is decided by one of them, those before it left open
                for case in left:
                    yield from case.where(part, holds)
            left = _few(
                one for case in left for one in case.where(part, holds is (is_and is holds))
            )
        if is_and is holds:
            yield from left

    def compared(self, operator: str, left: Node, right: Node) -> _Case | None:
        """The case in which a comparison holds, too, or None where it cannot."""
        one, other = self.value(left), self.value(right)
        keys = _key(left, self.number), _key(right, self.number)
        allowed = self._allowed(operator, *keys)
        if not allowed or True not in _compared(operator, one, other).truths:
            return None
        pair = (keys[0], keys[1]) if keys[0] <= keys[1] else (keys[1], keys[0])
        case = replace(
            self,
            relations={**self.relations, pair: allowed},
            facts=(*self.facts, (self.number, operator, left, right)),
        )
        case = case._narrowed(left, _bounded(operator, one, other))
        return case._narrowed(right, _bounded(_FLIPPED[operator], other, one))

    def _allowed(self, operator: str, left: str, right: str) -> str:
        """How two terms may compare, as signs, the one whose key comes first being the left."""
        signs = _SIGNS[operator if left <= right else _FLIPPED[operator]]
        if left == right:
            return "=" if "=" in signs else ""
        before = self.relations.get((left, right) if left <= right else (right, left), "<=>")
        return "".join(sign for sign in before if sign in signs)

    def _narrowed(self, node: Node, value: Possible) -> _Case:
        if isinstance(node, Literal):
            return self
        key = _key(node, self.number)
        before = self.narrow.get(key)
        value = value if before is None else _meet(before, value)
        return replace(self, narrow={**self.narrow, key: value}, computed={})

    def is_possible(self) -> bool:
        """Whether what holds in the case may hold together."""
        case = self
        for _ in range(3):  # what one comparison narrows, the others may exclude
            for number, operator, left, right in self.facts:
                narrower = case.at(number).compared(operator, left, right)
                if narrower is None:
                    return False
                case = narrower
        return True


def _operands(node: Binary) -> Iterator[Node]:
    """The operands of a chain of one operator, from the left."""
    found: list[Node] = []
    inner: Node = node
    while isinstance(inner, Binary) and inner.operator == node.operator:
        found.append(inner.right)
        inner = inner.left
    yield inner
    yield from reversed(found)


def _key(node: Node, number: int) -> str:
    """The same text for the same expression, however it is written."""
    if isinstance(node, Name):
        return f"channels #{number}" if node.name == "channels" else node.name
    if isinstance(node, Literal):
        return shown(node.value)
    if isinstance(node, Unary):
        return f"{node.operator} ({_key(node.operand, number)})"
    if isinstance(node, Call):
        return f"{node.function}({', '.join([_key(one, number) for one in node.arguments])})"
    if isinstance(node, Choice):
        parts = (node.then, node.condition, node.otherwise)
        return f"choice({', '.join([_key(one, number) for one in parts])})"
    assert isinstance(node, Binary)
    spine: list[str] = []
    inner: Node = node
    while isinstance(inner, Binary):
        spine.append(f" {inner.operator} ({_key(inner.right, number)}))")
        inner = inner.left
    return "(" * len(spine) + _key(inner, number) + "".join(reversed(spine))


def _compared(operator: str, left: Possible, right: Possible) -> Possible:
    """What a comparison may come to."""
    both = frozenset([True, False])
    if left.is_any or right.is_any:
        return Possible(truths=both)
    if operator in ("==", "!="):
        may_equal = not _meet(left, right).is_nothing
        is_same = may_equal and left.single is not None and left.single == right.single
        found = {one for one, may_be in ((True, may_equal), (False, not is_same)) if may_be}
        return Possible(truths=frozenset(found if operator == "==" else {not one for one in found}))
    (least, most), (low, high) = left.numbers or _NO_BOUNDS, right.numbers or _NO_BOUNDS
    compare: Callable[[Bound, Bound], bool] = COMPARISONS[operator]  # type: ignore[assignment]
    ends = {compare(least, high), compare(most, low)}
    return Possible(truths=frozenset(ends) if len(ends) == 1 else both)


def _bounded(operator: str, one: Possible, other: Possible) -> Possible:
    """What the left side of a comparison may be where it holds."""
    if operator == "==":
        return _meet(one, other)
    if operator == "!=":
        return _without(one, other.single)
    (least, most), (low, high) = one.numbers or _NO_BOUNDS, other.numbers or _NO_BOUNDS
    step = 1 if operator in "<>" and one.is_whole and other.is_whole else 0
    if operator in ("<", "<="):
        most = min(most, high - step)
    else:
        least = max(least, low + step)
    return Possible((least, most) if least <= most else None, one.is_whole, noun=one.noun)


def _without(one: Possible, value: Fraction | str | bool | None) -> Possible:
    """A possible value less: a word, a truth value, an integer at one of the ends."""
    if one.is_any or value is None:
        return one
    if isinstance(value, bool):
        return replace(one, truths=one.truths - {value})
    if isinstance(value, str):
        return replace(one, words=one.words - {value})
    if one.numbers is None or not one.is_whole or value not in one.numbers:
        return one
    least, most = one.numbers
    least, most = least + (least == value), most - (most == value)
    return replace(one, numbers=(least, most) if least <= most else None)


# Intervals

_Interval: TypeAlias = "tuple[tuple[Bound, Bound], bool]"


def _interval(ends: Iterable[Bound], is_whole: bool) -> Possible:
    """Numbers between the least and the greatest of some; what is too long to be computed has no
    bound."""
    # 0 times infinity is none: 0 is among what such a product may be.
    found = [Fraction(0) if isinstance(one, float) and math.isnan(one) else one for one in ends]
    least, most = min(found), max(found)
    if not isinstance(least, float) and least.denominator >= _LARGE:
        least = _down(least)
    if not isinstance(most, float) and most.denominator >= _LARGE:
        most = _up(most)
    # No number is as large as that, so nothing is lost, and none here grows without end.
    least = -math.inf if least <= -_LARGE else min(least, _LARGE)
    most = math.inf if most >= _LARGE else max(most, -_LARGE)
    return Possible((_as_bound(least), _as_bound(most)), is_whole)


def _as_bound(end: Bound) -> Bound:
    return Fraction(end) if isinstance(end, float) and math.isfinite(end) else end


def _arithmetic(operator: str, left: _Interval, right: _Interval) -> Possible:
    (one, is_whole), (other, is_other_whole) = left, right
    whole = is_whole and is_other_whole
    if operator in "+-":
        low, high = other if operator == "+" else (-other[1], -other[0])
        return _interval((one[0] + low, one[1] + high), whole)
    pairs = [(a, b) for a in one for b in other]
    if operator == "*":
        return _interval([a * b for a, b in pairs], whole)
    if other[0] <= 0 <= other[1]:
        return Possible(_NO_BOUNDS, operator == "//" or (operator == "%" and whole))
    if operator == "%":
        low, high = (0, other[1] - whole) if other[0] > 0 else (other[0] + whole, 0)
        return _interval((_as_bound(low), _as_bound(high)), whole)
    ends = [a / b for a, b in pairs]
    if operator == "/":
        return _interval(ends, False)
    return _interval([_down(_as_bound(end)) for end in ends], True)


def _called(function: str, arguments: Sequence[_Interval]) -> Possible:
    least, most = ([one[end] for one, _ in arguments] for end in (0, 1))
    is_whole = all(is_whole for _, is_whole in arguments)
    if function in ("min", "max"):
        choose: Callable[[list[Bound]], Bound] = min if function == "min" else max
        return _interval((choose(least), choose(most)), is_whole)
    if function == "divisible":
        # At least the divisor and nine tenths of the number, at most the number and the divisor.
        (low, high), (_, by_is_whole) = (least[0], most[0]), arguments[1]
        most_of_all = max(high, 0) + 2 * max(most[1], 0)
        ends = (max(least[1], low * Fraction(9, 10), Fraction(0)), most_of_all)
        return _interval(ends, by_is_whole)
    rounded = {"floor": _down, "ceil": _up, "round": _nearest}[function]
    return _interval((rounded(least[0]), rounded(most[0])), True)


def _nearest(bound: Bound) -> Bound:
    return bound if isinstance(bound, float) else Fraction(round(bound))
