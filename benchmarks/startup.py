"""How soon every command is done, beside the imports that none of them could do without.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from report import machine, table, write_section

FLOOR = [sys.executable, "-c", "import yaml, click, pydantic"]
MODEL = [
    sys.executable,
    "-c",
    "import yaml, click\n"
    "from pydantic import BaseModel\n"
    "class One(BaseModel):\n    number: int\n"
    "One(number=1)",
]
ROUNDS = 15

COMMANDS = (
    "--version",
    "--help",
    "list",
    "check imagenet/resnet152",
    "show imagenet/resnet152",
    "schema",
    "count imagenet/resnet152",
    "count torchvision/efficientnet_b7",
    "count imagenet/resnet152 --by layer",
    "count imagenet/resnet152 --explain",
    "count imagenet/resnet152 --memory",
    "count imagenet/resnet152 --receptive-field",
    "count imagenet/resnet152 --roofline h200-bf16",
    "diff imagenet/resnet152 torchvision/resnet152",
    "sweep imagenet/resnet50 --vary depth[3]=4..36",
    "graph imagenet/resnet152",
    "emit imagenet/resnet152",
    "draw imagenet/resnet152 -o {folder}/figure.svg",
    "report imagenet/resnet152 -o {folder}/report.html",
    "build imagenet/resnet152 -o {folder}/built",
    "new resnet65 --from imagenet/resnet50 -o {folder}/new.yaml",
    "completion bash",
)
TAB = {
    "_ARCHC_COMPLETE": "bash_complete",
    "COMP_WORDS": "archc count imagenet/resn",
    "COMP_CWORD": "2",
}


def main() -> None:
    """Measure, and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {line: line.format(folder=folder).split() for line in COMMANDS}
        spans = _in_turns(commands)
    floor = statistics.median(spans["floor"])
    rows = [
        [name, f"{statistics.median(times):.2f} s", f"{statistics.median(times) / floor:.2f}"]
        for name, times in _named(spans).items()
    ]
    text = (
        "## Starting up\n\n"
        f"`benchmarks/startup.py` on {machine()}. Medians of {ROUNDS} rounds, in each of which "
        "every command ran once as a process of its own; its output went nowhere.\n\n"
        + table(["command", "wall time", "times the floor"], rows)
    )
    write_section("startup", text)


def _in_turns(commands: dict[str, list[str]]) -> dict[str, list[float]]:
    archc = [sys.executable, "-m", "archc"]
    tasks: dict[str, tuple[Sequence[str], dict[str, str]]] = {
        "floor": (FLOOR, {}),
        "model": (MODEL, {}),
        "tab": (archc, TAB),
        **{line: ([*archc, *words], {}) for line, words in commands.items()},
    }
    spans: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(ROUNDS + 1):
        for name, (command, environment) in tasks.items():
            if "new.yaml" in name and number:
                os.unlink(command[-1])
            span = _span(command, environment)
            if number:  # the first round warms the disk's cache
                spans[name].append(span)
    return spans


def _span(command: Sequence[str], environment: dict[str, str]) -> float:
    # Byte code is written and found, as it is for users.
    clean = {key: one for key, one in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True)
    span = time.perf_counter() - started
    if done.returncode not in (0, 1):  # `diff` says 1
        raise SystemExit(done.stderr.decode())
    return span


def _named(spans: dict[str, list[float]]) -> dict[str, list[float]]:
    """The spans by what they are called in the table."""
    names = {
        "floor": "the floor: `python -c 'import yaml, click, pydantic'`",
        "model": "the same with a pydantic model of one field",
        "tab": "TAB on the name of a spec",
    }
    return {
        names.get(name, f"`archc {name.replace('{folder}/', '')}`"): times
        for name, times in spans.items()
    }


if __name__ == "__main__":
    main()
