"""Every broken spec of the catalogue gets the whole of its expected diagnostics."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken.catalogue import Entry, entries

pytestmark = pytest.mark.usefixtures("speaking_command_line")

ENTRIES = entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.page}: {entry.title}")
def test_a_broken_spec_is_explained(entry: Entry, tmp_path: Path) -> None:
    """`tests/broken/catalogue.py` writes the expectations anew."""
    said = entry.said(tmp_path)
    assert said == entry.expected
    assert said, "this spec is not broken"


def test_titles_are_unique() -> None:
    titles = [(entry.page, entry.title) for entry in ENTRIES]
    assert len(set(titles)) == len(titles)


def test_the_catalogue_is_large() -> None:
    assert len(ENTRIES) > 80


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.page}: {entry.title}")
def test_no_other_program_speaks(entry: Entry) -> None:
    foreign = (
        "pydantic",
        "yaml.",
        "<class",
        "Traceback",
        "NoneType",
        "dict",
        "tuple",
        "Input should",
    )
    text = entry.expected.replace("spec.yaml", "").replace("parent.yaml", "")
    assert [word for word in foreign if word in text] == []
