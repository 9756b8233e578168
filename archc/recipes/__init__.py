"""Recipes: how a network is trained, as YAML that is checked and complained of as specs are."""

from archc.recipes.files import open_recipe, recipe_names
from archc.recipes.models import KEYS, Recipe
from archc.recipes.resolve import is_recipe, load_recipe, resolve_recipe, setting_names
from archc.recipes.routing import check_settings, route
from archc.recipes.schema import recipe_schema

__all__ = [
    "KEYS",
    "Recipe",
    "check_settings",
    "is_recipe",
    "load_recipe",
    "open_recipe",
    "recipe_names",
    "recipe_schema",
    "resolve_recipe",
    "route",
    "setting_names",
]
