"""A browser, the built book on a server of this computer, and a way to open its pages."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from book.browser import NoBrowserError, find_browser, options
from book.build import is_current
from labutils.explore.core import as_html
from tests.browser.built import HTML, ROOT
from tests.browser.visits import ALIVE, Visitor, served

# no name is looked up, so that no test depends on the internet
NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


@pytest.fixture(scope="module")
def browser():
    """A headless browser; without one, tests are skipped, in continuous integration they fail.

    It is closed with its module, as no other can be opened beside it: those that print the book open their own.
    """
    with sync_playwright() as playwright:
        try:
            path = find_browser(playwright)
        except NoBrowserError as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        with playwright.chromium.launch(executable_path=path, args=[*options(), NO_NAMES]) as browser:
            yield browser


@pytest.fixture(scope="session")
def book():
    """The folder of the built pages, which must be there and of the present sources."""
    if not is_current(ROOT):
        pytest.fail("the pages are missing, or not of the present sources, data and budget; run make book first")
    return HTML


@contextmanager
def visiting(browser, folder):
    """Somebody who opens the pages of a folder, by http or from a file."""
    with served(folder) as address:
        visitor = Visitor(browser, folder, address)
        yield visitor
        visitor.close()


@pytest.fixture(scope="module")
def visit(browser, book):
    """Opens pages of the book: ``with visit(name, mode) as (page, record)``."""
    with visiting(browser, book) as visitor:
        yield visitor


@pytest.fixture
def visit_toy(browser, tmp_path):
    """Opens pages that a test wrote into its own folder."""
    with visiting(browser, tmp_path) as visitor:
        yield visitor


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page with some explorers, on which nothing may go wrong and which may fetch nothing."""

    @contextmanager
    def open_page(*explorers, **context):
        file = tmp_path / "page.html"
        tail = '<div style="height: 1500px"></div>'  # so that the page can be scrolled
        head = "<!doctype html><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        file.write_text(head + "".join(as_html(one)._repr_html_() for one in explorers) + tail, encoding="utf-8")
        with browser.new_context(**context) as own:
            page, wrong, asked = own.new_page(), [], []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(file.as_uri())
            page.wait_for_function(ALIVE, arg=len(explorers))
            yield page
        assert (wrong, asked) == ([], [file.as_uri()])

    return open_page
