"""A run as a folder: what was trained, how, on what, and what came of it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor

import archc
from archc import __version__
from archc.dataclassing import dataclass
from archc.errors import OutputError, TrainingError, reason
from archc.files import make_folder, refuse_special, write_all
from archc.inputs import note_input, note_output
from archc.locks import LockUnavailableError, try_lock
from archc.recipes import Recipe, load_recipe
from archc.source.caller import said
from archc.source.diagnostics import SpecError
from archc.temporaries import reclaim
from archc.text import listing, quote
from archc.training.checkpoints import newest_weights, sweep
from archc.training.fine_tuning import Start, frozen_keys
from archc.training.metrics import cut

RECORD = "run.json"
_LOCK = ".lock"
_MEAN = "pixel-mean.safetensors"
_FILES = ("spec.yaml", "module.py", "recipe.yaml", _MEAN, RECORD)


class _Record(BaseModel, extra="forbid", strict=True, frozen=True, allow_inf_nan=False):
    """What run.json holds; ``sittings`` say when and with what the run was begun and went on.

    ``start`` says which weights it began with, ``freeze`` what is not trained; both are left out
    where there are none. ``check`` is the SHA-256 of all the rest, `seed` included.
    """

    spec: str
    spec_sha256: str
    recipe: str
    recipe_sha256: str
    pixel_mean_sha256: str
    seed: int
    sittings: list[dict[str, Any]]
    start: dict[str, Any] | None = None
    freeze: tuple[str, ...] = ()
    check: str = ""

    def text(self) -> bytes:
        """The file's content."""
        data = {**self._data(), "check": self._digest()}
        return (json.dumps(data, indent=1) + "\n").encode()

    def last_version(self, name: str) -> str:
        """The version of a package that the run was last trained with."""
        return str(self.sittings[-1].get("versions", {}).get(name, "of then"))

    def is_intact(self) -> bool:
        """Whether everything is as it was written."""
        return self.check == self._digest()

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self._data(), sort_keys=True).encode()).hexdigest()

    def _data(self) -> dict[str, Any]:
        unset = {name for name in ("start", "freeze") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude={"check", *unset})


@dataclass(frozen=True)
class Beginning:
    """What a run begins with beside its spec and recipe, as it is given: nothing is what the run
    has where it goes on."""

    seed: int | None
    start: Start | None = None
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class Begun:
    """What a run began with."""

    seed: int
    has_start: bool
    freeze: tuple[str, ...]


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
        return self.folder / _MEAN

    @property
    def title(self) -> str:
        """What figures call the run's network."""
        network = self.network()
        return network.title or network.name

    def is_begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.record.is_file()

    def read_mean(self) -> Tensor | None:
        """What is subtracted of pixels; None where the file is missing or not as it was written."""
        try:
            content = self.pixel_mean.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != _read(self).pixel_mean_sha256:
            return None
        return archc.read_weights(self.pixel_mean).tensors["mean"]

    def trained_weights(self) -> Path:
        """The file of the weights at the end, or of the newest whole checkpoint.

        Raises `TrainingError` where there is none.
        """
        found = self.weights if self.weights.is_file() else newest_weights(self.checkpoints)
        if found is None:
            raise TrainingError(f"{str(self.folder)!r} has no intact checkpoint yet")
        return found

    def network(self) -> archc.Network:
        """The network that was trained."""
        return archc.read(self.folder / "spec.yaml").network

    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        return load_recipe(str(self.folder / "recipe.yaml"))


def open_run(folder: Path) -> Run:
    """The run in a folder. Raises `TrainingError` where there is none."""
    run = Run(folder)
    note_input(run.record)
    if not run.is_begun():
        why = "run.json is missing" if folder.is_dir() else "it is not a folder"
        raise TrainingError(f"{str(folder)!r} is not a run folder: {why}")
    return run


def begin(
    run: Run,
    design: archc.Design,
    recipe: Recipe,
    mean: Tensor,
    beginning: Beginning,
    how: Mapping[str, Any],
) -> None:
    """Write what is known of a run before it begins, or nothing. Raises `OutputError`."""
    files = _files(run, design, recipe, mean)
    record = _Record(
        spec=design.network.source,
        spec_sha256=design.network.digest,
        recipe=recipe.name,
        recipe_sha256=recipe.digest,
        pixel_mean_sha256=hashlib.sha256(files[run.pixel_mean]).hexdigest(),
        seed=beginning.seed or 0,
        sittings=[_sitting(0, how)],
        start=beginning.start.as_record() if beginning.start else None,
        freeze=beginning.freeze,
    )
    write_all({**files, run.record: record.text()})


