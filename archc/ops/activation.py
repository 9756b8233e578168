"""Activations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError, describe
from archc.ops.facts import (
    INPUTS,
    NO_LOOK,
    NOTHING,
    OUTPUT,
    Call,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Saved,
    Shape,
    Storage,
    Torch,
)
from archc.ops.traits import ElementWise

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class Activation(ElementWise):
    """A function of each element.

    One can be in place whose gradient torch takes from its output.
    """

    word: ClassVar[str]
    """What figures call it."""

    def look(self) -> Look:
        """A word beside the arrow, as in the paper's Figure 5."""
        return Look(word=self.word)


def _written(
    module: str,
    function: str,
    *exported: str,
    in_place: bool = False,
    numbers: tuple[tuple[str, float], ...] = (),
) -> Torch:
    """An activation as a module, or as a call of a function with its numbers."""
    return Torch(
        is_module=False,
        module=Module(module, keywords=numbers),
        call=Call(
            lambda *xs: f"{function}({', '.join(xs)})", fields=tuple([name for name, _ in numbers])
        ),
        ends_line=True,
        in_place=in_place,
        exported=exported,
    )


@dataclass(frozen=True, slots=True)
class ReLU(Activation):
    """max(x, 0)."""

    kind = "relu"
    word = "relu"
    overwrites = True
    torch = _written("nn.ReLU", "F.relu", "relu", "relu_", in_place=True)
    onnx_names = ("Relu",)

    def saved(self) -> Saved:
        """Its output, which is positive where its gradient passes."""
        return OUTPUT

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Relu."""
        yield OnnxNode("Relu", output)


@dataclass(frozen=True, slots=True)
class LeakyReLU(Activation):
    """x, or ``negative_slope`` times x where that is below zero (Maas et al. 2013)."""

    kind = "leaky_relu"
    negative_slope: float = 0.01

    word = "leaky relu"
    overwrites = True
    torch = _written(
        "nn.LeakyReLU",
        "F.leaky_relu",
        *("leaky_relu", "leaky_relu_"),
        in_place=True,
        numbers=(("negative_slope", 0.01),),
    )
    onnx_names = ("LeakyRelu",)

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads."""
        (x,) = inputs
        if self.negative_slope < 0:  # its sign would be lost with what it is written over
            raise ShapeError(
                f"a leaky relu cannot have the slope {self.negative_slope}: it must be at least 0",
                attribute="negative_slope",
                otherwise=x,
                code="out-of-range",
            )
        return x

    def saved(self) -> Saved:
        """What it reads; where it writes over that, what is there afterwards."""
        return INPUTS

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A LeakyRelu."""
        yield OnnxNode("LeakyRelu", output, {"alpha": float(self.negative_slope)})


@dataclass(frozen=True, slots=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    kind = "sigmoid"
    word = "sigmoid"
    torch = _written("nn.Sigmoid", "torch.sigmoid", "sigmoid")
    onnx_names = ("Sigmoid",)

    def saved(self) -> Saved:
        """Its output."""
        return OUTPUT

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Sigmoid."""
        yield OnnxNode("Sigmoid", output)


@dataclass(frozen=True, slots=True)
class Tanh(Activation):
    """The hyperbolic tangent."""

    kind = "tanh"
    word = "tanh"
    torch = _written("nn.Tanh", "torch.tanh", "tanh")
    onnx_names = ("Tanh",)

    def saved(self) -> Saved:
        """Its output."""
        return OUTPUT

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Tanh."""
        yield OnnxNode("Tanh", output)


@dataclass(frozen=True, slots=True)
class InputSaving(Activation):
    """An activation whose gradient needs what it reads, which it must not write over."""

    storage = Storage.OWN

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS


@dataclass(frozen=True, slots=True)
class ReLU6(InputSaving):
    """min(max(x, 0), 6) (Howard et al. 2017, "MobileNets").

    It is not in place: autograd would keep a copy of what it reads (measured, torch 2.13).
    """

    kind = "relu6"
    word = "relu6"
    torch = _written("nn.ReLU6", "F.relu6", "relu6", "hardtanh", "clamp")
    onnx_names = ("Clip",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Whatever is cut off below 0 and above 6."""
        low, high = ("min", "max") if given.target == "aten.clamp" else ("min_val", "max_val")
        if given.target != "aten.relu6":
            bounds = given.get(low, -1), given.get(high, 1)
            given.require(bounds == (0, 6), "it cuts off at other numbers than 0 and 6")
        return cls()

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Clip."""
        import numpy as np

        yield Initializer("min", np.array(0, np.float32))
        yield Initializer("max", np.array(6, np.float32))
        yield OnnxNode("Clip", output)


@dataclass(frozen=True, slots=True)
class SiLU(InputSaving):
    """x times its sigmoid, also called swish (Ramachandran et al. 2017)."""

    kind = "silu"
    word = "silu"
    torch = _written("nn.SiLU", "F.silu", "silu")
    onnx_names = ("Swish", "com.microsoft.QuickGelu")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Sigmoid and a Mul: ONNX has no such op before opset 24."""
        yield OnnxNode("Sigmoid", output, suffix=".sigmoid")
        yield OnnxNode("Mul", output, with_input=True)


