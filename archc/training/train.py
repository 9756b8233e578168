"""Training from a spec and a recipe to a run, on Lightning Fabric."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archc.compile import compile_spec
from archc.devices import DeviceError, describe_device, find_device, on_device
from archc.errors import Interrupted, TrainingError
from archc.files import OutputError, write
from archc.recipes import Recipe
from archc.spec import Spec
from archc.training import curves
from archc.training import run as runs
from archc.training.checkpoints import Saved, newest
from archc.training.data import Data, Share, Source, open_data, size_and_classes
from archc.training.loop import Asked, Loop, Observer, Task, together
from archc.training.run import Run
from archc.training.testing import Score
from archc.weights.files import to_safetensors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = {"float32": "32-true", "tf32": "32-true", "bfloat16": "bf16-mixed"}
"""What each precision is to Fabric; weights are float32 in all of them."""

MOST_WORKERS = 8


@dataclass(frozen=True)
class TrainOptions:
    """Where and how to train: ``devices`` for each of ``nodes``, ``device`` cpu, cuda or auto.

    ``workers`` decode image files for each device; None is a number that suits the machine.
    Without a ``seed``, a new run has 0, one that goes on its own.
    """

    devices: int = 1
    nodes: int = 1
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    seed: int | None = None
    resume: bool = False
    workers: int | None = None


@dataclass(frozen=True)
class Trained:
    """What came of training: the run's folder, how far it is, and the last test.

    ``is_first`` is whether this is the first of the processes that trained together.
    """

    folder: Path
    iteration: int
    test: Score | None
    is_first: bool = True


@dataclass(frozen=True)
class _Plan:
    """What the first process knows of a run and all need."""

    seed: int
    saved: Saved | None
    mean: Tensor | None


def train(
    spec: Spec,
    recipe: Recipe,
    data: Path,
    out: Path,
    options: TrainOptions,
    observer: Observer,
) -> Trained:
    """Train a spec's network by a recipe into a run's folder.

    Raises `TrainingError` (`DataError` for the images), `OutputError`, `DeviceError`,
    ModuleNotFoundError where Lightning Fabric is missing, and `Interrupted` once a signal has
    stopped it and all is saved.
    """
    _require_fabric()
    network = compile_spec(spec)
    size, classes = size_and_classes(network)
    _check_batch(recipe, options)
    run = Run(out)
    with ExitStack() as stack:
        fabric = stack.enter_context(_fabric(options))
        quiet = _quiet_unless_first(fabric)
        stack.enter_context(quiet)
        stack.enter_context(on_device(str(fabric.device)))
        if fabric.is_global_zero:
            stack.enter_context(runs.alone(run))
        asked = stack.enter_context(_signals())
        plan = _plan(fabric, run, spec, recipe, options, observer)
        share = Share(fabric.global_rank, fabric.world_size)
        source = Source(
            data, recipe, size, classes, fabric.device, plan.seed, share, _workers(options)
        )
        images = open_data(source, plan.mean)
        task = Task(network, recipe, run, plan.seed, options.compile)
        loop = Loop(task, fabric, images, plan.saved, observer, asked)
        together(fabric, lambda: _begin(fabric, run, spec, recipe, plan, options, images))
        try:
            if not loop.is_done:
                _run(loop)
        finally:
            if fabric.is_global_zero:
                _draw(run)
        together(fabric, lambda: write(run.weights, to_safetensors(loop.net.state_dict())))
        fabric.barrier()  # none of the processes leaves while another one still needs it
        return Trained(out, loop.iteration, loop.test, fabric.is_global_zero)


def _require_fabric() -> None:
    for module, package in (("lightning_fabric", "Lightning Fabric"), ("safetensors", "it")):
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"training needs {package}: pip install 'archc[train]'", name=module
            )


def _check_batch(recipe: Recipe, options: TrainOptions) -> None:
    world, batch = options.devices * options.nodes, recipe.header.batch
    if batch % world:
        raise TrainingError(
            f"a batch of {batch:,} images cannot be shared by {world} devices alike",
            "the recipe's `batch` is for all devices together",
        )


@contextmanager
def _fabric(options: TrainOptions) -> Iterator[Fabric]:
    """Fabric, its processes launched; torch's settings are as they were afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Lightning remarks when it is imported
        from lightning_fabric import Fabric

    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    kind = options.device
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        find_device(f"cuda:{options.devices - 1}")
    if options.precision not in PRECISIONS:
        raise TrainingError(f"there is no precision `{options.precision}`")
    several = options.devices * options.nodes > 1
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        tf32 = options.precision == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning_fabric")
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            warnings.filterwarnings("ignore", message=".*TF32")
            fabric = Fabric(
                accelerator=kind,
                devices=options.devices,
                num_nodes=options.nodes,
                strategy="ddp" if several else "auto",
                precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
            )
            fabric.launch()
            yield fabric
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _quiet_unless_first(fabric: Fabric) -> Iterator[None]:
    """Of an error that all processes meet the first one tells, and of processes that end."""
    try:
        yield
    except RuntimeError as error:
        broken = ("closed by peer", "connection", "nccl", "gloo", "timed out")
        if fabric.world_size == 1 or not any(word in str(error).lower() for word in broken):
            raise
        raise TrainingError(
            "another of the processes that train together has ended", "--resume goes on"
        ) from None
    except (TrainingError, OutputError, DeviceError) as error:
        if fabric.global_rank and not getattr(error, "of_one_process", False):
            raise SystemExit(1) from None
        raise
    except Interrupted as error:
        if fabric.global_rank:
            raise SystemExit(128 + error.signal) from None
        raise


