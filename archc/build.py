"""``archc build``: module, counts and figure of many specs, in a folder that archc keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archc.analysis import count
from archc.backends.jsontext import to_text
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.files import OutputError, write
from archc.graph import Network
from archc.spec import Spec

MANIFEST = "manifest.json"


class ConflictError(Exception):
    """Files stand in the way that archc did not write as they are."""

    def __init__(self, reasons: Sequence[str]):
        self.reasons = tuple(reasons)
        super().__init__("\n".join(reasons))


@dataclass(frozen=True)
class Built:
    """What was made of a spec: each file's path below the folder, and whether it changed."""

    network: Network
    files: dict[str, bool]


@dataclass
class Target:
    """A folder of built files with its manifest: each file's path and digest."""

    folder: Path
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Target:
        """The folder as it is; raises `ConflictError` if its manifest is none of archc's."""
        path = folder / MANIFEST
        if not path.exists():
            return cls(folder)
        try:
            files = json.loads(path.read_bytes())["files"]
            return cls(folder, {str(name): str(digest) for name, digest in files.items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConflictError([f"{str(path)!r} is not a manifest of archc's"]) from None
        except OSError as error:
            raise OutputError(path, str(error.strerror).lower()) from error

    def conflict(self, name: str, content: bytes) -> str | None:
        """Why a file may not be overwritten, if it may not."""
        path = self.folder / name
        if not path.exists():
            return None
        try:
            present = path.read_bytes()
        except OSError as error:
            raise OutputError(path, str(error.strerror).lower()) from error
        if present == content or digest(present) == self.digests.get(name):
            return None
        if name in self.digests:
            return f"{str(path)!r} was changed by hand since archc wrote it"
        return f"{str(path)!r} was not written by archc build"

    def put(self, name: str, content: bytes) -> bool:
        """Write a file if it is not so already; say whether it was written."""
        path = self.folder / name
        self.digests[name] = digest(content)
        if path.is_file() and path.read_bytes() == content:
            return False
        write(path, content)
        return True

    def close(self) -> None:
        """Write the manifest."""
        about = "written by archc build; digests are SHA-256"
        data = {"about": about, "files": dict(sorted(self.digests.items()))}
        content = (json.dumps(data, indent=1) + "\n").encode()
        path = self.folder / MANIFEST
        if not path.is_file() or path.read_bytes() != content:
            write(path, content)


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

    Everything is made before anything is written. Raises `SpecError` for a spec that does not
    compile, `ConflictError` for a file changed by hand or not archc's unless ``force``, and
    `OutputError` where a file cannot be written.
    """
    target = Target.open(folder)
    made: dict[str, tuple[Network, bytes]] = {}
    twice = []
    for spec in progress(specs):
        network = compile_spec(spec)
        for name, content in outputs(network, spec.group, figures=figures).items():
            if name in made and made[name][1] != content:
                twice.append(f"two specs would be written to {str(folder / name)!r}")
            made[name] = (network, content)
    conflicts = [target.conflict(name, content) for name, (_, content) in made.items()]
    refused = twice + [reason for reason in conflicts if reason and not force]
    if refused:
        raise ConflictError(refused)
    built: dict[int, Built] = {}
    for name, (network, content) in made.items():
        files = built.setdefault(id(network), Built(network, {})).files
        files[name] = target.put(name, content)
    target.close()
    return list(built.values())


def outputs(network: Network, group: str, *, figures: bool = True) -> dict[str, bytes]:
    """The files of a network, by their paths below a folder."""
    stem = f"{group}/{network.name}" if group else network.name
    files = {
        f"{stem}.py": emit(network).encode(),
        f"{stem}.json": counts_json(network).encode(),
    }
    if figures:
        from archc.backends.figure import draw

        files[f"{stem}.svg"] = draw([network], "svg")
    return files


def counts_json(network: Network) -> str:
    """A network's counts by block, a row a line."""
    return to_text({"source": network.source, **count(network, "block").as_dict()})
