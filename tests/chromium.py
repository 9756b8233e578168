"""Where a Chromium is, for the tests that look at pages."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """The browser's program, if there is one; ARCHC_CHROMIUM names another."""
    named = os.environ.get("ARCHC_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)
