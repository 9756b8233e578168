"""Records against models that pydantic's own package makes of the same fields."""

from __future__ import annotations

import copy
import pickle
import sys
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.blocks import STANDARD
from archc.blocks.layers import LAYERS, Start
from archc.hardware.devices import _Row
from archc.recipes.models import SECTIONS
from archc.recipes.models import Header as RecipeHeader
from archc.source.record import Field, FieldInfo, Record, ValidationError, record_type
from archc.spec.models import Header


class Numbers(Record):
    """Choices among numbers, which pydantic takes for each other."""

    one: Literal[1] = 1
    several: Literal[1, 2, "auto"] | None = None


RECORDS: dict[str, type[Record]] = {
    **{f"layer {word}": model for word, model in LAYERS.items()},
    **{f"stage of {name}": STANDARD.definition(name).stage for name in STANDARD},  # type: ignore[union-attr]
    **{f"layer of {name}": STANDARD.definition(name).fields for name in STANDARD},  # type: ignore[union-attr]
    **{f"recipe's {name}": model for name, model in SECTIONS.items()},
    **{"header": Header, "rule": Start, "recipe": RecipeHeader, "device": _Row},
}


_TWINS: dict[type[Record], type[pydantic.BaseModel]] = {}


def twin(record: type[Record]) -> type[pydantic.BaseModel]:
    """A record as a pydantic model."""
    if record not in _TWINS:
        _TWINS[record] = made_by_pydantic(record)
    return _TWINS[record]


def made_by_pydantic(record: type[Record]) -> Any:
    fields: dict[str, Any] = {}
    for name, info in record.model_fields.items():
        kind = info.annotation
        if info.metadata:
            kind = Annotated[(kind, *info.metadata)]
        default = {} if info.is_required() else {"default": info.default}
        fields[name] = (of_pydantic(kind), pydantic.Field(**default, **said(info)))
    config = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return pydantic.create_model(record.__name__, __config__=config, **fields)


def said(info: FieldInfo) -> dict[str, Any]:
    words = {"json_schema_extra": {"errorMessage": info.words}} if info.words else {}
    return {**info.limits, "description": info.description or None, **words}


def of_pydantic(kind: Any) -> Any:
    """A type with the marks that pydantic knows."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        marks = [pydantic.Field(**said(one)) for one in parts[1:] if isinstance(one, FieldInfo)]
        return Annotated[(of_pydantic(parts[0]), *marks)] if marks else of_pydantic(parts[0])
    if origin in (Union, UnionType):
        return Union[tuple(of_pydantic(one) for one in parts)]  # noqa: UP007
    if origin is tuple:
        inner = tuple(one if one is Ellipsis else of_pydantic(one) for one in parts)
        return Annotated[tuple[inner], pydantic.Strict(False)]  # type: ignore[valid-type]
    if origin is list:
        return list[of_pydantic(parts[0])]  # type: ignore[misc]
    if isinstance(kind, type) and issubclass(kind, Record):
        return twin(kind)
    return kind


@pytest.mark.parametrize("name", RECORDS)
def test_fields_have_the_json_schema_that_pydantic_gives_them(name: str) -> None:
    record = RECORDS[name]
    expected = without_titles(twin(record).model_json_schema().get("properties", {}))
    assert record.model_properties == expected


def without_titles(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: without_titles(one)
            for key, one in part.items()
            if not (key == "title" and isinstance(one, str))
        }
    return [without_titles(one) for one in part] if isinstance(part, list) else part


def values_for(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, beside its limits, and of others."""
    bounds = [0, 1, -1, 2, 10, 4096, 1_000_000, 2**31, 2**63]
    numbers = st.sampled_from(bounds) | st.integers() | st.floats()
    odd = st.one_of(numbers, st.booleans(), st.none(), st.text(max_size=3))
    words = [one for one in leaves(kind) if not isinstance(one, type)]
    some = st.sampled_from(words) | odd if words else odd
    lists = st.lists(some, max_size=4)
    rules = st.sampled_from([{"normal": 0.1}, {"normal": 1}, {"uniform": -1.0}, {"fan": 1}])
    return st.one_of(some, some, lists, lists.map(tuple), rules)


def leaves(kind: Any) -> list[Any]:
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return list(parts)
    return [leaf for part in parts for leaf in leaves(part)] or [kind]


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_records_accept_what_pydantic_accepts(name: str, data: st.DataObject) -> None:
    record = RECORDS[name]
    fields = record.model_fields
    required = [key for key, one in fields.items() if one.is_required()]
    chosen = {
        *required,
        *(data.draw(st.lists(st.sampled_from([*fields, "strange"]), max_size=3)) if fields else ()),
    }
    if data.draw(st.integers(0, 9)) == 0:
        chosen -= set(required[:1])
    kinds = {key: Annotated[(one.annotation, *one.metadata, None)] for key, one in fields.items()}
    values = {key: data.draw(values_for(kinds.get(key, int)), label=key) for key in sorted(chosen)}
    expected, wrong = outcome(twin(record), values)
    got, refused = outcome(record, values)
    if expected is None:
        assert refused == wrong
    elif got is None:  # by a rule of the record's own, which the twin has not
        assert refused == {()}
    else:
        assert repr(plain(got)) == repr(plain(expected))
        assert got.model_fields_set == set(values)


def outcome(model: Any, values: dict[str, Any]) -> tuple[Any, set[tuple[int | str, ...]]]:
    """What a model makes of values, and the fields that it refuses."""
    try:
        return model.model_validate(values), set()
    except ValidationError as error:
        return None, {one["loc"][:1] for one in error.errors()}


def plain(made: Any) -> Any:
    return {key: plain(one) for key, one in made} if hasattr(made, "model_dump") else made


@pytest.mark.parametrize("value", [True, 1.0, False, "1", None])
def test_a_choice_among_numbers_takes_no_lookalike(value: object) -> None:
    with pytest.raises(ValidationError):
        Numbers(one=value)  # type: ignore[arg-type]
    if value is not None:
        with pytest.raises(ValidationError):
            Numbers.model_validate({"several": value})


def test_records_are_immutable_values() -> None:
    one = Numbers(several=2)
    assert one == Numbers.model_validate({"several": 2}) != Numbers()
    assert hash(one) == hash(Numbers(several=2))
    assert repr(one) == "Numbers(one=1, several=2)"
    with pytest.raises(AttributeError, match="Numbers is immutable"):
        one.several = 1  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Numbers is immutable"):
        del one.several
    other = one.model_copy(update={"several": "auto"})
    assert (one.several, other.several) == (2, "auto")
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_a_record_made_of_fields_has_those_of_its_base_first() -> None:
    made = record_type("More", Numbers, {"more": (float | None, Field(3, ge=1))}, "More.")
    assert list(made.model_fields) == ["one", "several", "more"]
    assert made.model_validate({}).model_dump(exclude_none=True) == {"one": 1, "more": 3.0}
    assert made.__doc__ == "More."
    assert not hasattr(made, "more")  # only an instance has it


def test_pydantic_itself_can_be_imported_later() -> None:
    core = sys.modules["pydantic_core._pydantic_core"]
    assert pydantic.ValidationError is core.ValidationError is ValidationError
    assert NoneType in get_args(Numbers.model_fields["several"].annotation)
