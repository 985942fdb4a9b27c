"""The explorer of drawn raters runs the model's decoder in the browser as Python does, and follows every move."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.explore.annotators import AnnotatorsExplorer, annotators_at, rater_decoder
from labutils.viz.annotators import FAINTEST
from labutils.viz.style import PAPER
from tests.browser import explorers
from tests.browser.carried import pixels, states
from tests.browser.test_samples import CASES, SIZE
from tests.explore.test_annotators import trained

DRAWS = 6
NUMBERS = ("truth_dice", "area_px", "truth_px")
LARGE, TRUTH, SAYS, PLACES, MISSES, ADDS = range(6)  # the pictures
DRAW = "[data-control=draw]"


DECODER = rater_decoder(trained(), CASES, rng_for(0, "z"), draws=DRAWS)
THREE = rater_decoder(trained(classes=3), CASES, rng_for(0, "z"), draws=DRAWS, bits=16)


def state(page):
    (found,) = states(page)
    return found


@pytest.fixture
def shown(opened):
    """Opens a page with explorers whose pictures are drawn."""

    @contextmanager
    def open_drawn(*values, decoder=DECODER, **context):
        made = [AnnotatorsExplorer(CASES, decoder) for _ in values or [{}]]
        for explorer, value in zip(made, values, strict=False):
            explorer.value = {**explorer.value, **value}
        with opened(*made, **context) as page:
            page.wait_for_function(
                "count => document.querySelectorAll('[data-state*=truth_dice]').length === count", arg=len(made)
            )
            yield page

    return open_drawn


def random_values(decoder, count):
    rng = numpy_rng_for(0, "values")
    sliders = AnnotatorsExplorer(CASES, decoder).data["latents"]
    z = [[float(rng.uniform(one["low"], one["high"])) for one in sliders] for _ in range(count)]
    return [{"case": place % len(CASES), "z": one} for place, one in enumerate(z)]


@pytest.mark.parametrize("decoder", [DECODER, THREE], ids=["two classes", "three classes in 16 bits"])
def test_the_page_computes_what_python_computes(shown, decoder):
    values = random_values(decoder, 9)
    with shown(*values, decoder=decoder) as page:
        found = states(page)
    areas = set()
    for value, there in zip(values, found, strict=True):
        wanted = annotators_at(CASES, decoder, value)
        assert {name: there[name] for name in value} == value
        assert [there[name] for name in NUMBERS] == pytest.approx(
            [getattr(wanted, name) for name in NUMBERS], abs=1e-12
        )
        assert there["mean_errors"] == pytest.approx(wanted.mean_errors, abs=1e-12)
        assert [math.nan if one is None else one for one in there["dice"]] == pytest.approx(
            wanted.dice, abs=1e-12, nan_ok=True
        )
        areas.add(wanted.area_px)
    assert len(areas) > 3  # z matters


PIXEL = """(canvas, [x, y]) => {
  const at = [(x + 0.5) * canvas.width / 20, (y + 0.5) * canvas.height / 20];
  const brush = new OffscreenCanvas(1, 1).getContext('2d');
  brush.drawImage(canvas, ...at, 1, 1, 0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


def test_maps_have_the_colors_of_their_values(shown):
    (value,) = random_values(DECODER, 1)
    wanted = annotators_at(CASES, DECODER, value)
    bare, faint = np.ones((SIZE, SIZE)), FAINTEST + (1 - FAINTEST) * wanted.truth
    maps = {TRUTH: (wanted.truth[1], bare), SAYS: (wanted.says[1], bare)}
    maps |= {MISSES: (wanted.errors[1], faint[1]), ADDS: (wanted.errors[0], faint[0])}
    with shown(value) as page:
        for place, (values, opacity) in maps.items():
            canvas = page.locator("canvas").nth(place)
            for row, column in ((3, 7), (11, 2), (16, 16)):
                steps = math.floor(255 * values[row, column] + 0.5) / 255
                shade = opacity[row, column]
                pairs = zip(colormaps["viridis"](steps)[:3], to_rgb(PAPER), strict=True)
                color = [255 * (shade * part + (1 - shade) * ground) for part, ground in pairs]
                assert canvas.evaluate(PIXEL, [column, row]) == pytest.approx(color, abs=2)
            ratio = canvas.evaluate("one => one.getBoundingClientRect().width / one.getBoundingClientRect().height")
            assert ratio == pytest.approx(0.5, abs=0.01)  # pixels are twice as tall as wide


def drawn(case, draw):
    return {"case": case, "draw": draw, "z": DECODER.draws[case, draw].tolist()}


MOVES = {
    "case by keyboard": ("[data-control=case]", lambda one: one.press("ArrowRight"), {**drawn(0, 0), "case": 1}),
    "draw by mouse": (DRAW, lambda one: one.click(), drawn(0, 1)),
    "draw by tap": (DRAW, lambda one: one.tap(), drawn(0, 1)),
    "draw by keyboard": (DRAW, lambda one: one.press("Enter"), drawn(0, 1)),
    "raters by mouse": ("[data-control=raters]", lambda one: one.click(), {"raters": True}),
    "raters by tap": ("[data-control=raters]", lambda one: one.tap(), {"raters": True}),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_the_state_and_the_pictures(shown, move):
    where, act, wanted = MOVES[move]
    with shown(has_touch=True) as page:
        before = pixels(page)
        start = AnnotatorsExplorer(CASES, DECODER).value
        assert {name: state(page)[name] for name in start} == start
        act(page.locator(where))
        assert {name: state(page)[name] for name in start} == {**start, **wanted}
        assert pixels(page)[LARGE] != before[LARGE]


@pytest.mark.parametrize("latent", range(3))
def test_a_slider_moves_its_own_latent_number(shown, latent):
    with shown() as page:
        before, start = pixels(page), state(page)
        slider = page.locator(f"[data-control='z.{latent}']")
        slider.press("End")
        box = slider.bounding_box()
        high = AnnotatorsExplorer(CASES, DECODER).data["latents"][latent]["high"]
        assert state(page)["z"] == [high if place == latent else one for place, one in enumerate(start["z"])]
        after = pixels(page)
        assert all(after[place] != before[place] for place in (SAYS, PLACES, MISSES, ADDS))
        assert after[TRUTH] == before[TRUTH]
        assert page.locator("[data-number=who]").inner_text() == "a latent vector that was not drawn for this image"
        page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
        assert abs(state(page)["z"][latent]) < abs(high)


def test_the_button_goes_through_all_draws_of_the_image_and_begins_again(shown):
    with shown(drawn(2, DRAWS - 2)) as page:
        said = page.locator("[data-number=who]")
        for draw in (DRAWS - 1, 0, 1):
            page.locator(DRAW).click()
            assert {name: state(page)[name] for name in ("case", "draw", "z")} == drawn(2, draw)
            assert said.inner_text() == f"drawn rater {draw + 1} of {DRAWS}"
        page.locator("[data-control=case]").press("Home")
        assert state(page)["z"] == drawn(2, 1)["z"]  # the same rater before another image
        assert said.inner_text() == "a latent vector that was not drawn for this image"


def test_pictures_say_what_they_show(shown):
    value = {"case": 1, "z": DECODER.draws[1, 0].tolist(), "raters": True}
    wanted = annotators_at(CASES, DECODER, value)
    with shown(value) as page:
        names = [one.get_attribute("aria-label") for one in page.locator("canvas").all()]
        dice = page.locator("[data-number=dice]").inner_text()
    marked, there = (f"outline around {count} pixels" for count in (wanted.area_px, wanted.truth_px))
    assert names[LARGE] == f"case 1: drawn rater, {marked}; clean truth, {there}; outlines of 2 raters"
    assert names[SAYS] == f"drawn rater: chance to mark; {marked}"
    missed, added = wanted.mean_errors[::-1]
    assert names[MISSES] == f"chance to miss: {missed:.2f} on average inside the clean truth"
    assert names[ADDS] == f"chance to add: {added:.2f} on average outside the clean truth"
    below = (DECODER.draws[1] < DECODER.draws[1, 0]).sum(0)
    assert [int(part.rpartition(" ")[2]) for part in names[PLACES].split(": ")[1].split("; ")] == below.tolist()
    assert dice == f"{wanted.dice[0]:.2f}, absent, {wanted.dice[2]:.2f}"


def test_a_reader_finds_no_fault_and_no_dead_control_on_a_phone(shown):
    with shown(has_touch=True, viewport={"width": 390, "height": 900}) as page:
        explorer = page.locator(".lu-explorer")
        assert explorers.faults(page, explorer) == []
        assert explorers.out_of_reach(page, explorer) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert explorers.dead(explorer, explorers.by_touch) == []
