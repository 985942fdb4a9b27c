"""API pages show what docstrings say: fields with their comments, returns in one piece, names that link."""

from __future__ import annotations

import re

import pytest

from tests.book.reading import text

PAGES = {
    "index.md": "# Site\n\n```{toctree}\ntypes\nchecks\nevaluate\nbootstrap\n```\n",
    "types.md": "# types\n\n```{eval-rst}\n.. automodule:: labutils.core.types\n```\n",
    "checks.md": "# checks\n\n```{eval-rst}\n.. automodule:: labutils.core.checks\n```\n",
    "evaluate.md": "# evaluate\n\n```{eval-rst}\n.. automodule:: labutils.evaluation.evaluate\n```\n",
    "bootstrap.md": "# bootstrap\n\n```{eval-rst}\n.. automodule:: labutils.evaluation.bootstrap\n```\n",
}


@pytest.fixture(scope="module")
def pages(site):
    return site(PAGES)


def test_a_field_is_shown_with_its_comment(pages):
    assert "masks -- uint8 (B, R, H, W), class labels" in text(pages["types"])
    assert "Alias for field number" not in pages["types"]


def test_errors_link_to_their_page(pages):
    assert 'href="checks.html#labutils.core.checks.InputError"' in pages["types"]


def test_the_hint_of_a_tuple_links_to_what_its_module_means(pages):
    assert 'href="bootstrap.html#labutils.evaluation.bootstrap.Interval"' in pages["evaluate"]


def test_private_names_and_what_parents_add_are_left_out(pages):
    ids = re.findall(r'id="(labutils\.[\w.]+)"', "".join(pages.values()))
    assert len(ids) > 20
    assert [name for name in ids if "._" in name] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    x: int = 1  # of pixels\n    y: str", {"x": "of pixels", "y": ""}),
        ("    class A:\n        x: int = f(\n            1\n        )  # at the end", {"x": "at the end"}),
        ("class A:\n    # above,\n    # twice\n    x: int", {"x": "above, twice"}),
        ("class A:\n    y: int  # not x's\n    x: int", {"y": "not x's", "x": ""}),
        ("class A:\n    x: str = '# no comment'", {"x": ""}),
        ("class A:\n    _x: int  # private\n    n = 3  # no field", {}),
    ],
)
def test_comments_of_fields(source, expected):
    from docstrings import field_comments

    assert field_comments(source) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["Returns:", "    float (B,); V: 0 to 2."], ["Returns:", "    : float (B,); V: 0 to 2."]),
        (["  Yields:", "", "      one: two"], ["  Yields:", "", "      : one: two"]),
        (["Raises:", "    InputError: never."], ["Raises:", "    InputError: never."]),
    ],
)
def test_napoleon_takes_no_part_of_what_is_returned_for_a_type(given, expected):
    from docstrings import with_plain_returns

    assert list(with_plain_returns(given)) == expected


@pytest.mark.parametrize(("comment", "expected"), [("a*b", r"a\*b"), ("x_ and |y|", r"x\_ and \|y\|"), ("a_b", "a_b")])
def test_a_comment_is_no_markup(comment, expected):
    from docstrings import as_rst

    assert as_rst(comment) == expected
