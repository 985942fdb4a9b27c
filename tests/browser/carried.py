"""Explorers on a page of their own, as plain HTML: what their module shows for some values."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page

from labutils.explore.core import Explorer, as_html


def carried(page: Page, explorer: Explorer, **value: Any) -> Locator:
    """The explorer on the page, with these parts of its value changed."""
    explorer.value = {**explorer.value, **value}
    page.set_content(f"<!doctype html><meta charset='utf-8'><body>{as_html(explorer)._repr_html_()}")
    page.wait_for_selector(".lu-explorer[data-state]")
    return page.locator(".lu-explorer")


def state(root: Locator) -> dict[str, Any]:
    """The values an explorer is set to, and the numbers it shows."""
    return json.loads(root.get_attribute("data-state"))


def states(page: Page) -> list[dict[str, Any]]:
    """What `state` gives for each explorer on a page."""
    return [state(one) for one in page.locator(".lu-explorer").all()]


def pixels(page: Page) -> list[str]:
    """Every picture of a page, to be compared with itself after a move."""
    return page.locator("canvas").evaluate_all("all => all.map((one) => one.toDataURL())")
