"""Programs in core ATen, as `ExportedProgram.run_decompositions` leaves them, put together again.

A linear layer is a product with a permuted matrix there, a SiLU a product with a sigmoid.
"""

from __future__ import annotations

from archc.frontends.patterns import (
    Gathering,
    Match,
    Patterns,
    first,
    gated,
    instead,
    over_tokens,
    sixth,
)
from archc.frontends.program import Argument, Call, Program

_MARKS = frozenset(
    [
        *("aten.convolution", "aten._native_batch_norm_legit_no_training", "aten.addmm"),
        *("aten.native_layer_norm", "aten.native_group_norm", "aten._softmax"),
    ]
)
"""Calls that nobody writes, and few programs in core ATen lack."""


def is_core(program: Program) -> bool:
    """Whether a program is in core ATen."""
    return any(call.target in _MARKS for call in program.calls)


def recomposed(program: Program) -> Program:
    """A program, with what was taken apart for core ATen put together again.

    It computes the same but for rounding.
    """
    return Gathering(program, _PATTERNS).program() if is_core(program) else program


def _convolution(of: Gathering, call: Call) -> Match:
    """A convolution, called by how many sides its maps have."""
    shape = of.shape(call.arguments.get("weight"))
    given = dict(call.arguments)
    is_transposed = bool(given.pop("transposed", False))
    if not is_transposed:
        given.pop("output_padding", None)
    name = "conv_transpose" if is_transposed else "conv"
    if shape is None or not 3 <= len(shape) <= 5:
        return None
    return instead(call, f"aten.{name}{len(shape) - 2}d", call, **given), ()


def _matrix(of: Gathering, argument: Argument) -> tuple[Argument, tuple[Call, ...]] | None:
    """What a matrix is the transpose of."""
    for target, name, dims in (
        ("aten.permute", "dims", ((1, 0),)),
        ("aten.t", "", ()),
        ("aten.transpose", "dim0", (0, 1, -1, -2)),
    ):
        turned = of.made(argument, target)
        if turned is not None and (not dims or turned.arguments.get(name) in dims):
            return first(turned), (turned,)
    return None


def _linear(of: Gathering, call: Call) -> Match:
    """A product of vectors with a transposed matrix of the model, and a bias or none."""
    given = call.arguments
    x = given.get("mat1", given.get("self"))
    bias = given.get("self") if call.target == "aten.addmm" else None
    found = _matrix(of, given.get("mat2"))
    if found is None or not of.is_weight(found[0]) or of.is_weight(x):
        return None
    shape = of.shape(found[0])
    is_plain = given.get("alpha", 1) == given.get("beta", 1) == 1
    if bias is not None and not (of.is_weight(bias) and of.shape(bias) == (shape or ())[:1]):
        return None
    if not is_plain or shape is None or len(shape) != 2:
        return None
    tensors = {"weight": found[0], **({} if bias is None else {"bias": bias})}
    return instead(call, "aten.linear", call, input=x, **tensors), found[1]


def _softmax(of: Gathering, call: Call) -> Match:
    return instead(call, "aten.softmax", call, input=first(call), dim=call.arguments.get("dim")), ()


def _averaged(of: Gathering, call: Call) -> Match:
    """A mean over the map, whose single places are then laid out as if they were several."""
    mean = of.made(first(call), "aten.mean")
    shape = of.shape(first(call))
    if mean is None or shape is None or call.arguments.get("size") != shape:
        return None
    if shape[2:] != (1, 1) or call.arguments.get("storage_offset"):
        return None
    return instead(call, "aten.mean", mean, **mean.arguments), (mean,)


def _norm(of: Gathering, call: Call) -> Match:
    """A norm that puts out statistics as well, which nothing reads."""
    if any(of.reads[name] for name in call.outputs[1:]):
        return None
    given = dict(call.arguments)
    name = _NORMS[call.target]
    if name == "batch_norm":
        given["training"] = False
    elif name == "group_norm":
        given = {n: given.get(n) for n in ("input", "group", "weight", "bias", "eps")}
        given["num_groups"] = given.pop("group")
    return Call(call.name, f"aten.{name}", given, call.outputs[:1], call.scopes), ()


_NORMS = {
    "aten._native_batch_norm_legit_no_training": "batch_norm",
    "aten.native_layer_norm": "layer_norm",
    "aten.native_group_norm": "group_norm",
}
"""Norms by what they are called before they are taken apart."""

_PATTERNS: Patterns = {
    **dict.fromkeys(_NORMS, (_norm,)),
    "aten._softmax": (_softmax,),
    "aten.as_strided": (_averaged,),
    "aten.convolution": (_convolution,),
    **dict.fromkeys(("aten.addmm", "aten.mm"), (_linear,)),
    "aten.view": (over_tokens,),
    "aten.mul": (gated,),
    "aten.div": (sixth,),
}
