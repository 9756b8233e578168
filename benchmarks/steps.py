"""Where the time of a training step goes on a CPU, and what other ways of doing it would change.

python benchmarks/steps.py
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from peers import Task, interleaved, speed
from report import machine, table, write_section
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from training import BATCH, SIZE, _make_images

import archc
from archc.devices import computes_bfloat16, describe_device
from archc.recipes import load_recipe
from archc.training.data import ImageSource
from archc.training.images import open_data
from archc.training.initialize import initial_module

NAME = "cifar10/resnet20"
ROUNDS, PROFILED = 12, 10
CPU = torch.device("cpu")

KINDS = {
    "aten::mkldnn_convolution": "convolutions, forward",
    "aten::convolution_backward": "convolutions, backward",
    "aten::native_batch_norm": "batch norms",
    "aten::native_batch_norm_backward": "batch norms",
    "aten::threshold_backward": "ReLUs and sums",
    "aten::clamp_min_": "ReLUs and sums",
    "aten::relu_": "ReLUs and sums",
    "aten::add_": "ReLUs and sums",
    "aten::index_select": "images",
    "aten::div": "images",
    "aten::_fused_sgd_": "optimizer",
}
"""What torch's profiler calls an op, in words; a compiled graph fuses norms, relus and sums."""


class _Way:
    """A way of training: as archc does, or with one thing changed."""

    def __init__(
        self,
        folder: Path,
        *,
        layout: torch.memory_format = torch.channels_last,
        dtype: str = "float32",
        compiles: bool = False,
        fused: bool = True,
    ):
        network, recipe = archc.load(NAME), load_recipe("cifar10", [f"batch={BATCH}"])
        source = ImageSource(folder, recipe, (SIZE, SIZE), 10, CPU)
        self._batches: Iterator[tuple[Tensor, Tensor]] = open_data(source).batches(0, 10**9)
        module = initial_module(network, recipe, 0)
        module.to(memory_format=layout)  # type: ignore[call-overload]
        self._layout, self._bfloat16 = layout, dtype == "bfloat16"
        self._module: nn.Module = torch.compile(module) if compiles else module  # type: ignore[assignment]
        self._optimizer = torch.optim.SGD(
            module.parameters(), 0.1, 0.9, weight_decay=1e-4, fused=fused, foreach=not fused
        )

    def step(self) -> None:
        """Images, forward, backward, optimizer."""
        images, labels = next(self._batches)
        images = images.contiguous(memory_format=self._layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            loss = F.cross_entropy(self._module(images), labels)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


def main() -> None:
    """Measure, and write the section into docs/benchmarks.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_images(folder)
        ways = {
            "as archc does: channels_last, fused optimizer": _Way(folder),
            "contiguous (NCHW)": _Way(folder, layout=torch.contiguous_format),
            "`foreach` optimizer": _Way(folder, fused=False),
            "compiled": _Way(folder, compiles=True),
        }
        if computes_bfloat16(CPU):
            ways["bfloat16"] = _Way(folder, dtype="bfloat16")
            ways["bfloat16, compiled"] = _Way(folder, dtype="bfloat16", compiles=True)
        tasks: dict[str, Task] = {title: way.step for title, way in ways.items()}
        times = interleaved(tasks, ROUNDS, runs=1)
        ours = next(iter(ways))
        rows = [
            [
                title,
                f"{BATCH / statistics.median(measured):,.0f}",
                f"{speed(times, title, ours):.2f}",
            ]
            for title, measured in times.items()
        ]
        profiled = [title for title in ways if title in (ours, "compiled") or "bf" in title]
        shares = {title: _shares(ways[title]) for title in profiled}
    kinds = [*dict.fromkeys(KINDS.values()), "fused by the compiler", "everything else"]
    profiles = [
        [title, *(f"{share.get(kind, 0):.1f} %" for kind in kinds)]
        for title, share in shares.items()
    ]
    convolutions = sum(shares[ours].get(kind, 0) for kind in kinds[:2])
    images, optimizer = (shares[ours].get(kind, 0) for kind in ("images", "optimizer"))
    write_section(
        "steps",
        "## What a CPU spends a training step on\n\n"
        f"`benchmarks/steps.py` on {describe_device(CPU)}; {machine()}.\n\n"
        f"{NAME} at batch {BATCH}, in turns, {ROUNDS} rounds.\n\n"
        + table(["", "images/s", "relative speed"], rows)
        + f"\n\nThe time of {PROFILED} steps by torch's profiler:\n\n"
        + table(["", *kinds], profiles)
        + f"\n\n{convolutions:.0f} % of the step are convolutions, which oneDNN computes in each "
        "of these ways. If everything else took no time, a step would be "
        f"{100 / convolutions:.2f} times as fast. Preparing images, which another process could "
        f"do meanwhile, takes {images:.1f} %, the optimizer {optimizer:.1f} %.",
    )


def _shares(way: _Way) -> dict[str, float]:
    """The share of each kind of op in the time of some steps, in percent."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(PROFILED):
            way.step()
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        kind = KINDS.get(event.key, "everything else")
        if "CompiledFxGraph" in event.key:
            kind = "fused by the compiler"
        spent[kind] += event.self_cpu_time_total
    return {kind: 100 * time / spent.total() for kind, time in spent.items()}


if __name__ == "__main__":
    main()
