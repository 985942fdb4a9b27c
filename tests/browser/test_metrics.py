"""The explorer of metrics in a browser: its numbers are Python's, and mouse, finger and keys move the discs."""

import numpy as np
import pytest

from labutils.core.runtime import numpy_rng_for
from labutils.explore.metrics import LARGEST_PX, MOVED, POSITIONS, RATERS, SIZE_PX, MetricsExplorer, metrics_at
from tests.browser.carried import pixels, states

START = {"samples": [[20, 24, 9], [26, 24, 7]], "raters": RATERS, "moved": "sample 2"}
EMPTY = [[20, 24, 0], [26, 24, 0]]
PICTURE = "canvas >> nth=0"


def state(page):
    (found,) = states(page)
    return found


def on_page(page, x, y):
    """Where a pixel of the picture is on the page."""
    box = page.locator(PICTURE).bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / SIZE_PX, box["y"] + (y + 0.5) * box["height"] / SIZE_PX


def number(page, name):
    return page.locator(f'output[data-number="{name}"]').inner_text()


def random_discs(count):
    rng = numpy_rng_for(0, "explorer of metrics")
    for _ in range(count):
        discs = rng.integers(0, [SIZE_PX, SIZE_PX, LARGEST_PX + 1], (4, 3)).tolist()
        yield {"raters": discs[:2], "samples": discs[2:]}


def test_numbers_are_those_of_python(opened):
    values = list(random_discs(12)) + [{"raters": RATERS, "samples": samples} for samples in POSITIONS.values()]
    values += [{"raters": EMPTY, "samples": EMPTY}, {"raters": RATERS, "samples": EMPTY}]
    values += [{"raters": [RATERS[0], EMPTY[0]], "samples": EMPTY}]
    with opened(*(MetricsExplorer(**value, pixel_mm=0.7) for value in values)) as page:
        found = states(page)
    assert len(found) == len(values)
    for value, shown in zip(values, found, strict=True):
        for name, wanted in metrics_at(value, pixel_mm=0.7)._asdict().items():
            # JSON has no NaN: what is undefined arrives as null
            there = np.array(shown[name], dtype=float)
            np.testing.assert_allclose(there, wanted, rtol=0, atol=1e-9, err_msg=f"{name} of {value}")


def test_it_starts_as_python_made_it(opened):
    with opened(MetricsExplorer()) as page:
        assert {name: state(page)[name] for name in START} == START
        found = metrics_at(START)
        assert number(page, "ged_v") == f"{found.ged_v:.3f}"
        assert number(page, "ged_u") == f"−{-found.ged_u:.3f}"
        assert number(page, "hd95_mm.0.1") == f"{found.hd95_mm[0, 1]:.2f}"


@pytest.mark.parametrize("name", POSITIONS)
def test_each_button_gives_its_position(opened, name):
    with opened(MetricsExplorer()) as page:
        before = pixels(page)
        page.get_by_role("button", name=name).click()
        assert state(page)["samples"] == POSITIONS[name]
        assert state(page)["raters"] == RATERS
        assert all(now != then for now, then in zip(pixels(page), before, strict=True))


@pytest.mark.parametrize(("control", "axis"), [("x", 0), ("y", 1), ("radius", 2)])
def test_arrow_keys_move_the_chosen_disc(opened, control, axis):
    with opened(MetricsExplorer()) as page:
        before, numbers = pixels(page), state(page)
        page.locator(f'input[data-control="{control}"]').focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        moved = START["samples"][1].copy()
        moved[axis] += 2
        now = state(page)
        assert now["samples"] == [START["samples"][0], moved]
        assert now["assd_mm"][1] != numbers["assd_mm"][1]
        assert number(page, "mean_iou") == f"{now['mean_iou']:.3f}"
        assert all(now != then for now, then in zip(pixels(page), before, strict=True))


