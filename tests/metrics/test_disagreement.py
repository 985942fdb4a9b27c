"""Energy distance, matching, best case, correlation: hand-worked values, brute force, and a sampler that is right."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics import disagreement
from labutils.metrics.disagreement import (
    dice_max,
    ged_published_sign,
    ged_squared,
    hungarian_iou,
    ncc,
    rater_diversity,
    sample_diversity,
)


def draw(seed, shape, share=0.5):
    return torch.rand(shape, generator=rng_for(seed, "masks")) < share


def discs(seed, count, cases=1, size=24):
    """Discs whose center and radius vary: masks as independent draws of one distribution."""
    rng = rng_for(seed, "discs")
    center = size / 2 + 2 * torch.randn(cases, count, 2, 1, 1, generator=rng)
    radius = size / 5 + 1.5 * torch.randn(cases, count, 1, 1, generator=rng)
    rows = torch.arange(size)[:, None]
    return (rows - center[:, :, 0]) ** 2 + (rows.T - center[:, :, 1]) ** 2 < radius**2


def loop_distance(a, b):
    union = (a | b).sum().item()
    return 1 - (a & b).sum().item() / union if union else 0.0


def loop_ged(samples, raters, self_pairs):
    def mean(a, b, leave):
        return np.mean([loop_distance(x, y) for i, x in enumerate(a) for j, y in enumerate(b) if not leave or i != j])

    leave = not self_pairs
    return 2 * mean(samples, raters, False) - mean(samples, samples, leave) - mean(raters, raters, leave)


# rater k of 4 sees the same object, the others nothing; the model always says nothing
@pytest.mark.parametrize(("seen", "ged", "matched"), [(1, 0.125, 0.75), (2, 0.5, 0.5), (3, 1.125, 0.25), (4, 2, 0)])
def test_blank_predictor_by_hand(seen, ged, matched):
    raters = torch.zeros(1, 4, 8, 8, dtype=torch.bool)
    raters[:, :seen, 2:5, 2:5] = True
    blank = torch.zeros(1, 16, 8, 8, dtype=torch.bool)
    assert ged_squared(blank, raters).item() == pytest.approx(ged, abs=1e-12)
    assert hungarian_iou(blank, raters).item() == pytest.approx(matched, abs=1e-12)
    assert dice_max(blank, raters).item() == pytest.approx(1 - seen / 4)


@pytest.mark.parametrize(("estimator", "perfect", "collapsed"), [("V", 2.0, 1.5), ("U", 3.0, 2.0)])
def test_with_the_published_sign_a_perfect_sampler_scores_worse_than_a_collapsed_one(estimator, perfect, collapsed):
    """Two raters whose masks share nothing: d(S,Y) is 1/2 for both samplers, and so is V's E[d(Y,Y')], 1 for U.

    Samples that are the raters' masks spread as the raters do, and one mask given twice does not spread.
    """
    left, right = torch.tensor([[[1, 1, 0, 0]]]).bool(), torch.tensor([[[0, 0, 1, 1]]]).bool()
    both, one = torch.stack([left, right], 1), torch.stack([left, left], 1)
    assert ged_published_sign(both, both, estimator=estimator).item() == pytest.approx(perfect)
    assert ged_published_sign(one, both, estimator=estimator).item() == pytest.approx(collapsed)
    assert ged_squared(both, both, estimator=estimator) < ged_squared(one, both, estimator=estimator)


def test_the_published_sign_adds_what_is_to_be_subtracted():
    samples, raters = draw(0, (3, 5, 6, 6)), draw(1, (3, 4, 6, 6))
    present = torch.tensor([[True] * 4, [True, False, True, True], [False, True, False, False]])
    spread = sample_diversity(samples) + rater_diversity(raters, present)
    published = ged_published_sign(samples, raters, present)
    assert torch.allclose(published, ged_squared(samples, raters, present) + 2 * spread)


def test_two_samples_two_raters_by_hand():
    left, right = torch.tensor([[[1, 1, 0, 0]]]).bool(), torch.tensor([[[0, 1, 1, 0]]]).bool()  # IoU 1/3, Dice 1/2
    samples, raters = torch.stack([left, left], 1), torch.stack([left, right], 1)
    # d(S,Y): 0 and 2/3, mean 1/3; d(S,S') = 0; d(Y,Y') = 2/3 off the diagonal, mean 1/3 with it
    assert ged_squared(samples, raters).item() == pytest.approx(2 / 3 - 0 - 1 / 3)
    assert ged_squared(samples, raters, estimator="U").item() == pytest.approx(2 / 3 - 0 - 2 / 3)
    assert hungarian_iou(samples, raters).item() == pytest.approx((1 + 1 / 3) / 2)
    assert dice_max(samples, raters).item() == pytest.approx((1 + 1 / 2) / 2)
    assert rater_diversity(raters).item() == pytest.approx(1 / 3)
    assert rater_diversity(raters, estimator="U").item() == pytest.approx(2 / 3)
    assert sample_diversity(samples).item() == 0


def test_raters_repeated_are_a_perfect_answer():
    raters = draw(0, (2, 4, 6, 6))
    samples = raters.repeat(1, 4, 1, 1)
    np.testing.assert_allclose(ged_squared(samples, raters), 0, atol=1e-12)
    np.testing.assert_allclose(hungarian_iou(samples, raters), 1, atol=1e-12)
    assert (dice_max(samples, raters) == 1).all()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 6),
    raters=st.sampled_from([1, 2, 5]),
    size=st.sampled_from([(1, 1), (4, 3), (2, 2, 3)]),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_ged_equals_a_loop_and_ignores_order(samples, raters, size, share, seed):
    s, y = draw(seed, (1, samples, *size), share), draw(seed + 1, (1, raters, *size), share)
    found = ged_squared(s, y)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(loop_ged(s[0], y[0], self_pairs=True), abs=1e-12)
    assert -1e-12 <= found.item() <= 2
    if samples > 1 and raters > 1:
        found_u = ged_squared(s, y, estimator="U").item()
        assert found_u == pytest.approx(loop_ged(s[0], y[0], self_pairs=False), abs=1e-12)
        extra = sample_diversity(s, "U") / samples + rater_diversity(y, None, "U") / raters
        assert found.item() == pytest.approx(found_u + extra.item(), abs=1e-12)
    order = torch.randperm(raters, generator=rng_for(seed, "order"))
    for metric in (ged_squared, hungarian_iou, dice_max):
        np.testing.assert_allclose(metric(s, y[:, order]), metric(s, y), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ged_squared(y, s), found, rtol=0, atol=1e-12)  # symmetric
    np.testing.assert_allclose(hungarian_iou(y, s), hungarian_iou(s, y), rtol=0, atol=1e-12)


def test_u_statistic_of_a_perfect_sampler_has_mean_zero():
    """Samples and raters are independent draws of one distribution; V stays well above 0."""
    masks = discs(1, 12, cases=400)
    unbiased = ged_squared(masks[:, :8], masks[:, 8:], estimator="U")
    standard_error = unbiased.std() / math.sqrt(len(unbiased))
    assert unbiased.mean().abs() < 3 * standard_error
    assert standard_error < 0.01
    assert ged_squared(masks[:, :8], masks[:, 8:]).mean() > 10 * standard_error


@pytest.mark.parametrize("size", [(7, 6), (3, 7, 6)])
def test_absent_rater_is_as_if_not_listed(size):
    samples, raters = draw(2, (3, 5, *size)), draw(3, (3, 4, *size))
    present = torch.tensor([[True] * 4, [True, False, True, True], [False, False, True, False]])
    soft, labels = draw_soft(4, (3, 5, 2, *size)), raters.to(torch.uint8)
    metrics = [
        lambda s, y, p, i: ged_squared(s, y, p),
        lambda s, y, p, i: ged_squared(s, y, p, "U"),
        lambda s, y, p, i: hungarian_iou(s, y, p),
        lambda s, y, p, i: dice_max(s, y, p),
        lambda s, y, p, i: rater_diversity(y, p),
        lambda s, y, p, i: ncc(soft[i : i + len(s)], y.to(torch.uint8), p),
    ]
    for metric in metrics:
        ragged = metric(samples, raters, present, 0)
        for case in range(3):
            alone = metric(samples[case, None], raters[case, present[case]][None], None, case)
            np.testing.assert_allclose(ragged[case], alone[0], rtol=0, atol=1e-12)
    assert ged_squared(samples, raters, present, "U").isnan().tolist() == [False, False, True]
    assert torch.equal(ncc(soft, raters, present), ncc(soft, labels, present))


def brute_force_matching(score):
    n = len(score)
    return max(sum(score[i][p[i]] for i in range(n)) for p in itertools.permutations(range(n))) / n


@pytest.mark.parametrize(("samples", "raters"), [(1, 1), (4, 4), (6, 6), (6, 2), (2, 6), (3, 2), (1, 5), (4, 6)])
def test_hungarian_equals_brute_force(samples, raters):
    s, y = draw(5, (1, samples, 4, 4)), draw(6, (1, raters, 4, 4))
    size = math.lcm(samples, raters)
    score = [[1 - loop_distance(s[0, i % samples], y[0, j % raters]) for j in range(size)] for i in range(size)]
    expected = brute_force_matching(score) if size <= 6 else brute_force_transport(score)
    assert hungarian_iou(s, y).item() == pytest.approx(expected, abs=1e-12)


def brute_force_transport(score):
    """Exact assignment of 12 by dynamic programming over subsets of columns."""
    n = len(score)
    best = {0: 0.0}
    for row in range(n):
        after = {}
        for used, value in best.items():
            for j in range(n):
                if not used >> j & 1:
                    key = used | 1 << j
                    after[key] = max(after.get(key, -1.0), value + score[row][j])
        best = after
    return best[(1 << n) - 1] / n


def test_large_matchings_agree_with_the_linear_program(monkeypatch):
    s, y = draw(7, (2, 9, 5, 5)), draw(8, (2, 7, 5, 5))
    small = hungarian_iou(s, y)
    monkeypatch.setattr(disagreement, "_LARGEST_MATCHING", 62)  # one less than 9 x 7
    np.testing.assert_allclose(hungarian_iou(s, y), small, rtol=0, atol=1e-9)


def test_three_hundred_raters():
    s, y = draw(9, (1, 3, 4, 4)), draw(10, (1, 300, 4, 4))
    assert ged_squared(s, y).item() == pytest.approx(loop_ged(s[0], y[0], self_pairs=True), abs=1e-12)
    assert 0 < hungarian_iou(s, y).item() < dice_max(s, y).item() < 1


def test_one_rater_and_one_sample():
    s, y = draw(11, (2, 1, 4, 4)), draw(12, (2, 1, 4, 4))
    for case in range(2):
        distance = loop_distance(s[case, 0], y[case, 0])
        assert ged_squared(s, y)[case].item() == pytest.approx(2 * distance)
        assert hungarian_iou(s, y)[case].item() == pytest.approx(1 - distance)
    assert (rater_diversity(y) == 0).all()
    assert sample_diversity(s, "U").isnan().all()


def test_memory_of_a_hundred_samples_stays_small():
    samples, raters = draw(13, (1, 100, 128, 128)), draw(14, (1, 4, 128, 128))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        tracemalloc.start()
        ged_squared(samples, raters)
        numpy_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    torch_largest = max(event.self_cpu_memory_usage for event in seen.events())
    # 104 masks as float32 are 6.5 MiB; one bool array (S, S, H, W) would be 156 MiB
    assert 6 * 2**20 < torch_largest < 8 * 2**20
    assert numpy_peak < 2**20


def draw_soft(seed, shape):
    return torch.rand(shape, generator=rng_for(seed, "soft")).mul(3).softmax(dim=2)


def loop_ncc(soft, masks):
    """S_NCC from its definition, one pixel at a time."""
    samples, classes = soft.shape[:2]
    flat = soft.reshape(samples, classes, -1).double().numpy()
    mean = flat.mean(axis=0)
    spread = [
        np.mean([-sum(mean[k, x] * np.log(flat[i, k, x] + 1e-8) for k in range(classes)) for i in range(samples)])
        for x in range(flat.shape[2])
    ]
    scores = []
    for mask in masks.reshape(len(masks), -1).long().numpy():
        error = [np.mean([-np.log(flat[i, mask[x], x] + 1e-8) for i in range(samples)]) for x in range(flat.shape[2])]
        scores.append(np.corrcoef(spread, error)[0, 1])
    return np.mean(scores)


@pytest.mark.parametrize("shape", [(2, 4, 2, 5, 6), (1, 3, 4, 5, 4), (1, 3, 2, 2, 4, 3)])
def test_ncc_equals_its_definition(shape):
    soft = draw_soft(15, shape)
    masks = torch.randint(0, shape[2], (shape[0], 3, *shape[3:]), generator=rng_for(15, "y")).to(torch.uint8)
    expected = [loop_ncc(s, y) for s, y in zip(soft, masks, strict=True)]
    np.testing.assert_allclose(ncc(soft, masks), expected, atol=1e-9)


def test_ncc_is_high_when_samples_are_unsure_where_raters_err():
    unsure = torch.linspace(0.01, 0.5, 30).reshape(1, 1, 1, 5, 6)
    soft = torch.cat([1 - unsure, unsure], dim=2).expand(1, 4, 2, 5, 6)
    assert ncc(soft, torch.zeros(1, 2, 5, 6, dtype=torch.uint8)).item() > 0.9
    assert ncc(soft, torch.ones(1, 2, 5, 6, dtype=torch.uint8)).item() < -0.5


def test_ncc_is_undefined_for_constant_maps():
    flat = torch.full((1, 3, 2, 4, 4), 0.5)
    assert ncc(flat, draw(16, (1, 2, 4, 4))).isnan().all()
    assert ncc(draw_soft(17, (1, 3, 2, 1, 1)), draw(17, (1, 2, 1, 1))).isnan().all()


OK = torch.ones(2, 3, 4, 4, dtype=torch.bool)


@pytest.mark.parametrize("metric", [ged_squared, hungarian_iou, dice_max])
@pytest.mark.parametrize(
    ("samples", "raters", "present", "says"),
    [
        (OK[:, :0], OK, None, "samples.*at least one"),
        (OK, OK[:, :0], None, "raters.*at least one"),
        (OK[:1], OK, None, "second axis"),
        (OK, OK[..., :3], None, "second axis"),
        (OK[..., :0], OK[..., :0], None, "no pixel"),
        (OK.float() * torch.nan, OK, None, "torch.bool"),
        (OK, OK.to(torch.uint8), None, "torch.bool"),
        (OK, OK[:, 0], None, "axes"),
        (OK, OK, torch.zeros(2, 3, dtype=torch.bool), "no rater present"),
        (OK, OK, torch.ones(2, 2, dtype=torch.bool), "R = 3"),
    ],
)
def test_refusals(metric, samples, raters, present, says):
    with pytest.raises(InputError, match=says):
        metric(samples, raters, present)


def test_refusals_of_estimators():
    with pytest.raises(InputError, match="only one sample"):
        ged_squared(OK[:, :1], OK, estimator="U")
    for metric in (lambda e: ged_squared(OK, OK, estimator=e), lambda e: rater_diversity(OK, None, e)):
        with pytest.raises(InputError, match="estimator"):
            metric("W")


SOFT = torch.full((2, 3, 2, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("probs", "raters", "says"),
    [
        (SOFT[:, :, 0], OK, "axes"),
        (SOFT[:1], OK, "B = 2|B = 1"),
        (SOFT, OK[..., :3], "W = 4"),
        (SOFT, OK.float(), "torch.uint8 or"),
        (SOFT, OK.to(torch.uint8) * 2, "label 2"),
        (SOFT * torch.nan, OK, "NaN"),
        (SOFT * 3, OK, r"\[0, 1\]"),
        (SOFT[:, :0], OK, "no sample"),
        (SOFT, OK[:, :0], "no rater"),
        (SOFT.long(), OK, "floating"),
    ],
)
def test_refusals_of_ncc(probs, raters, says):
    with pytest.raises(InputError, match=says):
        ncc(probs, raters)
