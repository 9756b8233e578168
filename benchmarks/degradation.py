"""Plain-56 beside ResNet-56 on a small budget: three seeds, the first iterations of the recipe.

    python benchmarks/degradation.py --data DIR

Runs go on where they were interrupted. The section is written into docs/experiments.md.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from report import EXPERIMENTS, machine, table, write_section

import archc
from archc.training import Run, TrainOptions
from archc.training.metrics import read_metrics

NETWORKS = ("plain56", "resnet56")
SEEDS = (0, 1, 2)


def main() -> None:
    """Train, and write the section."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", required=True, help="CIFAR-10's binary version")
    asked.add_argument("--runs", type=Path, default=Path("runs/degradation"))
    asked.add_argument("--iterations", type=int, default=400)
    asked.add_argument("--batch", type=int, default=64)
    told = asked.parse_args()
    settings = [
        f"iterations={told.iterations}",
        f"batch={told.batch}",
        f"evaluate_every={told.iterations}",
        "checkpoint_every=100",
        "limit=20000",
    ]
    errors: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for seed in SEEDS:
        for name in NETWORKS:
            run = told.runs / f"{name}-{seed}"
            options = TrainOptions(seed=seed, resume=True)
            archc.train(
                f"cifar10/{name}", "cifar10", told.data, run, settings=settings, options=options
            )
            errors[name].append(_training_error(Run(run)))
            print(f"{name}, seed {seed}: training error {errors[name][-1]:.1f} %", flush=True)
    write_section("degradation", _section(errors, told.iterations, told.batch), EXPERIMENTS)


def _training_error(run: Run) -> float:
    """The training error of the last 100 iterations, in percent."""
    rows = [row.training_error for row in read_metrics(run.metrics)]
    return [error for error in rows if error is not None][-1]


def _section(errors: dict[str, list[float]], iterations: int, batch: int) -> str:
    rows = [
        [
            f"cifar10/{name}",
            *(f"{error:.1f} %" for error in errors[name]),
            f"{statistics.mean(errors[name]):.1f} %",
        ]
        for name in NETWORKS
    ]
    heading = ["training error", *(f"seed {seed}" for seed in SEEDS), "mean"]
    pairs = list(zip(errors["plain56"], errors["resnet56"], strict=True))
    below = sum(residual < plain for plain, residual in pairs)
    return (
        "## Plain-56 beside ResNet-56, a small budget\n\n"
        f"`benchmarks/degradation.py` on {machine()}: the first {iterations} iterations of the "
        f"recipe with batch {batch} (the full recipe has 64,000 with 128) on 20,000 of the images. "
        "The table has the training error of the last 100 iterations; ResNet-56 is below plain-56 "
        f"for {below} of {len(pairs)} seeds.\n\n" + table(heading, rows)
    )


if __name__ == "__main__":
    main()
