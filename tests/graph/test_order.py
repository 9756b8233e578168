"""Values that are computed before their turn."""

from __future__ import annotations

import pytest
from structures import network_of

from archc.graph import FragmentBuilder, Network, NetworkBuilder, runs_ahead
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
