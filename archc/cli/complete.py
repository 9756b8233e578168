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

    return [f"{name}=" for name in _of_spec(ctx) or STANDARD.attributes]


def _of_spec(ctx: click.Context) -> list[str]:
    """The attributes of the block types in the spec that stands on the command line."""
    from archc.spec import SpecError, load_spec

    # Where the option has no value yet, click has not told arguments from each other.
    names = [ctx.params.get(key) for key in ("spec", "a", "subject")]
    given = [*names, *(ctx.params.get("specs") or ()), *ctx.args]
    found: dict[str, None] = {}
    for name in given:
        if not name or name == "-" or (os.path.exists(name) and not os.path.isfile(name)):
            continue  # what is not a regular file would have to be waited for
        with suppress(SpecError, OSError):
            stages = load_spec(name, (), None).stages
            found |= dict.fromkeys(key for one in stages for key in type(one.model).model_fields)
    return list(found)


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


def _settings(_ctx: click.Context) -> list[str]:
    from archc.recipes import setting_names

    return [f"{name}=" for name in setting_names()]


ATTRIBUTES = offering(_attributes)
"""Stage attributes, for ``--with`` and ``--vary``."""
DEVICES = offering(_devices)
"""Devices, for ``--roofline``."""
COLUMNS = offering(_columns)
"""Columns of a sweep, for ``--sort``."""
BOUNDS = offering(_bounds)
"""Columns of a sweep, for ``--min`` and ``--max``."""
SETTINGS = offering(_settings)
"""Keys of recipes, for ``--set``."""
