"""From networks to the page: what the template shows, in the order in which it does."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from archc import analysis
from archc.analysis import Count, Memory
from archc.backends.figure import MOST_LAYERS
from archc.backends.figure.pages import figure_css
from archc.backends.figure.scene import element_id
from archc.backends.figure.text import one_line
from archc.backends.numbers import exactly, percent, shape
from archc.backends.pytorch import EmitError, emit
from archc.backends.table import Table
from archc.dataclassing import dataclass
from archc.graph import Network, Node
from archc.pages.figures import Figure, draw_figure, elements
from archc.tables import counts as count_tables
from archc.tables import diff as diff_tables
from archc.tables import views
from archc.text import listing, visible
from archc.words import summary

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_STYLES = ("default", "github-dark")
"""pygments' styles of the source, light and dark."""


MAX_HIGHLIGHTED = 5_000
"""Lines of a source that are coloured; 30,000 take pygments seven seconds and a browser more."""

MAX_TITLE = 80
"""The most characters of a network's title in that of the page."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table of stages, with shares of the whole for its bars."""

    name: str
    output: str
    layers: int
    params: str
    params_share: float
    multiply_adds: str
    multiply_adds_share: float


@dataclass(frozen=True, slots=True)
class Section:
    """What the report says of one network."""

    anchor: str
    spec: str
    title: str
    description: str
    totals: str
    stages: tuple[Stage, ...]
    layers: Markup
    memory: Table
    source: Markup
    lines: int


