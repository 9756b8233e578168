"""Emitted source: its classes, names and layout, and what no words of an author can do to it."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from agreement import assert_agrees, assert_formatted, on_meta
from shipped import network_of, source_of
from strategies import HOSTILE, compile_data

import archc
from archc.backends.pytorch import emit
from archc.backends.pytorch.text import Namespace, class_name
from archc.graph import Network, NetworkBuilder, Node, lint
from archc.graph.modules import StructureError
from archc.graph.network import FragmentBuilder
from archc.ops import Add, Conv2d, ReLU
from archc.shipped import shipped_names


def class_definitions(source: str) -> dict[str, ast.ClassDef]:
    """The classes of a source, in order."""
    nodes = ast.parse(source).body
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def arguments(source: str, name: str) -> list[str]:
    """The arguments of a class's constructor."""
    found = next(
        node
        for node in class_definitions(source)[name].body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    return [argument.arg for argument in found.args.args[1:]]


@pytest.mark.parametrize(
    ("spec", "classes"),
    [
        ("imagenet/resnet34", ["ZeroPadShortcut", "BasicBlock", "ResNet34"]),
        ("imagenet/plain34", ["PlainBlock", "Plain34"]),
        ("imagenet/resnet50", ["Bottleneck", "ResNet50"]),
        ("imagenet/resnet34-c", ["BasicBlock", "ResNet34C"]),
        ("imagenet/vgg19", ["VGG19"]),
        ("torchvision/vgg11_bn", ["VGG11Bn"]),
        ("torchvision/resnext50_32x4d", ["Bottleneck", "ResNeXt50_32x4d"]),
        ("torchvision/wide_resnet50_2", ["Bottleneck", "WideResNet50_2"]),
        ("cifar10/resnet1202", ["ZeroPadShortcut", "BasicBlock", "ResNet1202"]),
        ("cifar10/preresnet110", ["ZeroPadShortcut", "PreActBlock", "PreResNet110"]),
        (
            "cifar10/preresnet164",
            ["PreActProjectionBottleneck", "PreActBottleneck", "PreResNet164"],
        ),
    ],
)
def test_classes_are_those_that_a_person_would_write(spec: str, classes: list[str]) -> None:
    assert list(class_definitions(archc.emit(spec))) == classes


@pytest.mark.parametrize(
    ("spec", "block", "expected"),
    [
        ("imagenet/resnet34", "BasicBlock", ["in_channels", "out_channels", "stride"]),
        ("imagenet/resnet50", "Bottleneck", ["in_channels", "width", "out_channels", "stride"]),
        ("imagenet/plain34", "PlainBlock", ["in_channels", "out_channels", "stride"]),
        ("cifar10/preresnet164", "PreActBottleneck", ["channels", "width"]),
        ("torchvision/wide_resnet50_2", "Bottleneck", ["in_channels", "width", "out_channels"]),
    ],
)
def test_arguments_are_named_by_their_role(spec: str, block: str, expected: list[str]) -> None:
    found = arguments(archc.emit(spec), block)
    assert found[: len(expected)] == expected
    assert set(found) - set(expected) <= {"stride"}


def test_a_width_that_equals_the_input_by_chance_has_an_argument_of_its_own() -> None:
    stage = {"block": "bottleneck", "depth": 1, "width": 8, "shortcut": "B"}
    source = emit(compile_data({"name": "x", "input": [8, 4, 4], "stages": [stage]}))
    assert arguments(source, "Bottleneck") == ["in_channels", "width", "out_channels"]
    assert "Bottleneck(8, 8, 32)" in source


@pytest.mark.parametrize("spec", ["imagenet/resnet34", "imagenet/resnet50", "torchvision/resnet18"])
def test_one_optional_shortcut_is_an_if(spec: str) -> None:
    source = archc.emit(spec)
    assert source.count("if stride != 1 or in_channels != out_channels:") == 1
    assert source.count("nn.Identity()") == 1


def test_an_optional_shortcut_that_no_rule_tells_apart_has_an_argument() -> None:
    """A stage with projections everywhere beside one without."""
    stage = {"block": "basic", "depth": 2, "width": 8}
    stages = [{**stage, "shortcut": "C"}, {**stage, "shortcut": "B"}]
    source = emit(compile_data({"name": "mixed", "stages": stages}))
    assert list(class_definitions(source)) == ["BasicBlock", "Mixed"]
    assert 'if shortcut == "C":' in source
    assert "if stride" not in source


def test_equal_neighbours_are_a_comprehension() -> None:
    source = archc.emit("cifar10/resnet1202")
    assert "*(BasicBlock(32, 32) for _ in range(199))" in source
    assert source.count("\n") <= 100


@pytest.mark.parametrize("spec", shipped_names())
def test_shipped_network_fits_on_a_few_pages(spec: str) -> None:
    """On two those of residual blocks and of single convolutions."""
    source = source_of(spec)
    is_plain = set(network_of(spec).written) <= {"conv1", "bn1", "relu"} or "/resn" in spec
    assert source.count("\n") <= (100 if is_plain and "timm" not in spec else 320)


def test_source_says_where_it_comes_from() -> None:
    network = archc.load("imagenet/resnet50", with_={"depth": [3, 4, 11, 3]})
    text = ast.get_docstring(ast.parse(emit(network)))
    assert text is not None
    assert "imagenet/resnet50 --with depth=3,4,11,3" in text
    assert network.digest[:16] in text
    assert text.startswith("50-layer residual\n\nResNet-50, option B")


@pytest.mark.parametrize("spec", shipped_names())
def test_source_exports_one_class_that_takes_the_number_of_classes(spec: str) -> None:
    network, source = network_of(spec), source_of(spec)
    body = ast.parse(source).body
    (names,) = [node for node in body if isinstance(node, ast.Assign)]
    assert ast.unparse(names) == f"__all__ = ['{class_name(network.name)}']"
    assert arguments(source, class_name(network.name)) == ["num_classes"]


def test_source_needs_torch_alone() -> None:
    for spec in shipped_names():
        for node in ast.walk(ast.parse(source_of(spec))):
            if isinstance(node, ast.Import):
                assert all(alias.name.split(".")[0] == "torch" for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module in (
                    "torch",
                    "collections",
                    "collections.abc",
                    "functools",
                    "typing",
                )


def test_emission_is_the_same_in_every_process() -> None:
    """Hashes of strings, which order sets, differ between processes."""
    program = "import archc, hashlib; from archc.shipped import shipped_names as names; " + (
        "print(hashlib.sha256(''.join(map(archc.emit, names())).encode()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256("".join(map(source_of, shipped_names())).encode()).hexdigest()
    assert other.stdout.strip() == here


def test_shipped_sources_are_formatted_and_free_of_lint(tmp_path: Path) -> None:
    for number, spec in enumerate(shipped_names()):
        (tmp_path / f"net{number}.py").write_text(source_of(spec), encoding="utf-8")
    assert_formatted(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet34", "ResNet34"),
        ("resnet34-b", "ResNet34B"),
        ("resnext50_32x4d", "ResNeXt50_32x4d"),
        ("wide_resnet101_2", "WideResNet101_2"),
        ("preresnet164", "PreResNet164"),
        ("vgg11_bn", "VGG11Bn"),
        ("VGG16", "VGG16"),
        ("plain34", "Plain34"),
        ("my.net-2.0", "MyNet_2_0"),
        ("camelCase", "CamelCase"),
        ("a__b--c", "ABC"),
        ("x-", "X"),
        ("none", "NoneNet"),
        ("true", "TrueNet"),
        ("F", "FNet"),
        ("f", "FNet"),
        ("tensor", "TensorNet"),
        ("ZeroPadShortcut", "ZeroPadShortcutNet"),
        ("nn", "Nn"),
    ],
)
def test_class_is_named_after_the_network(name: str, expected: str) -> None:
    assert class_name(name) == expected


@pytest.mark.parametrize("name", ["BasicBlock", "basic-block", "Bottleneck", "torch", "self", "F"])
def test_networks_name_wins_over_those_of_its_blocks(name: str) -> None:
    stages = [
        {"block": block, "depth": 1, "width": 4, "shortcut": "B"}
        for block in ("basic", "bottleneck")
    ]
    source = emit(compile_data({"name": name, "stages": stages}))
    assert f'__all__ = ["{class_name(name)}"]' in source
    assert len(class_definitions(source)) == 3
    assert list(class_definitions(source))[-1] == class_name(name)


def test_namespace_hands_out_each_identifier_once() -> None:
    names = Namespace({"x"})
    wishes = ["x", "x", "out", "out", "class", "out2"]
    assert [names.new(wish) for wish in wishes] == ["x2", "x3", "out", "out2", "class2", "out22"]


def test_no_words_of_an_author_break_out_of_the_docstring(tmp_path: Path) -> None:
    """Titles, descriptions and file names: compiled, formatted, and never run."""
    base = compile_data({"name": "hostile", "head": ["linear"]})
    plain = [ast.dump(node) for node in ast.parse(emit(base)).body[1:]]
    number = 0
    for field in ("title", "description", "source"):
        for words in HOSTILE:
            source = emit(replace(base, **{field: words}))  # type: ignore[arg-type]
            docstring, *body = ast.parse(source).body
            assert isinstance(docstring, ast.Expr)
            assert isinstance(docstring.value, ast.Constant)
            assert [ast.dump(node) for node in body] == plain
            assert all(character.isprintable() or character == "\n" for character in source)
            (tmp_path / f"net{number}.py").write_text(source, encoding="utf-8")
            number += 1
    assert_formatted(tmp_path)


def test_words_of_an_author_stand_in_the_docstring_as_they_are() -> None:
    title, description = "Fünf \\ % {x} \N{GRINNING FACE}", 'It\'s "quoted" and long. ' * 9
    data = {"name": "x", "title": title, "description": description, "head": ["relu"]}
    text = ast.get_docstring(ast.parse(emit(compile_data(data))))
    assert text is not None
    assert text.split("\n")[0] == title
    assert " ".join(text.split()).count("It's 'quoted' and long.") == 9


def test_long_chains_are_written_on_many_lines() -> None:
    """Thousands of layers that end no line: neither a line nor the recursion grows with them."""
    layers = ["dropout", {"conv": {"width": 1, "kernel": 1, "norm": "none", "activation": "none"}}]
    source = emit(compile_data({"name": "chain", "input": [1, 2, 2], "stem": layers * 2000}))
    assert max(map(len, source.splitlines())) <= 88
    compile(source, "chain", "exec")


def test_lines_of_forward_end_at_a_relu_and_reuse_a_dead_variable() -> None:
    source = archc.emit("imagenet/resnet50")
    body = source.split("class ResNet50")[0].split("def forward")[1].splitlines()[1:]
    assert [line.strip() for line in body if line] == [
        "out = F.relu(self.bn1(self.conv1(x)), inplace=True)",
        "out = F.relu(self.bn2(self.conv2(out)), inplace=True)",
        "out = self.bn3(self.conv3(out))",
        "out += self.downsample(x)",
        "return F.relu(out, inplace=True)",
    ]


def test_softmax_is_for_predict_alone() -> None:
    with_softmax = emit(compile_data({"name": "x", "head": ["linear", "softmax"]}))
    assert with_softmax.count("softmax") == 1
    assert with_softmax.rstrip().endswith("return torch.softmax(self(x), dim=1)")
    without = emit(compile_data({"name": "x", "head": ["linear"]}))
    assert "predict" not in without


@pytest.mark.parametrize("head", [["flatten"], ["relu"], ["flatten", "softmax"], ["dropout"]])
def test_networks_of_next_to_nothing_are_classes_too(head: list[str], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(emit(compile_data({"name": "x", "head": head})))
    assert_formatted(tmp_path)


def _chain(ids: Sequence[str]) -> Network:
    """Relus and convolutions of one channel in a row, under these ids."""
    nodes = NetworkBuilder((1, 4, 4))
    for node_id in ids:
        piece = FragmentBuilder((1, 4, 4))
        last = node_id.rpartition(".")[2]
        piece.add("op", ReLU() if last.startswith("relu") else Conv2d(1, 1, 1))
        nodes.append(piece.build(), lambda _, node_id=node_id: node_id)  # type: ignore[misc]
    return Network("chain", nodes.nodes)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a..b"], "is not a path of attributes"),
        (["a", "a.b"], "'a' is both an op and a module around others"),
    ],
)
def test_ids_that_describe_no_modules_are_refused(ids: list[str], message: str) -> None:
    with pytest.raises(StructureError, match=message):
        emit(_chain(ids))


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        (["a.0", "a.2"], "nn.Identity(),"),
        (["a.1", "a.0"], '"1": nn.Conv2d(1, 1, kernel_size=1), "0": nn.Conv2d('),
        (["a.0", "a.relu"], 'self.a.add_module("relu", nn.ReLU(inplace=True))'),
        (["a-b"], 'return getattr(self, "a-b")(x)'),
        (["in"], 'return getattr(self, "in")(x)'),
        (["class.conv"], 'return getattr(self, "class")(x)'),
        (["a.x", "b", "a.y"], 'return self.a["y"](self.b(self.a["x"](x)))'),
        (["a.0", "b", "a.1"], "return self.a[1](self.b(self.a[0](x)))"),
    ],
)
def test_any_names_of_modules_can_be_emitted(ids: list[str], line: str, tmp_path: Path) -> None:
    network = _chain(ids)
    source = emit(network)
    assert line in " ".join(source.split())
    assert_agrees(network, on_meta(network))
    (tmp_path / "net.py").write_text(source)
    assert_formatted(tmp_path)


def test_a_module_with_two_outputs_is_a_container() -> None:
    shape = (1, 4, 4)
    first = Node("a.x", Conv2d(1, 1, 1), ("input",), shape)
    second = Node("a.y", Conv2d(1, 1, 1), ("a.x",), shape)
    total = Node("add", Add(), ("a.x", "a.y"), shape)
    start = NetworkBuilder(shape).nodes
    network = Network("two", {**start, **{node.id: node for node in (first, second, total)}})
    assert "self.a = nn.ModuleDict(" in emit(lint(network))
    assert_agrees(network, on_meta(network))
