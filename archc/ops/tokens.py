"""Ops on values whose channels lie last: tokens, and what attention makes of them.

Their shapes have no batch, as all have: ``(tokens, features)``, or more sides before the features.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError, describe
from archc.ops.facts import (
    EVERYTHING,
    INPUTS,
    MIXED,
    POINT,
    Arity,
    Channels,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Reach,
    Role,
    Saved,
    Shape,
    Storage,
    Torch,
    tensors,
)
from archc.ops.given import Given
from archc.ops.linear import Dense, features
from archc.ops.traits import Ordinary, Unary, Unwritten


@dataclass(frozen=True, slots=True)
class TokenLinear(Dense):
    """A linear layer over the last side of a value; multiply-adds are ``in * out`` for each token,
    adding the bias not counted."""

    kind = "token_linear"
    torch = Torch(
        is_module=True,
        module=Module("nn.Linear", ("in_features", "out_features"), (("bias", True),)),
        exported=("linear", "addmm", "matmul"),
    )
    onnx_names = ("MatMul", "Einsum")

    @property
    def puts_features_last(self) -> bool | None:
        """It does."""
        return True

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A linear layer on what is no vector of an image."""
        given.require(all(len(x) > 1 for x in given.inputs), "it reads a vector")
        return cls(*features(given))

    def infer(self, *inputs: Shape) -> Shape:
        """The features of the output, at the same tokens."""
        (x,) = inputs
        if len(x) < 2 or x[-1] != self.in_features:
            raise ShapeError(
                f"the linear layer expects {self.in_features} features, not a {describe(x)}"
            )
        return (*x[:-1], self.out_features)

    def reach(self) -> Reach:
        """Its own token."""
        return POINT

    def look(self) -> Look:
        """A box: ``linear, 768``."""
        label = f"linear, {self.out_features}"
        return Look(box="fc", label=label, mark="linear", words=label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An Einsum, which takes the weight as torch lays it out, and an Add."""
        yield Initializer("weight")
        suffix = ".product" if self.bias else ""
        yield OnnxNode("Einsum", output, {"equation": "...i,oi->...o"}, suffix=suffix)
        if self.bias:
            yield Initializer("bias")
            yield OnnxNode("Add", output)


@dataclass(frozen=True, slots=True)
class TokenNorm(Unary):
    """Layer normalisation over the last side of a value (Ba et al. 2016)."""

    kind = "token_norm"
    num_channels: int
    eps: float = 1e-5

    channels = Channels("tied", counted="num_channels")
    storage = Storage.LIKE_INPUT
    runs_on_the_way = True
    roles = tensors(weight=Role.SCALE, bias=Role.SHIFT)
    torch = Torch(
        is_module=True,
        module=Module("nn.LayerNorm", ("num_channels",), (("eps", 1e-5),)),
        exported=("layer_norm", "native_layer_norm"),
    )
    onnx_names = ("LayerNormalization",)

    @property
    def puts_features_last(self) -> bool | None:
        """It does."""
        return True

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A norm over the last side, with scales and shifts."""
        given.require({"weight", "bias"} <= given.weights.keys(), "it lacks scales or shifts")
        shape = given.get("normalized_shape", ())
        given.require(shape == given.weights["weight"], "it normalizes over something else")
        given.require(len(shape) == 1, "it normalizes over more than features")
        return cls(shape[0], given.number("eps", 1e-5))

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose features are its own."""
        (x,) = inputs
        if len(x) < 2 or x[-1] != self.num_channels:
            raise ShapeError(f"the norm expects {self.num_channels} features, not a {describe(x)}")
        return x

    @property
    def params(self) -> int:
        """A scale and a shift for each feature."""
        return 2 * self.num_channels

    @property
    def state(self) -> dict[str, Shape]:
        """Scales and shifts."""
        return dict.fromkeys(self.roles, (self.num_channels,))

    def reach(self) -> Reach:
        """Its own token."""
        return POINT

    def saved(self) -> Saved:
        """What it reads, and the mean and the deviation of each token."""
        return Saved(inputs=True, per_place=2)

    def look(self) -> Look:
        """A word beside the arrow."""
        return Look(word="layer norm", words="layer norm")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A LayerNormalization."""
        yield from map(Initializer, self.state)
        yield OnnxNode("LayerNormalization", output, {"axis": -1, "epsilon": self.eps})


@dataclass(frozen=True, slots=True)
class Product(Unwritten, Ordinary):
    """An op of several values that multiplies matrices, of which none is a tensor of the model.

    ``inner`` is how many products each output is a sum of.
    """

    inner: int

    arity = Arity.ANY
    channels = MIXED
    storage = Storage.OWN

    @property
    def is_product(self) -> bool:
        """It is."""
        return True

    def multiply_adds(self, output: Shape) -> int:
        """Of each output, ``inner``."""
        return self.inner * math.prod(output)

    def reach(self) -> Reach:
        """Everything."""
        return EVERYTHING

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS


@dataclass(frozen=True, slots=True)
class MatMul(Product):
    """Products of matrices: ``(..., n, k)`` and ``(..., k, m)``."""

    kind = "matmul"
    torch = Torch(is_module=False, exported=("matmul", "bmm", "mm"))
    onnx_names = ("MatMul",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Of two values."""
        given.require(len(given.inputs) == 2, "it does not multiply two values")
        return cls(given.inputs[0][-1])

    def infer(self, *inputs: Shape) -> Shape:
        """The rows of the first, the columns of the second."""
        a, b = inputs
        fit = len(a) == len(b) > 1 and a[:-2] == b[:-2] and a[-1] == b[-2] == self.inner
        if not fit:
            raise ShapeError(
                f"a {describe(a)} and a {describe(b)} cannot be multiplied as matrices"
            )
        return (*a[:-1], b[-1])

    def look(self) -> Look:
        """A cross where ways meet."""
        return Look(glyph="\N{MULTIPLICATION SIGN}", name="matrix product")


@dataclass(frozen=True, slots=True)
class Einsum(Product):
    """Sums of products of two values by Einstein's convention: ``bhqd,bhkd->bhqk``."""

    kind = "einsum"
    equation: str

    torch = Torch(is_module=False, exported=("einsum",))
    onnx_names = ("Einsum",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Of two values, each of whose sides has a letter of its own."""
        equation = given.get("equation", "")
        given.require(isinstance(equation, str) and len(given.inputs) == 2, "it is not of two")
        words = equation.replace(" ", "")
        is_plain = re.fullmatch(r"[A-Za-z]+,[A-Za-z]+->[A-Za-z]+", words) is not None
        given.require(is_plain, "its equation is not plain")
        letters, output = words.split("->")
        sizes: dict[str, int] = {}
        for names, shape in zip(letters.split(","), given.inputs, strict=True):
            names = names[len(names) - len(shape) :]  # without the batch
            given.require(len(names) == len({*names}) == len(shape), "its sides are not letters")
            for name, size in zip(names, shape, strict=True):
                given.require(sizes.setdefault(name, size) == size, "its sides do not fit")
        return cls(math.prod(size for name, size in sizes.items() if name not in output), words)

    def infer(self, *inputs: Shape) -> Shape:
        """The sides of the result, by their letters."""
        letters, output = self.equation.split("->")
        sizes: dict[str, int] = {}
        for names, shape in zip(letters.split(","), inputs, strict=True):
            sizes.update(zip(names[len(names) - len(shape) :], shape, strict=False))
        return tuple([sizes[name] for name in output if name in sizes])

    def look(self) -> Look:
        """A cross where ways meet."""
        return Look(glyph="\N{MULTIPLICATION SIGN}", name="product")


@dataclass(frozen=True, slots=True)
class Attention(Product):
    """Scaled dot products of queries and keys, by whose softmax values are weighed (Vaswani et al.
    2017): ``(heads, tokens, features)`` each.

    Its multiply-adds are those of both products. ``inner`` counts for an output of the second one
    its keys, and its share of the first.
    """

    kind = "attention"
    width: int
    """The features of queries and keys."""

    torch = Torch(
        is_module=False,
        exported=(
            *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
            *("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"),
        ),
    )
    onnx_names = ("Attention",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Of three values."""
        given.require(len(given.inputs) >= 3, "it does not read queries, keys and values")
        query, key = given.inputs[:2]
        return cls(key[-2], query[-1])

    def infer(self, *inputs: Shape) -> Shape:
        """The features of the values, at the queries' tokens."""
        query, key, value, *_ = inputs
        if query[-1] != key[-1] or key[:-1] != value[:-1]:
            raise ShapeError("queries, keys and values do not fit")
        return (*query[:-1], value[-1])

    def multiply_adds(self, output: Shape) -> int:
        """Those of the queries with the keys, and of their weights with the values."""
        return math.prod(output[:-1]) * self.inner * (self.width + output[-1])

    def look(self) -> Look:
        """A box."""
        return Look(box="other", label="attention", mark="attention", words="attention")
