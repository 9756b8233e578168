"""Emitted source of blocks written in YAML: that it is what the graph says, and how it reads."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from agreement import assert_formatted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import compile_data

import archc
from archc.backends.pytorch import emit
from archc.graph import Network
from archc.live import build_module
from archc.verification import Options, verify

QUICK = Options(quick=True)


def network_of(blocks: str, *stages: dict[str, Any], **header: Any) -> Network:
    """A network of small images, whose stages are of a spec's own blocks."""
    import yaml

    return compile_data(
        {
            "name": "own",
            "input": [8, 12, 12],
            "blocks": yaml.safe_load(textwrap.dedent(blocks)),
            "stages": list(stages),
            "head": ["global_avg_pool", {"linear": 3}],
            **header,
        }
    )


def proven(network: Network) -> str:
    """The source of a network, whose module has been proven equal to it."""
    report = verify(network, options=QUICK)
    assert report.passed, report.faults
    module = build_module(network)
    assert list(module.state_dict()) == list(network.state)
    return emit(network)


def classes(source: str) -> dict[str, str]:
    """The text of each class."""
    return {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


INVERTED = """
inverted:
  attributes: {width: int, expand: 2, kernel: 3}
  let: {hidden: in * expand}
  layers:
    - name: block
      layers:
        - {conv_norm: {width: hidden, kernel: 1}, if: expand != 1}
        - conv_norm: {width: hidden, kernel: kernel, stride: stride, groups: depthwise}
        - squeeze: {width: "max(1, in // 4)"}
        - conv_norm: {width: width, kernel: 1, activation: none}
    - {stochastic_depth: 0.2 * index / total, if: stride == 1 and in == width}
    - {add: input, if: stride == 1 and in == width}
"""


def test_what_a_numbered_group_may_lack_is_a_condition() -> None:
    source = proven(
        network_of(
            INVERTED,
            {"block": "inverted", "depth": 1, "width": 6, "expand": 1},
            {"block": "inverted", "depth": 3, "width": 12, "stride": 2, "kernel": 5},
        )
    )
    found = classes(source)
    assert list(found) == [
        *("StochasticDepth", "Conv2dNormActivation", "SqueezeExcitation", "Inverted", "Own")
    ]
    assert "hidden = in_channels * expand\n" in found["Inverted"]
    assert "if expand != 1:\n            block.append(" in found["Inverted"]
    assert "if self.keeps_shape:" in found["Inverted"]
    assert "groups=hidden" in found["Inverted"]
    assert "padding=(kernel_size - 1) // 2" in found["Conv2dNormActivation"]
    assert "activation=False" in found["Inverted"]


def test_merges_under_opposite_conditions_are_told_by_the_stride() -> None:
    block = """
    unit:
      attributes: {width: int}
      layers:
        - conv: {width: width, kernel: 3, stride: stride}
        - {concat: [identity, [conv: {width: width, kernel: 1}]], if: stride == 2}
        - {add: input, if: stride == 1 and channels == in}
    """
    source = proven(
        network_of(
            block,
            {"block": "unit", "depth": 1, "width": 8},
            {"block": "unit", "depth": 1, "width": 8, "stride": 2},
        )
    )
    assert "if self.stride == 2:" in source or "if self.stride != 1:" in source
    assert "if self.stride:" not in source


def test_numbered_children_of_which_some_are_optional_are_reached_by_name() -> None:
    block = """
    part:
      attributes: {width: int, wide: false}
      layers:
        - name: part
          layers:
            - {conv: {width: width, kernel: 1}, if: wide}
            - add: [identity, [conv: {width: channels, kernel: 3}]]
    """
    source = proven(
        network_of(
            block,
            {"block": "part", "depth": 1, "width": 8},
            {"block": "part", "depth": 1, "width": 8, "wide": True},
        )
    )
    assert 'getattr(self, "0")' in source


def test_channels_that_only_some_have_deep_inside_are_the_arguments_too() -> None:
    block = """
    own:
      attributes: {width: int}
      layers:
        - name: part
          layers:
            - add:
                - [{name: first, layers: [conv: {width: channels, kernel: 3}], if: stride == 1}]
                - [conv: {width: channels, kernel: 1}]
        - conv: {width: width, kernel: 1, stride: stride}
    """
    stage = {"block": "own", "depth": 2, "width": 12, "stride": 2}
    source = proven(network_of(block, stage))
    assert "self.part = Part(in_channels, in_channels, stride=stride)" in source


def test_an_attribute_may_be_called_like_a_method_of_modules() -> None:
    block = """
    unit:
      attributes: {width: int, half: false}
      layers:
        - conv: {width: width, kernel: 3}
        - {conv: {width: width, kernel: 1}, if: half, name: extra}
    """
    source = proven(
        network_of(
            block,
            {"block": "unit", "depth": 1, "width": 8},
            {"block": "unit", "depth": 1, "width": 8, "half": True},
        )
    )
    assert "self.half = " not in source


def test_layers_that_exclude_each_other_are_an_else() -> None:
    block = """
    fused:
      attributes: {width: int, expand: 2}
      layers:
        - name: block
          layers:
            - {conv_norm: {width: in * expand, kernel: 3, stride: stride}, if: expand != 1}
            - {conv_norm: {width: width, kernel: 1, activation: none}, if: expand != 1}
            - {conv_norm: {width: width, kernel: 3, stride: stride}, if: expand == 1}
        - {add: input, if: stride == 1 and in == width}
    """
    source = proven(
        network_of(
            block,
            {"block": "fused", "depth": 2, "width": 8, "expand": 1},
            {"block": "fused", "depth": 2, "width": 12, "stride": 2},
        )
    )
    assert list(classes(source)) == ["Conv2dNormActivation", "Fused", "Own"]
    assert classes(source)["Fused"].count("        else:\n") == 1


def test_activations_that_differ_are_an_argument() -> None:
    block = """
    gated:
      attributes: {width: int, activation: network, se: false}
      layers:
        - name: block
          layers:
            - conv_norm: {width: width, kernel: 3, activation: activation}
            - {squeeze: {width: width // 4}, if: se}
            - conv_norm: {width: width, kernel: 1, activation: none}
        - {add: input, if: in == width}
    """.replace("activation: network", "activation: {type: activation, default: network}")
    source = proven(
        network_of(
            block,
            {"block": "gated", "depth": 2, "width": 8, "activation": "hard_swish"},
            {"block": "gated", "depth": 2, "width": 12, "se": True},
            {"block": "gated", "depth": 1, "width": 16},
        )
    )
    found = classes(source)
    assert list(found) == ["Conv2dNormActivation", "SqueezeExcitation", "Gated", "Own"]
    assert "activation: Callable[[], nn.Module] | None" in found["Conv2dNormActivation"]
    assert "layers.append(activation())" in found["Conv2dNormActivation"]
    assert "activation=nn.Hardswish" in found["Own"]
    assert "if squeeze_width:" in found["Gated"] or "if width:" in found["Gated"]


def test_gaps_in_numbers_and_parameters_of_a_module_itself() -> None:
    block = """
    scaled:
      layers:
        - name: block
          layers:
            - conv: {width: in, kernel: 3, norm: none, bias: true, activation: none}
            - {layer_norm: {}, name: 2}
            - channel_linear: in * 2
            - gelu
            - channel_linear: in
        - {layer_scale: 0.1, name: layer_scale}
        - add: input
    """
    source = proven(network_of(block, {"block": "scaled", "depth": 3}, norm="none"))
    assert "            nn.Identity(),\n            LayerNorm2d(" in source
    assert "self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 0.1))" in source


def test_a_merge_in_a_numbered_module_is_a_sequential_with_a_forward() -> None:
    block = """
    inner:
      layers:
        - name: body
          layers:
            - label: before
            - conv: {width: in, kernel: 3, norm: none, bias: true, activation: none}
            - add: before
            - conv: {width: in, kernel: 1, norm: none, bias: true, activation: none}
    """
    source = proven(network_of(block, {"block": "inner", "depth": 2}))
    body = next(text for name, text in classes(source).items() if name == "Body")
    assert body.startswith("class Body(nn.Sequential):")
    assert "self[1](" in body


def test_modules_that_are_called_one_by_one_are_in_a_list() -> None:
    block = """
    parts:
      layers:
        - label: whole
        - chunk: {of: 2, take: 1}
        - conv: {width: in // 2, kernel: 3, norm: none, bias: true, activation: none}
          name: convs.0
        - label: first
        - whole
        - chunk: {of: 2, take: 2}
        - add: first
        - conv: {width: in // 2, kernel: 3, norm: none, bias: true, activation: none}
          name: convs.1
        - concat: [first, identity]
    """
    source = proven(network_of(block, {"block": "parts", "depth": 2}))
    assert "self.convs = nn.ModuleList(" in source
    assert "self.convs[1](" in source


def test_names_that_are_no_identifiers_are_keys() -> None:
    source = proven(
        network_of(
            INVERTED,
            {"block": "inverted", "depth": 6, "width": 8},
            names="trunk.block{stage}-{block}",
        )
    )
    assert '"block1-0": ' in source


@pytest.mark.parametrize(
    ("init", "line"),
    [
        ({"conv": {"normal": 0.02}}, "nn.init.normal_(module.weight, std=0.02)"),
        ({"conv": {"uniform": 0.5}}, "nn.init.uniform_(module.weight, -0.5, 0.5)"),
        ({"conv": {"truncated_normal": 0.1}}, "nn.init.trunc_normal_(module.weight, std=0.1)"),
        ({"conv": {"kaiming_uniform": "fan_in"}}, "nn.init.kaiming_uniform_(module.weight)"),
        (
            {"linear": {"kaiming_uniform": "fan_out", "gain": 0.5773502691896258}},
            'nn.init.kaiming_uniform_(module.weight, a=2.236068, mode="fan_out")',
        ),
        (
            {"linear": {"kaiming_uniform": "fan_in", "gain": 3.0}},
            "bound = 5.196152422706632 / module.weight[0].numel() ** 0.5",
        ),
        ({"linear": {"kaiming_uniform": "fan_in", "gain": 1.0}}, 'nonlinearity="linear"'),
        ({"linear": {"normal": 0.01}, "bias": 0.5}, "nn.init.constant_(module.bias, 0.5)"),
        ({"conv": "default", "linear": "default"}, ""),
    ],
)
def test_weights_are_drawn_by_the_rules_of_a_spec(init: dict[str, Any], line: str) -> None:
    stages = [{"block": "inverted", "depth": 2, "width": 16}]
    source = proven(network_of(INVERTED, *stages, init=init))
    assert line in source
    assert ("nn.init" in source) is bool(line)


def test_a_layer_may_have_a_rule_of_its_own() -> None:
    head = ["global_avg_pool", {"linear": {"features": 5, "init": {"normal": 0.3}}}]
    source = proven(network_of(INVERTED, {"block": "inverted", "depth": 1, "width": 8}, head=head))
    assert "for module in (self.fc,):" in source


GOALS = {
    "mobilenet_v2": 112,
    "efficientnet_b0": 227,
    "densenet121": 138,
    "regnet_y_400mf": 252,
    "convnext_tiny": 122,
}
"""Lines of torchvision 0.28's module classes, without docstrings, comments and blank ones."""


@pytest.mark.parametrize(("name", "most"), GOALS.items())
def test_source_is_no_longer_than_torchvisions(name: str, most: int, tmp_path: Path) -> None:
    source = archc.emit(f"torchvision/{name}")
    lines = [
        line
        for text in classes(source).values()
        for line in text.splitlines()
        if line.strip() and '"""' not in line
    ]
    assert len(lines) <= most
    (tmp_path / "net.py").write_text(source)
    assert_formatted(tmp_path)


@pytest.mark.parametrize("name", archc.specs("torchvision") + archc.specs("timm"))
def test_each_definition_is_one_class(name: str) -> None:
    found = list(classes(archc.emit(name)))
    assert not [one for one in found if one.endswith("2") and one[:-1] in found]


# Random definitions

_NUMBERS = st.sampled_from(["in", "width", "in * expand", "max(2, in // 2)"])
_TESTS = ("stride == 1", "stride != 1", "expand != 1", "in == width", "stride != 1 or in != width")


@st.composite
def _layers(draw: Any, depth: int = 0) -> list[Any]:
    """Layers that keep the size of maps."""
    row: list[Any] = []
    for _ in range(draw(st.integers(1, 4 - depth))):
        kind = draw(st.sampled_from(["conv", "conv_norm", "norm", "relu", "se", "group", "drop"]))
        item: dict[str, Any]
        if kind in ("conv", "conv_norm"):
            fields = {"width": draw(_NUMBERS), "kernel": draw(st.sampled_from([1, 3]))}
            if draw(st.booleans()):
                fields["activation"] = draw(st.sampled_from(["none", "silu"]))
            item = {kind: fields}
        elif kind == "se":
            item = {"squeeze": {"width": "max(1, channels // 2)"}}
        elif kind == "group" and depth < 2:
            item = {"name": f"part{len(row)}", "layers": draw(_layers(depth + 1))}
        else:
            item = {{"drop": "dropout"}.get(kind, "norm" if kind == "norm" else "relu"): {}}
        if draw(st.integers(0, 2)) == 0:
            item["if"] = draw(st.sampled_from(_TESTS))
        row.append(item)
    return row


@st.composite
def _blocks(draw: Any) -> dict[str, Any]:
    """A block that ends with a convolution of its width, and perhaps a sum."""
    last = {"conv": {"width": "width", "kernel": 3, "stride": "stride", "activation": "none"}}
    layers = [*draw(_layers()), last]
    how = draw(st.sampled_from(["none", "if", "projects"]))
    if how == "if":
        layers.append({"add": "input", "if": "stride == 1 and in == width"})
    elif how == "projects":
        shortcut = {"conv": {"width": "width", "kernel": 1, "stride": "stride"}}
        changes = "stride != 1 or in != width"
        way = [{"name": "shortcut", "if": changes, "layers": [shortcut]}]
        layers.append({"add": {"input": way}})
    attributes = {"width": "int"} | ({"expand": 2} if "expand" in str(layers) else {})
    return {"attributes": attributes, "layers": layers}


def test_random_definitions_are_emitted_as_what_they_are(tmp_path: Path) -> None:
    """One class each, or several where too much differs; always what the interpreter computes."""
    seen = {"emitted": 0, "refused": 0}

    @settings(
        max_examples=max(25, settings().max_examples // 4),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(_blocks(), st.lists(st.tuples(*map(st.integers, (1, 0, 1), (2, 1, 2))), max_size=3))
    def check(block: dict[str, Any], rest: list[tuple[int, int, int]]) -> None:
        rows = [(2, 0, 1), *rest]
        stages = [
            {
                "block": "own",
                "depth": depth,
                "width": 8 + 4 * wider,
                "stride": stride,
                "expand": 1 + wider,
            }
            for depth, wider, stride in rows
        ]
        for stage in stages:
            if "expand" not in block["attributes"]:
                del stage["expand"]
        try:
            spec = {"name": "random", "input": [8, 12, 12], "blocks": {"own": block}}
            network = compile_data(
                {**spec, "stages": stages, "head": ["global_avg_pool", "linear"]}
            )
        except archc.SpecError:
            seen["refused"] += 1
            return
        seen["emitted"] += 1
        torch.manual_seed(0)
        source = proven(network)
        (tmp_path / f"net{seen['emitted']}.py").write_text(source)

    check()
    assert seen["emitted"] >= 10, seen
    assert_formatted(tmp_path)
