"""Fields that are a choice: of words, of numbers, of both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from archc.source.diagnostics import Findings
from archc.source.reader import read
from archc.source.record import Field, Record, ValidationError
from archc.source.validate import validate
from archc.spec import Source


class Choices(Record):
    """Every form that a choice has taken, and some that it may yet take."""

    numbers: Literal[1, 10] = 1
    mixed: Literal[1, "auto"] | None = None
    bounded: Annotated[int, Field(ge=2)] | Literal["none"] = "none"
    truth: Literal[True, "auto"] = True
    nothing: Literal[2, None] = None
    words: Literal["left", "right"] = "left"


def told(name: str, text: str) -> tuple[Any, list[tuple[str, str | None]]]:
    """The value that a field takes from YAML, and what is said where it takes none."""
    findings = Findings()
    root = read(Source("x", f"{name}: {text}"), findings)
    assert isinstance(root.data, dict)
    valid = validate(Choices, root.data, root.place, "it", findings)
    faults = [(fault.message, fault.hint) for fault in findings.found.values()]
    return (getattr(valid, name) if valid else None), faults


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("numbers", "10", 10),
        ("mixed", "1", 1),
        ("mixed", "auto", "auto"),
        ("bounded", "3", 3),
        ("truth", "true", True),
        ("nothing", "2", 2),
    ],
)
def test_a_choice_is_taken(name: str, text: str, expected: object) -> None:
    value, faults = told(name, text)
    assert (type(value), value, faults) == (type(expected), expected, [])


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("numbers", "5", "`numbers` must be 1 or 10, not `5`", None),
        ("numbers", "100", "`numbers` must be 1 or 10, not `100`", None),
        ("numbers", "5.0", "`numbers` must be 1 or 10, not `5.0`", None),
        ("numbers", "10.0", "`numbers` must be 1 or 10, not `10.0`", "write 10"),
        ("numbers", "'5'", "`numbers` must be 1 or 10, not the text `5`", None),
        ("numbers", "[1, 1]", "`numbers` must be 1 or 10, not a list of 2", None),
        ("numbers", "3x3", "`numbers` must be 1 or 10, not `3x3`", None),
        ("numbers", "none", "`numbers` must be 1 or 10, not `none`", None),
        ("numbers", ".nan", "`numbers` must be 1 or 10, not `.nan`", None),
        ("mixed", "true", "`mixed` must be 1 or auto, not `true`", None),
        ("mixed", "uato", "`mixed` must be 1 or auto, not `uato`", "did you mean `auto`?"),
        ("mixed", "'1'", "`mixed` must be 1 or auto, not the text `1`", "write 1 without quotes"),
        ("truth", "false", "`truth` must be true or auto, not `false`", None),
        ("nothing", "3", "`nothing` must be 2, not `3`", None),
        ("words", "1", "`words` must be left or right, not `1`", None),
        (
            "bounded",
            "3.0",
            "`bounded` must be an integer of at least 2 or none, not `3.0`",
            "write 3",
        ),
    ],
)
def test_what_is_not_among_the_choices_is_told(
    name: str, text: str, message: str, hint: str | None
) -> None:
    assert told(name, text) == (None, [(message, hint)])


@pytest.mark.parametrize("value", [True, 1.0, False, 10.0])
def test_python_finds_no_lookalike_of_a_number_either(value: object) -> None:
    with pytest.raises(ValidationError):
        Choices.model_validate({"numbers": value})
