"""Models in the place of specs: commands, totals, weights, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
import torch.nn.functional as F
from shell import archc as run
from torch import Tensor, nn

import archc
from archc.backends.figure.columns import column
from archc.verification import Options

MODULE = """
import torch
from torch import nn

print("a word from its author")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.up = nn.Conv3d(8, 8, (1, 2, 2))
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.up(self.conv(x).relu().unsqueeze(2)).squeeze(2)
        x = nn.functional.interpolate(x, scale_factor=2)
        return self.fc(x.mean((2, 3)))

def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))

def broken():
    raise SystemExit("enough")

number = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "net.py").write_text(MODULE)
    torch.manual_seed(0)
    state = archc.module("cifar10/resnet20").state_dict()
    torch.save(state, folder / "r20.pth")
    (folder / "r20.pt2").write_bytes(archc.export("cifar10/resnet20", "pt2", weights=state))
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


SAYS = "net.py:Net"
NO_RULE = "+ 2 ops with no rule: conv3d, upsample_nearest2d"


@pytest.mark.parametrize(
    "arguments",
    [
        ("count", SAYS),
        ("count", SAYS, "--by", "layer", "--format", "markdown"),
        ("count", SAYS, "--memory"),
        ("count", SAYS, "--roofline", "h200-bf16"),
        ("fit", SAYS, "--memory", "1GB"),
        ("diff", SAYS, "r20.pt2"),
    ],
)
def test_totals_name_what_they_leave_out(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--input", "3,8,8") if "r20.pt2" not in arguments else run(*arguments)
    assert NO_RULE in done.stdout
    assert done.stderr.startswith("archc: running net.py:Net\na word from its author\n")


def test_a_row_without_a_rule_has_no_number() -> None:
    lines = run("count", SAYS, "--input", "3,8,8", "--by", "layer").stdout.splitlines()
    row = next(line for line in lines if line.startswith("up "))
    assert row.split() == ["up", "conv3d", "8x1x7x7", "0", "264", "conv3d"]
    (record,) = json.loads(run("count", SAYS, "--input", "3,8,8", "--format", "json").stdout)
    assert record["not_counted"] == {"conv3d": 1, "upsample_nearest2d": 1}
    assert [row["no_rule"] for row in record["rows"]] == [record["not_counted"]]
    assert {"products", "no_rule"}.isdisjoint(archc.count("cifar10/resnet20").as_dict())


def test_figures_and_pages_name_it_too() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2)).eval()
    network = archc.from_module(module, input=(3, 8, 8))
    for text in (archc.draw(network).decode(), archc.report(network)):
        assert "1 op with no rule" in text
        assert "upsample_nearest2d" in text
    assert "no rule" in archc.draw(network, overview=True).decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("count", "net.py:broken"), "archc: error: `net.py:broken` failed: SystemExit: enough\n"),
        (("count", "net.py:none"), "archc: error: there is no `none` in `net.py`\n"),
        (("count", "gone.py:Net"), "archc: error: there is no file gone.py\n"),
        (("count", "gone.pt2"), "archc: error: there is no file gone.pt2\n"),
        (("count", "nowhere_at_all:Net"), "archc: error: there is no module `nowhere_at_all`\n"),
        (("count", "net.py"), "net.py:1:1: error: `net.py` is a Python file, not a spec\n"),
        (("show", "r20.pt2"), "r20.pt2:1:1: error: `r20.pt2` is a model, not a spec\n"),
        (("check", "r20.pt2"), "r20.pt2:1:1: error: `r20.pt2` is a model, not a spec\n"),
        (("build", "r20.pt2"), "r20.pt2:1:1: error: `r20.pt2` is a model, not a spec\n"),
        (("new", "n", "--from", "r20.pt2"), "`r20.pt2` is a model, not a spec\n"),
        (("sweep", "r20.pt2", "--vary", "depth=1"), "`r20.pt2` is a model, not a spec\n"),
        (("count", "r20.pt2", "--set", "classes=3"), "`--set` changes specs, and r20.pt2 is a"),
        (("count", "r20.pt2", "--with", "depth=3"), "`--with` changes specs, and r20.pt2 is a"),
        (("emit", SAYS), "does not know how to write `conv3d`"),
        (("emit", "cifar10/resnet20", "--weights-to", "w.safetensors"), "is a spec, which has no"),
    ],
)
def test_refusals(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert message in done.stderr + done.stdout
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_extends_takes_no_model(folder: Path) -> None:
    (folder / "child.yaml").write_text("name: child\nextends: net.py:Net\n")
    done = run("check", "child.yaml")
    assert (
        "child.yaml:2:10: error: `net.py:Net` is a model, not a spec" in done.stdout + done.stderr
    )
    assert "a word" not in done.stdout + done.stderr


def test_commands_take_models_where_they_take_specs(folder: Path) -> None:
    assert run("diff", "r20.pt2", "cifar10/resnet20").stdout.endswith(
        "\nleft out of both, as exported models lack it: softmax\n"
    )
    found = json.loads(run("diff", "r20.pt2", "cifar10/resnet20", "--format", "json").stdout)
    assert (found["same"], found["left_out"]) == (True, ["softmax"])
    for arguments in (
        ("graph", "r20.pt2", "-o", "r20.graphml"),
        ("draw", "r20.pt2", "--block", "1:1", "--detail", "norms", "-o", "r20.svg"),
        ("draw", "r20.pt2", "cifar10/plain20", "--diff", "-o", "r20.tex"),
        ("report", "r20.pt2", "-o", "r20.html"),
    ):
        assert run(*arguments).returncode == 0
        assert (folder / arguments[-1]).stat().st_size > 1000


# Weights


def test_weights_come_along(folder: Path) -> None:
    own = torch.load(folder / "r20.pth")
    assert run("fold", "r20.pt2", "-o", "a.safetensors").stderr.startswith(
        "archc: r20.pt2: the weights are its own\n"
    )
    expected = archc.fold("cifar10/resnet20", own)
    found = archc.read_weights("a.safetensors").tensors
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    assert run("emit", "r20.pt2", "--weights-to", "b.safetensors", "-o", "b.py").returncode == 0
    images = torch.randn(2, 3, 32, 32)
    copy = archc.module("r20.pt2").eval()
    original = archc.module("cifar10/resnet20", weights=own).eval()
    assert torch.equal(copy(images), original(images))
    written = archc.module(
        "cifar10/resnet20", weights=dict(archc.read_weights("b.safetensors").tensors)
    )
    assert torch.equal(written.eval()(images), original(images))


def test_a_model_without_values_has_no_weights(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        program = torch.export.export(module, (torch.empty(1, 3, 8, 8),))
    torch.export.save(program, tmp_path / "meta.pt2")
    for model in (tmp_path / "meta.pt2", program):
        network = archc.from_export(model)
        assert network.model is not None
        assert not network.model.has_weights
        with pytest.raises(archc.ArchcError, match="has no weights"):
            archc.fold(network)
    assert run("fold", str(tmp_path / "meta.pt2"), "-o", "c.safetensors").returncode == 1


class Small(nn.Module):
    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.fc, self.slope = nn.Linear(4, 5), slope

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        result: Tensor = self.fc(x)
        return result if torch.compiler.is_exporting() else result + self.slope


def row(network: archc.Network, **options: Any) -> Any:
    return archc.verify(network, options=Options(quick=True), **options).rows[-1]


def test_verify_compares_with_the_original() -> None:
    network = archc.from_module(Small(), input=(3, 8, 8))
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed
    assert report.rows[0].number == "the model's own, 7 tensors"
    assert (report.rows[-1].check, report.rows[-1].number) == ("original", "bit for bit")
    other = row(archc.from_module(Small(slope=0.5), input=(3, 8, 8)))
    assert other.passed is False
    assert "of the largest of the original's logits" in str(other.faults[0])
    given = row(network, weights=archc.module(network).state_dict())
    assert (given.passed, given.number) == (None, "the weights are not its own")
    program = torch.export.export(Small().eval(), (torch.zeros(3, 3, 8, 8),))
    assert row(archc.from_export(program)).number == "bit for bit"


def test_a_file_is_not_run(folder: Path) -> None:
    report = archc.verify("r20.pt2", options=Options(quick=True))
    assert report.passed
    assert report.rows[-1].passed is None
    assert report.rows[-1].number == "archc runs nothing that a .pt2 file holds"


# States that several ops have


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.norm(self.conv(self.norm(self.conv(x))))
        result: Tensor = self.second(self.first(x.mean((2, 3))))
        return result


def test_what_is_called_twice_counts_its_parameters_once() -> None:
    module = Tied()
    network = archc.from_module(module, input=(3, 4, 4))
    assert network.params == sum(one.numel() for one in module.parameters())
    assert network.multiply_adds == 16 * (3 * 8 + 2 * 8 * 8 * 9) + 2 * 64
    assert [id for id in network.nodes if network.nodes[id].op.shares] == [
        "conv2",
        "norm2",
        "second",
    ]
    assert set(network.state) < set(module.state_dict())
    assert archc.emit(network).count("self.norm(self.conv(") == 2
    folded = archc.count(archc.from_module(module, input=(3, 4, 4)), by="layer")
    assert sum(one.params for one in folded.rows) == network.params
    assert archc.diff(network, network).same


def test_a_value_that_is_merged_with_itself() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x], 1) + torch.cat([x, x + x], 1)

    network = archc.from_module(Net(), input=(3, 4, 4))
    assert [node.op.called for node in network.nodes.values()] == [
        *("input", "identity", "concat", "identity", "add", "concat", "add")
    ]
    assert not network.no_rule
    archc.draw(network)


