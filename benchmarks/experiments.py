"""The paper's experiment on CIFAR-10: plain and residual networks, by its recipe or a part of it.

    python benchmarks/experiments.py --data DIR --runs RUNS
    python benchmarks/experiments.py --data DIR --runs RUNS --budget 2400

With --budget N, N iterations take the place of the recipe's 64,000, and the learning rate is
divided after 1/2 and 3/4 of them, as in the recipe. It runs without supervision, and the same
command continues what was interrupted. On a GPU networks are compiled and multiply bfloat16, on a
CPU they multiply bfloat16 if it has instructions for that. Errors and curves of all runs in RUNS
are written into docs/.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from report import EXPERIMENTS, table, write_section

from archc.devices import computes_bfloat16
from archc.recipes import load_recipe
from archc.training import Run, draw_curves, open_run
from archc.training.metrics import Row, read_metrics

NETWORKS = ("plain20", "resnet20", "plain56", "resnet56")
WHOLE = 64_000
ROOT = Path(__file__).resolve().parents[1]
PAPER = {"resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97, "resnet110": 6.43}
"""Test errors of He et al. 2015, table 6, in percent; of plain networks the paper has curves."""

PAIRS = {"plain": ("plain20", "plain56"), "residual": ("resnet20", "resnet56")}
"""The networks of each figure: the panels of the paper's Figure 6."""

CLAIMS = (
    ("plain20", "plain56", "plain networks get worse with depth"),
    ("resnet56", "plain56", "shortcuts help at 56 layers"),
    ("resnet56", "resnet20", "residual networks get better with depth"),
)
"""Which network is below which other, and what that shows."""


@dataclass(frozen=True)
class Trained:
    """A run that is done: which network, for how many iterations, with which seed."""

    name: str
    budget: int
    seed: int
    run: Run
    rows: Sequence[Row]

    @property
    def training_error(self) -> float:
        """Over the last iterations: a twelfth of them, at least 100 and at most 1,000."""
        last = self.budget - min(1000, max(100, self.budget // 12))
        errors = [
            row.training_error
            for row in self.rows
            if row.training_error is not None and row.iteration > last
        ]
        return sum(errors) / len(errors)

    @property
    def test_error(self) -> float:
        """At the end."""
        return [row.test_error for row in self.rows if row.test_error is not None][-1]

    @property
    def seconds(self) -> float:
        """Of all sittings: each begins again at 0."""
        total, before = 0.0, 0.0
        for row in self.rows:
            now = row.seconds or 0.0
            total, before = total + (now - before if now >= before else now), now
        return total


def main() -> None:
    """Train one network after the other, then write the section and the curves."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--data", required=True, help="CIFAR-10's binary version")
    asked.add_argument("--runs", type=Path, required=True, help="a folder outside the checkout")
    asked.add_argument("--budget", type=int, default=WHOLE, help="iterations; 64,000 by default")
    asked.add_argument("--networks", nargs="+", default=NETWORKS)
    asked.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked.add_argument("--note", default="", help="a sentence on the images, for the page")
    asked.add_argument("--page", type=Path, default=EXPERIMENTS)
    asked.add_argument("more", nargs="*", help="further options of archc train, behind --")
    told = asked.parse_args()
    if told.budget < 400:
        asked.error("--budget must be at least 400")
    if told.runs.resolve().is_relative_to(ROOT):
        asked.error("--runs must be a folder outside the checkout")
    wanted = [(name, seed) for seed in told.seeds for name in told.networks]
    failed = [name for name, seed in wanted if _train(name, seed, told)]
    write(told.runs, told.note, told.page)
    if failed:
        raise SystemExit(f"not trained to the end: {', '.join(failed)}; run this again")


def _train(name: str, seed: int, told: argparse.Namespace) -> int:
    """Train one network; the exit code. Ends this process, too, where a signal has ended that."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    command = [
        *(sys.executable, "-m", "archc", "train", f"cifar10/{name}", "--recipe", "cifar10"),
        *("--data", told.data, "--out", str(told.runs / _folder(name, told.budget, seed))),
        *("--resume", "--seed", str(seed)),
    ]
    if computes_bfloat16(device):
        command += ["--precision", "bfloat16"]
    if device.type == "cuda":
        command.append("--compile")
    for setting in _settings(told.budget):
        command += ["--set", setting]
    print(f"{name}, {told.budget:,} iterations, seed {seed}:", flush=True)
    code = _run([*command, *told.more])
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM):
        raise SystemExit(code)  # it has said what it saved, and where to go on
    return code


def _run(command: Sequence[str]) -> int:
    """Run a command, which gets what asks this process to end, and is waited for."""
    child = subprocess.Popen(command)

    def pass_on(number: int, _: FrameType | None) -> None:
        # A terminal has sent Ctrl-C to the child already.
        if number != signal.SIGINT:
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(budget: int) -> list[str]:
    """The recipe, shortened with its proportions."""
    if budget == WHOLE:
        return ["checkpoint_every=200"]
    return [
        f"iterations={budget}",
        f"learning_rate.at=[{budget // 2}, {3 * budget // 4}]",
        "checkpoint_every=200",
        f"evaluate_every={max(200, budget // 20)}",
    ]


