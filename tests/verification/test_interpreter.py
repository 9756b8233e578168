"""The interpreter of a network's graph against modules written plainly from the papers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import networkx
import pytest
import torch
import torch.nn.functional as F
from reference.resnet import ResNetConfig, Shortcut, Stage, doubling
from reference.specs import config_of, data_of, randomized
from reference.vgg import VGGConfig
from strategies import Data, compile_data
from structures import STRUCTURES, network_of
from torch import Tensor, nn

from archc.backends.graphs import to_json
from archc.frontends.batches import RULES
from archc.graph import Network
from archc.live import build_module
from archc.ops import BatchNorm2d
from archc.ops.foreign import EVERY_OP
from archc.ops.spelling import SPELLINGS
from archc.verification import functions, interpreter


def basic(shortcut: Shortcut, **options: Any) -> ResNetConfig:
    stages = doubling(Stage(block="basic", shortcut=shortcut, width=8), (2, 2))
    return config_of(stages, **options)


def bottleneck(shortcut: Shortcut, more: Mapping[str, Any], **options: Any) -> ResNetConfig:
    first = Stage(block="bottleneck", shortcut=shortcut, width=8, expansion=2, **more)
    return config_of(doubling(first, (2, 1)), **options)


def vgg(**options: Any) -> VGGConfig:
    return VGGConfig(depths=(1, 2), widths=(4, 8), input=(3, 20, 14), classes=5, **options)


REFERENCES: dict[str, ResNetConfig | VGGConfig] = {
    "option A": basic("A", stem="cifar"),
    "option B": basic("B"),
    "option C": basic("C"),
    "plain": basic("none"),
    "option A without norm": basic("A", norm="none"),
    "pre-activation A": basic("A", stem="bare", pre_activation=True),
    "pre-activation C without norm": basic("C", stem="bare", pre_activation=True, norm="none"),
    "bottlenecks": bottleneck("B", {}),
    "bottlenecks of a later day": bottleneck("B", {"stride_at": "3x3"}),
    "ResNeXt": bottleneck("B", {"stride_at": "3x3", "groups": 2, "base_width": 48}),
    "pre-activation bottlenecks": bottleneck("B", {}, stem="bare", pre_activation=True),
    "vgg": vgg(avgpool=2, hidden=(9, 6)),
    "vgg with norm": vgg(batch_norm=True, avgpool=None, hidden=()),
}


@cache
def reference_network(name: str) -> Network:
    return compile_data(data_of(REFERENCES[name]))


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state, of which what it learns takes gradients."""
    learned = dict(module.named_parameters())
    return {
        key: tensor.detach().clone().requires_grad_(key in learned)
        for key, tensor in module.state_dict().items()
    }


def images_of(network: Network) -> Tensor:
    return torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(1))


def read_back(network: Network) -> networkx.DiGraph[str]:
    """The graph as another program would have it, from JSON."""
    graph = networkx.node_link_graph(json.loads(to_json(network)), edges="edges")
    assert isinstance(graph, networkx.DiGraph)
    return graph


def seed_dropouts(module: nn.Module) -> None:
    """Let each dropout drop what the interpreter's drops."""
    for path, one in module.named_modules():
        if isinstance(one, nn.Dropout):
            one.register_forward_pre_hook(lambda *_, path=path: interpreter.seed_dropout(path))


