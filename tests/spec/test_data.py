"""Specs as mappings and as texts: the same networks, and faults at paths."""

from __future__ import annotations

import copy
import decimal
import os
import pickle
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

import archc
from archc.shipped import shipped_folder
from archc.source.data import path_of, source_of_data
from archc.source.diagnostics import Findings
from archc.source.reader import Value, read

SHIPPED = (
    "cifar10/resnet20",
    "imagenet/resnet152",
    "timm/seresnet50",
    "torchvision/googlenet",
    "torchvision/squeezenet1_0",
    "torchvision/efficientnet_v2_s",
)
PLAIN: dict[str, Any] = {
    "name": "net",
    "input": [3, 16, 16],
    "stem": [{"conv": {"width": 8, "kernel": 3}}],
    "stages": [
        {"block": "basic", "depth": 1, "width": 8, "shortcut": "A"},
        {"block": "basic", "depth": 2, "width": 16, "stride": 2, "shortcut": "A"},
    ],
    "head": ["global_avg_pool", {"linear": 10}],
}

api: Any = archc  # which is called with arguments of types that it does not take


@pytest.mark.parametrize("name", SHIPPED)
def test_the_data_and_the_text_of_a_file_are_its_network(name: str) -> None:
    path = shipped_folder() / f"{name}.yaml"
    expected = archc.load(name)
    for found in (
        archc.load(yaml.safe_load(path.read_text()), folder=path.parent),
        archc.loads(path.read_text(), folder=path.parent),
        archc.loads(path.read_bytes(), folder=str(path.parent)),
    ):
        assert found.digest == expected.digest
        assert found.nodes == expected.nodes
        assert (found.sides, found.initial) == (expected.sides, expected.initial)


@pytest.mark.filterwarnings("ignore::archc.SpecWarning")
@settings(max_examples=15, deadline=None)
@given(specs())
def test_any_spec_is_read_the_same_from_its_data(data: Any) -> None:
    def outcome(load: Callable[[], archc.Network]) -> Any:
        try:
            return load().digest
        except archc.SpecError as error:
            return sorted(one.message for one in error.diagnostics)

    text = yaml.safe_dump(copy.deepcopy(data), sort_keys=False, allow_unicode=True)
    assert outcome(lambda: archc.load(data)) == outcome(lambda: archc.loads(text))


def test_paths_begin_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(PLAIN))
    child = {"extends": "base.yaml", "name": "child", "with": {"depth": 3}}
    assert archc.load(child, folder=tmp_path).layers == 14
    monkeypatch.chdir(tmp_path)
    assert archc.load(child).layers == 14
    assert archc.loads("{extends: ./base.yaml, name: child}").layers == 8
    with pytest.raises(archc.SpecError) as error:
        archc.load({**child, "extends": "bas.yaml"}, folder=os.fsencode(tmp_path).decode())
    assert str(error.value) == (
        "spec:extends: error: there is no file or shipped spec `bas.yaml`\n"
        "  extends: bas.yaml\n"
        "           ^\n"
        "hint: did you mean `base.yaml`?"
    )


def test_numbers_and_containers_of_others_are_taken() -> None:
    data = {
        **PLAIN,
        "input": (np.int64(3), np.array(16), 16),
        "stages": tuple(map(UserDict, PLAIN["stages"])),
        "head": ["global_avg_pool", {"dropout": np.float32(0.5)}, {"linear": np.uint8(10)}],
    }
    expected = {**PLAIN, "head": ["global_avg_pool", {"dropout": 0.5}, {"linear": 10}]}
    assert archc.load(data).digest == archc.load(expected).digest
    shared = PLAIN["stages"][0]
    assert archc.load({**PLAIN, "stages": [shared, shared]}).layers == 6


