"""Checkpoints: written whole or not at all, and read only if they are whole.

A checkpoint is three files: the weights, the optimizer's momentum, and, written last, a small
JSON file with the rest and with the digests of all. Without it, the others do not count. Where
weights are averaged, a fourth one has their averages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

import archc
from archc.dataclassing import dataclass
from archc.errors import TrainingError, reason
from archc.files import write_all

KEPT = 2
"""How many checkpoints a run keeps."""

_NAME = re.compile(r"iteration-(\d+)\.json")
_WEIGHTS, _MOMENTUM, _AVERAGED = (
    ".safetensors",
    ".momentum.safetensors",
    ".averaged.safetensors",
)
_PART = re.compile(r"iteration-\d{7,}(\.momentum|\.averaged)?\.safetensors")


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: weights and momentum by name, and the state of the rest.

    ``averaged`` are the averages of the weights, where a recipe asks for some.
    """

    iteration: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    state: Mapping[str, Any]
    averaged: Mapping[str, Tensor] | None = None

    @property
    def result(self) -> Mapping[str, Tensor]:
        """What is tested and kept: the averages, or else the weights."""
        return self.weights if self.averaged is None else self.averaged


class _Damaged(Exception):
    """A checkpoint is not whole."""


def save(folder: Path, saved: Saved, about: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, then forget those before the one before it. Raises `OutputError`.

    ``about`` becomes the metadata of the weights' file.
    """
    path = folder / f"iteration-{saved.iteration:07d}.json"
    contents = {
        path.with_suffix(_WEIGHTS): archc.to_safetensors(saved.weights, about),
        path.with_suffix(_MOMENTUM): archc.to_safetensors(saved.momentum),
    }
    if saved.averaged is not None:
        contents[path.with_suffix(_AVERAGED)] = archc.to_safetensors(saved.averaged, about)
    digests = {part.name: hashlib.sha256(raw).hexdigest() for part, raw in contents.items()}
    told: dict[str, Any] = {
        "iteration": saved.iteration,
        "state": dict(saved.state),
        "sha256": digests,
    }
    told["check"] = _digest(told)
    text = json.dumps(told, indent=1) + "\n"
    write_all({**contents, path: text.encode()})
    for _, old in list(_listed(folder))[KEPT:]:
        _remove(old)


def newest(folder: Path, tell: Callable[[str], None]) -> Saved | None:
    """The newest checkpoint that is whole; None where there is none yet.

    ``tell`` gets a note on newer ones that are damaged. Raises `TrainingError` if all are.
    """
    damaged: list[str] = []
    for iteration, path in _listed(folder):
        try:
            saved = _read(path)
        except _Damaged as error:
            damaged.append(f"the checkpoint of iteration {iteration:,} is damaged ({error})")
            continue
        for words in damaged:
            tell(f"{words}; continuing from iteration {iteration:,}")
        return saved
    if damaged:
        raise TrainingError(
            f"{str(folder)!r} has no intact checkpoint: " + "; ".join(damaged),
            "start a new run in another folder",
        )
    return None


def newest_weights(folder: Path) -> Path | None:
    """The file of the weights, or of their averages, of the newest checkpoint that is whole."""
    for _, path in _listed(folder):
        with suppress(_Damaged):
            averaged = _read(path).averaged is not None
            return path.with_suffix(_AVERAGED if averaged else _WEIGHTS)
    return None


def sweep(folder: Path) -> None:
    """Remove parts of checkpoints that a process that was killed did not come to finish."""
    whole = {part for _, path in _listed(folder) for part in (path, *_parts(path))}
    for path in folder.glob("*.safetensors"):
        if _PART.fullmatch(path.name) and path not in whole:
            with suppress(OSError):
                path.unlink()


def _listed(folder: Path) -> Iterator[tuple[int, Path]]:
    """The iterations of the checkpoints and their files, newest first."""
    named = [(_NAME.fullmatch(path.name), path) for path in folder.glob("*.json")]
    yield from sorted(((int(name[1]), path) for name, path in named if name), reverse=True)


def _read(path: Path) -> Saved:
    try:
        told = json.loads(path.read_text())
        check = told.pop("check")
        if check != _digest(told):
            raise _Damaged(f"{path.name} was changed after it was written")
        tensors = {
            name.removeprefix(path.stem): _tensors(path.parent / name, sha)
            for name, sha in told["sha256"].items()
        }
        return Saved(
            told["iteration"],
            tensors[_WEIGHTS],
            tensors[_MOMENTUM],
            told["state"],
            tensors.get(_AVERAGED),
        )
    except OSError as error:
        raise _Damaged(f"{path.name}: {reason(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _Damaged(f"{path.name} was changed after it was written") from None


def _tensors(path: Path, sha256: str) -> Mapping[str, Tensor]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _Damaged(f"{path.name} was changed after it was written")
    try:
        return archc.read_weights(path).tensors
    except archc.WeightsError:
        raise _Damaged(f"{path.name} was changed after it was written") from None


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _parts(path: Path) -> list[Path]:
    """The files of tensors that may stand beside a checkpoint's JSON file."""
    return [path.with_suffix(suffix) for suffix in (_WEIGHTS, _MOMENTUM, _AVERAGED)]


def _remove(path: Path) -> None:
    """Remove a checkpoint, first the file without which the others do not count."""
    for old in (path, *_parts(path)):
        with suppress(OSError):
            old.unlink()
