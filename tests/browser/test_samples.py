"""The explorer of samples says in the browser what the package says, and follows every way to move it."""

import math

import numpy as np
import pytest

from labutils.core.types import Case
from labutils.explore.samples import Level, SampleGrid, SamplesExplorer, samples_at
from tests.browser.carried import carried, state

SIZE, RATERS, CASES_MADE = 20, 3, 3
NUMBERS = ("ged2_v", "diversity", "rater_diversity", "mean_dice", "area_px")
FINGERPRINTS = "root => [...root.querySelectorAll('canvas')].map(one => one.toDataURL())"
SAMPLER, ENLARGED, MEAN, SPREAD = "[data-control=sampler]", -3, -2, -1


def made(seed):
    """Three raters, one of them absent in the second case, and one who saw nothing in the first."""
    rng = np.random.default_rng(seed)
    masks = (rng.random((RATERS, SIZE, SIZE)) < 0.4).astype(np.uint8)
    present = np.array([True, seed != 1, True])
    masks[0] *= seed > 0
    masks[~present] = 0
    image = rng.random((1, SIZE, SIZE), dtype=np.float32)
    return Case(image=image, masks=masks, present=present, case=f"case {seed}", spacing_mm=(0.8, 0.4))


def made_samplers():
    """Two levels and probabilities; one level and masks, of which a whole position is empty; no level, one sample."""
    rng = np.random.default_rng(7)
    hard = rng.random((CASES_MADE, 2, 8, SIZE, SIZE)) < 0.3
    hard[:, 1] = False
    levels = Level("coarse", ("drawn", "held")), Level("fine", ("drawn", "low", "high"))
    return [
        SampleGrid(name="two levels", probs=rng.random((CASES_MADE, 2, 3, 5, SIZE, SIZE)), levels=levels),
        SampleGrid(name="one level", probs=hard, levels=(Level("threshold u", ("drawn", "0.9")),)),
        SampleGrid(name="none", probs=rng.random((CASES_MADE, 1, SIZE, SIZE)), samples=("the only one",)),
    ]


CASES, SAMPLERS = [made(seed) for seed in range(CASES_MADE)], made_samplers()
COUNTS = [one.probs.shape[-3] for one in SAMPLERS]


@pytest.fixture
def page(browser):
    with browser.new_context(has_touch=True) as context:
        yield context.new_page()


def opened(page, explorer, **value):
    """The explorer on the page, with its pictures drawn."""
    root = carried(page, explorer, **value)
    page.wait_for_selector("[data-state*=ged2_v]")
    return root


@pytest.fixture
def explorer():
    return SamplesExplorer(CASES, SAMPLERS)


def random_values(count):
    rng = np.random.default_rng(3)
    values = []
    for place in range(count):
        sampler = place % len(SAMPLERS)
        positions = [[int(rng.integers(len(level.labels))) for level in one.levels] for one in SAMPLERS]
        sample, case = int(rng.integers(COUNTS[sampler])), int(rng.integers(CASES_MADE))
        given = {"case": case, "sampler": sampler, "positions": positions, "sample": sample}
        values.append({**given, "raters": bool(rng.random() < 0.5)})
    return values


@pytest.mark.parametrize("value", random_values(12), ids=str)
def test_the_numbers_are_those_of_the_metrics(page, explorer, value):
    shown, wanted = state(opened(page, explorer, **value)), samples_at(CASES, SAMPLERS, value)
    assert {name: shown[name] for name in value} == value
    assert [shown[name] for name in NUMBERS] == pytest.approx([getattr(wanted, name) for name in NUMBERS], abs=1e-9)
    assert [math.nan if one is None else one for one in shown["dice"]] == pytest.approx(
        wanted.dice, abs=1e-9, nan_ok=True
    )
    assert shown["most_spread"] == pytest.approx(wanted.spread.max(), abs=1e-9)


PIXEL = """(canvas, [x, y]) => {
  const at = [(x + 0.5) * canvas.width / 20, (y + 0.5) * canvas.height / 20];
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
}"""


