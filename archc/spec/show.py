"""A resolved spec as YAML again, each value with where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from archc.source.diagnostics import Place
from archc.source.reader import is_plain, quoted
from archc.spec.models import PlacedLayer, PlacedStage, Spec
from archc.spec.overrides import OPTIONS
from archc.text import display_width, quote_name

DEFAULT = "default"
ALIGNED = 48
"""Lines up to this width have their origins in one column."""

_Line = tuple[str, str]


def show(spec: Spec, *, origins: bool = True) -> str:
    """YAML that compiles to the same network, with an origin behind each value."""
    lines = [*_header(spec)]
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


def _header(spec: Spec) -> Iterator[_Line]:
    for name, value in spec.header.model_dump(mode="json").items():
        if name in spec.entries:
            yield f"{name}: {_text(value)}", _origin(spec.entries[name].value.place)
        elif value != "":
            yield f"{name}: {_text(value)}", DEFAULT


def _layers(layers: tuple[PlacedLayer, ...]) -> Iterator[_Line]:
    for layer in layers:
        given = {name: getattr(layer.model, name) for name in layer.places}
        value = given.get(layer.model.scalar or "", given or None)
        text = layer.word if value is None else f"{layer.word}: {_text(value)}"
        yield f"  - {text}", _origin(layer.place)


def _stages(stages: tuple[PlacedStage, ...]) -> Iterator[_Line]:
    for stage in stages:
        dash = "- "
        for name, value in stage.model.model_dump(mode="json").items():
            if value is None:
                continue
            origin = DEFAULT
            if name in stage.attributes:
                attribute = stage.attributes[name]
                origin = _origin(attribute.value.place)
                if attribute.via != "stage" and origin not in OPTIONS:
                    origin += f" ({attribute.via})"
            yield f"  {dash}{name}: {_text(value)}", origin
            dash = "  "


def _origin(place: Place) -> str:
    if place.source.path is None and place.source.name in OPTIONS:
        return place.source.name
    return f"{quote_name(place.source.name)}:{place.line}"


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
