"""How a mistake is told: its place, the line with a caret, hints, notes, and how many there are."""

from __future__ import annotations

import pytest

from archc.source.diagnostics import MAX_DIAGNOSTICS, WINDOW, Findings, excerpt
from archc.source.suggest import closest
from archc.spec import Diagnostic, Note, Place, Source, SpecError
from archc.text import display_width, listing, quote


def test_a_diagnostic_has_its_place_the_line_a_caret_and_a_hint() -> None:
    source = Source("net.yaml", "name: net\nclases: 10\n")
    diagnostic = Diagnostic(Place(source, 2, 1), "a spec has no key `clases`", "did you mean it?")
    assert diagnostic.render().splitlines() == [
        "net.yaml:2:1: error: a spec has no key `clases`",
        "  clases: 10",
        "  ^",
        "hint: did you mean it?",
    ]


def test_a_diagnostic_as_data_has_no_more_and_no_less() -> None:
    parent = Source("parent.yaml", "name: x", via=Place(Source("net.yaml", "extends: p"), 1, 10))
    note = Note(Place(parent, 1, 1), "look here")
    found = Diagnostic(Place(parent, 1, 7), "wrong", None, (note,), code="wrong-type")
    assert found.as_dict() == {
        "file": "parent.yaml",
        "line": 1,
        "column": 7,
        "end_line": 1,
        "end_column": 8,
        "severity": "error",
        "code": "wrong-type",
        "message": "wrong",
        "hint": None,
        "fix": None,
        "notes": [
            {"file": "parent.yaml", "line": 1, "column": 1, "message": "look here"},
            {
                "file": "net.yaml",
                "line": 1,
                "column": 10,
                "message": "parent.yaml is extended here",
            },
        ],
    }


def test_each_step_of_the_way_through_extends_is_a_note() -> None:
    child = Source("child.yaml", "extends: parent.yaml")
    parent = Source("parent.yaml", "extends: grandparent.yaml", via=Place(child, 1, 10))
    grandparent = Source("grandparent.yaml", "name: 3", via=Place(parent, 1, 10))
    assert Diagnostic(Place(grandparent, 1, 7), "wrong").render().splitlines()[-2:] == [
        "parent.yaml:1:10: note: grandparent.yaml is extended here",
        "child.yaml:1:10: note: parent.yaml is extended here",
    ]


@pytest.mark.parametrize(
    ("before", "columns"),
    [
        ("abc", 3),
        ("残差", 4),
        ("ｆｕｌｌ", 8),
        ("ｶﾅ", 2),
        ("👍", 2),
        ("e\u0301", 1),
        ("한국", 4),
        ("\u1112\u1161\u11ab", 2),
        ("❤\ufe0f", 1),
        ("\t\t", 2),
        ("\u200b", 1),
        ("\x1b", 1),
        ("é", 1),
    ],
)
def test_the_caret_stands_by_display_width(before: str, columns: int) -> None:
    line, caret = excerpt(Place(Source("x", f"{before}!"), 1, len(before) + 1))
    assert caret == "  " + " " * columns + "^"
    assert display_width(line) == 2 + columns + 1


def test_characters_that_would_disturb_a_terminal_are_replaced() -> None:
    text = "a\x1b[31m\u202eb\u200bc\ud800d\U000e0001e"
    line, _ = excerpt(Place(Source("x", text), 1, 1))
    assert line == "  a\ufffd[31m\ufffdb\ufffdc\ufffdd\ufffde"


@pytest.mark.parametrize(
    ("column", "head", "tail"),
    [(1, "", "…"), (51, "", "…"), (52, "…", "…"), (500, "…", "…"), (960, "…", ""), (1001, "…", "")],
)
def test_a_long_line_is_cut_around_the_place(column: int, head: str, tail: str) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(1000))
    line, caret = excerpt(Place(Source("x", text), 1, column))
    shown = line.removeprefix("  ").removeprefix("…").removesuffix("…")
    assert len(shown) == WINDOW
    assert line == f"  {head}{shown}{tail}"
    assert line[len(caret) - 1 :][:1] == text[column - 1 : column]


