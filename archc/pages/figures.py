"""The figure of a page: with equal blocks folded and without, and the files that it is saved as."""

from __future__ import annotations

import base64
import re
import warnings
import zlib
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from archc.backends.figure import DrawOptions, FigureError, draw
from archc.backends.figure.columns import column, folded_column
from archc.backends.figure.model import Column
from archc.backends.figure.pages import figure_element
from archc.backends.figure.rows import PILL_ID
from archc.backends.figure.scene import element_id
from archc.choices import FORMATS
from archc.dataclassing import dataclass
from archc.errors import ArchcWarning
from archc.graph import Network, fold_repeats

SAVED = {
    "svg": ("SVG", "image/svg+xml"),
    "pdf": ("PDF", "application/pdf"),
    "tex": ("TikZ", "application/x-tex"),
}
"""What a reader may save a figure as: by format what the button says, and the file's type."""

MAX_BOTH = 2_000
"""Of how many layers a page has both forms at most: 10,000 blocks would be 20 MB, and a minute."""

MAX_NAME = 80
"""The most characters of a file's name, without its suffix."""


@dataclass(frozen=True, slots=True)
class File:
    """A figure as a file of one format.

    ``data`` is the file, compressed by raw deflate, in base64: a tenth of an SVG's size. It is
    empty where the format cannot carry the figure, and ``fault`` says why.
    """

    name: str
    format: str
    label: str
    type: str
    folded: bool
    data: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as an element, drawn ``folded`` or not, and its files.

    ``files`` has those of all forms that there are: of both, folded and not, where that makes a
    difference (``folds``). ``notes`` are what to know of some files, ``ids`` those of its parts, by
    whether it is folded.
    """

    element: str
    folded: bool
    files: tuple[File, ...]
    notes: tuple[str, ...]
    ids: Mapping[bool, frozenset[str]]

    @property
    def folds(self) -> bool:
        """Whether there are both forms."""
        return len(self.ids) == 2

    @property
    def formats(self) -> dict[str, str]:
        """What each format is called on its button."""
        return {file.format: file.label for file in self.files}


def draw_figure(networks: Sequence[Network], folded: bool, *, diff: bool = False) -> Figure:
    """Draw networks side by side for a page that shows them ``folded`` at first, or not.

    With ``diff`` what differs between the two networks is marked.

    It has no other form where folding changes nothing, and where networks have more than `MAX_BOTH`
    layers in all.
    """
    both = sum(network.layers for network in networks) <= MAX_BOTH
    forms = {
        fold: draw(networks, "svg", DrawOptions(fold=fold, diff=diff))
        for fold in ((False, True) if both else (folded,))
    }
    if both and forms[False] == forms[True]:
        folded = False
        del forms[True]
    notes: dict[str, None] = {}
    files = [
        _file(networks, format, DrawOptions(fold=fold, diff=diff), notes)
        for fold in forms
        for format in SAVED
        if format in FORMATS
    ]
    return Figure(
        element=figure_element(forms[folded]),
        folded=folded,
        files=tuple(files),
        notes=tuple(notes),
        ids={fold: _ids(svg.decode()) for fold, svg in forms.items()},
    )


def _ids(svg: str) -> frozenset[str]:
    """The ids of an SVG's parts, the groups with a tooltip; in its text a ``<`` is escaped."""
    return frozenset(re.findall(r'<g [^>]*?\bid="([^"]*)"[^>]*>\s*<title>', svg))


def _file(
    networks: Sequence[Network], format: str, options: DrawOptions, notes: dict[str, None]
) -> File:
    label, type = SAVED[format]
    fold = options.fold
    name = f"{file_name(networks)}{'-diff' * options.diff}{'-folded' * fold}.{format}"
    fault, data = "", b""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ArchcWarning)
        try:
            data = draw(networks, format, options)
        except FigureError as error:
            fault = f"{label}: {error}"
    notes |= {str(one.message): None for one in caught}
    return File(name, format, label, type, fold, _packed(data) if data else "", fault)


def _packed(data: bytes) -> str:
    pressed = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)  # what browsers call `deflate-raw`
    return base64.b64encode(pressed.compress(data) + pressed.flush()).decode()


def file_name(networks: Sequence[Network]) -> str:
    """What a file of a figure is called, without its suffix: after the networks in it."""
    name = "-".join(dict.fromkeys(network.name for network in networks))
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME].rstrip('-')}-etc"


# Which element of the figure shows an op


def elements(figure: Figure, prefix: str, network: Network, *, folded: bool) -> dict[str, str]:
    """The ids of the elements that show a network's ops, by the ops' ids.

    That is an op's own box, the box that represents it among others, or the shortcut that it is on
    or ends; in a ``folded`` figure that of the equal block that is drawn. ``prefix`` is the
    column's. Ops that are not shown are left out.
    """
    ids = figure.ids[folded]
    if not folded:
        return _of_column(column(network), prefix, network, ids)
    kept = fold_repeats(network)
    found = _of_column(folded_column(network), prefix, kept.network, ids)
    standings = network.standings
    blocks = {
        place: list(block)
        for place, block in groupby(
            network.nodes, lambda id: (standings[id].stage, standings[id].block)
        )
    }
    for (stage, first), last in kept.runs.items():
        for other in range(first + 1, last + 1):
            pairs = zip(blocks[stage, first], blocks[stage, other], strict=True)
            found |= {id: found[drawn] for drawn, id in pairs if drawn in found}
    return found


def _of_column(
    shown: Column, prefix: str, network: Network, ids: Collection[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for box in shown.boxes:
        found |= dict.fromkeys([box.id, *box.holds, *box.like], element_id(prefix, box.id))
    for (join, source), shortcut in shown.shortcut_of.items():
        name = element_id(prefix, shown.curve_name(join, source))
        found |= dict.fromkeys(shortcut.ops, name)
    for pill in shown.pill_of.values():
        found |= dict.fromkeys(pill.holds, element_id(prefix, pill.id) + PILL_ID)
    for side in shown.sides:
        own = [id for id, name in network.side_of.items() if name in side.names]
        found |= dict.fromkeys(own, element_id(prefix, side.names[0]))
    for id in network.nodes:  # where shortcuts end, and whatever else is drawn under its own id
        found.setdefault(id, element_id(prefix, id))
    return {id: name for id, name in found.items() if name in ids}
