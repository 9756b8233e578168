"""The language as JSON Schema, made from the models, for editors that complete and check specs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from archc.blocks import STANDARD, Library
from archc.blocks.layers import LAYERS
from archc.spec.models import Header

Schema = dict[str, Any]


def json_schema(library: Library = STANDARD) -> Schema:
    """The JSON Schema (draft 7, which editors know best) of a spec as it is written in a file."""
    stages = {name: fields_of(model) for name, model in library.items()}
    attributes = _union(stages)
    layers = {"type": "array", "items": {"$ref": "#/definitions/layer"}}
    header = fields_of(Header)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archc spec",
        "description": "A convolutional network of the ResNet and VGG family.",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "extends": {
                "type": "string",
                "description": "A spec to start from: a path relative to this file, or the name "
                "of a shipped spec, such as imagenet/resnet50.",
            },
            **header,
            "stem": {**layers, "description": "The layers before the first stage."},
            "defaults": mapping_of(attributes, "Attributes that every stage starts from."),
            "stages": {
                "type": "array",
                "description": "Runs of equal blocks, in order.",
                "items": {"$ref": "#/definitions/stage"},
            },
            "head": {**layers, "description": "The layers after the last stage."},
            "with": mapping_of(
                {name: _per_stage(field) for name, field in attributes.items()},
                "Stage attributes that override those of the stages: one value for all of them, "
                "or a list with one per stage, where null leaves a stage unchanged.",
            ),
        },
        "definitions": {
            "layer": {"anyOf": _layers()},
            "stage": {
                "anyOf": [
                    mapping_of(
                        {**fields, "block": {**fields["block"], "const": name}},
                        library[name].__doc__ or "",
                    )
                    for name, fields in stages.items()
                ]
            },
        },
    }


def _layers() -> list[Schema]:
    """The forms of a layer: a bare word, or one key with its value."""
    bare = [
        name
        for name, model in LAYERS.items()
        if not any(field.is_required() for field in model.model_fields.values())
    ]
    forms: list[Schema] = [{"enum": bare}]
    for name, model in LAYERS.items():
        fields = fields_of(model)
        if not fields:
            continue
        value = fields[model.scalar] if model.scalar else mapping_of(fields, model.__doc__ or "")
        required = [key for key, field in model.model_fields.items() if field.is_required()]
        if required and not model.scalar:
            value["required"] = required
        form = mapping_of({name: value}, model.__doc__ or "")
        forms.append({**form, "required": [name]})
    return forms


def mapping_of(properties: Schema, description: str) -> Schema:
    """A mapping of some keys and no others."""
    return {
        "type": "object",
        "description": " ".join(description.split()),
        "additionalProperties": False,
        "properties": properties,
    }


def _union(stages: dict[str, Schema]) -> Schema:
    """Every stage attribute; where block types differ on one, whatever one of them takes."""
    union: Schema = {}
    for fields in stages.values():
        for name, field in fields.items():
            if name not in union:
                union[name] = field
            elif union[name] != field:
                union[name] = {"anyOf": [union[name], field]}
    union["block"] = {**union["block"], "enum": list(stages)}
    return union


def _per_stage(field: Schema) -> Schema:
    one = {key: value for key, value in field.items() if key not in ("description", "default")}
    return {
        "description": field.get("description", ""),
        "anyOf": [one, {"type": "array", "items": {"anyOf": [one, {"type": "null"}]}}],
    }


def fields_of(model: type[BaseModel]) -> Schema:
    """A model's fields, in the dialect that editors know and without what they do not need."""
    fields: Schema = model.model_json_schema().get("properties", {})
    return {name: _plain(field) for name, field in fields.items()}


def _plain(schema: Schema) -> Schema:
    """Without generated titles and without null, which nothing in a spec may be."""
    schema = {key: _whole(value) for key, value in schema.items() if key != "title"}
    if schema.get("default", "") is None:
        del schema["default"]
    options = [_plain(o) for o in schema.pop("anyOf", []) if o.get("type") != "null"]
    if len(options) == 1:
        schema = {**options[0], **schema}
    elif options:
        schema["anyOf"] = options
    if "prefixItems" in schema:
        schema["items"] = schema.pop("prefixItems")
    return schema


def _whole(value: Any) -> Any:
    """1 for 1.0: pydantic's versions differ on it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
