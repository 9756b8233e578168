"""What is written in PyTorch of models whose graphs have ops that archc knows by name alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.timing import BenchOptions
from archc.verification import Options


def drawn(module: nn.Module) -> nn.Module:
    """A module in eval mode with no weight that is zero or one."""
    torch.manual_seed(0)
    for tensor in module.parameters():
        nn.init.normal_(tensor, 0, 0.2)
    return module.eval()


def emitted(module: nn.Module, size: tuple[int, int, int]) -> tuple[archc.Network, nn.Module]:
    """A module's network, and the module that is emitted of it, which computes the same bits for
    any number of images."""
    module = drawn(module)
    network = archc.from_module(module, input=size)
    made = archc.module(network).eval()
    for count in (1, 3):
        images = torch.randn(count, *size)
        with torch.no_grad():
            program = torch.export.export(module, (images,)).module()
            assert torch.equal(made(images), program(images)), count
    return network, made


def verified(network: archc.Network) -> None:
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, str(report)
    assert report.rows[-1].number == "bit for bit"


# Tokens


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 24), nn.GELU(), nn.Linear(24, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Vision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.places = nn.Parameter(torch.zeros(1, 5, 8))
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        result: Tensor = self.head(self.blocks(x)[:, 0])
        return result


def test_a_vision_transformer() -> None:
    network, made = emitted(Vision(), (3, 8, 8))
    assert set(made.state_dict()) == set(Vision().state_dict())
    source = archc.emit(network)
    for line in (
        "class Attention(nn.Module):",
        "        self.in_proj_weight = nn.Parameter(0.02 * torch.randn(24, 8))",
        "        self.in_proj_bias = nn.Parameter(torch.zeros(24))",
        "        x = F.linear(x.transpose(1, 0), self.in_proj_weight, self.in_proj_bias)",
        "        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)",
        "        return self.head(x[:, 0])",
        "        self.blocks = nn.Sequential(Block(8, 24), Block(8, 24))",
    ):
        assert line in source.splitlines()
    assert source.count("class Block(") == 1
    assert type(made)(num_classes=7)(torch.zeros(2, 3, 8, 8)).shape == (2, 7)
    verified(network)


def test_a_file_is_written_as_the_module_is(tmp_path: Path) -> None:
    module = drawn(Vision())
    file = tmp_path / "vision.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3, 8, 8),)), file)
    network = archc.from_export(file)
    made = archc.module(network).eval()
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        program = torch.export.export(module, (images,)).module()
        assert torch.equal(made(images), program(images))
    assert network.params == sum(one.numel() for one in module.parameters())


@pytest.mark.filterwarnings("ignore")  # torch's older exporter needs no package
def test_an_onnx_file_is_written_as_well(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    module, file = drawn(Vision()), tmp_path / "vision.onnx"
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch.onnx.export(module, (torch.zeros(1, 3, 8, 8),), str(file), dynamo=False)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    network = archc.from_onnx(file)
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(archc.module(network).eval()(images), module(images))
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, str(report)
    assert (report.rows[-1].check, report.rows[-1].passed) == ("original", True)


# Windows


class Windows(nn.Module):
    """Shifted windows with biases of relative positions (Liu et al. 2021), as torchvision writes
    them."""

    table: Tensor
    index: Tensor

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 24), nn.Linear(8, 8)
        self.table = nn.Parameter(torch.zeros(9, 2))
        self.register_buffer("index", torch.arange(16) % 9)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(self.norm(x), (0, 0, 0, 1, 0, 1))
        batch, rows, columns, width = x.shape
        if self.shift:
            x = torch.roll(x, (-1, -1), (1, 2))
        x = x.view(batch, rows // 2, 2, columns // 2, 2, width).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, 4, width)
        q, k, v = self.qkv(x).reshape(len(x), 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        scores = (q * 0.5) @ k.transpose(-2, -1)
        scores = scores + self.table[self.index].view(4, 4, -1).permute(2, 0, 1).unsqueeze(0)
        if self.shift:
            mask = x.new_zeros(rows, columns)
            for number, (start, end) in enumerate(((0, -2), (-2, None))):
                mask[start:end, :-1] = number
            mask = mask.view(rows // 2, 2, columns // 2, 2).permute(0, 2, 1, 3).reshape(-1, 4)
            mask = mask.unsqueeze(1) - mask.unsqueeze(2)
            mask = mask.masked_fill(mask != 0, -100.0)
            scores = scores.view(batch, -1, 2, 4, 4) + mask.unsqueeze(1)
            scores = scores.view(-1, 2, 4, 4)
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(len(x), 4, 8)
        x = self.proj(x).view(batch, rows // 2, columns // 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(batch, rows, columns, 8)
        if self.shift:
            x = torch.roll(x, (1, 1), (1, 2))
        return x[:, :-1, :-1]


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.first, self.second = Windows(8, 0), Windows(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        x = x + self.first(x)
        x = x + self.second(x)
        return x.permute(0, 3, 1, 2).mean((2, 3))


def test_windows_that_lie_among_the_images() -> None:
    network, made = emitted(Shifted(), (3, 12, 12))
    assert set(made.state_dict()) == set(Shifted().state_dict())
    assert made.state_dict()["first.index"].dtype == torch.int64
    source = archc.emit(network)
    assert "self.index = nn.Buffer(torch.zeros(16, dtype=torch.int64))" in source
    assert "[(0.0, slice(0, 2), slice(0, 3)), (1.0, slice(2, 4), slice(0, 3))]" in source
    assert "[:, :-1, :-1]" in source
    verified(network)


# Functions

CALLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "unflatten": lambda x, w: torch.unflatten(x, 1, (2, 4)).flatten(2, 3),
    "split": lambda x, w: (
        torch.cat(torch.split(x, [2, 6], 1)[::-1], 1) * x.chunk(4, 1)[1].sum(1, True)
    ),
    "stack": lambda x, w: torch.stack([x, x * 2, w.view(1, 8, 1, 1).expand(1, 8, 4, 4) + x], 1),
    "spread": lambda x, w: torch.cat([w.view(1, 8, 1, 1).expand(len(x), 8, 1, 4), x], 2),
    "einsum": lambda x, w: torch.einsum("bchw,c->bhw", x, w).unsqueeze(1) / 3,
    "norm": lambda x, w: F.normalize(x, dim=1) - F.layer_norm(x, (4,), eps=1e-3),
    "clamp": lambda x, w: (
        x.clamp(-0.5, 0.5) + x.clamp(min=0.1).sqrt() - torch.where(x > 0, x, w[0])
    ),
    "numbers": lambda x, w: (1 - x) * -2.5 + x**2 - 3 / (x * x + 1.5),
    "masked": lambda x, w: x.masked_fill(x > 0.2, float("-inf")).exp(),
    "sizes": lambda x, w: F.interpolate(x, scale_factor=2.0, mode="bilinear")[:, :, ::2, 1:-1],
    "nearest": lambda x, w: F.interpolate(x, (6, 6)).roll(1, 3).flip(2),
    "shuffled": lambda x, w: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2) + x.amax((2, 3), True),
    "statistics": lambda x, w: (x - x.mean(1, True)) / (x.var(1, keepdim=True) + 1).sqrt(),
    "matrices": lambda x, w: (
        x.flatten(2) @ x.flatten(2).transpose(1, 2) @ w.view(2, 4).T.repeat(2, 1)
    ),
    "batches": lambda x, w: (
        torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2))
        * torch.mm(x.mean((2, 3)), w.view(8, 1)).unsqueeze(2)
    ),
    "linear": lambda x, w: F.linear(x.permute(0, 2, 3, 1), w.view(1, 8), w[:1]).squeeze(3),
    "gates": lambda x, w: x * F.softplus(x) + F.elu(x, 0.5) + F.gelu(x, approximate="tanh"),
}


class Calls(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv, self.name = nn.Conv2d(3, 8, 1), name
        self.w = nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        return CALLS[self.name](self.conv(x), self.w)


@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str) -> None:
    module = drawn(Calls(name))
    network = archc.from_module(module, input=(3, 4, 4))
    made = archc.module(network).eval()
    images = torch.randn(3, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(made(images), module(images)), archc.emit(network)
    if name != "masked":  # verification takes what is not finite for a fault
        verified(network)


# What depends on other images, or is not known

REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "mean": (lambda x: x - x.mean(0), "`mean` at `mean`: it mixes what is computed of several"),
    "softmax": (lambda x: x.softmax(0), "`softmax` at `softmax`: it mixes what is computed"),
    "select": (lambda x: x + x[0], "`select` at `select`: it mixes what is computed of several"),
    "roll": (lambda x: x.roll(1), "`roll` at `roll`: it goes over all sides"),
    "flat": (lambda x: x.transpose(0, 1).softmax(1), "it mixes what is computed of several images"),
    "sort": (lambda x: x.sort(1)[0], "archc does not know how to write `sort` at `sort`"),
    "random": (lambda x: x + torch.rand_like(x), "archc does not know how to write `rand_like`"),
    "double": (lambda x: x.double().float(), "archc does not know how to write `to` at `to`"),
}


class Refused(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv, self.name = nn.Conv2d(3, 8, 1), name

    def forward(self, x: Tensor) -> Tensor:
        return REFUSED[self.name][0](self.conv(x))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_named(name: str) -> None:
    network = archc.from_module(Refused(name).eval(), input=(3, 4, 4))
    with pytest.raises(archc.EmitError) as caught:
        archc.emit(network)
    assert str(caught.value).startswith("Refused cannot be written in PyTorch: archc does not know")
    assert REFUSED[name][1] in str(caught.value)
    archc.count(network)


# Modules that are called twice, or with several values


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        result: Tensor = x + self.conv(x) * gate.sigmoid()
        return result


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.norm = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.gated, self.other = Gated(), Gated()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.conv(self.norm(self.conv(x))))
        x = self.other(self.gated(x, y), x)
        result: Tensor = self.second(self.first(x.mean((2, 3))))
        return result


def test_modules_that_are_called_twice_and_with_several_values() -> None:
    network, made = emitted(Twice(), (3, 4, 4))
    source = archc.emit(network)
    assert source.count("self.norm(self.conv(") == 2
    assert source.count("nn.BatchNorm2d(") == 1
    assert source.count("    def forward(self, x: Tensor, y: Tensor) -> Tensor:") == 1
    assert sum(one.numel() for one in made.parameters()) == network.params
    verified(network)


class Apart(nn.Module):
    """Two modules whose calls alternate, so that neither has a forward: with tensors of its own."""

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.more = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
            self.scale = nn.Parameter(torch.ones(4, 1, 1))
            self.register_buffer("shift", torch.zeros(4, 1, 1))

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bodies = nn.Conv2d(3, 4, 1), nn.ModuleList([self.Body(), self.Body()])

    def forward(self, x: Tensor) -> Tensor:
        first, second = list[Any](self.bodies)
        x = self.stem(x)
        x = second.conv(first.conv(x) * first.scale + first.shift) * second.scale + second.shift
        y: Tensor = second.more(first.more(x).relu()) + first.scale * second.scale
        return y.mean((2, 3))


def test_tensors_beside_modules_that_are_called_one_by_one() -> None:
    network, _ = emitted(Apart(), (3, 4, 4))
    source = archc.emit(network)
    assert source.count("class Parts(nn.Module):") == 1
    assert 'self.bodies[0]["scale"] * self.bodies[1]["scale"]' in source
    verified(network)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.more = nn.Conv2d(3, 8, 3), nn.Linear(4, 8)

    def forward(self, x: Tensor, more: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = self.conv(x).relu()
        pooled = x.mean((2, 3)) + self.more(more)
        return pooled, {"map": x.masked_fill(mask, 0.0)}


def test_several_inputs_and_outputs() -> None:
    module = drawn(Several())
    given = torch.zeros(1, 3, 8, 8), torch.zeros(1, 4), torch.zeros(6, 6, dtype=torch.bool)
    network = archc.from_export(torch.export.export(module, given))
    signature = (
        "    def forward(\n        self, x: Tensor, more_input: Tensor, mask: Tensor\n"
        "    ) -> tuple[Tensor, Tensor]:"
    )
    assert signature in archc.emit(network)
    made = archc.module(network).eval()
    values = torch.randn(3, 3, 8, 8), torch.randn(3, 4), torch.rand(6, 6) > 0.5
    pooled, others = module(*values)
    assert all(map(torch.equal, made(*values), (pooled, others["map"])))
    verified(network)
    program = archc.export(network, "pt2")
    assert dict(archc.from_export(torch.export.load(_stream(program))).inputs) == dict(
        network.inputs
    )


def _stream(data: bytes) -> Any:
    import io

    return io.BytesIO(data)


def test_weights_have_the_keys_of_what_is_emitted() -> None:
    module = drawn(Vision())
    network = archc.from_module(module, input=(3, 8, 8))
    assert archc.state_dict(network).keys() == module.state_dict().keys()
    given = archc.module(network, weights={k: one + 1 for k, one in module.state_dict().items()})
    assert torch.equal(given.state_dict()["token"], module.state_dict()["token"] + 1)


def test_only_a_program_holds_what_is_written_call_by_call() -> None:
    network = archc.from_module(drawn(Vision()), input=(3, 8, 8))
    with pytest.raises(archc.ArchcError, match="does not know how to write `flatten` in ONNX"):
        archc.export(network, "onnx")


def test_time_is_taken_with_all_that_a_network_takes() -> None:
    several = torch.zeros(1, 3, 8, 8), torch.zeros(1, 4), torch.zeros(6, 6, dtype=torch.bool)
    network = archc.from_export(torch.export.export(drawn(Several()), several))
    (result,) = archc.bench(network, options=BenchOptions(batches=(1,), seconds=0.01))
    assert result.batch == 1
    with pytest.raises(archc.RunError, match="it does not map images to scores"):
        archc.bench(network, options=BenchOptions(train=True))
