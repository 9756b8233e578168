"""``archc build``: module, counts and figure of many specs, in a folder that archc keeps."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from archc.analysis import count
from archc.backends.jsontext import to_text
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.dataclassing import dataclass
from archc.errors import ArchcError, OutputError, reason
from archc.expectations import check_expectations
from archc.files import (
    make_folder,
    reclaim_for,
    refuse_special,
    take_steps,
)
from archc.graph import Network
from archc.inputs import note_output
from archc.locks import LockUnavailableError, lock, try_lock
from archc.shown import Shown
from archc.source.diagnostics import Diagnostic, SpecError, merged
from archc.spec import Spec

MANIFEST = "manifest.json"
_BEFORE = "before"
"""The key of the manifest that is there only while files are being replaced."""
_PATIENCE = 1.0
"""Seconds that a build waits for another one before it says so."""


class ConflictError(ArchcError):
    """Files stand in the way that archc did not write as they are, each for a reason."""

    def __init__(self, reasons: Sequence[str], hint: str):
        super().__init__("\n".join(reasons), hint)
        self.reasons = tuple(reasons)

    def _lines(self) -> Iterator[str]:
        """A line for each reason."""
        yield from (f"archc: error: {words}" for words in self.reasons)


@dataclass(frozen=True)
class Built:
    """What was made of a spec: each file's path below the folder, and whether it changed."""

    network: Network
    files: dict[str, bool]


class Builds(Shown):
    """What was written into a folder, one `Built` for each network."""

    def __init__(self, folder: Path, built: Sequence[Built]):
        self.folder, self.built = folder, tuple(built)

    def __len__(self) -> int:
        return len(self.built)

    def __iter__(self) -> Iterator[Built]:
        return iter(self.built)

    @property
    def rows(self) -> list[dict[str, object]]:
        """A row for each file: its network and path, and whether it was written anew."""
        return [
            {"network": one.network.name, "file": str(self.folder / name), "written": written}
            for one in self.built
            for name, written in one.files.items()
        ]


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
            read = json.loads(content)
            files, before = dict(read["files"]), dict(read.get(_BEFORE, {}))
            known = [*files.values(), *(old for old in before.values() if old is not None)]
            if not all(isinstance(one, str) for one in known):
                raise ValueError("a digest is not text")
            return cls(folder, _settled(folder, files, before))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConflictError(
                [f"{str(path)!r} is not an archc manifest"], "choose another folder"
            ) from None

    def conflict(self, name: str, content: bytes) -> str | None:
        """Why a file may not be overwritten, if it may not."""
        path = self.folder / name
        present = _present(path)
        if present in (None, content) or self.owns(name):
            return None
        if name in self.digests:
            return f"{str(path)!r} was changed after archc wrote it"
        return f"{str(path)!r} was not written by archc build"

    def owns(self, name: str) -> bool:
        """Whether a file is there as archc wrote it."""
        present = _present(self.folder / name)
        return present is not None and digest(present) == self.digests.get(name)

    def put(self, contents: Mapping[str, bytes], gone: Iterable[str]) -> set[str]:
        """Write the files that are not so already, remove those that are ``gone``, write the
        manifest; return what was written.

        Before the first file changes, the manifest says of each both what it was and what it will
        be, so that whoever is killed in between leaves no file that archc does not know.
        """
        changed = {n for n, content in contents.items() if _present(self.folder / n) != content}
        digests = {**self.digests, **{n: digest(content) for n, content in contents.items()}}
        gone = [name for name in gone if self.owns(name)]
        for name in gone:
            del digests[name]
        moved = sorted({*changed, *gone})
        before = {n: self.digests[n] if self.owns(n) else None for n in moved}
        manifest, path = _manifest(digests), self.folder / MANIFEST
        steps: list[tuple[Path, bytes | None]] = []
        if moved:
            steps.append((path, _manifest(digests, before)))
        steps += [(self.folder / n, content) for n, content in contents.items() if n in changed]
        steps += [(self.folder / name, None) for name in gone]
        if moved or _present(path) != manifest:
            steps.append((path, manifest))
        take_steps(steps)
        return changed

    def tidy(self, names: Iterable[str]) -> None:
        """Remove what a build that was killed has left of writing files, known ones or these."""
        known = {MANIFEST, *self.digests, *names}
        reclaim_for(Path(os.path.realpath(self.folder / name)) for name in known)


def _manifest(digests: Mapping[str, str], before: Mapping[str, str | None] | None = None) -> bytes:
    """The manifest, while files are being replaced with their digests from before, null for a
    file that archc had not written."""
    about = "written by archc build; digests are SHA-256"
    data: dict[str, object] = {"about": about, "files": dict(sorted(digests.items()))}
    if before is not None:
        data[_BEFORE] = dict(before)
    return (json.dumps(data, indent=1) + "\n").encode()


