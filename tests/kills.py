"""Commands killed at random moments: nothing torn, nothing lost, nothing accused, nothing left.

    python tests/kills.py 100

kills 100 processes of build, sweep, report, fold, export and train, and prints what the kills met;
names behind the number choose some of the commands.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM)

TINY = """
name: tiny
input: [3, 32, 32]
classes: 10
stem: [conv: {width: 4, kernel: 3, stride: 2}]
stages: [{block: basic, depth: 1, width: 4, shortcut: A}]
head: [global_avg_pool, linear]
"""

RECIPE = """
recipe: trial
extends: cifar10
limit: 64
iterations: 40
batch: 16
warm_up: null
learning_rate: {initial: 0.05, schedule: cosine, warm_up_iterations: 10}
label_smoothing: 0.1
ema_decay: 0.9
evaluate_every: 20
checkpoint_every: 5
"""


@dataclass
class Case:
    """A command in two ways to call it, which write the same files with other contents.

    ``fits`` says whether a file may stand there after a kill, given its path and content;
    ``is_kept`` whether a file of the command's is compared with an undisturbed one;
    ``begins_anew`` is how often it is killed in an empty folder, and not over earlier files.
    """

    name: str
    ways: tuple[list[str], ...]
    expected: list[dict[str, bytes]] = field(default_factory=list)
    seconds: float = 0.0
    fits: Callable[[Case, str, bytes], bool] = lambda case, path, content: any(
        files.get(path) == content for files in case.expected
    )
    is_kept: Callable[[str], bool] = lambda path: True
    begins_anew: float = 0.2


def archc(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a command in a folder."""
    command = [sys.executable, "-m", "archc", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_ENVIRONMENT
    )


_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def prepare(case: Case, folder: Path) -> None:
    """Call a command both ways, undisturbed, and remember what it writes."""
    started = time.monotonic()
    for number, way in enumerate(case.ways):
        out = folder / f"expected{number}"
        out.mkdir(parents=True)
        process = archc(out, way)
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told.decode()
        case.expected.append(written(case, out))
    case.seconds = (time.monotonic() - started) / len(case.ways)


def kill(case: Case, folder: Path, drawn: random.Random) -> str:
    """Kill a command at a random moment, check what it left, run it again and check that.

    Returns what the kill met. Raises AssertionError.
    """
    out = folder / "out"
    if drawn.random() < case.begins_anew:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(exist_ok=True)
    before, number = written(case, out), drawn.choice(SIGNALS)
    process = archc(out, drawn.choice(case.ways))
    _wait(process, out, case, drawn)
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    words = f"{case.name} after {number.name}: {told.decode()}"
    assert process.returncode in (0, 130, 128 + number, -number), words
    left = written(case, out)
    assert before.keys() <= left.keys(), (words, "lost", before.keys() - left.keys())
    scraps = [path for path in left if "/.archc-" in f"/{path}"]
    torn = [path for path in left if path not in scraps and not case.fits(case, path, left[path])]
    assert not torn, (words, "torn", torn)
    assert number == signal.SIGKILL or not scraps, (words, "left", scraps)
    which = drawn.randrange(len(case.ways))
    process = archc(out, case.ways[which])
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, (words, told.decode())
    found = written(case, out)
    assert found.keys() == case.expected[which].keys(), (words, sorted(found))
    assert all(found[p] == c for p, c in case.expected[which].items() if case.is_kept(p)), words
    return "temporaries left" if scraps else "files changed" if left != before else "nothing yet"


def _wait(process: subprocess.Popen[bytes], out: Path, case: Case, drawn: random.Random) -> None:
    """Wait for a random moment: of all of the time, or of that in which files change."""
    deadline = time.monotonic() + case.seconds * 3
    if drawn.random() < 0.3:
        time.sleep(drawn.random() * case.seconds)
        return
    before = _seen(out)
    while process.poll() is None and time.monotonic() < deadline and _seen(out) == before:
        time.sleep(0.0005)
    time.sleep(drawn.random() ** 2 * min(0.1, case.seconds))


def _seen(folder: Path) -> set[tuple[str, float]]:
    seen = set()
    for path in folder.rglob("*"):
        try:
            seen.add((str(path), path.stat().st_mtime))
        except OSError:
            continue
    return seen


