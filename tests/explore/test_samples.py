"""The explorer of samples: its numbers are the metrics', its packed data are what was given, and it is checked."""

import json
import math

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.explore.samples import Level, SampleGrid, SamplesExplorer, samples_at, samples_figure
from labutils.metrics.disagreement import ged_squared, rater_diversity, sample_diversity
from labutils.metrics.overlap import dice
from tests.explore.test_core import unpack
from tests.explore.test_raters import made

SIZE = 12
COARSE, FINE = Level("coarse", ("drawn", "held")), Level("fine", ("drawn", "low", "high"))


def probs(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, SIZE, SIZE))


def two_samplers(cases=2):
    """One with two levels and probabilities, one with none and masks."""
    soft = SampleGrid(name="soft", probs=probs(cases, 2, 3, 4), levels=(COARSE, FINE))
    return [soft, SampleGrid(name="hard", probs=probs(cases, 2, seed=1) > 0.7, samples=("this", "that"))]


def value(**given):
    return {"case": 0, "sampler": 0, "positions": [[0, 0], []], "sample": 0, "raters": True, **given}


@pytest.mark.parametrize("chosen", [value(case=1, positions=[[1, 2], []], sample=3), value(sampler=1, sample=1)])
def test_the_numbers_are_those_of_the_metrics(chosen):
    cases, samplers = [made(), made(seed=1, present=np.array([True, False, True]))], two_samplers()
    drawn = samples_at(cases, samplers, chosen)
    case = cases[chosen["case"]]
    grid = samplers[chosen["sampler"]].probs[(chosen["case"], *chosen["positions"][chosen["sampler"]])]
    masks, raters = torch.from_numpy(grid > 0.5)[None], torch.from_numpy(case.masks[case.present] != 0)[None]
    assert drawn.ged2_v == pytest.approx(ged_squared(masks, raters).item())
    assert drawn.diversity == pytest.approx(sample_diversity(masks).item())
    assert drawn.rater_diversity == pytest.approx(rater_diversity(raters).item())
    one = masks[:, chosen["sample"]]
    expected = [dice(one, raters[:, r]).item() for r in range(raters.shape[1])]
    assert [d for d in drawn.dice if not math.isnan(d)] == pytest.approx(expected)
    assert [math.isnan(d) for d in drawn.dice] == (~case.present).tolist()
    assert drawn.mean_dice == pytest.approx(np.mean(expected))
    assert np.abs(drawn.mean - grid.mean(0)).max() <= 0.5 / 255 + 1e-12
    assert drawn.area_px == pytest.approx(drawn.mean.sum())


def test_two_samples_by_hand():
    case = made(raters=1, size=2)
    case.masks[:] = [[[1, 1], [0, 0]]]
    grid = np.array([[[[1, 0], [0, 0]], [[1, 1], [1, 1]]]], dtype=float)  # IoU with the rater 1/2 each, mutual 1/4
    drawn = samples_at([case], [SampleGrid(name="by hand", probs=grid)], {**value(), "positions": [[]]})
    assert drawn.diversity == pytest.approx((0 + 0.75 + 0.75 + 0) / 4)
    assert drawn.ged2_v == pytest.approx(2 * 0.5 - 0.375)
    assert drawn.dice == pytest.approx((2 / 3,))
    assert drawn.mean.tolist() == [[1, 0.5], [0.5, 0.5]]
    assert drawn.spread.tolist() == [[0, 0.5], [0.5, 0.5]]
    assert drawn.area_px == 2.5


def test_probabilities_are_rounded_before_they_are_cut():
    grid = np.full((1, 1, SIZE, SIZE), 0.5001)  # 127.5 and a little: 128 of 255, above one half
    grid[0, 0, 0] = 0.499  # 127 of 255
    samples = SampleGrid(name="gray", probs=grid).at(0, [])
    assert samples[0, :2, 0].tolist() == [127 / 255, 128 / 255]
    assert (samples > 0.5).sum() == SIZE * (SIZE - 1)


