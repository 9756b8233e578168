"""Graphviz's SVG made ready to be shown: described, with tooltips that browsers show, undated."""

from __future__ import annotations

import re
from io import BytesIO
from xml.sax.saxutils import escape

_DOTS = rb'stroke-dasharray="1.6,3"'
"""Points of ink and of paper in a dotted line; Graphviz's own, 1 and 5, are faint in print."""

_PIECE = 2**20
"""Bytes that are changed at once, at least."""


def finish(svg: bytes, title: str, description: str) -> bytes:
    """The SVG with a title and a description for the whole and for each box and shortcut.

    Comments (the Graphviz version among them) and the document type go, as do the titles that
    Graphviz gives to all things, which are ids and would show up as tooltips.
    """
    # By patterns on what Graphviz writes, a tag a line, and not as a tree: of the deepest network
    # that has 400,000 elements, which took five times as long and 200 MB.
    begin = svg.index(b"<svg")
    start = svg.index(b">", begin) + 1
    done = BytesIO()
    done.write(_head(svg[begin:start], title, description))
    while start < len(svg):
        # Each thing has a comment before it: what is between two comments can be taken alone.
        end = svg.find(b"<!--", start + _PIECE)
        end = len(svg) if end < 0 else end
        done.write(_changed(svg[start:end]))
        start = end
    return done.getvalue()


def _head(root: bytes, title: str, description: str) -> bytes:
    """The document's beginning, with what describes it; ``root`` has the attributes of its tag."""
    sizes = re.findall(rb' (?:width|height|viewBox)="[^"]*"', root.replace(b"\n", b" "))
    told = "".join(
        f'\n<{tag} id="figure-{tag}">{escape(text)}</{tag}>'
        for tag, text in (("title", title), ("desc", description))
    )
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + b'<svg xmlns="%s"%s%s>%s' % (
        b"http://www.w3.org/2000/svg",
        b"".join(sizes),
        b' role="img" aria-labelledby="figure-title" aria-describedby="figure-desc"',
        told.encode(),
    )


def _changed(body: bytes) -> bytes:
    for pattern, words in _CHANGES:
        body = pattern.sub(words, body)
    for old, new in _COMMON:
        body = body.replace(old, new)
    return _REFERENCE.sub(_character, body)


def _tooltip(title: re.Match[bytes]) -> bytes:
    """A tooltip, which Graphviz wraps around things as a link, in place of the id in the title."""
    return b"" if title[1] is None else b"<title>%s</title>\n" % title[1]


_CHANGES = (
    (re.compile(rb"<!--.*?-->", re.DOTALL), b""),
    (
        re.compile(rb'<title>[^<]*</title>\n(?:<g id="[^"]*"><a xlink:title="([^"]*)">\n)?'),
        _tooltip,
    ),
    (re.compile(rb'stroke-dasharray="[^"]*"'), _DOTS),
)
_REFERENCE = re.compile(rb"&(#\d+|quot|apos);")
_COMMON = (
    (b"</a>\n</g>\n", b""),
    (b'"/>', b'" />'),
    (b'"></text>', b'" />'),
    (b"&#45;", b"-"),
    (b"&#10;", b"\n"),
)
_KEPT = {"&": b"&amp;", "<": b"&lt;", ">": b"&gt;"}
_NAMED = {b"quot": b'"', b"apos": b"'"}


def _character(reference: re.Match[bytes]) -> bytes:
    """The character that a reference stands for, where text may have it as it is."""
    name = reference[1]
    if name in _NAMED:
        return _NAMED[name]
    character = chr(int(name[1:]))
    return _KEPT.get(character, character.encode())
