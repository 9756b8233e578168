"""A resolved spec as YAML again, each value with where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from archc.blocks.definition import Definition
from archc.blocks.expressions import shown
from archc.source.diagnostics import Place
from archc.source.reader import is_plain, quoted
from archc.spec.models import PlacedItem, PlacedStage, Spec
from archc.spec.overrides import OPTIONS, is_option
from archc.text import display_width, quote_name

DEFAULT = "default"
ALIGNED = 48
"""Lines up to this width have their origins in one column."""
LONGEST = 100
"""Longer lists and mappings of a block are written over several lines."""

_Line = tuple[str, str]


def show(spec: Spec, *, origins: bool = True) -> str:
    """YAML that compiles to the same network, with an origin behind each value."""
    lines = [*_header(spec)]
    lines += _blocks(spec)
    for key, layers in (("stem", spec.stem), ("stages", ()), ("head", spec.head)):
        rows = list(_layers(layers)) if key != "stages" else list(_stages(spec.stages))
        lines += [(f"{key}:" if rows else f"{key}: []", ""), *rows]
    if not origins:
        return "".join(f"{text}\n" for text, _ in lines)
    widths = [display_width(text) for text, origin in lines if origin]
    width = max((w for w in widths if w <= ALIGNED), default=ALIGNED)
    return "".join(
        f"{text}{' ' * (width - display_width(text))}  # {origin}\n" if origin else f"{text}\n"
        for text, origin in lines
    )


def show_blocks(definitions: Mapping[str, Definition]) -> str:
    """Definitions as a file of blocks."""
    lines = ["blocks:" if definitions else "blocks: {}"]
    for name, one in definitions.items():
        lines += [f"  {name}:", *_nested(one.source, "    ")]
    return "".join(f"{line}\n" for line in lines)


def _header(spec: Spec) -> Iterator[_Line]:
    for name, value in spec.header.model_dump().items():
        if name in spec.entries:
            written = spec.entries[name].value
            value = written.plain if isinstance(written.data, dict) else value
            yield f"{name}: {_text(value)}", _origin(written.place)
        elif value != "":
            yield f"{name}: {_text(value)}", DEFAULT


def _blocks(spec: Spec) -> Iterator[_Line]:
    """What the spec has besides, of what its network is made."""
    if spec.names is not None:
        yield f"names: {_text(spec.names.text)}", _origin(spec.names.place)
    if "init" in spec.entries:
        written = spec.entries["init"].value
        yield f"init: {_text(written.plain)}", _origin(written.place)
    if spec.variables:
        yield "variables:", ""
    for name, value in spec.variables.items():
        yield f"  {name}: {shown(value)}", _origin(spec.origins[name])
    if spec.definitions:
        yield "blocks:", ""
    for name, one in spec.definitions.items():
        yield f"  {name}:", _origin(one.place)
        yield from ((line, "") for line in _nested(one.source, "    "))


def _nested(data: object, indent: str) -> Iterator[str]:
    """A mapping or a list over as many lines as it takes; what fits on a line stands on one."""
    items = data.items() if isinstance(data, Mapping) else [("", one) for one in _items(data)]
    for key, value in items:
        start = f"{indent}{_text(key)}:" if key else f"{indent}-"
        line = f"{start} {_text(value)}"
        is_long = isinstance(value, (Mapping, list)) and len(line) > LONGEST
        if not is_long or not value:
            yield line
        elif key:
            yield start
            yield from _nested(value, indent + "  ")
        else:
            first, *rest = _nested(value, indent + "  ")
            yield f"{start} {first.lstrip()}"
            yield from rest


def _items(data: object) -> list[object]:
    return data if isinstance(data, list) else []


def _layers(layers: tuple[PlacedItem, ...]) -> Iterator[_Line]:
    for layer in layers:
        plain = layer.written.plain
        if isinstance(plain, dict) and len(plain) == 1:
            ((word, value),) = plain.items()
            text = f"{word}: {_text(value)}"
        else:
            text = _text(plain)
        yield f"  - {text}", _origin(layer.place)


def _stages(stages: tuple[PlacedStage, ...]) -> Iterator[_Line]:
    for stage in stages:
        dash = "- "
        definition = stage.model.definition
        for name, value in stage.model.model_dump().items():
            if value is None or (name == "stride" and not definition.reads(name)):
                continue
            origin = DEFAULT
            if name in stage.attributes:
                attribute = stage.attributes[name]
                origin = _origin(attribute.value.place)
                if attribute.via != "stage" and origin not in OPTIONS:
                    origin += f" ({attribute.via})"
            yield f"  {dash}{name}: {_text(value)}", origin
            dash = "  "
        if stage.name is not None:
            yield f"    name: {_text(stage.name.text)}", _origin(stage.name.place)


def _origin(place: Place) -> str:
    if is_option(place):
        return place.source.name
    return str(place) if place.source.is_data else f"{quote_name(place.source.name)}:{place.line}"


def _text(value: object) -> str:
    """A value as a spec would have it, mappings and lists on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    word = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value)
    return value if word and is_plain(value) else quoted(value)
