"""Specs that were exported, back as specs: from programs with paths, and from ONNX files without
names."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from definitions import specs_of_blocks
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis.strategies import SearchStrategy
from onnxmaker import nameless, written
from strategies import Data, compile_data, specs

import archc
from archc.analysis import compare
from archc.analysis.exported import with_ids_of
from archc.api.lifting import lifted_of
from archc.compile import compile_spec
from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.frontends.torch_export.archive import read_archive
from archc.graph import Network, deploy_form
from archc.lifting.units import prepared
from archc.live import build_module
from archc.running import quiet
from archc.source.diagnostics import Source
from archc.spec import resolve

Strategy: TypeAlias = SearchStrategy[Any]


def nameless_text(network: Network) -> str:
    """The spec of an ONNX file that has no name of its author's."""
    return lifted_of(Imported(read_onnx(nameless(written(network)), "net.onnx"), "net.onnx")).text


def program_text(network: Network) -> str:
    """The spec of a .pt2 file."""
    with torch.device("meta"):
        module = build_module(network.inference).eval()
        image = torch.empty(1, *network.input_shape)
    file = io.BytesIO()
    with quiet():
        torch.export.save(torch.export.export(module, (image,)), file)
    file.seek(0)
    return lifted_of(Imported(read_archive(file, "net.pt2"), "net.pt2")).text


def assert_is(network: Network, text: str, *, has_keys: bool) -> None:
    """Assert that a text compiles to the graph of a network, and to its keys."""
    found = compile_spec(resolve(Source("lifted", text)))
    named = found if has_keys else with_ids_of(network, found)
    assert compare(prepared(network), named).same
    assert dict(named.inference.state) == dict(network.inference.state)


SHIPPED = {
    "cifar10/resnet20": "basic",
    "torchvision/mobilenet_v2": "inverted_residual",
    "torchvision/efficientnet_b0": "mbconv",
    "torchvision/shufflenet_v2_x0_5": "shuffle_unit",
    "torchvision/squeezenet1_1": "fire",
}


@pytest.mark.parametrize(("name", "block"), SHIPPED.items())
def test_blocks_of_the_library_are_found_without_names(name: str, block: str) -> None:
    network = archc.load(name)
    text = nameless_text(network)
    assert_is(network, text, has_keys=False)
    assert block in text
    assert "blocks:" not in text
    assert len(text.splitlines()) <= 20


def test_folded_norms_come_back_as_the_deploy_form() -> None:
    network = deploy_form(archc.load("cifar10/resnet20"))
    text = nameless_text(network)
    assert_is(network, text, has_keys=False)
    assert text == (
        "name: net\n"
        "input: [3, 32, 32]\n"
        "classes: 10\n"
        "norm: none\n"
        "stem:\n"
        "  - conv: {width: 16, kernel: 3}\n\n"
        "defaults: {block: basic, shortcut: A}\n"
        "stages:\n"
        "  - {depth: 3, width: 16}\n"
        "  - {depth: 3, width: 32, stride: 2}\n"
        "  - {depth: 3, width: 64, stride: 2}\n\n"
        "head: [global_avg_pool, linear]\n"
    )


@pytest.mark.parametrize("name", ["cifar10/resnet20", "torchvision/shufflenet_v2_x0_5"])
def test_programs_come_back_with_their_keys(name: str) -> None:
    network = archc.load(name)
    text = program_text(network)
    assert_is(network, text, has_keys=True)
    assert len(text.splitlines()) <= 25


SOME = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("made", [specs, specs_of_blocks])
def test_random_networks_come_back_without_names(made: Callable[[], Strategy]) -> None:
    @SOME
    @given(made())
    def check(data: Data) -> None:
        network = drawn(data)
        assert_is(network.inference, nameless_text(network.inference), has_keys=False)
        folded = deploy_form(network)
        assert_is(folded, nameless_text(folded), has_keys=False)

    check()


def test_random_networks_come_back_from_programs() -> None:
    @settings(SOME, max_examples=4)
    @given(specs_of_blocks())
    def check(data: Data) -> None:
        network = drawn(data)
        assert_is(network, program_text(network), has_keys=True)

    check()


def drawn(data: Data) -> Network:
    """The network of random data, where it is one, and small."""
    try:
        network = compile_data(data)
    except archc.SpecError:
        reject()
    assume(len(network.nodes) <= 45)
    return network
