"""Packages that archc does without until something needs them."""

from __future__ import annotations

from importlib.util import find_spec


def require(module: str, what: str, extra: str, *, package: str | None = None) -> None:
    """Raise ModuleNotFoundError, with the extra of archc's to install, where a module is missing.

    ``what`` needs it; ``package`` is what people call it, where that is not the module's name.
    """
    if find_spec(module) is None:
        words = f"{what} needs {package or module}: pip install 'archc[{extra}]'"
        raise ModuleNotFoundError(words, name=module)
