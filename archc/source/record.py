"""Records that what is written is checked against: strict and immutable.

A record is a class with annotated fields. pydantic's core, the validator written in Rust, decides
what is valid. The schemas that it takes, and the JSON Schemas that editors and messages are made
from, are two sides of one reading of the annotations, so that they cannot disagree. The package
around the core reads annotations, too, and takes longer to import than `archc count` takes for all
the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NoReturn,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator
    from pydantic_core import ValidationError as ValidationError
else:

    def _core():
        """pydantic's core by itself: its package defines a type for every kind of schema."""
        name = "pydantic_core._pydantic_core"
        if name not in sys.modules:
            (folder,) = find_spec("pydantic_core").submodule_search_locations
            loader = (ExtensionFileLoader, EXTENSION_SUFFIXES)
            found = FileFinder(folder, loader).find_spec(name)
            sys.modules[name] = module_from_spec(found)
            found.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    SchemaValidator, ValidationError = _core().SchemaValidator, _core().ValidationError

JsonSchema = dict[str, Any]

_CONFIG: Any = {"strict": True, "allow_inf_nan": False, "extra_fields_behavior": "forbid"}
_REQUIRED: Any = object()


class FieldInfo:
    """A field: its default, the bounds of its value, and its description.

    ``annotation`` is its type, ``metadata`` what its annotation says besides.
    """

    annotation: Any = None
    metadata: tuple[Any, ...] = ()

    def __init__(self, default: Any, description: str, words: str, limits: Mapping[str, Any]):
        self.default = default
        self.description = description
        self.words = words
        self.limits = limits

    def is_required(self) -> bool:
        """Whether it has to be given."""
        return self.default is _REQUIRED

    def of_type(self, annotation: Any) -> FieldInfo:
        """The field with its type."""
        found = FieldInfo(self.default, self.description, self.words, self.limits)
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            found.metadata = tuple(metadata)
        found.annotation = annotation
        if type(self.default) is int and float in (annotation, *get_args(annotation)):
            found.default = float(self.default)  # as the same number is where it is written
        return found

    @property
    def form(self) -> _Form:
        """What it accepts."""
        marks = self.metadata or (None,)
        return _form(Annotated[(self.annotation, *marks)], self.limits)

    @property
    def remarks(self) -> JsonSchema:
        """What its JSON Schema says besides what is accepted."""
        found = {"description": self.description, "errorMessage": self.words}
        return {key: one for key, one in found.items() if one}


def Field(  # as in pydantic
    default: Any = _REQUIRED,
    *,
    description: str = "",
    words: str = "",
    **limits: float | str,
) -> Any:
    """A field of a record, or a mark in an annotation.

    ``limits`` are ``ge``, ``gt``, ``le`` and ``lt`` for numbers, ``pattern`` for text and
    ``max_length`` for lists; ``words`` say in a message what is accepted, where the limits
    themselves would not say it well.
    """
    return FieldInfo(default, description, words, limits)


# What types accept


class _Form(NamedTuple):
    """What a type accepts: for pydantic's core, and as a JSON Schema."""

    core: Any
    json: JsonSchema


_PLAIN = {int: ("int", "integer"), float: ("float", "number"), str: ("str", "string")}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number", NoneType: "null"}


