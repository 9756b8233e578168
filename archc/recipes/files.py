"""From what a user calls a recipe to its text: a path or a shipped name."""

from __future__ import annotations

import os
from pathlib import Path

from archc.shipped import RECIPES, SUFFIX, shipped_folder
from archc.source.caller import said
from archc.source.diagnostics import Place, Source, fail
from archc.source.files import open_text
from archc.source.suggest import closest
from archc.spec.files import ALL_KEYS
from archc.text import listing, quote

KIND = "recipe"


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in (shipped_folder() / RECIPES).glob(f"*{SUFFIX}"))


def open_recipe(recipe: str) -> Source:
    """Read the recipe that a user names: an existing path, or a shipped name.

    Raises `SpecError` if there is none, or if it cannot be a recipe.
    """
    return _open(recipe, recipe, Source(said("--recipe", "recipe"), recipe).start(), None)


def open_parent_recipe(recipe: str, place: Place) -> Source:
    """Read the recipe that ``extends`` names at a place: relative to its file, or shipped."""
    folder = os.path.dirname(place.source.path or "")
    return _open(recipe, os.path.normpath(os.path.join(folder, recipe)), place, place)


def _open(recipe: str, path: str, place: Place, via: Place | None) -> Source:
    if os.path.lexists(path) and not os.path.isdir(path):
        return _read(path, via=via, written=recipe)
    shipped = _shipped(recipe)
    if shipped is not None:
        return _read(str(shipped), name=recipe, via=via)
    if os.path.isdir(path):
        return _read(path, via=via, written=recipe)
    names = recipe_names()
    hint = closest(Path(recipe).stem, names) or f"the shipped ones are {listing(names, 'and')}"
    return fail(
        place, f"there is no file or shipped recipe {quote(recipe)}", hint, code="file-not-found"
    )


def _read(
    path: str, *, via: Place | None, name: str | None = None, written: str | None = None
) -> Source:
    keys, all_keys = ("recipe", "extends"), ALL_KEYS
    return open_text(path, KIND, name=name, via=via, written=written, keys=keys, all_keys=all_keys)


def _shipped(recipe: str) -> Path | None:
    return shipped_folder() / RECIPES / f"{recipe}{SUFFIX}" if recipe in recipe_names() else None
