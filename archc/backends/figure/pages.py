"""Figures inside of pages: as an element, with colours that follow the page's."""

from __future__ import annotations

import re

from archc.backends.figure.dot import THEMES, Theme

_RULES = """
#figure > polygon { fill: var(--paper); }
#figure .stripe polygon { fill: var(--stripe); stroke: var(--stripe); }
#figure .conv polygon, #figure .pool polygon, #figure .fc polygon, #figure .other polygon {
  fill: var(--paper);
  stroke: var(--outline);
}
#figure text { fill: var(--ink); }
#figure .edge path { stroke: var(--ink); }
#figure .edge polygon { stroke: var(--ink); fill: var(--ink); }
"""


def figure_element(svg: bytes) -> str:
    """An SVG file as an element whose parts can be reached by keyboard and by screen readers."""
    text = re.sub(r"^<\?xml[^>]*\?>\s*", "", svg.decode())
    return text.replace('role="img" ', 'role="group" ', 1)


def figure_css() -> str:
    """The colours of figures in a page: light or dark as the reader prefers.

    ``data-theme`` on the page's root element says otherwise.
    """
    light, dark = (_variables(THEMES[name]) for name in ("light", "dark"))
    shades = range(len(THEMES["light"].fills))
    return "\n".join(
        [
            f":root {{ {light} }}",
            "@media screen and (prefers-color-scheme: dark) {"  # paper is white
            f" :root:not([data-theme=light]) {{ {dark} }} }}",
            f"@media screen {{ :root[data-theme=dark] {{ {dark} }} }}",
            _RULES,
            *[f"#figure .shade-{i} polygon {{ fill: var(--shade-{i}); }}" for i in shades],
            "",
        ]
    )


def _variables(theme: Theme) -> str:
    """A theme as the variables that the style of a page uses."""
    named = {name: getattr(theme, name) for name in ("paper", "ink", "stripe", "outline")}
    named |= {f"shade-{number}": fill for number, fill in enumerate(theme.fills)}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())
