"""Exported programs and modules as networks."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.frontends.building import build
from archc.frontends.door import read_archive_file
from archc.frontends.program import ForeignError
from archc.frontends.torch_export.archive import read_archive
from archc.frontends.torch_export.live import export_module
from archc.graph import Network

SPECS = ("cifar10/resnet20", "cifar10/plain20", "cifar10/preresnet20")


class Net(nn.Module):
    """A module whose forward is a function of it and the images."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **children: nn.Module):
        super().__init__()
        self.run = run
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def network(
    run: Callable[[Any, Tensor], Any], size: tuple[int, int, int] = (4, 8, 8), **children: nn.Module
) -> Network:
    return archc.from_module(Net(run, **children), input=size)


def kinds(found: Network) -> list[str]:
    return [node.op.kind for node in found.nodes.values()]


@pytest.mark.parametrize("spec", [name for name in SPECS if name in archc.specs()])
def test_what_archc_exports_is_read_as_the_same_graph(spec: str, tmp_path: Path) -> None:
    own = archc.load(spec)
    file = tmp_path / "net.pt2"
    file.write_bytes(archc.export(spec, "pt2"))
    found = archc.from_export(file)
    assert (found.params, found.multiply_adds, found.layers) == (
        own.params,
        own.multiply_adds,
        own.layers,
    )
    compared = archc.diff(own, found)
    assert (compared.same, compared.changes, compared.renamed) == (True, (), 0)
    assert compared.left_out == ("softmax",)
    assert set(own.state) == set(found.state)


def test_an_emitted_import_computes_what_the_program_did() -> None:
    torch.manual_seed(0)
    module = archc.module("cifar10/resnet20").eval()
    found = archc.from_module(module, input=(3, 32, 32))
    copy = archc.module(found).eval()
    copy.load_state_dict(module.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(copy(images), module(images))


def test_blocks_and_stages_are_found_by_the_paths_of_modules() -> None:
    found = archc.from_module(archc.module("cifar10/resnet20"), input=(3, 32, 32))
    stages = [one for one in found.regions if one.kind == "stage"]
    assert [len(stage.members) for stage in stages] == [3, 3, 3]
    assert {block.label for stage in stages for block in stage.members} == {"BasicBlock"}  # type: ignore[union-attr]
    assert [row.name for row in archc.count(found).rows] == [
        "stem",
        "stage 1",
        "stage 2",
        "stage 3",
        "head",
    ]


def test_a_module_in_training_mode_is_read_in_eval_mode_and_left_as_it_was() -> None:
    module = archc.module("cifar10/resnet20").train()
    module.layer1.eval()  # type: ignore[union-attr]
    archc.from_module(module, input=(3, 32, 32))
    assert module.training
    assert not module.layer1.training  # type: ignore[union-attr]
    assert module.layer2.training  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda m, x: x.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2), ["input", "relu"]),
        (lambda m, x: F.hardtanh(x, 0.0, 6.0), ["input", "relu6"]),
        (lambda m, x: F.hardtanh(x), ["input", "opaque"]),
        (lambda m, x: F.gelu(x, approximate="tanh"), ["input", "opaque"]),
        (lambda m, x: x.mean((2, 3)), ["input", "adaptive_avg_pool2d", "flatten"]),
        (lambda m, x: x.mean((-1, -2), keepdim=True), ["input", "adaptive_avg_pool2d"]),
        (lambda m, x: x.mean(1), ["input", "opaque"]),
        (lambda m, x: x.flatten(1), ["input", "flatten"]),
        (lambda m, x: x.view(x.size(0), -1), ["input", "flatten"]),
        (
            lambda m, x: x.view(-1, 2, 2, 8, 8).transpose(1, 2).contiguous().view(-1, 4, 8, 8),
            ["input", "channel_shuffle"],
        ),
        (lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), ["input", "chunk", "chunk", "concat"]),
        (lambda m, x: x + F.relu(x), ["input", "relu", "add"]),
        (
            lambda m, x: x * x.mean((2, 3), keepdim=True),
            ["input", "adaptive_avg_pool2d", "multiply"],
        ),
        (lambda m, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 4)), ["input", "zero_pad_shortcut"]),
        (lambda m, x: F.max_pool2d(x, 2, ceil_mode=True), ["input", "max_pool2d"]),
        (lambda m, x: F.max_pool2d(x, 2, dilation=2), ["input", "opaque"]),
        (lambda m, x: F.interpolate(x, scale_factor=2), ["input", "opaque"]),
        (lambda m, x: torch.cat([x], 1).relu(), ["input", "relu"]),
        (lambda m, x: F.dropout(x, 0.5, m.training).relu(), ["input", "dropout", "relu"]),
        (lambda m, x: x[:, :, ::2, ::2].relu(), ["input", "zero_pad_shortcut", "relu"]),
    ],
)
def test_calls_become_the_ops_that_they_are(
    run: Callable[[Any, Tensor], Any], expected: list[str]
) -> None:
    assert kinds(network(run)) == expected


