"""The language as JSON Schema, made from the models, for editors that complete and check specs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from archc.blocks import STANDARD, Definition, Library
from archc.blocks.layers import LAYERS, Layer, Start
from archc.blocks.reading import KINDS
from archc.spec.models import Header

Schema = dict[str, Any]


def json_schema(library: Library = STANDARD) -> Schema:
    """The JSON Schema (draft 7, which editors know best) of a spec as it is written in a file.

    It knows the blocks of a library. Where a spec has blocks of its own, or may have them from
    other files, names that it does not know are left to archc.
    """
    stages = {name: _fields_of_block(one.stage) for name, one in library.definitions.items()}
    attributes = _union(stages)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archc spec",
        "description": "A convolutional network, block by block.",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": _properties(),
        "if": {"anyOf": [{"required": [key]} for key in ("blocks", "use", "extends", "variables")]},
        "then": {"properties": _parts("any_", attributes, is_open=True)},
        "else": {"properties": _parts("", attributes, is_open=False)},
        "definitions": {
            **_SHARED,
            **_rows(library),
            "stage": {"anyOf": [_stage(name, fields, library) for name, fields in stages.items()]},
            "any_stage": {
                "anyOf": [
                    {"$ref": "#/definitions/stage"},
                    {"type": "object", "properties": {"block": {"not": {"enum": list(stages)}}}},
                ]
            },
            "block": _block(),
            "attribute": _attribute(),
            "rule": {
                "anyOf": [{"const": "default"}, mapping_of(fields_of(Start), Start.__doc__ or "")]
            },
        },
    }


def _properties() -> Schema:
    """What may be written at the top; what stages and layers hold depends on their blocks."""
    words = {"type": "object", "minProperties": 1, "maxProperties": 1}
    rule = _reference("rule")
    bias = {"anyOf": [{"type": "number"}, {"const": "default"}]}
    parts = {
        "stem": "The layers before the first stage.",
        "head": "The layers after the last stage.",
        "stages": "Runs of equal blocks, in order.",
    }
    return {
        "extends": {
            "type": "string",
            "description": "A spec to start from: a path relative to this file, or the name "
            "of a shipped spec, such as imagenet/resnet50.",
        },
        **_header(words),
        "init": mapping_of(
            {"conv": rule, "linear": rule, "bias": bias},
            "What the weights of convolutions and of linear layers are drawn from, and the "
            "number that biases start as.",
        ),
        "names": {
            "type": "string",
            "description": "What the modules of blocks are called, with expressions of stage, "
            "block and number in braces: features.{stage}.{block}.",
        },
        "variables": {
            "type": "object",
            "description": "Numbers and words that expressions may read, by name.",
            "additionalProperties": {"type": ["number", "boolean", "string"]},
        },
        "use": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Files of blocks, by paths relative to this one.",
        },
        "blocks": {
            "type": "object",
            "description": "Block types of the spec's own, by name.",
            "additionalProperties": {"$ref": "#/definitions/block"},
        },
        "stem": {"type": "array", "description": parts["stem"]},
        "defaults": {
            "type": "object",
            "description": "Attributes that every stage starts from.",
        },
        "stages": {"type": "array", "description": parts["stages"]},
        "head": {"type": "array", "description": parts["head"]},
        "with": {
            "type": "object",
            "description": "Stage attributes that override those of the stages: one value for "
            "all of them, or a list with one per stage, where null leaves a stage unchanged; "
            "and values for variables.",
        },
    }


def _header(words: Schema) -> Schema:
    header = fields_of(Header)
    norm = header["norm"]
    return {
        **header,
        "norm": {**_without(norm, "enum", "type"), "anyOf": [{"enum": norm["enum"]}, words]},
    }


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: one for key, one in schema.items() if key not in keys}


def _parts(prefix: str, attributes: Schema, *, is_open: bool) -> Schema:
    """What the parts of a spec may hold, with blocks that are not known here or without."""
    layer = {"items": {"$ref": f"#/definitions/{prefix}layer"}}
    overrides = {name: _per_stage(field) for name, field in attributes.items()}
    return {
        "stem": layer,
        "head": layer,
        "stages": {"items": {"$ref": f"#/definitions/{prefix}stage"}},
        **({} if is_open else {"defaults": _closed(attributes), "with": _closed(overrides)}),
    }


def _closed(properties: Schema) -> Schema:
    return {"properties": properties, "additionalProperties": False}


def _fields_of_block(model: type[BaseModel]) -> Schema:
    """A stage's fields, each of which may be computed from variables."""
    return {
        name: field if name == "block" else _or_expression(field)
        for name, field in fields_of(model).items()
    }


