"""``archc show``: the resolved spec is a spec, and says where each value comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.compile import compile_spec
from archc.shipped import shipped_names
from archc.spec import Source, SpecError, load_spec, resolve
from archc.spec.show import show


@pytest.mark.parametrize("name", shipped_names())
def test_what_it_prints_is_the_same_spec(name: str) -> None:
    spec = load_spec(name)
    again = resolve(Source("shown.yaml", show(spec)))
    assert again.digest == spec.digest
    assert show(again).count("\n") == show(spec).count("\n")


@given(title=st.text(max_size=60), description=st.text(max_size=60))
def test_any_words_survive(title: str, description: str) -> None:
    import json

    text = f"name: net\ntitle: {json.dumps(title)}\ndescription: {json.dumps(description)}\n"
    try:
        spec = resolve(Source("net.yaml", text + "head: [linear]\n"))
    except SpecError:
        return  # control characters, which titles may not have, and the like
    assert resolve(Source("shown.yaml", show(spec))).header == spec.header


@pytest.mark.usefixtures("speaking_command_line")
def test_every_value_has_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parent.yaml").write_text(
        "name: parent\n"
        "input: [3, 16, 16]\n"
        "stem:\n"
        "  - conv: {width: 8, kernel: 3}\n"
        "defaults: {block: basic}\n"
        "stages:\n"
        "  - {depth: 1, width: 8}\n"
        "  - {depth: 1, width: 16}\n"
        "head: [global_avg_pool, linear: 5]\n"
    )
    Path("child.yaml").write_text(
        "name: child\nextends: parent.yaml\ndefaults: {shortcut: A}\nwith: {depth: [2, null]}\n"
    )
    shown = show(load_spec("child.yaml", ["width=8,32"]))
    before, _, rest = shown.partition("blocks:\n")
    blocks, _, after = rest.partition("stem:\n")
    assert blocks.startswith("  basic:                         # std/basic.yaml:3\n")
    assert f"{before}stem:\n{after}" == (
        "name: child                      # child.yaml:1\n"
        "input: [3, 16, 16]               # parent.yaml:2\n"
        "classes: 1000                    # default\n"
        "norm: batch_norm                 # default\n"
        "activation: relu                 # default\n"
        "pre_activation: false            # default\n"
        "stem:\n"
        "  - conv: {width: 8, kernel: 3}  # parent.yaml:4\n"
        "stages:\n"
        "  - block: basic                 # parent.yaml:5 (defaults)\n"
        "    depth: 2                     # child.yaml:4 (with)\n"
        "    width: 8                     # --with\n"
        "    stride: 1                    # default\n"
        "    shortcut: A                  # child.yaml:3 (defaults)\n"
        "  - block: basic                 # parent.yaml:5 (defaults)\n"
        "    depth: 1                     # parent.yaml:8\n"
        "    width: 32                    # --with\n"
        "    stride: 1                    # default\n"
        "    shortcut: A                  # child.yaml:3 (defaults)\n"
        "head:\n"
        "  - global_avg_pool              # parent.yaml:9\n"
        "  - linear: 5                    # parent.yaml:9\n"
    )


def test_the_shown_spec_compiles_to_the_same_graph() -> None:
    spec = load_spec("cifar10/preresnet164")
    again = resolve(Source("shown.yaml", show(spec)))
    one, other = compile_spec(spec), compile_spec(again)
    assert {n: v.op for n, v in one.nodes.items()} == {n: v.op for n, v in other.nodes.items()}