def test_a_line_of_a_hundred_characters_is_whole() -> None:
    line, _ = excerpt(Place(Source("x", "a" * WINDOW), 1, 100))
    assert line == "  " + "a" * WINDOW


@pytest.mark.parametrize(("text", "line"), [("", 1), ("a\n\nb", 2), ("a\n  \t\nb", 2), ("a", 9)])
def test_nothing_is_shown_of_a_line_with_nothing_in_it(text: str, line: int) -> None:
    assert excerpt(Place(Source("x", text), line, 1)) == []


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("", 1, 1, (1, 1)),
        ("", 2, 7, (1, 1)),
        ("---\n  ", 3, 1, (2, 3)),
        ("a\n", 2, 1, (2, 1)),
        ("a\n", 2, 5, (2, 1)),
        ("abc", 1, 4, (1, 4)),
        ("abc", 1, 5, (1, 4)),
    ],
)
def test_a_diagnostic_points_into_its_text(
    text: str, line: int, column: int, expected: tuple[int, int]
) -> None:
    place = Place(Source("x", text), line, column)
    for one in (Diagnostic(place, "wrong").place, Note(place, "here").place):
        assert (one.line, one.column) == expected


def test_lines_end_as_in_yaml() -> None:
    assert Source("x", "a\rb\r\nc\nd\x0be").lines == ["a", "b", "c", "d\x0be"]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("abc", "`abc`"),
        ('a"b', '`a"b`'),
        ("a\\b", "`a\\b`"),
        ("a\nb\tc", "`a\\nb\\tc`"),
        ("\x00\x1b", "`\\u0000\\u001b`"),
        ("a\u00a0b", "`a\\u00a0b`"),
        ("\u202eabc", "`\ufffdabc`"),
        ("a" * 41, "`" + "a" * 39 + "…`"),
        ("残差", "`残差`"),
    ],
)
def test_what_an_author_wrote_is_quoted_on_one_line(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("bottelneck", ["basic", "bottleneck"], "did you mean `bottleneck`?"),
        ("BASIC", ["basic"], "did you mean `basic`?"),
        ("a", ["A", "B"], "did you mean `A`?"),
        ("channels", ["depth", "width"], "did you mean `width`?"),
        ("channels", ["depth"], None),
        ("dilation", ["activation"], None),
        ("x" * 100_000, ["activation"], None),
        ("", ["activation"], None),
    ],
)
def test_the_closest_word_is_offered_if_it_is_close(
    word: str, known: list[str], hint: str | None
) -> None:
    assert closest(word, known) == hint


def test_words_in_a_row() -> None:
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b"]) == "a or b"
    assert listing(["a", "b", "c"], "and") == "a, b and c"


def test_mistakes_come_in_the_order_of_the_text_and_once_each() -> None:
    source, other = Source("a", "x\ny"), Source("b", "z")
    findings = Findings()
    findings.error(Place(source, 2, 1), "second")
    findings.error(Place(other, 1, 1), "third")
    findings.error(Place(source, 1, 2), "first")
    findings.error(Place(source, 2, 1), "second", "with another hint")
    with pytest.raises(SpecError) as caught:
        findings.check()
    assert [d.message for d in caught.value.diagnostics] == ["first", "second", "third"]
    assert str(caught.value).startswith("a:1:2: error: first\n")


def test_no_mistakes_are_no_error() -> None:
    Findings().check()


def test_a_last_diagnostic_says_where_archc_stopped() -> None:
    source = Source("a", "x\n" * 100)
    findings = Findings()
    for line in range(1, MAX_DIAGNOSTICS + 1):
        findings.error(Place(source, line, 1), "wrong")
    findings.error(Place(source, 1, 1), "wrong")
    with pytest.raises(SpecError) as caught:
        findings.error(Place(source, MAX_DIAGNOSTICS + 1, 1), "wrong")
    *told, last = caught.value.diagnostics
    assert len(told) == MAX_DIAGNOSTICS
    assert last.place == Place(source, MAX_DIAGNOSTICS + 1, 1)
    assert last.message == "there are more mistakes from here on; archc stops after 50"