@dataclass(frozen=True, slots=True)
class Hardswish(InputSaving):
    """x times its hard sigmoid (Howard et al. 2019, "Searching for MobileNetV3")."""

    kind = "hardswish"
    word = "hardswish"
    torch = _written("nn.Hardswish", "F.hardswish", "hardswish")
    onnx_names = ("HardSwish",)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A HardSwish."""
        yield OnnxNode("HardSwish", output)


@dataclass(frozen=True, slots=True)
class Hardsigmoid(InputSaving):
    """min(max(x + 3, 0), 6) / 6."""

    kind = "hardsigmoid"
    word = "hardsigmoid"
    torch = _written("nn.Hardsigmoid", "F.hardsigmoid", "hardsigmoid")
    onnx_names = ("HardSigmoid",)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A HardSigmoid."""
        yield OnnxNode("HardSigmoid", output, {"alpha": 1 / 6, "beta": 0.5})


# Of tensors that lie in a row in memory, torch computes GELU with another kernel on CPUs, which
# rounds differently (measured, torch 2.13). Networks that permute maps around their linear layers,
# as torchvision's ConvNeXt does, get that one.
_GELU = tuple(
    '''
class GELU(nn.GELU):
    """Takes a map in channels_last as what it is in memory: channels last."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return super().forward(x)
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class GELU(InputSaving):
    """x times the normal distribution function of x, exactly (Hendrycks and Gimpel 2016)."""

    kind = "gelu"
    word = "gelu"
    torch = Torch(
        is_module=True, module=Module("GELU", source=_GELU), ends_line=True, exported=("gelu",)
    )
    onnx_names = ("Gelu", "com.microsoft.Gelu")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """The exact one, not that by a hyperbolic tangent."""
        given.require(given.get("approximate", "none") == "none", "it is an approximation of GELU")
        return cls()

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """x / 2 * (1 + erf(x / sqrt(2))): ONNX has no such op before opset 20."""
        import numpy as np

        yield Initializer("root", np.array(math.sqrt(0.5), np.float32))
        yield OnnxNode("Mul", output, suffix=".scaled")
        yield OnnxNode("Erf", output, suffix=".erf")
        yield Initializer("unit", np.array(1, np.float32))
        yield OnnxNode("Add", output, suffix=".added")
        yield OnnxNode("Mul", output, suffix=".doubled", with_input=True)
        yield Initializer("half", np.array(0.5, np.float32))
        yield OnnxNode("Mul", output)


@dataclass(frozen=True, slots=True)
class Softmax(ElementWise):
    """Probabilities over the features of a vector."""

    kind = "softmax"
    torch = Torch(
        is_module=False,
        module=Module("nn.Softmax", fixed=(("dim", "1"),)),
        call=Call(lambda x: f"torch.softmax({x}, dim=1)"),
        exported=("softmax", "_softmax"),
    )
    onnx_names = ("Softmax",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Over a vector's features."""
        given.require(given.rank == 2 and given.dim("dim") == 1, "it is not over a vector")
        return cls()

    def infer(self, *inputs: Shape) -> Shape:
        """The vector's shape."""
        (x,) = inputs
        if len(x) != 1:
            raise ShapeError(
                f"a vector is needed, not a {describe(x)}",
                hint="put `flatten` or `linear` before it",
            )
        return x

    def saved(self) -> Saved:
        """Nothing: it stands behind the logits, of which a loss is taken."""
        return NOTHING

    def look(self) -> Look:
        """Nothing: it belongs to no layer."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Softmax."""
        yield OnnxNode("Softmax", output, {"axis": 1})
