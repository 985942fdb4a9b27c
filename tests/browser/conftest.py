"""A browser, the built book on a server of this computer, and a way to open its pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.built import HTML, why_not_current
from tests.browser.visits import Visitor, served

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# off: what a browser does on its own account; and no name is looked up, so that no test depends on the internet
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def find_browser(own: Path) -> Path | None:
    """An installed browser that Playwright can drive, `own` being Playwright's; None where there is none."""
    named = os.environ.get("LABUTILS_BROWSER")
    found = [named] if named else [shutil.which(name) for name in BROWSERS] + [own]
    return next((Path(path) for path in found if path and Path(path).exists()), None)


@pytest.fixture(scope="session")
def browser():
    """A headless browser; without one, tests are skipped, in continuous integration they fail."""
    with sync_playwright() as playwright:
        path = find_browser(Path(playwright.chromium.executable_path))
        if path is None:
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse("needs a browser: install chromium, or name one in LABUTILS_BROWSER")
        with playwright.chromium.launch(executable_path=path, args=OPTIONS) as browser:
            yield browser


@pytest.fixture(scope="session")
def book():
    """The folder of the built pages, which must be there and of the present sources."""
    if reason := why_not_current():
        pytest.fail(reason)
    return HTML


@pytest.fixture(scope="session")
def visit(browser, book):
    """Opens pages of the book: ``with visit(name, mode) as (page, record)``."""
    with served(book) as address:
        visitor = Visitor(browser, book, address)
        yield visitor
        visitor.close()


@pytest.fixture
def visit_toy(browser, tmp_path):
    """Opens pages that a test wrote into its own folder."""
    with served(tmp_path) as address:
        visitor = Visitor(browser, tmp_path, address)
        yield visitor
        visitor.close()
