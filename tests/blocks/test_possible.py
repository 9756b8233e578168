"""What expressions may come to: types, and conditions that never hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Draw

from archc.blocks.expressions import ExpressionError, Value, Word, evaluate, parse
from archc.blocks.possible import (
    NUMBER,
    TRUTH,
    Known,
    Possible,
    TypeMistakeError,
    integers,
    one_of,
)

LET = {"product": "a * b", "more": "product + 1", "wide": "a == 2 or mode == B"}


def known() -> Known:
    """Names that may be what `everything` lists."""
    values = {name: integers(1, 3) for name in ("a", "b", "channels")}
    values |= {"c": integers(0, 2), "x": NUMBER, "flag": TRUTH, "other": TRUTH}
    values |= {"mode": one_of("ABC"), "shortcut": one_of("AB")}
    values["pool"] = Possible((Fraction(1), Fraction(9)), True, words=frozenset(["none"]))
    made = Known(values, is_checked=True)
    for name, text in LET.items():
        made.let[name] = parse(text)
        values[name] = made.check(made.let[name], text)
    return made


def everything() -> Iterator[dict[str, Value]]:
    """Values of the names."""
    numbers = [Fraction(n) for n in range(4)]
    words = [Word(one) for one in "ABC"]
    truths = (True, False)
    for a, b, c, mode, shortcut, flag, other in product(
        numbers[1:], numbers[1:], numbers[:3], words, words[:2], truths, truths
    ):
        values: dict[str, Value] = {"a": a, "b": b, "c": c, "mode": mode, "shortcut": shortcut}
        values |= {"flag": flag, "other": other}
        for name, text in LET.items():
            values[name] = evaluate(parse(text), values)
        yield values


def never(*conditions: str) -> bool:
    return known().never_hold([(text, parse(text)) for text in conditions])


@pytest.mark.parametrize(
    "conditions",
    [
        ["1 == 2"],
        ["2 * 3 > 7 or false"],
        ["not true"],
        ["a < 0"],
        ["a * b > 9"],
        ["a > 1 and a < 2"],
        ["a != 1 and a != 2 and a != 3"],
        ["mode == A and mode == B"],
        ["mode != A and mode != B and mode != C"],
        ["mode == shortcut and mode == C"],
        ["flag and not flag"],
        ["a == b", "a != b"],
        ["a < b", "b < a"],
        ["b == a", "a == 1", "b > 1"],
        ["x * 2 == 5", "x*2 == 6"],
        ["a == 3", "a * b < 3"],
        ["wide", "a != 2 and mode != B"],
        ["product == 9", "a == 1"],
        ["a != 1 or b != c", "a == 1 and b == c"],
        ["(flag if a == 1 else false) and a == 2"],
        ["channels == 1 and channels == 2"],
        ["pool == none and pool > 2"],
        ["a % 2 == 2"],
        ["a // 4 > 0"],
        ["max(a, b) < 1"],
        ["divisible(a, 8) < 8"],
        ["ceil(x) == 1", "ceil(x) > 1"],
    ],
    ids=" | ".join,
)
def test_conditions_that_never_hold(conditions: list[str]) -> None:
    assert never(*conditions)


@pytest.mark.parametrize(
    "conditions",
    [
        ["true"],
        ["a == 3"],
        ["a == 1", "b == 2"],
        ["mode == A or mode == B"],
        ["a != b", "mode != A"],
        ["channels == 1", "channels == 2"],  # what reaches another layer
        ["pool == none or pool > 2"],
        ["x * 2 == 5", "x == 2.5"],
        ["a / 0 == 1"],  # what cannot be computed is an error where it is
        ["a % (b - 2) == 0"],
    ],
    ids=" | ".join,
)
def test_conditions_that_may_hold(conditions: list[str]) -> None:
    assert not never(*conditions)


NUMBERS = (
    *("a", "b", "c", "0", "1", "2", "a + b", "b - c", "a * 2", "a / 2", "a // 2", "b % 3", "-b"),
    *("max(a, 2)", "min(b, c)", "round(b / 2)", "divisible(a * 3, 4)", "a if flag else 3"),
    *("product", "more", "a % b", "floor(a / 3)"),
)


@st.composite
def conditions(draw: Draw, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["number", "number", "word", "flag", "and", "or", "not", "if"]))
    if depth and kind in ("and", "or"):
        return f"({draw(conditions(depth - 1))}) {kind} ({draw(conditions(depth - 1))})"
    if depth and kind == "not":
        return f"not ({draw(conditions(depth - 1))})"
    if depth and kind == "if":
        then, test, otherwise = (draw(conditions(depth - 1)) for _ in range(3))
        return f"({then}) if ({test}) else ({otherwise})"
    if kind == "word":
        pairs = ["mode == A", "mode != B", "mode == C", "mode == shortcut", "shortcut != A"]
        return str(draw(st.sampled_from(pairs)))
    if kind == "flag":
        return str(draw(st.sampled_from(["flag", "other", "flag == other", "wide", "true"])))
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    left, right = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))
    return f"({left}) {operator} ({right})"


def test_what_holds_somewhere_is_never_said_to_hold_nowhere() -> None:
    """Of random conditions, tried with every value that their names may have."""
    found = 0

    @settings(max_examples=min(settings().max_examples, 300), deadline=None)
    @given(st.lists(conditions(), min_size=1, max_size=3))
    def check(texts: Sequence[str]) -> None:
        nonlocal found
        if never(*texts):
            found += 1
            nodes = [parse(text) for text in texts]
            for values in everything():
                try:
                    assert not all(evaluate(node, values) for node in nodes), values
                except ExpressionError:
                    continue

    check()
    assert found > 5


def test_conditions_that_would_take_long_are_left_alone() -> None:
    flags = [(f"f{n}", f"g{n}") for n in range(20)]
    made = Known({name: TRUTH for pair in flags for name in pair}, is_checked=True)
    text = " and ".join(f"({f} or {g})" for f, g in flags) + " and 1 == 2"
    assert not made.never_hold([(text, parse(text))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a + mode", "a number is needed here, not `mode`, which is a word"),
        ("a + (b > 1)", "a number is needed here, not `b > 1`, which is true or false"),
        ("max(a, flag)", "a number is needed here, not `flag`, which is true or false"),
        ("-flag", "a number is needed here, not `flag`, which is true or false"),
        ("not a", "a condition must be true or false, not `a`, which is an integer"),
        ("flag and mode", "a condition must be true or false, not `mode`, which is a word"),
        ("1 if a else 2", "a condition must be true or false, not `a`, which is an integer"),
        ("flag == 1", "`flag` is true or false and `1` is a number: they are never equal"),
        ("a == mode", "`a` is an integer and `mode` is a word: they are never equal"),
        ("a < mode", "a number is needed here, not `mode`, which is a word"),
    ],
)
def test_mistakes_in_types(text: str, message: str) -> None:
    with pytest.raises(TypeMistakeError) as caught:
        known().check(parse(text), text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["pool + 1", "pool == none", "a == x", "a if flag else mode"])
def test_what_may_be_of_the_right_type_is_left_to_its_use(text: str) -> None:
    known().check(parse(text), text)


def test_numbers_have_bounds() -> None:
    texts = {
        "a + b": (2, 6),
        "a - b": (-2, 2),
        "a * -b": (-9, -1),
        "c // 2": (0, 1),
        "a / 2": (Fraction(1, 2), Fraction(3, 2)),
        "min(a, 2)": (1, 2),
        "round(a / 2)": (0, 2),
        "5 if flag else a": (1, 5),
        "product": (1, 9),
    }
    assert {text: known().check(parse(text), text).numbers for text in texts} == texts
