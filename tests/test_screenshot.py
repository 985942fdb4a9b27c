"""The picture of the first page: README.md shows the one that `make screenshot` takes, of the size of a window."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from book import screenshot
from book.build import CHAPTERS, PAGES

ROOT = Path(__file__).resolve().parent.parent
SIZE = (screenshot.WINDOW["height"], screenshot.WINDOW["width"], 3)
PAGE = """<!doctype html><title>toy</title><style>:root { color-scheme: light dark } body { margin: 0 }
@media (prefers-color-scheme: dark) { body { background: #000 } }</style>
<div class="lu-explorer" style="height: 3000px"></div>
<script>setTimeout(() => {
  const explorer = document.querySelector(".lu-explorer");
  explorer.style.background = "#0f0";
  explorer.dataset.state = "{}";
}, 300)</script>"""


def test_the_readme_shows_the_picture_that_is_taken():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"!\[.+\]\((.+?)\)", text) == [screenshot.PICTURE.as_posix()]
    assert cv2.imread(str(ROOT / screenshot.PICTURE)).shape == SIZE


def test_the_command_names_that_picture():
    rule = re.search(r"^screenshot: book ## (.*)\n(.*)\n", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert screenshot.PICTURE.as_posix() in rule[1]
    assert rule[2].endswith(f"-m {screenshot.__name__}")


def test_the_picture_is_no_part_of_the_pages():
    """Else the pages would be old as soon as it is taken."""
    assert ROOT / screenshot.PICTURE not in {path for pattern in (*CHAPTERS, *PAGES) for path in ROOT.glob(pattern)}


def test_the_picture_is_taken_once_explorers_are_drawn(tmp_path, installed_browser):
    page = tmp_path / "_build" / "html" / "book" / "index.html"
    for folder in (page.parent, tmp_path / screenshot.PICTURE.parent):
        folder.mkdir(parents=True)
    page.write_text(PAGE)
    taken = cv2.imread(str(screenshot.take(tmp_path)))
    assert taken.shape == SIZE
    np.testing.assert_array_equal(taken[400, 640], (0, 255, 0))
