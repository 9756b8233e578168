"""Random specs from the whole language, for hypothesis.

`specs` draws a spec as plain data. Its widths, groups and sizes are chosen so that most networks
hold together, and everything that may be left out, or said in another place, sometimes is. The
rest meets shapes that do not fit and has to be refused. `broken_specs` spoils one at random.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeAlias

import yaml
from hypothesis import strategies as st

from archc.compile import compile_spec
from archc.graph import Network
from archc.spec import Source, resolve

Data: TypeAlias = dict[str, Any]
Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]

HOSTILE = (
    'quotes: """ and \'\'\' and "',
    "a backslash at the end \\",
    "\\n \\N{BULLET} \\x41 \\u0041 %s {x} {0!r}",
    '"""\nimport os\nos.abort()\n"""',
    "tabs\tand\nlines\n\n  with indents",
    "right\u202eto\u2066left\u2069 and \u200b zero width, \xa0 and \ufeff",
    "ResNet \N{GRINNING FACE} \N{COMBINING ACUTE ACCENT}\N{CJK UNIFIED IDEOGRAPH-4E2D}",
    "no-break-" * 40,
    "a long title " * 40,
    "# noqa: E501  # fmt: off  # type: ignore",
    "' + str(__import__('os').abort()) + '",
    '"',
    "\u202e",
    "   ",
)
"""Titles and descriptions that would break a generated file that did not take care."""

NAMES = (
    *("F", "nn", "Tensor", "torch", "none", "class", "True", "Self", "x", "super", "module"),
    *("ZeroPadShortcut", "BasicBlock", "Bottleneck", "resnet-1.2", "a.-_9", "vgg_", "A" * 64),
)
"""Names whose class must not hide another name of the file."""


def compile_data(data: Data, *, as_json: bool = True) -> Network:
    """The network of a spec given as data. Raises `SpecError` where it is at fault."""
    return compile_spec(resolve(Source("random.yaml", text_of(data, as_json=as_json))))


def text_of(data: Data, *, as_json: bool = True) -> str:
    """A spec as YAML; JSON is a subset of it."""
    if as_json:
        return json.dumps(data, ensure_ascii=False).replace("\ufeff", "\\ufeff")
    apart = json.loads(json.dumps(data))  # nothing in it twice, which YAML would alias
    return yaml.safe_dump(apart, sort_keys=False, allow_unicode=True)


def _maybe(draw: Draw, data: Data, **choices: Sequence[Any]) -> Data:
    """Give each key one of its values, or, as often as not, leave it out."""
    for key, values in choices.items():
        if draw(st.booleans()):
            data[key] = draw(st.sampled_from(values))
    return data


def _rarely(draw: Draw) -> bool:
    return bool(draw(st.integers(0, 19)) == 7)


# Layers of stem and head


def _conv(draw: Draw, channels: int) -> Data:
    width = draw(st.sampled_from((1, 2, 3, 4, 6, 8, 12)))
    conv = {"width": width, "kernel": draw(st.sampled_from((3, 1, 2, 3, 4, 5, 7)))}
    _maybe(draw, conv, stride=(1, 2, 1, 3), bias=(True, False), norm=("batch_norm", "none"))
    _maybe(draw, conv, activation=("relu", "none"))
    if draw(st.integers(0, 3)) == 0:
        conv["padding"] = draw(st.integers(0, 4))
    if draw(st.integers(0, 3)) == 0:
        fitting = [n for n in range(1, channels + 1) if channels % n == 0 == width % n]
        conv["groups"] = draw(st.integers(1, 9) if _rarely(draw) else st.sampled_from(fitting))
    return {"conv": conv}