def test_maps_have_the_colors_of_their_values(page, explorer):
    from matplotlib import colormaps

    root = opened(page, explorer, case=1)
    wanted = samples_at(CASES, SAMPLERS, explorer.value)
    for place, values, name in ((MEAN, wanted.mean, "viridis"), (SPREAD, wanted.spread / 0.5, "magma")):
        canvas = root.locator("canvas").nth(place)
        for row, column in ((3, 7), (11, 2), (16, 16)):
            steps = math.floor(255 * values[row, column] + 0.5) / 255
            color = [255 * part for part in colormaps[name](steps)[:3]]
            assert canvas.evaluate(PIXEL, [column, row]) == pytest.approx(color, abs=1)
    ratio = canvas.evaluate("one => one.getBoundingClientRect().width / one.getBoundingClientRect().height")
    assert ratio == pytest.approx(0.5, abs=0.01)  # pixels are twice as tall as wide


MOVES = {
    "case by keyboard": ("[data-control=case]", lambda one: one.press("ArrowRight"), {"case": 1}),
    "sampler": (SAMPLER, lambda one: one.select_option("2"), {"sampler": 2}),
    "level by keyboard": (
        "[data-control='position.0.1']",
        lambda one: one.press("End"),
        {"positions": [[0, 2], [0], []]},
    ),
    "enlarged by keyboard": ("[data-control=sample]", lambda one: one.press("ArrowRight"), {"sample": 1}),
    "enlarged by a button": ("[data-control='sample.3']", lambda one: one.press("Enter"), {"sample": 3}),
    "enlarged by a click": ("canvas >> nth=2", lambda one: one.click(), {"sample": 2}),
    "enlarged by a tap": ("canvas >> nth=4", lambda one: one.tap(), {"sample": 4}),
    "raters by mouse": ("[data-control=raters]", lambda one: one.click(), {"raters": False}),
    "raters by tap": ("[data-control=raters]", lambda one: one.tap(), {"raters": False}),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_the_state_and_the_pictures(page, explorer, move):
    where, act, wanted = MOVES[move]
    root = opened(page, explorer)
    before = root.evaluate(FINGERPRINTS)
    act(root.locator(where))
    after = root.evaluate(FINGERPRINTS)
    shown = state(root)
    assert {name: shown[name] for name in explorer.value} == {**explorer.value, **wanted}
    assert after[ENLARGED] != before[ENLARGED]


def test_a_slider_follows_the_mouse(page, explorer):
    root = opened(page, explorer)
    slider = root.locator("[data-control=case]")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert state(root)["case"] == CASES_MADE - 1


def test_only_the_chosen_sampler_has_its_levels_and_samples_on_the_page(page, explorer):
    root = opened(page, explorer, sample=4)
    levels, cells = root.locator("[data-control^='position.']"), root.locator("[data-control^='sample.']")
    assert [one.is_visible() for one in levels.all()] == [True, True, False]
    assert [one.is_visible() for one in cells.all()] == [True] * 5 + [False] * 3
    root.locator(SAMPLER).select_option("2")
    assert [one.is_visible() for one in levels.all()] == [False] * 3
    assert [one.is_visible() for one in cells.all()] == [True] + [False] * 7
    assert cells.first.inner_text() == "the only one"
    assert state(root)["sample"] == 0  # the fifth is not there


def test_pictures_say_what_they_show(page, explorer):
    root = opened(page, explorer, sampler=1, positions=[[0, 0], [1], []], case=1)
    names = [one.get_attribute("aria-label") for one in root.locator("canvas").all()]
    assert names[0] == "sample 1: nothing marked"
    assert names[ENLARGED] == "case 1: sample 1, nothing marked; outlines of 2 raters"
    assert names[MEAN] == "mean of 8 samples: 0 pixels above one half"
    assert names[SPREAD] == "spread of 8 samples: they differ in 0 pixels, by 0.00 at most"
    assert "rater 2: absent" not in root.inner_text()  # only those who are drawn are in the key
    assert root.locator("[data-number=dice]").inner_text() == "0.00, absent, 0.00"
    root.locator("[data-control=case]").press("Home")
    assert "rater 1: saw nothing" in root.inner_text()
    assert root.locator("[aria-pressed=true]").inner_text() == "sample 1"
