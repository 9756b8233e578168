"""Training from a spec and a recipe to a run, on Lightning Fabric."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import archc
from archc.dataclassing import dataclass
from archc.devices import (
    PRECISIONS,
    DeviceError,
    computes_bfloat16,
    describe_device,
    find_device,
    on_device,
    peak_memory,
)
from archc.errors import Interrupted, OutputError, TrainingError
from archc.extras import require
from archc.files import write, write_all
from archc.recipes import Recipe
from archc.source.caller import said
from archc.text import in_words
from archc.training import run as runs
from archc.training.checkpoints import Saved, newest
from archc.training.curves import draw_curves
from archc.training.data import Data, ImageSource, Share, size_and_classes
from archc.training.fine_tuning import Start, frozen_keys, read_start
from archc.training.images import open_data
from archc.training.loop import Asked, Loop, Observer, Silent, Task, together
from archc.training.run import Beginning, Run
from archc.training.testing import Score

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MOST_WORKERS = 8


@dataclass(frozen=True)
class TrainOptions:
    """Where and how to train: ``devices`` for each of ``nodes``, ``device`` cpu, cuda or auto.

    ``workers`` decode image files for each device; None is a number that suits the machine.
    Without a ``seed``, a new run has 0, one that goes on its own.

    ``weights`` are what a new run begins with: a file, a state dict, or what `archc.read_weights`
    returns, which says how they are matched with the network. ``freeze`` are patterns of paths of
    modules, such as ``layer1`` or ``*.bn2``: these are not trained. One that goes on has its own.
    """

    devices: int = 1
    nodes: int = 1
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    seed: int | None = None
    resume: bool = False
    workers: int | None = None
    weights: archc.WeightsLike | None = None
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """What came of training: the run's folder, how far it is, and the last test.

    ``is_first`` is whether this is the first of the processes that trained together;
    ``peak_memory`` are bytes, of the device or, on a CPU, of this process.
    """

    folder: Path
    iteration: int
    test: Score | None
    is_first: bool = True
    peak_memory: int | None = None


@dataclass(frozen=True)
class _Plan:
    """What the first process knows of a run and all need."""

    seed: int
    saved: Saved | None = None
    mean: Tensor | None = None
    has_weights: bool = False
    start: Start | None = None
    frozen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Order:
    """What is asked for."""

    design: archc.Design
    recipe: Recipe
    data: Path
    run: Run
    options: TrainOptions


def train(
    design: archc.Design,
    recipe: Recipe,
    data: Path,
    out: Path,
    options: TrainOptions,
    observer: Observer,
) -> Trained:
    """Train a spec's network by a recipe into a run's folder.

    Of several processes that train together, each returns or raises; errors that all meet are
    `SystemExit` in all but the first. Raises `TrainingError` (`DataError` for the images),
    `OutputError`, `DeviceError`, ModuleNotFoundError where Lightning Fabric is missing, and
    `Interrupted` once a signal has stopped it and all is saved.
    """
    _require_fabric()
    _check_launch(options)
    _check_batch(recipe, options)
    order = _Order(design, recipe, data, Run(out), options)
    with ExitStack() as stack:
        fabric = stack.enter_context(_fabric(options))
        stack.enter_context(_quiet_unless_first(fabric))
        stack.enter_context(on_device(str(fabric.device)))
        say = observer.said if fabric.is_global_zero else Silent().said
        if fabric.is_global_zero:
            stack.enter_context(runs.alone(order.run, say))
        if options.precision == "bfloat16" and not computes_bfloat16(fabric.device):
            say(
                "note: this processor has no bfloat16 instructions; "
                + said("--precision float32", 'precision="float32"')
                + " is faster on it"
            )
        asked = stack.enter_context(_signals(say))
        return _train(order, fabric, observer, asked)


def _train(order: _Order, fabric: Fabric, observer: Observer, asked: Asked) -> Trained:
    """Train in one of the processes, which all do the same."""
    run, network = order.run, order.design.network
    plan = _plan(order, fabric, observer)
    data = _open(order, fabric, network, plan, asked)
    about = archc.origin(order.design)
    task = Task(
        network,
        order.recipe,
        run,
        plan.seed,
        order.options.compile,
        about,
        plan.start.weights if plan.start else {},
        plan.frozen,
    )
    loop = Loop(task, fabric, data, plan.saved, observer, asked)
    if not (loop.is_done and plan.has_weights):
        together(fabric, lambda: _begin(order, fabric, plan, data.mean))
        try:
            _run(loop)
        finally:
            if fabric.is_global_zero:
                _draw(run, observer.said)
        content = archc.to_safetensors(loop.result.state_dict(), about)
        together(fabric, lambda: write_all({run.weights: content}))
    fabric.barrier()  # none of the processes leaves while another one still needs it
    most = peak_memory(fabric.device)
    return Trained(run.folder, loop.iteration, loop.test, fabric.is_global_zero, most)


def _open(order: _Order, fabric: Fabric, network: archc.Network, plan: _Plan, asked: Asked) -> Data:
    """The images; what is taken over all of them, the first process takes for all."""

    def go_on() -> None:
        if asked.signal:
            raise KeyboardInterrupt

    (size, classes), options = size_and_classes(network), order.options
    source = ImageSource(
        order.data,
        order.recipe,
        size,
        classes,
        fabric.device,
        plan.seed,
        Share(fabric.global_rank, fabric.world_size),
        workers_for(options.devices) if options.workers is None else options.workers,
        go_on=go_on,
    )
    if fabric.world_size == 1:
        return open_data(source, plan.mean)
    opened: list[Data] = []
    together(fabric, lambda: opened.append(open_data(source, plan.mean)))
    mean = fabric.broadcast(opened[0].mean if opened else None)
    return opened[0] if opened else open_data(source, mean)


def _require_fabric() -> None:
    require("lightning_fabric", "training", "train", package="Lightning Fabric")
    require("safetensors", "training", "train")


def _check_launch(options: TrainOptions) -> None:
    """Refuse numbers of processes that are not those that have been started."""
    world = options.devices * options.nodes
    started = os.environ.get("WORLD_SIZE", "")
    if started.isdigit() and int(started) != world:
        here = os.environ.get("LOCAL_WORLD_SIZE", started)
        machines = int(started) // int(here) if here.isdigit() and int(here) else 1
        nodes = said(f" --nodes {machines}", f", nodes={machines}") if machines > 1 else ""
        raise TrainingError(
            f"{started} processes were started for {world} devices",
            f"give {said(f'--devices {here}', f'devices={here}')}{nodes}",
        )
    known = ("WORLD_SIZE", "MASTER_ADDR", "SLURM_NTASKS")
    if options.nodes > 1 and not any(name in os.environ for name in known):
        raise TrainingError(
            f"for {options.nodes} machines, start the processes with torchrun",
            f"torchrun --nnodes {options.nodes} --nproc_per_node {options.devices} "
            "--rdzv_backend c10d --rdzv_endpoint HOST:PORT -m archc train ...",
        )


def _check_batch(recipe: Recipe, options: TrainOptions) -> None:
    world, batch = options.devices * options.nodes, recipe.header.batch
    if batch % world:
        raise TrainingError(
            f"a batch of {batch:,} images cannot be split evenly over {world} devices",
            "`batch` in the recipe counts the images on all devices",
        )


@contextmanager
def _fabric(options: TrainOptions) -> Iterator[Fabric]:
    """Fabric, its processes launched; torch's settings are as they were afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Lightning remarks when it is imported
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    kind = find_device(options.device).type
    if kind == "cuda":
        find_device(f"cuda:{options.devices - 1}")
    if options.precision not in PRECISIONS:
        raise TrainingError(f"unknown precision `{options.precision}`")
    several = options.devices * options.nodes > 1
    cudnn: Any = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    try:
        tf32 = options.precision == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        cudnn.allow_tf32, cudnn.benchmark = tf32, True  # all batches are of one shape
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning_fabric")
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            warnings.filterwarnings("ignore", message=".*TF32")
            fabric = Fabric(
                accelerator=kind,
                devices=options.devices,
                num_nodes=options.nodes,
                # Running statistics are each device's own; tests and checkpoints use the first's.
                strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
                precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
            )
            fabric.launch()
            yield fabric
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]


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
            "another training process has died",
            f"fix what it reported, then continue with {said('--resume', 'resume=True')}",
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
def _signals(say: Callable[[str], None]) -> Iterator[Asked]:
    """Ctrl-C and other requests to end ask to stop; a second one does not wait for it."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: FrameType | None) -> None:
        if asked.signal:
            if number == getattr(signal, "SIGHUP", None):
                return  # a terminal that is closed sends two
            raise KeyboardInterrupt
        asked.signal = number
        say("stopping after this iteration is saved; press Ctrl-C again to stop now")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # nohup would have it ignored
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plan(order: _Order, fabric: Fabric, observer: Observer) -> _Plan:
    """The seed, and where to go on; read by the first process for all."""
    goes_on = order.options.resume and order.run.is_begun()
    plan: list[_Plan] = []

    def read() -> None:
        plan.append(_resumed(order, observer) if goes_on else _begun(order, observer))

    together(fabric, read)
    if fabric.world_size == 1:
        return plan[0]
    shared = fabric.broadcast(plan[0] if plan else None)
    assert shared is not None
    return shared


def _begun(order: _Order, observer: Observer) -> _Plan:
    """The plan of a new run."""
    options, network = order.options, order.design.network
    runs.check_new(order.run)
    frozen = frozen_keys(network, options.freeze)
    start = None if options.weights is None else read_start(network, options.weights)
    if start is not None:
        observer.said(f"{start.file}: {start.words}")
        if start.left_out is not None:
            observer.said(f"{start.file}: left out: {start.left_out}")
    return _Plan(options.seed or 0, start=start, frozen=frozen)


def _resumed(order: _Order, observer: Observer) -> _Plan:
    """The plan of a run that goes on."""
    run, options, network = order.run, order.options, order.design.network
    start = None if options.weights is None else read_start(network, options.weights)
    given = Beginning(options.seed, start, options.freeze)
    begun = runs.check_same(run, order.design, order.recipe, given, observer.said)
    saved, mean = newest(run.checkpoints, observer.said), run.read_mean()
    if saved is None and begun.has_start and start is None:
        raise TrainingError(
            f"{str(run.folder)!r} was started with weights, and has no checkpoint yet",
            f"give them again with {said('--weights', '`weights`')}",
        )
    if mean is None:
        observer.said(f"{run.pixel_mean.name} is damaged or missing and will be computed again")
    runs.tidy(run)
    has_weights = (
        saved is not None
        and saved.iteration >= order.recipe.header.iterations
        and _has_weights(run, saved, observer)
    )
    frozen = frozen_keys(network, begun.freeze)
    return _Plan(begun.seed, saved, mean, has_weights, start, frozen)


def _has_weights(run: Run, saved: Saved, observer: Observer) -> bool:
    """Whether the file of the weights at the end holds those of the last checkpoint."""
    if not os.path.lexists(run.weights):
        return False
    try:
        found: Mapping[str, Tensor] = archc.read_weights(run.weights).tensors
    except archc.WeightsError:
        found = {}
    if found.keys() == saved.result.keys() and all(
        found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)
        for key, tensor in saved.result.items()
    ):
        return True
    observer.said(f"{run.weights.name} is damaged and is rewritten from the checkpoint")
    return False


def _begin(order: _Order, fabric: Fabric, plan: _Plan, mean: Tensor) -> None:
    """Write what a run is, or that it goes on, once nothing stands in its way."""
    run, options = order.run, order.options
    how: dict[str, Any] = {
        "device": describe_device(fabric.device),
        "devices": options.devices * options.nodes,
        "precision": options.precision,
        "compile": options.compile,
    }
    if run.is_begun():
        iteration = plan.saved.iteration if plan.saved else 0
        runs.go_on(run, order.design, order.recipe, mean, iteration, how)
    else:
        beginning = Beginning(plan.seed, plan.start, options.freeze)
        runs.begin(run, order.design, order.recipe, mean, beginning, how)


def _run(loop: Loop) -> None:
    """Train, telling torch's errors in words where a user can do something about them."""
    try:
        loop.run()
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            "a batch norm needs more than one value per channel: the batch on each device is too "
            "small",
            "use a larger `batch` or fewer devices",
        ) from None


def _draw(run: Run, say: Callable[[str], None]) -> None:
    """The curves so far, where there are any and matplotlib is there to draw them."""
    if run.metrics.is_file() and find_spec("matplotlib") is not None:
        try:
            write(run.curves, draw_curves([run]))
        except Exception as error:  # a picture must not end a run, nor hide what has ended it
            say(f"the curves cannot be drawn: {in_words(error)}")


def workers_for(devices: int = 1) -> int:
    """How many processes decode image files for each device unless it is said."""
    return min(MOST_WORKERS, (os.cpu_count() or 1) // devices)
