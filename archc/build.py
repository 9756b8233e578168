"""``archc build``: module, counts and figure of many specs, in a folder that archc keeps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archc.analysis import count
from archc.backends.jsontext import to_text
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.files import OutputError, reason, write_all
from archc.graph import Network
from archc.inputs import note_output
from archc.spec import Spec

MANIFEST = "manifest.json"


class ConflictError(Exception):
    """Files stand in the way that archc did not write as they are; ``hint`` says what helps."""

    def __init__(self, reasons: Sequence[str], hint: str):
        self.reasons = tuple(reasons)
        self.hint = hint
        super().__init__("\n".join(reasons))


@dataclass(frozen=True)
class Built:
    """What was made of a spec: each file's path below the folder, and whether it changed."""

    network: Network
    files: dict[str, bool]


@dataclass(frozen=True)
class Target:
    """A folder of built files, and the digests that its manifest has of them."""

    folder: Path
    digests: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path) -> Target:
        """The folder as it is; raises `ConflictError` if its manifest is none of archc's."""
        path = folder / MANIFEST
        content = _present(path)
        if content is None:
            return cls(folder, {})
        try:
            files = json.loads(content)["files"]
            if not all(isinstance(known, str) for known in files.values()):
                raise ValueError("a digest is no text")
            return cls(folder, dict(files))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConflictError(
                [f"{str(path)!r} is not a manifest of archc's"], "choose another folder"
            ) from None

    def conflict(self, name: str, content: bytes) -> str | None:
        """Why a file may not be overwritten, if it may not."""
        path = self.folder / name
        present = _present(path)
        if present in (None, content) or self.owns(name):
            return None
        if name in self.digests:
            return f"{str(path)!r} was changed by hand since archc wrote it"
        return f"{str(path)!r} was not written by archc build"

    def owns(self, name: str) -> bool:
        """Whether a file is there as archc wrote it."""
        present = _present(self.folder / name)
        return present is not None and digest(present) == self.digests.get(name)

    def put(self, contents: Mapping[str, bytes], gone: Iterable[str]) -> set[str]:
        """Write the files that are not so already, remove those that are ``gone``, write the
        manifest; return what was written."""
        changed = {n for n, content in contents.items() if _present(self.folder / n) != content}
        digests = {**self.digests, **{n: digest(content) for n, content in contents.items()}}
        gone = [name for name in gone if self.owns(name)]
        for name in gone:
            del digests[name]
        about = "written by archc build; digests are SHA-256"
        data = {"about": about, "files": dict(sorted(digests.items()))}
        manifest = (json.dumps(data, indent=1) + "\n").encode()
        files = {self.folder / n: content for n, content in contents.items() if n in changed}
        if _present(self.folder / MANIFEST) != manifest:
            files[self.folder / MANIFEST] = manifest
        write_all(files)
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        return changed


def _present(path: Path) -> bytes | None:
    """What a file holds, None where there is none."""
    if path.is_dir():
        raise OutputError(path, "it is a folder")
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(path, reason(error)) from error


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def build(
    specs: Sequence[Spec],
    folder: Path,
    *,
    figures: bool = True,
    force: bool = False,
    progress: Callable[[Iterable[Spec]], Iterable[Spec]] = iter,
) -> list[Built]:
    """Write ``GROUP/NAME.py``, ``.json`` (counts by block) and ``.svg`` for each spec.

    Everything is made, and lies on the disk, before anything that was there is changed. A figure
    that archc drew before and is not asked for now is removed. Raises `SpecError` for a spec that
    does not compile, `ConflictError` for a file changed by hand or not archc's unless ``force``,
    and, whatever ``force`` says, for files whose names differ by case alone; `OutputError` where a
    file cannot be written, or is one that the command has read.
    """
    target = _named_apart(Target.open(folder), specs, figures=figures)
    contents: dict[str, bytes] = {}
    owners: list[tuple[Network, list[str]]] = []
    for spec in progress(specs):
        network = compile_spec(spec)
        made = outputs(network, spec.group, figures=figures)
        if made.items() <= contents.items():
            continue  # the same spec again
        twice = [n for n, content in made.items() if contents.get(n, content) != content]
        if twice:
            path = str(folder / twice[0])
            raise ConflictError(
                [f"two specs would be written to {path!r}"], "give one of them another name"
            )
        contents |= made
        owners.append((network, list(made)))
    refused = [target.conflict(name, content) for name, content in contents.items()]
    if any(refused) and not force:
        reasons = [words for words in refused if words]
        raise ConflictError(reasons, "`--force` overwrites; nothing has been written")
    figure_names = {name.removesuffix(".py") + ".svg" for name in contents if name.endswith(".py")}
    gone = figure_names & target.digests.keys() - contents.keys()
    written = target.put(contents, gone)
    return [Built(network, {n: n in written for n in names}) for network, names in owners]


def outputs(network: Network, group: str, *, figures: bool = True) -> dict[str, bytes]:
    """The files of a network, by their paths below a folder."""
    module, counts, *others = _names(network.name, group, figures=figures)
    files = {module: emit(network).encode(), counts: counts_json(network).encode()}
    for figure in others:
        from archc.backends.figure import draw

        files[figure] = draw([network], "svg")
    return files


def _names(name: str, group: str, *, figures: bool) -> list[str]:
    """The files of a network called ``name``: module, counts, and the figure if it is drawn."""
    stem = f"{group}/{name}" if group else name
    return [f"{stem}.py", f"{stem}.json", *([f"{stem}.svg"] if figures else [])]


def _named_apart(target: Target, specs: Sequence[Spec], *, figures: bool) -> Target:
    """The folder, if what the specs would be written to is nobody else's; compiles nothing.

    Names that differ by case alone are one name: a folder travels, also to systems where they are
    one file. What the manifest knows by such a name, and is gone, is forgotten.
    """
    names = [n for spec in specs for n in _names(spec.header.name, spec.group, figures=figures)]
    for name in names:
        note_output(target.folder / name)
    clashes: dict[str, str] = {}
    for stem, words in _clashes(target, names):
        clashes.setdefault(stem, words)
    if clashes:
        raise ConflictError(list(clashes.values()), "give the spec another name")
    new = {name.casefold() for name in names}
    kept = {
        n: known for n, known in target.digests.items() if n in names or n.casefold() not in new
    }
    return replace(target, digests=kept)


def _clashes(target: Target, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Why names cannot be used beside each other or beside what was built before, each with what
    is common to the files of its spec."""
    folder = target.folder
    before = [name for name in target.digests if os.path.lexists(folder / name)]
    taken = {name.casefold(): name for name in before}
    for name in names:
        path, key = str(folder / name), name.casefold()
        other = taken.setdefault(key, name)
        if key == MANIFEST:
            yield name, f"{path!r} is the manifest's, and a spec would take it"
        elif other != name:
            built = ", which archc built before," if other in before else ""
            clash = f"{path!r} and {str(folder / other)!r}{built} differ by case alone"
            yield name.rpartition(".")[0], f"{clash}, so that some systems take them for one file"


def counts_json(network: Network) -> str:
    """A network's counts by block, a row a line."""
    return to_text({"source": network.source, **count(network, "block").as_dict()})
