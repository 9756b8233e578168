"""What notebooks show of a network: its figure and its totals."""

from __future__ import annotations

from html import escape

from archc.backends.figure import DrawOptions, draw
from archc.backends.figure.pages import figure_element
from archc.backends.numbers import shape
from archc.graph import Network
from archc.words import summary

MOST_LAYERS = 50
"""Up to how many layers a network is drawn whole; of deeper ones equal blocks are drawn once."""


def svg(network: Network) -> str:
    """The figure as an SVG element, without what stands before it in a file."""
    options = DrawOptions(fold=network.layers > MOST_LAYERS)
    return figure_element(draw([network], "svg", options))


def html(network: Network) -> str:
    """The name and the totals above the figure."""
    totals = f"{summary(network)} (one {shape(network.input_shape)} image)"
    heading = f"<p><strong>{escape(network.title or network.name)}</strong><br/>{totals}</p>"
    return f"<div>{heading}{svg(network)}</div>"
