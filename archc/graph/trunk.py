"""Which way a main path takes where ways meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archc.ops import Op, Shape

_FAR = 1000
"""How many values are gone back through in search of the one that others are computed from."""


def trunk(
    op: Op,
    inputs: Sequence[str],
    shape: Callable[[str], Shape],
    sources: Callable[[str], Sequence[str]],
) -> Sequence[str]:
    """The inputs of an op through which a main path may go.

    That is all of them, but for the gates of a product: what is broadcast over the trunk, or of
    equal shapes what is computed from it; otherwise the first is the trunk.
    """
    if not op.has_gates or len(inputs) < 2:
        return inputs
    largest = max(map(shape, inputs), key=lambda one: (len(one), *one))
    whole = [one for one in inputs if shape(one) == largest]
    for one in whole if len(whole) > 1 else ():
        if all(_is_behind(other, one, sources) for other in whole if other != one):
            return [one]
    return whole[:1]


def _is_behind(value: str, other: str, sources: Callable[[str], Sequence[str]]) -> bool:
    """Whether a value is computed from another one, not too far away."""
    left, seen = [value], {value}
    while left and len(seen) < _FAR:
        for source in sources(left.pop()):
            if source == other:
                return True
            if source not in seen:
                seen.add(source)
                left.append(source)
    return False
