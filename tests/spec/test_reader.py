"""YAML as a spec means it: scalars of YAML 1.2, and where each value stands."""

from __future__ import annotations

import math
import re

import pytest
import yaml

from archc.source.diagnostics import Findings
from archc.source.reader import MAX_LEVELS, MAX_VALUES, Value, is_plain, quoted, read
from archc.spec import Place, Source, SpecError


def value(text: str) -> Value:
    findings = Findings()
    result = read(Source("x", text), findings)
    findings.check()
    return result


def place(value: Value) -> tuple[int, int]:
    return value.place.line, value.place.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("TRUE", "TRUE"),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("", None),
        ("none", "none"),
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("+12", 12),
        ("-12", -12),
        ("999999999999999999", 999999999999999999),
        ("012", "012"),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("1,000", "1,000"),
        ("1:30", "1:30"),
        ("12e", "12e"),
        ("1e-4", 1e-4),
        ("1e4", 10000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-0.5", -0.5),
        ("1.5E+3", 1500.0),
        ("01.5", 1.5),
        ("1e400", math.inf),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("2026-11-24", "2026-11-24"),
        ("=", "="),
        ("٣", "٣"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        ("|-\n 12", "12"),
        ("3x3", "3x3"),
        ("1x1", "1x1"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, expected: object) -> None:
    data = value(f"- {text}").data
    assert isinstance(data, tuple)
    result = data[0].data
    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize(
    "text",
    [
        *("null", "true", "1e3", "0x10", "~", "a b", "a: b", "# a", "- a", "'", '"', "\\", ""),
        *(
            "é",
            "\N{GRINNING FACE}",
            "a\nb",
            "a\x7fb",
            "a\x85b",
            "a\u2028b",
            "\ufeffa",
            "\0",
            "\uffff",
        ),
    ],
)
def test_a_text_that_is_quoted_is_read_as_it_was(text: str) -> None:
    assert value(quoted(text)).data == text


@pytest.mark.parametrize("text", ["null", "~", "true", "123", "1e3", ".5", ".inf", "", "9" * 19])
def test_words_that_are_read_as_something_else_need_quotes(text: str) -> None:
    assert not is_plain(text)


def test_words_that_are_text_anyway_need_none() -> None:
    assert [word for word in ("yes", "0x10", "01", "None", "3x3") if not is_plain(word)] == []


TEXTS = [
    "name: net\nstages:\n  - {depth: 3}\n  - depth: 4\n    width:\n",
    "a: [1, 2.5, .inf, null, true, yes, '3', \"\\u00e9\\n\"]\nb: |\n  text\n c: 3",
    "---\n  ",
    "",
    "a: [1",
    "a: {b: 1",
    "- a\nb",
    "a: 1\n  b: 2",
    "a: 'x",
    "a\nb: 1",
    "a: *b",
    "a: @b",
    "]",
    ": a",
    "a: - b",
    "a: b: c",
    '"\\u12"',
    "a: 1\n...\nb: 2",
    "[" * (MAX_LEVELS + 1),
]


@pytest.mark.parametrize("text", TEXTS)
def test_pyyaml_without_libyaml_reads_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parser is in Python then, with words and sometimes places of its own for mistakes."""

    def outcome() -> object:
        findings = Findings()
        try:
            plain = str(read(Source("x", text), findings).plain)
        except SpecError as error:
            plain = ""
            findings.add(error)
        return re.sub("0x.*", "", plain), [
            (one.message, one.hint) for one in findings.found.values()
        ]

    in_c = outcome()
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert outcome() == in_c


def test_pyyaml_without_libyaml_refuses_half_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(SpecError, match=r"x:1:4: error: an escape in this text is not a character"):
        value('a: "\\ud800"')


def test_not_a_number_is_a_number() -> None:
    data = value(".nan").data
    assert isinstance(data, float)
    assert math.isnan(data)


def test_how_a_plain_scalar_is_written_is_kept() -> None:
    assert value("1e2").text == "1e2"
    assert value("'1e2'").text is None


def test_every_value_knows_its_place() -> None:
    root = value("name: net\nstages:\n  - {depth: 3}\n  - depth: 4\n    width:\n")
    assert isinstance(root.data, dict)
    assert place(root) == (1, 1)
    assert root.data["name"].key.column == 1
    assert place(root.data["name"].value) == (1, 7)
    stages = root.data["stages"].value
    assert place(stages) == (3, 3)
    assert isinstance(stages.data, tuple)
    assert [place(stage) for stage in stages.data] == [(3, 5), (4, 5)]
    assert isinstance(stages.data[1].data, dict)
    assert place(stages.data[1].data["width"].value) == (5, 11)


def test_columns_count_characters() -> None:
    root = value("{残差: é, b: 3}")
    assert isinstance(root.data, dict)
    assert root.data["b"].key.column == 9


def test_keys_are_text_whatever_they_look_like() -> None:
    root = value("{1: a, true: b, 'null': c}")
    assert isinstance(root.data, dict)
    assert list(root.data) == ["1", "true", "null"]


@pytest.mark.parametrize("text", ["---\na: 1\n", "%YAML 1.2\n---\na: 1\n...\n", "# c\na: 1 # d\n"])
def test_one_document_may_be_marked_as_one(text: str) -> None:
    assert value(text).plain == {"a": 1}


def test_as_many_levels_and_values_as_are_allowed() -> None:
    assert isinstance(value("[" * MAX_LEVELS + "]" * MAX_LEVELS).data, tuple)
    assert value("[" + "1," * (MAX_VALUES - 1) + "]").plain == [1] * (MAX_VALUES - 1)


@pytest.mark.parametrize(
    "text", ["[" * (MAX_LEVELS + 1) + "]" * (MAX_LEVELS + 1), "[" + "1," * MAX_VALUES + "]"]
)
def test_one_more_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        value(text)


def test_what_is_refused_deep_inside_is_not_nested_deeper_than_allowed() -> None:
    with pytest.raises(SpecError) as caught:
        value("!tag " + "[" * 70 + "]" * 70)
    assert "deeper than 64 levels" in str(caught.value)


def test_a_mistake_leaves_the_rest_readable() -> None:
    findings = Findings()
    root = read(Source("x", "a: *b\nc: 3\nc: 4\n"), findings)
    assert isinstance(root.data, dict)
    assert root.data["c"].value.data == 3
    source = root.place.source
    assert [at for at, _ in findings.found] == [Place(source, 1, 4), Place(source, 3, 1)]
