"""The specs and recipes below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from archc.dataclassing import dataclass
from archc.errors import reason
from archc.shipped import SUFFIX
from archc.source.diagnostics import Diagnostic, Findings, Source, SpecError
from archc.source.reader import MAX_BYTES, read
from archc.spec.files import STDIN
from archc.text import quote, quote_name

SUFFIXES = (SUFFIX, ".yml")
_KEYS = {"name", "extends", "stages", "blocks", "recipe"}
_TOP = "`name`, `extends`, `stages`, `blocks` or `recipe`"
# In the text of what cannot be read as YAML: it may be a spec with mistakes.
_KEY = re.compile(
    r"""^(?:\{\s*)?(["']?)(?:name|extends|stages|blocks|recipe)\1[ \t]*:""", re.MULTILINE
)


@dataclass
class Found:
    """The files to check, in order, and what is wrong with folders.

    ``skipped`` counts the YAML files below folders that are neither specs nor recipes.
    """

    specs: list[str] = field(default_factory=list)
    faults: list[Diagnostic] = field(default_factory=list)
    skipped: int = 0
    is_of_folders: bool = False

    @property
    def summary(self) -> str:
        """How many files there were, where folders were given; otherwise empty."""
        if not self.is_of_folders:
            return ""
        checked = f"{_files(len(self.specs))} checked"
        return f"{checked}, {self.skipped:,} skipped: no {_TOP}" if self.skipped else checked


def find_specs(names: Iterable[str]) -> Found:
    """Files as they are, and for each folder the specs and recipes below it, each once.

    A folder's own files come before those of its folders, both by name. Hidden files, hidden
    folders and links are left out. A folder without specs is a fault.
    """
    found = Found()
    for name in names:
        if name != STDIN and os.path.isdir(name):
            found.is_of_folders = True
            _search(name, found)
        else:
            found.specs.append(name)
    return found


def _search(folder: str, found: Found) -> None:
    start = Source(quote_name(folder), path=folder).start()
    here, skipped, faults = 0, 0, len(found.faults)
    known = {os.path.realpath(name) for name in found.specs}

    def note(error: OSError) -> None:
        place = Source(quote_name(error.filename), path=error.filename).start()
        what = f"{quote(error.filename)} cannot be read: {reason(error)}"
        found.faults.append(Diagnostic(place, what, code="unreadable-file"))

    for path in _yaml_files(folder, note):
        if os.path.realpath(path) in known:
            here += 1
            continue
        try:
            is_spec = _may_be_spec(path)
        except OSError:
            is_spec = True  # checking it says why it cannot be read
        here += is_spec
        skipped += not is_spec
        if is_spec:
            found.specs.append(path)
    found.skipped += skipped
    if not here and len(found.faults) == faults:
        hint = f"specs are *.yaml and *.yml files with {_TOP} at the top"
        if skipped:
            hint += f"; {_files(skipped)} below it {'has' if skipped == 1 else 'have'} none of them"
        found.faults.append(
            Diagnostic(
                start, f"there is no spec below {quote(folder)}", hint, code="file-not-found"
            )
        )


def _yaml_files(folder: str, note: Callable[[OSError], None]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)
            is_yaml = name.endswith(SUFFIXES) and not name.startswith(".")
            if is_yaml and os.path.isfile(path) and not os.path.islink(path):
                yield path


def _may_be_spec(path: str) -> bool:
    """Whether a file has one of the keys that specs and recipes begin with."""
    with open(path, "rb") as file:
        raw = file.read(MAX_BYTES)
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = raw.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    try:
        root = read(Source(path, text), Findings())
    except SpecError:
        return _KEY.search(text.replace("\r\n", "\n").replace("\r", "\n")) is not None
    return isinstance(root.data, dict) and not _KEYS.isdisjoint(root.data)


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"
