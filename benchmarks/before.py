"""How fast archc is beside an earlier version of itself, both in one run, in turns.

python benchmarks/before.py COMMIT

The earlier version is checked out into a folder that is removed afterwards; verification needs
torch.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from report import machine, table, write_section

ROOT = Path(__file__).parents[1]
ROUNDS = 3

DEEP = """\
name: deep
stem: [{conv: {width: 64, kernel: 7, stride: 2}}]
stages: [{block: bottleneck, shortcut: B, depth: 10000, width: 16}]
head: [global_avg_pool, linear, softmax]
"""

LOAD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from archc.cli import cli
import archc, gc
archc.count("cifar10/resnet20")
from archc.backends.graphs import to_graphml, to_json
try:
    from archc.cli.common import many_objects
except ImportError:  # versions that collect garbage as Python does
    from contextlib import nullcontext as many_objects
times = {}
def timed(name, task):
    started = time.perf_counter()
    result = task()
    times[name] = time.perf_counter() - started
    return result
"""
IN_PROCESS = {
    "load and count 10,000 bottlenecks": """
def load():
    with many_objects():
        network = archc.load(sys.argv[2])
    return archc.count(network)
timed(NAME, load)
""",
    "load and count cifar10/resnet1202": """
def load():
    with many_objects():
        network = archc.load("cifar10/resnet1202")
    return archc.count(network)
timed(NAME, load)
""",
    "their graph as GraphML": """
with many_objects():
    network = archc.load(sys.argv[2])
timed(NAME, lambda: to_graphml(network))
""",
    "their graph as JSON": """
with many_objects():
    network = archc.load(sys.argv[2])
timed(NAME, lambda: to_json(network))
""",
}

AXES = ("depth[1]=1..5", "depth[2]=1..20", "depth[3]=1..100", "width=x0.04..x2:0.04")
VARY = [word for axis in AXES for word in ("--vary", axis)]
COMMANDS = {
    "count imagenet/resnet152": ["count", "imagenet/resnet152"],
    "list": ["list"],
    f"sweep imagenet/resnet50 {' '.join(VARY)}": ["sweep", "imagenet/resnet50", *VARY],
    f"sweep imagenet/resnet50 {' '.join(VARY)} -o FILE.csv": [
        "sweep",
        "imagenet/resnet50",
        *VARY,
        "-o",
        "{folder}/rows.csv",
    ],
    "draw cifar10/resnet1202 -o FILE.svg": ["draw", "cifar10/resnet1202", "-o", "{folder}/out.svg"],
    "verify imagenet/resnet50": ["verify", "imagenet/resnet50"],
}
QUICK = ["verify", "imagenet/resnet50", "--quick"]

RUN = (
    "import sys; sys.path.insert(0, {path!r}); sys.argv[0] = 'archc'; "
    "from archc.cli import main; main()"
)


def main() -> None:
    """Measure, and write the section."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python benchmarks/before.py COMMIT")
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(earlier), sys.argv[1]], check=True)
        try:
            write_section("before", _section(folder, earlier))
        finally:
            subprocess.run([*git, "remove", "--force", str(earlier)], check=True)


def _section(folder: str, earlier: Path) -> str:
    (Path(folder) / "deep.yaml").write_text(DEEP)
    rows = [
        _row(name, *_in_turns(folder, earlier, _program(name, body)))
        for name, body in IN_PROCESS.items()
    ]
    for name, words in COMMANDS.items():
        before, now = _in_turns(folder, earlier, None, words)
        rows.append(_row(f"`archc {name}`", before, now))
    quick = [_whole(ROOT, folder, QUICK) for _ in range(ROUNDS)]
    full = [_whole(ROOT, folder, COMMANDS["verify imagenet/resnet50"]) for _ in range(ROUNDS)]
    share = statistics.median(quick) / statistics.median(full)
    commit = subprocess.check_output(
        ["git", "-C", str(ROOT), "rev-parse", "--short", sys.argv[1]], text=True
    ).strip()
    return (
        "## Beside an earlier version\n\n"
        f"`benchmarks/before.py {commit}` on {machine()}. Medians of {ROUNDS} runs each, in "
        "turns. The first four rows are tasks in a process that has imported archc, the others "
        "commands as processes of their own. Python searches for garbage as it does in commands."
        "\n\n"
        + table(["", "before", "now", "now over before"], rows)
        + f"\n\n`archc {' '.join(QUICK)}` takes {statistics.median(quick):.1f} s, {share:.2f} of "
        "the full one."
    )


def _row(name: str, before: list[float], now: list[float]) -> list[str]:
    one, other = statistics.median(before), statistics.median(now)
    return [name, f"{one:.2f} s", f"{other:.2f} s", f"{other / one:.2f}"]


def _program(name: str, body: str) -> str:
    return f"{LOAD}\nNAME = {name!r}\n{body}\nprint(times[NAME])"


def _in_turns(
    folder: str, earlier: Path, program: str | None, words: list[str] | None = None
) -> tuple[list[float], list[float]]:
    spans: dict[Path, list[float]] = {earlier: [], ROOT: []}
    for number in range(ROUNDS + 1):
        for path, times in spans.items():
            if program is not None:
                span = float(_output(path, folder, program))
            else:
                span = _whole(path, folder, words or [])
            if number:  # the first warms the disk's cache, and what torch compiles
                times.append(span)
    return spans[earlier], spans[ROOT]


def _output(path: Path, folder: str, program: str) -> str:
    command = [sys.executable, "-c", program, str(path), f"{folder}/deep.yaml"]
    return subprocess.check_output(command, text=True, cwd=folder, env=_environment())


def _whole(path: Path, folder: str, words: list[str]) -> float:

    arguments = [word.format(folder=folder) for word in words]
    command = [sys.executable, "-c", RUN.format(path=str(path)), *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, check=True)
    return time.perf_counter() - started


def _environment() -> Mapping[str, str]:
    # Byte code is written and found, as it is for users.
    return {key: one for key, one in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


if __name__ == "__main__":
    main()
