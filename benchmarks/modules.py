"""The emitted modules beside torchvision's, on a CPU.

ARCHC_TORCHVISION names a folder with torchvision in it; without torchvision, those rows are left
out. OpenVINO is measured where it is installed, and as a provider of onnxruntime where
ARCHC_ONNXRUNTIME_OPENVINO names a folder with the package onnxruntime-openvino in it, which takes
the name of onnxruntime and cannot be installed beside it. With the argument `eager` or `modules`,
that section of docs/benchmarks.md alone is measured.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from apart import Maker, measured_apart
from peers import (
    TORCHVISION,
    Task,
    cells,
    interleaved,
    settle,
    torchvision_models,
    training_step,
)
from report import machine, process, table, write_section
from torch import Tensor, nn
from torch._inductor import config
from torch.fx.experimental.optimization import fuse

import archc
from archc.timing.timing import measure_rates

BATCH, FORWARD_ROUNDS, STEP_ROUNDS = 8, 16, 32
PROCESSES, PROCESS_ROUNDS = 4, 5
PEER, OURS = "torchvision, eager", "archc, eager"
NETWORKS = ("resnet34", "resnet50")
SECTIONS = ("eager", "modules")
WITH_OPENVINO = "ARCHC_ONNXRUNTIME_OPENVINO"
WEIGHTS, ONNX, THEIR_ONNX = "weights.pth", "archc.onnx", "torchvision.onnx"
MODULE_1202 = """
import importlib.util, sys, time
import torch
start = time.perf_counter()
spec = importlib.util.spec_from_file_location("net", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with torch.device("meta"):
    module.ResNet1202()
print(time.perf_counter() - start)
"""


def main(sections: Sequence[str]) -> None:
    """Measure, and write sections into docs/benchmarks.md."""
    torch.manual_seed(0)
    models = torchvision_models()
    if models is not None and "eager" in sections:
        write_section("eager", _eager(models))
    if "modules" in sections:
        more = f", `{WITH_OPENVINO}` that of onnxruntime-openvino."
        parts = [_intro("Emitted modules, deployed") + more]
        parts += [_deployed(models)] if models is not None else []
        write_section("modules", "\n\n".join([*parts, _deepest()]))


def _intro(title: str) -> str:
    return (
        f"## {title}\n\n"
        f"`benchmarks/modules.py` on {machine()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, batch {BATCH}, 3x224x224.\n\n"
        "All take turns in one run, with the same weights. A ratio is the median of the rounds' "
        "ratios of the peer's time to ours, so more than 1 is faster; it is not the ratio of the "
        f"medians in the table. `{TORCHVISION}` names torchvision's folder"
    )


def _eager(models: ModuleType) -> str:
    rows: dict[str, list[str]] = {}
    for name, folder in _networks(models):
        for label, makers, rounds, runs in (
            ("forward", {PEER: _their_forward, OURS: _our_forward}, FORWARD_ROUNDS, 3),
            ("training step", {PEER: _their_step, OURS: _our_step}, STEP_ROUNDS, 1),
        ):
            tasks = {way: make(name, folder) for way, make in makers.items()}
            times = interleaved(tasks, rounds, runs)
            for way in tasks:
                row = [*cells(times, way, PEER), _half(times[PEER], times[way])]
                rows.setdefault(f"{label}: {way}", []).extend(row)
    heading = [""]
    for name in NETWORKS:
        heading += [name, "times torchvision", "middle half of the rounds"]
    return (
        f"{_intro('Emitted modules, eager')}. Both run in one process: {FORWARD_ROUNDS} "
        f"rounds of forwards, {STEP_ROUNDS} of training steps.\n\n"
        f"{table(heading, [[label, *row] for label, row in rows.items()])}"
    )


def _networks(models: ModuleType) -> Iterator[tuple[str, Path]]:
    """Networks, each with a folder that holds its files while it is measured."""
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            _write_files(getattr(models, name)(), name, Path(folder))
            yield name, Path(folder)


def _half(theirs: list[float], ours: list[float]) -> str:
    """Between which ratios half of the rounds lie."""
    low, _, high = statistics.quantiles([a / b for a, b in zip(theirs, ours, strict=True)], n=4)
    return f"{low:.2f} to {high:.2f}"


def _deployed(models: ModuleType) -> str:
    rows: dict[str, list[str]] = {}
    for name, folder in _networks(models):
        limits = [_limits(name)]
        forwards = measured_apart(_forwards(name, folder), PROCESSES, PROCESS_ROUNDS)
        limits.append(_limits(name))
        for way in forwards.times:
            rows.setdefault(way, []).extend(forwards.cells(way, PEER))
        peer = statistics.median(forwards.times[PEER])
        for limit in limits[0]:
            least = min(one[limit] for one in limits)
            row = [f"{1000 * least:.0f} ms", f"{peer / least:.2f}", "-"]
            rows.setdefault(limit, []).extend(row)
    heading = [""]
    for name in NETWORKS:
        heading += [name, "times torchvision", "page faults"]
    return (
        f"Each row has its own processes, {PROCESSES} in turn with {PROCESS_ROUNDS} rounds each, "
        "because on a shared heap eager torchvision reuses memory that the others have freed. Page "
        "faults are those of one forward: memory that the process returned to the system and gets "
        "back.\n\n"
        "The limit is the multiply-adds at the best rate of a matrix product or of a 3x3 "
        "convolution with 256 channels in the same run. The bandwidth limit, which `archc bench` "
        "also considers, is lower here.\n\n"
        f"{table(heading, [[label, *row] for label, row in rows.items()])}"
    )


def _limits(name: str) -> dict[str, float]:
    """Seconds that the multiply-adds alone take, at the best rate that the machine shows now."""
    device, multiply_adds = torch.device("cpu"), archc.load(f"torchvision/{name}").multiply_adds
    return {
        f"the limit in {dtype}": BATCH
        * multiply_adds
        / measure_rates(device, getattr(torch, dtype)).multiply_adds
        for dtype in ("float32", "bfloat16")
    }


def _write_files(theirs: nn.Module, name: str, folder: Path) -> None:
    """The weights that all share, and the ONNX files of both."""
    settle(theirs)
    torch.save(theirs.state_dict(), folder / WEIGHTS)
    file = folder / ONNX
    file.write_bytes(archc.export(f"torchvision/{name}", weights=folder / WEIGHTS, deploy=True))
    torch.onnx.export(
        theirs.eval(), (_images(),), folder / THEIR_ONNX, input_names=["input"], dynamo=False
    )


def _images(**how: Any) -> Tensor:
    return torch.randn(BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(**how)


def _forwards(name: str, folder: Path) -> dict[str, Maker]:
    """The ways to run a network, torchvision's first; all put out the same."""
    deployed = partial(_deployed_forward, name, folder)
    ways: dict[str, Maker] = {
        PEER: partial(_their_forward, name, folder),
        "archc, deploy, channels_last": deployed,
        "archc, deploy, channels_last, compiled": partial(deployed, compiles=True),
        "torchvision, folded by torch.fx, channels_last, compiled": partial(
            _their_folded_forward, name, folder
        ),
        "archc, deploy, channels_last, compiled, bfloat16": partial(
            deployed, compiles=True, dtype=torch.bfloat16
        ),
        "archc, deploy, ONNX in onnxruntime": partial(_in_onnxruntime, folder / ONNX),
        "torchvision, torch.onnx.export in onnxruntime": partial(
            _in_onnxruntime, folder / THEIR_ONNX
        ),
    }
    if with_openvino := os.environ.get(WITH_OPENVINO):
        for label, file in (
            ("archc, deploy, ONNX", ONNX),
            ("torchvision, torch.onnx.export", THEIR_ONNX),
        ):
            run = partial(_in_onnxruntime_with_openvino, folder / file, with_openvino)
            ways[f"{label} in onnxruntime with OpenVINO, f32"] = run
    if importlib.util.find_spec("openvino"):
        for precision in ("f32", "bf16"):
            run = partial(_in_openvino, folder / ONNX, precision)
            ways[f"archc, deploy, ONNX in OpenVINO, {precision}"] = run
    return ways


def _ours(name: str, folder: Path, deploy: bool = False) -> nn.Module:
    return archc.module(f"torchvision/{name}", weights=folder / WEIGHTS, deploy=deploy)


def _theirs(name: str, folder: Path) -> nn.Module:
    module: nn.Module = getattr(torchvision_models(), name)()
    module.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    return module


def _our_forward(name: str, folder: Path) -> Task:
    return _forward(_ours(name, folder).eval(), _images())


def _their_forward(name: str, folder: Path) -> Task:
    return _forward(_theirs(name, folder).eval(), _images())


def _deployed_forward(
    name: str, folder: Path, compiles: bool = False, dtype: torch.dtype = torch.float32
) -> Task:
    how: dict[str, Any] = {"memory_format": torch.channels_last, "dtype": dtype}
    module = _ours(name, folder, deploy=True).eval().to(**how)
    return _forward(archc.compiled(module) if compiles else module, _images(**how))


def _their_folded_forward(name: str, folder: Path) -> Task:
    last: Any = {"memory_format": torch.channels_last}
    return _frozen(fuse(_theirs(name, folder).eval()).to(**last), _images(**last))


def _forward(module: Callable[[Tensor], Tensor], images: Tensor) -> Task:
    def task() -> None:
        with torch.no_grad():
            module(images)

    return task


def _frozen(module: nn.Module, images: Tensor) -> Task:
    """A forward compiled with its weights as constants, which is asked for while it traces."""
    task = _forward(torch.compile(module), images)
    with config.patch(freezing=True):
        task()
    return task


def _in_onnxruntime(file: Path, provider: Any = "CPUExecutionProvider") -> Task:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=[provider])
    if isinstance(provider, tuple) and session.get_providers()[0] != provider[0]:
        raise SystemExit(f"onnxruntime has gone on without its {provider[0]}")
    images = _images().numpy()
    return lambda: session.run(None, {"input": images})


