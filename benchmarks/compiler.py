"""How fast and small the compiler is, beside torch's own FLOP counter; needs torch.

python benchmarks/compiler.py
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from report import machine, milliseconds, process, table, write_section

import archc

ROOT = Path(__file__).parents[1]
DEPTHS = ("resnet20", "resnet56", "resnet110", "resnet1202")

PEER = """
import importlib.util, sys
import torch
from torch.utils.flop_counter import FlopCounterMode
spec = importlib.util.spec_from_file_location("net", sys.argv[1])
net = importlib.util.module_from_spec(spec)
spec.loader.exec_module(net)
with torch.device("meta"):
    model = getattr(net, net.__all__[0])()
    image = torch.empty(1, 3, 224, 224)
with FlopCounterMode(display=False) as counter:
    model(image)
print(counter.get_total_flops() // 2)
"""


def main() -> None:
    """Measure, and write the section."""
    write_section("compiler", "\n\n".join([_intro(), _processes(), _in_process()]))


def _intro() -> str:
    return (
        "## The compiler\n\n"
        f"`benchmarks/compiler.py` on {machine()}. Medians, all from one run.\n\n"
        "The peer is the fastest way to count with torch: `torch.utils.flop_counter` on the "
        "emitted module, on the meta device."
    )


def _processes() -> str:
    archc_command = [sys.executable, "-m", "archc"]
    module = str(ROOT / "generated/imagenet/resnet152.py")
    counted = process([*archc_command, "count", "imagenet/resnet152"])
    peer = process([sys.executable, "-c", PEER, module])
    with tempfile.TemporaryDirectory() as folder:
        columns = ["imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34"]
        figure = process([*archc_command, "draw", *columns, "-o", f"{folder}/figure3.svg"])
    rows = [
        [
            "`archc count imagenet/resnet152`",
            f"{counted.seconds:.2f} s",
            f"{counted.megabytes:.0f} MB",
            f"{counted.seconds / peer.seconds:.3f} of the peer's time, "
            f"{counted.megabytes / peer.megabytes:.3f} of its memory",
        ],
        [
            "`torch.utils.flop_counter`, ResNet-152",
            f"{peer.seconds:.2f} s",
            f"{peer.megabytes:.0f} MB",
            "the peer",
        ],
        [
            "`archc draw` of Figure 3 as SVG",
            f"{figure.seconds:.2f} s",
            f"{figure.megabytes:.0f} MB",
            "",
        ],
    ]
    return table(["process", "wall time", "peak memory", ""], rows)


def _in_process() -> str:
    rows = []
    for name in ("imagenet/resnet152", *(f"cifar10/{depth}" for depth in DEPTHS)):
        network = archc.load(name)
        counting = milliseconds(partial(archc.count, name))
        emitting = milliseconds(partial(archc.emit, network), times=5)
        rows.append(
            [
                name,
                str(len(network.nodes)),
                f"{counting:.1f} ms",
                f"{1000 * counting / len(network.nodes):.1f} µs",
                f"{emitting:.1f} ms",
            ]
        )
    heading = ["in process", "nodes", "load and count", "per node", "emit"]
    return table(heading, rows)


if __name__ == "__main__":
    main()
