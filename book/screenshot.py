"""Take the picture of the first page that README.md shows, from the built book, into ``.github/landing.png``.

usage: python -m book.screenshot [--root FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from book.browser import open_browser, open_page, run_on_book

PICTURE = Path(".github/landing.png")  # not below book/: it is no part of the pages, which would be old with it
WINDOW = {"width": 1280, "height": 800}  # CSS pixels
DRAWN = "() => [...document.querySelectorAll('.lu-explorer')].every(one => one.dataset.state)"


def take(root: Path) -> Path:
    """The picture of what the first page shows without scrolling, in light mode; gives its file.

    Raises:
        NoBrowserError: there is no browser to open the page with.
    """
    with (
        open_browser() as browser,
        open_page(
            browser,
            root / "_build" / "html" / "book" / "index.html",
            color_scheme="light",
            reduced_motion="reduce",
            viewport=WINDOW,
        ) as page,
    ):
        page.wait_for_function(DRAWN)
        page.screenshot(path=root / PICTURE, animations="disabled")
    return root / PICTURE


if __name__ == "__main__":
    sys.exit(run_on_book("screenshot", __doc__.splitlines()[0], take))
