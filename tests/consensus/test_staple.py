"""STAPLE against SimpleITK, a loop over pixels, planted raters, and hand-worked corners."""

import math

import numpy as np
import pytest
import SimpleITK
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.consensus.staple import staple
from labutils.core.checks import InputError
from labutils.core.runtime import rng_for


def noisy_raters(seed, raters, size=24, cases=1, rates=None):
    """A square, and raters who err in a share of pixels that grows from one to the next."""
    truth = torch.zeros(cases, 1, size, size, dtype=torch.bool)
    truth[..., size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = True
    rates = torch.tensor(rates or [0.02 + 0.04 * (r % 5) for r in range(raters)])
    flips = torch.rand(cases, raters, size, size, generator=rng_for(seed, "flips")) < rates[:, None, None]
    return truth ^ flips, truth[:, 0]


def itk_staple(masks, weight=1.0, iterations=None):
    staple_filter = SimpleITK.STAPLEImageFilter()
    staple_filter.SetConfidenceWeight(weight)
    if iterations:
        staple_filter.SetMaximumIterations(iterations)
    images = [SimpleITK.GetImageFromArray(mask.numpy().astype(np.uint8)) for mask in masks]
    probability = SimpleITK.GetArrayFromImage(staple_filter.Execute(images))
    return probability, staple_filter.GetSensitivity(), staple_filter.GetSpecificity()


def loop_staple(votes, prior, iterations):
    """The textbook formulas, pixel by pixel, no logarithms; votes is a list of pixels, each a list of 0 and 1."""
    raters = range(len(votes[0]))
    w = [sum(v) / len(v) for v in votes]
    for _ in range(iterations):
        p = [sum(wi * v[r] for wi, v in zip(w, votes, strict=True)) / sum(w) for r in raters]
        rest = sum(1 - wi for wi in w)
        q = [sum((1 - wi) * (1 - v[r]) for wi, v in zip(w, votes, strict=True)) / rest for r in raters]
        w = []
        for v in votes:
            a = prior * math.prod(p[r] if v[r] else 1 - p[r] for r in raters)
            b = (1 - prior) * math.prod(1 - q[r] if v[r] else q[r] for r in raters)
            w.append(a / (a + b))
    return w, p, q


@pytest.mark.parametrize("raters", [1, 2, 3, 7, 18])
@pytest.mark.parametrize(("weight", "iterations"), [(1.0, None), (0.5, None), (1.0, 1), (1.0, 4)])
def test_equals_simpleitk(raters, weight, iterations):
    masks, _ = noisy_raters(raters, raters)
    probability, sensitivity, specificity = itk_staple(masks[0], weight, iterations)
    ours = staple(masks, confidence_weight=weight, max_iterations=iterations or 1000)
    np.testing.assert_allclose(ours.probability[0], probability, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.sensitivity[0], sensitivity, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.specificity[0], specificity, rtol=0, atol=1e-6)
    assert ours.converged.item() == (iterations is None) or iterations == 4  # 4 steps may or may not suffice


def test_equals_simpleitk_on_a_volume():
    masks, _ = noisy_raters(0, 5, size=16)
    volume = torch.stack([masks, masks.roll(1, dims=-1)], dim=2)
    np.testing.assert_allclose(staple(volume).probability[0], itk_staple(volume[0])[0], rtol=0, atol=1e-6)


def test_equals_the_textbook_loop():
    votes = [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 0]]
    masks = torch.tensor(votes, dtype=torch.bool).T[None, :, None, :]
    w, p, q = loop_staple(votes, prior=0.3, iterations=5)
    ours = staple(masks, prior=0.3, max_iterations=5, tolerance=0)
    chances = [
        0.3 * math.prod(p[r] if v[r] else 1 - p[r] for r in range(3))
        + 0.7 * math.prod(1 - q[r] if v[r] else q[r] for r in range(3))
        for v in votes
    ]
    np.testing.assert_allclose(ours.log_likelihood, [sum(map(math.log, chances))], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.probability.flatten(), w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.sensitivity[0], p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.specificity[0], q, rtol=0, atol=1e-12)
    assert ours.iterations.tolist() == [5]


def test_recovers_planted_rates_and_the_truth():
    rates = [0.02, 0.1, 0.3, 0.05, 0.2]
    masks, truth = noisy_raters(3, 5, size=96, rates=rates)
    found = staple(masks)
    # standard error of the worst rate: sqrt(.3 * .7 / 2304) = .0095
    np.testing.assert_allclose(found.sensitivity[0], [1 - r for r in rates], atol=0.03)
    np.testing.assert_allclose(found.specificity[0], [1 - r for r in rates], atol=0.03)
    assert ((found.probability > 0.5) == truth).double().mean() > 0.99


def test_a_start_from_named_rates_reaches_the_same_answer():
    masks, _ = noisy_raters(4, 5)
    a, b = staple(masks), staple(masks, start=0.99)
    np.testing.assert_allclose(a.probability, b.probability, atol=1e-5)
    one_step = staple(masks, start=0.99, max_iterations=1)
    assert not torch.equal(one_step.probability, staple(masks, max_iterations=1).probability)


