"""Dawid-Skene against a loop over pixels, planted matrices, STAPLE, and hand-worked corners."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.staple import staple
from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from tests.consensus.simulated import even_errors, planted_raters

PRIOR = [0.5, 0.3, 0.2]
# columns sum to 1; the third rater confuses 1 and 2, the fourth over-calls 1
MATRICES = torch.tensor(
    [
        [[0.9, 0.05, 0.1], [0.05, 0.9, 0.1], [0.05, 0.05, 0.8]],
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]],
        [[0.95, 0.05, 0.05], [0.03, 0.6, 0.35], [0.02, 0.35, 0.6]],
        [[0.7, 0.05, 0.1], [0.25, 0.9, 0.2], [0.05, 0.05, 0.7]],
    ],
    dtype=torch.float64,
)


def loop_dawid_skene(votes, classes, iterations):
    """The textbook formulas, pixel by pixel, no logarithms; votes is a list of pixels, each a list of labels."""
    raters, n = range(len(votes[0])), len(votes)
    w = [[v.count(j) / len(v) for j in range(classes)] for v in votes]
    likelihoods = []
    for _ in range(iterations):
        prior = [sum(wi[j] for wi in w) / n for j in range(classes)]
        a = [
            [
                [
                    sum(wi[j] * (v[r] == i) for wi, v in zip(w, votes, strict=True)) / (n * prior[j])
                    for j in range(classes)
                ]
                for i in range(classes)
            ]
            for r in raters
        ]
        joint = [[prior[j] * math.prod(a[r][v[r]][j] for r in raters) for j in range(classes)] for v in votes]
        w = [[x / sum(row) for x in row] for row in joint]
        likelihoods.append(sum(math.log(sum(row)) for row in joint))
    return w, a, prior, likelihoods


def test_equals_the_textbook_loop():
    votes = [[0, 0, 1], [2, 1, 2], [1, 1, 1], [0, 0, 0], [2, 2, 0], [1, 0, 1], [2, 2, 2], [0, 1, 2]]
    masks = torch.tensor(votes, dtype=torch.uint8).T[None, :, None, :]
    w, a, prior, likelihoods = loop_dawid_skene(votes, 3, 4)
    found = dawid_skene(masks, None, 3, max_iterations=4, tolerance=0)
    np.testing.assert_allclose(found.probability[0, :, 0].T, w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.confusion[0], a, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.prior[0], prior, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood[0], likelihoods, rtol=0, atol=1e-10)
    assert found.iterations.tolist() == [4]


def test_recovers_planted_matrices_within_the_spread_of_simulations():
    fits = [dawid_skene(planted_raters(seed, MATRICES, PRIOR, size=64)[0], None, 3) for seed in range(20)]
    found = torch.cat([fit.confusion for fit in fits])  # (20, R, K, K)
    spread = found.std(dim=0)
    assert spread.max() < 0.05  # 4096 pixels say something
    # the mean of 20 errs by spread / sqrt(20); 36 entries, so four of those
    assert ((found.mean(dim=0) - MATRICES).abs() < 4 * spread / 20**0.5).all()
    priors = torch.cat([fit.prior for fit in fits])
    assert ((priors.mean(dim=0) - torch.tensor(PRIOR)).abs() < 4 * priors.std(dim=0) / 20**0.5).all()
    torch.testing.assert_close(found.sum(dim=2), torch.ones_like(found[:, :, 0]), rtol=0, atol=1e-12)


def test_recovers_the_truth_better_than_any_rater():
    masks, truth = planted_raters(0, MATRICES, PRIOR, size=64)
    right = (dawid_skene(masks, None, 3).probability.argmax(dim=1) == truth).double().mean()
    assert right > (masks == truth[:, None]).double().mean(dim=(0, 2, 3)).max() + 0.03


@given(
    raters=st.sampled_from([2, 3, 9, 20]),
    classes=st.integers(2, 4),
    smoothing=st.sampled_from([0.0, 0.5, 3.0]),
    seed=st.integers(0, 10**6),
)
def test_the_likelihood_never_falls(raters, classes, smoothing, seed):
    rng = rng_for(seed, "labels")
    masks = torch.randint(0, classes, (2, raters, 5, 5), generator=rng).to(torch.uint8)
    present = torch.rand(2, raters, generator=rng) < 0.8
    present[:, :2] = True
    found = dawid_skene(masks, present, classes, smoothing=smoothing, max_iterations=60, pooled=bool(seed % 2))
    for steps in found.log_likelihood:
        assert np.isfinite(steps).all()
        assert (np.diff(steps) >= -1e-9 * abs(steps[0])).all()
    torch.testing.assert_close(found.probability.sum(dim=1), torch.ones(2, 5, 5, dtype=torch.float64))
    told = found.confusion[~found.confusion.isnan().any(dim=(2, 3))]
    assert ((told >= 0) & (told <= 1)).all()


def test_two_classes_are_staple_at_the_learned_prior():
    masks, _ = planted_raters(1, even_errors([0.05, 0.1, 0.2, 0.3], 2), [0.7, 0.3], size=48)
    learned = dawid_skene(masks, None, 2, tolerance=1e-10)
    fixed = staple(masks == 1, prior=learned.prior[0, 1].item(), tolerance=1e-10)
    np.testing.assert_allclose(learned.probability[:, 1], fixed.probability, rtol=0, atol=1e-6)
    np.testing.assert_allclose(learned.confusion[..., 1, 1], fixed.sensitivity, rtol=0, atol=1e-6)
    np.testing.assert_allclose(learned.confusion[..., 0, 0], fixed.specificity, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooled", [False, True])
def test_absent_rater_is_as_if_not_listed(pooled):
    masks, _ = planted_raters(2, MATRICES, PRIOR, cases=2)
    present = torch.tensor([[True, True, False, True]] * 2)
    kept = dawid_skene(masks[:, [0, 1, 3]], None, 3, pooled=pooled)
    masks[:, 2] = 255  # never read
    found = dawid_skene(masks, present, 3, pooled=pooled)
    torch.testing.assert_close(found.probability, kept.probability)
    torch.testing.assert_close(found.confusion[:, [0, 1, 3]], kept.confusion)
    assert found.confusion[:, 2].isnan().all()


def test_pooled_equals_one_large_image():
    masks, _ = planted_raters(3, MATRICES, PRIOR, cases=3)
    pooled = dawid_skene(masks, None, 3, pooled=True)
    joined = dawid_skene(torch.cat(list(masks), dim=-1)[None], None, 3)
    torch.testing.assert_close(torch.cat(list(pooled.probability), dim=-1), joined.probability[0])
    torch.testing.assert_close(pooled.confusion, joined.confusion.expand(3, -1, -1, -1))
    np.testing.assert_allclose(pooled.log_likelihood, np.tile(joined.log_likelihood, (3, 1)), rtol=1e-9)


def test_smoothing_by_hand():
    """All agree on one class: without smoothing the other column is unknown, with it that column is even."""
    masks = torch.zeros(1, 2, 1, 3, dtype=torch.uint8)
    plain, smooth = (dawid_skene(masks, None, 2, smoothing=s).confusion[0, 0] for s in (0.0, 1.0))
    assert plain[:, 0].tolist() == [1, 0]
    assert plain[:, 1].isnan().all()
    torch.testing.assert_close(smooth, torch.tensor([[4 / 5, 1 / 2], [1 / 5, 1 / 2]], dtype=torch.float64))


MASKS = torch.ones(2, 2, 3, 3, dtype=torch.uint8)
ONE_EACH = torch.tensor([[True, False], [False, True]])


@pytest.mark.parametrize(
    ("masks", "settings_", "says"),
    [
        (MASKS.bool(), {}, "torch.uint8"),
        (MASKS[0], {}, "axes"),
        (MASKS + 1, {}, "label 2"),
        (MASKS, {"smoothing": -1.0}, "smoothing"),
        (MASKS, {"smoothing": math.nan}, "smoothing"),
        (MASKS, {"tolerance": -1.0}, "tolerance"),
        (MASKS, {"max_iterations": 0}, "max_iterations"),
        (MASKS[:, :1], {}, "case 0 has one rater"),
        (MASKS, {"present": torch.tensor([[True, True], [False, True]])}, "case 1 has one rater"),
        (MASKS, {"present": ONE_EACH, "pooled": True}, "every case has one rater"),
    ],
)
def test_refusals(masks, settings_, says):
    with pytest.raises(InputError, match=says):
        dawid_skene(masks, classes=2, **({"present": None} | settings_))


def test_one_label_per_image_is_taken_where_some_case_has_two():
    present = torch.tensor([[True, True], [False, True]])
    assert dawid_skene(MASKS, present, 2, pooled=True).probability[:, 1].eq(1).all()