def test_texts_that_look_like_something_else_stay_texts() -> None:
    for title in ("yes", "1.5", "null", "a: b", "# c", " x ", "é 🙂", "'", '"', "- a", "0x10"):
        assert archc.load({**PLAIN, "title": title}).title == title
    # PyYAML gives this number of YAML 1.2 as text.
    norm = {"batch_norm": {"eps": "1e-4"}}
    assert yaml.safe_load("1e-4") == "1e-4"
    assert (
        archc.load({**PLAIN, "norm": norm}).digest
        == archc.loads(yaml.safe_dump({**PLAIN, "norm": {"batch_norm": {"eps": 0.0001}}})).digest
    )


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"nam": "x"}, "spec:nam: error: a spec has no key `nam`"),
    (
        {"input": [3, 0, 16]},
        "spec:input[1]: error: the height of `input` must be an integer from 1 to 32,768, not `0`\n"
        "  input: [3, 0, 16]\n"
        "             ^",
    ),
    (
        {"stages": [{"block": "basic", "depth": "x", "width": 8, "shortcut": "A"}]},
        "spec:stages[0].depth: error: `depth` must be an integer from 1 to 10,000, not `x`\n"
        "  - {block: basic, depth: x, width: 8, shortcut: A}\n"
        "                          ^",
    ),
    (
        {"stages": [{"block": "basic", "width": 8, "shortcut": "A"}]},
        "spec:stages[0]: error: stage 1",
    ),
    (
        {"head": [{"linear": {"features": 0}}]},
        "spec:head[0].linear.features: error: `linear` must be an integer of at least 1",
    ),
    (
        {"stem": [{"conv": {"width": 8, "kernel": 32, "padding": 0}}]},
        "spec:stem[0].conv.kernel: error: `conv`: a window of 32x32 does not fit",
    ),
    (
        {"blocks": {"b": {"layers": [{"conv": {"width": "wdith", "kernel": 1}}]}}},
        "spec:blocks.b.layers[0].conv.width: error: there is no name `wdith` here",
    ),
    ({"with": {"my key": 3}}, "spec:with['my key']: error: "),
    ({"classes": 10**5000}, "spec:classes: error: a number may have at most 18 digits"),
    ({"title": "a\ud800"}, "spec:title: error: "),
    ({"title": "a\0b\u2028"}, "spec:title: error: `title` must be text without control characters"),
    ({None: 1}, "spec:null: error: a spec has no key `null`"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("changes", "words"), FAULTS, ids=[words[:30] for _, words in FAULTS])
def test_a_fault_is_told_at_its_path(changes: dict[str, Any], words: str) -> None:
    diagnostics = archc.check({**PLAIN, **changes})
    assert any(str(one).startswith(words) for one in diagnostics), diagnostics
    again = pickle.loads(pickle.dumps(archc.SpecError(diagnostics)))
    assert list(map(str, again.diagnostics)) == list(map(str, diagnostics))


def test_a_missing_key_of_the_whole_is_told_of_the_whole() -> None:
    (found,) = archc.check({key: PLAIN[key] for key in PLAIN if key != "name"})
    assert str(found).startswith("spec: error: the spec needs `name`\n")


