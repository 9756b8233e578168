"""Random definitions of blocks, for hypothesis: specs as plain data whose stages are made of them.

Most hold together; the rest meets shapes that do not fit, or says what may not be said, and has to
be refused with a diagnostic.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from strategies import Data, Draw

ACTIVATIONS = (
    *("relu", "relu6", "silu", "hard_swish", "hard_sigmoid", "sigmoid", "gelu", "leaky_relu"),
    *("tanh", "activation"),
)
WIDTHS = ("width", "2 * width", "max(4, in)", "divisible(in * ratio, 4)", "in", 8, 4)
CONDITIONS = (
    *("stride == 1", "stride == 1 and in == width", "in != width", "wide", "not wide"),
    *("mode == A", "index > 0", "norm != none", "stride == 2", "stride != 1 and wide"),
)


@st.composite
def specs_of_blocks(draw: Draw) -> Data:
    """A small spec of one or two stages, whose blocks are its own."""
    inner: Data = {"attributes": {"to": "int"}, "layers": _row(draw, 2, "to", [], inner=True)}
    inner["layers"] = [*inner["layers"], {"conv": {"width": "to", "kernel": 1}}]
    if draw(st.booleans()):
        inner["numbered"] = True
    block: Data = {
        "attributes": {
            "width": "int",
            "ratio": draw(st.sampled_from([1.5, 2.0, 0.5])),
            "wide": draw(st.booleans()),
            "mode": {"one_of": ["A", "B"], "default": draw(st.sampled_from("AB"))},
        },
        "layers": _row(draw, 4, "width", [], inner=False),
    }
    block["layers"] += _ending(draw)
    stages = [
        {
            "block": "own",
            "depth": draw(st.integers(1, 2)),
            "width": draw(st.sampled_from([4, 8])),
            "stride": draw(st.sampled_from([1, 2])),
        }
        for _ in range(draw(st.integers(1, 2)))
    ]
    return {
        "name": "random",
        "input": [draw(st.sampled_from([3, 4, 8])), 12, draw(st.sampled_from([12, 9]))],
        "classes": 3,
        "norm": draw(st.sampled_from(["batch_norm", "none", "batch_norm"])),
        "activation": draw(st.sampled_from(["relu", "silu", "none"])),
        "blocks": {"helper": inner, "own": block},
        "stages": stages,
        "head": draw(st.sampled_from([["global_avg_pool", "linear"], ["linear", "softmax"]])),
    }


def _ending(draw: Draw) -> list[Any]:
    """What makes every attribute be read, and now and then a shortcut."""
    last: list[Any] = [
        {"conv": {"width": "width", "kernel": 1, "stride": "stride", "activation": "none"}},
        {"relu": {}, "if": "wide and ratio > 1"},
        {"tanh": {}, "if": "mode == B"},
    ]
    shortcut: Any = {
        "add": {
            "input": [
                {
                    "name": "downsample",
                    "if": "stride != 1 or in != width",
                    "layers": [
                        {
                            "conv": {
                                "width": "width",
                                "kernel": 1,
                                "stride": "stride",
                                "activation": "none",
                            }
                        }
                    ],
                }
            ]
        }
    }
    return [*last, shortcut] if draw(st.booleans()) else last


def _row(draw: Draw, most: int, width: str, values: list[str], *, inner: bool) -> list[Any]:
    """Layers one after another; what is a mapping may have an `if`."""
    row: list[Any] = []
    for _ in range(draw(st.integers(1, most))):
        item = _item(draw, most, width, values, inner=inner)
        if isinstance(item, dict) and draw(st.integers(0, 3)) == 0 and "label" not in item:
            item = {
                **item,
                "if": draw(st.sampled_from(CONDITIONS if not inner else CONDITIONS[:1])),
            }
        row.append(item)
    return row


def _item(draw: Draw, most: int, width: str, values: list[str], *, inner: bool) -> Any:
    kinds = ["conv", "activation", "norm", "pool", "conv"]
    if most > 1:
        kinds += ["merge", "group", "gate", "merge", "shuffle"]
    if not inner and most > 1:
        kinds += ["helper", "label", "recall"]
    kind = draw(st.sampled_from(kinds))
    if kind == "conv":
        return _conv(draw, width)
    if kind == "activation":
        return {draw(st.sampled_from(ACTIVATIONS)): {}}
    if kind == "norm":
        return {draw(st.sampled_from(["norm", "batch_norm", "layer_norm"])): {}}
    if kind == "pool":
        return {draw(st.sampled_from(["max_pool", "avg_pool"])): {"kernel": 3, "stride": 1}}
    if kind == "shuffle":
        return {"channel_shuffle": draw(st.sampled_from([2, 4]))}
    if kind == "gate":
        gate = [
            "global_avg_pool",
            {
                "conv": {
                    "width": "channels",
                    "kernel": 1,
                    "norm": "none",
                    "bias": True,
                    "activation": "sigmoid",
                }
            },
        ]
        return {"multiply": ["identity", gate] if draw(st.booleans()) else [gate, "identity"]}
    if kind == "group":
        name = f"part{draw(st.integers(0, 99))}"
        return {"name": name, "layers": _row(draw, most - 1, width, [], inner=True)}
    if kind == "helper":
        return {"helper": {"to": draw(st.sampled_from([4, 8]))}}
    if kind == "label":
        values.append(f"v{len(values)}")
        return {"label": values[-1]}
    if kind == "recall" and values:
        return {draw(st.sampled_from(["add", "concat", "multiply"])): draw(st.sampled_from(values))}
    branches = [
        ["identity"]
        if draw(st.integers(0, 3)) == 0
        else _row(draw, most - 1, width, [], inner=True)
        for _ in range(draw(st.integers(2, 3)))
    ]
    return {draw(st.sampled_from(["add", "concat"])): branches}


def _conv(draw: Draw, width: str) -> Any:
    fields: Data = {
        "width": width if width == "to" else draw(st.sampled_from(WIDTHS)),
        "kernel": draw(st.sampled_from([1, 3, [1, 3], [3, 1]])),
    }
    if draw(st.integers(0, 3)) == 0:
        fields |= {"groups": "depthwise", "width": "channels"}
    if draw(st.integers(0, 3)) == 0:
        fields["activation"] = draw(st.sampled_from(["none", "gelu", "relu6"]))
    if draw(st.integers(0, 3)) == 0:
        fields |= {"norm": "none", "bias": draw(st.sampled_from([True, "norm == none"]))}
    return {"conv": fields}
