"""Print the built book: every page of the table of contents through a browser, joined into ``_build/book.pdf``.

usage: python -m book.pdf [--root FOLDER]
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urldefrag

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject
from sphinx_external_toc.parsing import parse_toc_yaml

from book.browser import open_browser, open_page, run_on_book

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MARGINS = dict.fromkeys(("top", "right", "bottom", "left"), "16mm")
PAPER = {"format": "A4", "margin": MARGINS, "scale": 0.8, "print_background": True}  # code of 88 columns fits
UNFOLD = """async () => {
  document.querySelectorAll("details").forEach(details => { details.open = true; });
  document.querySelectorAll(".toggle-hidden").forEach(item => item.classList.remove("toggle-hidden"));
  await document.fonts.ready; // of what was folded
  await Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode().catch(() => {}); // one that cannot be decoded is printed as a browser shows it
  }));
}"""
HEADING = """() => {
  const heading = document.querySelector("h1")?.cloneNode(true);
  heading?.querySelectorAll(".headerlink").forEach(link => link.remove());
  return heading?.textContent.trim() || document.title;
}"""


class Printed(NamedTuple):
    """One page of the book as PDF."""

    file: Path  # its HTML
    title: str
    reader: PdfReader


def pages_in_order(toc: Path) -> list[str]:
    """Names of all pages of a table of contents, without their endings, in reading order."""
    site = parse_toc_yaml(toc)

    def below(name: str) -> list[str]:
        inner = [child for tree in site[name].subtrees for child in tree.items if child in site]
        return [name, *(found for child in inner for found in below(child))]

    return below(site.root.docname)


def print_page(browser: Browser, file: Path) -> Printed:
    """A built page as PDF: light, everything unfolded, explorers as they first stand."""
    with open_page(browser, file, color_scheme="light", viewport={"width": 1000, "height": 1400}) as page:
        page.evaluate(UNFOLD)
        page.emulate_media(media="print")
        title = page.evaluate(HEADING)
        return Printed(file, title, PdfReader(io.BytesIO(page.pdf(**PAPER))))


def join(printed: list[Printed]) -> PdfWriter:
    """All pages in one document with a bookmark for each; links between them lead inside it."""
    writer, first = PdfWriter(), {}
    for file, title, reader in printed:
        first[file] = len(writer.pages)
        for page in reader.pages:
            writer.add_page(page)
        writer.add_outline_item(title=title, page_number=first[file])
    for file, _, reader in printed:
        named = {key.lstrip("/"): place for key, place in reader.named_destinations.items()}
        for number in range(first[file], first[file] + len(reader.pages)):
            for entry in writer.pages[number].get("/Annots", ()):
                link = entry.get_object()
                found = named.get(str(link.get("/Dest")).lstrip("/"))
                if found is not None:
                    inside = reader.get_destination_page_number(found) or 0
                    _lead_to(link, writer.pages[first[file] + inside], found.top)
                elif (other := _file_of(link)) is not None:
                    _lead_to(link, writer.pages[first[other]] if other in first else None)
    return writer


def _file_of(link: Any) -> Path | None:
    """The file of this computer that a link leads to, if it does: nobody else has it there."""
    address, _ = urldefrag(str(link.get("/A", {}).get("/URI", "")))
    return Path(unquote(address.removeprefix("file://"))) if address.startswith("file:") else None


def _lead_to(link: Any, page: PageObject | None, top: float | None = None) -> None:
    """Turn a link into one to a page of its document, at a height where that is known; without a page into none."""
    for key in ("/A", "/Dest"):
        link.pop(NameObject(key), None)
    if page is not None:
        height = NullObject() if top is None else FloatObject(top)
        place = [page.indirect_reference, NameObject("/XYZ"), NullObject(), height, NullObject()]
        link[NameObject("/Dest")] = ArrayObject(place)


def print_book(root: Path) -> Path:
    """Print the pages below ``_build/html`` in the order of ``book/_toc.yml``; gives the file of the whole book.

    Raises:
        NoBrowserError: there is no browser to print with.
        FileNotFoundError: a page of the table of contents is not built.
    """
    html, target = root / "_build" / "html", root / "_build" / "book.pdf"
    files = [html / f"{name}.html" for name in pages_in_order(root / "book" / "_toc.yml")]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not built; wanted every page of book/_toc.yml")
    with open_browser() as browser:
        printed = [print_page(browser, file) for file in files]
    writer = join(printed)
    writer.compress_identical_objects()
    writer.add_metadata({"/Title": printed[0].title})
    with open(target.with_suffix(".part"), "wb") as stream:
        writer.write(stream)
    os.replace(target.with_suffix(".part"), target)
    return target


if __name__ == "__main__":
    sys.exit(run_on_book("pdf", __doc__.splitlines()[0], print_book))