@pytest.mark.parametrize("extra", [0, 14])  # few raters: coded patterns; many: strings of bytes
def test_absent_rater_is_as_if_not_listed(extra):
    masks, _ = noisy_raters(5, 4 + extra, cases=2)
    present = torch.ones(2, 4 + extra, dtype=torch.bool)
    present[1, 2] = False
    masks[1, 2] = True  # never read
    found = staple(masks, present)
    kept = [r for r in range(4 + extra) if r != 2]
    alone = staple(masks[1:, kept])
    np.testing.assert_allclose(found.probability[1], alone.probability[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sensitivity[1, kept], alone.sensitivity[0], rtol=0, atol=1e-12)
    assert found.sensitivity[1, 2].isnan()
    assert found.specificity[1, 2].isnan()
    np.testing.assert_array_equal(found.probability[0], staple(masks[:1]).probability[0])


def test_pooled_equals_one_large_image():
    masks, _ = noisy_raters(6, 4, cases=3)
    pooled = staple(masks, pooled=True)
    joined = staple(torch.cat(list(masks), dim=-1)[None])
    np.testing.assert_allclose(torch.cat(list(pooled.probability), dim=-1), joined.probability[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(pooled.sensitivity, joined.sensitivity.expand(3, -1), rtol=0, atol=1e-9)
    assert len(set(staple(masks).sensitivity[:, 0].tolist())) == 3


def test_pooled_uses_a_rater_only_where_present():
    masks, _ = noisy_raters(7, 3, cases=2)
    present = torch.tensor([[True, True, True], [True, True, False]])
    masks[1, 2] = ~masks[1, 2]  # never read
    found = staple(masks, present, pooled=True)
    assert found.sensitivity[1, 2].isnan()
    masks[1, 2] = ~masks[1, 2]
    np.testing.assert_array_equal(found.probability, staple(masks, present, pooled=True).probability)


def test_one_rater_gives_that_rater():
    masks, _ = noisy_raters(8, 1)
    found = staple(masks)
    np.testing.assert_allclose(found.probability[0], masks[0, 0], atol=1e-12)
    assert found.sensitivity.tolist() == found.specificity.tolist() == [[1.0]]


def test_all_equal_gives_that_mask():
    masks = noisy_raters(9, 1)[0].expand(1, 5, -1, -1)
    found = staple(masks)
    np.testing.assert_allclose(found.probability[0], masks[0, 0], atol=1e-12)
    assert found.converged.all()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("raters", [1, 4, 300])
def test_all_empty_and_all_full(full, raters):
    found = staple(torch.full((1, raters, 3, 3), full))
    known, unknown = (found.sensitivity, found.specificity) if full else (found.specificity, found.sensitivity)
    assert (found.probability == float(full)).all()
    assert (known == 1).all()
    assert unknown.isnan().all()
    assert found.converged.all()
    assert found.iterations.tolist() == [0]
    assert found.log_likelihood.tolist() == [0]


def test_raters_in_flat_contradiction_stay_finite():
    masks = torch.tensor([[True, False], [False, True]])[None, :, None, :]
    found = staple(masks)
    assert found.probability.isfinite().all()
    np.testing.assert_allclose(found.probability.flatten(), [0.5, 0.5], atol=1e-9)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    raters=st.sampled_from([1, 2, 9, 17, 65, 300]),
    size=st.integers(1, 5),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_defined_for_any_masks_and_any_order_of_raters(raters, size, share, seed):
    masks = torch.rand(2, raters, size, size, generator=rng_for(seed, "masks")) < share
    found = staple(masks, max_iterations=50)
    assert found.probability.isfinite().all()
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1
    for rate in (found.sensitivity, found.specificity):
        known = rate[~rate.isnan()]
        assert ((known >= 0) & (known <= 1)).all()
    # one step: later ones may amplify rounding where the data do not decide
    order = torch.randperm(raters, generator=rng_for(seed, "order"))
    a, b = staple(masks, max_iterations=1), staple(masks[:, order], max_iterations=1)
    np.testing.assert_allclose(a.probability, b.probability, atol=1e-9)


MASKS = torch.ones(1, 2, 3, 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("masks", "settings_", "says"),
    [
        (MASKS.float(), {}, "torch.bool"),
        (MASKS[0], {}, "axes"),
        (MASKS[:, :0], {}, "at least one"),
        (MASKS[..., :0], {}, "no pixel"),
        (MASKS, {"present": torch.zeros(1, 2, dtype=torch.bool)}, "no rater present"),
        (MASKS, {"prior": 1.0}, "prior"),
        (MASKS, {"prior": math.nan}, "prior"),
        (MASKS, {"confidence_weight": 0.0}, "confidence_weight"),
        (MASKS, {"start": 1.0}, "start"),
        (MASKS, {"tolerance": -1.0}, "tolerance"),
        (MASKS, {"max_iterations": 0}, "max_iterations"),
    ],
)
def test_refusals(masks, settings_, says):
    with pytest.raises(InputError, match=says):
        staple(masks, **settings_)


def test_disputed_pixels_alone_are_judged_as_if_the_others_were_not_there():
    """Rater c is alone on two of the three disputed pixels: with the agreed ones as witnesses c is the odd one out."""
    votes = [[1, 1, 0], [0, 0, 1], [0, 0, 1], *[[0, 0, 0]] * 20, *[[1, 1, 1]] * 4]
    masks = torch.tensor(votes, dtype=torch.bool).T[None, :, None, :]
    found = staple(masks, disputed_only=True, max_iterations=3, tolerance=0)
    w, p, q = loop_staple(votes[:3], prior=4 / 9, iterations=3)
    np.testing.assert_allclose(found.probability.flatten()[:3], w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sensitivity[0], p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.specificity[0], q, rtol=0, atol=1e-12)
    assert found.probability.flatten()[3:].tolist() == [0.0] * 20 + [1.0] * 4
    assert not np.allclose(staple(masks, max_iterations=3, tolerance=0).sensitivity[0], p)


def test_without_a_disputed_pixel_all_are_counted():
    masks = noisy_raters(9, 1)[0].expand(2, 3, -1, -1).clone()
    masks[1] = False
    for alone, whole in zip(staple(masks, disputed_only=True), staple(masks), strict=True):
        np.testing.assert_array_equal(alone, whole)
