"""A training step with option A's shortcuts beside one with option B's, on a CPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peers import Task, interleaved, training_step
from report import machine, table, write_section
from torch import Tensor, nn

import archc
from archc.timing.timing import peak_memory

PAIRS, NETWORK_ROUNDS, CHANGE_ROUNDS = 4, 4, 32


def main() -> None:
    """Measure, and write the section into docs/benchmarks.md."""
    torch.manual_seed(0)
    write_section("shortcuts", _shortcuts())


@dataclass(frozen=True)
class _Setting:
    """What a training step is measured of, option A beside option B."""

    spec: str
    batch: int
    size: int
    classes: int
    layout: torch.memory_format
    compiles: bool

    @property
    def cells(self) -> list[str]:
        """The beginning of its row."""
        last = self.layout == torch.channels_last
        return [
            f"{self.spec}, batch {self.batch}",
            "channels_last" if last else "NCHW",
            "compiled" if self.compiles else "eager",
        ]

    def module(self, option: str) -> Any:
        """A network with an option, in training."""
        module = archc.module(archc.load(self.spec, with_={"shortcut": option})).train()
        return module.to(memory_format=self.layout)  # type: ignore[call-overload]

    def images(self) -> Tensor:
        """A batch of noise."""
        images = torch.randn(self.batch, 3, self.size, self.size)
        return images.to(memory_format=self.layout)


def _shortcuts() -> str:
    settings = [
        _Setting(*network, layout, compiles)
        for network in (
            ("imagenet/resnet34", 8, 224, 1000),
            ("cifar10/resnet20", 128, 32, 10),
        )
        for layout in (torch.contiguous_format, torch.channels_last)
        for compiles in (False, True)
    ]
    networks = [[*one.cells, *_compared(one, _network_step, NETWORK_ROUNDS)] for one in settings]
    blocks = [[*one.cells, *_compared(one, _change_step, CHANGE_ROUNDS)] for one in settings]
    heading = ["training step", "layout", "", "A", "B", "time, A over B", "memory, A over B"]
    return (
        "## Option A beside option B\n\n"
        f"`benchmarks/shortcuts.py` on {machine()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}: a training step with option A shortcuts against one with B.\n\n"
        f"Medians over {PAIRS} pairs of newly made modules, {NETWORK_ROUNDS} rounds each, because "
        "two modules with the same option differ by up to 2 %. The ratio is the median of the "
        "rounds' ratios, with the middle half of them in brackets, and not the ratio of the two "
        "medians. A ratio within 2 % of 1 is no difference.\n\n"
        f"{table(heading, networks)}\n\n"
        "Forward and backward of the first block that changes the shape and the block before it, "
        f"{CHANGE_ROUNDS} rounds for each pair:\n\n"
        f"{table(heading, blocks)}"
    )


def _compared(setting: _Setting, make: Callable[[_Setting, str], Task], rounds: int) -> list[str]:
    """The cells of a row: times with A and B, and the ratios of times and of memory."""
    times: dict[str, list[float]] = {"A": [], "B": []}
    for _ in range(PAIRS):
        torch.compiler.reset()
        steps = {option: make(setting, option) for option in times}
        for option, measured in interleaved(steps, rounds, runs=1).items():
            times[option] += measured
    ratios = [a / b for a, b in zip(times["A"], times["B"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    peaks = {option: peak_memory(step, torch.device("cpu")) for option, step in steps.items()}
    return [
        *(f"{1000 * statistics.median(times[option]):.0f} ms" for option in "AB"),
        f"{middle:.3f} ({low:.2f} to {high:.2f})",
        f"{peaks['A'] / peaks['B']:.3f}",
    ]


def _network_step(setting: _Setting, option: str) -> Task:
    module = setting.module(option)
    return training_step(module, setting.images(), setting.classes, setting.compiles)


def _change_step(setting: _Setting, option: str) -> Task:
    """Forward and backward of the last block of the first stage and the first of the second."""
    module = setting.module(option)
    seen: list[Tensor] = []
    module.layer1.register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    with torch.no_grad():
        module(setting.images())
    x = seen[0].detach().requires_grad_()
    blocks = nn.Sequential(module.layer1[-1], module.layer2[0])
    run = torch.compile(blocks) if setting.compiles else blocks
    gradient = torch.randn_like(run(x))

    def step() -> None:
        run(x).backward(gradient)
        x.grad = None

    return step


if __name__ == "__main__":
    main()