def test_an_op_that_is_not_known_is_named_in_every_total() -> None:
    found = network(
        lambda m, x: m.conv(F.interpolate(m.deep(x[:, :, None])[:, :, 0], scale_factor=2)),
        conv=nn.Conv2d(4, 4, 3),
        deep=nn.Conv3d(4, 4, (1, 2, 2)),
    )
    counted = archc.count(found)
    assert counted.not_counted == {"conv3d": 1, "upsample_nearest2d": 1}
    assert counted.params == 2 * 4 + 4 * 4 * 9 + 4 * 4 * 4
    with pytest.raises(archc.ArchcError, match="does not know how to write `conv3d`"):
        archc.emit(found)


def test_a_linear_layer_over_channels_that_lie_last() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        last: Tensor = m.linear(m.norm(x.permute(0, 2, 3, 1)))
        return last.permute(0, 3, 1, 2)

    found = network(run, norm=nn.LayerNorm(4, eps=1e-6), linear=nn.Linear(4, 6))
    assert kinds(found) == ["input", "layer_norm", "channel_linear"]
    assert found.multiply_adds == 4 * 6 * 64


def test_tokens_and_attention() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        weighed: Tensor = F.scaled_dot_product_attention(m.a(tokens), m.b(tokens), tokens)
        return weighed.mean(1)

    found = network(run, a=nn.Linear(4, 6), b=nn.Linear(4, 6))
    assert found.multiply_adds == 2 * 4 * 6 * 64 + 64 * 64 * (6 + 4)
    assert archc.count(found).not_counted == {"mean": 1}


def test_writing_over_a_part_of_what_is_read_later_is_refused() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        y: Tensor = m.conv(x)
        y[:, :2].relu_()
        return y + 1

    with pytest.raises(ForeignError, match="writes over a part of"):
        network(run, conv=nn.Conv2d(4, 4, 1))


def test_writing_over_a_whole_is_followed() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        y: Tensor = m.conv(x)
        F.relu(y, inplace=True)
        other: Tensor = m.other(y)
        return y + other

    found = network(run, conv=nn.Conv2d(4, 4, 1), other=nn.Conv2d(4, 4, 1))
    assert kinds(found) == ["input", "conv2d", "relu", "conv2d", "add"]
    assert found.nodes["other"].inputs == ("relu",)


def test_what_cannot_be_exported_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        print("running")
        return x if x.sum() > 0 else -x

    def linear(m: Any, x: Tensor) -> Tensor:
        y: Tensor = m.linear(x.flatten(1))
        return y

    with pytest.raises(ForeignError) as failed:
        network(run)
    assert failed.value.message == (
        "torch.export cannot export the Net: its forward decides by the values of tensors"
    )
    with pytest.raises(ForeignError, match=r"^torch.export cannot export the Net: ") as failed:
        network(linear, linear=nn.Linear(5, 3))
    assert failed.value.hint == (
        "it was given one 4x8x8 image; `input=(C, H, W)` gives it another size"
    )
    assert capfd.readouterr() == ("", "")  # torch prints graphs and tracebacks


# Files


def written(members: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            archive.writestr(name, text)
    return stream.getvalue()


def exported() -> dict[str, Any]:
    """The JSON members of a small program."""
    program = torch.export.export(
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).eval(), (torch.zeros(1, 3, 4, 4),)
    )
    stream = io.BytesIO()
    torch.export.save(program, stream)
    with zipfile.ZipFile(io.BytesIO(stream.getvalue())) as archive:
        return {
            "net/" + name.partition("/")[2]: json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".json")
        }


GRAPH = "net/models/model.json"


def spoiled(change: Callable[[dict[str, Any]], object]) -> bytes:
    members = exported()
    change(members)
    return written(members)


def deep(members: dict[str, Any]) -> None:
    members[GRAPH] = b"[" * 5000 + b"]" * 5000


def rename(members: dict[str, Any]) -> None:
    members["other/model.json"] = {}


