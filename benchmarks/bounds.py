"""Time and memory of every command at the documented bounds, beside what imports alone take.

python benchmarks/bounds.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import machine, table, write_section

FLOOR = [sys.executable, "-c", "import yaml, click, pydantic"]
RUNS = 2
"""Of each command, the floor's between them; the quickest counts, others being disturbed."""

SPECS = {
    "deep": "stages: [{block: bottleneck, shortcut: B, depth: 10000, width: 16}]\n",
    "projections": "stages: [{block: bottleneck, shortcut: C, depth: 10000, width: 16}]\n"
    "head: [global_avg_pool, linear, softmax]\n",
    "preact": "pre_activation: true\n"
    "stages: [{block: bottleneck, shortcut: C, depth: 10000, width: 16}]\n"
    "head: [global_avg_pool, linear]\n",
    "vgg": "stages: [{block: conv, depth: 10000, width: 64, pool: 2}]\n"
    "head: [flatten, {linear: 10}]\n",
    "stages": "input: [3, 32, 32]\n"
    "defaults: {block: bottleneck, shortcut: C, depth: 1}\n"
    "stages:\n" + "- {width: 16}\n" * 10_000,
}
"""Specs at the bounds: 10,000 blocks in one stage or in as many as there are blocks."""

COMMANDS = (
    ("check",),
    ("count",),
    ("count", "--by", "block"),
    ("count", "--by", "layer"),
    ("count", "--by", "layer", "-o", "{out}.txt"),
    ("count", "--by", "layer", "--format", "csv"),
    ("count", "--by", "layer", "--format", "json"),
    ("count", "--by", "layer", "--format", "markdown"),
    ("count", "--explain"),
    ("count", "--memory"),
    ("count", "--memory", "--by", "layer"),
    ("count", "--receptive-field"),
    ("count", "--roofline", "h200-bf16"),
    ("graph", "-o", "{out}.json"),
    ("graph", "-o", "{out}.graphml"),
    ("emit",),
    ("draw", "-o", "{out}.svg"),
    ("draw", "-o", "{out}.dot"),
    ("draw", "--fold", "-o", "{out}.svg"),
    ("draw", "--fold", "-o", "{out}.png"),
    ("draw", "--fold", "-o", "{out}.pdf"),
    ("draw", "--blocks", "-o", "{out}.svg"),
    ("report", "-o", "{out}.html"),
    ("show",),
    ("diff", "imagenet/resnet50"),
)
"""All of these for the first spec; those of ``OTHERS`` for the rest too."""
OTHERS = (
    ("check",),
    ("count",),
    ("count", "--by", "layer"),
    ("draw", "-o", "{out}.svg"),
    ("report", "-o", "{out}.html"),
)


@dataclass(frozen=True)
class Cost:
    """Of a whole process: wall and processor time in seconds, peak memory in MB."""

    wall: float
    processor: float
    megabytes: float


def main() -> None:
    """Measure, and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        rows, floor = _rows(Path(folder))
    write_section("bounds", f"{_intro(floor)}\n\n{table(_HEADING, rows)}")


_HEADING = ("spec", "command", "wall time", "times the floor", "processor time, times", "memory")


def _intro(floor: Cost) -> str:
    return (
        "## At the bounds\n\n"
        f"`benchmarks/bounds.py` on {machine()}. All from one run; the fastest of {RUNS} runs "
        "counts, for each command and for the floor.\n\n"
        "A spec may have 10,000 blocks, and 79 bytes are enough to write one. `deep` has 10,000 "
        "bottlenecks in one stage (100,000 ops); `projections` and `preact` have a projection in "
        "each block; `vgg` has convolutions; `stages` has 10,000 stages of one block.\n\n"
        'The floor is `python -c "import yaml, click, pydantic"`: '
        f"{floor.wall:.2f} s of wall time, {floor.processor:.2f} s of processor time."
    )


def _rows(folder: Path) -> tuple[list[list[str]], Cost]:
    found: list[tuple[str, str, Cost]] = []
    floors = [_cost(FLOOR) for _ in range(RUNS)]
    for number, (name, text) in enumerate(SPECS.items()):
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}")
        for command in COMMANDS if number == 0 else OTHERS:
            arguments = [word.format(out=folder / "out") for word in command]
            spec = str(folder / f"{name}.yaml")
            line = [sys.executable, "-m", "archc", arguments[0], spec, *arguments[1:]]
            runs = [_cost(line) for _ in range(RUNS)]
            floors.append(_cost(FLOOR))
            found.append((name, " ".join(command).format(out="FILE"), _best(runs)))
    floor = _best(floors)
    return [
        [
            name,
            f"`archc {command}`",
            f"{cost.wall:.2f} s",
            f"{cost.wall / floor.wall:.1f}",
            f"{cost.processor / floor.processor:.1f}",
            f"{cost.megabytes:.0f} MB",
        ]
        for name, command, cost in found
    ], floor


def _best(runs: Sequence[Cost]) -> Cost:
    return Cost(
        min(run.wall for run in runs),
        min(run.processor for run in runs),
        max(run.megabytes for run in runs),
    )


_TIMER = """
import os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
wall = time.perf_counter() - started
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def _cost(command: Sequence[str]) -> Cost:
    # From a small process of its own: a child's peak begins at that of the process it comes from.
    told = subprocess.check_output([sys.executable, "-S", "-c", _TIMER, *command], text=True)
    wall, processor, peak, code = map(float, told.split())
    if code and "diff" not in command:
        raise SystemExit(f"{' '.join(command)} failed")
    unit = 1024 if sys.platform == "darwin" else 1  # ru_maxrss: kilobytes on Linux, bytes on macOS
    return Cost(wall, processor, peak / unit / 1024)


if __name__ == "__main__":
    main()
