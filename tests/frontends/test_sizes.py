"""What modules are given to run on, and what is said of that which is no model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from shell import archc as command
from torch import Tensor, nn

import archc
from archc.verification import Options


class Pair(nn.Module):
    """Two images, in one of which the other's values are found by the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = (self.conv(one).mean((2, 3)) for one in (left, right))
        result: Tensor = self.fc((a - b).abs())
        return result


class Vector(nn.Module):
    """A vector comes before the image; there is a value that may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(5, 8)

    def forward(self, vector: Tensor, x: Tensor, *, more: Tensor | None = None) -> Tensor:
        result: Tensor = self.conv(x).mean((2, 3)) + self.fc(vector)
        return result if more is None else result + more


def given(network: archc.Network) -> dict[str, Any]:
    return dict(network.inputs)


@pytest.mark.parametrize(
    ("module", "input", "found"),
    [
        (Pair, [(1, 8, 8), (1, 6, 6)], {"input": (1, 8, 8), "right": (1, 6, 6)}),
        (Pair, {"right": (1, 8, 8), "left": (1, 6, 6)}, {"input": (1, 6, 6), "right": (1, 8, 8)}),
        (Vector, [(5,), (3, 6, 6)], {"input": (3, 6, 6), "vector": (5,)}),
        (
            Vector,
            {"more": (8,), "x": (3, 6, 6), "vector": (5,)},
            {"input": (3, 6, 6), "vector": (5,), "more": (8,)},
        ),
    ],
)
def test_several_sizes(module: type[nn.Module], input: Any, found: dict[str, Any]) -> None:
    network = archc.from_module(module().eval(), input=input)
    assert given(network) == found
    assert archc.count(module(), input=input).params == network.params
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, str(report)
    assert report.rows[-1].number == "bit for bit"  # the module itself, its values in their order


def test_an_exported_program_takes_its_image_second() -> None:
    program = torch.export.export(Vector().eval(), (torch.zeros(1, 5), torch.zeros(1, 3, 6, 6)))
    report = archc.verify(program, options=Options(quick=True))
    assert report.rows[-1].number == "bit for bit"


def test_one_size_is_that_of_all_that_a_forward_needs(tmp_path: Path) -> None:
    with pytest.warns(archc.ArchcWarning, match="^Pair takes `left` and `right`: each is 1x8x8$"):
        network = archc.from_module(Pair(), input=(1, 8, 8))
    assert given(network) == {"input": (1, 8, 8), "right": (1, 8, 8)}
    with pytest.raises(archc.ForeignError, match=r"^torch.export cannot export the Vector") as no:
        archc.count(Vector(), input=(3, 6, 6))
    assert no.value.hint == (
        "`vector` and `x` were 3x6x6 each; "
        "`input=[(3, 224, 224), (10,)]` in Python has a size for each"
    )
    shutil.copy(__file__, tmp_path / "pair.py")
    done = command("count", "pair.py:Pair", "--input", "1,8,8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one 1x8x8 image and right of 1x8x8" in done.stdout
    assert done.stderr == (
        "archc: running pair.py:Pair\n"
        "archc: warning: Pair takes `left` and `right`: each is 1x8x8\n"
    )
    done = command("count", "pair.py:Pair", "--input", "1,1,8,8", cwd=tmp_path)
    assert done.stderr.endswith("not '1,1,8,8'\nhint: leave out the batch: `--input 1,8,8`\n")


@pytest.mark.parametrize(
    ("input", "message", "hint"),
    [
        (
            [(1, 8, 8)],
            "the sizes in `input` do not fit the forward of Pair: "
            "missing a required argument: 'right'",
            "its forward takes `left` and `right`",
        ),
        (
            {"left": (1, 8, 8), "rigth": (1, 8, 8)},
            "the sizes in `input` do not fit the forward of Pair: "
            "missing a required argument: 'right'",
            "its forward takes `left` and `right`",
        ),
        (
            [(8,), (8,)],
            "none of the sizes in `input` is that of an image, (C, H, W): [(8,), (8,)]",
            "archc reads networks that take images",
        ),
        (
            [(1, 1, 8, 8), (1, 8, 8)],
            "a size in `input` must have one to three sides, not (1, 1, 8, 8)",
            "leave out the batch: `input=(1, 8, 8)`",
        ),
        (
            (2, 1, 8, 8),
            "`input` must be (channels, height, width), not (2, 1, 8, 8)",
            "leave out the batch: `input=(1, 8, 8)`",
        ),
        (
            (True, 8, 8),
            "`input` must be (channels, height, width), not (True, 8, 8)",
            "for example (3, 224, 224)",
        ),
        (
            8,
            "`input` must be (channels, height, width), not 8",
            "for example (3, 224, 224)",
        ),
    ],
)
def test_sizes_that_do_not_fit(input: Any, message: str, hint: str) -> None:
    with pytest.raises(archc.ForeignError) as failed:
        archc.from_module(Pair(), input=input)
    assert (failed.value.message, failed.value.hint) == (message, hint)


# What is no model

_MODULE = "`module` must be a torch.nn.Module, not "
_PROGRAM = "`program` must be the path of a .pt2 file, or an ExportedProgram, not "
_FILES = "archc.from_onnx and archc.from_export read files of models"


@pytest.mark.parametrize(
    ("read", "value", "message", "hint"),
    [
        (archc.from_module, 3, f"{_MODULE}an int", _FILES),
        (archc.from_module, Pair, f"{_MODULE}the class Pair", "make one of the class: Pair()"),
        (archc.count, Pair, f"{_MODULE}the class Pair", "make one of the class: Pair()"),
        (archc.lift, Pair, f"{_MODULE}the class Pair", "make one of the class: Pair()"),
        (archc.from_export, b"PK", f"{_PROGRAM}a bytes", "write it to a .pt2 file first"),
        (archc.from_export, Pair(), f"{_PROGRAM}a Pair", "archc.from_module reads modules"),
        (
            archc.from_onnx,
            b"\x08\xff",
            "`file` must be the path of an ONNX file, not a bytes",
            "write it to a file first",
        ),
    ],
)
def test_what_is_no_model(read: Any, value: Any, message: str, hint: str) -> None:
    with pytest.raises(archc.ForeignError) as failed:
        read(value)
    assert (failed.value.message, failed.value.hint) == (message, hint)


def test_a_model_that_onnx_has_in_memory() -> None:
    onnx = pytest.importorskip("onnx")
    with pytest.raises(archc.ForeignError, match="not a ModelProto") as failed:
        archc.from_onnx(onnx.ModelProto())
    assert failed.value.hint == "onnx.save(model, file) writes it to a file first"


def test_files_of_the_other_format(tmp_path: Path) -> None:
    program, model = tmp_path / "a.pt2", tmp_path / "a.onnx"
    program.write_bytes(archc.export("cifar10/resnet20", "pt2"))
    model.write_bytes(archc.export("cifar10/resnet20"))
    with pytest.raises(archc.ForeignError, match=r"a\.pt2 is not an ONNX file but") as no:
        archc.from_onnx(program)
    assert no.value.hint == "archc.from_export reads those"
    with pytest.raises(archc.ForeignError, match=r"a\.onnx is an ONNX file, not an") as no:
        archc.from_export(model)
    assert no.value.hint == "archc.from_onnx reads it"
    model.rename(tmp_path / "b.pt2")
    done = command("count", "b.pt2", cwd=tmp_path)
    assert done.stderr == (
        "archc: error: b.pt2 is an ONNX file, not an exported program\n"
        "hint: a name that ends in .onnx is read as one\n"
    )
