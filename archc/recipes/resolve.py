"""From the files of a recipe to one valid `Recipe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from archc.recipes.files import open_parent_recipe, open_recipe
from archc.recipes.models import (
    EXAMPLES,
    KEYS,
    SECTIONS,
    Augmentation,
    Header,
    Kind,
    LearningRate,
    Optimizer,
    Pixels,
    Recipe,
    Testing,
    WarmUp,
    only_for,
)
from archc.source.ancestry import open_ancestor, read_mapping
from archc.source.caller import said
from archc.source.diagnostics import Findings, Note, Place, Source, SpecError
from archc.source.reader import INVALID, Entry, Value, read
from archc.source.record import Record
from archc.source.settings import KIND, parse_setting
from archc.source.validate import (
    code_of,
    describe,
    is_nothing,
    tainted,
    unknown,
    unknown_keys,
    validate,
)
from archc.spec.resolve import is_of_recipe

_OWN = ("recipe", "description", "extends")
PREFIX = "recipe."
"""What may stand before a key, where options take keys of specs, too."""
Section = TypeVar("Section", bound=Record)


def load_recipe(recipe: str, settings: Sequence[str] = ()) -> Recipe:
    """Read, resolve and check a recipe: a path or a shipped name.

    ``settings`` are ``KEY=VALUE``, laid over what the recipe says. Raises `SpecError` with every
    independent mistake.
    """
    return resolve_recipe(open_recipe(recipe), settings)


def setting_names() -> list[str]:
    """What `load_recipe` takes as ``KEY`` of a setting: plain keys, and ``SECTION.KEY``."""
    plain = [key for key in KEYS if key not in _OWN and key not in SECTIONS]
    nested = [f"{name}.{key}" for name, model in SECTIONS.items() for key in model.model_fields]
    return plain + nested


def is_recipe(source: Source) -> bool:
    """Whether a text that has been read as a spec is a recipe."""
    try:
        root = read(source, Findings())
    except SpecError:
        return False
    return isinstance(root.data, dict) and is_of_recipe(root.data)


def resolve_recipe(source: Source, settings: Sequence[str] = ()) -> Recipe:
    """Like `load_recipe`, for a text that has been read."""
    findings = Findings()
    entries = _entries(source, findings, ())
    if entries is None:
        findings.check()
        raise AssertionError("a recipe without entries has findings")
    for setting in settings:
        _set(entries, setting, findings)
    recipe = _checked(entries, Place(source, 1, 1), findings)
    findings.check()
    assert recipe is not None
    return recipe


def _entries(
    source: Source, findings: Findings, descendants: tuple[Source, ...]
) -> dict[str, Entry] | None:
    """The keys of a recipe, laid over those of what it extends; None where it cannot be read."""
    found = read_mapping(source, findings, "a recipe begins with `recipe:`")
    if found is None:
        return None
    own, place = dict(found[0]), found[1]
    for key in [key for key in own if key not in KEYS]:
        meant = unknown(key, own.pop(key).key, "a recipe has no key", KEYS, findings)
        own |= {name: Entry(place, Value(INVALID, place)) for name in meant - own.keys()}
    if "recipe" not in own:
        findings.error(
            place,
            "the recipe needs a name, `recipe`",
            "for example `recipe: mine`",
            code="missing-key",
        )
        own["recipe"] = Entry(place, Value(INVALID, place))
    if "extends" not in own:
        return own
    chain, value = (*descendants, source), own["extends"].value
    parent = open_ancestor(value, chain, open_parent_recipe, "cifar10", findings)
    inherited = _entries(parent, findings, chain) if parent else None
    if inherited is None:
        return None
    laid = {key: entry for key, entry in inherited.items() if key not in _OWN} | own
    return {key: entry for key, entry in laid.items() if not _takes_away(entry)}


def _takes_away(entry: Entry) -> bool:
    """Whether an entry is an explicit null, which stands for what the recipe does not say."""
    return entry.value.data is None and not is_nothing(entry.value)


def _set(entries: dict[str, Entry], setting: str, findings: Findings) -> None:
    """Lay ``KEY=VALUE`` or ``SECTION.KEY=VALUE`` over the entries; the value is YAML."""
    option = said("--set", "settings")
    found = parse_setting(setting, option, "iterations=2000", findings)
    if found is None:
        return
    found = found.without(PREFIX)
    before = len(findings.found)
    value = found.value(findings)
    if len(findings.found) > before:
        return
    entry = Entry(found.place, value)
    section, dot, key = found.key.partition(".")
    if found.item is not None:
        message = f"`{found.key}` has no items: a recipe has no stages"
        findings.error(found.item_place, message, code="malformed-option")
    elif section not in KEYS or section in _OWN or (dot and section not in SECTIONS):
        known = [key for key in KEYS if key not in _OWN]
        unknown(found.key, found.place, "a recipe has no key", known, findings)
    elif not dot:
        _lay(entries, section, entry)
    else:
        rows_before = entries[section].value.data if section in entries else {}
        rows = dict(rows_before) if isinstance(rows_before, dict) else {}
        _lay(rows, key, entry)
        entries[section] = Entry(found.place, Value(rows, found.place))


def _lay(entries: dict[str, Entry], key: str, entry: Entry) -> None:
    """Set a key, or take it away where the setting is null."""
    entries.pop(key, None)
    if not _takes_away(entry):
        entries[key] = entry


def _checked(entries: Mapping[str, Entry], place: Place, findings: Findings) -> Recipe | None:
    """The recipe, or None, what is wrong being noted."""
    header = validate(Header, entries, place, "the recipe", findings)
    _check_kind(entries, findings)

    def section(model: type[Section], name: str) -> Section | None:
        return _section(model, name, entries, place, findings)

    rate = section(LearningRate, "learning_rate")
    if rate is not None:
        _check_rate(entries["learning_rate"], rate, findings)
    optimizer, pixels = section(Optimizer, "optimizer"), section(Pixels, "pixels")
    augmentation, testing = section(Augmentation, "augmentation"), section(Testing, "testing")
    if augmentation is not None and augmentation.resize is not None:
        _check_resize(entries["augmentation"], augmentation.resize, findings)
    warm_up = section(WarmUp, "warm_up") if "warm_up" in entries else None
    if header is not None and rate is not None:
        _check_warm_up(entries, header, rate, findings)
    if findings.found:
        return None
    parts = (header, rate, optimizer, warm_up, pixels, augmentation, testing)
    return Recipe(*parts)  # type: ignore[arg-type]  # nothing is missing where nothing is wrong


def _section(
    model: type[Section],
    name: str,
    entries: Mapping[str, Entry],
    place: Place,
    findings: Findings,
) -> Section | None:
    """A section's record; one that is not given has its defaults, if all of it has some."""
    entry = entries.get(name)
    example = f"for example `{name}: {EXAMPLES[name]}`"
    if entry is None:
        if not any(field.is_required() for field in model.model_fields.values()):
            return model()
        findings.error(place, f"the recipe needs `{name}`", example, code="missing-key")
        return None
    rows: Any = entry.value.data
    if not isinstance(rows, dict):
        if not tainted(entry.value):
            what = f"must be a mapping, not {describe(entry.value)}"
            message = f"`{name}` {'has no value' if is_nothing(entry.value) else what}"
            findings.error(entry.value.place, message, example, code=code_of(entry.value))
        return None
    meant = unknown_keys(rows, model, f"`{name}` has no attribute", findings)
    return validate(model, rows, entry.key, f"`{name}`", findings, excused=meant)


