"""From the files of a spec to one valid `Spec`: extends, defaults and with.

Values are merged with their places, never as plain dictionaries, so that a fault is told where
the value stands that has it. Precedence: defaults < stage < with, eldest ancestor first < the
command line's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archc.blocks import MAX_BLOCKS, Stage, block_types
from archc.blocks.layers import LAYERS, Layer
from archc.spec.diagnostics import (
    Findings,
    Note,
    Place,
    Source,
    SpecError,
    closest,
    listing,
    quote,
    quote_name,
)
from archc.spec.files import identity, open_parent, open_spec, shipped_folder
from archc.spec.models import Attribute, Header, PlacedLayer, PlacedStage, Spec
from archc.spec.overrides import parse_input, parse_with
from archc.spec.reader import Entry, Value, read
from archc.spec.validate import describe, tainted, unknown, validate

MAX_ANCESTORS = 64

_HEADER = list(Header.model_fields)
_LISTS = ("stem", "stages", "head")
_MAPPINGS = ("defaults", "with")
_KEYS = ["extends", *_HEADER, "stem", "defaults", "stages", "head", "with"]
_OWN = {"name", "title", "description"}


def load_spec(spec: str, with_: Sequence[str] = (), input_: str | None = None) -> Spec:
    """Read, resolve and check a spec: a path, a shipped name, or ``-`` for standard input.

    ``with_`` and ``input_`` are the command line's ``--with`` and ``--input``. Raises `SpecError`
    with every independent mistake.
    """
    return resolve(open_spec(spec), with_, input_)


def resolve(source: Source, with_: Sequence[str] = (), input_: str | None = None) -> Spec:
    """Like `load_spec`, for a text that has been read."""
    findings = Findings()
    draft = _draft(source, findings, ())
    if draft is None:
        findings.check()
        raise AssertionError("a spec without a draft has findings")
    for text in with_:
        name, entry = parse_with(text, findings)
        draft.overlays.append({name: entry})
    if input_ is not None:
        draft.top["input"] = parse_input(input_, findings)
    spec = _finish(draft, _label(source, with_, input_), _group(source), findings)
    findings.check()
    assert spec is not None
    return spec


@dataclass
class _Draft:
    """A spec and its ancestors laid over each other, not yet checked."""

    place: Place
    top: dict[str, Entry] = field(default_factory=dict)
    lists: dict[str, Value] = field(default_factory=dict)
    defaults: dict[str, Entry] = field(default_factory=dict)
    overlays: list[Mapping[str, Entry]] = field(default_factory=list)
    own_defaults: frozenset[str] = frozenset()


def _draft(source: Source, findings: Findings, descendants: tuple[Source, ...]) -> _Draft | None:
    """Read a file and lay it over what it extends; None where that went wrong."""
    try:
        root = read(source, findings)
    except SpecError as error:
        for fault in error.diagnostics:
            findings.error(fault.place, fault.message, fault.hint, fault.notes)
        return None
    if not isinstance(root.data, dict):
        findings.error(
            root.place,
            f"a spec is a mapping that begins with `name:`, not {describe(root)}",
        )
        return None
    entries = _checked_keys(root.data, root.place, findings)
    draft: _Draft | None = _Draft(root.place)
    if "extends" in entries:
        draft = _parent(entries.pop("extends").value, source, findings, descendants)
    if draft is None:
        return None
    _lay_over(draft, entries, root.place)
    return draft


def _checked_keys(data: Mapping[str, Entry], place: Place, findings: Findings) -> dict[str, Entry]:
    """The known keys of a file whose values have the right form; faults of the others noted."""
    entries = {}
    for key, entry in data.items():
        value = entry.value
        if key not in _KEYS:
            unknown(key, entry.key, "a spec", _KEYS, findings)
        elif tainted(value) and key not in (*_LISTS, *_MAPPINGS):
            continue
        elif key in _LISTS and not isinstance(value.data, tuple):
            findings.error(
                value.place,
                f"`{key}` must be a list, not {describe(value)}",
                f"begin each of its entries with `- `",
            )
        elif key in _MAPPINGS and not isinstance(value.data, dict):
            findings.error(
                value.place,
                f"`{key}` must be a mapping, not {describe(value)}",
                f"for example `{key}: {{depth: 3}}`",
            )
        else:
            entries[key] = entry
    if "name" not in data:
        findings.error(place, "the spec has no `name`", "every spec has one, `name: resnet65`")
    return entries


def _parent(
    value: Value, source: Source, findings: Findings, descendants: tuple[Source, ...]
) -> _Draft | None:
    if not isinstance(value.data, str) or not value.data:
        findings.error(
            value.place,
            f"`extends` must be a path or the name of a shipped spec, not {describe(value)}",
        )
        return None
    try:
        parent = open_parent(value.data, value.place)
    except SpecError as error:
        for fault in error.diagnostics:
            findings.error(fault.place, fault.message, fault.hint, fault.notes)
        return None
    chain = (*descendants, source)
    if identity(parent) in map(identity, chain):
        findings.error(value.place, f"{quote(value.data)} extends itself, by way of this line")
        return None
    if len(chain) >= MAX_ANCESTORS:
        findings.error(value.place, f"a spec may have {MAX_ANCESTORS} ancestors, not more")
        return None
    return _draft(parent, findings, chain)


def _lay_over(draft: _Draft, entries: dict[str, Entry], place: Place) -> None:
    """Lay a child's keys over its parent's."""
    draft.place = place
    for key in _OWN:
        draft.top.pop(key, None)
    for key in _HEADER:
        if key in entries:
            draft.top[key] = entries[key]
    if "stages" in entries:
        draft.overlays.clear()
    for key in _LISTS:
        if key in entries:
            draft.lists[key] = entries[key].value
    if "defaults" in entries:
        assert isinstance(entries["defaults"].value.data, dict)
        draft.defaults |= entries["defaults"].value.data
        draft.own_defaults = frozenset(entries["defaults"].value.data)
    else:
        draft.own_defaults = frozenset()
    if "with" in entries:
        assert isinstance(entries["with"].value.data, dict)
        draft.overlays.append(entries["with"].value.data)


def _finish(draft: _Draft, label: str, group: str, findings: Findings) -> Spec | None:
    """Check a draft as a whole."""
    top = dict(draft.top)
    if "name" not in top:  # its absence has been noted where it is missing
        top["name"] = Entry(draft.place, Value("unnamed", draft.place))
    header = validate(Header, top, draft.place, "the spec", findings)
    rows = {key: draft.lists[key].data if key in draft.lists else () for key in _LISTS}
    stem, head = (
        [_layer(item, findings) for item in rows[key]]  # type: ignore[union-attr]
        for key in ("stem", "head")
    )
    stages = _stages(draft, rows["stages"], findings)  # type: ignore[arg-type]
    if not any(rows.values()):
        findings.error(
            draft.lists["stages"].place if "stages" in draft.lists else draft.place,
            "a network has at least one stage, or a layer in `stem` or `head`",
            "for example `stages: [{block: basic, depth: 2, width: 64, shortcut: A}]`",
        )
    if findings.found:
        return None
    assert header is not None
    spec = Spec(
        header=header,
        stem=tuple(layer for layer in stem if layer),
        stages=tuple(stage for stage in stages if stage),
        head=tuple(layer for layer in head if layer),
        entries=draft.top,
        place=draft.place,
        label=label,
        group=group,
    )
    _check_whole(spec, findings)
    return spec


def _check_whole(spec: Spec, findings: Findings) -> None:
    """Rules about more than one part of a spec."""
    layers = [*spec.stem, *spec.head]
    last = layers[-1] if spec.head or not spec.stages else None
    for layer in layers:
        if layer.word == "softmax" and layer is not last:
            findings.error(layer.place, "`softmax` is the last layer of a network, or absent")
    blocks = 0
    for number, stage in enumerate(spec.stages, 1):
        blocks += stage.model.depth
        if blocks > MAX_BLOCKS >= blocks - stage.model.depth:
            findings.error(
                stage.attributes["depth"].value.place,
                f"with stage {number} the network has {blocks:,} blocks, and it may have "
                f"{MAX_BLOCKS:,}",
            )
        if spec.header.pre_activation and not stage.model.activates_first:
            name = stage.model.block
            findings.error(
                spec.entries["pre_activation"].value.place,
                f"`pre_activation` is for networks without `{name}` stages",
                notes=[Note(stage.place, f"stage {number} is `{name}`")],
            )


# Layers of stem and head


def _layer(value: Value, findings: Findings) -> PlacedLayer | None:
    """A layer: a bare word, or one key with its value."""
    if isinstance(value.data, str):
        return _checked_layer(value.data, value.place, None, findings)
    if isinstance(value.data, dict) and len(value.data) == 1:
        ((word, entry),) = value.data.items()
        return _checked_layer(word, entry.key, entry.value, findings)
    if tainted(value):
        return None
    hint = "for example `relu`, or `linear: 1000`"
    what = describe(value)
    if isinstance(value.data, dict) and value.data:
        words = list(value.data)
        what = f"{len(words)} keys, {listing(map(quote, words[:4]), 'and')}"
        if words[0] in LAYERS and value.data[words[0]].value.data is None:
            hint = f"indent what belongs to `{words[0]}` further than it"
        elif all(word in LAYERS for word in words):
            hint = "begin each layer with its own `- `"
    findings.error(value.place, f"a layer is a word, or one key with its value, not {what}", hint)
    return None


def _checked_layer(
    word: str, place: Place, value: Value | None, findings: Findings
) -> PlacedLayer | None:
    model = LAYERS.get(word)
    if model is None:
        hint = closest(word, LAYERS) or f"the layers are {listing(LAYERS, 'and')}"
        findings.error(place, f"there is no layer {quote(word)}", hint)
        return None
    entries = _layer_entries(word, model, place, value, findings)
    if entries is None:
        return None
    scalar = model.scalar is not None
    owner = f"`{word}`"
    valid = validate(model, entries, place, owner, findings, rename=word if scalar else None)
    if valid is None:
        return None
    return PlacedLayer(word, valid, place, {key: e.value.place for key, e in entries.items()})


def _layer_entries(
    word: str, model: type[Layer], place: Place, value: Value | None, findings: Findings
) -> Mapping[str, Entry] | None:
    """What a layer's value gives its fields, or None where it is not of the layer's form."""
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    if value is None:
        if not required:
            return {}
        needs = "its value" if model.scalar else listing([f"`{name}`" for name in required], "and")
        findings.error(place, f"`{word}` needs {needs}", f"for example `{model.example}`")
        return None
    if tainted(value):
        return None
    if not model.model_fields:
        findings.error(value.place, f"`{word}` takes no value", f"write `{word}` alone")
        return None
    if model.scalar is not None:
        return {model.scalar: Entry(place, value)}
    if not isinstance(value.data, dict):
        findings.error(
            value.place,
            f"`{word}` takes a mapping, not {describe(value)}",
            f"for example `{model.example}`",
        )
        return None
    return value.data


# Stages


def _stages(draft: _Draft, rows: Sequence[Value], findings: Findings) -> list[PlacedStage | None]:
    types = block_types()
    _check_overlays(draft, len(rows), types, findings)
    merged = [_merge(draft, index, row, findings) for index, row in enumerate(rows)]
    blocks = [
        None if attributes is None else _block(number, row, attributes, types, findings)
        for number, (row, attributes) in enumerate(zip(rows, merged, strict=True), 1)
    ]
    _check_defaults(draft, blocks, types, findings)
    stages: list[PlacedStage | None] = []
    for number, (row, attributes, block) in enumerate(zip(rows, merged, blocks, strict=True), 1):
        if attributes is None or block is None:
            stages.append(None)
            continue
        attributes = _applicable(number, attributes, block, types, findings)
        model = validate(types[block], attributes, row.place, f"stage {number}", findings)
        placed = None if model is None else PlacedStage(model, row.place, attributes)
        stages.append(placed)
    return stages


def _check_overlays(
    draft: _Draft, count: int, types: Mapping[str, type[Stage]], findings: Findings
) -> None:
    """Faults of `with` that no single stage is to blame for."""
    known = _all_attributes(types)
    for overlay in draft.overlays:
        for name, entry in overlay.items():
            if name not in known:
                hint = closest(name, known)
                if name in _KEYS:
                    hint = f"`{name}` is no stage attribute: say it in a spec that extends this one"
                findings.error(entry.key, f"stages have no {quote(name)}", hint)
            elif not count:
                findings.error(entry.key, f"there are no stages to give `{name}` to")
            elif isinstance(entry.value.data, tuple) and len(entry.value.data) != count:
                stages = "1 stage" if count == 1 else f"{count} stages"
                findings.error(
                    entry.value.place,
                    f"`{name}` has {len(entry.value.data)} values for {stages}",
                    "give one value for all stages, or one per stage (null leaves a stage alone)",
                )


def _merge(
    draft: _Draft, index: int, row: Value, findings: Findings
) -> dict[str, Attribute] | None:
    """A stage's attributes: defaults < its own < with."""
    if not isinstance(row.data, dict):
        if not tainted(row):
            findings.error(
                row.place,
                f"a stage is a mapping, not {describe(row)}",
                "for example `{depth: 3, width: 64}`",
            )
        return None
    attributes = {
        name: Attribute(entry.key, entry.value, "defaults")
        for name, entry in draft.defaults.items()
    }
    for name, entry in row.data.items():
        attributes[name] = Attribute(entry.key, entry.value, "stage")
    for overlay in draft.overlays:
        for name, entry in overlay.items():
            value = entry.value
            if isinstance(value.data, tuple):
                if index >= len(value.data) or value.data[index].data is None:
                    continue
                value = value.data[index]
            attributes[name] = Attribute(entry.key, value, "with")
    return attributes


