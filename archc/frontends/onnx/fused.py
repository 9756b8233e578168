"""Rules for what onnxruntime puts together where it optimizes a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from archc.frontends.onnx import products
from archc.frontends.onnx.common import broadcast
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.program import Argument, Ref


def _factor(at: At, number: int, letter: str) -> tuple[Argument, tuple[int, ...]]:
    """A factor with the sides exchanged that are asked to be, and its shape then: with `transBatch`
    the first one stands behind those of the batch, with `trans` the last two change places."""
    dims = at.shape(number)
    rank = len(dims)
    if rank < 2:
        at.fail("multiplies tensors that are not matrices")
    perm = [*range(rank)]
    if at.whole(f"transBatch{letter}", 0):
        perm = [*range(1, rank - 1), 0, rank - 1]
    if at.whole(f"trans{letter}", 0):
        perm[-2:] = perm[-2:][::-1]
    shape = tuple([dims[one] for one in perm])
    if perm == [*range(rank)]:
        return at.weight(number), shape
    given: dict[str, Argument] = {"input": at.weight(number), "dims": tuple(perm)}
    return at.put("aten.permute", given, shape, outputs=[at.between()]), shape


def _matmul(at: At) -> None:
    """A product of matrices that may be transposed, times a number."""
    (first, a), (second, b) = _factor(at, 0, "A"), _factor(at, 1, "B")
    if a[-1] != b[-2]:
        at.fail("multiplies matrices whose shapes do not match")
    dims = (*broadcast(at, a[:-2], b[:-2]), a[-2], b[-1])
    by = at.real("alpha", 1.0)
    given: dict[str, Argument] = {"input": first, "mat2": second}
    if by == 1:
        at.put("aten.matmul", given, dims)
    else:
        x = at.put("aten.matmul", given, dims, outputs=[at.between()])
        at.put("aten.mul", {"input": x, "other": by}, dims)


def _sum(at: At, x: Argument, other: int, output: str = "") -> Ref:
    given: dict[str, Argument] = {"input": x, "other": at.weight(other)}
    return at.put("aten.add", given, at.shape(0), outputs=[output or at.between()])


def _skip_norm(at: At) -> object:
    """A layer norm of a sum, which may be put out, too."""
    if at.shape(0) != at.shape(1) or not (at.has(2) and at.has(3)):
        return False
    outputs = (*at.node.outputs, "", "", "")
    x = at.reads(0)
    if at.has(4):
        x = _sum(at, x, 4)
    x = _sum(at, x, 1, outputs[3])
    dims = at.shape(0)
    tensors = {"weight": at.weight(2), "bias": at.weight(3)}
    numbers: dict[str, Argument] = {"eps": at.real("epsilon", 1e-12)}
    given = {"input": x, "normalized_shape": dims[-1:], **tensors, **numbers}
    at.put("aten.layer_norm", given, dims, outputs=outputs[:1])
    return None


def _gelu(kind: str) -> Rule:
    """A GELU, of a sum where there is a bias."""

    def rule(at: At) -> None:
        x = _sum(at, at.reads(), 1) if at.has(1) else at.reads()
        at.put("aten.gelu", {"input": x, "approximate": kind}, at.shape(0))

    return rule


def _gemm(at: At) -> object:
    """A linear layer with an activation behind it."""
    activation = at.word("activation", "")
    rule = at.reading.rules.get(activation)
    if rule is None:
        return False
    before = at.between()
    products.gemm(At(at.reading, replace(at.node, outputs=(before,)), at.scopes))
    numbers = {
        name: at.node.attributes[f"activation_{name}"]
        for name in ("alpha", "beta")
        if f"activation_{name}" in at.node.attributes
    }
    behind = replace(at.node, op=activation, inputs=(before,), attributes=numbers)
    return rule(At(at.reading, behind, at.scopes))


OTHERS: Mapping[str, Rule] = {
    f"com.microsoft.{name}": rule
    for name, rule in {
        **{"FusedMatMul": _matmul, "FusedGemm": _gemm, "SkipLayerNormalization": _skip_norm},
        **{"BiasGelu": _gelu("none"), "FastGelu": _gelu("tanh")},
    }.items()
}
