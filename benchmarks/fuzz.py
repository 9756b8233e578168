"""Spoilt texts of every kind that archc reads: how many are valid, refused in words, or faults.

    python benchmarks/fuzz.py --count 100000 --seed 1

Exit code 1 if any text ends in an internal error; each is printed once for a kind of fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from fuzzing import KINDS, check, spoilt

OUTCOMES = ("valid", "refused", "fault")
COSTLY = {"curves": 40, "command": 10}
"""Of how many texts one is of a kind that costs a picture, or a command's work."""


def main() -> None:
    """Read so many texts; print a table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=100_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    told = asked.parse_args()
    random, found = Random(told.seed), Counter[tuple[str, str]]()
    faults: dict[str, str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(told.count):
            kind = _kind(random, told.kinds)
            text = spoilt(random, KINDS[kind].examples)
            try:
                outcome = check(kind, text, Path(folder))
            except Exception as error:
                outcome = "fault"
                line = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{kind}: {type(error).__name__} at {line.filename}:{line.lineno}"
                faults.setdefault(key, f"{text!r}\n{traceback.format_exc()}")
            found[kind, outcome] += 1
    for kind in told.kinds:
        print(f"{kind:14}", *(f"{found[kind, one]:7,} {one}" for one in OUTCOMES))
    print(f"{told.count:,} texts, {time.monotonic() - began:.0f} s, {len(faults)} kinds of faults")
    for key, words in faults.items():
        print(f"\n{key}\n{words[-3000:]}")
    raise SystemExit(bool(faults))


def _kind(random: Random, kinds: list[str]) -> str:
    while True:
        kind = random.choice(kinds)
        if len(kinds) == 1 or random.randrange(COSTLY.get(kind, 1)) == 0:
            return kind


if __name__ == "__main__":
    main()
