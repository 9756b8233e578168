"""Each invariant of a network, broken once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from strategies import compile_data

from archc.graph import LintError, Network, Node, lint
from archc.ops import Add, BatchNorm2d, Conv2d, Input, MaxPool2d, ReLU

MAP = (4, 8, 8)
SOUND = (
    Node("input", Input(), (), MAP),
    Node("a", Conv2d(4, 4, 3, padding=1), ("input",), MAP),
    Node("b", BatchNorm2d(4), ("a",), MAP),
    Node("c", Add(), ("b", "input"), MAP),
    Node("d", ReLU(), ("c",), MAP),
)


def network(nodes: Iterable[Node]) -> Network:
    return Network("test", {node.id: node for node in nodes})


def changed(node_id: str, **changes: Any) -> Network:
    """The sound network with something else about one node."""
    return network(node._replace(**changes) if node.id == node_id else node for node in SOUND)


def test_a_sound_network_comes_back() -> None:
    sound = network(SOUND)
    assert lint(sound) is sound


def test_there_is_a_node() -> None:
    with pytest.raises(LintError, match="the network has no nodes"):
        lint(network(()))


def test_nodes_stand_under_their_ids() -> None:
    nodes = {node.id: node for node in SOUND}
    nodes["e"] = nodes.pop("d")
    with pytest.raises(LintError, match="node 'd' is listed under the id 'e'"):
        lint(Network("test", nodes))


def test_the_input_comes_first() -> None:
    extra = Node("late", Input(), (), MAP)
    with pytest.raises(LintError, match="the input 'late' is not the first node"):
        lint(network((*SOUND, extra)))
    with pytest.raises(LintError, match="'a' reads 'input', which does not come before it"):
        lint(network(SOUND[1:]))


def test_the_input_reads_nothing() -> None:
    with pytest.raises(LintError, match="the input 'input' has inputs"):
        lint(changed("input", inputs=("d",)))


def test_other_nodes_read_something() -> None:
    with pytest.raises(LintError, match="'a' reads nothing"):
        lint(changed("a", inputs=()))


def test_nodes_read_what_stands_before_them() -> None:
    with pytest.raises(LintError, match="'a' reads 'b', which does not come before it"):
        lint(changed("a", inputs=("b",)))
    with pytest.raises(LintError, match="'a' reads 'x', which does not come before it"):
        lint(changed("a", inputs=("x",)))
    with pytest.raises(LintError, match="'a' reads 'a', which does not come before it"):
        lint(changed("a", inputs=("a",)))


def test_nodes_read_each_input_once() -> None:
    with pytest.raises(LintError, match="'c' reads a node twice"):
        lint(changed("c", inputs=("b", "b")))


def test_shapes_are_what_ops_infer() -> None:
    with pytest.raises(LintError, match=r"'d' has shape \(4, 8, 9\), its op infers \(4, 8, 8\)"):
        lint(changed("d", output_shape=(4, 8, 9)))


def test_sums_read_several_nodes_and_other_ops_one() -> None:
    words = "nodes: an op that merges reads several, others one"
    with pytest.raises(LintError, match=f"'d' reads 2 {words}"):
        lint(changed("d", inputs=("c", "a")))
    with pytest.raises(LintError, match=f"'c' reads 1 {words}"):
        lint(changed("c", inputs=("b",)))


@pytest.mark.parametrize(
    ("node_id", "changes", "message"),
    [
        (
            "a",
            {"op": Conv2d(5, 4, 3, padding=1)},
            "'a': the convolution expects 5 input channels but gets 4",
        ),
        ("b", {"op": BatchNorm2d(5)}, "'b': the norm expects 5 channels but gets 4"),
        ("d", {"op": MaxPool2d(9, 1)}, "'d': a window of 9x9 does not fit"),
    ],
)
def test_ops_take_what_they_read(node_id: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LintError, match=message):
        lint(changed(node_id, **changes))


def test_there_is_one_output() -> None:
    with pytest.raises(LintError, match="more than one output: b, d"):
        lint(changed("c", inputs=("a", "input")))


def test_ids_are_no_paths_of_modules_around_others() -> None:
    nodes = (*SOUND, Node("a.x.y", ReLU(), ("d",), MAP))
    with pytest.raises(LintError, match="'a' is both a node and a module around others"):
        lint(network(nodes))


def test_a_compiled_network_is_sound() -> None:
    stages = [{"block": "bottleneck", "depth": 2, "width": 4, "shortcut": "B"}]
    network = compile_data({"name": "x", "stages": stages, "head": ["linear"]})
    assert lint(network) is network