def test_a_sampler_says_where_its_levels_stand():
    soft, hard = two_samplers()
    assert soft.where([1, 2]) == "soft\ncoarse held\nfine high"
    assert hard.where([]) == "hard"


def test_what_is_packed_is_what_was_given():
    samplers = two_samplers()
    explorer = SamplesExplorer([made(), made(seed=1)], samplers, case=1)
    assert explorer.value == value(case=1)
    assert json.loads(json.dumps(explorer.data)) == explorer.data
    for sampler, packed in zip(samplers, explorer.data["samplers"], strict=True):
        grays = unpack(packed["probs"])
        assert grays.shape == sampler.probs.shape
        assert np.abs(grays / 255 - sampler.probs).max() <= 0.5 / 255 + 1e-12
    assert explorer.data["samplers"][0]["levels"][1] == {"name": "fine", "labels": ["drawn", "low", "high"]}
    assert explorer.data["samplers"][0]["samples"] == [f"sample {s}" for s in (1, 2, 3, 4)]
    assert explorer.data["samplers"][1]["samples"] == ["this", "that"]
    assert unpack(explorer.data["palettes"][1])[0].tolist() == [0, 0, 4]  # the darkest of the map of doubt


def test_a_value_can_be_set():
    explorer = SamplesExplorer([made()], two_samplers(1))
    explorer.value = value(positions=[[1, 2], []], sample=3, raters=False)
    assert explorer.value["positions"] == [[1, 2], []]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"case": 1}, "case is 1; wanted 0 to 0"),
        ({"sampler": 2}, "sampler is 2; wanted 0 to 1"),
        ({"sampler": 1, "sample": 2}, "sample is 2; wanted 0 to 1"),
        ({"positions": [[0], []]}, r"positions are of \[1, 0\] levels; wanted \[2, 0\]"),
        ({"positions": [[0, 3], []]}, "position of 'fine' is 3; wanted 0 to 2"),
    ],
)
def test_a_value_that_is_not_there_is_refused(given, sentence):
    explorer = SamplesExplorer([made()], two_samplers(1))
    with pytest.raises(InputError, match=sentence):
        explorer.value = value(**given)
    assert explorer.value == value()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"probs": probs(2)}, r"'one': probs have shape \(2, 12, 12\); wanted axes \(B, S, H, W\)"),
        ({"probs": probs(2, 1), "levels": (COARSE,)}, "1 of levels"),
        ({"probs": probs(2, 3, 1), "levels": (COARSE,)}, "level 'coarse' has 2 labels; wanted one for each of its 3"),
        ({"probs": probs(2, 9)}, "has 9 samples; wanted 1 to 8"),
        ({"probs": probs(2, 0)}, "has 0 samples; wanted 1 to 8"),
        ({"probs": probs(2, 3), "samples": ("a",)}, "names 1 samples; wanted 3 names"),
        ({"probs": 2 * probs(2, 3)}, "wanted values in"),
    ],
)
def test_a_grid_that_is_none_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        SampleGrid(name="one", **given)


@pytest.mark.parametrize(
    ("cases", "samplers", "start", "sentence"),
    [
        ([], two_samplers(), {}, "cases is empty"),
        ([made()], [], {}, "samplers is empty"),
        ([made()], two_samplers(2), {}, r"'soft' has \(2, 12, 12\) cases, rows and columns; wanted \(1, 12, 12\)"),
        ([made(size=16)], two_samplers(1), {}, r"wanted \(1, 16, 16\)"),
        ([made()], two_samplers(1), {"case": 1}, "case is 1; wanted 0 to 0"),
    ],
)
def test_what_it_cannot_show_is_refused(cases, samplers, start, sentence):
    with pytest.raises(InputError, match=sentence):
        SamplesExplorer(cases, samplers, **start)


def test_the_figure_has_a_row_for_each_value():
    figure = samples_figure([made(), made(seed=1)], two_samplers(), [value(), value(case=1, sampler=1)])
    assert len(figure.axes) == 2 * 5 + 2
    assert [figure.axes[at].get_title().split(", ")[0] for at in (1, 6)] == ["soft", "hard"]
