"""What files that extend others share: each is a mapping, and may begin from another file."""

from __future__ import annotations

from collections.abc import Callable

from archc.source.diagnostics import Findings, Place, Source, SpecError
from archc.source.files import identity
from archc.source.reader import MAX_BYTES, Entry, Value, read
from archc.source.validate import code_of, describe, is_nothing, tainted
from archc.text import quote

MAX_ANCESTORS = 64


def read_mapping(
    source: Source, findings: Findings, hint: str
) -> tuple[dict[str, Entry], Place] | None:
    """The keys of a file and where they begin, or None, what is wrong being noted."""
    try:
        root = read(source, findings)
    except SpecError as error:
        findings.add(error)
        return None
    if isinstance(root.data, dict):
        return root.data, root.place
    if not tainted(root):
        told = f"a {source.kind} is a mapping, not {describe(root)}"
        if root.data is None:
            told = f"the {source.kind} is empty"
        findings.error(
            root.place, told, hint, code="empty-file" if root.data is None else "wrong-type"
        )
    return None


def open_ancestor(
    value: Value,
    chain: tuple[Source, ...],
    open_parent: Callable[[str, Place], Source],
    example: str,
    findings: Findings,
) -> Source | None:
    """What ``extends`` of the last file of a chain names, or None, what is wrong being noted.

    The chain begins with the youngest file; ``open_parent`` opens a name at its place.
    """
    kind, place = chain[-1].kind, value.place
    if tainted(value):
        return None
    if not isinstance(value.data, str) or not value.data:
        what = f"must be a path or the name of a shipped {kind}, not {describe(value)}"
        message = f"`extends` {'has no value' if is_nothing(value) else what}"
        findings.error(place, message, f"for example `extends: {example}`", code=code_of(value))
        return None
    try:
        parent = open_parent(value.data, place)
    except SpecError as error:
        findings.add(error)
        return None
    if identity(parent) in map(identity, chain):
        way = "" if identity(parent) == identity(chain[-1]) else ", through this line"
        findings.error(place, f"{quote(value.data)} extends itself{way}", code="circular-extends")
    elif len(chain) > MAX_ANCESTORS:
        findings.error(
            place, f"a {kind} may have at most {MAX_ANCESTORS} ancestors", code="limit-exceeded"
        )
    elif sum(len(one.text) for one in (*chain, parent)) > MAX_BYTES:
        findings.error(
            place,
            f"a {kind} and its ancestors may have {MAX_BYTES:,} bytes in total",
            code="limit-exceeded",
        )
    else:
        return parent
    return None
