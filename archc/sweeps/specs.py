"""Chosen variants as small specs that extend the one they are variants of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from archc.blocks import Stage
from archc.blocks.scope import plain
from archc.spec import Spec, SpecError, resolve
from archc.spec.overrides import Set, is_option
from archc.spec.variant import reference
from archc.sweeps.axes import Choice, shown
from archc.sweeps.plan import Plan, Variant

MAX_NAME = 64


def variant_specs(
    plan: Plan, variants: Sequence[Variant], parent: str, folder: Path
) -> dict[Path, str]:
    """The text of a spec for each variant, by the path where it will lie.

    ``parent`` is the spec as the user calls it: a path or a shipped name.
    """
    texts = {}
    bases: dict[str, Sequence[Stage | None]] = {}
    for variant in variants:
        name = _name(plan, variant.index, variant.settings)
        path = folder / f"{name}.yaml"
        layers, params, multiply_adds = variant.numbers
        lines = [
            f"# {layers:,} layers, {params:,} parameters, {multiply_adds:,} multiply-adds",
            f"extends: {reference(parent, path)}",
            f"name: {name}",
        ]
        header, variables = _set_by_options(plan.spec_of(variant.settings))
        lines += [f"{key}: {json.dumps(value)}" for key, value in header.items()]
        sets = {**header, **variables}
        base = bases.setdefault(json.dumps(sets), _stages_of(plan, sets))
        changed = _changed(base, plan.stages(variant.settings))
        pairs = [f"{name}: {json.dumps(value)}" for name, value in variables.items()]
        pairs += [f"{key}: {_flow(values)}" for key, values in changed.items()]
        if pairs:
            lines.append(f"with: {{{', '.join(pairs)}}}")
        texts[path] = "\n".join(lines) + "\n"
    return texts


def variants_called(plan: Plan, files: Iterable[str]) -> set[str]:
    """Which of some names of files variants of a plan would have; case does not count."""
    own = plan.spec.header.name
    start = own[: MAX_NAME - len(f"-{plan.count - 1}")]
    start = f"{own}-" if start == own else start
    wanted = {
        name.casefold(): name for name in files if name.casefold().startswith(start.casefold())
    }
    if not wanted:
        return set()  # almost always, which spares going through the variants
    names = (
        f"{_name(plan, index, settings)}.yaml".casefold()
        for index, settings in enumerate(plan.settings())
    )
    return {wanted[name] for name in names if name in wanted}


def _name(plan: Plan, index: int, settings: Sequence[Choice]) -> str:
    """``resnet50-depth2_6-width_x0.5``, or, where that is too long, with the variant's number."""
    words = [
        f"{axis.attribute}{axis.stage or ''}_{shown(choice)}"
        for axis, choice in zip(plan.axes, settings, strict=True)
    ]
    own = plan.spec.header.name
    name = re.sub(r"[^A-Za-z0-9_.-]", "", "-".join([own, *words]))
    if len(name) <= MAX_NAME:
        return name
    number = f"-{index:0{len(str(plan.count - 1))}d}"
    return own[: MAX_NAME - len(number)] + number


def _set_by_options(spec: Spec) -> tuple[dict[str, object], dict[str, object]]:
    """The keys of a spec's header and the variables that options or axes have given a value; a
    variant has a name and a title of its own."""
    header = {
        key: entry.value.plain
        for key, entry in spec.entries.items()
        if key not in ("name", "title") and is_option(entry.value.place)
    }
    variables = {
        name: plain(value)
        for name, value in spec.variables.items()
        if is_option(spec.origins[name])
    }
    return header, variables


def _stages_of(plan: Plan, sets: Mapping[str, object]) -> Sequence[Stage | None]:
    """The parent's own stages with some keys set; none where the parent is not whole without the
    attributes that options give."""
    try:
        return [stage.model for stage in resolve(plan.source, [*map(Set, sets.items())]).stages]
    except SpecError:
        return [None] * len(plan.spec.stages)


def _changed(base: Sequence[Stage | None], stages: Sequence[Stage]) -> dict[str, list[object]]:
    """The attributes that differ from the parent's, stage by stage; None where one does not."""
    names = dict.fromkeys(name for stage in stages for name in type(stage).model_fields)
    changed = {}
    for name in names:
        pairs = [
            (getattr(a, name, None), getattr(b, name, None))
            for a, b in zip(base, stages, strict=True)
        ]
        if any(before != after for before, after in pairs):
            changed[name] = [None if before == after else after for before, after in pairs]
    return changed


def _flow(values: list[object]) -> str:
    """One value for all stages where it is the same, otherwise one per stage."""
    if len(set(map(repr, values))) == 1:
        return json.dumps(values[0])
    return f"[{', '.join(map(json.dumps, values))}]"
