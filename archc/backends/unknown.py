"""What a total leaves out, in words: ops that archc has no rule for."""

from __future__ import annotations

from collections.abc import Mapping

from archc.backends.numbers import counted, exactly, in_short
from archc.graph import Network
from archc.text import listing, visible

MOST = 6
"""How many names are listed."""

_LONGEST = 40


def without_rule(ops: Mapping[str, int]) -> str:
    """Ops by name in a line, or nothing where there are none.

    >>> without_rule({"conv3d": 1, "grid_sampler": 3})
    '+ 4 ops with no rule: conv3d, 3 grid_sampler'
    """
    if not ops:
        return ""
    return f"+ {counted(sum(ops.values()), 'op')} with no rule: {names(ops)}"


def names(ops: Mapping[str, int]) -> str:
    """Ops by name, with how many there are of each where that is several."""
    words = [
        f"{exactly(count)} {_name(name)}" if count > 1 else _name(name)
        for name, count in list(ops.items())[:MOST]
    ]
    more = len(ops) - MOST
    return listing([*words, f"{more} more kinds"], "and") if more > 0 else ", ".join(words)


def _name(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def apart(products: int) -> str:
    """Multiply-adds of values with values, as a part of all, or nothing where there are none.

    >>> apart(715_327_488)
    '715.33 M of them in products of attention'
    """
    return f"{in_short(products)} of them in products of attention" if products else ""


def remarks(network: Network) -> tuple[str, ...]:
    """Both in short lines, as far as there is something to say."""
    lines = [f"{in_short(network.products)} of them in attention"] if network.products else []
    ops = network.no_rule
    if ops:
        lines.append(f"+ {counted(sum(ops.values()), 'op')} with no rule:")
        lines += [
            f"{exactly(count)} {_name(name)}" if count > 1 else _name(name)
            for name, count in list(ops.items())[:MOST]
        ]
        if len(ops) > MOST:
            lines.append(f"and {len(ops) - MOST} more kinds")
    return tuple(lines)


def remark(network: Network) -> list[str]:
    """Both in words for a line."""
    return [" ".join(filter(None, (apart(network.products), without_rule(network.no_rule))))]
