"""The emitted modules beside torchvision and timm, on a GPU.

    python benchmarks/cuda.py emit modules           # with archc: writes the modules to measure
    python benchmarks/cuda.py run modules cells.json # with torch alone; torchvision, timm if there
    python benchmarks/cuda.py write cells.json       # with archc: the section of docs/benchmarks.md

`run` goes on where it was interrupted, on the same machine. `--device cpu` with `--batch 1
--network resnet18` and a file of cells of its own tries it where there is no GPU; `write` takes
those of a GPU alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

NETWORKS = ("resnet18", "resnet50", "resnet152")
BATCHES = (1, 32, 256)
DTYPES = ("bfloat16", "float32")
LAYOUTS = ("contiguous_format", "channels_last")
CPU = "a CPU"
OURS, DEPLOYED = "archc", "archc, deploy, compiled"
CANDIDATES = {
    "forward": (
        "torchvision",
        "torchvision, compiled",
        "timm",
        OURS,
        "archc, compiled",
        DEPLOYED,
    ),
    "training step": ("torchvision", "torchvision, compiled", "timm", OURS, "archc, compiled"),
}
Task = Callable[[], object]


@dataclass(frozen=True)
class Cell:
    """What is measured side by side."""

    network: str
    batch: int
    dtype: str
    layout: str
    task: str

    @property
    def key(self) -> str:
        """The cell as the key of a JSON object."""
        return "/".join(map(str, asdict(self).values()))


def emit(folder: Path) -> None:
    """Write the modules of the networks and their deploy forms."""
    import archc

    folder.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        for suffix, deploy in (("", False), ("_deploy", True)):
            source = archc.emit(f"torchvision/{name}", deploy=deploy)
            (folder / f"{name}{suffix}.py").write_text(source, encoding="utf-8")


def run(arguments: argparse.Namespace) -> None:
    """Measure all cells that the file does not have yet, one after another."""
    import torch

    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device; --device cpu tries this without one")
    if missing := [name for name in NETWORKS if not (arguments.modules / f"{name}.py").exists()]:
        raise SystemExit(f"{arguments.modules} has no {missing[0]}.py: `emit` writes it")
    path: Path = arguments.cells
    machine = _machine(device)
    done: dict[str, Any] = _read(path) if path.exists() else {"machine": machine}
    if done["machine"] != machine:
        raise SystemExit(f"{path} holds what {done['machine']} did, and this is {machine}")
    failed = 0
    for cell in _cells(arguments):
        times = done.setdefault(cell.key, {})
        for candidate in CANDIDATES[cell.task]:
            if candidate in times:
                continue
            try:
                seconds = _measure(cell, candidate, arguments.modules, device)
            except Exception as error:
                if not _is_out_of_memory(error):  # whatever it was, it is tried when run again
                    print(f"{cell.key}: {candidate}: {type(error).__name__}: {error}", flush=True)
                    failed += 1
                    continue
                times[candidate] = None
            else:
                if seconds is None:
                    continue  # not installed; it may be when this is run again
                times[candidate] = seconds
                print(f"{cell.key}: {candidate}: {1000 * seconds:.3f} ms", flush=True)
            whole = path.with_name(f"{path.name}.new")
            whole.write_text(json.dumps(done, indent=1))
            whole.replace(path)
    if failed:
        raise SystemExit(f"{failed} measurements failed")


def _read(path: Path) -> dict[str, Any]:
    try:
        done: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from None
    if not isinstance(done, dict) or "machine" not in done:
        raise SystemExit(f"{path} holds no measurements")
    return done


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is one of memory, or was raised for one: torch.compile wraps them."""
    import torch

    return error is not None and (
        isinstance(error, torch.OutOfMemoryError)
        or _is_out_of_memory(error.__cause__ or error.__context__)
    )


def _cells(arguments: argparse.Namespace) -> Iterator[Cell]:
    networks = arguments.network or NETWORKS
    batches = arguments.batch or BATCHES
    for task, network, batch, dtype, layout in product(
        CANDIDATES, networks, batches, DTYPES, LAYOUTS
    ):
        yield Cell(network, batch, dtype, layout, task)


def _machine(device: Any) -> str:
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else CPU
    return f"{name}, torch {torch.__version__}"


def _measure(cell: Cell, candidate: str, modules: Path, device: Any) -> float | None:
    """The median time of a candidate in seconds; None where its package is not installed."""
    import torch
    from peers import settle

    torch.manual_seed(0)
    module = _module(cell.network, candidate, modules)
    if module is None:
        return None
    layout = getattr(torch, cell.layout)
    module = module.to(device)
    settle(module, device)
    module = module.to(memory_format=layout)
    images = torch.randn(cell.batch, 3, 224, 224, device=device).to(memory_format=layout)
    trains = cell.task == "training step"
    compiles = candidate.endswith("compiled")
    make = _training_step if trains else _forward
    try:
        task = make(module, images, getattr(torch, cell.dtype), compiles, device)
        return _median(task, device)
    finally:
        torch.compiler.reset()  # and with what was compiled goes the memory of its CUDA graphs