def _folder(name: str, budget: int, seed: int) -> str:
    return f"{name}-{budget}" + (f"-seed{seed}" if seed else "")


def write(runs: Path, note: str, page: Path) -> None:
    """Write the section and the curves of the runs that are done."""
    done = _done(runs) if runs.is_dir() else []
    if not done:
        return
    curves = {
        f"{kind} networks, {budget:,} iterations": _curves(done, pair, budget, kind, page)
        for budget in sorted({one.budget for one in done})
        for kind, pair in PAIRS.items()
    }
    pictures = [f"![Errors of {title}]({name})" for title, name in curves.items() if name]
    text = [_intro(done, note), _table(done), _claims(done), *pictures]
    write_section("cifar10", "\n\n".join(text), page)


def _done(runs: Path) -> list[Trained]:
    found = []
    for folder in runs.iterdir():
        match = re.fullmatch(r"(\w+)-(\d+)(?:-seed(\d+))?", folder.name)
        if match is None or not (folder / "weights.safetensors").is_file():
            continue
        run = open_run(folder)
        if load_recipe("cifar10", _settings(int(match[2]))).digest != run.recipe().digest:
            print(f"{folder} was trained by another recipe and is left out", file=sys.stderr)
            continue
        rows = read_metrics(run.metrics)
        found.append(Trained(match[1], int(match[2]), int(match[3] or 0), run, rows))
    order = {name: place for place, name in enumerate(NETWORKS)}
    return sorted(found, key=lambda one: (one.budget, one.seed, order.get(one.name, 99), one.name))


def _curves(
    done: Sequence[Trained], pair: Sequence[str], budget: int, kind: str, page: Path
) -> str | None:
    """Draw a panel of Figure 6: the file's name, or None where a network is missing."""
    chosen = [one.run for one in done if one.name in pair and (one.budget, one.seed) == (budget, 0)]
    if len(chosen) < len(pair):
        return None
    name = f"cifar10-{kind}-{budget}.svg"
    page.with_name(name).write_bytes(draw_curves(chosen))
    return name


def _how(done: Sequence[Trained]) -> str:
    """On which devices, and in which precision, as the runs say themselves."""
    sittings = [
        sitting for one in done for sitting in json.loads(one.run.record.read_text())["sittings"]
    ]
    found = dict.fromkeys(f"{one['device']}, {one['precision']}" for one in sittings)
    return "; ".join(found)


def _commands(done: Sequence[Trained]) -> str:
    """What was run."""
    lines = []
    for budget in sorted({one.budget for one in done}):
        names = dict.fromkeys(one.name for one in done if one.budget == budget)
        seeds = sorted({one.seed for one in done if one.budget == budget})
        more = "" if budget == WHOLE else f" --budget {budget}"
        more += "" if set(names) == set(NETWORKS) else f" --networks {' '.join(names)}"
        more += "" if seeds == [0] else f" --seeds {' '.join(map(str, seeds))}"
        lines.append(f"    python benchmarks/experiments.py --data DIR --runs RUNS{more}")
    return "\n".join(lines)


def _intro(done: Sequence[Trained], note: str) -> str:
    budgets = sorted({one.budget for one in done})
    short = [f"{budget:,}" for budget in budgets if budget != WHOLE]
    how = (
        f"The recipe has {WHOLE:,} iterations; these runs have {' or '.join(short)}, with the "
        "learning rate divided after the same shares of them. The paper's errors are those of the "
        "full recipe, on the original images. "
        if short
        else ""
    )
    title = "a shortened recipe" if short else "the full recipe"
    return (
        f"## CIFAR-10, {title}\n\n{_commands(done)}\n\non {_how(done)}. {how}{note}".rstrip()
        + "\n\nTraining errors are those of augmented images, averaged over the last iterations. "
        "They decide below, as in the paper's argument about plain networks; one seed does not "
        "settle a difference of a few tenths of a percent."
    )


def _table(done: Sequence[Trained]) -> str:
    rows = [
        [
            f"cifar10/{one.name}",
            f"{one.budget:,}",
            str(one.seed),
            f"{one.training_error:.2f} %",
            f"{one.test_error:.2f} %",
            f"{PAPER[one.name]:.2f} %" if one.name in PAPER else "",
            f"{one.seconds / 60:.0f} min",
        ]
        for one in done
    ]
    heading = [
        "network",
        "iterations",
        "seed",
        "training error",
        "test error",
        "the paper's test error",
        "time",
    ]
    return table(heading, rows)


def _claims(done: Sequence[Trained]) -> str:
    """What the paper claims, and whether these runs show it."""
    found = {(one.name, one.budget, one.seed): one for one in done}
    lines = []
    for budget, seed in sorted({(one.budget, one.seed) for one in done}):
        for better, worse, words in CLAIMS:
            first, second = (found.get((name, budget, seed)) for name in (better, worse))
            if first is None or second is None:
                continue
            shown = first.training_error < second.training_error
            lines.append(
                f"- {budget:,} iterations, seed {seed}: **{words}: "
                f"{'shown' if shown else 'not shown'}.** {better} ends at "
                f"{first.training_error:.2f} % training error, {worse} at "
                f"{second.training_error:.2f} % (test error {first.test_error:.2f} % and "
                f"{second.test_error:.2f} %)."
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