def test_what_is_too_much_is_refused_without_being_written_out() -> None:
    endless: dict[str, Any] = dict(PLAIN)
    endless["stem"] = [endless]
    (found, *_) = archc.check(endless)
    assert found.message == "this is nested deeper than 64 levels"
    (found,) = archc.check({**PLAIN, "stages": range(10**12)})
    assert found.message == "a spec has at most 50,000 keys and values; this is one more"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1, 2}, "`spec` has a set at `stem[0].conv`; it may hold texts, numbers, booleans, None,"),
        (Path("x"), "`spec` has a PosixPath at `stem[0].conv`"),
        (b"x", "`spec` has a bytes at `stem[0].conv`"),
        (decimal.Decimal(1), "`spec` has a Decimal at"),
        ({(1, 2): 3}, "the keys of `spec` must be texts, not a tuple"),
        (1j, "`spec` has a complex at"),
    ],
)
def test_a_value_that_no_spec_has_is_a_wrong_type(value: Any, words: str) -> None:
    with pytest.raises(TypeError) as error:
        archc.load({**PLAIN, "stem": [{"conv": value}]})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: api.load([1]), "`spec` must be a path, a shipped name or a mapping, not a list"),
        (lambda: api.load("x.yaml", folder="."), "`folder` is for a mapping or a text"),
        (lambda: api.loads({"name": "x"}), "`text` must be YAML text, not a dict"),
        (lambda: api.specs(3), "`pattern` must be a text, not an int"),
    ],
)
def test_a_wrong_argument_is_a_wrong_type(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "<text>:1:1: error: the spec is empty"),
        ("name: [", "<text>:1:7: error: this list is not closed with `]`"),
        (b"name: \xff", "<text>:1:7: error: this is not UTF-8"),
        ("name: \ud800", "<text>:1:7: error: the character U+D800 is not allowed in a spec"),
        ("x" * 1_000_001, "<text>:1:1: error: a spec may have at most 1,000,000 bytes"),
    ],
)
def test_a_text_that_is_no_spec_is_told_so(text: str | bytes, words: str) -> None:
    with pytest.raises(archc.SpecError) as error:
        archc.loads(text)
    assert str(error.value).startswith(words)


def test_text_given_as_a_path_gets_a_hint() -> None:
    with pytest.raises(archc.SpecError) as error:
        archc.load("name: net\nhead: [relu]\n")
    assert error.value.hint == "`archc.loads` reads YAML text"


def test_every_function_of_specs_takes_a_mapping() -> None:
    small = {**PLAIN, "stages": PLAIN["stages"][:1]}
    network = archc.load(small)
    assert archc.count(small) == archc.count(network)
    assert archc.diff(small, archc.read(small)).same
    assert archc.emit(small) == archc.emit(network)
    assert archc.to_json(small) == archc.to_json(network)
    assert archc.draw(small) == archc.draw(network)
    assert "depth: 1" in archc.show(small)
    assert "# spec:stages[0].depth" in archc.show(small).replace("  ", " ")
    assert [one.settings for one in archc.sweep(small, ["depth=1,2"])] == [
        {"depth": 1},
        {"depth": 2},
    ]
    assert "net" in archc.report(small)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab[] -", min_size=1), inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(VALUES.map(lambda inner: {"name": inner}))
def test_data_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    """Texts that YAML 1.1 alone takes for text, such as ``1e4``, apart."""
    source = source_of_data(data, "spec")
    try:
        value = read(source, Findings())
    except archc.SpecError as error:
        assert "not a character" in str(error)  # noqa: PT017  # a lone surrogate
        return
    _assert_same(value, data, "")


def _assert_same(value: Value, data: Any, path: str) -> None:
    if isinstance(value.data, dict):
        for key, entry in value.data.items():
            inner = path_of(entry.value.place)
            assert inner.startswith(path)
            _assert_same(entry.value, data[key], inner)
        assert list(value.data) == list(data)
    elif isinstance(value.data, tuple):
        for item, one in zip(value.data, data, strict=True):
            _assert_same(item, one, path)
    elif isinstance(data, str) and not isinstance(value.data, str):
        assert yaml.safe_load(data) == data
    else:
        assert value.data == data


def test_names_of_shipped_specs_are_found_by_pattern() -> None:
    everything = archc.specs()
    assert archc.specs("imagenet") == [one for one in everything if one.startswith("imagenet/")]
    assert archc.specs("imagenet/") == archc.specs("imagenet/*") == archc.specs("imagenet")
    assert archc.specs("*res*") == [one for one in everything if "res" in one.lower()]
    assert archc.specs("ResNet50") == ["imagenet/resnet50", "torchvision/resnet50"]
    assert archc.specs("torch*/resnet[15]?") == ["torchvision/resnet18", "torchvision/resnet50"]
    assert archc.specs("cifar10/resnet20") == ["cifar10/resnet20"]
    assert archc.specs("nothing") == archc.specs("*/x") == []