def _module(network: str, candidate: str, modules: Path) -> Any:
    package = candidate.partition(",")[0]
    if package == "timm":
        if importlib.util.find_spec("timm") is None:
            return None
        # By default timm's blocks start as identities, whose zeros are quicker to compute.
        return importlib.import_module("timm").create_model(network, zero_init_last=False)
    if package == "torchvision":
        from peers import torchvision_models

        models = torchvision_models()
        return None if models is None else getattr(models, network)()
    name = f"{network}_deploy" if "deploy" in candidate else network
    found = importlib.util.spec_from_file_location(name, modules / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    emitted = importlib.util.module_from_spec(found)
    sys.modules[name] = emitted
    found.loader.exec_module(emitted)
    return getattr(emitted, emitted.__all__[0])()


def _compiled(module: Any, device: Any) -> Any:
    """torch.compile, with CUDA graphs on CUDA; it compiles when it first runs."""
    import torch

    return torch.compile(module, options={"triton.cudagraphs": device.type == "cuda"})


def _forward(module: Any, images: Any, dtype: Any, compiles: bool, device: Any) -> Task:
    import torch

    module, images = module.to(dtype).eval(), images.to(dtype)
    run = _compiled(module, device) if compiles else module

    def task() -> None:
        with torch.no_grad():
            run(images)

    if compiles:  # freezing makes constants of weights; it has to hold while torch traces
        from torch._inductor import config

        with config.patch(freezing=True):
            task()
    return task


def _training_step(module: Any, images: Any, dtype: Any, compiles: bool, device: Any) -> Task:
    """Forward, cross-entropy, backward, SGD with momentum; bfloat16 by autocast."""
    import torch
    import torch.nn.functional as F

    run = _compiled(module.train(), device) if compiles else module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    targets = torch.arange(len(images), device=device) % 1000

    def task() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(run(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return task


def _median(task: Task, device: Any, seconds: float = 1.0) -> float:
    """The median of runs launched one behind another, after a warm-up; events are the clock."""
    import torch

    if device.type != "cuda":
        task()
        started = time.perf_counter()
        task()
        return time.perf_counter() - started
    started = time.perf_counter()
    warm = 0
    while warm < 5 or time.perf_counter() - started < seconds / 4:
        task()
        torch.cuda.synchronize()
        warm += 1
    spans: list[float] = []
    started = time.perf_counter()
    while len(spans) < 20 or (time.perf_counter() - started < seconds and len(spans) < 1000):
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(11)]  # type: ignore[no-untyped-call]
        marks[0].record()
        for mark in marks[1:]:
            task()
            mark.record()
        torch.cuda.synchronize()
        spans += [a.elapsed_time(b) / 1000 for a, b in pairwise(marks)]
    return statistics.median(spans)


def write(cells: Path) -> None:
    """Write the section of the cells into docs/benchmarks.md."""
    from report import table, write_section

    done = _read(cells)
    machine = done.pop("machine")
    if machine.startswith(CPU):
        raise SystemExit(f"{cells} was measured on a CPU, and the section is about a GPU")
    parts = [
        "## Emitted modules on a GPU\n\n"
        f"`benchmarks/cuda.py` on {machine}: milliseconds, medians by device events, 3x224x224, "
        "random weights; compiled with frozen weights (forward) and CUDA graphs. Convolutions in "
        "float32 may use TF32, as torch lets them. An em dash stands for what was not installed "
        "or did not fit into memory."
    ]
    for task, candidates in CANDIDATES.items():
        found = {key: times for key, times in done.items() if key.endswith(f"/{task}")}
        rows = [
            [*_label(key), *(_milliseconds(times.get(one)) for one in candidates)]
            for key, times in found.items()
        ]
        heading = ["network", "batch", "type", "layout", *candidates]
        parts.append(f"### {task.capitalize()}\n\n{table(heading, rows)}\n\n{_verdict(found)}")
    write_section("cuda", "\n\n".join(parts))


def _label(key: str) -> list[str]:
    network, batch, dtype, layout, _ = key.split("/")
    return [network, batch, dtype, "NCHW" if layout == "contiguous_format" else layout]


def _milliseconds(seconds: float | None) -> str:
    return "—" if seconds is None else f"{1000 * seconds:.2f}"


def _verdict(found: dict[str, dict[str, float | None]]) -> str:
    """In how many cells archc is as quick as the best of its peers, of those that a peer is
    measured in: by the deploy form, compiled, where that was to be measured, else by its
    quickest."""
    ahead = compared = 0
    for times in found.values():
        theirs = [t for name, t in times.items() if t and not name.startswith("archc")]
        if not theirs:
            continue
        ours = [t for name, t in times.items() if t and name.startswith("archc")]
        if DEPLOYED in times:
            ours = [times[DEPLOYED] or math.inf]
        compared += 1
        ahead += min(ours, default=math.inf) <= min(theirs)
    if not compared:
        return "No peer was measured."
    which = "deploy form, compiled," if any(DEPLOYED in t for t in found.values()) else "quickest"
    return (
        f"archc's {which} is at least as quick as its best peer in {ahead} of the {compared} cells "
        "in which one was measured."
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    emitting = commands.add_parser("emit")
    emitting.add_argument("modules", type=Path)
    running = commands.add_parser("run")
    running.add_argument("modules", type=Path)
    running.add_argument("cells", type=Path)
    running.add_argument("--device", default="cuda")
    running.add_argument("--network", action="append", choices=NETWORKS)
    running.add_argument("--batch", action="append", type=int)
    writing = commands.add_parser("write")
    writing.add_argument("cells", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if arguments.command == "emit":
        emit(arguments.modules)
    elif arguments.command == "run":
        run(arguments)
    else:
        write(arguments.cells)


if __name__ == "__main__":
    main()
