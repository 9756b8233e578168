"""What is valid in a spec, but probably not meant.

Only what the user has written is warned of: a place in the file that was named, or an option. What
a file inherits is its parent's affair, and an option may override whatever it likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archc.blocks.tree import Expr, Item, LayerItem, walk
from archc.dataclassing import dataclass
from archc.graph import Network, Node
from archc.source.diagnostics import Diagnostic, Edit, Findings, Note, Place, in_order
from archc.source.reader import Entry
from archc.source.suggest import closest
from archc.spec.models import Spec
from archc.spec.options import numbered
from archc.spec.overrides import channels_last
from archc.spec.stages import Written


def warnings_of(spec: Spec, network: Network | None) -> tuple[Diagnostic, ...]:
    """The warnings of a spec in the order of the text; fewer where its network is not known."""
    findings = Findings()
    _warn_of_input(spec, findings)
    _warn_of_classes(spec, findings)
    _warn_of_groups(spec, findings)
    if spec.written is not None:
        _warn_of_overridden_variables(spec, spec.written, findings)
        _warn_of_unused_variables(spec, spec.written, findings)
        _warn_of_overridden_attributes(spec, spec.written, findings)
    if network is not None:
        _warn_of_linear(spec, network, findings)
        if any("//" in expr.text for expr in _expressions(spec)) or any(
            "//" in text for text in _texts(spec.written)
        ):
            from archc.spec.divisions import warn_of_divisions

            warn_of_divisions(spec, network, findings)
    return tuple(in_order(findings.warned.values()))


def is_own(place: Place, spec: Spec) -> bool:
    """Whether the user wrote what is at a place: in the file that was named, or as an option."""
    return place.source is spec.place.source or of_option(place, spec)


def of_option(place: Place, spec: Spec) -> bool:
    """Whether an option of the command line, or an argument in Python, says what is at a place."""
    return place.source.path is None and place.source is not spec.place.source


# Keys of the network


def _warn_of_input(spec: Spec, findings: Findings) -> None:
    entry = spec.entries.get("input")
    told = None if entry is None else channels_last(entry.value)
    if entry is None or told is None or not is_own(entry.key, spec):
        return
    place, fix = entry.value.place, None
    if place.source is spec.place.source and isinstance(entry.value.data, tuple):
        from archc.source.spans import end_of

        first, second, last = (str(one.data) for one in entry.value.data)
        replacement = f"[{last}, {first}, {second}]"
        fix = Edit(place, end_of(place), replacement, is_certain=False)
    findings.warning(place, told, code="input-order", fix=fix)


def _warn_of_classes(spec: Spec, findings: Findings) -> None:
    entry = spec.entries.get("classes")
    if entry is None or entry.key.source is not spec.place.source or _reads_classes(spec):
        return  # a note says the same of an option
    message = "nothing in the network reads `classes`: it has no `linear` without a number"
    hint = "write `linear` without a number where the classes are put out, or `width: classes` in "
    hint += "a convolution; or leave `classes` out"
    findings.warning(entry.key, message, hint, code="unused-classes")


def _reads_classes(spec: Spec) -> bool:
    if any("classes" in text for text in _texts(spec.written)):
        return True
    if spec.names is not None and "classes" in spec.names.text:
        return True
    items = list(walk(spec.row("stem") + spec.row("head")))
    for definition in spec.definitions.values():
        if definition.reads("classes"):
            return True
        items += [*walk(definition.layers), *walk(definition.end)]
    return any(_reads_classes_itself(item) for item in items)


def _reads_classes_itself(item: Item) -> bool:
    if isinstance(item, LayerItem) and item.word == "linear" and "features" not in item.fields:
        return True
    return any("classes" in expr.names for expr in item.expressions)


def _expressions(spec: Spec) -> Iterator[Expr]:
    """The expressions of its layers, and of the blocks that it uses."""
    for item in walk(spec.row("stem") + spec.row("head")):
        yield from item.expressions
    for definition in spec.definitions.values():
        yield from definition.expressions


def _texts(written: Written | None) -> Iterator[str]:
    """The texts in what is written of stages: some may be expressions."""
    if written is None:
        return
    left = [*written.rows]
    for entries in (written.defaults, *(one.entries for one in written.overlays)):
        left += [entry.value for entry in entries.values()]
    while left:
        data = left.pop().data
        if isinstance(data, str):
            yield data
        elif isinstance(data, tuple):
            left += data
        elif isinstance(data, dict):
            left += [entry.value for entry in data.values()]


# Stages


def _warn_of_groups(spec: Spec, findings: Findings) -> None:
    """Groups of a `bottleneck`, and of blocks alike, whose width is that of all groups together."""
    for number, stage in enumerate(spec.stages, 1):
        known = stage.model.definition.attributes
        given = stage.attributes.get("groups")
        groups = getattr(stage.model, "groups", None)
        if given is None or "base_width" not in known or "base_width" in stage.attributes:
            continue
        if type(groups) is not int or groups < 2 or not is_own(given.key, spec):
            continue
        message = (
            f"`groups: {groups}` without `base_width` makes the grouped convolutions of "
            f"`{stage.model.block}` {groups} times as wide"
        )
        hint = (
            "`base_width` is the width of one group where `width` is 64: ResNeXt-50 32x4d has "
            "`groups: 32, base_width: 4`"
        )
        notes = []
        if given.via != "stage":
            notes.append(Note(stage.place, f"stage {number} has `width: {stage.model.width}`"))
        findings.warning(given.key, message, hint, notes, code="widened-groups")


@dataclass(frozen=True, eq=False)
class _Given:
    """A value that is given to stages: where, how, and whose stages it reaches."""

    name: str
    key: Place
    via: str
    stages: list[int]
    reached: list[int]
    over: list[Entry]
    """What takes its place."""


def _warn_of_overridden_attributes(spec: Spec, written: Written, findings: Findings) -> None:
    for one in _given(spec, written):
        if one.reached or not is_own(one.key, spec) or of_option(one.key, spec):
            continue
        over = one.over[0]
        if one.via == "defaults":
            _warn_of_default(one, written, findings)
            continue
        message = f"`{one.name}` of {numbered(one.stages)} has no effect: `with` overrides it"
        notes = [Note(over.key, "its value is here")]
        findings.warning(one.key, message, "keep one of them", notes, code="overridden-value")


def _warn_of_default(one: _Given, written: Written, findings: Findings) -> None:
    over = one.over[0]
    overlaid = [entry for overlay in written.overlays for entry in overlay.entries.values()]
    by_with = any(entry is other for entry in overlaid for other in one.over)
    by = "`with` overrides it" if by_with else "every stage has its own"
    hint = "leave it out"
    if over.key.source is not one.key.source:
        hint = f"`with: {{{one.name}: ...}}` overrides what the stages of a parent have"
    elif not by_with:
        hint = f"leave it out, or leave `{one.name}` out of the stages that should have this value"
    notes = [Note(over.key, f"{numbered(one.stages[:1])} gets its `{one.name}` here")]
    message = f"the default `{one.name}` reaches no stage: {by}"
    findings.warning(one.key, message, hint, notes, code="unused-default")


def _given(spec: Spec, written: Written) -> Iterable[_Given]:
    """What the files give to stages, each attribute of a default, a stage and a `with`."""
    found: dict[int, _Given] = {}
    for index, stage in enumerate(spec.stages):
        for name in stage.attributes:
            given = [*_layers(name, index, spec, written)]
            for turn, (via, entry) in enumerate(given):
                one = found.setdefault(id(entry), _Given(name, entry.key, via, [], [], []))
                one.stages.append(index + 1)
                if turn == len(given) - 1:
                    one.reached.append(index + 1)
                else:
                    one.over.append(given[-1][1])
    # Attributes of several stages that one `with` overrides are one mistake.
    merged: dict[object, _Given] = {}
    for one in found.values():
        key = (one.name, id(one.over[-1])) if one.via == "stage" and not one.reached else one
        first = merged.setdefault(key, one)
        if first is not one:
            first.stages.extend(one.stages)
    return merged.values()


def _layers(name: str, index: int, spec: Spec, written: Written) -> Iterator[tuple[str, Entry]]:
    """The entries of the files that give a stage an attribute, the one that holds last."""
    if name in written.defaults:
        yield "defaults", written.defaults[name]
    data = written.rows[index].data
    if isinstance(data, dict) and name in data:
        yield "stage", data[name]
    for overlay in written.overlays:
        entry = overlay.entries.get(name)
        if entry is not None and not of_option(entry.key, spec):
            values = entry.value.data
            mine = values[index : index + 1] if isinstance(values, tuple) else (entry.value,)
            if mine and mine[0].data is not None:
                yield "with", entry


def _warn_of_overridden_variables(spec: Spec, written: Written, findings: Findings) -> None:
    for name, entry in written.variables.items():
        held = spec.origins.get(name)
        if held is None or held == entry.value.place or not is_own(entry.key, spec):
            continue
        if of_option(held, spec):
            continue
        message = f"the variable `{name}` has no effect: `with` overrides it"
        if held.source is not entry.key.source:
            message = f"the variable `{name}` has no effect: the `with` of a parent overrides it"
        hint = "keep one of them" if held.source is entry.key.source else "set it under `with`"
        notes = [Note(held, "its value is here")]
        findings.warning(entry.key, message, hint, notes, code="overridden-value")


def _warn_of_unused_variables(spec: Spec, written: Written, findings: Findings) -> None:
    """Variables that nothing reads: misspelt, or left over. A note says the same of an option."""
    own = {
        name: entry
        for name, entry in written.variables.items()
        if is_own(entry.key, spec) and not of_option(entry.key, spec)
    }
    if not own:
        return
    from archc.spec.effects import is_word_in, text_of

    said = (written.defaults, *(one.entries for one in written.overlays))
    values = [entry.value for entries in said for entry in entries.values()]
    text = text_of(spec, [*written.rows, *values])
    for name, entry in own.items():
        if is_word_in(name, text):
            continue
        hint = closest(name, written.variables.keys() - own.keys()) or "leave it out"
        message = f"nothing in the network reads the variable `{name}`"
        findings.warning(entry.key, message, hint, code="unused-variable")


# The network


def _warn_of_linear(spec: Spec, network: Network, findings: Findings) -> None:
    """A linear layer on a map that was not pooled, with more than half of all parameters."""
    kinds = {node.op.kind for node in network.nodes.values()}
    if "flatten" not in kinds or not any("conv" in kind for kind in kinds):
        return
    total = network.params
    for node in network.nodes.values():
        if node.op.kind != "linear" or 2 * node.params <= total:
            continue
        shape = _flattened(network, node)
        if shape is None:
            continue
        place = place_of(network, node, spec)
        if not is_own(place, spec):
            return
        size = "x".join(map(str, shape))
        message = (
            f"`linear` on the flattened map of {size} holds {node.params:,} of "
            f"{total:,} parameters ({100 * node.params // total} %)"
        )
        hint = "pool the map first, for example with `global_avg_pool`; if this is meant, say "
        hint += "`# archc: allow large-linear` in the same line"
        findings.warning(place, message, hint, code="large-linear")


def _flattened(network: Network, node: Node) -> Sequence[int] | None:
    """The shape of the map whose places a linear layer reads, if there are several."""
    before = network.nodes[node.inputs[0]]
    while len(before.output_shape) == 1 and before.op.kind != "flatten" and before.inputs:
        if before.params:
            return None
        before = network.nodes[before.inputs[0]]
    if before.op.kind != "flatten":
        return None
    shape = network.nodes[before.inputs[0]].output_shape
    return shape if len(shape) == 3 and shape[1] * shape[2] > 1 else None


def place_of(network: Network, node: Node, spec: Spec) -> Place:
    """Where the layer is written that a node comes from."""
    for written in reversed(network.written.get(node.id, ())):
        for one in reversed(written.key if written and isinstance(written.key, tuple) else ()):
            if isinstance(one, Item):
                return one.place
    return spec.place
