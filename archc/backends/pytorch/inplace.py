"""Which values the emitted module overwrites.

On a CPU a fresh tensor costs page faults: measured, relu and sum in place make a ResNet-50's
forward 3 to 5 % quicker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.backends.pytorch.classes import Class
from archc.backends.pytorch.tree import Group, Leaf
from archc.graph import Network, overwritable


def overwritten(network: Network, root: Group, classes: Mapping[Group, Class]) -> frozenset[str]:
    """The ids of the values that may be changed in place.

    Where an optional child is left out, its value is its input's, which is not its own to change.
    """
    return overwritable(network, keep=frozenset(_optional(root, classes)))


def _optional(group: Group, classes: Mapping[Group, Class]) -> Iterator[str]:
    one = classes.get(group)
    for child in group.children.values():
        if isinstance(child, Group):
            yield from _optional(child, classes)
        elif isinstance(child, Leaf) and one is not None and one.optional == child.name:
            yield child.node.id