@contextmanager
def _signals() -> Iterator[Asked]:
    """Ctrl-C and SIGTERM ask to stop; a second Ctrl-C does not wait for it."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: FrameType | None) -> None:
        if asked.signal:
            raise KeyboardInterrupt
        asked.signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plan(
    fabric: Fabric,
    run: Run,
    spec: Spec,
    recipe: Recipe,
    options: TrainOptions,
    observer: Observer,
) -> _Plan:
    """The seed, and where to go on; read by the first process for all."""
    plan: list[_Plan] = []

    def read() -> None:
        if not (options.resume and run.is_begun()):
            runs.check_new(run)
            plan.append(_Plan(options.seed or 0, None, None))
            return
        seed = runs.go_on(run, spec, recipe, options.seed)
        saved = newest(run.checkpoints, observer.said)
        plan.append(_Plan(seed, saved, run.read_mean()))

    together(fabric, read)
    if fabric.world_size == 1:
        return plan[0]
    shared = fabric.broadcast(plan[0] if plan else None)
    assert shared is not None
    return shared


def _begin(
    fabric: Fabric,
    run: Run,
    spec: Spec,
    recipe: Recipe,
    plan: _Plan,
    options: TrainOptions,
    data: Data,
) -> None:
    """Write what a run is, or that it goes on, once nothing stands in its way."""
    how: dict[str, Any] = {
        "device": describe_device(fabric.device),
        "devices": options.devices * options.nodes,
        "precision": options.precision,
        "compile": options.compile,
    }
    if run.is_begun():
        runs.cut(run, plan.saved.iteration if plan.saved else 0)
        runs.note_sitting(run, plan.saved.iteration if plan.saved else 0, how)
    else:
        run.metrics.unlink(missing_ok=True)
        runs.begin(run, spec, recipe, plan.seed, how)
    if plan.mean is None:
        run.write_mean(data.mean)


def _run(loop: Loop) -> None:
    """Train, telling torch's errors in words where a user can do something about them."""
    try:
        loop.run()
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            "a batch norm needs more than one value a channel: the batch of a device is too small",
            "a larger `batch`, or fewer devices",
        ) from None


def _draw(run: Run) -> None:
    """The curves so far, where there are any and matplotlib is there to draw them."""
    if run.metrics.is_file() and find_spec("matplotlib") is not None:
        try:
            write(run.curves, curves.draw([run]))
        except (TrainingError, OutputError):
            return  # what went wrong before is told


def _workers(options: TrainOptions) -> int:
    if options.workers is not None:
        return options.workers
    return min(MOST_WORKERS, (os.cpu_count() or 1) // options.devices)
