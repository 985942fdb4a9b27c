"""``{figure-index}``: every numbered figure, algorithm and labelled equation of the book, chapter by chapter.

Numbers and captions are known only when all pages have been read, so the directive leaves a mark that is filled when
its page is written; the page is written anew whenever any page has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

KINDS = {"figure": "Figure", "algorithm": "Algorithm", "displaymath": "Equation"}  # as Sphinx calls them, and we


class Mark(nodes.General, nodes.Element):
    """Stands where the index goes until everything is known."""


class Entry(NamedTuple):
    """One line of the index."""

    kind: str  # one of KINDS
    number: str  # as the page shows it, e.g. "3" or "2.1"
    target: str  # the anchor on its page
    shown: nodes.Text | nodes.math_block


class FigureIndex(SphinxDirective):
    """The directive: no arguments, no content."""

    def run(self) -> list[nodes.Node]:
        """A mark; the page is remembered."""
        self.env.metadata[self.env.docname]["figure-index"] = True
        return [Mark()]


def pages_in_order(env: BuildEnvironment, page: str) -> Iterator[str]:
    """A page and all below it, in the order of the table of contents."""
    yield page
    for below in env.toctree_includes.get(page, []):
        yield from pages_in_order(env, below)


def first_sentence(text: str) -> str:
    """The text up to its first full stop that ends a sentence."""
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def kind_of(block: nodes.Element) -> str:
    """What Sphinx counts a block among."""
    if isinstance(block, nodes.math_block):
        return "displaymath"
    return "figure" if isinstance(block, nodes.figure) else block.get("countertype", "")  # of sphinx-proof


def shown(block: nodes.Element) -> nodes.Text | nodes.math_block:
    """What the index shows of a block: the formula, the first sentence of the caption, or the title."""
    if isinstance(block, nodes.math_block):
        return nodes.math_block(block.astext(), block.astext(), nowrap=False, number=None)
    if isinstance(block, nodes.figure):
        return nodes.Text(first_sentence(block.next_node(nodes.caption).astext()))
    return nodes.Text(block["title"].strip(" ()"))


def entries(env: BuildEnvironment, page: str) -> Iterator[Entry]:
    """What a page has that is numbered, kind by kind, each in the order of the page."""
    numbers = env.toc_fignumbers.get(page)
    for block in env.get_doctree(page).findall(nodes.Element) if numbers else ():  # most pages need no reading
        kind = kind_of(block)
        number = next((numbers[kind][i] for i in block["ids"] if i in numbers.get(kind, {})), None)
        if number:
            yield Entry(kind, ".".join(map(str, number)), block["ids"][0], shown(block))


def listed(app: Sphinx, here: str, page: str, found: Iterable[Entry]) -> list[nodes.Node]:
    """A heading and a list for each kind that a page has."""
    made: list[nodes.Node] = []
    for kind, group in [(k, [e for e in found if e.kind == k]) for k in KINDS]:
        items = nodes.bullet_list(classes=["figure-index"])
        for entry in group:
            link = make_refnode(app.builder, here, page, entry.target, nodes.Text(f"{KINDS[kind]} {entry.number}"))
            if isinstance(entry.shown, nodes.Text):
                items += nodes.list_item("", nodes.paragraph("", "", link, nodes.Text(": "), entry.shown))
            else:
                items += nodes.list_item("", nodes.paragraph("", "", link), entry.shown)
        if group:
            made += [nodes.rubric("", f"{KINDS[kind]}s"), items]
    return made


def fill(app: Sphinx, doctree: nodes.document, here: str) -> None:
    """Replace the mark on a page by the index."""
    for mark in list(doctree.findall(Mark)):
        made: list[nodes.Node] = []
        for page in pages_in_order(app.env, app.config.root_doc):
            if page != here and (lists := listed(app, here, page, list(entries(app.env, page)))):
                title = app.env.titles[page].astext()
                link = make_refnode(app.builder, here, page, "", nodes.Text(title))
                made += [nodes.section("", nodes.title("", "", link), *lists, ids=[nodes.make_id(f"in-{title}")])]
        app.env.get_domain("math").data["has_equations"][here] = True  # formulas that reading the page did not show
        mark.replace_self(made)


def pages_with_an_index(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to write anew once all pages are read."""
    return [page for page, facts in env.metadata.items() if "figure-index" in facts]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_node(Mark)
    app.add_directive("figure-index", FigureIndex)
    app.connect("env-updated", pages_with_an_index)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
