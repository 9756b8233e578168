"""The language of recipes as JSON Schema, for editors."""

from __future__ import annotations

from typing import Any

from archc.recipes.models import SECTIONS, Header, only_for
from archc.source.record import Record
from archc.spec.schema import fields_of, mapping_of


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7, which editors know best) of a recipe as it is written in a file."""
    sections = {
        name: _or_null(mapping_of(_fields(model), model.__doc__ or ""))
        for name, model in SECTIONS.items()
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archc recipe",
        "description": "How a network is trained.",
        "type": "object",
        "additionalProperties": False,
        "required": ["recipe"],
        "properties": {
            "extends": {
                "type": "string",
                "description": "A recipe to start from: a path relative to this file, or the "
                "name of a shipped recipe, such as cifar10.",
            },
            **_fields(Header),
            **sections,
        },
    }


def _or_null(section: dict[str, Any]) -> dict[str, Any]:
    """A section; null removes an inherited one."""
    return {**section, "type": [section["type"], "null"]}


def _fields(model: type[Record]) -> dict[str, Any]:
    """A model's fields; the descriptions say for which kind of data they are, if for one."""
    fields = fields_of(model)
    for name, field in model.model_fields.items():
        if kind := only_for(field):
            fields[name]["description"] += f" For {kind}."
    return fields
