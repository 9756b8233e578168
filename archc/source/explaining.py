"""What the kinds of diagnostics mean, at length: `explanations.md`, read when somebody asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from archc.dataclassing import dataclass
from archc.source.codes import CODES, WARNINGS

PAGE = Path(__file__).with_name("explanations.md")

_BLOCK = re.compile(r"^```(yaml|sh|text)(?: ([\w.]+))?\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A spec, or a command where it ``is_command``, with what archc says of it.

    ``after`` is what to write instead; empty where that depends. ``files`` are beside it, by name.
    """

    before: str
    message: str
    after: str
    is_command: bool
    files: Mapping[str, str]


@dataclass(frozen=True)
class Explanation:
    """What a code means, in paragraphs, with an example."""

    text: str
    example: Example | None


@cache
def explanations() -> dict[str, Explanation]:
    """What is said of each code, in the order of the page."""
    _, *sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(map(_section, sections))


def _section(section: str) -> tuple[str, Explanation]:
    code, _, rest = section.partition("\n")
    found = {(kind, use): body for kind, use, body in _BLOCK.findall(rest)}
    is_command = ("sh", "before") in found
    kind = "sh" if is_command else "yaml"
    text = _BLOCK.split(rest)[0].strip()
    if (kind, "before") not in found:
        return code, Explanation(text, None)
    before, after = found[kind, "before"], found.get((kind, "after"), "")
    files = {name: body for (_, name), body in found.items() if "." in name}
    example = Example(before, found.get(("text", ""), ""), after, is_command, files)
    return code, Explanation(text, example)


def explanation(code: str) -> Iterator[str]:
    """The lines that say what a code means. Raises KeyError for what is no code."""
    yield f"{code} ({'warning' if code in WARNINGS else 'error'}): {CODES[code]}"
    found = explanations().get(code)
    if found is None:
        return
    yield from ("", *found.text.splitlines())
    example = found.example
    if example is None:
        return
    yield from ("", "For example:", "")
    yield from _indented(example.before)
    for name, content in example.files.items():
        yield from ("", f"where {name} is:", "")
        yield from _indented(content)
    yield from ("", "archc says:", "")
    yield from _indented(example.message)
    if example.after:
        yield from ("", "This is right:", "")
        yield from _indented(example.after)


def _indented(text: str) -> Iterator[str]:
    yield from (f"    {line}".rstrip() for line in text.splitlines())
