"""A run as a folder: what was trained, how, on what, and what came of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from archc import __version__
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.errors import TrainingError
from archc.files import OutputError, make_folder, reason, write, write_all
from archc.graph import Network
from archc.recipes import Recipe, load_recipe
from archc.spec import Spec, load_spec
from archc.spec.show import show
from archc.training.checkpoints import newest_weights
from archc.training.metrics import cut as cut_rows
from archc.weights import read_checkpoint
from archc.weights.files import to_safetensors

RECORD = "run.json"
_LOCK = ".lock"
_FILES = ("spec.yaml", "module.py", "recipe.yaml", RECORD)


@dataclass(frozen=True)
class Run:
    """The paths of a run's files."""

    folder: Path

    @property
    def record(self) -> Path:
        """Versions, seed and digests: the file without which the folder is no run."""
        return self.folder / RECORD

    @property
    def metrics(self) -> Path:
        """What was measured, as CSV."""
        return self.folder / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def curves(self) -> Path:
        """The training and test error as a picture."""
        return self.folder / "curves.svg"

    @property
    def weights(self) -> Path:
        """The weights at the end."""
        return self.folder / "weights.safetensors"

    @property
    def pixel_mean(self) -> Path:
        """What is subtracted of pixels."""
        return self.folder / "pixel-mean.safetensors"

    @property
    def title(self) -> str:
        """What figures call the run's network."""
        return load_spec(str(self.folder / "spec.yaml")).header.name

    def is_begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.record.is_file()

    def read_mean(self) -> Tensor | None:
        """What is subtracted of pixels; None where it has not been computed yet."""
        if not self.pixel_mean.is_file():
            return None
        return read_checkpoint(self.pixel_mean).tensors.get("mean")

    def write_mean(self, mean: Tensor) -> None:
        """Keep what is subtracted of pixels."""
        write(self.pixel_mean, to_safetensors({"mean": mean}))

    def trained_weights(self) -> Path:
        """The file of the weights at the end, or of the newest whole checkpoint.

        Raises `TrainingError` where there is none.
        """
        found = self.weights if self.weights.is_file() else newest_weights(self.checkpoints)
        if found is None:
            raise TrainingError(f"{str(self.folder)!r} has no whole checkpoint yet")
        return found

    def network(self) -> Network:
        """The network that was trained."""
        return compile_spec(load_spec(str(self.folder / "spec.yaml")))

    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        return load_recipe(str(self.folder / "recipe.yaml"))


def open_run(folder: Path) -> Run:
    """The run in a folder. Raises `TrainingError` where there is none."""
    run = Run(folder)
    if not run.is_begun():
        why = "has no run.json" if folder.is_dir() else "is no folder"
        raise TrainingError(f"{str(folder)!r} is no run: it {why}")
    return run


def begin(run: Run, spec: Spec, recipe: Recipe, seed: int, how: Mapping[str, Any]) -> None:
    """Write what is known of a run before it begins, or nothing. Raises `OutputError`."""
    record = {
        "spec": spec.label,
        "spec_sha256": spec.digest,
        "recipe": recipe.name,
        "recipe_sha256": recipe.digest,
        "seed": seed,
        "sittings": [_sitting(0, how)],
    }
    contents = (show(spec), emit(compile_spec(spec)), recipe.as_yaml(), _text(record))
    write_all(
        {run.folder / name: text.encode() for name, text in zip(_FILES, contents, strict=True)}
    )


def go_on(run: Run, spec: Spec, recipe: Recipe, seed: int | None) -> int:
    """Check that a run is one of this spec and recipe; return its seed. Raises `TrainingError`."""
    record = _read(run)
    for what, digest in (("spec", spec.digest), ("recipe", recipe.digest)):
        if record[f"{what}_sha256"] != digest:
            raise TrainingError(
                f"{str(run.folder)!r} holds a run of another {what}, `{record[what]}`",
                "choose another folder with --out",
            )
    if seed is not None and seed != record["seed"]:
        raise TrainingError(f"{str(run.folder)!r} was begun with the seed {record['seed']}")
    return int(record["seed"])


def cut(run: Run, iteration: int) -> None:
    """Forget what was measured after an iteration. Raises `OutputError`."""
    if run.metrics.is_file():
        cut_rows(run.metrics, iteration)


def note_sitting(run: Run, iteration: int, how: Mapping[str, Any]) -> None:
    """Note that a run goes on, from which iteration and with what."""
    record = _read(run)
    record["sittings"].append(_sitting(iteration, how))
    write(run.record, _text(record).encode())


def check_new(run: Run) -> None:
    """Refuse a folder in which something else would be overwritten."""
    try:
        found = sorted(os.listdir(run.folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(run.folder, reason(error)) from None
    if run.is_begun():
        raise TrainingError(f"{str(run.folder)!r} holds a run already", "--resume goes on with it")
    foreign = [name for name in found if name not in _FILES and not name.startswith(".")]
    if foreign:
        raise TrainingError(
            f"{str(run.folder)!r} is not empty: it holds {foreign[0]!r}",
            "choose another folder with --out",
        )


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Keep other processes from training in the same folder meanwhile.

    A folder in which nothing has come to stand is taken away again.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    try:
        make_folder(run.folder)
        lock = (run.folder / _LOCK).open("w")
    except OSError as error:
        raise OutputError(run.folder, reason(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(
                f"another process is training in {str(run.folder)!r}", "wait for it, or end it"
            ) from None
        try:
            yield
        finally:
            with suppress(OSError):
                (run.folder / _LOCK).unlink()
                run.folder.rmdir()


def _read(run: Run) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(run.record.read_text())
        if not {"spec_sha256", "recipe_sha256", "seed", "sittings"} <= record.keys():
            raise ValueError
    except (OSError, ValueError, AttributeError):
        raise TrainingError(f"{str(run.record)!r} is damaged") from None
    return record


def _sitting(iteration: int, how: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "from_iteration": iteration,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **how,
        "versions": {
            "archc": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "lightning-fabric", "safetensors")},
        },
    }


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1) + "\n"
