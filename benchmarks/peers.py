"""Timing peers side by side, and torchvision beside a CPU build of torch."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch import library as operators

TORCHVISION = "ARCHC_TORCHVISION"
"""The environment variable that names a folder with the torchvision package in it."""

Task = Callable[[], object]


def interleaved(tasks: Mapping[str, Task], rounds: int, runs: int = 3) -> dict[str, list[float]]:
    """Seconds of each task by round: the mean of some runs in a row, one more before them.

    Tasks take turns in rounds, forwards and backwards, so that whatever slows the machine slows
    all of them; each has the machine to itself for a while, so that threads that still spin for
    the last one do not disturb it.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in list(tasks) if turn % 2 else reversed(list(tasks)):
            tasks[name]()
            started = time.perf_counter()
            for _ in range(runs):
                tasks[name]()
            times[name].append((time.perf_counter() - started) / runs)
    return times


def speed(times: Mapping[str, list[float]], name: str, peer: str) -> float:
    """How many times as quick as a peer a task is: the median over the rounds."""
    pairs = zip(times[peer], times[name], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def cells(times: Mapping[str, list[float]], name: str, peer: str) -> list[str]:
    """A task's time, and how many times as quick as a peer it is."""
    return [
        f"{1000 * statistics.median(times[name]):.0f} ms",
        f"{speed(times, name, peer):.2f}",
    ]


def training_step(module: nn.Module, images: Tensor, classes: int, compiles: bool = False) -> Task:
    """A step of SGD on a batch of images: forward, backward, update."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    targets = torch.arange(len(images)) % classes
    run = torch.compile(module) if compiles else module

    def step() -> None:
        F.cross_entropy(run(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


@torch.no_grad()
def settle(module: nn.Module, device: torch.device | None = None) -> None:
    """Take the running statistics of norms from a batch of noise: with fresh ones, the values of a
    deep network grow without bounds."""
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    module.train()(torch.randn(4, 3, 224, 224, device=device))
    for norm in norms:
        norm.momentum = 0.1


@cache
def torchvision_models() -> ModuleType | None:
    """torchvision's models, from where `TORCHVISION` says or as installed; None if neither.

    Beside a CPU build of torch, the wheel from PyPI fails to import: it registers shapes of
    operators that its library, built for CUDA, would define. They are declared first.
    """
    folder = os.environ.get(TORCHVISION)
    if folder:
        sys.path.append(folder)
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return None
    if torch.version.cuda is None:
        source = Path(found.submodule_search_locations[0]) / "_meta_registrations.py"
        names = re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', source.read_text())
        library = operators.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in sorted(set(names)):
            library.define(f"{name}(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]
        _kept.append(library)
    return importlib.import_module("torchvision.models")


_kept: list[operators.Library] = []  # a library's definitions go when it does
