"""The library of block types.

Whoever reads a spec is handed a library and looks its block types up in it; none is known to the
process as a whole. `STANDARD` has those that archc ships, each read from ``std/`` when it is first
asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property

from archc.blocks.definition import Definition, Stage
from archc.blocks.reading import Reader
from archc.source.diagnostics import Findings, Source
from archc.source.reader import read

STD = os.path.join(os.path.dirname(__file__), "std")
FILES = {
    "basic": "basic",
    "basic_conv": "basic_conv",
    "bottleneck": "bottleneck",
    "conv": "conv",
    "conv_norm": "conv_norm",
    "inverted_residual": "inverted_residual",
    "mbconv": "mbconv",
    "fused_mbconv": "mbconv",
    "squeeze": "squeeze",
    "squeeze_excitation": "squeeze_excitation",
}
"""The file of each block type that archc ships; a spec needs a few of them."""


class Library(Mapping[str, type[Stage]]):
    """Block types by name, in order: the model of a stage of each.

    ``own`` are those that come first, and hide those of the same name in ``beneath``.
    """

    def __init__(
        self, own: Mapping[str, Definition] | None = None, beneath: Library | None = None
    ) -> None:
        self.own = own or {}
        self._beneath = beneath

    def definition(self, name: str) -> Definition | None:
        """The definition of this name, if there is one."""
        if name in self.own or self._beneath is None:
            return self.own.get(name)
        return self._beneath.definition(name)

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """All definitions by name."""
        found = {name: self.definition(name) for name in self}
        return {name: one for name, one in found.items() if one is not None}

    def __getitem__(self, name: str) -> type[Stage]:
        found = self.definition(name)
        if found is None:
            raise KeyError(name)
        return found.stage

    def __contains__(self, name: object) -> bool:
        return name in self.own or (self._beneath is not None and name in self._beneath)

    def __iter__(self) -> Iterator[str]:
        beneath = () if self._beneath is None else self._beneath
        return iter(dict.fromkeys([*beneath, *self.own]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def under(self, definitions: Mapping[str, Definition]) -> Library:
        """A library in which these come first, and hide those of the same name."""
        return Library(definitions, self) if definitions else self

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that a stage of some type has."""
        names = [name for stage in self.values() for name in stage.model_fields]
        return tuple(dict.fromkeys(names))


class _Standard(Library):
    """The block types that archc ships."""

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[str, Definition] = {}

    def definition(self, name: str) -> Definition | None:
        """The definition of this name, if there is one."""
        if name in FILES and name not in self._read:
            self._read |= self._of_file(FILES[name])
        return self._read.get(name)

    def _of_file(self, file: str) -> dict[str, Definition]:
        findings = Findings()
        with open(os.path.join(STD, f"{file}.yaml"), encoding="utf-8") as opened:
            source = Source(f"std/{file}.yaml", opened.read(), kind="block file")
        root = read(source, findings)
        assert isinstance(root.data, dict)
        blocks = root.data["blocks"].value.data
        assert isinstance(blocks, dict)
        found: dict[str, Definition] = {}

        def lookup(name: str) -> Definition | None:
            return found[name] if name in found or name in blocks else self.definition(name)

        reader = Reader(lookup, list(FILES), {}, findings, is_own=False, is_library=True)
        for name, entry in blocks.items():
            made = reader.read(name, entry)
            findings.check()
            assert made is not None
            found[name] = made
        return found

    def __contains__(self, name: object) -> bool:
        return name in FILES

    def __iter__(self) -> Iterator[str]:
        return iter(FILES)


STANDARD = _Standard()
"""The block types that archc ships."""
