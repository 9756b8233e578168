"""The library of block types."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.blocks import STANDARD, Library
from archc.blocks.library import FILES, STD
from archc.blocks.reading import Reader
from archc.source.diagnostics import Findings, Source
from archc.source.reader import read


def test_every_file_is_listed_with_its_blocks() -> None:
    assert {path.stem for path in Path(STD).glob("*.yaml")} == set(FILES.values())
    assert list(STANDARD.definitions) == list(FILES)
    for name, one in STANDARD.definitions.items():
        assert one.place.source.name == f"std/{FILES[name]}.yaml"


@pytest.mark.parametrize("file", sorted(set(FILES.values())))
def test_its_definitions_pass_the_checks_of_types(file: str) -> None:
    """They are not run whenever a block of the library is read."""
    path = Path(STD, f"{file}.yaml")
    findings = Findings()
    root = read(Source(path.name, path.read_text()), findings)
    assert isinstance(root.data, dict)
    blocks = root.data["blocks"].value.data
    assert isinstance(blocks, dict)
    reader = Reader(STANDARD.definition, list(FILES), {}, findings, is_own=True)
    for name, entry in blocks.items():
        assert reader.read(name, entry) is not None
    findings.check()


def test_own_blocks_come_first_and_hide_others() -> None:
    basic, conv = (STANDARD.definitions[name] for name in ("basic", "conv"))
    library = STANDARD.under({"basic": conv})
    assert library.definition("basic") is conv
    assert STANDARD.definition("basic") is basic
    assert list(library) == list(STANDARD)
    assert len(library) == len(FILES)
    assert "nothing" not in library
    assert library.get("nothing") is None
    assert isinstance(library, Library)
