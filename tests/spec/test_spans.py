"""Where what a diagnostic points at ends, and the edits that hints say."""

from __future__ import annotations

import pickle

import pytest

from archc.source.diagnostics import Advice, Diagnostic, Findings, Place, Source
from archc.source.spans import apply


def end_of(text: str, line: int, column: int) -> tuple[int, int]:
    end = Diagnostic(Place(Source("net.yaml", text), line, column), "wrong").end
    return end.line, end.column


@pytest.mark.parametrize(
    ("text", "place", "end"),
    [
        ("clases: 10\n", (1, 1), (1, 7)),
        ("classes: ten of them  # why\n", (1, 10), (1, 21)),
        ("input: [3, 32]\n", (1, 8), (1, 15)),
        ("input: [3,\n  32]\n", (1, 8), (2, 6)),
        ("title: 'it''s'\n", (1, 8), (1, 15)),
        ("width: in * wdith\n", (1, 13), (1, 18)),
        ("width: in // 3\n", (1, 11), (1, 12)),
        ("- {a: 1}\n", (1, 3), (1, 9)),
        ("é: 1\nclases: é\n", (2, 9), (2, 10)),
        ("a: [1\nb: 2\n", (2, 1), (2, 2)),
        ("", (1, 1), (1, 1)),
        ("a: \tb\r\nc: d\r\n", (2, 4), (2, 5)),
    ],
)
def test_a_diagnostic_ends_behind_the_key_the_value_or_the_word(
    text: str, place: tuple[int, int], end: tuple[int, int]
) -> None:
    assert end_of(text, *place) == end


def mended(text: str, line: int, column: int, advice: Advice) -> str | None:
    place = Place(Source("net.yaml", text), line, column)
    fix = Diagnostic(place, "wrong", advice).fix
    return None if fix is None else apply(text, [fix])


def test_a_hint_is_an_edit_of_the_word_or_of_the_value() -> None:
    word = Advice("did you mean `classes`?", "classes", "clases")
    assert mended("\tclases: 1\r\nclases: 10 # x\r\n", 2, 1, word) == (
        "\tclases: 1\r\nclasses: 10 # x\r\n"
    )
    assert mended('"clases": 10\n', 1, 1, word) == '"classes": 10\n'
    assert mended("clasesx: 10\n", 1, 1, word) is None
    assert mended("x: clases2\n", 1, 4, word) is None
    assert mended("x: in * clases + 2\n", 1, 9, word) == "x: in * classes + 2\n"
    assert mended('x: "in * clases + 2"\n', 1, 10, word) == 'x: "in * classes + 2"\n'
    assert mended("x: 3, 4\n", 1, 4, Advice("write [3, 4]", "[3, 4]")) == "x: [3, 4]\n"


def test_edits_that_overlap_are_not_both_made() -> None:
    text = "a: bc\rd: e\n"
    source = Source("x", text)
    fixes = [
        Diagnostic(Place(source, *at), "wrong", advice).fix
        for at, advice in [
            ((2, 4), Advice("", "fg")),
            ((1, 4), Advice("", "xyz")),
            ((1, 4), Advice("", "z", "bc")),
        ]
    ]
    assert apply(text, [fix for fix in fixes if fix]) == "a: xyz\rd: fg\n"


def test_a_hint_survives_pickling() -> None:
    advice = Advice("write 1", "1", is_certain=False)
    again = pickle.loads(pickle.dumps(advice))
    assert (again, again.replacement, again.word, again.is_certain) == ("write 1", "1", None, False)


def test_warnings_are_no_mistakes_and_a_comment_allows_them() -> None:
    text = (
        "classes: 10  # archc: allow unused-classes, large-linear\n# archc: allow x\nclasses: 2\n"
    )
    source, findings = Source("net.yaml", text), Findings()
    findings.warning(Place(source, 1, 1), "nothing reads it", code="unused-classes")
    findings.warning(Place(source, 3, 1), "nothing reads it", code="unused-classes")
    findings.check()
    (found,) = findings.warned.values()
    assert found.render() == (
        "net.yaml:3:1: warning: nothing reads it [unused-classes]\n  classes: 2\n  ^"
    )
    findings.warning(Place(source, 3, 1), "x", code="x")
    assert len(findings.warned) == 1