def check_same(
    run: Run,
    design: archc.Design,
    recipe: Recipe,
    given: Beginning,
    say: Callable[[str], None],
) -> Begun:
    """Check that a run is one of this spec and recipe, and began with what is given; return what it
    began with. Raises `TrainingError`.

    A newer archc may know more keys, or write another module for the same spec. Where the module
    computes the same, and the recipe's files say the same, ``say`` gets a note and the run goes on.
    """
    record = _read(run)
    is_same = _is_same_module(run, design)
    if record.spec_sha256 != design.network.digest:
        if not (is_same and _trains_alike(run, design)):
            raise TrainingError(
                f"{str(run.folder)!r} holds a run of a different spec, `{record.spec}`",
                _elsewhere(),
            )
        say("note: the spec has changed since the run began, but its module is the same")
    elif not is_same:
        raise TrainingError(
            f"{str(run.folder)!r} cannot be continued: this archc emits a different module for "
            f"`{record.spec}` than the run began with",
            f"continue it with archc {record.last_version('archc')}, or {_elsewhere()}",
        )
    if record.recipe_sha256 != recipe.digest and not _is_same_recipe(run, recipe):
        raise TrainingError(
            f"{str(run.folder)!r} holds a run of a different recipe: {_difference(run, recipe)}",
            _elsewhere(),
        )
    _check_beginning(run, record, design.network, given)
    _tell_of_versions(record, say)
    return Begun(record.seed, record.start is not None, record.freeze)


def _check_beginning(run: Run, record: _Record, network: archc.Network, given: Beginning) -> None:
    """Refuse another seed, other weights to begin with, and other parts that are frozen."""
    if given.seed is not None and given.seed != record.seed:
        raise TrainingError(f"{str(run.folder)!r} was started with seed {record.seed}")
    if given.start is not None and record.start is None:
        raise TrainingError(f"{str(run.folder)!r} was started without weights", _elsewhere())
    begun = record.start or {}
    if given.start is not None and given.start.digest != begun.get("sha256"):
        file = quote(str(begun.get("file", "")), 200)
        raise TrainingError(
            f"{str(run.folder)!r} was started with other weights: those of {file}, as it was then",
            _elsewhere(),
        )
    if given.freeze and frozen_keys(network, given.freeze) != frozen_keys(network, record.freeze):
        patterns = listing([quote(pattern, 200) for pattern in record.freeze], "and")
        was = f"with {patterns} frozen" if record.freeze else "with nothing frozen"
        raise TrainingError(f"{str(run.folder)!r} was started {was}", _elsewhere())


def _is_same_module(run: Run, design: archc.Design) -> bool:
    """Whether the module that a run began with is, but for words, what the spec gives now.

    Where its file is lost there is nothing to compare with: the digests decide.
    """
    try:
        before = (run.folder / "module.py").read_text(encoding="utf-8")
        return _code_of(before) == _code_of(archc.emit(design.network))
    except (OSError, ValueError, SyntaxError):
        return _read(run).spec_sha256 == design.network.digest


def _trains_alike(run: Run, design: archc.Design) -> bool:
    """Whether a run's own spec takes images of the size that the spec takes now, and weighs the
    losses of side heads alike: modules are the same for many."""
    try:
        before = run.network()
    except SpecError:
        return False
    now = design.network
    return before.input_shape == now.input_shape and before.sides == now.sides


def _code_of(source: str) -> str:
    """A module's code without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    return ast.dump(tree)


def _is_same_recipe(run: Run, recipe: Recipe) -> bool:
    """Whether a run's own recipe, as it is read now, is the recipe."""
    try:
        return run.recipe().digest == recipe.digest
    except SpecError:
        return False


