"""Tests of a constructor's arguments that tell what a module has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from archc.dataclassing import dataclass
from archc.graph.authored import Known, compare

_OPPOSITE = {
    **{"==": "!=", "!=": "==", "": "not", "not": "", "is": "is not", "is not": "is"},
    **{"<": ">=", ">=": "<", ">": "<=", "<=": ">"},
}


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: an argument with another one, a number or a word, or the argument's own
    truth."""

    left: str
    operator: str
    right: Known | None = None
    is_word: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments that it asks about."""
        names_one = isinstance(self.right, str) and not self.is_word
        return (self.left, str(self.right)) if names_one else (self.left,)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether it does with these arguments."""
        right = values.get(self.names[1]) if len(self.names) > 1 else self.right
        return compare(values.get(self.left), self.operator, right)

    def __str__(self) -> str:
        if not self.operator:
            return self.left
        if self.operator == "not":
            return f"not {self.left}"
        right = f'"{self.right}"' if self.is_word else self.right
        return f"{self.left} {self.operator} {right}"

    def opposite(self) -> Part:
        """What holds where this does not."""
        return Part(self.left, _OPPOSITE[self.operator], self.right, self.is_word)


@dataclass(frozen=True, slots=True)
class Test:
    """Comparisons of which one, or with ``joint`` "and" each, must hold."""

    parts: tuple[Part, ...]
    joint: str = "or"

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether it does with these arguments."""
        found = [part.holds(values) for part in self.parts]
        return any(found) if self.joint == "or" else all(found)

    def opposite(self) -> Test:
        """What holds where this does not."""
        joint = "and" if self.joint == "or" else "or"
        return Test(tuple([part.opposite() for part in self.parts]), joint)

    def __str__(self) -> str:
        return f" {self.joint} ".join(map(str, self.parts))


def find_test(
    pattern: Sequence[bool | None],
    arguments: Sequence[str],
    values: Sequence[Mapping[str, object]],
    full: Sequence[Mapping[str, object]],
) -> Test | None:
    """A test that holds where the pattern says so, and not where it says otherwise.

    ``values`` has the arguments of each module, without those that nothing in it takes; ``full``
    has their defaults for these, as the constructor does.
    """
    tests = (*_usual(arguments), *_given(arguments, values), *_pairs(arguments, values))
    return _first(tests, pattern, full)


def find_given(
    pattern: Sequence[bool | None],
    arguments: Sequence[str],
    values: Sequence[Mapping[str, object]],
    full: Sequence[Mapping[str, object]],
) -> Test | None:
    """Of the tests that `find_test` tries, one that asks whether an argument is given."""
    return _first(_given(arguments, values), pattern, full)


def _first(
    tests: Iterable[Test], pattern: Sequence[bool | None], full: Sequence[Mapping[str, object]]
) -> Test | None:
    for test in tests:
        told = zip(pattern, full, strict=True)
        if all(holds is None or test.holds(one) is holds for holds, one in told):
            return test
    return None


def _usual(arguments: Sequence[str]) -> Iterator[Test]:
    """Whether the shape changes, as residual blocks ask."""
    parts = []
    if "stride" in arguments:
        parts.append(Part("stride", "!=", 1))
    if "in_channels" in arguments and "out_channels" in arguments:
        parts.append(Part("in_channels", "!=", "out_channels"))
    for row in ([parts] if parts else []) + ([[part] for part in parts] if parts[1:] else []):
        yield Test(tuple(row))
        yield Test(tuple(row)).opposite()


def _given(arguments: Sequence[str], values: Sequence[Mapping[str, object]]) -> Iterator[Test]:
    """Whether an argument is needed."""
    for name in arguments:
        given = [one[name] for one in values if name in one]
        if all(isinstance(value, bool) for value in given):
            yield Test((Part(name, ""),))
            yield Test((Part(name, "not"),))
        if len(given) < len(values) and all(given):
            yield Test((Part(name, ""),))
            yield Test((Part(name, "not"),))


def _pairs(arguments: Sequence[str], values: Sequence[Mapping[str, object]]) -> Iterator[Test]:
    """Whether two numbers of channels are the same."""
    counts = [
        name
        for name in arguments
        if all(type(one.get(name)) is int for one in values) and "stride" not in name
    ]
    for one, other in combinations(counts, 2):
        yield Test((Part(other, "!=", one),))
        yield Test((Part(other, "==", one),))
