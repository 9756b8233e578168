"""How fast archc counts, one network and a sweep of 100,000, beside counters that need a module.

ARCHC_COUNTERS names a folder with fvcore, ptflops, thop, torchinfo and calflops in it; those that
are not there are left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
from counters import COUNTERS, installed
from peers import TORCHVISION, torchvision_models
from report import machine, process, table, write_section
from torch import nn

import archc
from archc.analysis import CONVENTIONS

FOLDER = "ARCHC_COUNTERS"
SPEC, SIZE = "torchvision/resnet50", (3, 224, 224)
VARY = ("width=1..1000", "depth=1..100")
ROUNDS = 7
ON_META = ("torch", "thop", "torchinfo")
"""The counters that work on the meta device; the others trace, or read values."""


def main() -> None:
    """Measure, and write the section."""
    if os.environ.get(FOLDER):
        sys.path.append(os.environ[FOLDER])
    write_section("counting", "\n\n".join([_intro(), _one_network(), _sweep()]))


def _intro() -> str:
    return (
        "## Counting\n\n"
        f"`benchmarks/counting.py` on {machine()}, torch {torch.__version__}. All from one "
        "run.\n\n"
        "Counters that take a module get a newly constructed one, on the meta device if they work "
        "there. archc reads and compiles the spec. "
        f"`{FOLDER}` and `{TORCHVISION}` name the folders with the counters and with torchvision."
    )


def _one_network() -> str:
    tasks: dict[str, tuple[str, Callable[[], int]]] = {
        "archc, from the YAML file": ("-", lambda: archc.load(SPEC).multiply_adds)
    }
    for name in installed():
        device = "meta" if name in ON_META else "cpu"
        tasks[CONVENTIONS[name].tool] = (device, partial(_construct_and_count, name, device))
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    totals = {name: task() for name, (_, task) in tasks.items()}
    for _ in range(ROUNDS):
        for name, (_, task) in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    ours = statistics.median(next(iter(seconds.values())))
    rows = []
    for name, (device, _) in tasks.items():
        median = statistics.median(seconds[name])
        rows.append(
            [name, device, f"{totals[name]:,}", f"{1000 * median:.1f} ms", f"{median / ours:.0f}"]
        )
    return table(["ResNet-50", "device", "total", "time", "times archc's"], rows)


def _construct_and_count(name: str, device: str) -> int:
    with torch.device(device):
        module = _maker()()
    return COUNTERS[name](module, SIZE)


@cache
def _maker() -> Callable[[], nn.Module]:
    """torchvision's own network where it is at hand, otherwise the emitted one."""
    models = torchvision_models()
    return models.resnet50 if models is not None else type(archc.module(SPEC))


def _sweep() -> str:
    vary = [word for axis in VARY for word in ("--vary", axis)]
    command = [sys.executable, "-m", "archc", "sweep", "imagenet/resnet50", *vary]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        sweep = process([*command, "-o", str(path)], times=3)
        count = len(path.read_text().splitlines()) - 1
        single = process([*command[:5], "--vary", "depth[2]=4", "-o", str(path)], times=3)
    rate = count / (sweep.seconds - single.seconds)
    varied = " ".join(f"--vary {axis}" for axis in VARY)
    return (
        f"`archc sweep imagenet/resnet50 {varied} -o FILE.csv` counts {count:,} variants in "
        f"{sweep.seconds:.1f} s as a process: {rate:,.0f} per second on one core, after the "
        f"{single.seconds:.2f} s that a sweep of a single variant takes. Its peak memory is "
        f"{sweep.megabytes:.0f} MB."
    )


if __name__ == "__main__":
    main()
