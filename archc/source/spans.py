"""Where what a diagnostic points at ends, and the edit that a hint says.

Places are those of first characters. What stands there is found by going over the text once more,
which is done for diagnostics that programs read, and for edits, alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import yaml

from archc.source.diagnostics import Advice, Edit, Place

_WORD = re.compile(r"\w+|\S")


def end_of(place: Place) -> Place:
    """The place behind what stands at a place: a key, a value, or a word inside one."""
    lines = place.source.lines
    text = place.source.text if place.source.shown is None else place.source.shown
    found = _ends(text).get((place.line, place.column))
    if found is not None:
        return Place(place.source, *found)
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    word = _WORD.match(line, place.column - 1)
    return Place(place.source, place.line, word.end() + 1 if word else place.column)


@lru_cache(maxsize=4)
def _ends(text: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Where each key and value of a text ends, by where it begins, as far as the text is YAML.

    Mappings and lists without brackets have no end of their own: what begins them ends there.
    """
    found: dict[tuple[int, int], tuple[int, int]] = {}
    open_: list[tuple[int, int]] = []
    for token in _tokens(text):
        start = (token.start_mark.line + 1, token.start_mark.column + 1)
        end = (token.end_mark.line + 1, token.end_mark.column + 1)
        if isinstance(token, (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)):
            open_.append(start)
        elif isinstance(token, (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)):
            if open_:
                found[open_.pop()] = end
        elif isinstance(token, (yaml.ScalarToken, yaml.AliasToken, yaml.AnchorToken)):
            found[start] = end
    return found


def _tokens(text: str) -> Iterator[yaml.Token]:
    try:
        yield from yaml.scan(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeError):
        return


def edit_of(place: Place, advice: Advice) -> Edit | None:
    """What a hint changes in the text, or None where the text is not as it takes it to be.

    A word in quotes keeps them.
    """
    source = place.source
    if source.shown is not None or place.line > len(source.lines):
        return None
    replacement, is_certain = advice.replacement, advice.is_certain
    if advice.word is None:
        end = end_of(place)
        return Edit(place, end, replacement, is_certain) if end != place else None
    line = source.lines[place.line - 1]
    for skipped in (0, 1):  # behind the quote, if it is in quotes
        begin = place.column - 1 + skipped
        quote = line[begin - 1 : begin] if skipped else ""
        if quote not in ("", "'", '"') or not line.startswith(advice.word, begin):
            continue
        end_column = begin + len(advice.word)
        if re.match(r"\w", line[end_column : end_column + 1]) and advice.word[-1:].isalnum():
            continue
        start, end = (Place(source, place.line, one + 1) for one in (begin, end_column))
        return Edit(start, end, replacement, is_certain)
    return None


def apply(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits made, from its end to its beginning; of two that overlap, the first."""
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(place: Place) -> int:
        return starts[place.line - 1] + place.column - 1

    spans = sorted((offset(one.start), offset(one.end), one.replacement) for one in edits)
    made, last = [], 0
    for start, end, replacement in spans:
        if start < last:
            continue
        made += [text[last:start], replacement]
        last = end
    return "".join([*made, text[last:]])
