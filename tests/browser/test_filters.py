"""The explorer of filters in a browser: it moves by every means, and its verdicts are Python's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labutils.core.runtime import numpy_rng_for
from labutils.data.lidc_native import FILTERS, NativeConfig
from labutils.data.lidc_scans import open_scan
from labutils.explore.filters import FilterExplorer, filter_value, filters_at, gather

STEP = 5  # pixels between two places of the limits
PICTURES = "canvases => canvases.map(one => one.toDataURL())"
# every control is moved as by a reader; the upper limit goes out of the way of the lower one first
MOVE = """given => {
  const control = (name) => document.querySelector(`[data-control=${name}]`);
  const put = (name, to) => {
    const input = control(name);
    if (input.type === 'checkbox') return void (input.checked !== to && input.click());
    input.value = to;
    input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input', { bubbles: true }));
  };
  put('high', control('high').max);
  for (const [name, to] of Object.entries(given)) put(name, to);
}"""


@pytest.fixture(scope="module")
def candidates():
    return gather([open_scan(number) for number in (769, 946, 658, 370)])  # every filter removes something


def state(page):
    return json.loads(page.locator("[data-explorer=filters]").get_attribute("data-state"))


def expected(candidates, value):
    """The numbers that the page must show at a value, by the function that draws the printed figure."""
    shown = filters_at(candidates, value)
    verdicts = [why or "stays" for why in shown.refusals]
    first = int(np.flatnonzero(candidates.nodule == value["nodule"])[0])
    numbers = {"verdict": verdicts[first + value["slice"]], "stay": verdicts.count("stays")}
    return value | numbers | {"removed": shown.removed, "verdicts": verdicts}


def drawn_value(candidates, rng):
    nodule = int(rng.integers(candidates.nodule.max() + 1))
    merged, box, border, area = (bool(one) for one in rng.integers(0, 2, 4))
    low = STEP * int(rng.integers(0, 20))
    value = {
        "nodule": nodule,
        "slice": int(rng.integers((candidates.nodule == nodule).sum())),
        "merged": merged,
        "raters": int(rng.integers(1, 5)),
        "box": box,
        "border": border,
        "area": area,
        "low": low,
        "high": low + STEP * int(rng.integers(1, 120)),
    }
    assert value.keys() == filter_value().keys()
    return value


def test_every_filter_has_something_to_do(candidates):
    assert all(filters_at(candidates, filter_value()).removed.values())


def test_verdicts_and_counts_are_those_of_python(candidates, opened):
    rng = numpy_rng_for(0, "configurations")
    values = [drawn_value(candidates, rng) for _ in range(12)]
    with opened(FilterExplorer(candidates)) as page:
        assert state(page) == expected(candidates, filter_value())
        seen = set()
        for value in values:
            page.evaluate(MOVE, value)
            assert state(page) == expected(candidates, value)
            seen |= set(state(page)["verdicts"])
    assert seen == {*FILTERS, "stays"}


def test_slices_at_a_limit_and_nodules_of_every_number_of_raters_are_judged_alike(candidates, opened):
    every = np.arange(len(candidates.cases))
    made = replace(candidates, annotations=1 + every % 8, area_px=STEP * every, fits=every > -1, inside=every > -1)
    config = NativeConfig(min_readers=3, area_px=(20 * STEP, 40 * STEP))
    with opened(FilterExplorer(made, config=config)) as page:
        assert state(page) == expected(made, filter_value(config))
        page.locator("[data-control=merged]").uncheck()
        page.locator("[data-control=raters]").press("Home")
        assert state(page)["stay"] == 19  # between the limits


def test_each_control_changes_what_is_shown(candidates, opened):
    with opened(FilterExplorer(candidates)) as page:
        before = state(page)
        # a nodule with a choice of slices; then each filter alone
        page.locator("[data-control=nodule]").select_option("4")
        assert state(page)["nodule"] == 4
        for name in ("merged", "box", "border", "area"):
            page.locator(f"[data-control={name}]").click()
            assert state(page)[name] is False
            assert state(page)["removed"][name] == 0
            page.locator(f"[data-control={name}]").click()
        for name, key in (("slice", "ArrowRight"), ("raters", "ArrowLeft"), ("low", "ArrowLeft"), ("high", "PageDown")):
            was = state(page)
            page.locator(f"[data-control={name}]").press(key)
            assert state(page)[name] != was[name]
        for name in ("verdict", "stay"):
            assert page.locator(f"output[data-number={name}]").text_content()
        assert state(page)["stay"] != before["stay"]


def test_the_limits_of_the_area_do_not_cross(candidates, opened):
    with opened(FilterExplorer(candidates)) as page:
        page.locator("[data-control=low]").press("End")
        assert (state(page)["low"], state(page)["high"]) == (795, 800)
        assert page.locator("[data-control=low]").input_value() == "795"
        page.evaluate(MOVE, {"low": 30})
        page.locator("[data-control=high]").press("Home")
        assert (state(page)["low"], state(page)["high"]) == (30, 35)
        page.locator("[data-control=area]").uncheck()
        assert page.locator("[data-control=low]").is_disabled()
        assert page.locator("[data-control=high]").is_disabled()


def test_another_nodule_begins_in_its_middle_and_its_slices_are_all_there(candidates, opened):
    with opened(FilterExplorer(candidates)) as page:
        for nodule, count in enumerate(np.bincount(candidates.nodule).tolist()):
            page.locator("[data-control=nodule]").select_option(str(nodule))
            assert state(page)["slice"] == count // 2
            assert page.locator("[data-control=slice]").get_attribute("max") == str(count - 1)


def test_the_strip_of_slices_is_chosen_from_by_mouse_and_by_touch(candidates, opened):
    last = int(candidates.nodule.max())
    with opened(FilterExplorer(candidates), has_touch=True, viewport={"width": 390, "height": 900}) as page:
        strip = page.locator("canvas[aria-label^='Every slice']")
        strip.scroll_into_view_if_needed()
        box = strip.bounding_box()
        middle = box["y"] + box["height"] / 2
        pictures = page.locator("canvas").evaluate_all(PICTURES)
        page.touchscreen.tap(box["x"] + box["width"] - 2, middle)
        assert state(page)["nodule"] == last
        assert state(page)["slice"] == (candidates.nodule == last).sum() - 1
        assert all(a != b for a, b in zip(pictures, page.locator("canvas").evaluate_all(PICTURES), strict=True))
        page.mouse.move(box["x"] + box["width"] - 2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] - 30, middle, steps=4)  # beyond its end: the pointer is held
        page.mouse.up()
        page.mouse.move(box["x"] + box["width"] / 2, middle)  # no button: nothing moves
        assert (state(page)["nodule"], state(page)["slice"]) == (0, 0)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_slider_is_dragged(candidates, opened):
    with opened(FilterExplorer(candidates)) as page:
        box = page.locator("[data-control=low]").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.06 * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=5)
        page.mouse.up()
        low = state(page)["low"]
        assert 300 < low < 600
        assert state(page) == expected(candidates, filter_value() | {"low": low})


def test_the_ninth_rater_and_those_after_are_drawn(candidates, opened):
    drew = np.zeros((10, 64, 64), bool)
    drew[[0, 7, 9], 20:30, 20:30] = True  # and nobody else
    masks = (drew, *candidates.masks[1:])
    crowded = replace(candidates, masks=masks, annotations=np.array([len(one) for one in masks]))
    with opened(FilterExplorer(crowded)) as page:
        said = page.locator("canvas").first.get_attribute("aria-label")
        assert "3 of the nodule's 10 outlines" in said
        assert page.locator(".lu-caption").first.text_content().endswith("outlines: 1 8 10")
        assert state(page)["verdict"] == "merged"


def test_the_words_say_what_the_colors_do(candidates, opened):
    with opened(FilterExplorer(candidates)) as page:
        bars = page.locator(".lu-bars").get_attribute("aria-label")
        removed = ", ".join(
            f"{name.replace('readers', 'raters')} removes {n}" for name, n in state(page)["removed"].items()
        )
        assert bars == f"Of {len(candidates.cases)} slices {removed}; {state(page)['stay']} stay"
        page.evaluate(MOVE, {"nodule": 0, "slice": 0})
        assert page.locator("output[data-number=verdict]").text_content() == "removed: area"
        widths = page.locator(".lu-track").last.locator("span").evaluate_all("all => all.map(one => one.style.width)")
        total = len(candidates.cases)
        shares = [100 * state(page)["stay"] / total, 100 * state(page)["removed"]["area"] / total]
        assert [float(one.rstrip("%")) for one in widths] == pytest.approx(shares, abs=0.01)
