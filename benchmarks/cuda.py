"""The emitted modules beside torchvision and timm, on a GPU.

    python benchmarks/cuda.py emit modules           # with archc: writes the modules to measure
    python benchmarks/cuda.py run modules cells.json # torchvision and timm are measured if there
    python benchmarks/cuda.py write cells.json       # with archc: the section of docs/benchmarks.md

`run` needs torch alone, and `PYTHONPATH=.` where archc is not installed. It goes on where it was
interrupted, on the same machine; benchmarks/cuda.json holds what docs/benchmarks.md shows. First
processes compile side by side, and use the GPU in turns; then what runs eagerly is measured with
nothing beside it. `--device cpu` with `--batch 1 --network resnet18` and a file of cells of its own
tries it where there is no GPU; `write` takes those of a GPU alone.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, TypeAlias

from turns import Turn, side_by_side

NETWORKS = ("resnet18", "resnet50", "resnet152")
BATCHES = (1, 32, 256)
LARGE = 256
TIE = 0.02
"""How much slower than its best peer archc may be and still be told as about even with it."""
DTYPES = ("bfloat16", "float32")
LAYOUTS = ("contiguous_format", "channels_last")
CPU = "a CPU"
OURS, DEPLOYED = "archc", "archc, deploy, compiled"
CANDIDATES = {
    "forward": ("torchvision", "torchvision, compiled", "timm", OURS, DEPLOYED),
    "training step": ("torchvision", "torchvision, compiled", "timm", OURS, "archc, compiled"),
}
Task: TypeAlias = Callable[[], object]
Measured: TypeAlias = float | str | None
"""Seconds, what went wrong, or None for what did not fit into memory."""


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


@dataclass(frozen=True)
class Group:
    """Candidates for one cell, measured in one process in turns, so that what slows one slows all.

    They are of one kind, eager or compiled. Alike modules compile to the same code, which is then
    compiled, and its kernels chosen, once; and a step's memory is used by the next candidate's.
    """

    cell: Cell
    candidates: tuple[str, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing may run beside it: launching its kernels could take longer than they."""
        return not _compiles(self.candidates[0]) and self.cell.batch < LARGE

    def told(self, found: dict[str, Measured] | None) -> dict[str, Measured]:
        """What its process told, or that it did not."""
        return dict.fromkeys(self.candidates, "its process ended") if found is None else found


@dataclass
class Cells:
    """The file of what was measured, whole after every group."""

    path: Path
    done: dict[str, Any]
    failed: int = 0

    def lacks(self, group: Group) -> Group | None:
        """The part of a group that is still to be measured."""
        times = self.done.get(group.cell.key, {})
        left = tuple(one for one in group.candidates if one not in times)
        return Group(group.cell, left) if left else None

    def add(self, group: Group, measured: Mapping[str, Measured]) -> None:
        """Keep and print what a group measured; failures are tried again by the next run."""
        for candidate, seconds in measured.items():
            said = f"{1000 * seconds:.3f} ms" if isinstance(seconds, float) else seconds
            print(f"{group.cell.key}: {candidate}: {said or 'out of memory'}", flush=True)
            if isinstance(seconds, str):
                self.failed += 1
            else:
                self.done.setdefault(group.cell.key, {})[candidate] = seconds
        self.save()

    def save(self) -> None:
        """Write the file, in the order of the tables. Raises SystemExit where that fails."""
        machine = {"machine": self.done["machine"]}
        order = [cell.key for cell in _cells() if cell.key in self.done]
        cells = {key: self.done[key] for key in order}
        whole = self.path.with_name(f"{self.path.name}.new")
        try:
            whole.write_text(json.dumps(machine | cells, indent=1) + "\n")
            whole.replace(self.path)
        except OSError as error:
            raise SystemExit(f"{self.path} cannot be written: {error}") from None


def emit(folder: Path) -> None:
    """Write the modules of the networks and their deploy forms."""
    import archc

    folder.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        for suffix, deploy in (("", False), ("_deploy", True)):
            source = archc.emit(f"torchvision/{name}", deploy=deploy)
            (folder / f"{name}{suffix}.py").write_text(source, encoding="utf-8")


