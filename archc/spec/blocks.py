"""The blocks that a spec may be made of: its own, those that it extends, those of the files it
uses, and the library's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import field

from archc.blocks.definition import Definition
from archc.blocks.library import Library
from archc.blocks.possible import Possible
from archc.blocks.reading import Reader
from archc.blocks.rows import ANY
from archc.dataclassing import dataclass
from archc.shipped import shipped_blocks
from archc.source.ancestry import MAX_ANCESTORS, read_mapping
from archc.source.diagnostics import Findings, Note, Place, Source, SpecError
from archc.source.files import identity, open_text
from archc.source.reader import Entry, Value, quoted
from archc.source.validate import code_of, describe, is_nothing, tainted, unknown
from archc.text import quote, quote_name

KIND = "block file"
_EXAMPLE = "for example `blocks: {my_block: {layers: [...]}}`"
KEYS_OF_FILE = ("description", "use", "blocks")
_OF_NETWORKS = {"name", "extends", "stem", "stages", "head", "defaults", "with", "recipe"}
"""Keys that make a file with `blocks` a spec, or a recipe, whatever else is wrong with it."""


@dataclass(frozen=True)
class Written:
    """What one file says of blocks: those it uses from other files, and its own."""

    use: Value | None
    blocks: Mapping[str, Entry]


@dataclass
class Blocks:
    """Puts the blocks of a spec together, file by file, eldest ancestor first."""

    library: Library
    variables: Mapping[str, frozenset[str]]
    findings: Findings
    possible: Mapping[str, Possible] = field(default_factory=dict)
    known: dict[str, Definition] = field(default_factory=dict)
    files: dict[object, dict[str, Definition]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def add(self, written: Written) -> None:
        """The blocks of a spec's file; they may use those of the files that it names, and all that
        came before."""
        if written.use is not None:
            for used in self._used(written.use, ()):
                # What a spec extends is nearer to it than what it uses.
                self.known = {**used, **self.known}
        own = self._read(written.blocks, self.known, is_own=True)
        self.known |= own

    def all(self) -> Library:
        """The library with all of these."""
        return self.library.under(self.known)

    def file(self, source: Source, chain: tuple[Source, ...] = ()) -> dict[str, Definition]:
        """The blocks of a file of blocks, and of those that it uses."""
        key = identity(source)
        if key in self.files:
            return self.files[key]
        found = read_mapping(source, self.findings, "a block file begins with `blocks:`")
        self.files[key] = {}
        if found is None or self._is_spec(found[0], source):
            self.broken.add(ANY)
            return {}
        data, place = found
        for name, entry in data.items():
            if name not in KEYS_OF_FILE:
                unknown(name, entry.key, "a block file has no key", KEYS_OF_FILE, self.findings)
        if "blocks" not in data and "use" not in data:
            self.findings.error(place, "a block file needs `blocks`", code="missing-key")
        around: dict[str, Definition] = {}
        if "use" in data:
            for used in self._used(data["use"].value, (*chain, source)):
                around |= used
        entries = blocks_of(data.get("blocks"), self.findings)
        if "blocks" in data and data["blocks"].value.data == {} and "use" not in data:
            self.findings.error(
                data["blocks"].key, "`blocks` has no blocks", _EXAMPLE, code="no-layers"
            )
        self.files[key] = {**around, **self._read(entries, around, is_own=False)}
        return self.files[key]

    def _is_spec(self, data: Mapping[str, Entry], source: Source) -> bool:
        """Whether a file that is used is a spec or a recipe, which then is noted."""
        kinds = {"recipe": {"recipe"}, "spec": {"extends", "stem", "stages", "head", "defaults"}}
        kind = next((kind for kind, keys in kinds.items() if keys & data.keys()), None)
        if kind is None:
            return False
        hint = "a block file has only `blocks`, `use` and `description`"
        if "blocks" in data:
            hint = "move its `blocks` to a file of their own, or `extends` it"
        place = source.start() if source.via is None else source.via
        message = f"{quote_name(source.name)} is a {kind}, not a block file"
        self.findings.error(place, message, hint, code="not-a-spec")
        return True

    def _used(self, value: Value, chain: tuple[Source, ...]) -> list[dict[str, Definition]]:
        """The blocks of each file that a ``use`` names."""
        if not isinstance(value.data, tuple):
            self.broken.add(ANY)
            if not tainted(value):
                what = (
                    "has no value"
                    if is_nothing(value)
                    else f"is a list of files, not {describe(value)}"
                )
                self.findings.error(
                    value.place,
                    f"`use` {what}",
                    "for example `use: [blocks.yaml]`",
                    code=code_of(value),
                )
            return []
        found = []
        for one in value.data:
            if not isinstance(one.data, str) or not one.data:
                self.broken.add(ANY)
                if not tainted(one):
                    message = f"`use` takes the paths of files, not {describe(one)}"
                    self.findings.error(one.place, message, code="wrong-type")
                continue
            source = self._open(one.data, one.place, chain)
            if source is None:
                self.broken.add(ANY)
            else:
                found.append(self.file(source, chain))
        return found

    def _open(self, path: str, place: Place, chain: tuple[Source, ...]) -> Source | None:
        beside = place.source
        folder = beside.base
        name = os.path.normpath(os.path.join(beside.folder, os.path.dirname(beside.name), path))
        file = os.path.normpath(os.path.join(folder, path))
        shipped = shipped_blocks(path)
        if shipped is not None and not os.path.lexists(file):
            file, name = shipped, path
        try:
            source = open_text(
                file,
                KIND,
                name=name,
                via=place,
                written=path,
                keys=("blocks",),
                all_keys=KEYS_OF_FILE,
            )
        except SpecError as error:
            self.findings.add(error)
            return None
        if identity(source) in map(identity, chain):
            way = "" if identity(source) == identity(chain[-1]) else ", through this line"
            self.findings.error(place, f"{quote(path)} uses itself{way}", code="circular-extends")
            return None
        if len(chain) > MAX_ANCESTORS:
            self.findings.error(
                place,
                f"files may use each other at most {MAX_ANCESTORS} deep",
                code="limit-exceeded",
            )
            return None
        return source

    def _read(
        self, entries: Mapping[str, Entry], around: Mapping[str, Definition], *, is_own: bool
    ) -> dict[str, Definition]:
        """The valid definitions of a file, in order; each may use those before it."""
        found: dict[str, Definition] = {}

        def lookup(name: str) -> Definition | None:
            return found.get(name) or around.get(name) or self.library.definition(name)

        names = dict.fromkeys([*entries, *around, *self.library])
        reader = Reader(lookup, list(names), self.variables, self.findings, is_own)
        reader.broken = self.broken
        reader.entries = entries
        reader.possible = self.possible
        for name, entry in entries.items():
            made = reader.read(name, entry)
            if made is None:
                self.broken.add(name)
                continue
            hidden = around.get(name) or self.library.definition(name)
            if hidden is not None and not _may_hide(made, hidden, entry):
                note = [Note(hidden.place, f"the other `{name}` is written here")]
                message = f"there is a block `{name}` already, and this is a different one"
                hint = "give it another name, or say `replaces: true`"
                self.findings.error(entry.key, message, hint, note, code="duplicate-name")
            found[name] = made
        return found


def _may_hide(made: Definition, hidden: Definition, entry: Entry) -> bool:
    data = entry.value.data
    replaces = isinstance(data, dict) and "replaces" in data and data["replaces"].value.data is True
    return replaces or made.source == hidden.source


def blocks_of(entry: Entry | None, findings: Findings) -> Mapping[str, Entry]:
    """The blocks of a file; nothing where they are no mapping, which is noted."""
    if entry is None:
        return {}
    if isinstance(entry.value.data, dict):
        return entry.value.data
    if not tainted(entry.value):
        what = (
            "has no value"
            if is_nothing(entry.value)
            else f"must be a mapping, not {describe(entry.value)}"
        )
        findings.error(entry.value.place, f"`blocks` {what}", _EXAMPLE, code=code_of(entry.value))
    return {}


def is_block_file(data: Mapping[str, Entry]) -> bool:
    """Whether the keys of a file are those of a file of blocks, which has no name and no layers."""
    if "blocks" not in data:
        return "use" in data and data.keys() <= set(KEYS_OF_FILE)
    return not _OF_NETWORKS & data.keys()


def complain_of_block_file(data: Mapping[str, Entry], source: Source, findings: Findings) -> None:
    """Note that a file of blocks is given where a spec is wanted."""
    key = data["blocks" if "blocks" in data else "use"].key
    file = quote_name(os.path.basename(source.path)) if source.path else "FILE"
    file = file if re.fullmatch(r"[\w.-]+", file) else quoted(file)
    hint = f"a spec gets these blocks with `use: [{file}]`"
    findings.error(key, "this is a file of blocks, not a spec", hint, code="not-a-spec")


def read_block_file(source: Source, library: Library) -> dict[str, Definition]:
    """The blocks of a file by name, those that it uses from other files among them.

    They are checked by themselves, so they may read no variables. Raises `SpecError` with every
    mistake.
    """
    findings = Findings()
    source.kind = KIND
    found = Blocks(library, {}, findings).file(source)
    findings.check()
    return found
