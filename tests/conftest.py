"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator

import pytest
from chromium import find_chromium
from hypothesis import settings

from archc.source.caller import on_command_line

# Tests run in as many processes as there are cores; torch must not take all cores in each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The gate asks the same of every run; HYPOTHESIS_PROFILE=search looks for what is new.
settings.register_profile("gate", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("search", max_examples=5000, print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not tested for want of a program."""
    if find_chromium() is None:
        terminalreporter.write_line(
            "No Chromium is installed: the tests of pages in it (tests/browser) were skipped."
        )
    for program, tests in (
        ("pdflatex", "the tests that compile TeX files"),
        ("pdffonts", "the tests of PDF files by poppler's tools"),
    ):
        if shutil.which(program) is None:
            terminalreporter.write_line(f"No {program} is installed: {tests} were skipped.")


def pytest_collection_finish() -> None:
    """Search for garbage less often, and not among what importing made.

    torch and the modules of the tests are a million objects that stay, and Python would go through
    them again and again: a sixth of the time of a run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def speaking_command_line() -> Iterator[None]:
    """Messages name options as the command line does: ``--input``, not ``input=``."""
    with on_command_line():
        yield
