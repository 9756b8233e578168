"""How networks and results are shown in Python and in notebooks."""

from __future__ import annotations

from typing import Any

from archc.graph import Network
from archc.shown import Way
from archc.tables.results import html_of, text_of, words_of


def show(way: Way, result: Any) -> str | None:
    """A network or a result in words, as text or as HTML; None where it is not shown so."""
    if way == "words":
        return words_of(result)
    if way == "text":
        return text_of(result)
    if isinstance(result, Network) and result.nodes:
        from archc import notebook

        return notebook.svg(result) if way == "svg" else notebook.html(result)
    return html_of(result) if way == "html" else None