def run(arguments: argparse.Namespace) -> None:
    """Measure all cells that the file does not have yet."""
    import torch

    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device; --device cpu tries this without one")
    files = [f"{name}{suffix}.py" for name in NETWORKS for suffix in ("", "_deploy")]
    if missing := [name for name in files if not (arguments.modules / name).exists()]:
        raise SystemExit(f"{arguments.modules} has no {missing[0]}: `emit` writes it")
    path: Path = arguments.cells
    machine = _machine(device)
    cells = Cells(path, _read(path) if path.exists() else {"machine": machine})
    if cells.done["machine"] != machine:
        raise SystemExit(f"{path} holds what {cells.done['machine']} did, and this is {machine}")
    cells.save()
    ends = time.monotonic() + 60 * arguments.minutes
    groups = [left for group in _groups(arguments) if (left := cells.lacks(group))]
    print(
        f"{machine}: {', '.join(sorted({one for g in groups for one in g.candidates}))}", flush=True
    )
    work = partial(_work, modules=arguments.modules, device=arguments.device)
    crowded = []
    others = [group for group in groups if not group.is_quiet]
    for group, found in side_by_side(work, others, arguments.jobs, ends):
        measured = group.told(found)
        good = {name: told for name, told in measured.items() if isinstance(told, float)}
        cells.add(group, good)
        # Alone, without what others hold of the memory, they may fit.
        crowded += [Group(group.cell, (name,)) for name in measured if name not in good]
    for group, found in side_by_side(work, crowded, 1, ends):
        cells.add(group, group.told(found))
    for group in groups:
        if group.is_quiet and time.monotonic() < ends:
            cells.add(group, _measure(group, arguments.modules, device, Turn()))
    if cells.failed:
        raise SystemExit(f"{cells.failed} measurements failed")
    if any(cells.lacks(group) for group in _groups(arguments)):
        raise SystemExit("the time was not enough; run it again, and it goes on")


def _read(path: Path) -> dict[str, Any]:
    try:
        done: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from None
    if not isinstance(done, dict) or not isinstance(done.get("machine"), str):
        raise SystemExit(f"{path} holds no measurements")
    keys = {cell.key for cell in _cells()} | {"machine"}
    for key, times in done.items():
        if key not in keys or not (key == "machine" or isinstance(times, dict)):
            raise SystemExit(f"{path} holds `{key}`, which is no cell")
    return done


def _machine(device: Any) -> str:
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else CPU
    return f"{name}, torch {torch.__version__}"


def _cells(networks: Sequence[str] = NETWORKS, batches: Sequence[int] = BATCHES) -> Iterator[Cell]:
    """All cells, in the order of the tables."""
    for task, network, batch, dtype, layout in product(
        CANDIDATES, networks, batches, DTYPES, LAYOUTS
    ):
        yield Cell(network, batch, dtype, layout, task)


def _groups(arguments: argparse.Namespace) -> Iterator[Group]:
    """All that is to be measured."""
    for cell in _cells(arguments.network or NETWORKS, arguments.batch or BATCHES):
        there = [one for one in CANDIDATES[cell.task] if _is_installed(one)]
        for compiled in (False, True):
            yield Group(cell, tuple(one for one in there if _compiles(one) is compiled))


def _compiles(candidate: str) -> bool:
    return candidate.endswith("compiled")


def _is_installed(candidate: str) -> bool:
    package = candidate.partition(",")[0]
    if package == "torchvision":
        from peers import torchvision_models

        return torchvision_models() is not None
    return package == OURS or importlib.util.find_spec(package) is not None


def _work(group: Group, turn: Turn, *, modules: Path, device: str) -> dict[str, Measured]:
    """Measure a group in a process of its own."""
    import torch

    if device != "cpu":
        torch.set_num_threads(1)
    return _measure(group, modules, torch.device(device), turn)


def _measure(group: Group, modules: Path, device: Any, turn: Turn) -> dict[str, Measured]:
    """The median times of a group's candidates."""
    tasks: dict[str, Task] = {}
    measured: dict[str, Measured] = {}
    for candidate in group.candidates:
        try:
            tasks[candidate] = _task(group.cell, candidate, modules, device, turn)
        except Exception as error:
            measured[candidate] = _said(error)
        turn.leave()
    turn.take()
    try:
        return measured | _medians(tasks, device)
    except Exception as error:
        return measured | dict.fromkeys(tasks, _said(error))