def _pool(draw: Draw) -> Data:
    kernel = draw(st.sampled_from((2, 3, 1)))
    pool = _maybe(draw, {"kernel": kernel}, stride=(1, 2, 3))
    if draw(st.integers(0, 3)) == 0:
        pool["padding"] = draw(st.integers(0, 3 if _rarely(draw) else kernel // 2))
    return {draw(st.sampled_from(("max_pool", "avg_pool"))): pool}


def _dropout(draw: Draw) -> Any:
    p = draw(st.sampled_from((0.5, 0, 1, 0.1, 1e-7, None)))
    return "dropout" if p is None else {"dropout": p}


def _map_layers(draw: Draw, channels: int, most: int) -> tuple[list[Any], int]:
    """Layers that take and give a feature map, and how many channels come out."""
    layers: list[Any] = []
    for _ in range(draw(st.integers(0, most))):
        word = draw(st.sampled_from(("conv", "conv", "pool", "relu", "batch_norm", "dropout")))
        if word == "conv":
            layers.append(_conv(draw, channels))
            channels = layers[-1]["conv"]["width"]
        elif word == "pool":
            layers.append(_pool(draw))
        else:
            layers.append(_dropout(draw) if word == "dropout" else word)
    return layers, channels


def _head(draw: Draw, channels: int) -> list[Any]:
    layers, _ = _map_layers(draw, channels, most=2)
    pools = ("global_avg_pool", None, {"adaptive_avg_pool": 2}, {"adaptive_avg_pool": 7})
    pool = draw(st.sampled_from(pools))
    layers += [] if pool is None else [pool]
    layers += ["flatten"] if draw(st.integers(0, 4)) == 0 else []
    for _ in range(draw(st.integers(0, 3))):
        features = draw(st.sampled_from((None, 1, 5, 16)))
        layers.append("linear" if features is None else {"linear": features})
        layers += ["relu"] if draw(st.booleans()) else []
        layers += [_dropout(draw)] if draw(st.booleans()) else []
        layers += ["flatten"] if _rarely(draw) else []
    vector = any(layer == "flatten" or "linear" in layer for layer in layers)
    if draw(st.booleans()) and (vector or _rarely(draw)):
        layers.append("softmax")
    return layers


# Stages

FIELDS = {
    "basic": ("block", "depth", "width", "stride", "shortcut"),
    "conv": ("block", "depth", "width", "stride", "kernel", "bias", "pool"),
}
FIELDS["bottleneck"] = (*FIELDS["basic"], "stride_at", "expansion", "groups", "base_width")


def _stage(draw: Draw, blocks: Sequence[str], channels: int) -> tuple[Data, int]:
    """A stage with everything it needs, and how many channels it puts out."""
    block = draw(st.sampled_from(blocks))
    width = draw(st.sampled_from((4, 1, 2, 3, 6, 8, 12)))
    stage = {"block": block, "depth": draw(st.sampled_from((1, 2, 3, 5))), "width": width}
    _maybe(draw, stage, stride=(1, 2, 3))
    if block == "conv":
        _maybe(draw, stage, kernel=(1, 2, 3, 4, 5), bias=(True, False), pool=(1, 2, 3, "none"))
        return stage, width
    out = width
    if block == "bottleneck":
        _maybe(draw, stage, stride_at=("1x1", "3x3"), expansion=(1, 2, 3, 4), groups=(1, 2, 4))
        wide = [n for n in (16, 32, 64, 100, 128) if width * n >= 64] if width > 1 else [64]
        _maybe(draw, stage, base_width=(4,) if _rarely(draw) else wide)
        out = width * stage.get("expansion", 4)
    grows = out >= channels or _rarely(draw)
    stage["shortcut"] = draw(st.sampled_from(("A", "B", "C", "none") if grows else ("B", "C")))
    return stage, out


def _spread(draw: Draw, stages: Sequence[Data]) -> tuple[list[Data], Data, Data]:
    """The same stages with some of what they say moved to `defaults` and `with`."""
    said: list[Data] = [dict(stage) for stage in stages]
    defaults: Data = {}
    over: Data = {}
    for name in dict.fromkeys(name for stage in stages for name in stage):
        values = [stage.get(name) for stage in stages]
        given = [value for value in values if value is not None]
        place = draw(st.sampled_from(("stage", "stage", "defaults", "with")))
        takers = [stage for stage in stages if name in FIELDS[stage["block"]]]
        if place == "defaults" and len(takers) == len(given):
            defaults[name] = draw(st.sampled_from(given))
            for stage in said:
                if stage.get(name) == defaults[name] and not _rarely(draw):
                    del stage[name]
        elif place == "with":
            alike = len(given) == len(values) and given.count(given[0]) == len(given)
            over[name] = given[0] if alike and draw(st.booleans()) else values
            for stage in said:
                if name in stage and not _rarely(draw):
                    del stage[name]
                elif name in stage:
                    stage[name] = draw(st.sampled_from(given))
    return said, defaults, over


@st.composite
def networks(draw: Draw) -> tuple[Data, Data]:
    """The same network twice: with each stage complete in its place, and as a person might."""
    plain = _header(draw)
    kind = draw(st.sampled_from(("residual", "mixed", "conv", "residual", "mixed", "none")))
    blocks = {"residual": ("basic", "bottleneck"), "conv": ("conv",)}.get(kind, tuple(FIELDS))
    if plain.get("pre_activation") and not _rarely(draw):
        blocks = ("basic", "bottleneck")
    stem, channels = _map_layers(draw, plain.get("input", (3,))[0], most=3)
    stages: list[Data] = []
    for _ in range(0 if kind == "none" else draw(st.integers(1, 4))):
        stage, channels = _stage(draw, blocks, channels)
        stages.append(stage)
    head = _head(draw, channels)
    if stem:
        plain["stem"] = stem
    if head:
        plain["head"] = head
    said, defaults, over = _spread(draw, stages)
    spread = dict(plain)
    if stages:
        plain["stages"], spread["stages"] = stages, said
    if defaults:
        spread["defaults"] = defaults
    if over:
        spread["with"] = over
    return plain, spread


def _header(draw: Draw) -> Data:
    name = st.sampled_from(NAMES) | st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)
    words = st.sampled_from(HOSTILE) | st.text(
        st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp")), max_size=100
    )
    header: Data = {"name": draw(name)}
    for key in ("title", "description"):
        if draw(st.integers(0, 4)) == 0:
            header[key] = draw(words)
    side = st.integers(9, 40) | st.integers(1, 9) if _rarely(draw) else st.integers(9, 40)
    if draw(st.integers(0, 4)):
        header["input"] = [draw(st.integers(1, 4)), draw(side), draw(side)]
    return _maybe(
        draw,
        header,
        classes=(1, 10),
        norm=("batch_norm", "none"),
        pre_activation=(False, True),
    )


BASES = {
    "cifar10/resnet20": 3,
    "cifar10/preresnet164": 3,
    "imagenet/resnet34": 4,
    "torchvision/resnext50_32x4d": 4,
    "torchvision/vgg11_bn": 5,
}
"""Shipped specs to extend, and how many stages they have."""


@st.composite
def children(draw: Draw) -> Data:
    """A spec that extends a shipped one."""
    base = draw(st.sampled_from(tuple(BASES)))
    width = st.sampled_from((8, 16, 32, 64) if "next" not in base else (16, 32))
    depth = st.sampled_from((1, 2, 3))
    child = {"extends": base, **_header(draw)}
    if "vgg" in base:
        child.pop("pre_activation", None)
    over: Data = {"depth": draw(depth), "width": draw(width)}
    if draw(st.booleans()):
        over["depth"] = [draw(depth | st.none()) for _ in range(BASES[base])]
    if draw(st.booleans()):
        over["width"] = sorted(draw(width) for _ in range(BASES[base]))
    if "vgg" not in base:
        _maybe(draw, over, shortcut=("B", "C", "none"), stride=(1, 2))
    child["with"] = over
    if "vgg" in base or draw(st.booleans()):
        child["head"] = ["global_avg_pool", *_head(draw, 1)[-2:]]
    return child


@st.composite
def specs(draw: Draw) -> Data:
    """A spec, as data."""
    if draw(st.integers(0, 7)) == 5:
        child: Data = draw(children())
        return child
    _, spread = draw(networks())
    return dict(spread)


# Broken specs

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 65_537, 10**9, 10**17, 0.5, -0.0, 1e300),
    *("", "A", "3", "none", "relu", "bottleneck", "\N{GRINNING FACE}", "../x.yaml", "-"),
    *([], {}, [[]], [None], {"depth": 3}, {"conv": {"width": 4, "kernel": 3}}, ["linear"] * 3),
)


@st.composite
def broken_specs(draw: Draw) -> Data:
    """A spec in which a few things have been replaced, removed, renamed or doubled."""
    data: Data = json.loads(json.dumps(draw(specs())))
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, data)
    return data


def _spoil(draw: Draw, data: Data) -> None:
    spots = list(_spots(data))
    if not spots:
        return
    inside, key = draw(st.sampled_from(spots))
    how = draw(st.sampled_from(("replace", "replace", "remove", "rename", "double")))
    if how == "replace":
        inside[key] = deepcopy(draw(st.sampled_from(JUNK)))
    elif how == "remove":
        del inside[key]
    elif how == "double" and isinstance(inside, list):
        inside.append(deepcopy(inside[key]))
    elif isinstance(inside, dict):
        names = ("depht", "kernel", "with", "stages", "name", "x" * 200, "", "conv", "\u202e")
        inside[draw(st.sampled_from(names))] = inside.pop(key)


def _spots(data: Any) -> Any:
    """Every place in nested data that holds a value."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield data, key
        if isinstance(value, (dict, list)):
            yield from _spots(value)
