"""Which file a `--set` is of, where a command takes a spec and a recipe.

A key that recipes have is the recipe's, any other the spec's; ``recipe.KEY`` and ``spec.KEY`` say
so themselves. No key of recipes is one of the language of specs, or an attribute that archc ships.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archc.recipes.resolve import PREFIX, setting_names
from archc.source.caller import said
from archc.source.diagnostics import Findings
from archc.source.settings import Setting, parse_setting
from archc.spec import Spec
from archc.spec.changes import PREFIX as SPEC
from archc.spec.overrides import Change, Override, Set, written
from archc.text import quote_name


def route(changes: Iterable[Change]) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """What options say of a spec, in order, and the settings of a recipe."""
    recipes = tuple(dict.fromkeys(name.partition(".")[0] for name in setting_names()))
    of_spec: list[Change] = []
    settings: list[str] = []
    for change in changes:
        if not isinstance(change, Set):
            of_spec.append(change)
            continue
        text = _text(change.given)
        key = text.partition("=")[0].strip()
        if key.startswith(SPEC):
            of_spec.append(change)
        elif key.startswith(PREFIX) or key.partition(".")[0] in recipes or "." in key:
            settings.append(text)
        else:
            of_spec.append(Set(change.given, recipes))
    return tuple(of_spec), tuple(settings)


def _text(given: Override) -> str:
    """A setting as the command line would have it; a list in brackets, however many it holds."""
    if isinstance(given, str) or not isinstance(given[1], (list, tuple)):
        return written(given)
    return f"{given[0]}=[{written(given).partition('=')[2]}]"


def check_settings(settings: Sequence[str], spec: Spec) -> None:
    """Raise `SpecError` where a setting that names no file may be meant for the spec: one that has
    a variable or a stage attribute of this name."""
    findings = Findings()
    attributes = {name for one in spec.stages for name in type(one.model).model_fields}
    for text in settings:
        found = parse_setting(text, said("--set", "settings"), "", Findings())
        if found is None or found.key.startswith(PREFIX):
            continue
        what = "a variable" if found.key in spec.variables else "a stage attribute"
        if found.key in spec.variables or found.key in attributes:
            _complain(found, what, spec, findings)
    findings.check()


def _complain(setting: Setting, what: str, spec: Spec, findings: Findings) -> None:
    key, name = setting.key, quote_name(spec.header.name)
    message = f"`{key}` is a key of the recipe and {what} of {name}"
    hint = f"write {PREFIX}{key}={setting.text} or {SPEC}{key}={setting.text}"
    findings.error(setting.place, message, hint, code="conflicting-keys")
