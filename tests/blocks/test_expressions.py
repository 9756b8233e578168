"""Expressions of the language of blocks, against Python's own arithmetic on rationals."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.blocks.expressions import (
    MAX_LENGTH,
    ExpressionError,
    Value,
    Word,
    evaluate,
    names_in,
    parse,
    shown,
)

NAMES: dict[str, Value] = {
    "in": Fraction(24),
    "width": Fraction(64),
    "expand": Fraction(13, 5),
    "stride": Fraction(2),
    "projects": True,
    "shortcut": Word("A"),
}


def value(text: str) -> str:
    return shown(evaluate(parse(text), NAMES))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(1, in // 4)", "6"),
        ("in * expand", "62.4"),
        ("divisible(in * expand, 8)", "64"),
        ("1 / 3", "1/3"),
        ("-3 % 5", "2"),
        ("-7 // 2", "-4"),
        ("round(2.5) + round(3.5)", "6"),
        ("floor(2.5) + ceil(2.5)", "5"),
        ("0.1 + 0.2", "0.3"),
        ("1e3", "1000"),
        ("2 - 3 - 4", "-5"),
        ("2 * (3 - 4)", "-2"),
        ("stride != 1 or in != width", "true"),
        ("not stride == 1 and projects", "true"),
        ("shortcut == A", "true"),
        ("shortcut != 3x3", "true"),
        ("shortcut == 1", "false"),
        ("projects == 1", "false"),
        ("width if shortcut == A else 1 / 0", "64"),
        ("width if not projects else in if stride > 1 else 2", "24"),
        ("projects or 1 / 0", "true"),
        ("none", "none"),
    ],
)
def test_what_expressions_come_to(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("", "", "an expression is missing here", None),
        ("in ** 2", "**", "`**` is not part of an expression", "no powers"),
        ("in = 2", "=", "`=` is not part of an expression", "`==` compares"),
        ("stride == 1 && projects", "&&", "`&&` is not part", "write `and`"),
        ("!projects", "!", "`!` is not part", "write `not`"),
        ("True", "True", "`True` is not part", "write `true`"),
        ("in.width", ".", "`.` is not part", None),
        ("make(2)", "make", "there is no function `make`", "round, floor, ceil, min, max"),
        ("min(1)", "min(1)", "`min` takes 2 to 16 numbers, not 1", None),
        ("(1 + 2", "(", "this `(` is not closed", None),
        ("1 + ", " ", "a value is missing here", None),
        ("2 3", "3", "`3` does not belong here", None),
        ("1 if projects", "", "`else` is missing here", "A if CONDITION else B"),
        ("1 < in < 3", "<", "comparisons cannot be chained", "a < b and b < c"),
        ("in / (stride - 2)", "stride - 2", "this is 0, and nothing can be divided by it", None),
        ("in % 0", "0", "this is 0", None),
        ("divisible(in, 0)", "0", "multiples are of a number above 0, not of 0", None),
        ("width * shortcut", "shortcut", "a number is needed here, not `A` (`shortcut`)", None),
        ("width * wdth", "wdth", "a number is needed here, not `wdth`", None),
        ("1 if stride else 2", "stride", "must be true or false, not `2` (`stride`)", None),
        ("not 1", "1", "must be true or false, not `1`", None),
        ("9" * 61, "9" * 61, "at most 60 digits", None),
        ("1e61", "1e61", "at most 60 digits", None),
        (f"{'9' * 40} * {'9' * 40}", f"{'9' * 40} * {'9' * 40}", "more than 60 digits", None),
        ("(" * 40 + "1" + ")" * 40, "(", "nested at most 32 deep", "under `let`"),
        ("not " * 40 + "projects", "not", "nested at most 32 deep", "under `let`"),
        ("-" * 40 + "1", "-", "nested at most 32 deep", "under `let`"),
        ("1 + " * 300 + "1", "1 + " * 250, f"at most {MAX_LENGTH:,} characters, not 1,201", None),
    ],
)
def test_what_is_wrong_is_told_at_its_place(
    text: str, at: str, message: str, hint: str | None
) -> None:
    with pytest.raises(ExpressionError, match=re.escape(message)) as caught:
        value(text)
    assert text[caught.value.start : caught.value.end].strip() == at.strip()
    assert (hint or "") in (caught.value.hint or "")


def test_names_are_found_from_the_left() -> None:
    tree = parse("a if b == c else max(d, -e)")
    assert [name.name for name in names_in(tree)] == ["a", "b", "c", "d", "e"]


def test_the_longest_chain_is_read_and_evaluated() -> None:
    assert value("+".join("1" * 500)) == "500"


# Against Python, whose grammar has the same precedence

NUMBERS = st.sampled_from(["0", "1", "2", "3", "7", "8", "0.5", "2.6", "in", "width", "expand"])
TRUTHS = st.sampled_from(["true", "false", "projects"])


def numbers(smaller: st.SearchStrategy[str], truths: st.SearchStrategy[str]) -> Any:
    infix = st.tuples(smaller, st.sampled_from(["+", "-", "*", "/", "//", "%"]), smaller)
    return st.one_of(
        infix.map(" ".join),
        smaller.map(lambda x: f"({x})"),
        smaller.map(lambda x: f"-{x}"),
        st.tuples(st.sampled_from(["round", "floor", "ceil"]), smaller).map(
            lambda two: f"{two[0]}({two[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), smaller, smaller).map(
            lambda three: f"{three[0]}({three[1]}, {three[2]})"
        ),
        st.tuples(smaller, truths, smaller).map(lambda x: f"({x[0]} if {x[1]} else {x[2]})"),
    )


def conditions(smaller: st.SearchStrategy[str]) -> Any:
    infix = st.tuples(smaller, st.sampled_from(["and", "or"]), smaller)
    return st.one_of(infix.map(" ".join), smaller.map(lambda x: f"(not {x})"))


COMPARED = st.tuples(NUMBERS, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), NUMBERS)
CONDITIONS = st.recursive(TRUTHS | COMPARED.map(lambda x: f"({' '.join(x)})"), conditions)
EXPRESSIONS = st.recursive(NUMBERS, lambda smaller: numbers(smaller, CONDITIONS), max_leaves=12)


def in_python(text: str) -> Fraction:
    text = re.sub(r"\d+(\.\d+)?", lambda found: f"Fraction('{found[0]}')", text)
    text = re.sub(r"\bin\b", "in_", text)
    known = {
        **NAMES,
        "in_": NAMES["in"],
        "true": True,
        "false": False,
        "floor": math.floor,
        "ceil": math.ceil,
        "Fraction": Fraction,
    }
    return Fraction(eval(text, {"__builtins__": {"round": round, "min": min, "max": max}}, known))


@given(EXPRESSIONS)
@settings(max_examples=500)
def test_arithmetic_is_python_s(text: str) -> None:
    try:
        expected = in_python(text)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="this is 0"):
            evaluate(parse(text), NAMES)
        return
    assert evaluate(parse(text), NAMES) == expected


@given(st.text(alphabet="in width+-*/%()<>=!.,09eAx_ andorif", max_size=40))
@settings(max_examples=500)
def test_any_text_is_evaluated_or_refused_inside_it(text: str) -> None:
    with suppress(ExpressionError):
        evaluate(parse(text), NAMES)
        return
    with pytest.raises(ExpressionError) as caught:
        evaluate(parse(text), NAMES)
    assert 0 <= caught.value.start <= caught.value.end <= len(text) + 1
