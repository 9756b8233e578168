"""The ops that only models of other libraries have, imported when one is read."""

from __future__ import annotations

from collections.abc import Mapping

from archc.ops import OPS, Op
from archc.ops.again import Again
from archc.ops.ends import ExtraInput, SeveralOutputs
from archc.ops.opaque import Opaque
from archc.ops.prelu import PReLU
from archc.ops.tokens import Attention, Einsum, MatMul, TokenLinear, TokenNorm
from archc.ops.transposed import ConvTranspose2d

EVERY_OP: Mapping[str, type[Op]] = {
    **OPS,
    **{
        op.kind: op
        for op in (
            *(Again, ExtraInput, SeveralOutputs, Opaque, ConvTranspose2d, PReLU),
            *(TokenLinear, TokenNorm, MatMul, Einsum, Attention),
        )
    },
}
"""All ops that calls are read as, by their kinds, those of specs first; `archc.ops.calls` has what
`Network.explicit` has besides."""
