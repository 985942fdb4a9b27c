"""The figure index lists what is numbered, as its page numbers it, in the order of the contents."""

from __future__ import annotations

import re

import pytest

from tests.book.reading import text

PIXEL = "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>"
LATER = """# Later

```{figure} pixel.svg
:name: fig-later
Of the later page. Not shown.
```

```{math}
:label: eq-half
x = 1/2
```

```{prf:algorithm} Counting
:label: alg-count

1. One.
```
"""
EARLIER = """# Earlier

```{figure} pixel.svg
:name: fig-earlier
CAPTION More of it.
```

```{figure} pixel.svg
:alt: without a caption, so without a number
```

```{math}
:label: eq-one
x = 1
```
"""
PAGES = {
    "pixel.svg": PIXEL,
    "index.md": "# Site\n\n```{toctree}\nzz\naa\nlist\nempty\n```\n",
    "zz.md": EARLIER.replace("CAPTION", "A first *sentence*."),
    "aa.md": LATER,
    "empty.md": "# Nothing\n",
    "list.md": "# List\n\n```{figure-index}\n```\n",
}


@pytest.fixture(scope="module")
def pages(site):
    return site(PAGES)


def lines(html: str) -> list[tuple[str, str]]:
    """Where each line of the index leads, and what it says."""
    items = re.findall(r"<li><p>(.*?)</li>", html.partition("<h1>List")[2], flags=re.DOTALL)
    return [(re.search(r'href="([^"]+)"', item)[1], text(item)) for item in items]


def test_everything_numbered_is_listed_in_the_order_of_the_contents(pages):
    assert lines(pages["list"]) == [
        ("zz.html#fig-earlier", "Figure 1: A first sentence."),
        ("zz.html#equation-eq-one", r"Equation 1 \[x = 1\]"),
        ("aa.html#fig-later", "Figure 2: Of the later page."),
        ("aa.html#alg-count", "Algorithm 1: Counting"),
        ("aa.html#equation-eq-half", r"Equation 2 \[x = 1/2\]"),
    ]
    headings = re.findall(r'<h2><a[^>]*href="([^"]+)"', pages["list"])
    assert headings == ["zz.html", "aa.html"]


@pytest.mark.parametrize(
    ("shown", "on_page"),
    [
        ("Figure 2", 'caption-number">Fig. 2'),
        ("Equation 2", 'eqno">(2)'),
        ("Algorithm 1", 'caption-number">Algorithm 1'),
    ],
)
def test_numbers_are_those_of_the_page(pages, shown, on_page):
    assert shown in text(pages["list"])
    assert on_page in pages["aa"]


def test_links_lead_to_anchors(pages):
    for target, _ in lines(pages["list"]):
        page, _, anchor = target.partition("#")
        assert f'id="{anchor}"' in pages[page.removesuffix(".html")]


def test_formulas_bring_what_shows_them(pages):
    script = re.compile("<script[^>]*mathjax", flags=re.IGNORECASE)
    assert script.search(pages["list"])
    assert not script.search(pages["empty"])


def test_the_index_follows_a_page_that_changed(site, pages):
    changed = site({"zz.md": EARLIER.replace("CAPTION", "Another one.")})
    assert ("zz.html#fig-earlier", "Figure 1: Another one.") in lines(changed["list"])


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("One. Two.", "One."),
        ("No stop", "No stop"),
        ("Cut at 0.5 of all.\nNext.", "Cut at 0.5 of all."),
        ("Left: a; right: b. Source.", "Left: a; right: b."),
    ],
)
def test_the_first_sentence(caption, expected):
    from figure_index import first_sentence

    assert first_sentence(caption) == expected