def _form(kind: Any, limits: Mapping[str, Any]) -> _Form:
    """What a type accepts within limits."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _marked(parts[0], parts[1:], limits)
    if origin in (Union, UnionType):
        return _union(parts, limits)
    if origin is Literal:
        return _choice(parts)
    if origin in (tuple, list):
        return _row(origin, parts, limits)
    if kind is bool:
        return _Form({"type": "bool"}, {"type": "boolean"})
    if isinstance(kind, type) and issubclass(kind, Record):
        return _Form(kind._schema, {"$ref": f"#/$defs/{kind.__name__}"})
    core, json = _PLAIN[kind]
    bounds = {_BOUNDS.get(key, key): one for key, one in limits.items()}
    return _Form({"type": core, **limits}, {"type": json, **bounds})


def _marked(kind: Any, marks: tuple[Any, ...], limits: Mapping[str, Any]) -> _Form:
    """A type with marks in its annotation; limits there come before those of the field."""
    own = [one for one in marks if isinstance(one, FieldInfo)]
    for one in own:
        limits = {**limits, **one.limits}
    form = _form(kind, limits)
    for one in own:
        form = form._replace(json={**form.json, **one.remarks})
    return form


def _union(kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> _Form:
    """One type or another, or nothing."""
    forms = [_form(kind, limits) for kind in kinds if kind is not NoneType]
    core = forms[0].core
    if len(forms) > 1:
        core = {"type": "union", "choices": [one.core for one in forms]}
    options = [option for one in forms for option in _options(one.json)]
    if NoneType in kinds:
        core, options = {"type": "nullable", "schema": core}, [*options, {"type": "null"}]
    return _Form(core, {"anyOf": options})


def _options(schema: JsonSchema) -> list[JsonSchema]:
    """The options of a union that says nothing else; otherwise the schema itself."""
    found: list[JsonSchema] = schema["anyOf"] if [*schema] == ["anyOf"] else [schema]
    return found


def _choice(choices: tuple[Any, ...]) -> _Form:
    """One of some words, numbers or truths."""
    json: JsonSchema = {"const": choices[0]} if len(choices) == 1 else {"enum": list(choices)}
    types = {_TYPES[type(one)] for one in choices}
    if len(types) == 1:
        json["type"] = types.pop()
    core: Any = {"type": "literal", "expected": list(choices)}
    if any(type(one) is int for one in choices):
        # The core looks choices up in a dictionary, strict or not, where True and 1.0 are found
        # as 1.
        core = {"type": "function-before", "schema": core, "function": _call(_refuse_lookalikes)}
    return _Form(core, json)


def _refuse_lookalikes(value: object) -> object:
    if isinstance(value, (bool, float)):
        raise ValueError(f"{value} is not an integer")
    return value


def _call(function: Any) -> Any:
    return {"type": "no-info", "function": function}


def _row(origin: type, kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> _Form:
    """A list, or a tuple: plain data has lists for both."""
    core: Any = {"type": "tuple", "strict": False}
    if origin is list or kinds[-1] is Ellipsis:
        each = _form(kinds[0], {})
        json: JsonSchema = {"type": "array", "items": each.json}
        if "max_length" in limits:
            json["maxItems"] = limits["max_length"]
        if origin is list:
            return _Form({"type": "list", "items_schema": each.core, **limits}, json)
        return _Form({**core, "items_schema": [each.core], "variadic_item_index": 0}, json)
    items = [_form(kind, {}) for kind in kinds]
    size = {"minItems": len(items), "maxItems": len(items)}
    json = {"type": "array", "prefixItems": [one.json for one in items], **size}
    return _Form({**core, "items_schema": [one.core for one in items]}, json)


# Records

_Fact = TypeVar("_Fact")


class _OfClass(Generic[_Fact]):
    """A fact of a class, found when it is first asked for: of most classes none ever is."""

    def __init__(self, find: Callable[[type[Record]], _Fact]) -> None:
        self._find = find
        self._key = f"{find.__name__} of the class itself"

    def __get__(self, record: object, owner: type[Record]) -> _Fact:
        if self._key not in owner.__dict__:
            setattr(owner, self._key, self._find(owner))
        found: _Fact = owner.__dict__[self._key]
        return found


def _fields(record: type[Record]) -> dict[str, FieldInfo]:
    """The fields of a record and of those that it is made from."""
    found = {}
    for name, annotation in get_type_hints(record, include_extras=True).items():
        if get_origin(annotation) is ClassVar or annotation is ClassVar:
            continue
        declared = record._declared.get(name)
        if declared is None:
            declared = Field(getattr(record, name, _REQUIRED))
        found[name] = declared.of_type(annotation)
    return found


def _properties(record: type[Record]) -> Mapping[str, JsonSchema]:
    """The JSON Schema of each field of a record."""
    found = {}
    for name, one in record.model_fields.items():
        default = {} if one.is_required() else {"default": _plain(one.default)}
        found[name] = {**one.form.json, **default, **one.remarks}
    return found


def _schema(record: type[Record]) -> Any:
    """What pydantic's core is to check."""
    fields = {name: _model_field(one) for name, one in record.model_fields.items()}
    inner = {"type": "model-fields", "model_name": record.__name__, "fields": fields}
    model = {"type": "model", "cls": record, "schema": inner, "config": _CONFIG}
    if record._check_together is Record._check_together:
        return model
    return {"type": "function-after", "schema": model, "function": _call(_together)}


