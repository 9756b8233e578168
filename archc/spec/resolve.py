"""From the files of a spec to one valid `Spec`: extends, defaults and with.

Values are merged with their places, never as plain dictionaries, so that a fault is told where
the value stands that has it. Precedence: defaults < stage < with, eldest ancestor first < the
command line's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from archc.blocks import MAX_BLOCKS, STANDARD, Around, Library
from archc.blocks.names import Names, outside, template
from archc.blocks.tree import Template
from archc.dataclassing import dataclass
from archc.graph.initial import USUAL
from archc.shipped import shipped_path
from archc.source.ancestry import MAX_ANCESTORS, open_ancestor, read_mapping
from archc.source.caller import said
from archc.source.diagnostics import Advice, Findings, Note, Place, Source, SpecError
from archc.source.reader import INVALID, Entry, Value, read
from archc.source.validate import code_of, describe, is_nothing, tainted, unknown, validate
from archc.spec.blocks import Blocks, complain_of_block_file, is_block_file
from archc.spec.blocks import Written as WrittenBlocks
from archc.spec.files import open_parent, open_spec
from archc.spec.layers import place_row
from archc.spec.models import (
    KEYS,
    NAME,
    Header,
    Overlay,
    PlacedItem,
    PlacedStage,
    Spec,
    around,
)
from archc.spec.overrides import (
    Change,
    InputSize,
    Set,
    described,
    is_set,
    locate_with,
    parse_input,
    parse_with,
)
from archc.spec.stages import Written, place_stages, reads_block
from archc.spec.variables import (
    initial_of,
    norm_of_network,
    place_of,
    plain_norm,
    possible_of,
    values_of,
    words_of,
)
from archc.text import quote_name

if TYPE_CHECKING:
    from archc.spec.expect import Expectation

_HEADER = list(Header.model_fields)
_LISTS = ("stem", "stages", "head")
_MAPPINGS = ("defaults", "with")
_FORMS: dict[str, type] = dict.fromkeys((*_LISTS, "use"), tuple) | dict.fromkeys(
    (*_MAPPINGS, "init", "variables", "blocks", "expect"), dict
)
_EXAMPLES = {
    "stem": "[conv: {width: 64, kernel: 7}]",
    "stages": "[{block: basic, depth: 2, width: 64, shortcut: A}]",
    "head": "[global_avg_pool, linear]",
    "defaults": "{block: basic, shortcut: A}",
    "with": "{depth: [3, 4, 6, 3]}",
    "init": "{conv: {kaiming_normal: fan_out}, linear: {normal: 0.01}, bias: 0}",
    "use": "[blocks.yaml]",
    "variables": "{width_mult: 1.0}",
    "blocks": "{my_block: {layers: [...]}}",
    "expect": "{params: 25_557_032, multiply_adds: <= 4.1G}",
}
_OWN = {"name", "title", "description"}


def load_spec(
    spec: str,
    changes: Sequence[Change] = (),
    library: Library = STANDARD,
) -> Spec:
    """Read, resolve and check a spec: a path, a shipped name, or ``-`` for standard input.

    ``changes`` are the command line's ``--with``, ``--set`` and ``--input``, which hold in their
    order. ``library`` has the block types that stages may be made of. Raises `SpecError` with
    every independent mistake.
    """
    return resolve(open_spec(spec), changes, library)


def resolve(
    source: Source,
    changes: Sequence[Change] = (),
    library: Library = STANDARD,
) -> Spec:
    """Like `load_spec`, for a text that has been read."""
    findings = Findings()
    draft = _overlaid(source, changes, library, findings)
    if draft is None:
        findings.check()
        raise AssertionError("a spec without a draft has findings")
    spec = _finish(draft, _label(source, changes), _group(source), library, findings)
    findings.check()
    assert spec is not None
    return spec


@dataclass(frozen=True)
class Faulty:
    """What is valid of a spec with mistakes.

    ``rows`` are the items of stem, stages and head as they are written; ``spec`` has those of them
    that are valid, and ``error`` the mistakes.
    """

    spec: Spec
    rows: tuple[tuple[Value, ...], tuple[Value, ...], tuple[Value, ...]]
    error: SpecError


def resolve_faulty(
    source: Source,
    changes: Sequence[Change] = (),
    library: Library = STANDARD,
) -> Faulty | None:
    """What is valid of a spec whose text has been read, if it has mistakes.

    None where there are none, and where too little of it can be read: the keys at its top, or
    something that it extends.
    """
    findings = Findings()
    draft = _overlaid(source, changes, library, findings)
    if draft is None or not draft.whole:
        return None
    label, group = _label(source, changes), _group(source)
    spec = _finish(draft, label, group, library, findings, faulty=True)
    if spec is None or not findings.found:
        return None
    try:
        findings.check()
    except SpecError as error:
        return Faulty(spec, (draft.rows("stem"), draft.rows("stages"), draft.rows("head")), error)
    return None


def _overlaid(
    source: Source, changes: Sequence[Change], library: Library, findings: Findings
) -> _Draft | None:
    """A draft with the command line's options; None where the text cannot be read."""
    draft = _draft(source, library, findings, ())
    if draft is None:  # what is wrong with the options is told all the same
        draft = _Draft(source.start(), whole=False)
        _lay_changes(draft, changes, findings)
        return None
    _lay_changes(draft, changes, findings)
    draft.is_as_written = not changes
    return draft


