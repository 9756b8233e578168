"""How fast figures are drawn and pages follow saves, beside torchview.

ARCHC_TORCHVIEW names a folder with torchview and pygraphviz in it, as `pip install --target` makes
it; without torchview, its row is left out.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Run, machine, process, table, write_section

ROOT = Path(__file__).parents[1]
FOLDER = "ARCHC_TORCHVIEW"
SAVES = 15

PEER = """
import importlib.util, os, sys
sys.path.append(os.environ.get("ARCHC_TORCHVIEW", ""))
import pygraphviz
from torchview import draw_graph
spec = importlib.util.spec_from_file_location("net", sys.argv[1])
net = importlib.util.module_from_spec(spec)
spec.loader.exec_module(net)
graph = draw_graph(net.ResNet34(), input_size=(1, 3, 224, 224), device="meta")
pygraphviz.AGraph(string=graph.visual_graph.source).draw(sys.argv[2], prog="dot")
"""

FLOOR = [sys.executable, "-c", "import yaml, click, pydantic"]

DRAWN = {
    "Figure 3: VGG-19, plain-34, ResNet-34": [
        "draw",
        "imagenet/vgg19",
        "imagenet/plain34",
        "imagenet/resnet34",
    ],
    "ResNet-34": ["draw", "imagenet/resnet34"],
    "ResNet-152, folded": ["draw", "imagenet/resnet152", "--fold"],
    "ResNet-1202, unfolded": ["draw", "cifar10/resnet1202"],
    "Inception v3": ["draw", "torchvision/inception_v3"],
    "DenseNet-201": ["draw", "torchvision/densenet201"],
    "ResNet-50 and SE-ResNet-50 with `--diff`, folded": [
        "draw",
        "imagenet/resnet50",
        "timm/seresnet50",
        "--diff",
        "--fold",
    ],
    "Figure 5: blocks of ResNet-34 and ResNet-50": [
        "draw",
        "imagenet/resnet34",
        "imagenet/resnet50",
        "--blocks",
    ],
    "report on plain-34 and ResNet-34": ["report", "imagenet/plain34", "imagenet/resnet34"],
}


def main() -> None:
    """Measure, and write the section."""
    write_section("figures", "\n\n".join([_intro(), _processes(), _watching()]))


def _intro() -> str:
    return (
        "## Figures\n\n"
        f"`benchmarks/figures.py` on {machine()}. Medians of processes that each write one file: "
        "an SVG, or HTML for the report.\n\n"
        "torchview draws every op of the emitted module, on the meta device; "
        f"`{FOLDER}` names its folder."
    )


def _processes() -> str:
    floor = process(FLOOR, times=5)
    rows = [["the floor: `python -c 'import yaml, click, pydantic'`", *_cost(floor, floor), ""]]
    with tempfile.TemporaryDirectory() as folder:
        for name, (command, *words) in DRAWN.items():
            out = f"{folder}/out.{'html' if command == 'report' else 'svg'}"
            run = process([sys.executable, "-m", "archc", command, *words, "-o", out], times=5)
            rows.append(_row(name, run, floor, Path(out)))
        peer = _peer(f"{folder}/peer.svg")
        if peer is not None:
            rows.append(_row("torchview: ResNet-34", peer, floor, Path(f"{folder}/peer.svg")))
    return table(["process", "wall time", "times the floor", "peak memory", "file"], rows)


def _row(name: str, run: Run, floor: Run, path: Path) -> list[str]:
    return [name, *_cost(run, floor), f"{path.stat().st_size / 1000:,.0f} kB"]


def _cost(run: Run, floor: Run) -> list[str]:
    times = f"{run.seconds / floor.seconds:.2f}"
    return [f"{run.seconds:.2f} s", times, f"{run.megabytes:.0f} MB"]


def _peer(out: str) -> Run | None:
    folder = os.environ.get(FOLDER, "")
    if importlib.util.find_spec("torchview") is None and not Path(folder, "torchview").is_dir():
        return None
    module = str(ROOT / "generated/imagenet/resnet34.py")
    return process([sys.executable, "-c", PEER, module, out], times=3)


def _watching() -> str:
    spec = "extends: imagenet/resnet152\nname: deep\ntitle: {}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "deep.yaml")
        path.write_text(spec.format("first"))
        command = [sys.executable, "-m", "archc", "watch", "deep.yaml", "--port", "0", "--no-fold"]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split("/")[2].rpartition(":")[2])
            times = _saves(path, spec, port)
        finally:
            server.terminate()
            server.wait()
    return (
        "`archc watch` of ResNet-152, unfolded, shows the new figure "
        f"{1000 * statistics.median(times):.0f} ms after a save; the slowest of {SAVES} saves took "
        f"{1000 * max(times):.0f} ms."
    )


def _saves(path: Path, spec: str, port: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/events")
    events = connection.getresponse()
    times = []
    _next(events)
    for number in range(SAVES + 1):
        time.sleep(0.3)
        started = time.perf_counter()
        path.write_text(spec.format(f"save {number}"))
        _next(events)
        times.append(time.perf_counter() - started)
    connection.close()
    return times[1:]


def _next(events: http.client.HTTPResponse) -> None:
    while not events.readline().startswith(b"data: "):
        pass


if __name__ == "__main__":
    main()
