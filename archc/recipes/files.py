"""From what a user calls a recipe to its text: a path or a shipped name."""

from __future__ import annotations

import os
from pathlib import Path

from archc.spec.diagnostics import Place, Source, closest, fail
from archc.spec.files import RECIPES, SUFFIX, open_text, shipped_folder
from archc.text import listing, quote

KIND = "recipe"


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in (shipped_folder() / RECIPES).glob(f"*{SUFFIX}"))


def open_recipe(recipe: str) -> Source:
    """Read the recipe that a user names: an existing path, or a shipped name.

    Raises `SpecError` if there is none, or if it cannot be a recipe.
    """
    return _open(recipe, recipe, Source("--recipe", recipe).start(), None)


def open_parent_recipe(recipe: str, place: Place) -> Source:
    """Read the recipe that ``extends`` names at a place: relative to its file, or shipped."""
    folder = os.path.dirname(place.source.path or "")
    return _open(recipe, os.path.normpath(os.path.join(folder, recipe)), place, place)


def _open(recipe: str, path: str, place: Place, via: Place | None) -> Source:
    if os.path.lexists(path) and not os.path.isdir(path):
        return open_text(path, KIND, via=via, written=recipe)
    shipped = _shipped(recipe)
    if shipped is not None:
        return open_text(str(shipped), KIND, name=recipe, via=via)
    if os.path.isdir(path):
        return open_text(path, KIND, via=via, written=recipe)
    names = recipe_names()
    hint = closest(Path(recipe).stem, names) or f"the shipped ones are {listing(names, 'and')}"
    return fail(place, f"there is no file or shipped recipe {quote(recipe)}", hint)


def _shipped(recipe: str) -> Path | None:
    return shipped_folder() / RECIPES / f"{recipe}{SUFFIX}" if recipe in recipe_names() else None
