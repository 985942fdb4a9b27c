"""Find a browser that Playwright can drive, for the printed book and for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
OPTIONS = (  # no sandbox, as containers allow none and only our own pages are opened; no calls home
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class NoBrowserError(RuntimeError):
    """There is no browser to open pages with."""


def find_browser(playwright: Playwright) -> Path:
    """The browser to use: ``LABUTILS_BROWSER``, else Chromium or Chrome of the system, else Playwright's own Chromium.

    Raises:
        NoBrowserError: none is installed, or the one that was named is not there.
    """
    named = os.environ.get("LABUTILS_BROWSER")
    if named:
        found = shutil.which(Path(named).expanduser())
        if found is None:
            raise NoBrowserError(f"LABUTILS_BROWSER is {named}, which is no program; wanted a Chromium or Chrome")
        return Path(found)
    own = playwright.chromium.executable_path
    for candidate in (*COMMANDS, *PLACES, own):
        found = shutil.which(candidate)
        if found is not None:
            return Path(found)
    raise NoBrowserError(
        "no browser was found: install chromium or google-chrome, or run 'playwright install chromium', "
        "or name a program in LABUTILS_BROWSER"
    )


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless browser that is closed in the end.

    Raises:
        NoBrowserError: as `find_browser` says.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(playwright), args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()
