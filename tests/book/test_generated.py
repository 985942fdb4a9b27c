"""Generated parts of pages say what the commands, the cards and CITATION.cff say, whatever signs are in it."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

import labutils
from labutils.data import catalog
from labutils.training.trained import FOLDER, read_card, shipped
from tests.cli.asking import ask

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = "# Words\n\n```{glossary}\nidentified raters\n  One.\n\nexchangeable raters\n  Two.\n```\n"
PAGES = {
    "index.md": "# Site\n\n```{toctree}\nline\ncards\nmodels\ncite\nwords\n```\n",
    "line.md": "# Line\n\n```{commands}\n```\n",
    "cards.md": "# Cards\n\n```{data-table}\n```\n\n```{data-cards}\n```\n",
    "models.md": "# Models\n\n```{model-cards}\n```\n",
    "cite.md": "# Cite\n\n```{citation}\n```\n",
    "words.md": GLOSSARY,
}


@pytest.fixture(scope="module")
def pages(site):
    return site(PAGES | {"CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8")})


def text(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def headings(page: str) -> list[str]:
    return [text(found).removesuffix("¶").strip() for found in re.findall(r"<h2>(.*?)</h2>", page)]


def commands(*path: str) -> list[str]:
    """Every command that ``--help`` lists, in full."""
    listed = re.findall(r"^  ([a-z-]+)  ", ask(*path, "--help").out.partition("Commands:")[2], flags=re.MULTILINE)
    below = [commands(*path, name) if name == "data" else [" ".join((*path, name))] for name in listed]
    return [name for names in below for name in names]


def test_every_command_and_option_of_help_is_on_the_page(pages):
    names = commands()
    assert len(names) > 10
    assert headings(pages["line"]) == [f"labutils {name}" for name in names]
    sections = dict(zip(names, re.split(r"<h2>", pages["line"])[1:], strict=True))
    for name, section in sections.items():
        options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", ask(*name.split(), "--help").out, flags=re.MULTILINE))
        missing = {option for option in options - {"--help"} if option not in text(section)}
        assert missing == set(), name


def test_every_card_is_on_the_page_with_its_license(pages):
    cards = [catalog.card(name) for name in catalog.names()]
    assert headings(pages["cards"]) == [card.title for card in cards]
    shown = text(pages["cards"])
    for card in cards:
        assert f'id="data-{card.name}"' in pages["cards"]
        for fact in (card.what, card.licence, card.citation, *card.quirks):
            assert " ".join(fact.split()) in shown, card.name
    before = pages["cards"].partition("<h2>")[0]
    assert before.count("<tr") == len(cards) + 1, "the table stands before the cards"


def test_every_network_of_the_package_is_on_the_page_with_its_limits(pages):
    about = {name: read_card(FOLDER / name) for name in shipped()}
    assert len(about) >= 1
    assert headings(pages["models"]) == [card.title for card in about.values()]
    shown = text(pages["models"])
    for name, card in about.items():
        assert f'id="model-{name}"' in pages["models"]
        for fact in (card.learned_from, card.answers, card.limits, card.licence):
            assert fact in shown, name


def test_the_citation_is_that_of_the_file(pages):
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    shown = text(pages["cite"])
    assert cff["message"] in shown
    assert cff["title"] in shown
    assert cff["version"] == labutils.__version__


CFF = {"title": "On Care", "version": "1.0", "authors": [{"name": "the authors"}]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ["title = {{On Care}},", "author = {{the authors}},", "version = {1.0},"]),
        ({"date-released": "2031-02-03"}, ["year = {2031},"]),
        ({"authors": [{"family-names": "Li", "given-names": "Q."}, {"name": "us"}]}, ["author = {Li, Q. and {us}},"]),
        ({"doi": "10.1/x"}, ["doi = {10.1/x},"]),
    ],
)
def test_bibtex(more, expected):
    from generated import bibtex

    entry = bibtex(CFF | more)
    assert entry.startswith("@software{labutils,\n  title")
    assert set(expected) <= set(map(str.strip, entry.splitlines()))
    assert "year" in more or ("year" in entry) == ("date-released" in more)


@pytest.mark.parametrize(
    "words",
    ["a*b*c", "fit.* and model.*", "[-3, 6]", "<str>", "#1 |x| $y$ ~z~", "`a`", "a_b_c", "C:\\d", "x --split y"],
)
def test_plain_text_stays_as_it_is(words):
    from generated import plain

    shown = html.unescape(re.sub(r"</?code>", "", MarkdownIt().renderInline(plain(words))))
    assert shown == words