def written(case: Case, folder: Path) -> dict[str, bytes]:
    """The files below a folder by their paths, without what keeps others from a run."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# What may stand there after a kill


def _fits_build(case: Case, path: str, content: bytes) -> bool:
    if path == "out/manifest.json":
        return set(json.loads(content)) <= {"about", "files", "before"}
    return any(files.get(path) == content for files in case.expected)


def _fits_sweep(case: Case, path: str, content: bytes) -> bool:
    """Rows of the sweep, all of them full, as a readable file."""

    def rows(raw: bytes) -> list[str]:
        text = raw.decode()
        if ".json" in path:
            return [json.dumps(row) for row in json.loads(text)]
        assert text.endswith("\n")
        return [",".join(row) for row in csv.reader(text.splitlines())]

    known = [set(rows(files[path.removesuffix(".partial")])) for files in case.expected]
    return any(set(rows(content)) <= all_rows for all_rows in known)


def _fits_run(case: Case, path: str, content: bytes) -> bool:
    if path.endswith(".json"):
        return isinstance(json.loads(content), dict)
    if path.endswith(".safetensors"):
        length = int.from_bytes(content[:8], "little")
        tensors = json.loads(content[8 : 8 + length])
        ends = [one["data_offsets"][1] for key, one in tensors.items() if key != "__metadata__"]
        return len(content) == 8 + length + max(ends, default=0)
    return True


def build_and_sweep() -> list[Case]:
    """The commands that need no torch."""
    specs = ["cifar10/resnet20", "cifar10/plain20", "cifar10/resnet32"]
    vary = ["sweep", "cifar10/resnet20", "--vary", "depth=1..90", "--vary", "width=x1..x9"]
    return [
        Case(
            "build",
            tuple(["build", *specs, "-o", "out", "--with", f"depth={n}"] for n in (1, 2)),
            fits=_fits_build,
        ),
        *(
            Case(
                f"sweep {name}",
                ([*vary, "-o", name], [*vary, "-o", name, "--sort", "-params"]),
                fits=_fits_sweep,
            )
            for name in ("rows.csv", "rows.json")
        ),
    ]


def all_cases(folder: Path) -> list[Case]:
    """The commands of `build_and_sweep`, and report, fold, export and train."""
    from images import make_cifar
    from safetensors.torch import save_file

    import archc

    (folder / "tiny.yaml").write_text(TINY)
    (folder / "wide.yaml").write_text(TINY.replace("width: 4", "width: 8"))
    (folder / "trial.yaml").write_text(RECIPE)
    names = [str(folder / f"{name}.yaml") for name in ("tiny", "wide")]
    weights = {name: name.replace(".yaml", ".safetensors") for name in names}
    for name, path in weights.items():
        save_file(archc.module(name).state_dict(), path)
    train = [
        *("train", names[0], "--recipe", str(folder / "trial.yaml"), "--out", "run", "--resume"),
        *("--data", str(make_cifar(folder / "cifar")), "--device", "cpu", "--workers", "0"),
    ]
    return [
        *build_and_sweep(),
        Case("report", tuple(["report", name, "-o", "page.html"] for name in names)),
        Case(
            "fold",
            tuple(["fold", n, weights[n], "-o", "net.safetensors"] for n in names),
        ),
        Case(
            "export",
            tuple(["export", n, "--weights", weights[n], "-o", "net.onnx"] for n in names),
        ),
        Case(
            "train",
            (train,),
            fits=_fits_run,
            is_kept=lambda path: path.endswith((".safetensors", ".yaml", ".py")),
            begins_anew=1,
        ),
    ]


def kill_all(cases: Mapping[str, int], made: list[Case], folder: Path, seed: int) -> Counter[str]:
    """Kill each command so many times; what the kills met, by command."""
    drawn, met = random.Random(seed), Counter[str]()
    for case in made:
        if not cases.get(case.name):
            continue
        prepare(case, folder / case.name)
        for _ in range(cases[case.name]):
            met[f"{case.name}: {kill(case, folder / case.name, drawn)}"] += 1
    return met


SHARES = {
    "build": 0.3,
    "sweep rows.csv": 0.15,
    "sweep rows.json": 0.15,
    "report": 0.12,
    "fold": 0.1,
    "export": 0.06,
    "train": 0.12,
}


def main() -> None:
    """Kill as many processes as the command line says, of the commands that it names, or of all."""
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    names = sys.argv[2:] or list(SHARES)
    met = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        made = all_cases(Path(folder))
        for name in names:
            counts = {name: round(SHARES[name] * total)}
            found = kill_all(counts, made, Path(folder), seed=0)
            for words, count in sorted(found.items()):
                print(f"{count:4}  {words}", flush=True)
            met += found
    print(f"{met.total():4}  kills; nothing torn, lost, accused or left after the next run")


if __name__ == "__main__":
    main()
