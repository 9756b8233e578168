"""Models of other libraries, and networks of archc's own, back as specs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from strategies import Data, compile_data, specs

import archc
from archc.analysis import compare
from archc.compile import compile_spec
from archc.graph import Network, Node
from archc.lifting.lifted import lifted
from archc.lifting.units import prepared
from archc.lifting.writing import scalar, written
from archc.ops import Conv2d, Op
from archc.ops.opaque import Opaque
from archc.source.diagnostics import Findings, Source
from archc.source.reader import read
from archc.spec import resolve

LINES = {
    "cifar10/resnet20": 14,
    "imagenet/plain18": 14,
    "torchvision/densenet121": 21,
    "torchvision/mobilenet_v2": 23,
    "torchvision/regnet_y_400mf": 15,
    "torchvision/shufflenet_v2_x0_5": 15,
    "torchvision/convnext_tiny": 20,
    "torchvision/squeezenet1_1": 21,
    "torchvision/alexnet": 27,
    "timm/repvgg_a0": 25,
    "timm/vovnet39a": 24,
}
"""Networks of each form, and how many lines their specs may have."""


def assert_same(network: Network, text: str) -> Network:
    """Assert that a text compiles to a network, with its keys."""
    found = compile_spec(resolve(Source("lifted", text)))
    assert compare(prepared(network), found).same
    own = prepared(network).state
    assert dict(found.inference.state) == dict(own)
    return found


@pytest.mark.parametrize(("name", "lines"), LINES.items())
def test_shipped_networks_come_back_as_short_specs(name: str, lines: int) -> None:
    network = archc.load(name)
    text = archc.lift(network)
    assert_same(network, text)
    assert len(text.splitlines()) <= lines


def test_a_spec_reads_as_if_somebody_had_written_it() -> None:
    assert archc.lift(archc.load("torchvision/resnet50")) == (
        "name: resnet50\n"
        "stem:\n"
        "  - conv: {width: 64, kernel: 7, stride: 2}\n"
        "  - max_pool: {kernel: 3, stride: 2}\n\n"
        "defaults: {block: bottleneck, stride_at: 3x3, shortcut: B}\n"
        "stages:\n"
        "  - {depth: 3, width: 64}\n"
        "  - {depth: 4, width: 128, stride: 2}\n"
        "  - {depth: 6, width: 256, stride: 2}\n"
        "  - {depth: 3, width: 512, stride: 2}\n\n"
        "head: [global_avg_pool, linear, softmax]\n"
    )


OWN = """\
name: own
input: [3, 32, 32]
classes: 10
activation: silu
blocks:
  gated:
    attributes: {width: int, expand: 4, kernel: 3, gate: false}
    let: {hidden: in * expand}
    layers:
      - {conv: {width: hidden, kernel: 1}, name: grow, if: hidden != in}
      - {conv: {width: hidden, kernel: kernel, stride: stride, groups: depthwise}, name: mix}
      - {squeeze: {width: "divisible(hidden // 4, 8)"}, name: se, if: gate}
      - {conv: {width: width, kernel: 1, activation: none}, name: shrink}
      - {add: input, if: stride == 1 and in == width}
stem: [{conv: {width: 16, kernel: 3}, name: first}]
names: "body.{number - 1}"
defaults: {block: gated}
stages:
  - {depth: 1, width: 16, expand: 1}
  - {depth: 3, width: 24, stride: 2, gate: true}
  - {depth: 2, width: 40, stride: 2, kernel: 5}
  - {depth: 2, width: 64, expand: 6, gate: true}