def _said(error: BaseException) -> str | None:
    return None if _is_out_of_memory(error) else f"{type(error).__name__}: {error}"


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is one of memory, or was raised for one: torch.compile wraps them."""
    import torch

    return error is not None and (
        isinstance(error, torch.OutOfMemoryError)
        or _is_out_of_memory(error.__cause__ or error.__context__)
    )


def _task(cell: Cell, candidate: str, modules: Path, device: Any, turn: Turn) -> Task:
    """What is measured, after a first run of it."""
    import torch

    torch.manual_seed(0)
    layout = getattr(torch, cell.layout)
    module = copy.deepcopy(_module(cell.network, candidate, modules, device))
    module = module.to(memory_format=layout)
    images = torch.randn(cell.batch, 3, 224, 224, device=device).to(memory_format=layout)
    run = module
    if _compiles(candidate):
        run = _compiled(module, device.type == "cuda", candidate == DEPLOYED, turn)
    else:
        turn.take()
    make = _training_step if cell.task == "training step" else _forward
    return make(module, run, images, getattr(torch, cell.dtype))


@cache
def _module(network: str, candidate: str, modules: Path, device: Any) -> Any:
    """A module with random weights on the device, made once."""
    package = candidate.partition(",")[0]
    if package == "timm":
        # By default timm's blocks start as identities, whose zeros are quicker to compute.
        make = importlib.import_module("timm").create_model
        return make(network, zero_init_last=False).to(device)
    if package == "torchvision":
        from peers import torchvision_models

        return getattr(torchvision_models(), network)().to(device)
    name = f"{network}_deploy" if "deploy" in candidate else network
    found = importlib.util.spec_from_file_location(name, modules / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    emitted = importlib.util.module_from_spec(found)
    sys.modules[name] = emitted
    found.loader.exec_module(emitted)
    return getattr(emitted, emitted.__all__[0])().to(device)


def _compiled(module: Any, graphs: bool, deployed: bool, turn: Turn) -> Any:
    """torch.compile, with CUDA graphs on CUDA, and for the deploy form with fused convolutions; it
    compiles when it first runs, then waits for its turn on the GPU."""
    import torch
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx

    from archc import inference

    # The backward is compiled with the forward, before the turn, where this torch can do so.
    early = "force_non_lazy_backward_lowering"
    settings = {early: True} if hasattr(config, early) else {}

    def plain(traced: Any, inputs: Any) -> Any:
        return compile_fx(traced, inputs, config_patches={"triton.cudagraphs": graphs})

    def backend(traced: Any, inputs: Any) -> Any:
        with config.patch(settings):
            compiled = (inference.backend if deployed else plain)(traced, inputs)

        def run(*values: Any) -> Any:
            turn.take()
            return compiled(*values)

        return run

    return torch.compile(module, backend=backend)


def _forward(module: Any, run: Any, images: Any, dtype: Any) -> Task:
    import torch
    from torch._inductor import config

    module.to(dtype).eval()
    images = images.to(dtype)

    def task() -> None:
        if run is not module:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            run(images)

    # Freezing makes constants of weights; it has to hold while torch traces.
    with config.patch(freezing=run is not module):
        task()
    return task


def _training_step(module: Any, run: Any, images: Any, dtype: Any) -> Task:
    """Forward, cross-entropy, backward, SGD with momentum; bfloat16 by autocast."""
    import torch
    import torch.nn.functional as F

    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    targets = torch.arange(len(images), device=images.device) % 1000

    def task() -> None:
        if run is not module:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(run(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    task()
    return task


def _medians(tasks: dict[str, Task], device: Any) -> dict[str, Measured]:
    """The median times of tasks in seconds; they take turns, of long tasks fewer."""
    spans: dict[str, list[float]] = {name: [] for name in tasks}
    runs: dict[str, int] = {}
    for name, task in tasks.items():
        _spans(task, device, 1)  # in the second run, CUDA graphs are recorded
        runs[name] = min(max(2, math.ceil(0.06 / min(_spans(task, device, 2)))), 100)
    turns = 10 if all(one > 2 for one in runs.values()) else 4
    for turn in range(turns):
        for name in list(tasks) if turn % 2 else reversed(list(tasks)):
            spans[name] += _spans(tasks[name], device, runs[name])
    return {name: statistics.median(found) for name, found in spans.items()}


def _spans(task: Task, device: Any, runs: int) -> list[float]:
    """Seconds of runs launched one behind another; events are the clock of a GPU."""
    import torch

    if device.type != "cuda":
        started = time.perf_counter()
        task()
        return [time.perf_counter() - started]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        task()
        mark.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1000 for a, b in pairwise(marks)]


def write(cells: Path) -> None:
    """Write the section of the cells into docs/benchmarks.md."""
    from report import table, write_section

    done = _read(cells)
    machine = done.pop("machine")
    if machine.startswith(CPU):
        raise SystemExit(f"{cells} was measured on a CPU, and the section is about a GPU")
    parts = [
        "## Emitted modules on a GPU\n\n"
        f"`benchmarks/cuda.py` on {machine}. Milliseconds, medians by device events, 3x224x224, "
        "random weights; float32 convolutions use TF32, torch's default.\n\n"
        "Everything compiled uses CUDA graphs and, for a forward, frozen weights. The deploy form "
        "is compiled with `archc.compiled`, without its copy of the logits; the others with "
        "torch.compile's default mode. timm runs eagerly.\n\n"
        "Within a row, the eager candidates took turns, and so did the compiled ones; up to batch "
        "32 the eager ones had the GPU to themselves, while the compiled ones ran beside "
        "processes that were compiling. What did not fit into memory that way was measured alone. "
        "The GPU's speed varied over time, so do not compare rows with each other, and compare "
        "eager with compiled columns only roughly. At batch 1 launch overhead dominates, and a "
        "ratio differed by a fifth between two runs. An em dash means not measured or out of "
        "memory."
    ]
    for task, candidates in CANDIDATES.items():
        cells_of_task = {key: times for key, times in done.items() if key.endswith(f"/{task}")}
        ratios = _ratios(cells_of_task)
        rows = [
            [
                *_label(key),
                *(_milliseconds(times.get(one)) for one in candidates),
                f"{ratios[key]:.2f}" if key in ratios else "—",
            ]
            for key, times in cells_of_task.items()
        ]
        heading = ["network", "batch", "type", "layout", *candidates, "times the best peer"]
        verdict = _verdict(task, list(ratios.values()))
        if rows:
            parts.append(f"### {task.capitalize()}\n\n{table(heading, rows)}\n\n{verdict}")
    write_section("cuda", "\n\n".join(parts))


def _label(key: str) -> list[str]:
    network, batch, dtype, layout, _ = key.split("/")
    return [network, batch, dtype, "NCHW" if layout == "contiguous_format" else layout]


def _milliseconds(seconds: float | None) -> str:
    return "—" if seconds is None else f"{1000 * seconds:.2f}"


def _ratios(cells: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """How many times as quick as its best peer archc is, by cell: its deploy form, where that was
    to be measured, else its quickest.

    A cell counts when all candidates that any cell has are measured in it, and one of the peers
    fits into memory.
    """
    candidates = {name for times in cells.values() for name in times}
    ratios = {}
    for key, times in cells.items():
        mine = DEPLOYED if DEPLOYED in candidates else OURS
        ours = [t for name, t in times.items() if t and name.startswith(mine)]
        theirs = [t for name, t in times.items() if t and not name.startswith(OURS)]
        if candidates <= times.keys() and theirs:
            ratios[key] = min(theirs) / min(ours, default=math.inf)
    return ratios


def _verdict(task: str, ratios: list[float]) -> str:
    """In how many cells archc is as quick as the best of its peers, of those with peers."""
    if not ratios:
        return "No cell has all of its candidates yet."
    which = "deploy form, compiled," if DEPLOYED in CANDIDATES[task] else "quickest"
    ahead = sum(ratio >= 1 for ratio in ratios)
    close = sum(1 - TIE <= ratio < 1 for ratio in ratios)
    tied = f", and within {100 * TIE:.0f} % of it in {close} more" if close else ""
    return (
        f"archc's {which} is at least as quick as its best peer in {ahead} of the {len(ratios)} "
        f"cells in which all were measured{tied}: {min(ratios):.2f} to {max(ratios):.2f} times as "
        f"quick, {statistics.median(ratios):.2f} in the middle."
    )


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    emitting = commands.add_parser("emit")
    emitting.add_argument("modules", type=Path)
    running = commands.add_parser("run")
    running.add_argument("modules", type=Path)
    running.add_argument("cells", type=Path)
    running.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    running.add_argument("--network", action="append", choices=NETWORKS)
    running.add_argument("--batch", action="append", type=int, choices=BATCHES)
    running.add_argument("--jobs", type=int, default=min(max(1, _processors() - 4), 16))
    running.add_argument("--minutes", type=float, default=math.inf)
    writing = commands.add_parser("write")
    writing.add_argument("cells", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "run" and arguments.jobs < 1:
        parser.error("--jobs must be at least 1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # processes are side by side
    if arguments.command == "emit":
        emit(arguments.modules)
    elif arguments.command == "run":
        run(arguments)
    else:
        write(arguments.cells)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("interrupted; run it again, and it goes on") from None