@pytest.mark.parametrize("from_json", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", REFERENCES)
def test_it_computes_what_the_reference_does_bit_for_bit(
    name: str, training: bool, from_json: bool
) -> None:
    network = reference_network(name)
    module = randomized(REFERENCES[name]).train(training)
    seed_dropouts(module)
    state = state_of(module)
    assert list(state) == list(network.state)
    ours, theirs = (images_of(network).requires_grad_() for _ in range(2))
    graph = read_back(network) if from_json else network.graph

    logits = interpreter.run(graph, state, ours, training=training)[network.logits]
    expected = module(theirs)
    assert torch.equal(logits, expected)
    assert expected.isfinite().all()
    assert expected.std() > 0
    for output in (logits, expected):
        output.square().sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    for key, parameter in module.named_parameters():
        gradient = state[key].grad
        assert gradient is not None, key
        assert parameter.grad is not None, key
        assert torch.equal(gradient, parameter.grad), key
    for key, buffer in module.named_buffers():
        assert torch.equal(state[key], buffer), key


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_value_is_there_in_the_graphs_shape_and_order(structure: str) -> None:
    network = network_of(structure)
    state = state_of(build_module(network))
    with torch.no_grad():
        values = interpreter.run(network.graph, state, images_of(network))
        again = interpreter.run(read_back(network), state, images_of(network))
    assert list(values) == list(network.nodes) == list(again)
    for node in network.nodes.values():
        assert values[node.id].shape == (2, *node.output_shape)
        assert torch.equal(values[node.id], again[node.id])
    assert values["softmax"].sum(1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_it_changes_nothing_but_running_statistics_in_training(structure: str) -> None:
    network = network_of(structure)
    state = state_of(build_module(network))
    before = {key: tensor.detach().clone() for key, tensor in state.items()}
    buffers = {f"{node.id}.{name}" for node in network.nodes.values() for name in node.op.buffers}
    with torch.no_grad():
        interpreter.run(network.graph, state, images_of(network))
        changed = {key for key, tensor in state.items() if not torch.equal(tensor, before[key])}
        assert not changed
        interpreter.run(network.graph, state, images_of(network), training=True)
        changed = {key for key, tensor in state.items() if not torch.equal(tensor, before[key])}
        assert changed == buffers


@pytest.mark.parametrize("momentum", [1.0, 0.25, None])
def test_running_statistics_move_to_the_batchs_by_the_momentum(momentum: float | None) -> None:
    """With momentum 1 they are the batch's; torch's own momentum unless one is given."""
    network = network_of("bottlenecks")
    state = state_of(build_module(network))
    more = {} if momentum is None else {"momentum": momentum}
    moves = 0.1 if momentum is None else momentum
    with torch.no_grad():
        values = interpreter.run(network.graph, state, images_of(network), training=True, **more)
    norms = [node for node in network.nodes.values() if isinstance(node.op, BatchNorm2d)]
    assert len(norms) == 15
    for node in norms:
        x = values[node.inputs[0]]
        mean = x.mean((0, 2, 3))
        variance = x.var((0, 2, 3), correction=1)
        found = [state[f"{node.id}.{name}"] for name in ("running_mean", "running_var")]
        torch.testing.assert_close(found[0], moves * mean)
        torch.testing.assert_close(found[1], (1 - moves) + moves * variance)
        assert state[f"{node.id}.num_batches_tracked"] == 1


def test_statistics_of_the_batch_make_inference_what_training_was() -> None:
    """Up to the variance's correction, of which momentum 1 leaves n / (n - 1)."""
    network = network_of("option A")
    state = state_of(build_module(network))
    images = images_of(network)
    with torch.no_grad():
        trained = interpreter.run(network.graph, state, images, training=True, momentum=1.0)
        found = interpreter.run(network.graph, state, images)
    pixels = 2 * 16 * 12
    scale = ((pixels - 1) / pixels) ** 0.5
    torch.testing.assert_close(found["bn1"], trained["bn1"] * scale, atol=1e-5, rtol=1e-4)


DROPOUTS: Data = {
    "name": "dropouts",
    "input": [3, 16, 16],
    "head": [*[{"dropout": p} for p in (0.5, 0.5, 0.1, 0, 1)], "flatten"],
}


def test_a_dropout_drops_the_same_in_every_run_and_no_two_drop_the_same() -> None:
    network = compile_data(DROPOUTS)
    ones = torch.ones(2, 3, 16, 16)
    torch.manual_seed(3)
    values = interpreter.run(network.graph, {}, ones, training=True)
    torch.manual_seed(4)
    again = interpreter.run(network.graph, {}, ones, training=True)
    dropouts = [node for node in network.nodes.values() if node.op.kind == "dropout"]
    assert len(dropouts) == 5
    for node in dropouts:
        assert torch.equal(values[node.id], again[node.id])
    first, second, third, nothing, all_of_it = (values[node.id] for node in dropouts)
    assert set(first.flatten().tolist()) == {0, 2}
    assert set(second.flatten().tolist()) == {0, 4}
    assert (first == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    kept = second[first > 0]
    assert (kept == 0).float().mean().item() == pytest.approx(0.5, abs=0.07)
    dropped = (third[second > 0] == 0).float().mean().item()
    assert dropped == pytest.approx(0.1, abs=0.07)
    assert torch.equal(nothing, third)
    assert not all_of_it.any()


def test_a_dropout_does_nothing_in_inference() -> None:
    network = compile_data(DROPOUTS)
    images = images_of(network)
    values = interpreter.run(network.graph, {}, images)
    assert torch.equal(values[network.logits], images.flatten(1))


def test_padding_counts_in_a_mean_and_never_in_a_maximum() -> None:
    pools = [{"avg_pool": {"kernel": 3, "stride": 2, "padding": 1}}]
    network = compile_data({"name": "x", "input": [2, 7, 6], "head": [*pools, "flatten"]})
    x = -images_of(network).abs()
    windows = F.unfold(x, 3, padding=1, stride=2).reshape(2, 2, 9, -1)
    values = interpreter.run(network.graph, {}, x)
    torch.testing.assert_close(values[network.logits].reshape(2, 2, -1), windows.mean(2))

    pools = [{"max_pool": {"kernel": 3, "stride": 2, "padding": 1}}]
    network = compile_data({"name": "x", "input": [2, 7, 6], "head": [*pools, "flatten"]})
    padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    windows = F.unfold(padded, 3, stride=2).reshape(2, 2, 9, -1)
    values = interpreter.run(network.graph, {}, x)
    assert torch.equal(values[network.logits].reshape(2, 2, -1), windows.amax(2))


def test_it_knows_every_op() -> None:
    known = {*interpreter._FUNCTIONS, "input", "batch_norm2d", "dropout", "stochastic_depth"}
    written = {
        kind
        for kind, op in EVERY_OP.items()
        if op.torch.module or op.torch.call or op.torch.parameter or kind == "input"
    }
    assert known - {"plain_gelu", "tensor"} == written  # the others stop at emission


def test_functions_have_a_spelling_a_rule_and_an_operator() -> None:
    own = {"spread", "slices", "filled"}
    assert SPELLINGS.keys() - own == RULES.keys() - {
        *("clone", "lift_fresh_copy", "dropout", "feature_dropout", "fill", "zero", "unbind")
    }
    for name in SPELLINGS:
        assert name in functions._OWN or hasattr(torch.ops.aten, name), name


def test_functions_name_their_arguments_as_torchs_operators_do() -> None:
    """What is spelled is passed to torch by the same names, which its schemas have."""
    for name, spelling in SPELLINGS.items():
        given = {argument.name for argument in spelling.arguments} - {"item", "on"}
        if name in functions._OWN:
            accepted = inspect.signature(functions._OWN[name]).parameters
            takes_any = any(one.kind is one.VAR_KEYWORD for one in accepted.values())
            assert takes_any or given <= accepted.keys(), name
            continue
        operator = getattr(torch.ops.aten, name)
        overloads = [getattr(operator, one)._schema.arguments for one in operator.overloads()]
        accepted_names = [{argument.name for argument in one} for one in overloads]
        for left_out in ({"correction"}, {"unbiased"}):  # of var and std: they take either
            assert any(given - left_out <= names for names in accepted_names), name


def test_it_computes_in_the_precision_of_its_state() -> None:
    network = network_of("mixed")
    state = state_of(build_module(network).double())
    with torch.no_grad():
        values = interpreter.run(network.graph, state, images_of(network).double())
    assert {value.dtype for value in values.values()} == {torch.float64}
