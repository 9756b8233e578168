"""Measuring on a device: how long a step takes, how much memory, what the device can do at best."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import torch
import torch.nn.functional as F

from archc.dataclassing import dataclass

Step = Callable[[], object]
Task: TypeAlias = tuple[int, Step]
"""A step and the multiply-adds that it does."""

LARGEST = 32
"""The scale at which a task fills any device: a product of 8192x8192 matrices."""

WARM_UP, AT_LEAST, AT_MOST = 3, 7, 500
"""Runs before any is timed, and bounds on how many are timed."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times of a step in seconds: the best, the median, the quartiles, and how many runs."""

    best: float
    median: float
    lower: float
    upper: float
    runs: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device reached in this process: multiply-adds a second, bytes a second."""

    multiply_adds: float
    bytes_moved: float

    def or_better(self, other: Rates) -> Rates:
        """Of each rate the better one."""
        return Rates(
            max(self.multiply_adds, other.multiply_adds), max(self.bytes_moved, other.bytes_moved)
        )


def time_step(step: Step, device: torch.device, seconds: float) -> Times:
    """Time a step, after a warm-up, for about this long.

    On CUDA, device events around every run are the clock.
    """
    started = time.perf_counter()
    for _ in range(WARM_UP):
        step()
    _wait(device)
    # A quarter of the time goes to the warm-up, during which clocks and caches settle.
    while time.perf_counter() - started < seconds / 4:
        step()
        _wait(device)
    spans: list[float] = []
    started = time.perf_counter()
    while len(spans) < AT_LEAST or (
        time.perf_counter() - started < seconds and len(spans) < AT_MOST
    ):
        spans += _spans(step, device)
    lower, median, upper = statistics.quantiles(spans, n=4, method="inclusive")
    return Times(min(spans), median, lower, upper, len(spans))


def _spans(step: Step, device: torch.device) -> list[float]:
    """Times of a few runs; on CUDA they are launched one behind another, as in use."""
    if device.type != "cuda":
        started = time.perf_counter()
        step()
        return [time.perf_counter() - started]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(6)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    _wait(device)
    return [before.elapsed_time(after) / 1000 for before, after in pairwise(marks)]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    """Have `peak_memory` look on CUDA at what comes from here on."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(step: Step, device: torch.device, held: int = 0) -> int:
    """The most bytes that torch holds at once.

    On a CPU, that is ``held``, which the step's tensors take between its runs, and what a run takes
    besides. On CUDA it is the most since `forget_peak`, because a CUDA graph that is replayed takes
    nothing: what it needs was taken when it was recorded.
    """
    if device.type == "cuda":
        _wait(device)
        return torch.cuda.max_memory_allocated(device)
    # The profiler's library logs its start and stop to stderr; it reads this when first used.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    assert record.profiler is not None
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    taken = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        taken += event.nbytes()
        most = max(most, taken)
    return held + most


def measure_rates(device: torch.device, dtype: torch.dtype, seconds: float = 2.0) -> Rates:
    """The best rates that a device reaches in products of matrices and in copying memory.

    A product is tried as torch's matrix product and as a 3x3 convolution of 256 channels, in both
    memory layouts: they are done by different libraries, and the quicker one is the limit.
    """
    return Rates(_matrix_rate(device, dtype, seconds), _bandwidth(device, seconds))


@torch.no_grad()
def _matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    def product(scale: int) -> Task:
        size = 256 * scale
        left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        return size**3, lambda: left @ right

    def convolution(scale: int, layout: torch.memory_format) -> Task:
        x, weight = (
            torch.randn(shape, device=device, dtype=dtype).to(memory_format=layout)
            for shape in ((scale, 256, 14, 14), (256, 256, 3, 3))
        )
        return x.numel() * weight[0].numel(), lambda: F.conv2d(x, weight, padding=1)

    kinds: list[Callable[[int], Task]] = [
        product,
        partial(convolution, layout=torch.contiguous_format),
        partial(convolution, layout=torch.channels_last),
    ]
    share = seconds / len(kinds)
    tasks = [_large_enough(kind, device, share / (WARM_UP + AT_LEAST)) for kind in kinds]
    return max(work / time_step(step, device, share).best for work, step in tasks)


def _large_enough(kind: Callable[[int], Task], device: torch.device, seconds: float) -> Task:
    """The task at the largest scale that takes no more than about this long.

    Where a type is emulated, as float16 on many CPUs, a large one would take minutes.
    """
    scale = 1
    while True:
        work, step = kind(scale)
        step()
        _wait(device)
        started = time.perf_counter()
        step()
        _wait(device)
        # Twice the scale is up to eight times the work.
        if scale == LARGEST or 8 * (time.perf_counter() - started) > seconds:
            return work, step
        scale *= 2


def _bandwidth(device: torch.device, seconds: float) -> float:
    size = 2**30 if device.type == "cuda" else 2**28  # far more than any cache holds
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / time_step(lambda: target.copy_(source), device, seconds / 2).best
