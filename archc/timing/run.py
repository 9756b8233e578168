"""A network's module on a device: latency, throughput, memory, and the limit beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import reduce
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archc.analysis import work
from archc.backends.pytorch import writable
from archc.beside import others
from archc.choices import TIMED_DTYPES, TimedDtype, check_choice
from archc.dataclassing import dataclass
from archc.devices import DeviceError, RunError, describe_device, find_device, on_device
from archc.graph import Network, deploy_form
from archc.inference import compiled
from archc.live import build_module
from archc.ops import BatchNorm2d
from archc.running import as_it_was, quiet, why_not
from archc.shown import Shown
from archc.timing.timing import (
    Rates,
    Step,
    Times,
    forget_peak,
    measure_rates,
    peak_memory,
    time_step,
)
from archc.weights import fold_weights


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, and how: on which device, with how many images of which type at once.

    A forward in eval mode, or with ``train`` a whole step: forward, loss, backward, SGD.
    ``device`` is as `find_device` takes it: ``cpu``, ``cuda``, ``cuda:1``, ``auto``. ``seconds`` is
    about how long a row is timed; at least ten runs are made, however long they take.
    """

    device: str = "cpu"
    batches: Sequence[int] = (8,)
    dtype: TimedDtype = "float32"
    deploy: bool = False
    compile: bool = False
    train: bool = False
    channels_last: bool = False
    seconds: float = 3.0

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be measured."""
        check_choice("dtype", self.dtype, TIMED_DTYPES)
        batches = list(self.batches) if isinstance(self.batches, Sequence) else []
        if not batches or any(type(one) is not int or one < 1 for one in batches):
            words = f"`batches` must be integers of at least 1, not {self.batches!r}"
            raise ValueError(words)
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"`seconds` must be positive, not {self.seconds}")

    @property
    def mode(self) -> str:
        """``forward, deploy, compiled``."""
        chosen = (
            ("train" if self.train else "forward", True),
            ("deploy", self.deploy),
            ("compiled", self.compile),
            ("channels_last", self.channels_last),
        )
        return ", ".join(name for name, holds in chosen if holds)


@dataclass(frozen=True, slots=True, repr=False)
class BenchResult(Shown):
    """A row: times in seconds, memory in bytes, and the limit that the device's own rates set.

    The limit is the larger of multiply-adds over the matrix rate and bytes over the bandwidth,
    both as measured in the same run; ``fraction`` is the limit over the median latency. Memory is
    the most that torch held at once.
    """

    name: str
    device: str
    machine: str
    dtype: str
    batch: int
    mode: str
    latency: Times
    images_per_second: float
    peak_memory: int
    multiply_adds: int
    bytes_moved: int
    rates: Rates
    limit: float
    limited_by: str
    fraction: float

    def judged_by(self, rates: Rates) -> BenchResult:
        """The row beside the limit that other rates set."""
        limit, limited_by = _limit(self.multiply_adds, self.bytes_moved, rates)
        fraction = limit / self.latency.median
        return replace(self, rates=rates, limit=limit, limited_by=limited_by, fraction=fraction)

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def bench(networks: Sequence[Network], options: BenchOptions) -> Iterator[BenchResult]:
    """Measure networks one after another, each with every batch size.

    Each row is beside the best rates until then; `at_best` sets all beside the best of all. torch's
    random numbers are left as they are. Raises `DeviceError` for a device that is not there,
    `RunError` for a network that cannot be trained, ValueError for options that exclude each other;
    while measuring, `DeviceError` where memory does not suffice, `RunError` for a network that
    cannot be compiled.
    """
    if options.deploy and options.train:
        raise ValueError("the deploy form has no norms and cannot be trained")
    if options.train:
        for network in networks:
            _check_trainable(network, min(options.batches))
    find_device(options.device)
    return _rows(networks, options)


def at_best(rows: Sequence[BenchResult]) -> list[BenchResult]:
    """Rows of one device and type, each beside the best rates of all."""
    if not rows:
        return []
    rates = reduce(Rates.or_better, (row.rates for row in rows))
    return [row.judged_by(rates) for row in rows]


FIRST_RATES, MORE_RATES = 2.0, 1.0
"""For how many seconds rates are measured at first, and once more beside each row; for no longer
than a row is timed."""


def _rows(networks: Sequence[Network], options: BenchOptions) -> Iterator[BenchResult]:
    rates: Rates | None = None
    for network in networks:
        for batch in options.batches:
            try:
                row = _row(network, batch, options, rates)
            except DeviceError as error:
                raise DeviceError(f"{network.name}, batch {batch:,}: {error}") from None
            rates = row.rates
            yield row


def _row(network: Network, batch: int, options: BenchOptions, rates: Rates | None) -> BenchResult:
    """A row beside the rates until then, which are measured once more: whatever else the machine
    does slows rates and rows alike, and the best counts."""
    dtype = _dtype(options)
    with on_device(options.device) as device, quiet(), as_it_was(device):
        if rates is None:
            rates = measure_rates(device, dtype, min(FIRST_RATES, options.seconds))
        more = measure_rates(device, dtype, min(MORE_RATES, options.seconds))
        return _measure(network, batch, options, rates.or_better(more), device)


def _check_trainable(network: Network, batch: int) -> None:
    """Raise `RunError` for what torch cannot train."""
    if not network.params:
        raise RunError(f"{network.name} has no parameters to train")
    if len(network.inputs) > 1 or len(network.outputs) > 1:
        raise RunError(f"{network.name} cannot be trained here: it does not map images to scores")
    for node in network.nodes.values():
        if isinstance(node.op, BatchNorm2d) and batch * math.prod(node.output_shape[1:]) == 1:
            raise RunError(
                f"{network.name}: {node.id} would normalise over a single value in training mode: "
                "use a larger batch or larger images"
            )


def _measure(
    network: Network, batch: int, options: BenchOptions, rates: Rates, device: torch.device
) -> BenchResult:
    dtype = _dtype(options)
    module = prepared(network, options, device)
    images = torch.randn(batch, *network.input_shape, device=device)
    if network.several_inputs:
        module = _with_others(network, module, images.to(_dtype(options)))
    step, kept = _step(module, images, options, device)
    forget_peak(device)
    if options.compile:
        _try_compiled(step)
    times = time_step(step, device, options.seconds)
    held = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers(), *kept()))
    least = work(deploy_form(network) if options.deploy else network, training=options.train)
    multiply_adds = batch * least.multiply_adds
    moved = least.bytes_moved(batch, dtype.itemsize)
    limit, limited_by = _limit(multiply_adds, moved, rates)
    return BenchResult(
        name=network.name,
        device=options.device,
        machine=describe_device(device),
        dtype=options.dtype,
        batch=batch,
        mode=options.mode,
        latency=times,
        images_per_second=batch / times.median,
        peak_memory=peak_memory(step, device, held),
        multiply_adds=multiply_adds,
        bytes_moved=moved,
        rates=rates,
        limit=limit,
        limited_by=limited_by,
        fraction=limit / times.median,
    )


def _dtype(options: BenchOptions) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, options.dtype)
    return dtype


def _limit(multiply_adds: int, bytes_moved: int, rates: Rates) -> tuple[float, str]:
    """The larger of both bounds in seconds, and which it is."""
    bounds = {
        "compute": multiply_adds / rates.multiply_adds,
        "memory": bytes_moved / rates.bytes_moved,
    }
    limited_by = max(bounds, key=bounds.__getitem__)
    return bounds[limited_by], limited_by


def _try_compiled(step: Step) -> None:
    """Run a compiled step for the first time, which compiles it; raises `RunError`."""
    try:
        step()
    except Exception as error:
        raise RunError(f"torch.compile failed: {why_not(error)}") from None


def _with_others(network: Network, module: nn.Module, images: Tensor) -> nn.Module:
    """A module that takes images alone of one that takes more."""
    more = others(network, images)

    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, images: Tensor) -> Any:
            return self.module(images, *more)

    return Given().train(module.training)


def prepared(network: Network, options: BenchOptions, device: torch.device) -> nn.Module:
    """The module that is measured, on its device, in its type and layout.

    Fresh running statistics would let values grow without bounds, so they are taken from a
    forward in training mode first; a network that has weights of its own keeps its own.
    """
    torch.manual_seed(0)
    network = writable(network)
    with torch.device("cpu"):  # whatever torch's default device is
        module = build_module(network)
    module.to(device)
    if network.model is None or not network.model.has_weights:
        _settle(module, network, device)
    if options.deploy:
        with torch.device("meta"):
            folded = build_module(replace(network, model=None), deploy=True)
        folded.to_empty(device=device)
        folded.load_state_dict(fold_weights(network, module.state_dict()))
        module = folded
    module.train(options.train)
    if not options.train:
        module.to(_dtype(options))
    if options.channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


@torch.no_grad()
def _settle(module: nn.Module, network: Network, device: torch.device) -> None:
    """Take the running statistics of norms from one batch."""
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    if not norms:
        return
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    images = torch.randn(4, *network.input_shape, device=device)
    module.train()(images, *others(network, images))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


Kept: TypeAlias = Callable[[], Iterable[Tensor]]
"""What a step keeps from one run to the next, besides its module."""


def _step(
    module: nn.Module, images: Tensor, options: BenchOptions, device: torch.device
) -> tuple[Step, Kept]:
    if options.channels_last:
        images = images.to(memory_format=torch.channels_last)
    if options.train:
        return _training_step(module, images, options, device)
    images = images.to(_dtype(options))
    run: Callable[[Tensor], Tensor] = module
    if options.compile:
        torch.compiler.reset()
        run = compiled(module)
    grad = torch.no_grad if options.compile else torch.inference_mode

    def forward() -> None:
        with grad():
            run(images)

    return forward, lambda: [images]


def _training_step(
    module: nn.Module, images: Tensor, options: BenchOptions, device: torch.device
) -> tuple[Step, Kept]:
    """Forward, cross-entropy of all outputs, backward, SGD with momentum; smaller types by
    autocast."""
    run: Callable[[Tensor], Tensor | tuple[Tensor, ...]] = module
    if options.compile:
        torch.compiler.reset()
        run = torch.compile(module, options={"triton.cudagraphs": device.type == "cuda"})
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    dtype = _dtype(options)
    with torch.no_grad():
        classes = module.eval()(images[:1]).numel()
    module.train()
    targets = torch.arange(len(images), device=device) % classes

    def step() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            outputs = run(images)
            logits, *sides = outputs if isinstance(outputs, tuple) else (outputs,)
            loss = F.cross_entropy(logits.flatten(1), targets)
            for side in sides:
                loss = loss + F.cross_entropy(side.flatten(1), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    def kept() -> Iterator[Tensor]:
        yield images
        for state in optimizer.state.values():
            yield from (one for one in state.values() if isinstance(one, Tensor))

    return step, kept
