"""Modules that are blocks of the library used as layers."""

from __future__ import annotations

from archc.lifting.style import NONE, Style
from archc.lifting.tree import Group, Layer, Merge, Row

_CONV_FIELDS = ("width", "kernel", "stride", "padding", "groups", "dilation")


def library_part(group: Group, style: Style) -> Layer | None:
    """The block of the library that a module is, as a layer; None where it is none."""
    row = group.row
    if len(row) != 1:
        return None
    (item,) = row
    if isinstance(item, Layer) and item.word == "conv":
        return _convolution(item, style)
    if isinstance(item, Merge) and item.word == "multiply":
        return _squeeze(item)
    return None


def _convolution(item: Layer, style: Style) -> Layer | None:
    """A convolution with its norm and activation: numbered, or called conv, bn and relu."""
    fields = item.fields
    if len(item.parts) < 2:
        return None
    if item.name is None:
        return Layer(
            "conv_norm", dict(fields), (), item.channels, item.width, source=group_id(item)
        )
    plain = fields["groups"] == 1 and fields["dilation"] == 1 and not fields["bias"]
    if item.name == "conv" and plain and fields["norm"] == "network" and style.norm != NONE:
        return Layer(
            "basic_conv", dict(fields), (), item.channels, item.width, source=group_id(item)
        )
    return None


def group_id(item: Layer) -> str:
    """The path of the module around a layer."""
    return item.parts[0].id.rpartition(".")[0]


def _squeeze(item: Merge) -> Layer | None:
    """Squeeze-and-excitation as torchvision's modules have it."""
    if len(item.branches) != 2 or sorted(map(len, item.branches)) != [0, 3]:
        return None
    row: Row = max(item.branches, key=len)
    pool, narrow, widen = row
    if not all(isinstance(one, Layer) for one in row):
        return None
    assert isinstance(pool, Layer)
    assert isinstance(narrow, Layer)
    assert isinstance(widen, Layer)
    if (pool.word, narrow.word, widen.word) != ("global_avg_pool", "conv", "conv"):
        return None
    if (narrow.name, widen.name) != ("fc1", "fc2") or pool.name is not None:
        return None
    usual = {"kernel": 1, "stride": 1, "padding": 0, "groups": 1, "dilation": 1, "bias": True}
    for conv in (narrow, widen):
        if any(conv.fields[name] != one for name, one in usual.items()):
            return None
        if conv.fields["norm"] != "none" or conv.fields["activation"] == "none":
            return None
    if widen.fields["width"] != pool.channels:
        return None
    fields = {
        "width": narrow.fields["width"],
        "activation": narrow.fields["activation"],
        "gate": widen.fields["activation"],
    }
    return Layer("squeeze", fields, (), pool.channels, pool.channels, source=group_id(narrow))
