"""Blocks as stages: which go together, and how their modules are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from archc.dataclassing import dataclass
from archc.lifting.tree import Data


@dataclass
class Placed:
    """A block with its definition's name, what it says, its stride and its path; ``stage`` is the
    number of the stage that it was found in."""

    block: str
    said: dict[str, Data]
    stride: int
    path: str
    stage: int | None
    place: dict[str, int] = field(default_factory=dict)


def staged(blocks: Sequence[Placed], *, keeps_names: bool = True) -> dict[str, Data]:
    """The keys ``names``, ``defaults`` and ``stages`` of a spec; ``keeps_names`` has the modules of
    blocks at the paths of theirs."""
    runs = list(_runs(blocks))
    if keeps_names:
        runs = [part for run in runs for part in _nameable(run)]
    number = 0
    for place, run in enumerate(runs, 1):
        for index, block in enumerate(run):
            number += 1
            block.place = {"stage": place, "block": index, "number": number}
    names = _names(blocks) if keeps_names else "layer{stage}.{block}"
    usual, often = Counter(run[0].block for run in runs).most_common(1)[0]
    shared = _shared([run[0] for run in runs if run[0].block == usual])
    stages: list[Data] = []
    for run in runs:
        first = run[0]
        stage: dict[str, Data] = {}
        is_usual = first.block == usual and often > 1
        if not is_usual:
            stage["block"] = first.block
        stage["depth"] = len(run)
        said = {**first.said, **({"stride": first.stride} if first.stride != 1 else {})}
        said = {k: v for k, v in said.items() if not is_usual or k not in shared}
        stage |= {k: said[k] for k in sorted(said, key=lambda key: key != "width")}
        if keeps_names and (
            names is None or any(_filled(names, one.place) != one.path for one in run)
        ):
            stage["name"] = _own_name(run)
        stages.append(stage)
    data: dict[str, Data] = {}
    if names is not None and names != "layer{stage}.{block}":
        data["names"] = names
    if often > 1:
        data["defaults"] = {"block": usual, **shared}
    data["stages"] = stages
    return data


def _shared(firsts: Sequence[Placed]) -> dict[str, Data]:
    """What all stages of one block say alike."""
    if len(firsts) < 2:
        return {}
    said = [{**one.said, **({"stride": one.stride} if one.stride != 1 else {})} for one in firsts]
    return {
        key: value
        for key, value in said[0].items()
        if all(key in one and one[key] == value for one in said)
    }


def _runs(blocks: Sequence[Placed]) -> Iterator[list[Placed]]:
    """Blocks that can be one stage."""
    run: list[Placed] = []
    for block in blocks:
        if run:
            last = run[-1]
            same = (last.block, last.said, last.stage) == (block.block, block.said, block.stage)
            if not same or block.stride != 1:
                yield run
                run = []
        run.append(block)
    if run:
        yield run


def _nameable(run: list[Placed]) -> Iterator[list[Placed]]:
    """A run, or its blocks one by one where no name tells their places."""
    places = [{"stage": 1, "block": index, "number": index + 1} for index in range(len(run))]
    if len(run) > 1 and _template([one.path for one in run], places) is None:
        yield from ([one] for one in run)
    else:
        yield run


# Names

_NUMBER = re.compile(r"(\d+)")

_Place: TypeAlias = tuple[str, Callable[[dict[str, int]], int]]

_PLACES: Sequence[_Place] = (
    ("stage", lambda at: at["stage"]),
    ("block", lambda at: at["block"]),
    ("number", lambda at: at["number"]),
    ("(stage + 1) // 2", lambda at: (at["stage"] + 1) // 2),
    ("stage // 2", lambda at: at["stage"] // 2),
)
_COUNTED = [one for one in _PLACES if one[0] in ("block", "number")]


def _names(blocks: Sequence[Placed]) -> str | None:
    """The name of most blocks' modules by their places, where there is one."""
    shapes = Counter(_shape(one.path) for one in blocks)
    best: tuple[int, str] | None = None
    for shape, _ in shapes.most_common(2):
        alike = [one for one in blocks if _shape(one.path) == shape]
        paths, places = [one.path for one in alike], [one.place for one in alike]
        name = _template(paths, places)
        if name is not None and not re.search(r"\{(block|number)\b", name):  # as it must
            name = _template(paths, places, _COUNTED)
        if name is not None and len(alike) > 1 and (best is None or len(alike) > best[0]):
            best = len(alike), name
    return None if best is None else best[1]


def _shape(path: str) -> str:
    return _NUMBER.sub("0", path)


def _template(
    paths: Sequence[str], places: Sequence[dict[str, int]], known: Sequence[_Place] = _PLACES
) -> str | None:
    """A name with expressions in braces for the numbers that differ."""
    if len(set(paths)) == 1:
        return paths[0] if len(paths) == 1 else None
    pieces = [_NUMBER.split(path) for path in paths]
    if len({tuple(piece[::2]) for piece in pieces}) != 1:
        return None
    out = []
    for index, text in enumerate(pieces[0]):
        if index % 2 == 0:
            out.append(text)
            continue
        column = [piece[index] for piece in pieces]
        found = _expression(column, places, known)
        if found is None:
            return None
        out.append(found)
    return "".join(out)


def _expression(
    column: Sequence[str], places: Sequence[dict[str, int]], known: Sequence[_Place]
) -> str | None:
    if len(set(column)) == 1:
        return column[0]
    if any(one != str(int(one)) for one in column):
        return None
    numbers = [int(one) for one in column]
    for text, value in known:
        more = {number - value(at) for number, at in zip(numbers, places, strict=True)}
        if len(more) == 1:
            (by,) = more
            if not by:
                return f"{{{text}}}"
            return f"{{{text} {'+' if by > 0 else '-'} {abs(by)}}}"
    return None


def _filled(template: str, place: dict[str, int]) -> str:
    """A name with the numbers of a place."""

    def number(found: re.Match[str]) -> str:
        text = found[1]
        for word, value in _PLACES:
            if text == word:
                return str(value(place))
            if text.startswith(f"{word} + ") or text.startswith(f"{word} - "):
                rest = text.removeprefix(word).split()
                if len(rest) == 2 and rest[1].isdigit():
                    return str(value(place) + (1 if rest[0] == "+" else -1) * int(rest[1]))
        return "?"

    return re.sub(r"\{([^{}]*)\}", number, template)


def _own_name(run: Sequence[Placed]) -> Any:
    """The name of a stage of its own."""
    if len(run) == 1:
        return run[0].path
    return _template([one.path for one in run], [one.place for one in run]) or run[0].path
