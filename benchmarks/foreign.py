"""How fast archc counts ONNX files and exported programs, and how much of them it reads.

python benchmarks/foreign.py

ARCHC_COUNTERS names a folder with onnx-tool and onnx-opcounter (and tabulate) in it; those that are
not there are left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime
import torch
from counting import FOLDER
from report import machine, process, table, write_section

import archc

NETWORKS = ("resnet18", "resnet50", "vgg16")
PEERS = {
    "onnx-tool": "import onnx_tool, numpy; graph = onnx_tool.Model(file).graph; "
    "graph.shape_infer({'x': numpy.zeros((1, 3, 224, 224), 'float32')}); graph.profile()",
    "onnx-opcounter": "import onnx, onnx_opcounter; onnx_opcounter.calculate_macs(onnx.load(file))",
}
LOAD = (
    "import sys; file = sys.argv[1]; sys.path += sys.argv[2:]; import onnxruntime; "
    "onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider']); "
)
ROUNDS = 9


def main() -> None:
    """Measure, and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: _files(name, Path(folder)) for name in NETWORKS}
        text = "\n\n".join([_intro(), _beside_peers(files["resnet50"][0]), _reading(files)])
    write_section("foreign", text)


def _intro() -> str:
    return (
        "## Models of other libraries\n\n"
        f"`benchmarks/foreign.py` on {machine()}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}. All from one run.\n\n"
        "The files are torchvision's networks with random weights, written by torch's older ONNX "
        f"exporter and by `torch.export.save`. `{FOLDER}` names the folder with the peers."
    )


def _files(name: str, folder: Path) -> tuple[Path, Path]:
    """A network as an ONNX file and as an exported program."""
    module = archc.module(f"torchvision/{name}").eval()
    onnx, program = folder / f"{name}.onnx", folder / f"{name}.pt2"
    images = torch.zeros(1, 3, 224, 224)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (images,), onnx, dynamo=False, input_names=["x"])
        torch.export.save(torch.export.export(module, (images,)), program)
    return onnx, program


def _beside_peers(file: Path) -> str:
    """Whole processes that count an ONNX file, in turns."""
    ours = "`archc count resnet50.onnx`"
    tasks = {ours: [sys.executable, "-m", "archc", "count", str(file)]}
    for name, code in {"nothing else": "", **PEERS}.items():
        command = [sys.executable, "-c", LOAD + code, str(file), os.environ.get(FOLDER, "")]
        if subprocess.run(command, capture_output=True).returncode == 0:
            tasks[f"onnxruntime loads it, {name} counts it" if code else "onnxruntime loads it"] = (
                command
            )
    seconds = _in_turns(tasks)
    rows = [
        [name, f"{statistics.median(times):.2f} s", f"{_ratio(times, seconds[ours]):.1f}"]
        for name, times in seconds.items()
    ]
    return (
        f"Counting an ONNX file of ResNet-50 ({file.stat().st_size / 1e6:.0f} MB), medians of "
        f"{ROUNDS} rounds in which each ran once as a process of its own:\n\n"
        + table(["process", "wall time", "times archc's"], rows)
    )


def _in_turns(tasks: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    # Byte code is written and found, as it is for users.
    clean = {key: one for key, one in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(ROUNDS + 1):
        for name, command in tasks.items():
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True, env=clean)
            if number:  # the first round warms the disk's cache
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _ratio(times: Sequence[float], ours: Sequence[float]) -> float:
    """How many times as long as archc something takes: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(times, ours, strict=True))


def _reading(files: Mapping[str, tuple[Path, Path]]) -> str:
    """Time and memory of a count beside the size of the file."""
    rows = []
    for pair in files.values():
        for file in pair:
            command = [sys.executable, "-m", "archc", "count", str(file)]
            run = process(command)
            rows.append(
                [
                    f"`archc count {file.name}`",
                    f"{file.stat().st_size / 1e6:.0f} MB",
                    f"{run.seconds:.2f} s",
                    f"{run.megabytes:.0f} MB",
                    f"{_from_disk(command, file) / 1e6:.1f} MB",
                ]
            )
    return (
        "A count reads no weights, so its time does not grow with them. Memory has pages of the "
        "disk's cache around what is read; the last column is what a count reads from the disk of "
        "a file that is not in that cache:\n\n"
        + table(["process", "file", "wall time", "peak memory", "read from the disk"], rows)
    )


_READER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
    file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
print(os.wait4(child, 0)[2].ru_inblock * 512)
"""


def _from_disk(command: Sequence[str], file: Path) -> int:
    """The bytes that a process reads from the disk when the cache has nothing of a file."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return int(subprocess.check_output([sys.executable, "-S", "-c", _READER, *command]))


if __name__ == "__main__":
    main()
