"""What the pages of this repository link to, and what links can lead to in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?(?:^ *\2[`~]*[ \t]*$|\Z)", re.M | re.S)
_INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?:(?: {4}|\t)[^\n]*\n+)+")
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.S)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(r"(?P<open>\]\(\s*<?)(?P<target>[^)\s>]+)(?P<close>>?(?:\s+\"[^\"]*\")?\s*\))")
_ATTRIBUTE = re.compile(r"(?P<open>\b(?:src|href)=\")(?P<target>[^\"]+)(?P<close>\")")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)
_ID = re.compile(r"<\w+[^>]*\b(?:id|name)=\"([^\"]+)\"")


@dataclass(frozen=True)
class Link:
    """Where a page leads: ``target`` as written, ``line`` from 1."""

    target: str
    line: int

    @property
    def is_external(self) -> bool:
        """Whether it has a scheme, such as ``https:``."""
        return re.match(r"[a-z][a-z0-9+.-]*:|//", self.target, re.I) is not None

    @property
    def path(self) -> str:
        """The part before the anchor; empty for a place on the same page."""
        return unquote(self.target.partition("#")[0])

    @property
    def anchor(self) -> str:
        """The part after ``#``, or an empty string."""
        return unquote(self.target.partition("#")[2])


def links(text: str) -> Iterator[Link]:
    """The links and pictures of a page in Markdown; examples in code have none."""
    prose = _without_code(text)
    for pattern in (_LINK, _ATTRIBUTE):
        for found in pattern.finditer(prose):
            yield Link(found["target"], prose[: found.start()].count("\n") + 1)


def with_targets(text: str, change: Callable[[Link], str]) -> str:
    """The text with each target replaced by what `change` makes of its link."""
    prose = _without_code(text)
    places = sorted(
        (found.span("target"), prose[: found.start()].count("\n") + 1)
        for pattern in (_LINK, _ATTRIBUTE)
        for found in pattern.finditer(prose)
    )
    pieces, at = [], 0
    for (start, end), line in places:
        pieces += [text[at:start], change(Link(text[start:end], line))]
        at = end
    return "".join([*pieces, text[at:]])


def anchors(text: str) -> list[str]:
    """The anchors of a page: one of each heading, in order, and those that HTML tags give.

    A heading that occurs twice gives its anchor twice, because what the second one is called
    depends on the program that shows the page.
    """
    prose = _without_code(text, inline=False)
    return [slug(title) for title in _HEADING.findall(prose)] + _ID.findall(prose)


def slug(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)  # a link's text
    words = re.sub(r"[^\w\- ]", "", words.strip().lower())
    return words.replace(" ", "-")


def resolve(page: Path, link: Link) -> Path:
    """The file or folder that a relative link of a page leads to."""
    return (page.parent / link.path).resolve() if link.path else page


def _without_code(text: str, inline: bool = True) -> str:
    """The text with code and comments blanked out; every character keeps its place."""
    for pattern in (_FENCE, _INDENTED, _COMMENT, *([_INLINE_CODE] if inline else [])):
        text = pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return text
