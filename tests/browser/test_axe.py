"""No page shuts a reader out: axe-core finds nothing serious on any, light or dark, but what is the theme's own."""

from __future__ import annotations

from functools import cache

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser.built import names

SERIOUS = ("serious", "critical")
OURS = ".lu-explorer, .cell_output, figure, .bd-article p, .bd-article table, .bd-article img"
# (rule, selector): why it stands. Findings of the theme alone; what is ours is mended instead.
KNOWN = {
    ("aria-required-children", "div.citation-list"): "Sphinx gives the list of references the role of a list and its"
    " entries none, as each is followed by links back to where it is cited.",
    ("summary-name", "li.has-children > details > summary"): "The theme unfolds a part of the table of contents by an"
    " arrow without a name; the link beside it leads to the same pages.",
    (
        "definition-list",
        ".sig > dl",
    ): "Sphinx sets a signature of several lines as definitions without terms.",
}
MOST_ALIKE = 12  # entries of an API page and of the index that are looked at: they are made alike
# The same kind of token has the same colors wherever it stands in code: one of each is looked at, not thousands.
ONE_OF_EACH = """most => {
  for (const kind of ['dl.py', '.genindextable li']) {
    for (const entry of [...document.querySelectorAll(kind)].slice(most)) entry.remove();
  }
  const seen = new Set();
  for (const token of document.querySelectorAll('.highlight pre span[class]')) {
    if (seen.has(token.className) && !token.firstElementChild) token.replaceWith(...token.childNodes);
    seen.add(token.className);
  }
}"""
FINDINGS = """async ([known, ours, rules]) => {
  const found = await axe.run(document, {resultTypes: ['violations'], iframes: false, ...rules});
  const nodes = found.violations.flatMap(rule => rule.nodes.map(node => ({
    rule: rule.id, impact: node.impact, target: node.target.flat().join(' '), html: node.html.slice(0, 200),
    says: node.failureSummary})));
  for (const node of nodes) {
    const element = document.querySelector(node.target);
    node.known = known.filter(([rule, selector]) => rule === node.rule && element?.matches(selector));
    node.ours = Boolean(element?.closest(ours));
  }
  return nodes;
}"""


def serious_findings(page: Page) -> list[dict]:
    """What axe-core holds against an open page, then in the dark: rule, target, html, what it says, what is known."""
    page.evaluate(ONE_OF_EACH, MOST_ALIKE)
    page.evaluate(AXE_SCRIPT)
    arguments = [[list(key) for key in KNOWN], OURS]
    found = page.evaluate(FINDINGS, [*arguments, {}])
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(FINDINGS, [*arguments, {"runOnly": ["color-contrast"]}])  # nothing else depends on colors
    return [one for one in found if one["impact"] in SERIOUS]


@pytest.fixture(scope="module")
def findings(visit):
    """The serious findings of a page; each page is looked at once."""

    @cache
    def look(name: str) -> list[dict]:
        with visit(name) as (page, _):
            found = serious_findings(page)
            assert page.locator("html").get_attribute("data-theme") == "dark"
            return found

    return look


@pytest.mark.parametrize("name", names())
def test_a_page_has_no_serious_finding(findings, name):
    new = [one for one in findings(name) if not one["known"] or one["ours"]]
    assert [f"{one['rule']} at {one['target']}: {one['html']} {one['says']}" for one in new] == []


def test_known_findings_are_still_found(findings):
    found = {tuple(key) for name in names() for one in findings(name) for key in one["known"]}
    assert found == set(KNOWN)


PLANTED = """<!doctype html><html lang="en"><title>toy</title>
<style>@media (prefers-color-scheme: dark) { b { color: #222; background: #000; } }</style>
<main class="lu-explorer" data-state="{}"><h1>toy</h1><b>dark on black</b>
  <input type="range"><span style="color: #ccc">pale</span></main>"""


def test_a_planted_fault_is_found(visit_toy, tmp_path):
    (tmp_path / "toy.html").write_text(PLANTED)
    with visit_toy("toy") as (page, _):
        found = serious_findings(page)
    assert {(one["rule"], one["target"]) for one in found} == {
        *(("label", "input"), ("color-contrast", "span"), ("color-contrast", "b"))
    }
    assert all(one["ours"] for one in found)
