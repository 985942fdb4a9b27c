"""Find a browser that Playwright can drive, and open the built pages in it: for print, pictures and tests."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from book.build import is_current, only_one

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
QUIET = (  # the same pixels everywhere, and no calls home
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# a widget stands in its place when the host of widgets has put an element before the script that describes it
READY = """() => document.readyState === "complete"
  && [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')]
     .every(script => script.previousElementSibling?.firstElementChild?.childElementCount)"""
SETTLED = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
}"""


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


def options() -> tuple[str, ...]:
    """What a browser is started with: without its sandbox only where it has none, as root and in CI's containers."""
    return ("--no-sandbox", *QUIET) if os.geteuid() == 0 or os.environ.get("CI") else QUIET


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless browser that is closed in the end.

    Raises:
        NoBrowserError: as `find_browser` says.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(playwright), args=options())
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, file: Path, **settings: Any) -> Iterator[Page]:
    """A built page with its widgets in their places and its formulas set.

    Args:
        browser: as `open_browser` gives it.
        file: HTML.
        settings: of Playwright's new page, e.g. the size of its window.
    """
    page = browser.new_page(**settings)
    try:
        page.goto(file.as_uri())
        page.wait_for_function(READY)
        page.evaluate(SETTLED)
        yield page
    finally:
        page.close()


def run_on_book(name: str, what: str, make: Callable[[Path], Path]) -> int:
    """The command `name`: make a file of the built pages under ``--root`` and say where it is; gives the exit status.

    Args:
        name: said before every message.
        what: the command's description.
        make: gets the top folder and gives the file.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="top folder")
    root = parser.parse_args().root.resolve()
    with only_one(root):
        if not is_current(root):
            print(f"{name}: the pages are not those of the present files; run 'make book' first", file=sys.stderr)
            return 1
        try:
            target = make(root)
        except NoBrowserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    print(f"{name}: open {target}")
    return 0
