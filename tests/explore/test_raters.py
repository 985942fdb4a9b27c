"""The explorer of raters: what it shows is what the metrics say, and what it carries is what it was given."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.explore.raters import RatersExplorer, raters_at, raters_figure
from labutils.metrics.overlap import pairwise_dice
from tests.explore.test_core import unpack


def made(raters=3, size=12, seed=0, **given):
    rng = np.random.default_rng(seed)
    masks = (rng.random((raters, size, size)) < 0.3).astype(np.uint8)
    image = rng.random((1, size, size), dtype=np.float32)
    return Case(image=image, masks=masks, **{"present": np.ones(raters, dtype=bool), "case": f"c{seed}", **given})


@pytest.mark.parametrize("shown", [(True, True, True), (True, False, True), (False, True, False)])
def test_votes_of_the_shown_are_compared_with_those_of_all(shown):
    case = made()
    votes, everybody = case.masks[list(shown)].sum(0), case.masks.sum(0)
    for tenths, dice in zip(range(1, 10), raters_at(case, shown, 5).dice, strict=True):
        cuts = [torch.from_numpy(10 * v >= tenths * n)[None, None] for v, n in ((votes, sum(shown)), (everybody, 3))]
        assert dice == pytest.approx(pairwise_dice(*cuts).item())


def test_everybody_stands_for_all():
    assert raters_at(made(), [True] * 3, 5).dice == (1.0,) * 9


def test_nobody_shown_says_nothing_even_where_all_saw_nothing():
    case = made()
    for masks in (case.masks, np.zeros_like(case.masks)):
        nobody = raters_at(replace(case, masks=masks), [False] * 3, 5)
        assert np.isnan([*nobody.dice, nobody.score]).tolist() == [True] * 10


def test_who_is_shown_and_saw_nothing_is_compared():
    case = made()
    position = raters_at(replace(case, masks=case.masks * np.uint8([[[0]], [[1]], [[1]]])), [True, False, False], 5)
    assert position.dice[0] == 0


def test_an_absent_rater_is_never_counted():
    case = made(present=np.array([True, False, True]))
    position = raters_at(case, [True] * 3, 5)
    assert position.counted.tolist() == [True, False, True]
    assert position.score == 1


def test_what_is_packed_is_what_was_given():
    cases = [made(seed=seed, spacing_mm=(0.5, 0.25)) for seed in range(4)]
    cases[1] = replace(cases[1], present=np.array([True, True, False]))
    explorer = RatersExplorer(cases, case=2, threshold=7)
    bits = unpack(explorer.data["masks"])
    for place, case in enumerate(cases):
        for rater in range(3):
            assert np.array_equal((bits[place] >> rater) & 1, case.masks[rater])
    grays = unpack(explorer.data["images"]) / 255
    assert np.abs(grays - np.stack([case.image[0] for case in cases])).max() <= 0.5 / 255 + 1e-6
    assert [one["present"] for one in explorer.data["cases"]] == [case.present.tolist() for case in cases]
    assert {one["tall"] for one in explorer.data["cases"]} == {2.0}
    assert explorer.value == {"case": 2, "shown": [True] * 3, "threshold": 7}


@pytest.mark.parametrize(
    ("cases", "start", "sentence"),
    [
        ([], {}, "cases is empty"),
        ([made(raters=9)], {}, "9 raters; wanted 8 at most"),
        ([made()], {"case": 1}, "case is 1; wanted 0 to 0"),
        ([made()], {"threshold": 0}, "wanted 1 to 9 tenths"),
        ([made(), made(size=16, seed=5)], {}, "case 'c5': masks"),
        ([made(), made(raters=2)], {}, "case 'c0': masks"),
    ],
)
def test_what_it_cannot_show_is_refused(cases, start, sentence):
    with pytest.raises(InputError, match=sentence):
        RatersExplorer(cases, **start)


def test_the_figure_has_a_row_for_each_position():
    values = [{"case": 0, "shown": [True] * 3, "threshold": 5}, {"case": 1, "shown": [False] * 3, "threshold": 9}]
    figure = raters_figure([made(), made(seed=1)], values)
    assert len(figure.axes) == 2 * 3 + 1  # and the bar of votes of the first


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"case": 2}, "case is 2; wanted 0 to 1"),
        ({"case": 0.5}, "case is 0.5; wanted 0 to 1"),
        ({"shown": [True]}, "shown has 1 entries; wanted 3"),
        ({"threshold": 10}, "threshold is 10; wanted 1 to 9 tenths"),
    ],
)
def test_a_value_that_no_control_gives_is_refused(change, sentence):
    explorer = RatersExplorer([made(), made(seed=1)])
    before = explorer.value
    with pytest.raises(InputError, match=sentence):
        explorer.value = {**before, **change}
    assert explorer.value == before