def _check_kind(entries: Mapping[str, Entry], findings: Findings) -> None:
    """Note attributes that only another kind of data has."""
    data = entries.get("data")
    if data is None or data.value.data not in get_args(Kind):
        return
    ours = data.value.data
    parts: list[tuple[type[Record], object]] = [(Header, entries)]
    parts += [(SECTIONS[name], entries[name].value.data) for name in SECTIONS if name in entries]
    for model, rows in parts:
        for key, entry in rows.items() if isinstance(rows, dict) else ():
            kind = only_for(model.model_fields[key]) if key in model.model_fields else None
            if kind not in (None, ours):
                message = f"`{key}` is for `data: {kind}`; this recipe's data is `{ours}`"
                findings.error(
                    entry.key,
                    message,
                    notes=[Note(data.key, f"`data` is `{ours}`")],
                    code="inconsistent-values",
                )


def _check_rate(entry: Entry, rate: LearningRate, findings: Findings) -> None:
    rows: Any = entry.value.data
    for key in ("at", "patience"):
        if rate.schedule is not None and getattr(rate, key) is not None:
            findings.error(
                rows[key].key,
                f"`{key}` and `schedule: {rate.schedule}` cannot be used together: the rate is "
                "either divided or falls along a cosine",
                f"{_setting(f'learning_rate.{key}=null')} removes `{key}`"
                if _is_set(rows)
                else None,
                [Note(rows["schedule"].key, "`schedule` is given here")],
                code="conflicting-keys",
            )
    if rate.schedule is None and rate.final is not None:
        findings.error(
            rows["final"].key,
            "`final` is for `schedule: cosine`; this rate is divided instead",
            code="conflicting-keys",
        )
    if rate.final is not None and rate.final > rate.initial:
        findings.error(
            rows["final"].value.place,
            f"the rate must not rise: `final` is {rate.final:g}, `initial` {rate.initial:g}",
            code="inconsistent-values",
        )
    if rate.schedule is None and rate.at is not None and rate.patience is not None:
        findings.error(
            rows["patience"].key,
            "`at` and `patience` cannot be used together: the rate is divided either at given "
            "iterations or when the test error stops falling",
            f"{_setting('learning_rate.at=null')} removes `at`" if _is_set(rows) else None,
            [Note(rows["at"].key, "`at` is given here")],
            code="conflicting-keys",
        )
    if rate.at is not None and list(rate.at) != sorted(set(rate.at)):
        findings.error(
            rows["at"].value.place, "the iterations of `at` must ascend", code="inconsistent-values"
        )


