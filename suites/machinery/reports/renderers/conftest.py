"""A browser for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from suites.machinery.making.browsers import BROWSERS, DESKTOP, Opened, Opener
from suites.machinery.making.pages import Material


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real browser, for all tests that show a page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as library:
        # A sandbox of its own needs rights that containers do not have; the pages here are our own.
        browser = library.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path) -> Iterator[Opener]:
    """Opens material as a page from a file; closes it, and sees that it never complained nor asked for anything."""
    pages = []

    def open_page(made: Material | str, **options: object) -> Opened:
        path = tmp_path / "page.html"
        path.write_text(made if isinstance(made, str) else made.page(), encoding="utf-8")
        view = browser.new_page(**{"viewport": DESKTOP} | options)
        page = Opened(view)
        view.on("console", lambda message: page.complaints.append(message.text))
        view.on("pageerror", lambda error: page.complaints.append(str(error)))
        view.on("request", lambda request: page.requests.append(request.url))
        view.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        view.goto(path.as_uri())
        pages.append((page, path))
        return page

    yield open_page
    for page, path in pages:
        page.view.close()
        assert page.complaints == []
        assert page.requests == [path.as_uri()]
