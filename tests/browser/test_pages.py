"""Every page in a browser, by http and from a file: nothing from outside, no error, small, fits a phone, is found."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from tests.browser.built import listed, names, parsed
from tests.browser.visits import HEIGHT, PHONE, Record

OWN_BYTES, SHARED_BYTES = 2_000_000, 6_500_000
MODES = ("http", "file")
FORMULAS = "[document.querySelectorAll('.math').length, document.querySelectorAll('mjx-container').length]"
WIDER = """() => {
  const room = document.scrollingElement, most = window.innerWidth;
  if (room.scrollWidth <= most) return null;
  const wide = [...document.body.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > most + 1);
  const last = wide.filter(one => !wide.some(other => other !== one && one.contains(other)));
  return `${room.scrollWidth} px wide: ` + last.slice(0, 3).map(one => one.outerHTML.slice(0, 120)).join(' and ');
}"""
ALTERED = """() => [...document.images].filter(image => {
  if (image.matches('.only-dark, .only-light, .dark-light')) return false;
  for (let one = image; one; one = one.parentElement) {
    const style = getComputedStyle(one);
    if (style.filter !== 'none' || style.opacity !== '1' || style.mixBlendMode !== 'normal') return true;
  }
  return false;
}).map(image => image.src.slice(-80))"""
STILL = ".bd-header, .bd-header-article, #pst-back-to-top { visibility: hidden !important; }"  # they float over figures


@dataclass(frozen=True)
class Seen:
    """A page as it was when open: what it asked for, and what was measured on it."""

    record: Record
    formulas: tuple[int, int]  # written, set
    too_wide: str | None  # what leaves the screen of a phone

    def faults(self) -> list[str]:
        """Each thing that is wrong with the page, one sentence."""
        found = [f"asks outside the book: {address}" for address in self.record.external]
        found += [f"no answer: {address}" for address in self.record.failed]
        found += [f"an error on the console: {text}" for text in self.record.errors]
        for shared, most in ((False, OWN_BYTES), (True, SHARED_BYTES)):
            if (size := self.record.total(shared=shared)) >= most:
                found.append(f"{'shared' if shared else 'own'} files of {size} bytes; wanted less than {most}")
        if self.formulas[0] != self.formulas[1]:
            found.append(f"{self.formulas[1]} of {self.formulas[0]} formulas are set")
        return found + ([f"on a phone {self.too_wide}"] if self.too_wide else [])


def look(page: Page, record: Record) -> Seen:
    """Measure an open page; its window is a phone's afterwards."""
    formulas = tuple(page.evaluate(FORMULAS))
    page.set_viewport_size({"width": PHONE, "height": HEIGHT})
    return Seen(record, formulas, page.evaluate(WIDER))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", names())
def test_a_page_opens_without_a_fault(visit, name, mode):
    with visit(name, mode) as (page, record):
        seen = look(page, record)
    assert record.sizes[f"{name}.html"] > 0
    assert seen.faults() == []


def test_the_folder_opens_on_the_first_page(visit):
    with visit("search") as (page, record):
        page.goto(f"{record.address}/")
        page.wait_for_url(f"**/{listed()[0]}.html")


def test_some_page_has_formulas(book):
    assert any("math" in parsed(book / f"{name}.html").classes for name in listed())


def pixels_of(page: Page, image: int) -> np.ndarray:
    """An image of the page as it is painted, uint8 (H, W, 3), less its rim, through which the page may show."""
    page.add_style_tag(content=STILL)
    shot = page.locator("article img").nth(image).screenshot(animations="disabled")
    return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)[2:-2, 2:-2]


def with_images() -> list[str]:
    return [name for name in listed() if name.startswith("nbs/")]


@pytest.mark.parametrize("name", with_images())
def test_dark_mode_leaves_images_alone(visit, name):
    with visit(name) as (page, _):
        light = pixels_of(page, 0)
    with visit(name, theme="dark") as (page, _):
        assert page.locator("html").get_attribute("data-theme") == "dark"
        altered = page.evaluate(ALTERED)
        dark = pixels_of(page, 0)
    assert altered == []
    assert light.std() > 0
    np.testing.assert_array_equal(dark, light)


def arrows(page: Page, picture: Locator) -> list[bool]:
    """Whether an arrow is seen above the left and above the right end of what is shown of a picture."""
    box = picture.bounding_box()
    strip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": 12}
    shot = cv2.imdecode(np.frombuffer(page.screenshot(clip=strip), np.uint8), cv2.IMREAD_GRAYSCALE)
    return [bool(np.ptp(end) > 60) for end in (shot[:, :48], shot[:, -48:])]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_arrows_point_to_the_rest_of_a_picture(visit, theme):
    with visit(with_images()[0], width=PHONE, theme=theme) as (page, _):
        page.add_style_tag(content=STILL)
        wide = page.locator("article figure > a").first
        wide.scroll_into_view_if_needed()
        hidden = wide.evaluate("one => one.scrollWidth - one.clientWidth")
        assert hidden > 100
        seen = []
        for place in (0, hidden // 2, hidden):
            wide.evaluate("(one, place) => { one.scrollLeft = place; }", place)
            seen.append(arrows(page, wide))
        assert seen == [[False, True], [True, True], [True, False]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("words", ["radiologists", "ged_squared"], ids=["a word", "a function"])
def test_the_search_finds(visit, mode, words):
    with visit("search", mode, query=f"q={words}") as (page, record):
        first = page.locator("#search-results ul.search li a").first
        first.wait_for()
        first.click()
        page.wait_for_load_state()
        assert words in page.locator("article").inner_text().lower()
        assert (record.external, record.errors) == ([], [])


WELL = "<!doctype html><html lang='en'><title>toy</title><body>"
PLANTED = {
    "": None,
    "<img src='http://example.org/a.png'>": "asks outside the book: http://example.org/a.png",
    "<img src='nowhere.png'>": "no answer: http",
    "<script>console.error('out of order')</script>": "console: out of order",
    "<script>throw new Error('out of order')</script>": "thrown: out of order",
    "<p class='math'>x</p>": "0 of 1 formulas",
    "<div style='width: 500px'>wide</div>": "on a phone 508 px wide: <div",
    "<img src='big.png'>": "own files of 2",
    "<img src='_static/big.png'>": "shared files of 7",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(visit_toy, tmp_path, planted):
    (tmp_path / "_static").mkdir()
    (tmp_path / "big.png").write_bytes(bytes(OWN_BYTES))
    (tmp_path / "_static" / "big.png").write_bytes(bytes(7_000_000))
    (tmp_path / "favicon.ico").touch()
    (tmp_path / "toy.html").write_text(WELL + planted.replace("<div", "<div class='toy'"))
    with visit_toy("toy") as (page, record):
        found = look(page, record).faults()
    expected = PLANTED[planted]
    assert (expected in " ".join(found)) if expected else (found == [])


def test_a_dimmed_image_is_found(visit_toy, tmp_path):
    (tmp_path / "toy.html").write_text(WELL + "<p style='filter: brightness(0.8)'><img src='data:,'></p>")
    with visit_toy("toy") as (page, _):
        assert page.evaluate(ALTERED) == ["data:,"]