head: [global_avg_pool, {linear: {}, name: last}]
"""


def test_a_block_that_no_library_has_is_defined_in_the_spec() -> None:
    network = archc.loads(OWN)
    data = yaml.safe_load(archc.lift(network))
    assert list(data["blocks"]) == ["gated"]
    assert data["names"] == "body.{number - 1}"
    assert data["blocks"]["gated"]["let"] == {"hidden": "in * expand"}
    assert data["stages"] == [
        {"depth": 1, "width": 16, "expand": 1},
        {"depth": 3, "width": 24, "has_squeeze": True, "stride": 2},
        {"depth": 2, "width": 40, "kernel": 5, "stride": 2},
        {"depth": 2, "width": 64, "expand": 6, "has_squeeze": True},
    ]
    layers = data["blocks"]["gated"]["layers"]
    assert layers[0]["if"] == "expand != 1"
    assert layers[2]["squeeze"] == {"width": "divisible(hidden // 4, 8)"}
    assert layers[-1] == {"add": "input", "if": "stride == 1 and in == width"}


def test_a_lifted_spec_is_changed_like_any_other() -> None:
    text = archc.lift(archc.loads(OWN))
    assert archc.loads(text, set={"width": "x2"}).params > archc.loads(text).params


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs())
def test_random_networks_come_back(data: Data) -> None:
    try:
        network = compile_data(data)
    except archc.SpecError:
        return
    if len(network.nodes) <= 80:
        assert_same(network, lifted(network).text)


def test_values_that_cannot_be_nested_get_names() -> None:
    network = archc.loads(
        "name: net\ninput: [4, 8, 8]\nclasses: 10\n"
        "blocks:\n  steps:\n    layers:\n"
        "      - conv: {width: in, kernel: 3}\n      - label: a\n"
        "      - conv: {width: in, kernel: 3}\n      - label: b\n"
        "      - conv: {width: in, kernel: 1}\n      - add: a\n"
        "      - conv: {width: in, kernel: 3}\n      - add: [b, identity, a]\n"
        "stages: [{block: steps, depth: 2}]\nhead: [global_avg_pool, linear]\n"
    )
    text = archc.lift(network)
    assert_same(network, text)
    assert "label: a" in text


# What cannot be written


def changed(name: str, **nodes: Op) -> Network:
    network = archc.load(name)
    found = {
        id: node._replace(op=nodes[id]) if id in nodes else node
        for id, node in network.nodes.items()
    }
    return replace(network, nodes=found)


def test_what_is_outside_of_the_language_is_named() -> None:
    strange = changed("cifar10/resnet20", relu=Opaque("fft2", (16, 32, 32)))
    with pytest.raises(
        archc.ForeignError, match=r"`relu` cannot be written in a spec: the language has no `fft2`"
    ):
        archc.lift(strange)
    uneven = changed(
        "cifar10/resnet20", conv1=Conv2d(3, 16, 3, stride=(2, 1), padding=1, bias=False)
    )
    with pytest.raises(
        archc.ForeignError, match=r"`conv1` .*stride is 2 by 1, and has to be one number"
    ):
        archc.lift(uneven)


def test_a_value_added_to_itself_is_refused() -> None:
    network = archc.load("cifar10/resnet20")
    add = network.nodes["layer1.0.add"]
    nodes: dict[str, Node] = {**network.nodes, add.id: add._replace(inputs=add.inputs[:1] * 2)}
    with pytest.raises(archc.ForeignError, match="reads one value twice"):
        archc.lift(replace(network, nodes=nodes))


def test_a_name_that_no_spec_may_have_is_refused() -> None:
    with pytest.raises(archc.SpecError, match="name"):
        archc.lift(archc.load("cifar10/resnet20"), name="two words")


def test_shared_tensors_are_refused() -> None:
    network = archc.load("cifar10/resnet20")
    keys = {key: key for key in network.state}
    keys["layer1.0.conv2.weight"] = "layer1.0.conv1.weight"
    with pytest.raises(archc.ForeignError, match="are one tensor"):
        lifted(network, keys)


def test_other_keys_are_noted() -> None:
    network = archc.load("cifar10/resnet20")
    keys = {key: f"module.{key}" for key in network.state}
    (note,) = lifted(network, keys).notes
    assert "`module.conv1.weight` is `conv1.weight` here" in note


# Text


@pytest.mark.parametrize(
    "value",
    [
        *(
            "true",
            "null",
            "1e5",
            "1.0",
            "~",
            "",
            " a",
            "a: b",
            "a #b",
            "${x}",
            '"""',
            "'",
            "{stage}",
        ),
        *(
            "*a",
            "!x",
            "line\nbreak",
            "tab\t",
            "> 3",
            "[1]",
            "- a",
            "\u202e",
            "%x",
            "features.3",
            "no",
        ),
        *("in * 6", "stride == 1 and in == width", "max(1, in // 4)", "block1-0"),
    ],
)
def test_texts_come_back_as_they_are(value: str) -> None:
    text = written({"a": {"b": [value]}, value or "key": 1})
    data = read(Source("text", text), Findings()).plain
    assert data == {"a": {"b": [value]}, value or "key": 1}
    assert len(text.splitlines()) == 2
    assert scalar(1e-06) == "0.000001"


def test_class_names_reach_the_spec_as_words_alone() -> None:
    network = archc.loads(OWN)
    label = '"""\n# ${x} </script>\\input{y}'
    regions = tuple(
        replace(
            region,
            members=tuple(
                replace(one, label=label)
                if not isinstance(one, str) and one.kind == "block"
                else one
                for one in region.members
            ),
        )
        for region in network.regions
    )
    text = archc.lift(replace(network, regions=regions))
    assert_same(network, text)
    assert not {"$", "<", "\\"} & set(text)
    assert '"""' not in text
    assert "x_script_input_y" in text


# Commands and modules


def test_the_weights_of_a_module_load_into_the_lifted_one() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = archc.module(yaml.safe_load(OWN)).eval()
    text = archc.lift(module, input=(3, 32, 32), name="again")
    again = archc.module(yaml.safe_load(text)).eval()
    again.load_state_dict(module.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(module(images), again(images))


def test_the_command_writes_a_file_once(tmp_path: Path) -> None:
    from shell import archc as run

    pytest.importorskip("torch")
    (tmp_path / "net.pt2").write_bytes(archc.export("cifar10/resnet20", "pt2"))
    result = run("lift", "net.pt2", "--explain", "-o", "net.yaml", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "found 9 blocks",
        "basic, of the library: 9 blocks",
        "stages: yes",
        "archc: wrote net.yaml",
        "hint: run `archc count net.yaml`",
    ]
    assert run("check", "net.yaml", cwd=tmp_path).returncode == 0
    again = run("lift", "net.pt2", "-o", "net.yaml", cwd=tmp_path)
    assert again.returncode == 1
    assert "'net.yaml' already exists" in again.stderr
    forced = run("lift", "net.pt2", "--name", "other", "--force", "-o", "net.yaml", cwd=tmp_path)
    assert forced.returncode == 0
    assert (tmp_path / "net.yaml").read_text().startswith("name: other\n")
    spec = run("lift", "imagenet/resnet18", cwd=tmp_path)
    assert spec.returncode == 1
    assert "is not a model of another library" in spec.stderr