def _block(
    number: int,
    row: Value,
    attributes: Mapping[str, Attribute],
    types: Mapping[str, type[Stage]],
    findings: Findings,
) -> str | None:
    """The block type of a stage."""
    if "block" not in attributes:
        findings.error(
            row.place,
            f"stage {number} has no `block`",
            f"give it {listing(f'`{name}`' for name in types)}, here or under `defaults`",
        )
        return None
    value = attributes["block"].value
    if isinstance(value.data, str) and value.data in types:
        return value.data
    if not tainted(value):
        hint = closest(value.data, types) if isinstance(value.data, str) else None
        findings.error(
            value.place, f"`block` must be {listing(types)}, not {describe(value)}", hint
        )
    return None


def _check_defaults(
    draft: _Draft,
    blocks: Sequence[str | None],
    types: Mapping[str, type[Stage]],
    findings: Findings,
) -> None:
    """A default is known, and of use to some stage unless it is inherited."""
    known = _all_attributes(types)
    for name, entry in draft.defaults.items():
        if name not in known:
            findings.error(entry.key, f"stages have no {quote(name)}", closest(name, known))
        elif name in draft.own_defaults and blocks and None not in blocks:
            if not any(name in types[block].model_fields for block in blocks if block):
                owners = _owners(name, types)
                findings.error(
                    entry.key,
                    f"no stage can use `{name}`",
                    f"it belongs to {listing(owners, 'and')} stages",
                )