def _lay_changes(draft: _Draft, changes: Sequence[Change], findings: Findings) -> None:
    """Lay options over a draft, each over those before it."""
    for change in changes:
        if isinstance(change, InputSize):
            draft.top["input"] = parse_input(change.size, findings)
        elif isinstance(change, Set):
            from archc.spec.changes import Target, lay

            rows = draft.rows("stages")
            parts = (draft.top, draft.variables, draft.overlays, len(rows))
            lay(change, Target(draft.name, *parts), findings)
        else:
            found = (
                parse_with(change, findings) if isinstance(change, str) else locate_with(*change)
            )
            if found:
                draft.overlays.append(Overlay(dict([found])))


@dataclass
class _Draft:
    """A spec and its ancestors laid over each other, not yet checked.

    It is not ``whole`` where an ancestor, or what a file says of stages, could not be read: what
    seems to be missing then may stand there.
    """

    place: Place
    top: dict[str, Entry] = field(default_factory=dict)
    lists: dict[str, Value] = field(default_factory=dict)
    defaults: dict[str, Entry] = field(default_factory=dict)
    overlays: list[Overlay] = field(default_factory=list)
    variables: dict[str, Entry] = field(default_factory=dict)
    blocks: list[WrittenBlocks] = field(default_factory=list)
    own_defaults: frozenset[str] = frozenset()
    whole: bool = True
    has_unknown_keys: bool = False
    expected: tuple[Expectation, ...] = ()
    is_as_written: bool = True

    def rows(self, key: str) -> tuple[Value, ...]:
        """The items of a list; none where it is not given, or no list."""
        data = self.lists[key].data if key in self.lists else ()
        return data if isinstance(data, tuple) else ()

    @property
    def name(self) -> str:
        """What messages call the spec."""
        data = self.top["name"].value.data if "name" in self.top else None
        return quote_name(data) if isinstance(data, str) else "the spec"

    @property
    def is_empty(self) -> bool:
        """Whether a network without a layer is described."""
        return self.whole and all(value.data == () for value in self.lists.values())

    def written(self) -> Written:
        """What is said of stages."""
        overlays = [
            replace(one, entries={k: v for k, v in one.entries.items() if k not in self.variables})
            for one in self.overlays
        ]
        rows = self.rows("stages")
        own = (self.defaults, self.own_defaults)
        return Written(rows, *own, overlays, self.name, self.variables)


