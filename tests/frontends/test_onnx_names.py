"""What ops of ONNX files are called, and which tensors of the file are theirs."""

from __future__ import annotations

import json

import onnx
import pytest
from onnxmaker import Maker

from archc.backends.pytorch import emit
from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.graph.regions import walk


def read(model: onnx.ModelProto) -> Imported:
    return Imported(read_onnx(model.SerializeToString(), "net.onnx"), "net.onnx")


def noted(node: onnx.NodeProto, *scopes: str, classes: tuple[str, ...] = ()) -> None:
    """The metadata of torch's newer exporter."""
    for key, value in (("name_scopes", [*scopes, "op"]), ("class_hierarchy", [*classes, "aten.x"])):
        node.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=str(value))


def test_paths_come_from_the_names_of_torchs_older_exporter() -> None:
    m = Maker((1, 4, 8, 8))
    y = m.conv("x", 4, 4, 1, "/features/features.1/block/block.0/block.0.0/Conv")
    y = m.node("Relu", y, name="/features/features.1/block/block.0/block.0.1/Relu")
    y = m.node("Add", y, "x", name="/features/features.1/Add")
    y = m.conv(y, 4, 4, 1, "/conv_head/Conv")
    y = m.node("Relu", y, name="/act/Relu")
    y = m.node("Add", y, m.node("Relu", y, name="/act_1/Relu"), name="/Add")
    network = read(m.model(y)).network
    assert list(network.nodes)[1:] == [
        "features.1.block.0.0",
        "features.1.block.0.1",
        "features.1.add",
        "conv_head",
        *("relu", "relu2", "add"),
    ]


def test_onnxruntimes_additions_to_names_are_no_modules() -> None:
    m = Maker((1, 4, 8, 8))
    y = m.conv("x", 4, 4, 1, "/net/net.0/a/Conv/ConvAddFusion")
    y = m.conv(y, 4, 4, 1, "/net/net.0/b/Conv/ScaleFusion//TransposeFusion/")
    assert list(read(m.model(y)).network.nodes)[1:] == ["net.0.a", "net.0.b"]


def test_paths_and_classes_come_from_the_metadata_of_torchs_newer_exporter() -> None:
    """A convolution that took in a norm has the norm's path there, and its own in its weight."""
    m = Maker((1, 4, 8, 8))
    y = x = "x"
    for block in ("layer.0", "layer.1"):
        for part in ("1", "2"):
            y = m.node(
                "Conv",
                y,
                m.weight(4, 4, 3, 3, name=f"{block}.conv{part}.weight"),
                m.weight(4, name=f"{block}.conv{part}.weight_bias"),
                pads=[1] * 4,
            )
        x = y = m.node("Add", y, x)
    model = m.model(y)
    classes = ("my.Net", "torch.nn.modules.container.Sequential", "my.Block")
    for index, node in enumerate(model.graph.node):
        block = f"layer.{index // 3}"
        part = ("bn1", "bn2", "")[index % 3]
        norm = "torch.nn.modules.batchnorm.BatchNorm2d"
        if part:
            noted(node, "", "layer", block, f"{block}.{part}", classes=(*classes, norm))
        else:
            noted(node, "", "layer", block, classes=classes)
    imported = read(model)
    network = imported.network
    assert list(network.nodes)[1:] == [
        *("layer.0.conv1", "layer.0.conv2", "layer.0.add"),
        *("layer.1.conv1", "layer.1.conv2", "layer.1.add"),
    ]
    assert imported.keys["layer.0.conv1.bias"] == "layer.0.conv1.weight_bias"
    blocks = [region for region in walk(network.regions) if region.kind == "block"]
    assert [block.label for block in blocks] == ["Block", "Block"]


def test_without_paths_ops_are_counted() -> None:
    m = Maker((1, 4, 8, 8))
    y = m.node("Relu", m.conv("x", 4, 4))
    y = m.node("Relu", m.conv(y, 4, 4))
    imported = read(m.model(y))
    assert list(imported.network.nodes)[1:] == ["conv1", "relu1", "conv2", "relu2"]
    assert imported.keys == {
        **{"conv1.weight": "t1", "conv1.bias": "t2"},
        **{"conv2.weight": "t5", "conv2.bias": "t6"},
    }


def test_counted_modules_move_up_where_a_norm_was_folded() -> None:
    m = Maker((1, 4, 8, 8))
    y = m.node(
        "Relu", m.conv("x", 4, 4, 1, "/features/features.0/Conv"), name="/features/features.2/Relu"
    )
    y = m.conv(y, 4, 4, 1, "/features/features.3/Conv")
    imported = read(m.model(y))
    assert list(imported.network.nodes)[1:] == ["features.0", "features.1", "features.2"]
    assert imported.keys["features.2.weight"] == "t5"


def test_a_shared_tensor_names_no_layer() -> None:
    m = Maker((1, 4, 8, 8))
    shared = m.weight(4, 4, 1, 1, name="a.weight")
    y = m.node("Conv", "x", shared, name="/a/Conv")
    y = m.node("Conv", y, shared, name="/b/Conv")
    imported = read(m.model(y))
    assert dict(imported.keys) == {"a.weight": "a.weight"}


HOSTILE = [
    '"""',
    "a'b",
    "x\ny",
    "</script>",
    "\\input{x}",
    "${HOME}",
    "# code",
    "__import__('os').system('x')",
    "class",
    "self",
    "../up",
    "a b",
    "\u202egnp",
    "名前",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_strangers_reach_no_source(name: str) -> None:
    m = Maker((1, 4, 8, 8))
    for kind in ("layer", "weight", "note"):
        weight = f"{name}.weight" if kind == "weight" else ""
        y = m.node("Conv", "x", m.weight(4, 4, 1, 1, name=weight), name=f"/{name}/{name}.0/Conv")
        y = m.node("Relu", y, name=f"/{name}/act/Relu")
    model = m.model(y)
    model.graph.name = model.producer_name = model.graph.doc_string = name
    for node in model.graph.node:
        node.doc_string = name
    if name != "class":
        noted(model.graph.node[0], "", name, classes=(name, name))
    network = read(model).network
    source = emit(network)
    compile(source, "net.py", "exec")
    words = {word for id in network.nodes for word in id.split(".")}
    assert all(word.isascii() and word.replace("_", "a").isalnum() for word in words)
    if name == '"""':
        assert source.count(name) == 2 + 2 * source.count('    """')
    elif not (name.isascii() and name.isalpha()):
        assert name not in source
        assert name not in json.dumps(list(network.nodes), ensure_ascii=False)
