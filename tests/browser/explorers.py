"""Moving the controls of explorers as a reader would, and finding those that are dead, unnamed or out of reach.

An explorer is a ``.lu-explorer`` whose ``data-state`` is renewed with each redraw; each of its controls carries
``data-control``, and its pictures are canvases.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

ANSWER_MS = 500  # a redraw comes within milliseconds; each control has four tries
SMALLEST_PX = 24  # of a control that a finger has to hit
PIXELS = "[...root.querySelectorAll('canvas')].map(one => one.toDataURL()).join() || root.innerHTML"
LOOK = f"root => {{ root.before = [root.dataset.state, {PIXELS}]; }}"  # kept on the page: pixels are many
REACH = "one => Math.max(...[one, ...(one.labels ?? [])].map(part => part.getBoundingClientRect().height))"
ANSWERED = f"root => root.dataset.state !== root.before[0] && ({PIXELS}) !== root.before[1]"
UNMARKED = "root => [...root.querySelectorAll('input, select, button')].filter(one => !one.dataset.control).length"


def by_keyboard(control: Locator, move: int) -> None:
    """The keys that change a control of this kind; move is 0 or 1, and the two differ."""
    control.focus()
    kind = control.evaluate("one => one.type")
    keys = {"range": ("End", "Home"), "select-one": ("ArrowDown", "ArrowUp"), "button": ("Enter", "Space")}
    control.press(keys.get(kind, ("Space", "Space"))[move])


def _pointed(control: Locator, move: int, point: Callable[..., None]) -> None:
    """A press of a pointer: on one end of a slider or the other, in the middle of anything else."""
    kind = control.evaluate("one => one.type")
    if kind == "select-one":  # its list is drawn by the system, where no test can point
        count = control.locator("option").count()
        now = control.evaluate("one => one.selectedIndex")
        control.select_option(index=(now + 1 + move) % count)
    elif kind == "range":
        box = control.bounding_box() or {"width": 0, "height": 0}
        point(position={"x": box["width"] * (0.9, 0.1)[move], "y": box["height"] / 2})
    else:
        point()


def by_mouse(control: Locator, move: int) -> None:
    """A click."""
    _pointed(control, move, control.click)


def by_touch(control: Locator, move: int) -> None:
    """A tap of a finger."""
    _pointed(control, move, control.tap)


def answers(explorer: Locator, control: Locator, move_by: Callable[[Locator, int], None]) -> bool:
    """Whether one of two moves of a control renews both the state of the explorer and its pixels."""
    page = explorer.page
    for move in (0, 1):
        if not control.is_enabled():
            return False
        explorer.evaluate(LOOK)
        try:
            move_by(control, move)
            page.wait_for_function(ANSWERED, arg=explorer.element_handle(), timeout=ANSWER_MS)
        except PlaywrightTimeoutError:
            continue
        return True
    return False


def visible(explorer: Locator, what: str) -> list[Locator]:
    """The parts of an explorer that can be seen now; the others belong to something that is not chosen."""
    return [one for one in explorer.locator(what).all() if one.is_visible()]


def dead(explorer: Locator, move_by: Callable[[Locator, int], None]) -> list[str]:
    """The controls of an explorer that change nothing.

    A control may have nothing to do where an explorer begins, such as a button back to the start: those that did
    not answer are asked again when the others have been moved. A choice may hide controls that follow it, so the last
    control comes first, and what has been hidden meanwhile is not asked. One that is silent then, as the others stand
    where it has nothing to do, is asked alone on the page as it was opened.
    """
    silent = visible(explorer, "[data-control]")[::-1]
    for _ in range(2):
        silent = [one for one in silent if one.is_visible() and not answers(explorer, one, move_by)]
    return [one.get_attribute("data-control") or "" for one in silent if not _answers_alone(explorer, one, move_by)]


def _answers_alone(explorer: Locator, control: Locator, move_by: Callable[[Locator, int], None]) -> bool:
    explorer.page.reload()
    explorer.and_(explorer.page.locator("[data-state]")).wait_for()
    return control.is_visible() and answers(explorer, control, move_by)


def name_of(page: Page, element: Locator) -> str:
    """What a screen reader calls an element, by the browser's own reckoning."""
    session = page.context.new_cdp_session(page)
    element.evaluate("one => window.asked = one")
    found = session.send("Runtime.evaluate", {"expression": "window.asked"})["result"]["objectId"]
    nodes = session.send("Accessibility.getPartialAXTree", {"objectId": found, "fetchRelatives": False})["nodes"]
    session.detach()
    return nodes[0].get("name", {}).get("value", "").strip()


def faults(page: Page, explorer: Locator) -> list[str]:
    """What is wrong with an explorer before anything is moved, one sentence each."""
    shown = visible(explorer, "[data-control]")
    found = [] if shown else ["has no control"]
    if count := explorer.evaluate(UNMARKED):
        found.append(f"{count} controls carry no data-control")
    nameless = [one.get_attribute("data-control") for one in shown if not name_of(page, one)]
    found += [f"the control {one} has no name" for one in nameless]
    for number, one in enumerate(visible(explorer, "canvas")):
        if one.get_attribute("role") != "img" or not name_of(page, one):
            found.append(f"picture {number} has no name or is no image")
    return found


def out_of_reach(page: Page, explorer: Locator) -> list[str]:
    """The controls that leave the window or are too small for a finger."""
    width = (page.viewport_size or {"width": 0})["width"]
    found = []
    for one in visible(explorer, "[data-control]"):
        one.scroll_into_view_if_needed()
        box = one.bounding_box()
        reach = one.evaluate(REACH)
        if box is None or box["x"] < 0 or box["x"] + box["width"] > width + 0.5:
            found.append(f"the control {one.get_attribute('data-control')} leaves a window of {width} px")
        elif reach < SMALLEST_PX:
            found.append(f"the control {one.get_attribute('data-control')} is {reach:.0f} px high")
    return found