def _draft(
    source: Source, library: Library, findings: Findings, descendants: tuple[Source, ...]
) -> _Draft | None:
    """Read a file and lay it over what it extends; None where it cannot be read."""
    found = read_mapping(source, findings, "a spec begins with `name:`")
    if found is None:
        return None
    data, place = found
    if is_of_recipe(data):
        what = "this is a recipe, not a spec"
        takes = said("`archc train SPEC --recipe` takes it", "`archc.train` takes it")
        findings.error(data["recipe"].key, what, takes, code="not-a-spec")
        return None
    if is_block_file(data):
        complain_of_block_file(data, source, findings)
        return None
    entries = _checked_keys(data, place, library, findings)
    draft = _Draft(place)
    if "extends" in entries:
        chain = (*descendants, source)
        value = entries.pop("extends").value
        parent = open_ancestor(value, chain, open_parent, "imagenet/resnet50", findings)
        draft = (parent and _draft(parent, library, findings, chain)) or _Draft(place, whole=False)
    draft.has_unknown_keys |= any(key not in KEYS for key in data)
    draft.expected = ()  # those of what it extends are not of this network
    if "expect" in entries:
        from archc.spec.expect import expectations_of

        draft.expected = expectations_of(entries.pop("expect").value, findings)
    _lay_over(draft, entries, place)
    return draft


def is_of_recipe(data: Mapping[str, Entry]) -> bool:
    """Whether the keys of a file are those of a recipe, which has no name but its own."""
    return "recipe" in data and "name" not in data


def _checked_keys(
    data: Mapping[str, Entry], place: Place, library: Library, findings: Findings
) -> dict[str, Entry]:
    """The known keys of a file; a list or a mapping that is neither becomes invalid."""
    entries = {}
    meant: set[str] = set()
    for key, entry in data.items():
        form = _FORMS.get(key)
        if key not in KEYS and key in library.attributes:
            hint = f"`{key}` is an attribute of stages: write it in `stages`, `defaults` or `with`"
            findings.error(entry.key, f"a spec has no key `{key}`", hint, code="misplaced-key")
        elif key not in KEYS:
            meant |= unknown(key, entry.key, "a spec has no key", KEYS, findings)
        elif form is None or isinstance(entry.value.data, form):
            entries[key] = entry
        else:
            _complain_of_form(key, entry.value, findings)
            entries[key] = Entry(entry.key, Value(INVALID, entry.value.place))
    for key in meant - entries.keys():
        entries[key] = Entry(place, Value(INVALID, place))
    if "name" not in entries and (entries or not data):  # otherwise none of its keys is a spec's
        findings.error(place, "the spec needs `name`", f"`name` is {NAME}", code="missing-key")
    header = {key: entry for key, entry in entries.items() if key in _HEADER}
    header = plain_norm(header)
    validate(Header, header, place, "the spec", findings, excused=["name"])
    return entries


def _complain_of_form(key: str, value: Value, findings: Findings) -> None:
    if tainted(value):
        return
    form = "a list" if _FORMS[key] is tuple else "a mapping"
    message = f"`{key}` must be {form}, not {describe(value)}"
    if is_nothing(value):
        message = f"`{key}` has no value"
    hint = f"for example `{key}: {_EXAMPLES[key]}`"
    if isinstance(value.data, str) and re.fullmatch(r"\w+( *, *\w+)+", value.data):
        hint = Advice(f"write [{value.data}]", f"[{value.data}]", is_certain=form == "a list")
    findings.error(value.place, message, hint, code=code_of(value))


def _lay_over(draft: _Draft, entries: dict[str, Entry], place: Place) -> None:
    """Lay a child's keys over its parent's."""
    draft.place = place
    for key in _OWN:
        draft.top.pop(key, None)
    for key in (*_HEADER, "names", "init"):
        if key in entries:
            draft.top[key] = entries[key]
    if "stages" in entries:
        draft.overlays.clear()
    for key in _LISTS:
        if key in entries:
            draft.lists[key] = entries[key].value
    if "variables" in entries and isinstance(entries["variables"].value.data, dict):
        draft.variables |= entries["variables"].value.data
    if "blocks" in entries or "use" in entries:
        blocks = entries["blocks"].value.data if "blocks" in entries else {}
        use = entries["use"].value if "use" in entries else None
        draft.blocks.append(WrittenBlocks(use, blocks if isinstance(blocks, dict) else {}))
    defaults, overlay = (entries[key].value.data if key in entries else {} for key in _MAPPINGS)
    draft.own_defaults = frozenset()
    if isinstance(defaults, dict):
        draft.defaults |= defaults
        draft.own_defaults = frozenset(defaults)
    if isinstance(overlay, dict):
        draft.overlays.append(Overlay(overlay))
    of_stages = [entries[key].value for key in ("stages", *_MAPPINGS) if key in entries]
    if any(value.data is INVALID for value in of_stages):
        draft.whole = False


