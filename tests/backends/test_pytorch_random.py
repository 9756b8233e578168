"""Emission of random block types: whatever a block computes, its class computes it too.

Blocks are random programs: ops in modules within modules, with branches and sums, some of them
there only where the block has a stride or changes its channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agreement import assert_agrees, assert_formatted, on_meta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.backends.pytorch import emit
from archc.graph import (
    Fragment,
    FragmentBuilder,
    Network,
    NetworkBuilder,
    Region,
    Shape,
    Step,
    lint,
)
from archc.graph.modules import StructureError
from archc.ops import Add, BatchNorm2d, Conv2d, Dropout, MaxPool2d, Op, ReLU

KINDS = ("conv", "conv", "narrow", "norm", "relu", "relu", "dropout", "pool", "add")
PLACES = ("", "", "", "a.", "a.b.", "c.", "long_name_of_a_module.")
CONDITIONS = ("always", "always", "always", "stride", "changes", "stays")


@dataclass(frozen=True)
class Instruction:
    """One op of a block: what, on which of the tensors there are, in which module, and when."""

    kind: str
    place: str
    source: int
    other: int
    condition: str


instructions = st.builds(
    Instruction,
    kind=st.sampled_from(KINDS),
    place=st.sampled_from(PLACES),
    source=st.integers(0, 5),
    other=st.integers(0, 5),
    condition=st.sampled_from(CONDITIONS),
)


def lower(program: Sequence[Instruction], x: Shape, stride: int, width: int) -> Fragment:
    """A block of the program; every tensor that nothing else reads goes into a last sum."""
    block = FragmentBuilder(x)
    changes = stride != 1 or x[0] != width
    holds = {"always": True, "stride": stride != 1, "changes": changes, "stays": not changes}
    start = block.add("start", Conv2d(x[0], width, 3, stride, padding=1, bias=False))
    tensors, unread = [start], [start]
    if not changes:
        tensors.append(Fragment.INPUT)
    for number, one in enumerate(program):
        if not holds[one.condition]:
            continue
        source = tensors[-1 - one.source % len(tensors)]
        inputs = [source]
        if one.kind == "add":
            shape = block.shape(source)
            alike = [name for name in tensors if name != source and block.shape(name) == shape]
            if not alike:
                continue
            inputs.append(alike[one.other % len(alike)])
        op = _op(one, block.shape(source), width)
        name = block.add(f"{one.place}{one.kind}{number}", op, *inputs)
        unread = [tensor for tensor in unread if tensor not in inputs] + [name]
        tensors.append(name)
    ends = []
    for number, tensor in enumerate(unread):
        channels = block.shape(tensor)[0]
        if channels == width:
            ends.append(tensor)
        else:
            ends.append(block.add(f"widen{number}", Conv2d(channels, width, 1), tensor))
    if len(ends) > 1:
        block.add("sum", Add(), *ends)
    return block.build("Random")


def _op(one: Instruction, x: Shape, width: int) -> Op:
    ops: dict[str, Op] = {
        "conv": Conv2d(x[0], width, 1 + 2 * (one.other % 2), padding=one.other % 2),
        "narrow": Conv2d(x[0], width // 2, 1, groups=1 + one.other % 2, bias=False),
        "norm": BatchNorm2d(x[0]),
        "relu": ReLU(),
        "dropout": Dropout(0.1 * one.other),
        "pool": MaxPool2d(3, 1, 1),
        "add": Add(),
    }
    return ops[one.kind]


@st.composite
def random_networks(draw: Any) -> Network:
    """Stages of one or two block types in a row."""
    programs = draw(st.lists(st.lists(instructions, max_size=7), min_size=1, max_size=2))
    network = NetworkBuilder((4, 8, 8))
    regions = []
    for stage in range(1, draw(st.integers(1, 4)) + 1):
        program = draw(st.sampled_from(programs))
        width, first = draw(st.sampled_from((4, 8, 12))), draw(st.sampled_from((1, 1, 2)))
        members: list[Region | str] = []
        for index in range(draw(st.integers(1, 3))):
            piece = lower(program, network.shape, first if index == 0 else 1, width)
            place = partial(_place, f"layer{stage}.{index}.")
            members.append(Region("block", network.append(piece, place), index))
        regions.append(Region("stage", tuple(members), stage))
    return lint(Network("random", network.nodes, regions=tuple(regions)))


def _place(prefix: str, step: Step) -> str:
    return prefix + step.name


def _examples(least: int) -> settings:
    return settings(
        max_examples=max(least, settings().max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_emitted_classes_of_random_blocks_agree_with_their_graph(tmp_path: Path) -> None:
    """Unless a module would have two inputs or outputs, which is refused."""
    seen: Counter[str] = Counter()

    @_examples(150)
    @given(random_networks())
    def check(network: Network) -> None:
        try:
            source = emit(network)
        except StructureError:
            seen["refused"] += 1
            return
        seen["emitted"] += 1
        (tmp_path / f"net{seen['emitted']}.py").write_text(source, encoding="utf-8")
        assert_agrees(network, on_meta(network))

    check()
    assert seen["emitted"] > seen["refused"]
    assert_formatted(tmp_path)
