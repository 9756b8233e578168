"""How modules run: lines, variables, what runs before its turn."""

from __future__ import annotations

import pytest
from structures import network_of

from archc.graph import FragmentBuilder, Network, NetworkBuilder
from archc.graph.modules import Group, Leaf, fold
from archc.graph.schedule import Schedule, runs_ahead
from archc.ops import Add, Conv2d


def network(*order: str, summands: tuple[str, str] = ("main", "side")) -> Network:
    """Two convolutions of the input in some order, and their sum."""
    piece = FragmentBuilder((4, 8, 8))
    for name in order:
        piece.add(name, Conv2d(4, 4, 1), "")
    piece.add("add", Add(), *summands)
    builder = NetworkBuilder((4, 8, 8))
    builder.append(piece.build(), lambda step: f"layer1.0.{step.name}")
    return Network("net", builder.nodes)


def test_a_value_in_its_turn_does_not_run_ahead() -> None:
    assert runs_ahead(network("main", "side")) == frozenset()


def test_a_value_runs_ahead_of_one_that_is_read_before_it() -> None:
    assert runs_ahead(network("side", "main")) == {"layer1.0.side"}


def test_what_several_ops_read_does_not_run_ahead() -> None:
    assert runs_ahead(network("side", "main", summands=("main", "main"))) == frozenset()


@pytest.mark.parametrize(
    ("structure", "ahead"),
    [("option A", {"layer2.0.shortcut"}), ("bottlenecks", set()), ("vgg", set())],
)
def test_the_shortcuts_of_option_a_run_ahead(structure: str, ahead: set[str]) -> None:
    assert runs_ahead(network_of(structure)) == ahead


def lines(structure: str, path: str) -> list[tuple[object, ...]]:
    """The lines of a module: what it computes, its variable, what is written over."""
    net = network_of(structure)
    module: Group | Leaf = fold(net)
    for name in path.split("."):
        assert isinstance(module, Group)
        module = module.children[name]
    assert isinstance(module, Group)
    found = Schedule.of(net).lines(module)
    return [(" ".join(one.computes), one.reads, one.variable, one.onto) for one in found]


def test_lines_of_a_block_end_at_relus_and_its_sum_is_written_over_its_main_path() -> None:
    assert lines("bottlenecks", "layer1.0") == [
        ("conv1 bn1 relu1", ("",), 1, None),
        ("conv2 bn2 relu2", ("relu1",), 1, None),
        ("conv3 bn3", ("relu2",), 1, None),
        ("downsample add", ("",), 1, "bn3"),
        ("relu3", ("add",), None, None),
    ]


def test_a_shortcut_that_runs_ahead_has_a_variable_to_itself() -> None:
    assert lines("option A", "layer2.0") == [
        ("shortcut", ("",), 1, None),
        ("conv1 bn1 relu1", ("",), 2, None),
        ("conv2 bn2", ("relu1",), 2, None),
        ("add", ("shortcut",), 2, "bn2"),
        ("relu2", ("add",), None, None),
    ]


def test_numbered_modules_run_one_after_the_other_in_one_variable() -> None:
    found = lines("vgg", "features")
    assert found[:2] == [("0", ("",), 0, None), ("1", ("0",), 0, None)]
    assert {variable for _, _, variable, _ in found} == {0}


def test_a_line_that_is_too_long_is_divided() -> None:
    block = fold(network_of("bottlenecks")).children["layer1"]
    assert isinstance(block, Group)
    module = block.children["0"]
    assert isinstance(module, Group)
    schedule = Schedule.of(network_of("bottlenecks"))
    most = max(len(line.computes) for line in schedule.lines(module, lambda x: len(x.computes) > 1))
    assert most == 1