def spec_files(spec: str) -> list[str]:
    """The files that a spec is made of: its own, then what it extends, as far as they can be read.

    A file that is missing is among them, as the last.
    """
    paths = [spec]
    try:
        source = open_spec(spec)
        while source.path is not None and len(paths) <= MAX_ANCESTORS:
            paths[-1] = source.path
            root = read(source, Findings())
            entry = root.data.get("extends") if isinstance(root.data, dict) else None
            if entry is None or not isinstance(entry.value.data, str):
                break
            beside = os.path.join(os.path.dirname(source.path), entry.value.data)
            paths.append(os.path.normpath(beside))
            source = open_parent(entry.value.data, entry.value.place)
    except SpecError:
        pass
    return paths


def _finish(
    draft: _Draft,
    label: str,
    group: str,
    library: Library,
    findings: Findings,
    *,
    faulty: bool = False,
) -> Spec | None:
    """Check a draft as a whole; one with mistakes is None, or where it may be ``faulty``, what is
    valid of it, if that is known of the keys at its top."""
    top = dict(draft.top)
    if "name" not in top:  # its absence has been noted where it is missing
        top["name"] = Entry(draft.place, Value("unnamed", draft.place))
    header = validate(Header, plain_norm(top), draft.place, "the spec", findings)
    overlays = [one.entries for one in draft.overlays]
    variables = values_of(draft.variables, overlays, findings)
    norm = norm_of_network(top.get("norm"), variables, findings)
    initial = initial_of(top["init"], findings) if "init" in top else USUAL
    possible = possible_of(draft.variables, variables)
    made = Blocks(library, words_of(draft.variables, variables), findings, possible)
    for one in draft.blocks:
        made.add(one)
    library = made.all()
    names = outside(draft.variables, possible)
    stem, head = _ends(draft, names, library, made.broken, findings)
    context = around(header or Header(name="unnamed"), norm, variables)
    stages, notes = _stages(draft, library, context, findings, made.broken)
    known = Names({*context.names, "stage", "block", "number"}, dict(names.words))
    pattern = _pattern(top["names"], known, findings) if "names" in top else None
    _check_not_empty(draft, findings)
    if findings.found:
        _find_more(draft, [*stem, *head], stages, context, findings)
    if header is None or (findings.found and not faulty):
        return None
    spec = Spec(
        header=header,
        norm=norm,
        stem=stem,
        stages=tuple(stages),
        head=head,
        entries=draft.top,
        place=draft.place,
        label=label,
        group=group,
        library=library,
        names=pattern,
        initial=initial,
        variables=variables,
        origins={name: place_of(name, draft.variables, overlays) for name in variables},
        notes=tuple(notes),
        default_block=_word(draft.defaults.get("block")),
        expected=draft.expected,
        is_as_written=draft.is_as_written,
        written=draft.written(),
    )
    if not findings.found:
        _check_whole(spec, findings)
    return _with_effects(spec, draft)


def _ends(
    draft: _Draft, names: Names, library: Library, broken: set[str], findings: Findings
) -> list[tuple[PlacedItem, ...]]:
    """The layers of the stem and of the head."""
    keys = ("stem", "head")
    ends = {f"`{key}`": draft.lists[key] for key in keys if key in draft.lists}
    return [
        place_row(draft.rows(key), names, library, broken, findings, ends, f"`{key}`")
        for key in keys
    ]


def _stages(
    draft: _Draft, library: Library, context: Around, findings: Findings, broken: set[str]
) -> tuple[list[PlacedStage], list[Note]]:
    """The stages, if all that says of them is known, and notes of what options leave alone."""
    notes: list[Note] = []
    if not draft.whole:
        return [], notes
    given = draft.written()
    found = place_stages(given, library, context, findings, broken, draft.variables, notes)
    return found, notes