def _applicable(
    number: int,
    attributes: Mapping[str, Attribute],
    block: str,
    types: Mapping[str, type[Stage]],
    findings: Findings,
) -> dict[str, Attribute]:
    """The attributes that a stage of this type has; the others are faults, save defaults."""
    known = _all_attributes(types)
    fields = types[block].model_fields
    kept = {}
    for name, attribute in attributes.items():
        if name in fields:
            kept[name] = attribute
        elif attribute.via == "stage" and name not in known:
            unknown(name, attribute.key, f"a `{block}` stage", fields, findings)
        elif attribute.via != "defaults" and name in known:
            where = f"stage {number}, a `{block}`" if attribute.via == "with" else f"`{block}`"
            owners = _owners(name, types)
            whose = f"a {owners[0]}'s `{name}`" if len(owners) == 1 else f"`{name}`"
            belongs = f"it belongs to {listing(owners, 'and')} stages"
            findings.error(attribute.key, f"{whose} means nothing to {where}", belongs)
    return kept


def _all_attributes(types: Mapping[str, type[Stage]]) -> list[str]:
    return list(dict.fromkeys(name for stage in types.values() for name in stage.model_fields))


def _owners(name: str, types: Mapping[str, type[Stage]]) -> list[str]:
    return [block for block, stage in types.items() if name in stage.model_fields]


def _label(source: Source, with_: Sequence[str], input_: str | None) -> str:
    """Which spec this is, the same on every machine: a shipped name or the file's own name."""
    name = source.name
    if source.path is not None:
        path = os.path.realpath(source.path)
        folder = os.path.realpath(shipped_folder())
        inside = path.startswith(folder + os.sep)
        name = os.path.relpath(path, folder).replace(os.sep, "/") if inside else path
        name = name.removesuffix(".yaml") if inside else os.path.basename(path)
    options = [f"--with {text}" for text in with_]
    options += [f"--input {input_}"] if input_ is not None else []
    return quote_name(" ".join([name, *options]))


def _group(source: Source) -> str:
    """The folders between ``specs/`` and a spec's file."""
    if source.path is None:
        return ""
    folders = Path(os.path.realpath(source.path)).parent.parts
    inside = folders[len(folders) - folders[::-1].index("specs") :] if "specs" in folders else ()
    return "/".join(inside)
