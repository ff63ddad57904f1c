"""A real browser for tests of pages: headless Chromium, steered by Playwright.

A test module has the fixture by ``from browser import browser as browser``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Debian calls it chromium; elsewhere the first one that is there is used.
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser for the tests of a module; they are skipped where none is found."""
    reason = "needs playwright: pip install 'seqzoo[dev]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser found: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def page_at(browser: Any, url: str, width: int = 1440, *, dark: bool = False) -> Iterator[Any]:
    """Open a page in a window of a width, in a light or dark colour scheme.

    Args:
        browser: What the fixture gives.
        url: Of the page, such as ``Path.as_uri()``.
        width: Of the window, in pixels.
        dark: Which colour scheme the page is asked for.

    Yields:
        The page of Playwright. ``page.problems`` is a list of what its console and its requests
        reported as errors, so far.
    """
    scheme = "dark" if dark else "light"
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=False
    )
    page = context.new_page()
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(f"failed: {request.url}"))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()


def overflow(page: Any) -> int:
    """Return by how many pixels a page is wider than its window."""
    width: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width
