"""Any text either is a spec or is explained: places in the text, renderings, our own words."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import fuzzing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.blocks import STANDARD
from archc.blocks.layers import LAYERS
from archc.compile import compile_spec
from archc.spec import Diagnostic, SpecError, load_spec
from archc.spec.models import KEYS
from archc.spec.overrides import InputSize

VALID = """\
# yaml-language-server: $schema=schema.json
name: net
title: "A \\"net\\" of 残差 blocks: ☂"
description: 'it''s small'
input: [3, 32, 32]
classes: 10
norm: batch_norm
stem:
  - conv: {width: 8, kernel: 3, stride: 2, padding: 1, bias: false}
  - max_pool: {kernel: 3, stride: 2}
defaults:
  block: bottleneck
  shortcut: B
  stride_at: 3x3
stages:
  - {depth: 2, width: 8}
  - depth: 1
    width: 16
    stride: 2
    groups: 2
with: {depth: [null, 2], expansion: 2}
head: [global_avg_pool, dropout: 0.5, linear, softmax]
"""

FOREIGN = (
    "pydantic",
    "yaml.",
    "<class '",
    "Traceback",
    "NoneType",
    "dict",
    "tuple",
    "<archc",
    "INVALID",
)
ALPHABET = [*"{}[],:-#&*!|>'\"%@`?~<= \t\n\r\\0123456789abezA_.", *"\ufeff\u2028\0é残"]


EXAMPLES = settings().max_examples


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "net"


def check(path: Path, content: bytes, *with_: str, input_: str | None = None) -> None:
    """Load the content as a spec; any mistakes must be told as they should be."""
    path.write_bytes(content)
    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        compile_spec(
            load_spec(str(path), [*with_, *([] if input_ is None else [InputSize(input_)])])
        )
    except SpecError as error:
        diagnostics = error.diagnostics
    assert len(diagnostics) <= 51
    for diagnostic in diagnostics:
        check_diagnostic(diagnostic)


def check_diagnostic(diagnostic: Diagnostic) -> None:
    fuzzing.check_diagnostic(diagnostic)
    words = f"{diagnostic.message} {diagnostic.hint}"
    assert [word for word in FOREIGN if word in words] == []


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A valid spec after some edits of characters and lines."""
    text = VALID
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 4)))
        inserted = "".join(draw(st.lists(st.sampled_from(ALPHABET), max_size=4)))
        text = text[:at] + inserted + text[end:]
    if draw(st.booleans()):
        lines = text.split("\n")
        first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        lines[first], lines[second] = lines[second], lines[first]
        text = "\n".join(lines)
    return text


ENDS = (
    *("---\n  ", "---", "---\n", "", " ", "\n", "\n ", "\t", "a: [", "a: [\n  ", "a: |\n\n"),
    *("a:\n  ", "a: [\r\n  ", "a: '\n ", "- \n  ", "? \n ", "a: {b\r", "&a\n "),
)
"""Texts in which something is missing where they end, or behind that."""


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_told_of_lines_that_are_not_there(end: str, path: Path) -> None:
    check(path, end.encode())
    check(path, f"name: net\n{end}".encode())


@settings(max_examples=3 * EXAMPLES, deadline=None)
@given(text=mutations())
def test_a_mutated_spec_loads_or_is_explained(text: str, path: Path) -> None:
    check(path, text.encode())


