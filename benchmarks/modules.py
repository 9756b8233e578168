"""The emitted modules beside torchvision's, on a CPU.

ARCHC_TORCHVISION names a folder with torchvision in it; without torchvision, those rows are left
out. OpenVINO is measured where it is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from peers import TORCHVISION, Task, interleaved, speed, torchvision_models
from report import machine, process, table, write_section
from torch import Tensor, nn
from torch._inductor import config
from torch.fx.experimental.optimization import fuse

import archc
from archc.bench.timing import measure_rates, peak_memory

BATCH, ROUNDS = 8, 8
INSTANCES, INSTANCE_ROUNDS, CHANGE_ROUNDS = 4, 4, 32
PEER = "torchvision, eager"
NETWORKS = ("resnet34", "resnet50")
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


def main() -> None:
    """Measure, and write the sections into docs/benchmarks.md: all, or those that are named."""
    torch.manual_seed(0)
    measures = {"modules": _modules, "shortcuts": _shortcuts}
    for name in sys.argv[1:] or measures:
        write_section(name, measures[name]())


def _modules() -> str:
    models = torchvision_models()
    sections = [_intro()]
    if models is not None:
        sections += [_beside_torchvision(models)]
    return "\n\n".join([*sections, _deepest()])


def _intro() -> str:
    return (
        "## Emitted modules\n\n"
        f"`benchmarks/modules.py` on {machine()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, batch {BATCH}, 3x224x224. Ratios are taken in one run in which all "
        f"take turns: the median over {ROUNDS} rounds of the peer's time over ours, so that more "
        f"than 1 is quicker. The limit is the multiply-adds at the best rate of a matrix product "
        "or a 3x3 convolution of 256 channels in the same run. "
        f"Weights are the same; `{TORCHVISION}` names torchvision's folder."
    )


def _beside_torchvision(models: ModuleType) -> str:
    rows: dict[str, list[str]] = {}
    for name in NETWORKS:
        theirs = getattr(models, name)()
        _settle(theirs)
        state = theirs.state_dict()
        with tempfile.TemporaryDirectory() as folder:
            forwards = dict(_forwards(name, theirs.eval(), state, Path(folder)))
            before = _limits(name)
            times = interleaved(forwards, ROUNDS)
            after = _limits(name)
        steps = {
            PEER: _training_step(theirs),
            "archc, eager": _training_step(archc.module(f"torchvision/{name}", weights=state)),
        }
        training = interleaved(steps, ROUNDS, runs=1)
        for limit in before:
            times[limit] = [min(before[limit], after[limit])] * ROUNDS
        for label, measured in (("forward", times), ("training step", training)):
            for candidate in measured:
                cells = [
                    f"{1000 * statistics.median(measured[candidate]):.0f} ms",
                    f"{speed(measured, candidate, PEER):.2f}",
                ]
                rows.setdefault(f"{label}: {candidate}", []).extend(cells)
    heading = [""]
    for name in NETWORKS:
        heading += [name, "times torchvision"]
    return table(heading, [[label, *cells] for label, cells in rows.items()])


def _limits(name: str) -> dict[str, float]:
    """Seconds that the multiply-adds alone take, at the best rate that the machine shows now."""
    device, multiply_adds = torch.device("cpu"), archc.load(f"torchvision/{name}").multiply_adds
    return {
        f"the limit in {dtype}": BATCH
        * multiply_adds
        / measure_rates(device, getattr(torch, dtype)).multiply_adds
        for dtype in ("float32", "bfloat16")
    }


@torch.no_grad()
def _settle(module: nn.Module) -> None:
    """Take the running statistics of norms from a batch of noise."""
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    module.train()(torch.randn(4, 3, 224, 224))
    for norm in norms:
        norm.momentum = 0.1


def _images(**how: Any) -> Tensor:
    return torch.randn(BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(**how)


def _forwards(
    name: str, theirs: nn.Module, state: dict[str, Tensor], folder: Path
) -> Iterator[tuple[str, Task]]:
    """The ways to run a network, torchvision's first; all put out the same."""
    spec, last = f"torchvision/{name}", torch.channels_last
    images = _images()
    yield PEER, _forward(theirs, images)

    def deployed(**how: Any) -> nn.Module:
        return archc.module(spec, weights=state, deploy=True).eval().to(**how)

    yield "archc, eager", _forward(archc.module(spec, weights=state).eval(), images)
    yield (
        "archc, deploy, channels_last",
        _forward(deployed(memory_format=last), _images(memory_format=last)),
    )
    yield (
        "archc, deploy, channels_last, compiled",
        _frozen(deployed(memory_format=last), _images(memory_format=last)),
    )
    yield (
        "torchvision, folded by torch.fx, channels_last, compiled",
        _frozen(_channels_last(fuse(theirs)), _images(memory_format=last)),
    )
    half = {"memory_format": last, "dtype": torch.bfloat16}
    yield (
        "archc, deploy, channels_last, compiled, bfloat16",
        _frozen(deployed(**half), _images(**half)),
    )
    file = folder / f"{name}.onnx"
    file.write_bytes(archc.export(spec, weights=state, deploy=True))
    array = images.numpy()
    yield "archc, deploy, ONNX in onnxruntime", _in_onnxruntime(file, array)
    exported = folder / "torchvision.onnx"
    torch.onnx.export(theirs, (images,), exported, input_names=["input"], dynamo=False)
    yield "torchvision, torch.onnx.export in onnxruntime", _in_onnxruntime(exported, array)
    if importlib.util.find_spec("openvino"):
        for precision in ("f32", "bf16"):
            run = _in_openvino(file, array, precision)
            yield f"archc, deploy, ONNX in OpenVINO, {precision}", run


