"""Packages whose names are imported when they are first asked for, so that a command imports what
it uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__``: ``homes`` has the module of each name, relative to it.

    No module may have the name of what a package exports: importing the module would put it in
    the place of the name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name], package), name)
        import_module(package).__dict__[name] = found
        return found

    return find
