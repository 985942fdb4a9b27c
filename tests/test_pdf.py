"""The printed book, on pages written by hand: order, bookmarks, what is unfolded, where links lead."""

from __future__ import annotations

import pytest
from pypdf import PdfReader

from book import pdf

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
def toy(tmp_path, installed_browser):
    """A built book, where there is a browser to print it with."""
    for name, body in PAGES.items():
        page = tmp_path / "_build" / "html" / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<!doctype html><title>{name}</title>{STYLE}{body}")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text(TOC)
    return tmp_path


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
