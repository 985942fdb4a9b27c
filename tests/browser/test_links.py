"""Files of the built book, read without a browser: links lead somewhere, ids are unique, images are described."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.built import Parsed, listed, names, parsed

TRACEBACK = "Traceback (most recent call last)"
PATH_OF_AN_IMAGE = re.compile(r"\.(png|svg|webp|gif|jpe?g)$|^_images/", re.IGNORECASE)

CAPTION = re.compile(r"\s*Fig\. [\d.]+\s+\w")  # a number and words

pages = pytest.mark.parametrize("name", names())
chapters = pytest.mark.parametrize("name", [name for name in listed() if name.startswith("nbs/")])


def broken_links(path: Path, root: Path) -> list[str]:
    """Each reference of a page to a file or a place that is not there, or by an address that works here alone."""
    found = []
    for tag, link in parsed(path).links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto", "data"):
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if parts.scheme or parts.path.startswith("/") or not target.is_relative_to(root):
            found.append(f"{tag} leads out of the book: {link}")
        elif not target.is_file():
            found.append(f"{tag} leads nowhere: {link}")
        elif target.suffix == ".html" and parts.fragment and unquote(parts.fragment) not in parsed(target).ids:
            found.append(f"{tag} leads to no place of {target.name}: {link}")
    return found


def undescribed(image: dict[str, str]) -> bool:
    """Whether an image has no alternative text, or its file's name for one."""
    alt = image.get("alt", "").strip()
    return not alt or bool(PATH_OF_AN_IMAGE.search(alt)) or alt == Path(image.get("src", "")).stem


def bare_images(page: Parsed) -> list[str]:
    """What is missing where a chapter shows an image: a figure around it with a numbered caption, a description."""
    found = [] if page.images else ["no image at all"]
    for image, place in zip(page.images, page.framed, strict=True):
        source = image.get("src", "")[:80]
        if place is None or not CAPTION.match(page.captions[place]):
            found.append(f"an image without a caption: {source}")
        if undescribed(image):
            found.append(f"an image without a description: {source}")
    return found


def faults(page: Parsed) -> list[str]:
    """What is wrong inside one page: an id that stands twice, an image that nobody described, a failed cell."""
    found = [f"the id {one} stands {count} times" for one, count in Counter(page.ids).items() if count > 1]
    found += [f"an image without a description: {one.get('src', '')[:80]}" for one in page.images if undescribed(one)]
    if TRACEBACK in page.text or {"traceback", "stderr"} & page.classes:
        found.append("the output of a failed cell")
    return found


@pages
def test_every_link_leads_somewhere(book, name):
    assert broken_links(book / f"{name}.html", book) == []


@pages
def test_a_page_is_whole(book, name):
    assert faults(parsed(book / f"{name}.html")) == []


@chapters
def test_every_image_of_a_chapter_has_a_caption_and_a_description(book, name):
    assert bare_images(parsed(book / f"{name}.html")) == []


def test_every_listed_page_is_looked_at(book):
    assert set(listed()) <= set(names())
    assert (book / "index.html").exists()
    assert broken_links(book / "index.html", book) == []


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ("<p>all is well</p><img alt='A disc' src='a.png'><p id='x'></p>", None),
        ("<p id='x'></p><p id='x'></p>", "the id x stands 2 times"),
        ("<img src='a.png'>", "without a description: a.png"),
        ("<img alt='../_images/a.png' src='a.png'>", "without a description"),
        (f"<pre><span>{TRACEBACK[:9]}</span>{TRACEBACK[9:]}</pre>", "failed cell"),
        ("<div class='output traceback highlight'></div>", "failed cell"),
    ],
)
def test_a_planted_fault_is_found(planted, expected):
    found = " ".join(faults(Parsed(planted)))
    assert (expected in found) if expected else (found == "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("Fig. 1", "", ["an image without a caption: a.png"]),
        ("of discs", "", ["an image without a caption: a.png"]),
        ("figcaption", "p", ["an image without a caption: a.png"]),
        ("figure", "div", ["an image without a caption: a.png"]),
        ("A disc", "a.png", ["an image without a description: a.png"]),
        ("A disc", "a", ["an image without a description: a.png"]),
        ("<img alt='A disc' src='a.png'>", "", ["no image at all"]),
    ],
)
def test_a_planted_bare_image_is_found(old, new, expected):
    well = (
        "<figure><a><img alt='A disc' src='a.png'></a><figcaption><p>Fig. 1 <b>of discs</b></p></figcaption></figure>"
    )
    assert bare_images(Parsed(f"{well.replace(old, new) if old else well}<p>Fig. 2 of nothing</p>")) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("other.html#there", None),
        ("#here", None),
        ("a%20picture.png?v=1", None),
        ("https://example.org/nowhere", None),
        ("other.html#nowhere", "to no place of other.html"),
        ("#nowhere", "to no place of page.html"),
        ("nowhere.html", "leads nowhere"),
        ("/page.html", "out of the book"),
        ("../../page.html", "out of the book"),
        ("file:///page.html", "out of the book"),
    ],
)
def test_a_planted_link_is_followed(tmp_path, link, expected):
    (tmp_path / "a picture.png").touch()
    (tmp_path / "other.html").write_text("<p id='there'></p>")
    (tmp_path / "page.html").write_text(f"<p id='here'></p><a href='{link}'>a link</a>")
    found = " ".join(broken_links(tmp_path / "page.html", tmp_path))
    assert (expected in found) if expected else (found == "")
