"""The library of block types."""

from __future__ import annotations

from archc.blocks import STANDARD, Library
from archc.blocks.library import FILES, STD


def test_every_file_is_listed_with_its_blocks() -> None:
    assert {path.stem for path in STD.glob("*.yaml")} == set(FILES.values())
    assert list(STANDARD.definitions) == list(FILES)
    for name, one in STANDARD.definitions.items():
        assert one.place.source.name == f"std/{FILES[name]}.yaml"


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
