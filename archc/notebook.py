"""What notebooks show of a network: its figure and its totals."""

from __future__ import annotations

import hashlib
import re
from html import escape

from archc.backends.figure import MOST_LAYERS, DrawOptions, draw
from archc.backends.figure.pages import figure_element
from archc.backends.numbers import shape
from archc.graph import Network
from archc.words import summary


def svg(network: Network) -> str:
    """The figure as an SVG element, without what stands before it in a file."""
    options = DrawOptions(fold=network.layers > MOST_LAYERS)
    text = figure_element(draw([network], "svg", options))
    # A notebook shows many: ids are unique in all of it, and the same for the same figure.
    prefix = f"archc-{hashlib.sha256(text.encode()).hexdigest()[:8]}-"
    return re.sub(r'( (?:id|aria-labelledby|aria-describedby)=")', rf"\g<1>{prefix}", text)


def html(network: Network) -> str:
    """The name and the totals above the figure."""
    totals = f"{summary(network)} (one {shape(network.input_shape)} image)"
    heading = f"<p><strong>{escape(network.title or network.name)}</strong><br/>{totals}</p>"
    return f"<div>{heading}{svg(network)}</div>"