def version(members: dict[str, Any]) -> None:
    members[GRAPH]["schema_version"]["major"] = 9


def negative(members: dict[str, Any]) -> None:
    values = members[GRAPH]["graph_module"]["graph"]["tensor_values"]
    next(iter(values.values()))["sizes"][0]["as_int"] = -1


def huge(members: dict[str, Any]) -> None:
    values = members[GRAPH]["graph_module"]["graph"]["tensor_values"]
    next(iter(values.values()))["sizes"] = [{"as_int": 2**62}] * 4


def digits(members: dict[str, Any]) -> None:
    members[GRAPH] = b'{"schema_version": {"major": ' + b"9" * 10_000 + b"}}"


def pickled(members: dict[str, Any]) -> None:
    config = members["net/data/weights/model_weights_config.json"]["config"]
    next(iter(config.values()))["use_pickle"] = True


def many(members: dict[str, Any]) -> None:
    members[GRAPH] = b"[" + b"[[]]," * 1_000_001 + b"[]]"


def calls(members: dict[str, Any]) -> None:
    graph = members[GRAPH]["graph_module"]["graph"]
    graph["nodes"] = graph["nodes"] * 10_001


def again(members: dict[str, Any]) -> None:
    graph = members[GRAPH]["graph_module"]["graph"]
    graph["nodes"] *= 2


def cyclic(members: dict[str, Any]) -> None:
    nodes = members[GRAPH]["graph_module"]["graph"]["nodes"]
    nodes.reverse()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.clear(),
            "x.pt2 is not an exported program: its members are not in one folder",
        ),
        (lambda m: m.pop(GRAPH), "x.pt2 is not an exported program: it has no graph"),
        (lambda m: m.update({GRAPH: b"{}"}), "x.pt2 is damaged, or not as torch writes it"),
        (lambda m: m.update({GRAPH: b"nothing"}), "x.pt2 is damaged, or not as torch writes it"),
        (deep, "x.pt2: models/model.json is nested deeper than 100 levels"),
        (rename, "x.pt2 is not an exported program: its members are not in one folder"),
        (version, "x.pt2 has version 9 of torch's schema; archc reads 8"),
        (negative, "x.pt2 cannot be read: it has a tensor of -1x3x1x1"),
        (huge, None),
        (digits, "x.pt2: models/model.json has a number of 10,000 digits"),
        (pickled, "x.pt2 cannot be read: its weight `0.weight` is pickled"),
        (
            many,
            "x.pt2: models/model.json has more than 4,000,000 values, far more than a graph needs",
        ),
        (calls, "x.pt2 has more than 20,000 calls"),
        (again, "x.pt2 cannot be read: two calls put out `conv2d`"),
    ],
)
def test_damaged_files_are_refused(
    change: Callable[[dict[str, Any]], object], message: str | None
) -> None:
    with pytest.raises(ForeignError) as caught:
        build(read_archive(io.BytesIO(spoiled(change)), "x.pt2"))
    assert message is None or caught.value.message == message


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ForeignError) as caught:
        build(read_archive(io.BytesIO(spoiled(cyclic)), "x.pt2"))
    assert caught.value.message == "x.pt2: no call computes the output `relu`"


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # of what writes it
def test_two_members_of_one_name_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for content in ("{}", "[]"):
            archive.writestr(GRAPH, content)
    with pytest.raises(ForeignError, match=r"x\.pt2 has two members `models/model.json`"):
        read_archive(stream, "x.pt2")


def test_a_bomb_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GRAPH, b" " * 2**27)
    with pytest.raises(ForeignError, match="more than 64 MB"):
        read_archive(io.BytesIO(stream.getvalue()), "x.pt2")


def test_a_program_is_read_alive_as_from_its_file() -> None:
    module = Net(lambda m, x: m.conv(x).relu(), conv=nn.Conv2d(4, 2, 3)).eval()
    program = torch.export.export(module, (torch.zeros(1, 4, 8, 8),))
    alive = build(export_module(module, (4, 8, 8)).program)
    stream = io.BytesIO()
    torch.export.save(program, stream)
    read = build(read_archive(stream, "x.pt2"))
    assert (alive.nodes, alive.keys) == (read.nodes, read.keys)


def test_a_size_for_a_program_is_refused() -> None:
    with pytest.raises(ForeignError) as caught:
        read_archive_file("net.pt2", (3, 8, 8))
    assert caught.value.message == (
        "net.pt2: a .pt2 file fixes the size of its images, so `input` cannot change it"
    )
