"""The explorer of raters says in the browser what the package says."""

import numpy as np
import pytest

from labutils.core.types import Case
from labutils.explore.raters import RatersExplorer, raters_at
from tests.browser.carried import carried, state

SIZE, RATERS = 20, 5


def made(seed):
    """Five raters, one of them absent in every third case and one who saw nothing in every fourth."""
    rng = np.random.default_rng(seed)
    masks = (rng.random((RATERS, SIZE, SIZE)) < rng.random((RATERS, 1, 1))).astype(np.uint8)
    present = np.ones(RATERS, dtype=bool)
    present[2] = seed % 3 > 0
    masks[0] *= seed % 4 > 0
    masks[~present] = 0
    image = rng.random((1, SIZE, SIZE), dtype=np.float32)
    return Case(image=image, masks=masks, present=present, case=f"case {seed}", spacing_mm=(0.8, 0.4))


CASES = [made(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def random_values(count):
    rng = np.random.default_rng(1)
    return [
        {
            "case": int(rng.integers(6)),
            "shown": (rng.random(RATERS) < 0.6).tolist(),
            "threshold": int(rng.integers(1, 10)),
        }
        for _ in range(count)
    ]


NOBODY = {"case": 0, "shown": [False] * RATERS, "threshold": 5}


@pytest.mark.parametrize("value", random_values(10), ids=str)
def test_the_numbers_are_those_of_the_metrics(page, value):
    shown = state(carried(page, RatersExplorer(CASES), **value))
    wanted = raters_at(CASES[value["case"]], value["shown"], value["threshold"])
    assert shown["dice"] == pytest.approx(wanted.dice, abs=1e-12)
    assert shown["score"] == pytest.approx(wanted.score, abs=1e-12)


def test_nobody_shown_has_no_score(page):
    root = carried(page, RatersExplorer(CASES), **NOBODY)
    assert state(root)["dice"] == [None] * 9
    assert state(root)["score"] is None
    assert [root.locator(f"[data-number={name}]").inner_text() for name in ("dice", "score")] == ["–", "–"]
    assert "no rater is shown: there are no votes to compare" in root.inner_text()
    root.locator("[data-control='shown.0']").check()  # saw nothing in this case
    assert root.locator("[data-number=dice]").inner_text() == "0.000"


def test_it_says_who_drew_who_saw_nothing_and_who_was_absent(page):
    root = carried(page, RatersExplorer(CASES), case=0)
    words = [one.inner_text().strip() for one in root.locator(".lu-check").all()]
    assert words == ["rater 1: saw nothing", "rater 2", "rater 3: absent", "rater 4", "rater 5"]
    enabled = [one.is_enabled() for one in root.locator("input[type=checkbox]").all()]
    assert enabled == [True, True, False, True, True]


def test_a_hidden_rater_is_hidden_in_every_case(page):
    root = carried(page, RatersExplorer(CASES), case=1)
    root.locator("[data-control='shown.3']").uncheck()
    root.locator("[data-control=case]").press("ArrowRight")
    assert state(root)["case"] == 2
    assert state(root)["shown"] == [True, True, True, False, True]


COUNTED = """(canvas, [x, y]) => {
  const at = [(x + 0.5) * canvas.width / 20, (y + 0.5) * canvas.height / 20];
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
}"""


def test_pixels_have_the_gray_and_the_color_of_their_votes(page):
    explorer = RatersExplorer(CASES, case=1, threshold=9)
    root = carried(page, explorer)
    left, right = (root.locator("canvas").nth(place) for place in (0, 1))
    case, palette = CASES[1], explorer.data["palettes"][RATERS - 1]
    votes, gray = case.masks.sum(0), np.rint(case.image[0] * 255)
    for row, column in ((3, 7), (11, 2), (16, 16)):
        assert left.evaluate(COUNTED, [column, row]) == [gray[row, column]] * 3
        behind = gray[row, column]
        color = palette[votes[row, column] - 1] if votes[row, column] else [behind] * 3
        wanted = [217 / 255 * one + 38 / 255 * behind for one in color]
        assert right.evaluate(COUNTED, [column, row]) == pytest.approx(wanted, abs=2)
    ratio = left.evaluate("one => one.getBoundingClientRect().width / one.getBoundingClientRect().height")
    assert ratio == pytest.approx(0.5, abs=0.01)  # pixels are twice as tall as wide