def test_the_chosen_disc_is_the_one_that_the_sliders_move(opened):
    with opened(MetricsExplorer()) as page:
        for name, (x, _, _) in zip(MOVED, START["samples"] + RATERS, strict=True):
            page.get_by_role("combobox", name="disc").select_option(name)
            assert state(page)["moved"] == name
            assert page.get_by_role("slider", name="x").input_value() == str(x)
        page.get_by_role("slider", name="radius").press("Home")
        assert state(page)["raters"] == [RATERS[0], [30, 24, 0]]
        assert page.get_by_role("slider", name="radius").get_attribute("aria-valuetext") == "0: empty"


def test_a_mask_that_is_empty_has_no_distance(opened):
    with opened(MetricsExplorer(samples=POSITIONS["one sample empty"])) as page:
        assert number(page, "assd_mm.1.0") == number(page, "hd95_mm.1.1") == "undefined"
        assert number(page, "mean_assd_mm").endswith(" (2 of 4 pairs undefined)")
        assert number(page, "iou.1.0") == "0.000"


def test_the_mouse_drags_the_disc_under_it(opened):
    with opened(MetricsExplorer()) as page:
        page.mouse.move(*on_page(page, 36, 24))  # inside rater 2 alone, beside its center
        page.mouse.down()
        page.mouse.move(*on_page(page, 38, 25))
        page.mouse.move(*on_page(page, 41, 14))
        assert state(page)["raters"] == [RATERS[0], [35, 14, 9]]
        page.mouse.move(*on_page(page, 90, -20))  # beyond the picture: its center stays inside
        assert state(page)["raters"] == [RATERS[0], [47, 0, 9]]
        page.mouse.up()
        page.mouse.move(*on_page(page, 20, 20))
        assert state(page)["raters"] == [RATERS[0], [47, 0, 9]]
        assert (state(page)["moved"], state(page)["samples"]) == ("rater 2", START["samples"])


def test_of_discs_on_one_place_the_chosen_one_is_dragged(opened):
    with opened(MetricsExplorer(samples=POSITIONS["both between"], moved="sample 2")) as page:
        page.mouse.move(*on_page(page, 24, 24))
        page.mouse.down()
        page.mouse.move(*on_page(page, 24, 40))
        page.mouse.up()
        assert state(page)["samples"] == [[24, 24, 9], [24, 40, 9]]


def test_nothing_is_taken_beside_all_discs(opened):
    with opened(MetricsExplorer()) as page:
        page.mouse.move(*on_page(page, 5, 5))
        page.mouse.down()
        page.mouse.move(*on_page(page, 15, 15))
        page.mouse.up()
        assert {name: state(page)[name] for name in START} == START


PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 700}}


@pytest.mark.parametrize(("start", "moves"), [((30, 22), True), ((30, 44), False)])
def test_a_finger_moves_a_disc_or_else_the_page(opened, start, moves):
    with opened(MetricsExplorer(), **PHONE) as page:
        session = page.context.new_cdp_session(page)
        x, y = on_page(page, *start)
        finger = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", finger)
        for step in range(1, 13):
            moved = {"type": "touchMove", "touchPoints": [{"x": x, "y": y - 10 * step}]}
            session.send("Input.dispatchTouchEvent", moved)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(200)
        scrolled = page.evaluate("window.scrollY")
        now = state(page)
        assert (scrolled == 0) == moves
        assert (now["samples"] + now["raters"] != START["samples"] + RATERS) == moves
        assert now["samples"] == START["samples"]


def test_it_fits_a_phone_and_every_part_has_a_name(opened):
    with opened(MetricsExplorer(samples=POSITIONS["one sample empty"]), **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for label in page.locator("canvas").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))"):
            assert len(label) > 40
        assert "sample 2 at x 30, y 24, radius 0" in page.locator(PICTURE).get_attribute("aria-label")
        names = page.locator("[data-control]").evaluate_all(
            "all => all.map((one) => one.labels?.[0]?.innerText ?? one.innerText)"
        )
        assert all(name.strip() for name in names)
        assert len(names) == len(POSITIONS) + 4
