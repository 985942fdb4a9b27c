"""The printed book, on pages written by hand: order, bookmarks, what is unfolded, where links lead; the browser."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest
from pypdf import PdfReader

from book import pdf
from book.browser import NoBrowserError, find_browser, open_browser

TOC = """
format: jb-book
root: book/index
parts:
- caption: First
  chapters:
  - file: nbs/02_late
    sections:
    - file: nbs/03_inner
- caption: Second
  chapters:
  - file: book/notes
"""
PAGES = {
    "book/index": '<h1>Front<a class="headerlink">#</a></h1><a href="../nbs/02_late.html#x">late</a>',
    "nbs/02_late": '<h1>Late</h1><details>folded words</details><p style="height:1500px"></p><h2 id="x">Far</h2>'
    '<a href="#x">there</a>',
    "nbs/03_inner": '<h1>Inner</h1><div class="toggle-hidden"><p>hidden words</p></div>',
    "book/notes": '<h1>Notes</h1><a href="nowhere.html">lost</a> <a href="https://example.org/">outside</a>',
}
STYLE = "<style>.toggle-hidden p { display: none }</style>"


@pytest.fixture
def toy(tmp_path):
    """A built book, and the browser it is printed with; a skip where none is installed."""
    for name, body in PAGES.items():
        page = tmp_path / "_build" / "html" / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<!doctype html><title>{name}</title>{STYLE}{body}")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text(TOC)
    try:
        with open_browser():
            return tmp_path
    except NoBrowserError as error:
        pytest.skip(str(error))


def test_pages_come_in_reading_order(tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC)
    assert pdf.pages_in_order(tmp_path / "_toc.yml") == list(PAGES)


@pytest.mark.slow
def test_the_book_is_printed_whole(toy):
    book = PdfReader(pdf.print_book(toy))
    starts = {mark.title: book.get_destination_page_number(mark) for mark in book.outline}
    assert starts == {"Front": 0, "Late": 1, "Inner": 3, "Notes": 4}
    texts = [page.extract_text() for page in book.pages]
    assert [len(texts), "folded words" in texts[1], "hidden words" in texts[3]] == [5, True, True]
    links = [link.get_object() for page in book.pages for link in page.get("/Annots", ())]
    inside = [book.get_page_number(link["/Dest"][0].get_object()) for link in links if "/Dest" in link]
    assert inside == [1, 2]  # to the page's first sheet, and within it to the second
    assert [link["/A"]["/URI"] for link in links if "/A" in link] == ["https://example.org/"]
    assert "file:" not in str(links)


def test_a_page_that_is_not_built_is_named_and_nothing_is_printed(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text(TOC)
    with pytest.raises(FileNotFoundError, match=r"book/index\.html is not built"):
        pdf.print_book(tmp_path)
    assert not (tmp_path / "_build").exists()


def test_old_pages_are_not_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pdf", "--root", str(tmp_path)])
    assert pdf.main() == 1
    assert "run 'make book' first" in capsys.readouterr().err


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A computer without a browser; programs can be put into the folder it gives, which is its whole path."""
    monkeypatch.delenv("LABUTILS_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("book.browser.PLACES", ())
    return tmp_path


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def playwright_with(path):
    return SimpleNamespace(chromium=SimpleNamespace(executable_path=os.fspath(path)))


def test_browsers_are_taken_in_order(bare, monkeypatch):
    playwright = playwright_with(program(bare, "own"))
    assert find_browser(playwright) == bare / "own"
    assert find_browser(playwright_with(program(bare, "google-chrome"))) == bare / "google-chrome"
    program(bare, "chromium")
    assert find_browser(playwright) == bare / "chromium"
    monkeypatch.setenv("LABUTILS_BROWSER", str(program(bare, "mine")))
    assert find_browser(playwright) == bare / "mine"


def test_without_a_browser_one_sentence_says_what_to_do(bare, monkeypatch):
    with pytest.raises(NoBrowserError, match="install chromium or google-chrome, or run 'playwright install chromium'"):
        find_browser(playwright_with(bare / "missing"))
    monkeypatch.setenv("LABUTILS_BROWSER", "firefly")
    program(bare, "chromium")
    with pytest.raises(NoBrowserError, match="LABUTILS_BROWSER is firefly, which is no program"):
        find_browser(playwright_with(bare / "missing"))
