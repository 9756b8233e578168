"""How far the figure of a broken spec goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.compile import compile_spec
from archc.spec import SpecError, load_spec
from archc.watching.beginning import FAULT, Beginning, beginning

SPEC = """\
name: tiny
title: Tiny
input: [3, 32, 32]
defaults: {block: basic, shortcut: A}
stem: [conv: {width: 16, kernel: 3}]
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
  - {depth: 2, width: 64, stride: 2}
head: [global_avg_pool, linear]
"""


def begins(path: Path, text: str) -> Beginning | None:
    path.write_text(text)
    valid = None
    with pytest.raises(SpecError):  # noqa: PT012 - the first line may raise as well
        valid = load_spec(str(path))
        compile_spec(valid)
    return beginning(str(path), (), valid)


@pytest.mark.parametrize(
    ("old", "new", "layers", "label", "message"),
    [
        (
            "width: 32",
            "width: 8",
            5,
            "stage 2",
            "stage 2: option A cannot reduce 16 channels to 8",
        ),
        (
            "depth: 2, width: 32",
            "depth: two, width: 32",
            5,
            "stage 2",
            "stage 2: `depth` must be an integer from 1 to 10,000, not `two`",
        ),
        (
            "depth: 2, width: 32",
            "dept: 2, width: 32",
            5,
            "stage 2",
            "stage 2 has no attribute `dept`",
        ),
        (
            "head:",
            "with: {width: [16, 32, x]}\nhead:",
            9,
            "stage 3",
            "stage 3: `width` must be an integer from 1 to 65,536, not `x`",
        ),
        (
            "shortcut: A}",
            "shortcut: Q}",
            1,
            "stage 1",
            "stage 1: `shortcut` must be A, B, C or none, not `Q`",
        ),
        ("linear]", "linea]", 13, "head", "head: there is no layer `linea`"),
        (
            "[global_avg_pool, linear]",
            "[flatten, conv: {width: 8, kernel: 3}]",
            13,
            "conv",
            "`conv`: a convolution needs a feature map, not a vector of 4,096",
        ),
        ("[global_avg_pool", "[softmax", 13, "head", "head: `softmax` must be the last layer"),
        (
            "depth: 2, width: 64",
            "depth: 2, name: 'layer2.{block}', width: 64",
            9,
            "stage 3",
            "stage 3: two layers would have the name `layer2.0.shortcut`",
        ),
    ],
)
def test_it_ends_at_the_first_fault(
    tmp_path: Path, old: str, new: str, layers: int, label: str, message: str
) -> None:
    assert SPEC.count(old) == 1
    found = begins(tmp_path / "tiny.yaml", SPEC.replace(old, new))
    assert found is not None
    assert found.title == "Tiny"
    network = found.network
    assert network.layers == layers
    assert next(reversed(list(network.nodes))) == FAULT
    assert network.nodes[FAULT].op.look().label == label
    assert message in found.message
    assert [region.kind for region in network.regions][-1] == "head"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: tiny", "name: [tiny"),  # no YAML
        ("kernel: 3", "kernel: 3, width: x"),  # the first layer
        ("defaults:", "norm: foo\ndefaults:"),  # the network as a whole
        ("name: tiny", "name: tiny\nextends: nowhere.yaml"),
        ("stages:", "names: x\nstages:"),  # no item is to blame
    ],
)
def test_what_cannot_be_drawn_that_far_is_not_drawn(tmp_path: Path, old: str, new: str) -> None:
    assert begins(tmp_path / "tiny.yaml", SPEC.replace(old, new, 1)) is None


def test_a_fault_reached_through_extends_is_found_in_its_file(tmp_path: Path) -> None:
    parent = tmp_path / "parent.yaml"
    parent.write_text(SPEC.replace("depth: 2, width: 64", "depth: 2, width: 64, colour: red"))
    found = begins(tmp_path / "child.yaml", "name: child\nextends: parent.yaml\n")
    assert found is not None
    assert (found.network.layers, found.message) == (9, "stage 3 has no attribute `colour`")


def test_a_broken_block_ends_it_where_it_is_used(tmp_path: Path) -> None:
    text = SPEC.replace("depth: 2, width: 32", "block: own, depth: 2, width: 32")
    text += "blocks: {own: {layers: [conv: {width: widht, kernel: 3}]}}\n"
    found = begins(tmp_path / "tiny.yaml", text)
    assert found is not None
    assert found.network.layers == 5
    assert found.message.startswith("stage 2: ")


def test_blocks_of_the_stage_at_fault_are_drawn_as_far_as_they_fit(tmp_path: Path) -> None:
    text = SPEC.replace("depth: 2, width: 64, stride: 2", "block: own, depth: 9")
    text += "blocks: {own: {layers: [conv: {width: 64, kernel: 5, padding: 0}]}}\n"
    found = begins(tmp_path / "tiny.yaml", text)
    assert found is not None
    assert found.network.layers == 9 + 3  # from 16 pixels to 4
    assert found.message.startswith("stage 3: ")
    assert found.network.nodes[FAULT].output_shape == (64, 4, 4)
