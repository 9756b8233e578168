"""Figures inside of pages: as an element, with colours that follow the page's."""

from __future__ import annotations

import re

from archc.backends.figure.theme import THEMES

_RULES = """
#figure { fill: var(--ink); }
#figure :is(rect, circle) { fill: var(--paper); stroke: var(--outline); }
#figure > rect { stroke: none; }
#figure .stripe rect { fill: var(--stripe); stroke: none; }
#figure path { stroke: var(--ink); }
#figure polygon { fill: var(--ink); }
"""


def figure_element(svg: bytes) -> str:
    """An SVG file as an element whose parts can be reached by keyboard and by screen readers."""
    text = re.sub(r"^<\?xml[^>]*\?>\s*", "", svg.decode())
    return text.replace('role="img" ', 'role="group" ', 1)


def figure_css() -> str:
    """The colours of figures in a page: light or dark, as the page's ``color-scheme`` is."""
    light, dark = THEMES["light"], THEMES["dark"]
    shades = range(len(light.fills))
    pairs = {
        "paper": (light.paper, dark.paper),
        "ink": (light.ink, dark.ink),
        "stripe": (light.stripe, dark.stripe),
        "outline": (light.outline, dark.outline),
        **{f"shade-{i}": (light.fills[i], dark.fills[i]) for i in shades},
    }
    variables = " ".join(
        f"--{name}: light-dark({', '.join(pair)});" for name, pair in pairs.items()
    )
    fills = [f"#figure .shade-{i} :is(rect, circle) {{ fill: var(--shade-{i}); }}" for i in shades]
    return "\n".join([f":root {{ {variables} }}", _RULES, *fills, ""])