def _stage(name: str, fields: Schema, library: Library) -> Schema:
    own = {**fields, "block": {**fields["block"], "const": name}, "name": _reference("name")}
    return mapping_of(own, library.definitions[name].description)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


_EXPRESSION = _reference("expression")
_SHARED: Schema = {
    "expression": {"type": "string", "pattern": r"[A-Za-z(]"},  # "3" is none
    "name": {"type": ["string", "integer"], "description": "What its module is called."},
    "if": {
        "type": ["string", "boolean"],
        "description": "A condition; where it is false, the layer is not there.",
    },
    "repeat": {
        "anyOf": [{"type": "integer", "minimum": 0}, _EXPRESSION],
        "description": "How often it is repeated.",
    },
}
"""What many parts of the schema refer to."""


def _or_expression(field: Schema) -> Schema:
    """A field of numbers or truth values, or an expression for it."""
    kinds = {one.get("type") for one in field.get("anyOf", [field])}
    if not kinds & {"integer", "number", "boolean", "array"}:
        return field
    about: Schema = {key: field[key] for key in ("description", "default") if key in field}
    return {**about, "anyOf": [*field.get("anyOf", [_without(field, *about)]), _EXPRESSION]}


def _rows(library: Library) -> Schema:
    """The layers of a row: a bare word, or one key with its value and what may stand beside it."""
    bare = [
        name
        for name, model in LAYERS.items()
        if not any(field.is_required() for field in model.model_fields.values())
    ]
    free = [
        name
        for name, one in library.definitions.items()
        if not any(attribute.is_required for attribute in one.attributes.values())
    ]
    own = [name for name in free if name not in LAYERS]
    forms = [_layer(name, model) for name, model in LAYERS.items()]
    forms += [_used(one) for name, one in library.definitions.items() if name not in LAYERS]
    strict, loose = (_others(prefix) for prefix in ("", "any_"))
    known = [*LAYERS, *library.definitions, *strict]
    stranger = {
        "type": "object",
        "not": {"anyOf": [{"required": [name]} for name in known]},
    }
    return {
        "layer": {"anyOf": [{"enum": [*bare, *own, "input"]}, *forms, *_forms(strict)]},
        "any_layer": {"anyOf": [{"type": "string"}, *forms, *_forms(loose), stranger]},
    }


def _layer(name: str, model: type[Layer]) -> Schema:
    fields = {key: _or_expression(field) for key, field in fields_of(model).items()}
    mapping = mapping_of(fields, model.__doc__ or "")
    required = [key for key, field in model.model_fields.items() if field.is_required()]
    if required:
        mapping["required"] = required
    value = mapping
    if model.scalar:
        plain = fields[model.scalar]
        value = {"anyOf": [plain, mapping]} if len(fields) > 1 else plain
    return _form(name, value, model.__doc__ or "")


def _used(block: Definition) -> Schema:
    """A block of the library, used as a layer."""
    fields = {key: _or_expression(field) for key, field in fields_of(block.fields).items()}
    mapping = mapping_of(fields, block.description)
    required = [name for name, one in block.attributes.items() if one.is_required]
    if required:
        mapping["required"] = required
    return _form(block.name, mapping, block.description)


