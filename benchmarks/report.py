"""What the benchmarks share: measuring processes, naming the machine, writing their sections."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
EXPERIMENTS = DOCS / "experiments.md"


@dataclass(frozen=True)
class Run:
    """A whole process: wall time in seconds, peak memory in MB."""

    seconds: float
    megabytes: float


def process(command: Sequence[str], times: int = 5) -> Run:
    """The median of several runs of a command, after one that warms the disk's cache."""
    runs = [_once(command) for _ in range(times + 1)][1:]
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.megabytes for run in runs),
    )


_TIMER = """
import os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - started, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def _once(command: Sequence[str]) -> Run:
    # From a small process of its own: a child's peak begins at that of the process it comes from.
    # Byte code is written and found, as it is for users.
    clean = {key: one for key, one in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    timer = [sys.executable, "-S", "-c", _TIMER, *command]
    told = subprocess.check_output(timer, text=True, env=clean)
    seconds, peak, code = map(float, told.split())
    if code:
        raise SystemExit(f"{' '.join(command)} failed")
    # ru_maxrss counts kilobytes on Linux, bytes on macOS.
    unit = 1024 if sys.platform == "darwin" else 1
    return Run(seconds, peak / unit / 1024)


def milliseconds(task: Callable[[], object], times: int = 20) -> float:
    """The median time of a task in this process, in milliseconds."""
    task()
    spans = []
    for _ in range(times):
        started = time.perf_counter()
        task()
        spans.append(time.perf_counter() - started)
    return 1000 * statistics.median(spans)


# Convolutions follow what a processor multiplies at once, which its name need not say.
_EXTENSIONS = {"avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "amx_bf16": "AMX BF16"}


def machine() -> str:
    """The machine in a line, with what its cores multiply at once where Linux says so."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        told = dict(re.findall(r"^(.+?)\s*: (.*)$", cpuinfo.read_text(), re.M))
        model = told.get("model name", model)
        flags = told.get("flags", "").split()
        known = [name for flag, name in _EXTENSIONS.items() if flag in flags]
        model += f" with {', '.join(known)}" if known else ""
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(name: str, text: str, path: Path = PAGE) -> None:
    """Put a benchmark's section into a page, docs/benchmarks.md, in place of the one it had."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = path.read_text() if path.exists() else f"# {path.stem.capitalize()}\n"
    section = f"{begin}\n{text.strip()}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if pattern.search(page):
        page = pattern.sub(lambda _: section, page)
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    path.write_text(page)
    print(text)
