"""Small networks, one for each structure that an emitted module can have."""

from __future__ import annotations

from functools import cache

from strategies import Data, compile_data

from archc.graph import Network

BASIC: Data = {"block": "basic", "depth": 2}
BOTTLENECK: Data = {"block": "bottleneck", "depth": 2, "expansion": 2}
CONV: Data = {"block": "conv", "depth": 2, "pool": 2}
STEM: list[Data] = [{"conv": {"width": 8, "kernel": 3}}]
BARE: list[Data] = [{"conv": {"width": 8, "kernel": 3, "norm": "none", "activation": "none"}}]
POOL: list[Data] = [{"avg_pool": {"kernel": 3, "stride": 2}}]
HEAD = ["global_avg_pool", "linear", "softmax"]
TWO = [{"width": 8}, {"width": 16, "stride": 2}]

STRUCTURES: dict[str, Data] = {
    "option A": {"stem": STEM, "defaults": {**BASIC, "shortcut": "A"}, "stages": TWO},
    "bottlenecks": {"stem": STEM, "defaults": {**BOTTLENECK, "shortcut": "B"}, "stages": TWO},
    "pre-activation": {
        "pre_activation": True,
        "stem": BARE,
        "defaults": {**BOTTLENECK, "shortcut": "B"},
        "stages": TWO,
    },
    "pre-activation without norm": {
        "pre_activation": True,
        "norm": "none",
        "defaults": {**BASIC, "shortcut": "A"},
        "stages": TWO,
    },
    "without norm": {"norm": "none", "defaults": {**BASIC, "shortcut": "C"}, "stages": TWO},
    "vgg": {"norm": "none", "defaults": CONV, "stages": [{"width": 8}, {"width": 16}]},
    "vgg with norm": {"stem": POOL, "defaults": CONV, "stages": [{"width": 8}, {"width": 16}]},
    "mixed": {
        "stem": [*STEM, {"max_pool": {"kernel": 3, "stride": 2}}, "dropout"],
        "stages": [
            {**CONV, "width": 8},
            {**BOTTLENECK, "width": 4, "groups": 2, "base_width": 128, "shortcut": "C"},
            {**BASIC, "width": 12, "stride": 2, "shortcut": "none"},
        ],
    },
}
HEADS = {
    "vgg": [{"adaptive_avg_pool": 2}, {"linear": 9}, "relu", "dropout", "linear", "softmax"],
    "mixed": [{"avg_pool": {"kernel": 2, "padding": 0}}, {"linear": 9}, "relu", *HEAD[1:]],
}


@cache
def network_of(structure: str) -> Network:
    """One of the structures as a network of images of 3x16x12."""
    data = {"name": "net", "input": [3, 16, 12], "classes": 5, **STRUCTURES[structure]}
    return compile_data({**data, "head": HEADS.get(structure, HEAD)})
