"""A training step of archc beside a plain loop over a module written by hand.

Both have all images on the device. The plain loop draws one crop for a whole batch, as is easily
written; archc one for each image. It runs on the GPU where there is one, otherwise on the CPU.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from peers import Task, interleaved, speed
from report import machine, table, write_section
from torch import Tensor, nn

import archc
from archc.devices import describe_device
from archc.recipes import load_recipe
from archc.training import Run, Silent
from archc.training.data import ImageSource
from archc.training.images import open_data
from archc.training.loop import Asked, Loop
from archc.training.loop import Task as Training

BATCH, ROUNDS = 128, 20
DEPTHS = {"resnet20": 3, "resnet56": 9}
SIZE, IMAGES = 32, 10_000


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, as torchvision writes them; option A."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride, self.extra = stride, planes - inplanes

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.extra:
            strided = x[:, :, :: self.stride, :: self.stride]
            identity = F.pad(strided, (0, 0, 0, 0, 0, self.extra))
        out += identity
        activated: Tensor = self.relu(out)
        return activated


def _by_hand(depth: int) -> nn.Module:
    """The paper's network for CIFAR-10 with some blocks in each stage."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inplanes = 16
    for planes in (16, 32, 64):
        for index in range(depth):
            stride = 2 if index == 0 and planes != 16 else 1
            layers.append(_Block(inplanes, planes, stride))
            inplanes = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def main() -> None:
    """Measure, and write the section into docs/benchmarks.md."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ways = [("float32", False), ("float32", True)]
    if device.type == "cuda":
        ways.append(("bfloat16", True))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        _make_images(Path(folder))
        for name, depth in DEPTHS.items():
            for dtype, compiles in ways:
                layouts = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
                tasks = {
                    layout: _plain(depth, device, layouts[layout], dtype, compiles)
                    for layout in layouts
                }
                tasks["archc"] = _archc(name, Path(folder), dtype, compiles)
                rows.append(_row(name, dtype, compiles, interleaved(tasks, ROUNDS, runs=1)))
    heading = [
        "network",
        "",
        "plain loop, NCHW",
        "plain loop, channels_last",
        "archc",
        "times as quick as NCHW",
        "as channels_last",
        "images/s",
    ]
    write_section(
        "training",
        "## Training\n\n"
        f"`benchmarks/training.py` on {describe_device(device)}; {machine()}.\n\n"
        f"A training step at batch {BATCH}: images, forward, backward, and SGD with momentum and "
        "weight decay. The plain loop trains a hand-written module and draws one crop per batch; "
        f"archc draws one per image. Medians of {ROUNDS} alternating rounds.\n\n"
        + table(heading, rows),
    )


def _row(name: str, dtype: str, compiles: bool, times: dict[str, list[float]]) -> list[str]:
    ours = statistics.median(times["archc"])
    return [
        f"cifar10/{name}",
        f"{dtype}, {'compiled' if compiles else 'eager'}",
        *(f"{1000 * statistics.median(measured):.1f} ms" for measured in times.values()),
        f"{speed(times, 'archc', 'NCHW'):.2f}",
        f"{speed(times, 'archc', 'channels_last'):.2f}",
        f"{BATCH / ours:,.0f}",
    ]


def _make_images(folder: Path) -> None:
    """Six files of noise in CIFAR-10's layout."""
    generator = torch.Generator().manual_seed(0)
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        records = torch.randint(256, (10_000, 3073), generator=generator, dtype=torch.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.numpy().tobytes())


def _finished(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _plain(
    depth: int, device: torch.device, layout: torch.memory_format, dtype: str, compiles: bool
) -> Task:
    module = _by_hand(depth).to(device)
    module.to(memory_format=layout)  # type: ignore[call-overload]
    run: Callable[[Tensor], Tensor] = module
    if compiles:
        run = torch.compile(module, options={"triton.cudagraphs": device.type == "cuda"})
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    padded = torch.randn(IMAGES, 3, SIZE + 8, SIZE + 8, device=device).to(memory_format=layout)
    numbers = torch.randint(10, (IMAGES,), device=device)

    def step() -> None:
        chosen = torch.randint(IMAGES, (BATCH,), device=device)
        top, left, mirrors = (random.randrange(n) for n in (9, 9, 2))
        images = padded[chosen][:, :, top : top + SIZE, left : left + SIZE]
        images = (images.flip(3) if mirrors else images).contiguous(memory_format=layout)
        labels = numbers[chosen]
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = F.cross_entropy(run(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _finished(device)

    return step


def _archc(name: str, folder: Path, dtype: str, compiles: bool) -> Task:
    network = archc.load(f"cifar10/{name}")
    recipe = load_recipe("cifar10", [f"batch={BATCH}"])
    precision: Any = "bf16-mixed" if dtype == "bfloat16" else "32-true"
    fabric = Fabric(accelerator="auto", devices=1, precision=precision)
    fabric.launch()
    data = open_data(ImageSource(folder, recipe, (SIZE, SIZE), 10, fabric.device))
    task = Training(network, recipe, Run(folder / "run"), 0, compiles)
    loop = Loop(task, fabric, data, None, Silent(), Asked())
    batches: Iterator[tuple[Tensor, Tensor]] = data.batches(0, 10**9)

    def step() -> None:
        loop.step(*next(batches))
        _finished(fabric.device)

    return step


if __name__ == "__main__":
    main()
