"""The layers of stem and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.blocks.library import Library
from archc.blocks.names import Names
from archc.blocks.rows import Rows
from archc.source.diagnostics import Findings
from archc.source.reader import Value
from archc.spec.models import PlacedItem


def place_row(
    values: Sequence[Value],
    names: Names,
    library: Library,
    broken: set[str],
    findings: Findings,
    written: Mapping[str, Value] | None = None,
    row_name: str = "",
) -> tuple[PlacedItem, ...]:
    """The valid items of a stem or a head, what is wrong with others being noted; of ``broken``
    blocks nothing more is said. ``written`` are stem and head by their keys, ``row_name`` is that
    of the row at hand: a label of one may be read in the other in vain."""
    rows = Rows(names, library.definition, library, findings, in_definition=False, broken=broken)
    rows.rows, rows.row_name = written or {}, row_name
    found = [(rows.item(value), value) for value in values]
    return tuple([PlacedItem(item, value) for item, value in found if item is not None])