def report(
    networks: Sequence[Network],
    specs: Sequence[str],
    *,
    fold: bool | None = None,
    diff: bool = False,
) -> str:
    """The report as one HTML document; ``specs`` are how the networks' specs are called.

    With ``fold`` the figure first shows equal blocks in a row once; by default where a network has
    more than `MOST_LAYERS` layers. The reader can fold and unfold it. With ``diff`` it marks what
    differs between the two networks. The same networks give the same text. Raises ValueError for no
    network.
    """
    if not networks:
        raise ValueError("no network to report on")
    if fold is None:
        fold = any(network.layers > MOST_LAYERS for network in networks)
    figure = draw_figure(
        networks, fold, diff=diff
    )  # first, since nothing else takes as much memory
    sections = [
        _section(number, network, spec, figure)
        for number, (network, spec) in enumerate(zip(networks, specs, strict=True), start=1)
    ]
    style = figure_css() + page_resource("figure.css") + page_resource("report.css") + _source_css()
    script = page_resource("figure.js") + page_resource("report.js")
    text: str = (
        _template()
        .get_template("report.html")
        .render(
            title=listing([_cut(section.title) for section in sections], "and"),
            sections=sections,
            figure=figure,
            comparison=_comparison(networks, specs),
            style=style,
            script=script,
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )
    return text


@cache
def page_resource(name: str) -> str:
    """A text that lies beside the templates."""
    return resources.files("archc.pages").joinpath(name).read_text(encoding="utf-8")


def _template() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("archc.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["percent"] = percent
    made.filters["unbroken"] = unbroken
    return made


def unbroken(text: str) -> Markup:
    """A list of facts, ``34 layers, 21.62 M parameters``, that is broken only between them."""
    from markupsafe import Markup

    return Markup(", ").join(
        [Markup('<span class="unbroken">{}</span>').format(fact) for fact in text.split(", ")]
    )


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _source_css() -> str:
    """pygments' colours: light, and dark where the page is."""
    from pygments.formatters import HtmlFormatter

    light, dark = (HtmlFormatter(style=style) for style in _STYLES)
    rules = light.get_style_defs(".source")
    prefixes = (
        (
            "@media screen and (prefers-color-scheme: dark) {",
            ":root:not([data-theme=light]) .source",
            "}",
        ),
        ("@media screen {", ":root[data-theme=dark] .source", "}"),
    )
    for opening, prefix, closing in prefixes:
        rules += f"\n{opening}\n{dark.get_style_defs(prefix)}\n{closing}"
    # Where pygments frames what it takes for an error, the page has none.
    return re.sub(r"(?m)^pre \{.*$|^td\.linenos.*$|^span\.linenos.*$", "", rules) + "\n"


def _cut(title: str) -> str:
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"


# Sections


def _section(number: int, network: Network, spec: str, figure: Figure) -> Section:
    stages = analysis.count(network, "stage")
    try:
        source = emit(network)
    except EmitError as error:  # the rest of the page shows it all the same
        source = f"# {error.message}\n"
    memory = analysis.memory(network)
    return Section(
        anchor=f"network-{number}",
        spec=visible(spec),
        title=one_line(network.title) or one_line(network.name) or "network",
        description=one_line(network.description),
        totals=f"{summary(network)}, for one {shape(network.input_shape)} image",
        stages=tuple(_stages(stages)),
        layers=_layers(number, network, figure, memory),
        memory=views.memory_summary(memory),
        source=_highlighted(source),
        lines=source.count("\n"),
    )


def _stages(one: Count) -> list[Stage]:
    return [
        Stage(
            name=row.name,
            output=shape(row.output_shape),
            layers=row.layers,
            params=exactly(row.params),
            params_share=row.params / one.params if one.params else 0.0,
            multiply_adds=exactly(row.multiply_adds),
            multiply_adds_share=row.multiply_adds / one.multiply_adds if one.multiply_adds else 0.0,
        )
        for row in one.rows
    ]


def _layers(number: int, network: Network, figure: Figure, memory: Memory) -> Markup:
    """A row for each op, with the id of what shows it in the figure, unfolded and folded.

    Not by the template, which takes three times as long for the ops of a deep network.
    """
    from markupsafe import Markup

    prefix = f"c{number}"
    shown = {
        "data-folded" if folded else "data-box": elements(figure, prefix, network, folded=folded)
        for folded in figure.ids
    }
    fields = {row.name: row for row in analysis.receptive_fields(network).rows}
    kept = {row.name: row.kept for row in memory.rows}
    whole = network.multiply_adds or 1

    def row(node: Node) -> str:
        field = fields.get(node.id)
        boxes = [f' {key}="{ids[node.id]}"' for key, ids in shown.items() if node.id in ids]
        multiply_adds = 0 if node.id in network.side_of else node.multiply_adds
        sizes = [network.nodes[one].output_shape for one in node.inputs]
        facts = (
            escape(node.op.called),
            ", ".join(map(shape, sizes)),
            shape(node.output_shape),
            "" if field is None else shape(field.size),
        )
        numbers = (
            exactly(node.params) if node.params else "",
            exactly(multiply_adds) if multiply_adds else "" if node.op.has_rule else "no rule",
            percent(multiply_adds / whole) if multiply_adds else "",
            exactly(kept[node.id]) if kept.get(node.id) else "",
        )
        attributes = f'{"".join(boxes)} tabindex="-1"' if boxes else ""
        return (
            f'<tr id="row-{element_id(prefix, node.id)}"{attributes}>'
            f'<th scope="row">{escape(node.id)}</th>'
            + "".join([f"<td>{fact}</td>" for fact in facts])
            + "".join([f'<td class="number">{number}</td>' for number in numbers])
            + "</tr>\n"
        )

    return Markup("".join([row(node) for node in list(network.nodes.values())[1:]]))


def _highlighted(source: str) -> Markup:
    """The source in colours, or without them where it is too long for anybody to read it all."""
    from markupsafe import Markup

    if source.count("\n") > MAX_HIGHLIGHTED:
        return Markup.escape(source)
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)))


def _comparison(networks: Sequence[Network], specs: Sequence[str]) -> list[Table]:
    """All networks in one table, then each beside the first one."""
    if len(networks) == 1:
        return []
    counts = [analysis.count(network, "network") for network in networks]
    tables = [replace(count_tables.compared(specs, counts), title="All networks")]
    for other, name in zip(networks[1:], specs[1:], strict=True):
        found = analysis.compare(networks[0], other)
        tables.append(diff_tables.noted_totals(found, specs[0], name))
        if not found.same:
            table = diff_tables.parts(found, specs[0], name)
            tables.append(replace(table, title=f"{specs[0]} and {name}, part by part"))
    return tables
