"""The language as JSON Schema, made from the models, for editors that complete and check specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archc.blocks import STANDARD, Definition, Library
from archc.blocks.layers import LAYERS, Layer, Start
from archc.blocks.reading import KINDS
from archc.choices import BYTES, OPTIMIZERS
from archc.dataclassing import dataclass
from archc.source.record import Record
from archc.spec.expect import NUMBER, UNIT
from archc.spec.models import Header, Spec

Schema = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """Where a row or a stage stands: what its parts are called in the schema, and what may be
    written there besides what the schema lists.

    ``names`` are those that expressions may read, None where they cannot be listed; ``words`` says
    whether there may be layers and blocks that are not known here.
    """

    prefix: str
    names: tuple[str, ...] | None
    words: bool = False

    @property
    def expression(self) -> Schema:
        """The schema of an expression."""
        return _reference(f"{self.prefix}expression")

    def reference(self, name: str) -> Schema:
        """The part of a name."""
        return _reference(f"{self.prefix}{name}")


_HEADER_NAMES = ("classes", "norm", "pre_activation", "in", "channels", "total", "stages")
_CLOSED = Context("", _HEADER_NAMES)
_OPEN = Context("any_", None, words=True)


def json_schema(library: Library = STANDARD, of: Spec | None = None) -> Schema:
    """The JSON Schema (draft 7, which editors know best) of a spec as it is written in a file.

    It knows the blocks of a library. Where a spec has blocks of its own, or may have them from
    other files, names that it does not know are left to archc; unless it is the schema ``of`` one
    spec, which knows all of its blocks, those that its stages have by default, and its variables.
    """
    stages = {name: fields_of(one.stage) for name, one in library.definitions.items()}
    contexts = [_CLOSED, _OPEN]
    if of is not None:
        names = (*_HEADER_NAMES, *of.variables)
        contexts = [Context("", names), Context("own_", None), _OPEN]
    definitions: Schema = {**_SHARED, "labelled": _LABELLED}
    for one in contexts:
        definitions |= _rows(library, one)
    for one in contexts:
        if one.prefix != "own_":
            definitions |= _stages(stages, library, one)
    made: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archc spec" if of is None else f"archc spec with the blocks of {of.header.name}",
        "description": "A convolutional network, block by block.",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": _properties(),
    }
    if of is None:
        made |= {
            "if": {
                "anyOf": [{"required": [key]} for key in ("blocks", "use", "extends", "variables")]
            },
            "then": _parts(stages, _OPEN),
            "else": _parts(stages, _CLOSED),
        }
        rows = _OPEN
    else:
        made["allOf"] = [_parts(stages, contexts[0], of)]
        rows = contexts[1]
    return made | {
        "definitions": {
            **definitions,
            "block": _block(rows),
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
            "additionalProperties": _VARIABLE,
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
        "expect": _expect(),
    }


def _expect() -> Schema:
    """What the network is expected to be."""
    amount = f"{NUMBER}({UNIT}|[eE][0-9]{{1,2}})?"
    number = {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {
                "type": "string",
                "pattern": rf"^((<=|>=|==|<|>)?\s*{amount}|{amount}\s*\.\.\s*{amount})$",
            },
        ]
    }
    memory = {
        "batch": {"type": "integer", "minimum": 1, "description": "The number of images."},
        "below": {
            "type": "string",
            "pattern": rf"^{NUMBER} ?([kKmMgGtTpP][iI]?)?[bB]$",
            "description": "The memory to stay below: 24GB (10^9 bytes), 24GiB (2^30).",
        },
        "dtype": {"enum": list(BYTES), "description": "The dtype; by default float32."},
    }
    optimizer = {
        "enum": list(OPTIMIZERS),
        "description": "The optimizer of the training; by default momentum.",
    }
    made: Schema = {
        "params": {**number, "description": "The number of parameters."},
        "multiply_adds": {**number, "description": "The multiply-adds for one image."},
        "layers": {**number, "description": "The number of layers."},
        "inference_memory": mapping_of(memory, "What the tensors of a forward take."),
        "training_memory": mapping_of(
            {**memory, "optimizer": optimizer}, "What the tensors of a training step take."
        ),
    }
    for name in ("inference_memory", "training_memory"):
        made[name]["required"] = ["batch", "below"]
    return mapping_of(
        made,
        "What the network must be: numbers such as 25_557_032, 25.6M (rounded), <= 4.1G or "
        "25M..26M, and memory. `archc check` and `archc build` see whether it is.",
    )


def _header(words: Schema) -> Schema:
    header = fields_of(Header)
    norm = header["norm"]
    return {
        **header,
        "norm": {**_without(norm, "enum", "type"), "anyOf": [{"enum": norm["enum"]}, words]},
    }


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: one for key, one in schema.items() if key not in keys}


def _parts(stages: Mapping[str, Schema], context: Context, of: Spec | None = None) -> Schema:
    """What the parts of a spec may hold."""
    row = _row(context)
    made: Schema = {"properties": {"stem": row, "head": row}, "allOf": _rules(stages, context, of)}
    if not context.words:
        attributes = _union(stages, context)
        variables = dict.fromkeys(() if of is None else of.variables, _VARIABLE)
        overlay = {**{name: _per_stage(one) for name, one in attributes.items()}, **variables}
        made["properties"] |= {"defaults": _closed(attributes), "with": _closed(overlay)}
    return made


def _rules(stages: Mapping[str, Schema], context: Context, of: Spec | None) -> list[Schema]:
    """What stages are by the block type that they name, or else `defaults`, or else what the spec
    extends. Where `with` sets the type, it may be any."""
    overlaid: Schema = {"required": ["with"], "properties": {"with": {"required": ["block"]}}}
    rules: list[Schema] = [
        {
            "if": overlaid,
            "then": _every_stage(context.reference("some_stage")),
            "else": _every_stage(context.reference("stage")),
        }
    ]
    for name in stages:
        default = {"required": ["defaults"], "properties": {"defaults": _is_block(name)}}
        rules.append(_by_default(default, overlaid, context.reference(f"{name}_stage")))
    inherited = None if of is None else of.default_block
    if inherited in stages:
        given: Schema = {
            "required": ["defaults"],
            "properties": {"defaults": {"required": ["block"]}},
        }
        reference = context.reference(f"{inherited}_stage")
        rules.append(_by_default({"not": given}, overlaid, reference))
    return rules


def _every_stage(schema: Schema) -> Schema:
    return {"properties": {"stages": {"items": schema}}}


def _is_block(name: str) -> Schema:
    return {"required": ["block"], "properties": {"block": {"const": name}}}


def _by_default(condition: Schema, overlaid: Schema, stage: Schema) -> Schema:
    """Stages that name no block type, where a condition holds."""
    without = {"if": {"not": {"required": ["block"]}}, "then": stage}
    return {"if": {"allOf": [condition, {"not": overlaid}]}, "then": _every_stage(without)}


def _row(context: Context) -> Schema:
    """A row that reads no values but its own. Where it gives one a name, that may stand as a layer
    in it, which a schema cannot follow."""
    strict = {"type": "array", "items": context.reference("layer")}
    if context.words:
        return strict
    loose = {"items": _OPEN.reference("layer")}
    return {"type": "array", "if": _reference("labelled"), "then": loose, "else": strict}


def _closed(properties: Schema) -> Schema:
    return {"properties": properties, "additionalProperties": False}


def _stages(stages: Mapping[str, Schema], library: Library, context: Context) -> Schema:
    """A stage of each block type, of any type that it names, and of a type that is not known."""
    found: Schema = {
        f"{context.prefix}{name}_stage": _stage(name, fields, library, context)
        for name, fields in stages.items()
    }
    known = {"enum": list(stages), "description": "The block type that the stage repeats."}
    named: Schema = {
        "type": "object",
        "properties": {"block": {"anyOf": [known, {"type": "string"}]} if context.words else known},
        "allOf": [
            {"if": _is_block(name), "then": context.reference(f"{name}_stage")} for name in stages
        ],
    }
    some = {"type": "object"}
    if not context.words:
        own = {**_union(stages, context), "name": _reference("name")}
        some = mapping_of(own, "A stage.")
        named |= {"if": {"not": {"required": ["block"]}}, "then": context.reference("some_stage")}
    return {**found, f"{context.prefix}stage": named, f"{context.prefix}some_stage": some}


def _stage(name: str, fields: Schema, library: Library, context: Context) -> Schema:
    own = {key: _or_expression(one, context) for key, one in fields.items() if key != "block"}
    block = {"block": {**fields["block"], "const": name}, "name": _reference("name")}
    return mapping_of({**own, **block}, library.definitions[name].description)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


_NUMBER = r"\s*[-+]?[\d.]+([eE][-+]?\d+)?\s*"  # as a text, it is no expression
_OPERATOR = r"[-+*/%<>=!()]|\b(and|or|not|if|else)\b"
_REPEAT: Schema = {
    "anyOf": [{"type": "integer", "minimum": 0}, _reference("any_expression")],
    "description": "How often it is repeated.",
}
_SHARED: Schema = {
    "name": {"type": ["string", "integer"], "description": "What its module is called."},
    "if": {
        "type": ["string", "boolean"],
        "description": "A condition; where it is false, the layer is not there.",
    },
    "repeat": _REPEAT,
}
"""What many parts of the schema refer to."""
_LABELLED: Schema = {
    "description": "A row with a label somewhere in it.",
    "anyOf": [
        {"type": "array", "contains": _reference("labelled")},
        {"type": "object", "required": ["label"]},
        {
            "type": "object",
            "not": {"additionalProperties": {"not": _reference("labelled")}},
        },
    ],
}
_VARIABLE: Schema = {"type": ["number", "boolean", "string"], "description": "A variable."}


def _expression(names: Sequence[str] | None) -> Schema:
    """An expression: a text with an operator or a call, or one of some names, or of any."""
    name = r"[A-Za-z]\w*" if names is None else f"({'|'.join(names)})"
    return {"type": "string", "pattern": rf"^(?!{_NUMBER}$)(\s*{name}\s*$|[\s\S]*({_OPERATOR}))"}


def _or_expression(field: Schema, context: Context) -> Schema:
    """A field of numbers, words or truth values, or an expression for it."""
    options = field.get("anyOf", [field])
    if "$ref" in field or all(one.get("type") == "array" for one in options):
        return field
    about: Schema = {key: field[key] for key in ("description", "default") if key in field}
    return {
        **about,
        "anyOf": [*field.get("anyOf", [_without(field, *about)]), context.expression],
    }


def _rows(library: Library, context: Context) -> Schema:
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
    forms = [_layer(name, model, context) for name, model in LAYERS.items()]
    forms += [
        _used(one, context) for name, one in library.definitions.items() if name not in LAYERS
    ]
    others = _others(context)
    forms += [_form(word, value, value["description"]) for word, value in others.items()]
    words: Schema = {"enum": [*bare, *own, "input"]}
    if context.words:
        known = [*LAYERS, *library.definitions, *others]
        stranger = {
            "type": "object",
            "not": {"anyOf": [{"required": [name]} for name in known]},
        }
        words, forms = {"type": "string"}, [*forms, stranger]
    return {
        f"{context.prefix}expression": _expression(context.names),
        f"{context.prefix}layer": {"anyOf": [words, *forms]},
    }


def _layer(name: str, model: type[Layer], context: Context) -> Schema:
    fields = {key: _or_expression(field, context) for key, field in fields_of(model).items()}
    mapping = mapping_of(fields, model.__doc__ or "")
    required = [key for key, field in model.model_fields.items() if field.is_required()]
    if required:
        mapping["required"] = required
    value = mapping
    if model.scalar:
        plain = fields[model.scalar]
        value = {"anyOf": [plain, mapping]} if len(fields) > 1 else plain
    return _form(name, value, model.__doc__ or "")


def _used(block: Definition, context: Context) -> Schema:
    """A block of the library, used as a layer."""
    fields = {key: _or_expression(field, context) for key, field in fields_of(block.fields).items()}
    mapping = mapping_of(fields, block.description)
    required = [name for name, one in block.attributes.items() if one.is_required]
    if required:
        mapping["required"] = required
    return _form(block.name, mapping, block.description)


def _others(context: Context) -> Schema:
    """What a row may hold besides layers and blocks."""
    row = {"type": "array", "items": context.reference("layer")}
    of_a_value = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": row,
    }
    branch = {"anyOf": [row, {"const": "identity"}, context.reference("layer"), of_a_value]}
    branches = {"type": "array", "minItems": 2, "items": branch}
    merge = {"anyOf": [{"type": "string"}, branches, of_a_value]}
    return {
        "layers": {**row, "description": "A group: with a name a module of its own."},
        "add": {**merge, "description": "The sum of branches."},
        "concat": {**merge, "description": "The channels of branches in a row."},
        "multiply": {**merge, "description": "The product of branches."},
        "label": {"type": "string", "description": "Gives the current value a name."},
        "side": {"anyOf": [row, of_a_value], "description": "A side head."},
    }


def _form(word: str, value: Schema, description: str) -> Schema:
    beside = {key: _reference(key) for key in ("name", "if", "repeat")}
    if word == "side":
        beside["weight"] = {"type": "number", "description": "What its loss counts."}
    return {**mapping_of({word: value, **beside}, description), "required": [word]}


def _block(context: Context) -> Schema:
    """The definition of a block."""
    row = _row(context)
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


def _union(stages: Mapping[str, Schema], context: Context) -> Schema:
    """Every stage attribute; where block types differ on one, whatever one of them takes."""
    union: Schema = {}
    for fields in stages.values():
        for name, field in fields.items():
            field = field if name == "block" else _or_expression(field, context)
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


def fields_of(model: type[Record]) -> Schema:
    """A model's fields, in the dialect that editors know and without what they do not need."""
    fields = model.model_properties
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
