"""Headless Chromium for the tests that look at pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chromium import find_chromium
from pages import Watched
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests of this process; they are skipped where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        # Whoever is root, as in containers, gets no sandbox.
        arguments = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The colours that the reader prefers."""
    return str(request.param)


@contextmanager
def new_page(browser: Browser, scheme: str) -> Iterator[Watched]:
    """A page of its own for a reader who prefers a colour scheme."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 1400, "height": 1000},
    )
    yield Watched(context.new_page())
    context.close()


@pytest.fixture
def watched(browser: Browser, scheme: str) -> Iterator[Watched]:
    """A new page for each test, in both colour schemes."""
    with new_page(browser, scheme) as page:
        yield page


@pytest.fixture(scope="module")
def shared(browser: Browser, scheme: str) -> Iterator[Watched]:
    """A page for all tests of a file, in both colour schemes: loading takes most of the time."""
    with new_page(browser, scheme) as page:
        yield page