def _tell_of_versions(record: _Record, say: Callable[[str], None]) -> None:
    """Say which versions are not those of the last sitting: the weights may differ in bits."""
    before, now = record.sittings[-1].get("versions", {}), _versions()
    changed = [f"{name} {before[name]}" for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        new = [f"{name} {now[name]}" for name in now if before.get(name, now[name]) != now[name]]
        say(
            f"note: this run was last trained with {listing(changed, 'and')}; it continues with "
            f"{listing(new, 'and')}"
        )


def _elsewhere() -> str:
    return f"choose another folder with {said('--out', '`out`')}"


def _difference(run: Run, recipe: Recipe) -> str:
    """Of which keys a run's recipe says something else."""
    try:
        theirs = run.recipe().as_dict()
    except SpecError:
        return f"`{_read(run).recipe}`"
    ours = recipe.as_dict()
    keys = [f"`{key}`" for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return f"{listing(keys, 'and')} {'is' if len(keys) == 1 else 'are'} not what it was"


def go_on(
    run: Run,
    design: archc.Design,
    recipe: Recipe,
    mean: Tensor,
    iteration: int,
    how: Mapping[str, Any],
) -> None:
    """Bring a run's folder to where it goes on: what was measured later is removed.

    Raises `TrainingError` if the images are others, `OutputError`.
    """
    files, record = _files(run, design, recipe, mean), _read(run)
    if hashlib.sha256(files[run.pixel_mean]).hexdigest() != record.pixel_mean_sha256:
        raise TrainingError(
            f"{str(run.folder)!r} was started with different images: their mean differs"
        )
    if run.metrics.is_file():
        cut(run.metrics, iteration)
    changes = {
        "spec_sha256": design.network.digest,
        "recipe_sha256": recipe.digest,
        "sittings": [*record.sittings, _sitting(iteration, how)],
    }
    write_all({**files, run.record: record.model_copy(update=changes).text()})


def _files(run: Run, design: archc.Design, recipe: Recipe, mean: Tensor) -> dict[Path, bytes]:
    """What a run is, as files."""
    return {
        run.folder / "spec.yaml": design.text.encode(),
        run.folder / "module.py": archc.emit(design.network).encode(),
        run.folder / "recipe.yaml": recipe.as_yaml().encode(),
        run.pixel_mean: archc.to_safetensors({"mean": mean}),
    }


def tidy(run: Run) -> None:
    """Remove what a process that was killed had not finished writing, and nothing else."""
    sweep(run.checkpoints)
    for folder in (run.folder, run.checkpoints):
        reclaim(folder)


def check_new(run: Run) -> None:
    """Refuse a folder in which something else would be overwritten."""
    try:
        found = sorted(os.listdir(run.folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(run.folder, reason(error)) from None
    if run.is_begun():
        hint = f"{said('--resume', 'resume=True')} continues it"
        raise TrainingError(f"{str(run.folder)!r} already holds a run", hint)
    for name in _FILES:
        note_output(run.folder / name)
    foreign = [name for name in found if name not in _FILES and not name.startswith(".")]
    if run.checkpoints.name in foreign:
        raise TrainingError(
            f"{str(run.folder)!r} holds a run whose run.json is missing",
            f"its weights are in checkpoints/; use {said('--out', 'another `out`')} for a new run",
        )
    if foreign:
        what = f"{str(run.folder)!r} is not empty: it holds {foreign[0]!r}"
        raise TrainingError(what, _elsewhere())


@contextmanager
def alone(run: Run, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from training in the same folder meanwhile.

    A folder that is still empty at the end is removed. ``say`` gets a note where others
    cannot be kept away.
    """
    try:
        make_folder(run.folder)
        descriptor = _open_lock(run.folder / _LOCK)
    except OSError as error:
        raise OutputError(run.folder, reason(error)) from error
    try:
        try:
            is_free = try_lock(descriptor)
        except LockUnavailableError as error:
            is_free = True
            say(
                f"note: {str(run.folder)!r} cannot be locked ({error}); run only one training in "
                "it at a time"
            )
        if not is_free:
            raise TrainingError(
                f"another process is already training in {str(run.folder)!r}",
                "wait for it or stop it",
            )
        try:
            yield
        finally:
            if not run.is_begun():
                with suppress(OSError):
                    if not os.fstat(descriptor).st_size:  # else it is not archc's
                        (run.folder / _LOCK).unlink()
                    run.folder.rmdir()
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """Open a file to lock it, made where there is none; what it holds stays.

    A link is not followed: the file it leads to is none of archc's. Raises OSError.
    """
    if path.is_symlink():
        raise OSError(None, f"{path.name!r} in it is a link")
    refuse_special(path)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _read(run: Run) -> _Record:
    damaged = TrainingError(
        f"{str(run.record)!r} is damaged", "the weights in checkpoints/ can be used without it"
    )
    try:
        record = _Record.model_validate_json(run.record.read_bytes())
    except OSError as error:
        raise TrainingError(f"{str(run.record)!r} cannot be read: {reason(error)}") from None
    except ValueError:
        raise damaged from None
    if not record.is_intact():
        raise damaged
    return record


def _sitting(iteration: int, how: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "from_iteration": iteration,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **how,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {
        "archc": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "lightning-fabric", "safetensors")},
    }