def _channels_last(module: nn.Module) -> nn.Module:
    moved: nn.Module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def _forward(module: Callable[[Tensor], Tensor], images: Tensor) -> Task:
    def task() -> None:
        with torch.no_grad():
            module(images)

    return task


def _frozen(module: nn.Module, images: Tensor) -> Task:
    """A forward compiled with its weights as constants, which is asked for while it traces."""
    torch.compiler.reset()
    task = _forward(torch.compile(module), images)
    with config.patch(freezing=True):
        task()
    return task


def _in_onnxruntime(file: Path, images: np.ndarray[Any, Any]) -> Task:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": images})


def _in_openvino(file: Path, images: np.ndarray[Any, Any], precision: str) -> Task:
    openvino = importlib.import_module("openvino")
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(file, "CPU", options).create_infer_request()
    return lambda: request.infer({0: images})


def _training_step(module: nn.Module, **how: Any) -> Task:
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    return _step(module, optimizer, _images(**how), 1000)


def _step(
    run: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer, images: Tensor, classes: int
) -> Task:
    targets = torch.arange(len(images)) % classes

    def step() -> None:
        F.cross_entropy(run(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


_Step: TypeAlias = Callable[[nn.Module], Task]
"""Makes a training step of a network with one of the options."""


def _shortcuts() -> str:
    """A training step with option A beside one with option B."""
    networks, blocks = [], []
    for spec, batch, size, classes in (
        ("imagenet/resnet34", BATCH, 224, 1000),
        ("cifar10/resnet20", 128, 32, 10),
    ):
        for last in (False, True):
            layout = torch.channels_last if last else torch.contiguous_format
            images = torch.randn(batch, 3, size, size).to(memory_format=layout)
            for compiles in (False, True):
                start = [
                    f"{spec}, batch {batch}",
                    "channels_last" if last else "NCHW",
                    "compiled" if compiles else "eager",
                ]
                whole = partial(_network_step, images, classes, compiles)
                part = partial(_change_step, images, compiles)
                networks.append([*start, *_compared(spec, layout, whole, INSTANCE_ROUNDS)])
                blocks.append([*start, *_compared(spec, layout, part, CHANGE_ROUNDS)])
    heading = ["training step", "layout", "", "A", "B", "time, A over B", "memory, A over B"]
    return (
        "## Option A beside option B\n\n"
        f"`benchmarks/modules.py shortcuts` on {machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}: a training step with option A's shortcuts and one with B's. "
        f"The median over {INSTANCES} pairs of modules, made anew, in {INSTANCE_ROUNDS} rounds "
        "each, as two modules of the same option differ by up to 2 %. Behind it, between which "
        f"ratios half of all rounds lie.\n\n{table(heading, networks)}\n\n"
        "Forward and backward of the first block that changes the shape and the one before it, in "
        f"{CHANGE_ROUNDS} rounds for each pair:\n\n{table(heading, blocks)}"
    )


def _compared(spec: str, layout: torch.memory_format, make: _Step, rounds: int) -> list[str]:
    """The cells of a row: times with A and B, and the ratios of times and of memory."""
    times: dict[str, list[float]] = {"A": [], "B": []}
    for _ in range(INSTANCES):
        torch.compiler.reset()
        steps = {
            option: make(
                archc.module(archc.load(spec, with_={"shortcut": option}))
                .train()
                .to(memory_format=layout)  # type: ignore[call-overload]
            )
            for option in times
        }
        for option, measured in interleaved(steps, rounds, runs=1).items():
            times[option] += measured
    ratios = [a / b for a, b in zip(times["A"], times["B"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    device = torch.device("cpu")
    peaks = {option: peak_memory(step, device) for option, step in steps.items()}
    return [
        *(f"{1000 * statistics.median(times[option]):.0f} ms" for option in "AB"),
        f"{middle:.3f} ({low:.2f} to {high:.2f})",
        f"{peaks['A'] / peaks['B']:.3f}",
    ]


def _network_step(images: Tensor, classes: int, compiles: bool, module: nn.Module) -> Task:
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    return _step(torch.compile(module) if compiles else module, optimizer, images, classes)


def _change_step(images: Tensor, compiles: bool, module: Any) -> Task:
    """Forward and backward of the last block of the first stage and the first of the second."""
    seen: list[Tensor] = []
    hook = module.layer1.register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    with torch.no_grad():
        module(images)
    hook.remove()
    x = seen[0].detach().requires_grad_()
    blocks = nn.Sequential(module.layer1[-1], module.layer2[0])
    run = torch.compile(blocks) if compiles else blocks
    gradient = torch.randn_like(run(x))

    def step() -> None:
        run(x).backward(gradient)
        x.grad = None

    return step


def _deepest() -> str:
    """ResNet-1202: emitted, imported, constructed."""
    emitted = process([sys.executable, "-m", "archc", "emit", "cifar10/resnet1202"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.py"
        file.write_text(archc.emit("cifar10/resnet1202"))
        spans = [
            float(subprocess.check_output([sys.executable, "-c", MODULE_1202, str(file)]))
            for _ in range(5)
        ]
    return (
        "### ResNet-1202\n\n"
        f"`archc emit cifar10/resnet1202` takes {emitted.seconds:.2f} s as a process; importing "
        "what it wrote and constructing the module on the meta device "
        f"{statistics.median(spans):.2f} s, torch itself being imported already."
    )


if __name__ == "__main__":
    main()