def _others(prefix: str) -> Schema:
    """What a row may hold besides layers and blocks."""
    row = {"type": "array", "items": {"$ref": f"#/definitions/{prefix}layer"}}
    branch = {"anyOf": [row, {"type": "string"}, {"type": "object"}]}
    merge = {"anyOf": [{"type": "string"}, {"type": "array", "items": branch}, {"type": "object"}]}
    return {
        "layers": {**row, "description": "A group: with a name a module of its own."},
        "add": {**merge, "description": "The sum of branches."},
        "concat": {**merge, "description": "The channels of branches in a row."},
        "multiply": {**merge, "description": "The product of branches."},
        "label": {"type": "string", "description": "Gives the current value a name."},
        "side": {"anyOf": [row, {"type": "object"}], "description": "A side head."},
    }


def _forms(others: Schema) -> list[Schema]:
    return [_form(word, value, value["description"]) for word, value in others.items()]


def _form(word: str, value: Schema, description: str) -> Schema:
    beside = {key: _reference(key) for key in ("name", "if", "repeat")}
    if word == "side":
        beside["weight"] = {"type": "number", "description": "What its loss counts."}
    return {**mapping_of({word: value, **beside}, description), "required": [word]}


def _block() -> Schema:
    """The definition of a block."""
    row = {"type": "array", "items": {"$ref": "#/definitions/any_layer"}}
    rule = mapping_of(
        {
            "that": {"type": ["string", "boolean"], "description": "What must hold."},
            "message": {"type": "string", "description": "The message where it does not."},
            "hint": {"type": "string", "description": "What to do about it."},
            "at": {"description": "The attributes to blame: the first that is given."},
        },
        "A rule of the block.",
    )
    flag = {"type": "boolean", "default": False}
    made = mapping_of(
        {
            "description": {"type": "string", "description": "One sentence about the block."},
            "attributes": {
                "type": "object",
                "description": "What may be said of the block, by name: a type or a default.",
                "additionalProperties": {"$ref": "#/definitions/attribute"},
            },
            "let": {
                "type": "object",
                "description": "Values with names, in order, computed where they are read.",
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
            "check": {"type": "array", "items": rule, "description": "Rules of the block's own."},
            "layers": {**row, "description": "What the block is made of."},
            "end": {**row, "description": "What comes after the last block of a stage."},
            "numbered": {**flag, "description": "Whether its modules are numbered from 0."},
            "inline": {**flag, "description": "Whether its layers belong to the module around it."},
            "class": {
                "type": ["string", "object"],
                "description": "The name of the emitted class, or several with conditions.",
            },
            "norm": {
                **_without(fields_of(Header)["norm"], "default"),
                "description": "Its own norm.",
            },
            "activation": {
                **_without(fields_of(Header)["activation"], "default"),
                "description": "Its own activation.",
            },
            "replaces": {
                **flag,
                "description": "Whether it takes the place of another of its name.",
            },
        },
        "A block type.",
    )
    return {**made, "required": ["layers"]}


def _attribute() -> Schema:
    """An attribute of a block."""
    long = mapping_of(
        {
            "type": {"enum": list(KINDS), "description": "What it is."},
            "default": {"description": "Its value where none is given."},
            "min": {"type": "number", "description": "The least that it may be."},
            "max": {"type": "number", "description": "The most that it may be."},
            "one_of": {"type": "array", "items": {"type": "string"}, "description": "Its words."},
            "or": {"type": "array", "items": {"type": "string"}, "description": "Words besides."},
            "optional": {"type": "boolean", "description": "Whether it may be left out."},
            "description": {"type": "string", "description": "One sentence about it."},
        },
        "An attribute in its long form.",
    )
    return {"anyOf": [{"type": ["string", "number", "boolean", "array"]}, long]}


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
    return {
        name: {"$ref": "#/definitions/rule", "description": field.get("description", "")}
        if name == "init"
        else _plain(field)
        for name, field in fields.items()
    }


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