def _validator(record: type[Record]) -> SchemaValidator:
    return SchemaValidator(record._schema, _CONFIG)


def _model_field(field: FieldInfo) -> Any:
    schema = field.form.core
    if not field.is_required():
        schema = {"type": "default", "schema": schema, "default": field.default}
    return {"type": "model-field", "schema": schema}


def _together(record: Record) -> Record:
    record._check_together()
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.model_dump()
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class Record:
    """A strict, immutable record: no unknown keys, no "3" for 3, no true for 1.

    Its methods are named as those of pydantic's models.
    """

    __slots__ = (
        *("__dict__", "__weakref__"),
        # what pydantic's core sets beside the fields
        *("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"),
    )

    list_hint: ClassVar[str | None] = None
    """The hint for a list in place of a single value."""

    model_fields: ClassVar = _OfClass(_fields)
    """The fields by name."""

    model_properties: ClassVar = _OfClass(_properties)
    """The JSON Schema of each field."""

    _schema: ClassVar = _OfClass(_schema)
    _validator: ClassVar = _OfClass(_validator)
    _declared: ClassVar[dict[str, FieldInfo]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: one for name, one in vars(cls).items() if isinstance(one, FieldInfo)}
        for name in own:  # an instance has values by these names, the class has none
            delattr(cls, name)
        cls._declared = {**cls._declared, **own}

    def __init__(self, **values: Any) -> None:
        """Check values. Raises `ValidationError`."""
        self._validator.validate_python(values, self_instance=self)

    @classmethod
    def model_validate(cls, values: Mapping[str, Any]) -> Self:
        """A record of values. Raises `ValidationError`."""
        made: Self = cls._validator.validate_python(values)
        return made

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that were given."""
        found: set[str] = self.__pydantic_fields_set__  # type: ignore[attr-defined]
        return found

    def model_dump(
        self, *, exclude: Container[str] = (), exclude_none: bool = False
    ) -> dict[str, Any]:
        """The values as plain data, tuples as lists."""
        return {
            name: _plain(value)
            for name, value in self
            if name not in exclude and not (exclude_none and value is None)
        }

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """The record with some values exchanged, which are not checked."""
        return _made(type(self), {**self.__dict__, **update}, self.model_fields_set | set(update))

    def _check_together(self) -> None:
        """Raise ValueError where fields, each of them valid, do not go together."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.__dict__.items()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.__dict__, self.model_fields_set)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")


_AnyRecord = TypeVar("_AnyRecord", bound=Record)


def _made(record: type[_AnyRecord], values: dict[str, Any], given: set[str]) -> _AnyRecord:
    """A record of values that are known to be valid, and which of its fields were given."""
    made = object.__new__(record)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", given)
    return made


def record_type(
    name: str, base: type[Record], fields: Mapping[str, tuple[Any, Any]], description: str = ""
) -> type[Any]:
    """A record with fields of its own besides those of ``base``: a type and a `Field` each."""
    declared = {key: field for key, (_, field) in fields.items()}
    annotations = {key: kind for key, (kind, _) in fields.items()}
    body = {"__annotations__": annotations, "__doc__": description, "__module__": __name__}
    return type(name, (base,), {**body, **declared})
