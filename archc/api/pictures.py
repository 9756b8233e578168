"""Networks as figures, pages and graphs for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archc.api.reading import SpecLike, called, network_of
from archc.choices import Detail, FigureFormat, Heat, ThemeName, diff_conflict
from archc.widths import parse_width

if TYPE_CHECKING:
    from archc.backends.figure import Drawing


def draw(
    *specs: SpecLike,
    format: FigureFormat = "svg",
    fold: bool = False,
    blocks: bool = False,
    theme: ThemeName = "light",
    dpi: int = 144,
    transparent: bool = False,
    overview: bool = False,
    diff: bool = False,
    heat: Heat | None = None,
    block: str | Sequence[str] = (),
    detail: Detail | None = None,
    width: str | float | None = None,
    font_size: float | None = None,
) -> bytes:
    """A figure of the networks side by side; ``format`` is svg, png, pdf, tex (TikZ) or dot.

    With ``fold`` equal blocks in a row are drawn once, with ``blocks`` the distinct blocks large.
    ``theme`` is light, dark or grey, ``dpi`` the pixels per inch of a PNG; with ``transparent`` no
    ground is painted. ``overview`` draws a box for each stage, ``diff`` marks what differs between
    two networks, and ``heat`` shades boxes by their share of the params, the multiply_adds or the
    memory. ``block`` draws the blocks of these types or classes large, or those at
    ``"stage:block"``; ``detail="norms"`` names norms and activations beside arrows. ``width`` on
    paper is ``"column"``, ``"page"``, a length such as ``"3.25in"``, or points; ``font_size`` is
    that of labels in points. Raises `FigureError` where a format cannot carry the figure, and for
    options that cannot be used together.
    """
    drawn = figure(
        *specs,
        format=format,
        fold=fold,
        blocks=blocks,
        theme=theme,
        dpi=dpi,
        transparent=transparent,
        overview=overview,
        diff=diff,
        heat=heat,
        block=block,
        detail=detail,
        width=width,
        font_size=font_size,
    )
    return drawn.content


def figure(
    *specs: SpecLike,
    format: str = "svg",
    block: str | Sequence[str] = (),
    width: str | float | None = None,
    **options: Any,
) -> Drawing:
    """As `draw`, with the size of type that the figure's labels have on paper."""
    from archc.backends.figure import DrawOptions, FigureError, drawing

    try:
        points = parse_width(width) if isinstance(width, str) else width
    except ValueError as error:
        raise FigureError(str(error)) from None
    blocks = (block,) if isinstance(block, str) else tuple(block)
    chosen = DrawOptions(block=blocks, width=points, **options)
    return drawing([network_of(spec) for spec in specs], format, chosen)


def report(
    *specs: SpecLike,
    fold: bool | None = None,
    names: Sequence[str] | None = None,
    diff: bool = False,
) -> str:
    """Figure, tables and source of networks as one HTML document that needs nothing else.

    Several are drawn side by side and compared with the first. With ``fold`` the figure first shows
    equal blocks in a row once; by default where a network has more than 60 layers. ``names`` are
    what the specs are called. With ``diff`` the figure marks what differs between two. Raises
    ValueError for no spec, and with ``diff`` for any number but two.
    """
    from archc.pages import report

    networks = [network_of(spec) for spec in specs]
    if names is None:
        names = [called(one) for one in specs]
    elif len(names) != len(specs):
        raise ValueError(f"there are {len(names)} `names` for {len(specs)} networks")
    if diff and (trouble := diff_conflict(len(networks), "`diff`")):
        raise ValueError(trouble)
    return report(networks, names, fold=fold, diff=diff)


def to_json(spec: SpecLike) -> str:
    """The graph as networkx's node-link JSON."""
    from archc.backends.graphs import to_json

    return to_json(network_of(spec))


def to_graphml(spec: SpecLike) -> bytes:
    """The graph as GraphML."""
    from archc.backends.graphs import to_graphml

    return to_graphml(network_of(spec))
