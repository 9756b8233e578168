"""Checkpoints: written whole or not at all, and read only if they are whole.

A checkpoint is three files: the weights, the optimizer's momentum, and, written last, a small
JSON file with the rest and with the digests of all. Without it, the others do not count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from archc.errors import TrainingError
from archc.files import reason, write_all
from archc.weights import WeightsError, read_checkpoint
from archc.weights.files import to_safetensors

KEPT = 2
"""How many checkpoints a run keeps."""

_NAME = re.compile(r"iteration-(\d+)\.json")
_PART = re.compile(r"iteration-\d{7,}(\.momentum)?\.safetensors")


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: weights and momentum by name, and the state of the rest."""

    iteration: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    state: Mapping[str, Any]


class _Damaged(Exception):
    """A checkpoint is not whole."""


def save(folder: Path, saved: Saved, about: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, then forget those before the one before it. Raises `OutputError`.

    ``about`` becomes the metadata of the weights' file.
    """
    path = folder / f"iteration-{saved.iteration:07d}.json"
    parts = (to_safetensors(saved.weights, about), to_safetensors(saved.momentum))
    contents = dict(zip(_parts(path), parts, strict=True))
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

    ``tell`` is told of newer ones that are damaged. Raises `TrainingError` if all are.
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
    """The weights' file of the newest checkpoint that is whole."""
    for _, path in _listed(folder):
        with suppress(_Damaged):
            _read(path)
            return _parts(path)[0]
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
        tensors = [_tensors(path.parent / name, sha) for name, sha in told["sha256"].items()]
        return Saved(told["iteration"], tensors[0], tensors[1], told["state"])
    except OSError as error:
        raise _Damaged(f"{path.name}: {reason(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _Damaged(f"{path.name} was changed after it was written") from None


def _tensors(path: Path, sha256: str) -> Mapping[str, Tensor]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _Damaged(f"{path.name} was changed after it was written")
    try:
        return read_checkpoint(path).tensors
    except WeightsError:
        raise _Damaged(f"{path.name} was changed after it was written") from None


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _parts(path: Path) -> tuple[Path, Path]:
    """The files of weights and momentum beside a checkpoint's JSON file."""
    return path.with_suffix(".safetensors"), path.with_suffix(".momentum.safetensors")


def _remove(path: Path) -> None:
    """Remove a checkpoint, first the file without which the others do not count."""
    for old in (path, *_parts(path)):
        with suppress(OSError):
            old.unlink()
