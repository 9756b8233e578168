"""What notebooks show of a network: its figure, equal blocks drawn once, and its totals."""

from __future__ import annotations

import hashlib
import re
from html import escape

from archc.backends.figure import DrawOptions, draw
from archc.backends.figure.pages import figure_css, figure_element
from archc.backends.numbers import shape
from archc.graph import Network
from archc.words import facts

_STYLE = """
@supports (color: light-dark(#000, #fff)) {{
#{name} {{ color-scheme: light dark; }}
:is([data-jp-theme-light="true"], .vscode-light) #{name} {{ color-scheme: light; }}
:is([data-jp-theme-light="false"], .vscode-dark) #{name} {{ color-scheme: dark; }}
@media print {{ #{name}#{name} {{ color-scheme: light; }} }}
{colours}}}
#{name} svg {{ max-width: 100%; height: auto; }}
#{name} p {{ overflow-wrap: anywhere; }}
#{name} .unbroken {{ white-space: nowrap; }}
"""
"""Light or dark as JupyterLab and VS Code say that their theme is, elsewhere as the reader prefers.
Where a notebook is shown without its styles, or by an old browser, the figure is light."""


def svg(network: Network) -> str:
    """The figure as an SVG element, without what stands before it in a file."""
    return _figure(network)[1]


def html(network: Network) -> str:
    """The name and the totals above the figure, which follows the theme of the page."""
    prefix, figure = _figure(network)
    name = f"{prefix}network"
    colours = figure_css().replace(":root", f"#{name}").replace("#figure", f"#{prefix}figure")
    style = _STYLE.format(name=name, colours=colours)
    told = [*facts(network), f"for one {shape(network.input_shape)} image"]
    totals = ", ".join([f'<span class="unbroken">{escape(fact)}</span>' for fact in told])
    heading = f"<p><strong>{escape(network.title or network.name)}</strong><br/>{totals}</p>"
    return f'<div id="{name}"><style>{style}</style>{heading}{figure}</div>'


def _figure(network: Network) -> tuple[str, str]:
    """The figure, and what all ids in it begin with.

    A notebook shows many figures: ids are unique in all of it, and the same for the same figure.
    """
    text = figure_element(draw([network], "svg", DrawOptions(fold=True)))
    prefix = f"archc-{hashlib.sha256(text.encode()).hexdigest()[:8]}-"
    ids = r'( (?:id|aria-labelledby|aria-describedby)=")'
    return prefix, re.sub(ids, rf"\g<1>{prefix}", text)