def _with_effects(spec: Spec, draft: _Draft) -> Spec:
    """A spec with notes of each `--set` that changes nothing."""
    overlays = draft.overlays
    places = [entry.key for entry in draft.top.values()]
    if not any(one.via == "set" for one in overlays) and not any(map(is_set, places)):
        return spec
    from archc.spec.effects import notes_of_effects

    said = [draft.defaults, *(one.entries for one in overlays)]
    values = [entry.value for entries in said for entry in entries.values()]
    effects = notes_of_effects(spec, [*draft.rows("stages"), *values])
    return replace(spec, notes=(*spec.notes, *effects))


def _find_more(
    draft: _Draft,
    layers: Sequence[PlacedItem],
    stages: Iterable[PlacedStage],
    context: Around,
    findings: Findings,
) -> None:
    """Add to what has been found the faults that layers and stages have whatever their input."""
    from archc.spec.shapes import faults_of_any_shape

    numbers = {row.place: number for number, row in enumerate(draft.rows("stages"), 1)}
    numbered = [(numbers[stage.place], stage) for stage in stages]
    faults_of_any_shape(layers, numbered, context, findings)


def _check_not_empty(draft: _Draft, findings: Findings) -> None:
    """Complain of a network without layers, unless unknown keys may have been meant as these."""
    if not draft.is_empty or draft.has_unknown_keys:
        return
    hint = f"for example `stages: {_EXAMPLES['stages']}`"
    if not draft.lists and any(one.blocks for one in draft.blocks):
        hint += "; a file of nothing but blocks has no `name`"
    findings.error(
        draft.lists["stages"].place if "stages" in draft.lists else draft.place,
        "the network is empty: give it `stages`, or layers in `stem` or `head`",
        hint,
        code="no-layers",
    )


def _word(entry: Entry | None) -> str | None:
    data = None if entry is None else entry.value.data
    return data if isinstance(data, str) else None


def _pattern(entry: Entry, known: Names, findings: Findings) -> Template | None:
    """What the modules of blocks are called."""
    found = template(entry.value, known, findings, "`names`")
    if found is not None and not reads_block(found):
        hint = f'for example "{found.text}.{{block}}"'
        findings.error(
            found.place, "`names` needs `{block}` or `{number}`", hint, code="missing-placeholder"
        )
    return found


def _check_whole(spec: Spec, findings: Findings) -> None:
    """Rules about more than one part of a spec."""
    layers = [*spec.stem, *spec.head]
    last = layers[-1] if spec.head or not spec.stages else None
    for layer in layers:
        if layer.word == "softmax" and layer is not last:
            findings.error(
                layer.place,
                "`softmax` must be the last layer",
                "put it at the end of `head`",
                code="misplaced-layer",
            )
    blocks = 0
    for number, stage in enumerate(spec.stages, 1):
        blocks += stage.model.depth
        if blocks > MAX_BLOCKS >= blocks - stage.model.depth:
            findings.error(
                stage.attributes["depth"].value.place,
                f"a network may have at most {MAX_BLOCKS:,} blocks; "
                f"with stage {number} this one has {blocks:,}",
                code="limit-exceeded",
            )
        if spec.header.pre_activation and not stage.model.definition.reads_norm_first:
            name = stage.model.block
            findings.error(
                spec.entries["pre_activation"].value.place,
                f"`{name}` never reads `pre_activation`",
                "a block for such networks chooses the order of its layers by it",
                notes=[Note(stage.place, f"stage {number} has `{name}` blocks")],
                code="inapplicable-attribute",
            )


def _label(source: Source, changes: Sequence[Change]) -> str:
    """Which spec this is, the same on every machine: a shipped name or the file's own name."""
    name = source.name
    if source.path is not None:
        path = os.path.realpath(source.path)
        folder = shipped_path()
        inside = path.startswith(folder + os.sep)
        name = os.path.relpath(path, folder).replace(os.sep, "/") if inside else path
        name = name.removesuffix(".yaml") if inside else os.path.basename(path)
    options = [described(change) for change in changes]
    return quote_name(" ".join([name, *options]))


def _group(source: Source) -> str:
    """GROUP for a spec that lies in ``specs/GROUP/``, nothing for others."""
    if source.path is None:
        return ""
    above, group = os.path.split(os.path.dirname(os.path.realpath(source.path)))
    return group if os.path.basename(above) in ("specs", "_shipped") else ""
