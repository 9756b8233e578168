"""archc's dataclasses against the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pytest

from archc import dataclassing

Decorator = Callable[..., Any]


def _classes(dataclass: Decorator) -> dict[str, Any]:
    @dataclass(frozen=True, slots=True)
    class Base:
        x: int
        y: str = "y"

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        z: tuple[int, ...] = ()
        hidden: int = field(default=0, repr=False, compare=False)

    @dataclass(frozen=True, kw_only=True)
    class Named:
        x: int
        made: list[int] = field(default_factory=list, hash=False)

    @dataclass(frozen=True, order=True)
    class Ordered:
        x: int
        late: int = field(init=False, default=3)

    @dataclass
    class Mutable:
        x: int
        y: list[int] = field(default_factory=list)

        def __post_init__(self) -> None:
            self.x += 1

    @dataclass(eq=False, repr=False)
    class Plain:
        x: int

    @dataclass(frozen=True)
    class Own:
        x: int

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    found = [Base, Derived, Named, Ordered, Mutable, Plain, Own]
    return {one.__name__: one for one in found}


OURS = _classes(dataclassing.dataclass)
THEIRS = _classes(dataclasses.dataclass)
ARGUMENTS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Base": [((1,), {}), ((1, "z"), {}), ((), {"y": "a", "x": 2})],
    "Derived": [((1,), {}), ((1, "y", (2,), 4), {}), ((1, "y", (2,)), {"hidden": 5})],
    "Named": [((), {"x": 1}), ((), {"x": 1, "made": [2]})],
    "Ordered": [((1,), {}), ((2,), {})],
    "Mutable": [((1,), {}), ((1, [2]), {})],
    "Plain": [((1,), {})],
    "Own": [((1,), {})],
}


def _outcome(function: Callable[..., object], *arguments: object) -> object:
    try:
        return function(*arguments)
    except TypeError:
        return TypeError


def _is_hashable(one: object) -> bool:
    return _outcome(hash, one) is not TypeError


@pytest.mark.parametrize("name", OURS)
def test_it_is_as_the_library_has_it(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    cases = ARGUMENTS[name]
    pairs = [(ours(*a, **k), theirs(*a, **k)) for a, k in cases]
    for one, other in pairs:
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
        assert repr(one) == repr(other) or name == "Plain"
        assert _is_hashable(one) == _is_hashable(other)
        for again, known in pairs:
            for compare in (eq, ne, lt, le, gt, ge):
                assert _outcome(compare, one, again) == _outcome(compare, other, known)
        assert dataclasses.replace(one, x=9).x == dataclasses.replace(other, x=9).x
        assert copy.copy(one).x == one.x
        assert copy.deepcopy(one).x == one.x
    for many in (0, 6):
        assert _outcome(ours, *range(many)) is TypeError
        assert _outcome(theirs, *range(many)) is TypeError


@pytest.mark.parametrize("name", ["Base", "Derived", "Ordered", "Own"])
def test_frozen_ones_cannot_be_changed(name: str) -> None:
    one = OURS[name](1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        one.x = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del one.x


def test_unequal_classes_are_unequal() -> None:
    assert OURS["Base"](1) != OURS["Derived"](1)
    assert OURS["Base"](1).__eq__(1) is NotImplemented


@dataclassing.dataclass(frozen=True, slots=True)
class Kept:
    """One that pickle finds by its name."""

    x: int
    y: str = "y"


def test_pickling_keeps_it() -> None:
    assert pickle.loads(pickle.dumps(Kept(3, "z"))) == Kept(3, "z")


def test_the_library_may_derive_from_ours() -> None:
    @dataclasses.dataclass(frozen=True)
    class Theirs(Kept):
        z: int = 0

    assert Theirs(1, "y", 2) == Theirs(1, z=2)
    assert hash(Theirs(1)) == hash(Theirs(1))


def test_init_is_compiled_when_it_is_first_wanted() -> None:
    @dataclassing.dataclass
    class One:
        x: int

    before = type(vars(One)["__init__"]).__name__
    assert One(1).x == 1
    assert (before, type(vars(One)["__init__"]).__name__) == ("_Init", "function")
