"""The paper's experiment on CIFAR-10: plain and residual networks through the full recipe.

    python benchmarks/experiments.py --data DIR

It runs without supervision and continues where it was interrupted. On a GPU networks are compiled
and multiply bfloat16. Curves and errors are written into docs/.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from report import EXPERIMENTS, machine, table, write_section

from archc.devices import describe_device
from archc.training import Run, draw_curves, open_run
from archc.training.metrics import Row, read_metrics

NETWORKS = ("plain20", "resnet20", "plain56", "resnet56")
PAPER = {"resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97, "resnet110": 6.43}
"""Test errors of He et al. 2015, table 6, in percent; of plain networks the paper has curves."""

LAST = 1000
"""Over how many iterations at the end the training error is taken."""


def main() -> None:
    """Train one network after the other, then write the section and the curves."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", required=True, help="CIFAR-10's binary version")
    asked.add_argument("--runs", type=Path, default=Path("runs/experiments"))
    asked.add_argument("--networks", nargs="+", default=NETWORKS)
    asked.add_argument("--note", default="", help="a sentence on the images, for the page")
    asked.add_argument("--page", type=Path, default=EXPERIMENTS)
    asked.add_argument("more", nargs="*", help="further options of archc train, behind --")
    told = asked.parse_args()
    failed = [name for name in told.networks if not _train(name, told)]
    if failed:
        raise SystemExit(f"not trained to the end: {', '.join(failed)}; run this again")
    runs = [open_run(told.runs / name) for name in told.networks]
    figure = told.page.with_name("cifar10-curves.svg")
    figure.write_bytes(draw_curves(runs))
    write_section("cifar10", _section(runs, told.note, figure.name), told.page)
    for words in _claims(told.runs, told.networks):
        print(words)


def _train(name: str, told: argparse.Namespace) -> bool:
    command = [
        *(sys.executable, "-m", "archc", "train", f"cifar10/{name}", "--recipe", "cifar10"),
        *("--data", told.data, "--out", str(told.runs / name), "--resume"),
    ]
    if torch.cuda.is_available():
        command += ["--precision", "bfloat16", "--compile"]
    print(f"{name}:", flush=True)
    return subprocess.run([*command, *told.more], check=False).returncode == 0


def _section(runs: list[Run], note: str, figure: str) -> str:
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for run in runs:
        measured = read_metrics(run.metrics)
        paper = PAPER.get(run.title)
        minutes = _seconds(measured) / 60
        rows.append(
            [
                f"cifar10/{run.title}",
                f"{_training(measured):.2f} %",
                f"{_tested(measured):.2f} %",
                "" if paper is None else f"{paper:.2f} %",
                f"{measured[-1].iteration:,}",
                f"{minutes:.1f} min",
            ]
        )
    heading = ["network", "training error", "test error", "the paper's", "iterations", "time"]
    return (
        "## CIFAR-10, the full recipe\n\n"
        f"`benchmarks/experiments.py` on {describe_device(place)}; {machine()}. {note}".rstrip()
        + "\n\n"
        f"{table(heading, rows)}\n\n![Training and test error]({figure})"
    )


def _claims(folder: Path, networks: list[str]) -> list[str]:
    """What the paper claims, and whether it is so here."""
    told = []
    measured = {name: read_metrics(Run(folder / name).metrics) for name in networks}
    for worse, better in (("plain56", "plain20"), ("resnet20", "resnet56")):
        if worse in measured and better in measured:
            for what, error in (("training", _training), ("test", _tested)):
                holds = error(measured[worse]) > error(measured[better])
                told.append(f"{worse} above {better} in {what} error: {'yes' if holds else 'NO'}")
    return told


def _training(rows: Sequence[Row]) -> float:
    last = rows[-1].iteration - LAST
    errors = [r.training_error for r in rows if r.training_error is not None and r.iteration > last]
    return sum(errors) / len(errors)


def _tested(rows: Sequence[Row]) -> float:
    return [row.test_error for row in rows if row.test_error is not None][-1]


def _seconds(rows: Sequence[Row]) -> float:
    """The time of all sittings: each begins again at 0."""
    total, before = 0.0, 0.0
    for row in rows:
        now = row.seconds or 0.0
        total, before = total + (now - before if now >= before else now), now
    return total


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the run has saved itself
        main()