def _check_warm_up(
    entries: Mapping[str, Entry], header: Header, rate: LearningRate, findings: Findings
) -> None:
    """Note a warm-up that has no end, or that is one of two."""
    rising = rate.warm_up_iterations
    if rising is None:
        return
    rows: Any = entries["learning_rate"].value.data
    if rising >= header.iterations:
        findings.error(
            rows["warm_up_iterations"].value.place,
            f"the warm-up ({rising:,} iterations) must be shorter than the training "
            f"({header.iterations:,})",
            "set `learning_rate.warm_up_iterations` together with `iterations`",
            [Note(entries["iterations"].key, "`iterations` is given here")],
            code="inconsistent-values",
        )
    elif rate.at and rising > rate.at[0]:
        findings.error(
            rows["warm_up_iterations"].value.place,
            f"the warm-up ({rising:,} iterations) must end before the rate is divided after "
            f"{rate.at[0]:,}",
            code="inconsistent-values",
        )
    if "warm_up" in entries:
        findings.error(
            rows["warm_up_iterations"].key,
            "`warm_up_iterations` and `warm_up` cannot be used together: a recipe has one warm-up",
            f"{_setting('warm_up=null')} removes `warm_up`"
            if _is_set({**rows, "warm_up": entries["warm_up"]})
            else "`warm_up: null` removes one that is inherited",
            [Note(entries["warm_up"].key, "`warm_up` is given here")],
            code="conflicting-keys",
        )


def _is_set(rows: Mapping[str, Entry]) -> bool:
    """Whether one of the keys is given by the caller, not by the recipe."""
    return any(entry.key.source.kind == KIND for entry in rows.values())


def _setting(text: str) -> str:
    """A setting as the caller gives it."""
    return said(f"--set {text}", f'settings=["{text}"]')


def _check_resize(entry: Entry, sides: tuple[int, int], findings: Findings) -> None:
    rows: Any = entry.value.data
    if sides[0] > sides[1]:
        place = rows["resize"].value.place
        findings.error(
            place,
            f"the sizes of `resize` must ascend: [{sides[1]}, {sides[0]}]",
            code="inconsistent-values",
        )
