"""A seeded slice of what `benchmarks/fuzz.py` runs by the hundred thousand."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fuzzing import KINDS, check, spoilt

COUNTS = {"curves": 4, "command": 20}
"""How many texts of a kind that takes longer."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_are_valid(kind: str, tmp_path: Path) -> None:
    assert {check(kind, text, tmp_path) for text in KINDS[kind].examples} == {"valid"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_text_is_read_or_refused_in_words(kind: str, tmp_path: Path) -> None:
    random = Random(19)
    for _ in range(COUNTS.get(kind, 50)):
        text = spoilt(random, KINDS[kind].examples)
        assert check(kind, text, tmp_path) in ("valid", "refused"), repr(text)