@settings(max_examples=1 * EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_spec_with_its_lines_shuffled_loads_or_is_explained(seed: int, path: Path) -> None:
    lines = VALID.split("\n")
    Random(seed).shuffle(lines)
    check(path, "\n".join(lines).encode())


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(start=st.integers(0, len(VALID)), length=st.integers(0, len(VALID)))
def test_a_part_of_a_spec_loads_or_is_explained(start: int, length: int, path: Path) -> None:
    check(path, VALID[start : start + length].encode())


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(content=st.binary(max_size=200))
def test_bytes_load_or_are_explained(content: bytes, path: Path) -> None:
    check(path, content)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(text=st.text(st.sampled_from(ALPHABET), max_size=60))
def test_signs_of_yaml_load_or_are_explained(text: str, path: Path) -> None:
    check(path, text.encode())


WORDS = sorted(
    {
        *KEYS,
        *LAYERS,
        *STANDARD,
        *(name for model in LAYERS.values() for name in model.model_fields),
        *(name for model in STANDARD.values() for name in model.model_fields),
        *("A", "B", "C", "none", "1x1", "3x3", "net", "imagenet/resnet34", "unknown", ""),
    }
)
NUMBERS = [-1, 0, 1, 2, 3, 64, 10_000, 10_001, 65_536, 10**18, 0.5, 1.0]
SCALARS = st.sampled_from([*WORDS, *NUMBERS, None, True, False])
ITEMS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda item: (
        st.lists(item, max_size=4) | st.dictionaries(st.sampled_from(WORDS), item, max_size=5)
    ),
    max_leaves=20,
)
STAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "block": st.sampled_from([*STANDARD, "x"]),
            "depth": st.sampled_from([0, 1, 2, "3", None]),
            "width": st.sampled_from([1, 8, 64, 65_536, 2.0]),
            "shortcut": st.sampled_from(["A", "B", "C", "none", None]),
            "stride": st.sampled_from([1, 2, 40]),
            "kernel": st.sampled_from([1, 2, 99]),
            "pool": st.sampled_from([2, "none"]),
            "expansion": st.sampled_from([1, 65_536]),
            "groups": st.sampled_from([1, 3]),
        },
    ),
    max_size=3,
)
LISTS = st.lists(
    st.one_of(
        st.sampled_from(list(LAYERS)),
        st.builds(lambda word, value: {word: value}, st.sampled_from(list(LAYERS)), ITEMS),
        st.builds(
            lambda word, kernel, width: {word: {"kernel": kernel, "width": width}},
            st.sampled_from(["conv", "max_pool"]),
            st.sampled_from([1, 3, 300]),
            st.sampled_from([1, 64]),
        ),
    ),
    max_size=4,
)
TREES = st.fixed_dictionaries(
    {"name": st.just("net") | ITEMS},
    optional={
        "stages": STAGES | ITEMS,
        "defaults": STAGES.map(lambda rows: rows[0] if rows else {}) | ITEMS,
        "with": st.dictionaries(st.sampled_from(WORDS), ITEMS, max_size=3) | ITEMS,
        "stem": LISTS | ITEMS,
        "head": LISTS | ITEMS,
        "extends": st.sampled_from(["imagenet/resnet18", "net", "nothing"]) | ITEMS,
        "input": st.just([3, 8, 8]) | ITEMS,
        "classes": ITEMS,
        "pre_activation": st.booleans() | ITEMS,
        "norm": st.sampled_from(["none", "batch_norm"]) | ITEMS,
        "title": ITEMS,
        "unknown": ITEMS,
    },
)


@settings(max_examples=3 * EXAMPLES, deadline=None)
@given(tree=TREES)
def test_a_tree_of_values_loads_or_is_explained(tree: dict[str, Any], path: Path) -> None:
    check(path, json.dumps(tree).encode())


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(tree=st.lists(ITEMS, max_size=3) | SCALARS | ITEMS)
def test_any_value_loads_or_is_explained(tree: Any, path: Path) -> None:
    check(path, json.dumps(tree, ensure_ascii=False, indent=1).encode())


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(
    with_=st.lists(
        st.text(st.sampled_from([*"=,[]{}. -01234x", "\n", "\0", "残", "\ud800"]), max_size=8)
        | st.builds(
            lambda name, values: f"{name}={','.join(map(str, values))}",
            st.sampled_from(WORDS),
            st.lists(SCALARS, max_size=3),
        ),
        max_size=3,
    ),
    input_=st.none() | st.text(st.sampled_from(list("0123,x -")), max_size=12),
)
def test_options_load_or_are_explained(with_: list[str], input_: str | None, path: Path) -> None:
    check(path, VALID.encode(), *with_, input_=input_)
