"""Opening pages in a browser, by http or from a file, with a record of what was asked for and what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from book.browser import SETTLED
from tests.browser.built import SHARED, parsed

WIDE, PHONE = 1280, 390  # CSS pixels
HEIGHT = 900
WAIT_MS = 15_000
ALIVE = """wanted => {
  const explorers = [...document.querySelectorAll('.lu-explorer')];
  return explorers.length >= wanted && explorers.every(one => one.dataset.state);
}"""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder, on this computer alone, at a port that the system chose."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Record:
    """What happened while a page was open; lists are empty where all is well."""

    folder: Path  # what the pages may ask for lies here
    address: str  # of that folder
    external: list[str] = field(default_factory=list)  # asked for, and not of the folder
    failed: list[str] = field(default_factory=list)  # not answered, or with a status of 400 or more
    errors: list[str] = field(default_factory=list)  # on the console, or thrown
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of each file of the folder that was asked for

    def follow(self, page: Page) -> None:
        """Write down what the page does from now on."""
        page.on("request", self._asked)
        page.on("requestfailed", lambda request: self.failed.append(f"{request.url[:200]}: {request.failure}"))
        page.on("response", self._answered)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(f"thrown: {error}"))

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob", "about"):
            return
        path = request.url.removeprefix(f"{self.address}/")
        if path == request.url:
            self.external.append(request.url[:200])
            return
        file = self.folder / unquote(urlsplit(path).path)
        if file.is_file():
            self.sizes[file.relative_to(self.folder).as_posix()] = file.stat().st_size

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.url[:200]}: {response.status}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text[:300])

    def total(self, *, shared: bool) -> int:
        """Bytes of what many pages load, or of what only this one does."""
        return sum(size for path, size in self.sizes.items() if path.startswith(SHARED) == shared)


class Visitor:
    """Opens pages of one folder; contexts, and with them the browser's cache, are kept from page to page."""

    def __init__(self, browser: Browser, folder: Path, address: str) -> None:
        self.folder, self._browser = folder, browser
        self._addresses = {"http": address, "file": folder.as_uri()}
        self._contexts: dict[tuple[object, ...], BrowserContext] = {}

    def _context(self, theme: str, width: int, touch: bool) -> BrowserContext:
        key = (theme, width, touch)
        if key not in self._contexts:
            size = {"width": width, "height": HEIGHT}
            new = self._browser.new_context(color_scheme=theme, viewport=size, has_touch=touch, reduced_motion="reduce")
            new.set_default_timeout(WAIT_MS)
            self._contexts[key] = new
        return self._contexts[key]

    @contextmanager
    def __call__(
        self,
        name: str,
        mode: str = "http",
        *,
        theme: str = "light",
        width: int = WIDE,
        touch: bool = False,
        query: str = "",
    ) -> Iterator[tuple[Page, Record]]:
        """A page, with formulas set, explorers alive and nothing under way any more, and the record of its opening.

        Args:
            name: path of the page below the folder, without ``.html``.
            mode: ``http`` or ``file``.
            theme: ``light`` or ``dark``, what the reader's system prefers.
            width: of the window, CSS pixels.
            touch: whether the screen can be tapped.
            query: the part of the address after ``?``.
        """
        page = self._context(theme, width, touch).new_page()
        record = Record(self.folder, self._addresses[mode])
        record.follow(page)
        try:
            page.goto(f"{record.address}/{name}.html{'?' if query else ''}{query}")
            page.evaluate(SETTLED)
            page.wait_for_function(ALIVE, arg=parsed(self.folder / f"{name}.html").explorers())
            page.wait_for_load_state("networkidle")
            yield page, record
        finally:
            page.close()

    def close(self) -> None:
        """End every context."""
        for context in self._contexts.values():
            context.close()
