"""What makes a command start quickly, besides that nothing is imported before it is needed."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType

GC_THRESHOLDS = (50_000, 100, 100)
"""Python searches for garbage after so many new objects, and among older ones only every hundredth
time; by default after 700, and every tenth time."""


def start_quickly() -> None:
    """Spare what costs time at every start: measured, a tenth of it."""
    # Importing makes objects by the hundred thousand, and none of them is garbage.
    gc.set_threshold(*GC_THRESHOLDS)
    # archc uses no pydantic plugins. Even with plugins disabled, pydantic imports
    # `importlib.metadata` in its loader, so an empty loader takes its place.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__":
        loader = ModuleType("pydantic.plugin._loader")
        loader.get_plugins = lambda: ()  # type: ignore[attr-defined]
        sys.modules.setdefault(loader.__name__, loader)