# Several inputs and outputs


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.more = nn.Conv2d(3, 8, 3), nn.Linear(4, 8)
        self.boxes = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor, more: Tensor) -> Mapping[str, Tensor]:
        x = self.conv(x).relu()
        return {"scores": x.mean((2, 3)) + self.more(more), "boxes": self.boxes(x)}


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3, 2)
        self.heads = nn.ModuleList([nn.Conv2d(8, 4, 1), nn.Conv2d(16, 4, 1)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        near = self.near(x).relu()
        return self.heads[0](near), self.heads[1](self.far(near).relu())


def test_heads_are_branches_and_no_shortcuts() -> None:
    shown = column(archc.from_module(Heads(), input=(3, 16, 16)))
    assert [box.label for box in shown.boxes] == [
        *("3x3 conv, 8", "1x1, 4", "3x3, 16, /2", "1x1, 4", "2 outputs")
    ]
    assert not shown.shortcuts


def test_several_inputs_and_outputs() -> None:
    program = torch.export.export(Several().eval(), (torch.zeros(1, 3, 8, 8), torch.zeros(1, 4)))
    network = archc.from_export(program)
    assert dict(network.inputs) == {"input": (3, 8, 8), "more_input": (4,)}
    assert dict(network.outputs) == {"add": (8,), "boxes": (4, 6, 6)}
    inputs = [{"name": "input", "shape": [3, 8, 8]}, {"name": "more_input", "shape": [4]}]
    for found in (
        archc.count(network).as_dict(),
        archc.memory(network).as_dict(),
        json.loads(archc.to_json(network))["graph"],
    ):
        assert (found["input"], found["inputs"]) == (None, inputs)
    assert "inputs" not in archc.count("cifar10/resnet20").as_dict()
    assert "one 3x8x8 image and more_input of 4" in str(archc.count(network))
    assert archc.diff(network, archc.from_export(program)).same
    archc.report(network)
    assert "self, x: Tensor, more_input: Tensor) -> tuple[Tensor, Tensor]:" in archc.emit(network)
    ids = {link["target"] for link in json.loads(archc.to_json(network))["edges"]}
    assert "more_input" not in ids
    assert {"more.weight", "conv.weight"} < set(network.state)


def test_a_model_that_takes_no_images() -> None:
    program = torch.export.export(nn.Linear(4, 2).eval(), (torch.zeros(1, 4),))
    with pytest.raises(archc.ForeignError, match=r"it takes no images .*: `input` is 1x4"):
        archc.from_export(program)


# Tokens


class Block(nn.Module):
    def __init__(self, *, is_one_op: bool) -> None:
        super().__init__()
        self.is_one_op = is_one_op
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm(x)).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        if self.is_one_op:
            y = F.scaled_dot_product_attention(query, key, value)
        else:
            y = (query @ key.transpose(-2, -1) / 2).softmax(-1) @ value
        result: Tensor = x + self.out(y.transpose(1, 2).flatten(2))
        return result


class Attending(nn.Module):
    def __init__(self, *, is_one_op: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(*[Block(is_one_op=is_one_op) for _ in range(2)])
        self.first = nn.Parameter(torch.zeros(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first, tokens], 1)
        result: Tensor = self.blocks(tokens)
        return result[:, 0]


@pytest.mark.parametrize("is_one_op", [False, True])
def test_attention_is_counted_apart_and_drawn_as_a_box(is_one_op: bool) -> None:
    network = archc.from_module(Attending(is_one_op=is_one_op), input=(3, 16, 16))
    assert network.products == 2 * 2 * 17 * 17 * 8
    assert network.multiply_adds == network.products + 16 * 3 * 16 * 8 + 2 * 17 * 8 * 32
    assert "of them in products of attention" in str(archc.count(network))
    assert network.extents["blocks.0.qkv"].places == (17,)
    assert network.extents["blocks.0.qkv"].features == 24
    figure = archc.draw(network).decode()
    assert figure.count(">attention<") == 2
    assert ">output size: 17 tokens<" in figure
    assert ">output size: 4<" in figure


def test_a_map_of_tokens_keeps_its_size() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            windows = x.permute(0, 2, 3, 1).view(1, 2, 4, 2, 4, 3).permute(0, 1, 3, 2, 4, 5)
            result: Tensor = self.linear(windows.reshape(4, 16, 3))
            return result

    network = archc.from_module(Net(), input=(3, 8, 8))
    last = network.extents["linear"]
    assert (last.places, last.features, last.is_last) == ((8, 8), 5, True)


def test_einsum_counts_its_products() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bchw,bdhw->bcd", x, x)

    assert archc.from_module(Net(), input=(3, 4, 4)).multiply_adds == 3 * 3 * 16


def test_layers_on_what_the_model_holds_are_counted_where_it_is_read() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bias = nn.Conv2d(3, 4, 1), nn.Linear(2, 4, bias=False)
            self.table = nn.Parameter(torch.zeros(16, 2))

        def forward(self, x: Tensor) -> Tensor:
            more: Tensor = self.bias(self.table).relu().t().view(1, 4, 4, 4)
            y: Tensor = self.conv(x) + more
            return y.relu() + more

    module = Net()
    network = archc.from_module(module, input=(3, 4, 4))
    assert network.params == sum(one.numel() for one in module.parameters())
    assert network.multiply_adds == 16 * 3 * 4 + 16 * 2 * 4
    counted = archc.count(network, by="layer")
    assert sum(row.multiply_adds for row in counted.rows) == counted.multiply_adds == counted.flops
    assert archc.count(network, convention="torch").flops == 2 * network.multiply_adds


def test_layers_over_the_last_side_of_a_map() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.rows = nn.Conv2d(3, 4, 1), nn.Linear(8, 5)
            self.norm, self.fc = nn.LayerNorm(5), nn.Linear(160, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(self.rows(self.conv(x)).relu())
            result: Tensor = self.fc(y.flatten(1))
            return result

    network = archc.from_module(Net(), input=(3, 8, 8))
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed
    assert report.rows[-1].number == "bit for bit"
