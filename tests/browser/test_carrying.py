"""A widget manager carries an explorer: one redraw a change, either way, and nothing is left when it goes."""

import json

import numpy as np
import pytest

from labutils.core.types import Case
from labutils.explore.core import as_html, module, pack_floats
from labutils.explore.raters import RatersExplorer

# a model as widget managers have it: a change of a value is told to all who listen, the one who made it included
CARRY = """async ([source, data, value]) => {
  const { default: module } = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  const traits = { data, value };
  const listeners = new Set();
  window.model = {
    saved: 0,
    get: (name) => traits[name],
    set(name, given) { traits[name] = given; listeners.forEach((one) => one()); },
    on: (_, one) => listeners.add(one),
    off: (_, one) => listeners.delete(one),
    save_changes() { this.saved += 1; },
  };
  window.listening = () => listeners.size;
  const el = document.body.appendChild(document.createElement('div'));
  window.leave = module.render({ model: window.model, el });
  await new Promise((done) => (function wait() {
    document.querySelector('.lu-explorer')?.dataset.state ? done() : setTimeout(wait, 5);
  })());
  window.redraws = 0;
  const root = document.querySelector('.lu-explorer');
  new MutationObserver((all) => (window.redraws += all.length)).observe(root, { attributeFilter: ['data-state'] });
}"""
THEME = "theme => { document.documentElement.dataset.theme = theme; }"


def made(name="a case"):
    masks = np.zeros((2, 8, 8), dtype=np.uint8)
    masks[0, 2:5, 2:5] = masks[1, 3:6, 3:6] = 1
    return Case(image=np.full((1, 8, 8), 0.5, np.float32), masks=masks, present=np.ones(2, dtype=bool), case=name)


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def carried(page):
    explorer = RatersExplorer([made(), made("another")])
    page.set_content("<!doctype html><body>")
    page.evaluate(CARRY, [explorer._esm, explorer.data, explorer.value])
    return page


def state(page):
    return json.loads(page.locator(".lu-explorer").get_attribute("data-state"))


def test_a_move_is_drawn_once_and_saved_once(carried):
    carried.locator("[data-control=threshold]").press("ArrowRight")
    assert carried.evaluate("[redraws, model.saved, model.get('value').threshold]") == [1, 1, 6]


def test_what_python_sets_is_drawn_and_not_sent_back(carried):
    carried.evaluate("model.set('value', { case: 1, shown: [true, false], threshold: 3 })")
    assert carried.evaluate("[redraws, model.saved]") == [1, 0]
    assert (state(carried)["case"], state(carried)["shown"]) == (1, [True, False])
    assert carried.locator("[data-control=case]").input_value() == "1"


def test_it_follows_the_theme_also_after_it_was_away(carried):
    carried.evaluate(THEME, "dark")
    assert carried.evaluate("redraws") == 1
    carried.evaluate("window.box = document.querySelector('.lu-explorer').parentElement; box.remove()")
    carried.evaluate(THEME, "light")
    carried.evaluate("document.body.append(box)")
    carried.evaluate(THEME, "dark")
    assert carried.evaluate("redraws") == 3


def test_nothing_listens_when_it_has_gone(carried):
    assert carried.evaluate("listening()") == 1
    carried.evaluate("leave()")
    carried.evaluate(THEME, "dark")
    assert carried.evaluate("[listening(), redraws]") == [0, 0]


@pytest.mark.parametrize("name", ["<!--<script>", "</script><b>", "a & b 'c' \"d\""])
def test_a_name_cannot_break_the_page(page, name):
    page.set_content(f"<!doctype html><body>{as_html(RatersExplorer([made(name)]))._repr_html_()}")
    page.wait_for_selector(".lu-explorer[data-state]")
    assert page.locator(".lu-value").first.inner_text() == name
    assert page.locator("b").count() == 0


UNPACK = """async ([source, packed]) => {
  const text = source + '\\nexport { unpackFloats };';
  const kit = await import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
  return [...(await kit.unpackFloats(packed)).values];
}"""


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_numbers_are_unpacked_to_the_bit(page, kind):
    limits = np.finfo(kind)
    ends = [0, limits.smallest_subnormal, 5 * limits.smallest_subnormal, limits.tiny, 1, 1 / 3, 1000.5, limits.max]
    numbers = np.array([*ends, *(-one for one in ends[1:])], kind)
    assert page.evaluate(UNPACK, [module("raters"), pack_floats(numbers)]) == numbers.astype(np.float64).tolist()
