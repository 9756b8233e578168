"""The layers of stem and head: a bare word each, or one key with its value."""

from __future__ import annotations

from collections.abc import Mapping

from archc.blocks.layers import LAYERS, Layer
from archc.source.diagnostics import Findings, Place
from archc.source.reader import Entry, Value
from archc.source.suggest import closest
from archc.source.validate import describe, is_nothing, tainted, unknown_keys, validate
from archc.spec.models import PlacedLayer
from archc.text import listing, quote


def place_layer(value: Value, findings: Findings) -> PlacedLayer | None:
    """A valid layer, or None, what is wrong with it being noted in ``findings``."""
    if isinstance(value.data, str) and value.data:
        return _checked(value.data, value.place, None, findings)
    if isinstance(value.data, dict) and len(value.data) == 1:
        ((word, entry),) = value.data.items()
        return _checked(word, entry.key, entry.value, findings)
    if not tainted(value):
        _complain_of_form(value, findings)
    return None


def _checked(
    word: str, place: Place, value: Value | None, findings: Findings
) -> PlacedLayer | None:
    model = LAYERS.get(word)
    if model is None:
        hint = closest(word, LAYERS) or f"the layers are {listing(LAYERS, 'and')}"
        findings.error(place, f"there is no layer {quote(word)}", hint)
        return None
    entries = _entries(word, model, place, value, findings)
    if entries is None:
        return None
    meant = unknown_keys(entries, model, f"`{word}` has no attribute", findings)
    rename = word if model.scalar else None
    valid = validate(model, entries, place, f"`{word}`", findings, rename=rename, excused=meant)
    if valid is None:
        return None
    return PlacedLayer(word, valid, place, {key: e.value.place for key, e in entries.items()})


def _entries(
    word: str, model: type[Layer], place: Place, value: Value | None, findings: Findings
) -> Mapping[str, Entry] | None:
    """What a layer's value gives its fields, or None where it is not of the layer's form."""
    example = f"for example `{model.example}`"
    required = [f"`{name}`" for name, info in model.model_fields.items() if info.is_required()]
    if value is None and not required:
        return {}
    if value is None or (is_nothing(value) and required):
        needs = "its value" if model.scalar else listing(required, "and")
        findings.error(place, f"`{word}` needs {needs}", example)
    elif tainted(value):
        return None
    elif is_nothing(value):
        instead = f"write just `{word}`" + (f", or {example}" if model.scalar else "")
        findings.error(value.place, f"`{word}` has no value after its `:`", instead)
    elif not model.model_fields:
        findings.error(value.place, f"`{word}` takes no value", f"write just `{word}`")
    elif isinstance(value.data, dict) == bool(model.scalar):
        form = "a plain value" if model.scalar else "a mapping"
        findings.error(value.place, f"`{word}` takes {form}, not {describe(value)}", example)
    elif model.scalar:
        return {model.scalar: Entry(place, value)}
    elif isinstance(value.data, dict):
        return value.data
    return None


def _complain_of_form(value: Value, findings: Findings) -> None:
    """Say what is wrong with what is neither a word nor one key."""
    hint = "for example `relu`, or `linear: 1000`"
    what = describe(value)
    if is_nothing(value):
        findings.error(value.place, "a layer is missing here", hint)
        return
    if isinstance(value.data, dict) and value.data:
        words = list(value.data)
        what = f"{len(words)} keys, {listing(map(quote, words[:4]), 'and')}"
        if words[0] in LAYERS and value.data[words[0]].value.data is None:
            hint = f"indent what belongs to `{words[0]}` further"
        elif all(word in LAYERS for word in words):
            hint = "begin each layer with its own `- `"
        elif "block" in words or "depth" in words:
            hint = "stages are written under `stages`"
    findings.error(value.place, f"a layer is a word, or one key with its value, not {what}", hint)