def _in_onnxruntime_with_openvino(file: Path, folder: str) -> Task:
    """In the build of onnxruntime that lies in a folder; in a process without another."""
    sys.path.insert(0, folder)
    options = {key: str(value) for key, value in _openvino_options("f32").items()}
    how = {"device_type": "CPU", "load_config": json.dumps({"CPU": options})}
    return _in_onnxruntime(file, ("OpenVINOExecutionProvider", how))


def _in_openvino(file: Path, precision: str) -> Task:
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    request = core.compile_model(file, "CPU", _openvino_options(precision)).create_infer_request()
    images = _images().numpy()
    return lambda: request.infer({0: images})


def _openvino_options(precision: str) -> dict[str, object]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }


def _our_step(name: str, folder: Path) -> Task:
    return training_step(_ours(name, folder).train(), _images(), 1000)


def _their_step(name: str, folder: Path) -> Task:
    return training_step(_theirs(name, folder).train(), _images(), 1000)


def _deepest() -> str:
    """ResNet-1202: emitted, imported, constructed."""
    emitted = process([sys.executable, "-m", "archc", "emit", "cifar10/resnet1202"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.py"
        file.write_text(archc.emit("cifar10/resnet1202"))
        runs = [
            subprocess.check_output([sys.executable, "-c", MODULE_1202, str(file)], text=True)
            for _ in range(5)
        ]
    return (
        "### ResNet-1202\n\n"
        f"`archc emit cifar10/resnet1202` takes {emitted.seconds:.2f} s as a process. Importing "
        "its output and constructing the module on the meta device takes "
        f"{statistics.median(map(float, runs)):.2f} s."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", nargs="?", choices=SECTIONS)
    chosen = parser.parse_args().section
    main([chosen] if chosen else SECTIONS)
