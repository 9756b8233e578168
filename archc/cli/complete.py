"""What the shell offers behind options whose values archc knows, and behind arguments.

Nothing is imported before a shell asks, and nothing here raises: a spec that cannot be read leaves
what can be offered without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def offering(words: Callable[[click.Context], Iterable[str]]) -> Complete:
    """A ``shell_complete`` that offers those of the words that begin as what is typed does."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in words(ctx) if word.startswith(incomplete)]

    return complete


def _attributes(ctx: click.Context) -> list[str]:
    """``depth=`` and so on: the attributes that the given spec's stages have, or all there are."""
    from archc.blocks import STANDARD

    return [f"{name}=" for name in _of_spec(ctx)[1] or STANDARD.attributes]


def _varied(ctx: click.Context) -> list[str]:
    """What a sweep varies: keys of the network, variables, and attributes."""
    from archc.sweeps.axes import VARIED

    own = (f"{name}=" for name in (*VARIED, *_of_spec(ctx)[0]))
    return list(dict.fromkeys([*own, *_attributes(ctx)]))


def _keys(ctx: click.Context) -> list[str]:
    """What `--set` takes: keys of the network, variables, and attributes."""
    from archc.spec.models import SETTABLE

    own = (f"{name}=" for name in (*SETTABLE, *_of_spec(ctx)[0]))
    return list(dict.fromkeys([*own, *_attributes(ctx)]))


def _of_spec(ctx: click.Context) -> tuple[list[str], list[str]]:
    """The variables of the spec that stands on the command line, and the attributes of the block
    types in it."""
    from archc.spec import SpecError, load_spec

    # Where the option has no value yet, click has not told arguments from each other.
    names = [ctx.params.get(key) for key in ("spec", "a", "subject")]
    given = [*names, *(ctx.params.get("specs") or ()), *ctx.args]
    variables: dict[str, None] = {}
    found: dict[str, None] = {}
    for name in given:
        if not name or name == "-" or (os.path.exists(name) and not os.path.isfile(name)):
            continue  # what is not a regular file would have to be waited for
        with suppress(SpecError, OSError):
            spec = load_spec(name)
            variables |= dict.fromkeys(spec.variables)
            models = [type(one.model) for one in spec.stages]
            found |= dict.fromkeys(key for one in models for key in one.model_fields)
    return list(variables), list(found)


def _devices(ctx: click.Context) -> list[str]:
    from archc.hardware import device_names
    from archc.spec import SpecError

    with suppress(SpecError, OSError):
        return device_names(ctx.params.get("devices"))
    return device_names()


def _columns(_ctx: click.Context) -> list[str]:
    from archc.sweeps.plan import METRICS

    return [*METRICS, *(f"-{name}" for name in METRICS)]


def _bounds(_ctx: click.Context) -> list[str]:
    from archc.sweeps.plan import METRICS

    return [f"{name}=" for name in METRICS]


def _settings(ctx: click.Context) -> list[str]:
    from archc.recipes import setting_names

    return [*(f"{name}=" for name in setting_names()), *_keys(ctx)]


def _codes(_ctx: click.Context) -> list[str]:
    from archc.source import codes

    return list(codes.CODES)


ATTRIBUTES = offering(_attributes)
"""Stage attributes, for ``--with``."""
VARIED = offering(_varied)
"""Keys of the network, variables and stage attributes, for ``--vary``."""
KEYS = offering(_keys)
"""Keys of the network, variables and stage attributes, for ``--set``."""
DEVICES = offering(_devices)
"""Devices, for ``--roofline``."""
COLUMNS = offering(_columns)
"""Columns of a sweep, for ``--sort``."""
BOUNDS = offering(_bounds)
"""Columns of a sweep, for ``--min`` and ``--max``."""
CODES = offering(_codes)
"""Codes of diagnostics, for ``archc explain``."""
SETTINGS = offering(_settings)
"""Keys of recipes, then `KEYS`, for ``--set`` where there is a recipe."""