def _settled(
    folder: Path, files: Mapping[str, str], before: Mapping[str, str | None]
) -> dict[str, str]:
    """The digests of files, some of which a build that was killed has not come to replace."""
    digests = dict(files)
    for name, old in before.items():
        content = _present(folder / name)
        present = None if content is None else digest(content)
        if present is not None and present == files.get(name):
            continue
        digests.pop(name, None)
        if present is not None and old is not None:
            digests[name] = old
    return digests


def _present(path: Path) -> bytes | None:
    """What a file holds, None where there is none."""
    try:
        refuse_special(path)
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
    say: Callable[[str], None] = lambda _: None,
) -> list[Built]:
    """Write ``GROUP/NAME.py``, ``.json`` (counts by block) and ``.svg`` for each spec.

    Everything is made, and lies on the disk, before anything that was there is changed. A figure
    that archc drew before and is not asked for now is removed. Builds into one folder take turns;
    ``say`` is told where this one has to wait, or cannot know of others. Raises `SpecError` for a
    spec that does not compile, and for networks that are not as their specs expect;
    `ConflictError` for a file changed by hand or not archc's unless ``force``, and, whatever
    ``force`` says, for files whose names differ only in case; `OutputError` where a file cannot be
    written, or is one that the command has read.
    """
    # What cannot be built into this folder is refused before anything is compiled.
    _named_apart(Target.open(folder), specs, figures=figures)
    contents, owners = _make(specs, folder, figures, progress)
    with _turn(folder, say):
        target = _named_apart(Target.open(folder), specs, figures=figures)
        target.tidy(contents)
        refused = [target.conflict(name, content) for name, content in contents.items()]
        if any(refused) and not force:
            reasons = [words for words in refused if words]
            raise ConflictError(reasons, "`--force` overwrites; nothing was written")
        stems = {name.removesuffix(".py") for name in contents if name.endswith(".py")}
        gone = {f"{stem}.svg" for stem in stems} & target.digests.keys() - contents.keys()
        written = target.put(contents, gone)
    return [Built(network, {n: n in written for n in names}) for network, names in owners]


def _make(
    specs: Sequence[Spec],
    folder: Path,
    figures: bool,
    progress: Callable[[Iterable[Spec]], Iterable[Spec]],
) -> tuple[dict[str, bytes], list[tuple[Network, list[str]]]]:
    """All files by their paths below the folder, and the networks with the files of each."""
    contents: dict[str, bytes] = {}
    owners: list[tuple[Network, list[str]]] = []
    unmet: list[Diagnostic] = []
    for spec in progress(specs):
        network = compile_spec(spec)
        try:
            check_expectations(spec, network)
        except SpecError as error:
            unmet += error.diagnostics
            continue
        made = outputs(network, spec.group, figures=figures)
        if made.items() <= contents.items():
            continue  # the same spec again
        twice = [n for n, content in made.items() if contents.get(n, content) != content]
        if twice:
            path = str(folder / twice[0])
            raise ConflictError(
                [f"two specs would both be written to {path!r}"], "rename one of them"
            )
        contents |= made
        owners.append((network, list(made)))
    if unmet:
        raise SpecError(merged(unmet))
    return contents, owners


@contextmanager
def _turn(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Have a folder to oneself, waiting for another build to be done with it.

    The lock is on the folder itself, so that no file stands for it, and the kernel takes it back
    however this process ends.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(folder, reason(error)) from error
    descriptor: int | None = None
    try:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            _wait(descriptor, folder, say)
        except (OSError, LockUnavailableError) as error:
            why = reason(error)
            say(
                f"note: {str(folder)!r} cannot be locked ({why}); run only one build into it at a "
                "time"
            )
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _wait(descriptor: int, folder: Path, say: Callable[[str], None]) -> None:
    """Wait for a folder's lock; a wait of more than a second is reported."""
    deadline = time.monotonic() + _PATIENCE
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            say(f"another build is writing to {str(folder)!r}; waiting for it to finish")
            lock(descriptor)
            return
        time.sleep(0.02)


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

    Names that differ only in case are one name: a folder travels, also to systems where they are
    one file. What the manifest knows by such a name, and is gone, is forgotten.
    """
    names = [n for spec in specs for n in _names(spec.header.name, spec.group, figures=figures)]
    for name in names:
        note_output(target.folder / name)
    clashes: dict[str, str] = {}
    for stem, words in _clashes(target, names):
        clashes.setdefault(stem, words)
    if clashes:
        raise ConflictError(list(clashes.values()), "rename the spec")
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
            yield name, f"{path!r} is reserved for the manifest"
        elif other != name:
            built = ", which archc built earlier," if other in before else ""
            clash = f"{path!r} and {str(folder / other)!r}{built} differ only in case"
            yield name.rpartition(".")[0], f"{clash}, and on some systems they are the same file"


def counts_json(network: Network) -> str:
    """A network's counts by block, a row a line."""
    return to_text({"source": network.source, **count(network, "block").as_dict()})
