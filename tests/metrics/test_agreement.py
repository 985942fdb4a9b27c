"""Agreement between raters: published and hand-worked values, and definitions written as loops."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.agreement import (
    fleiss_kappa,
    krippendorff_alpha,
    mean_pairwise_dice,
    pair_agreement_map,
    pooled_krippendorff_alpha,
    vote_entropy_map,
)
from labutils.metrics.overlap import dice


def pixels(*raters):
    return torch.tensor(raters, dtype=torch.uint8)[None, :, None, :]


def labels(seed, shape, classes=2):
    return torch.randint(0, classes, shape, generator=rng_for(seed, "labels")).to(torch.uint8)


def loop_alpha(units):
    """Krippendorff's nominal alpha from its definition; units are lists of judgments, ragged."""
    units = [u for u in units if len(u) > 1]
    everything = [c for u in units for c in u]
    n = len(everything)
    observed = sum(sum(a != b for a, b in itertools.permutations(u, 2)) / (len(u) - 1) for u in units) / n
    counts = {c: everything.count(c) for c in everything}
    expected = sum(x * y for (a, x), (b, y) in itertools.product(counts.items(), repeat=2) if a != b) / (n * (n - 1))
    return 1 - observed / expected if expected else math.nan


def loop_kappa(units, classes):
    n, items = len(units[0]), len(units)
    counts = [[u.count(c) for c in range(classes)] for u in units]
    observed = sum((sum(x * x for x in row) - n) / (n * (n - 1)) for row in counts) / items
    shares = [sum(row[c] for row in counts) / (items * n) for c in range(classes)]
    chance = sum(s * s for s in shares)
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan


def test_maps_of_agreement_by_hand():
    masks = pixels([0, 1, 2, 0], [0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 2])
    # pairs that agree, of six: all; three of 1; two of 1; two of 1
    assert pair_agreement_map(masks, None, 3).flatten().tolist() == [1, 3 / 6, 1 / 6, 1 / 6]
    quarter = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    half = -(1 / 2 * math.log(1 / 2) + 2 / 4 * math.log(1 / 4))
    assert vote_entropy_map(masks, None, 3).flatten().tolist() == pytest.approx([0, quarter, half, half])
    present = torch.tensor([[True, False, False, True]])
    assert pair_agreement_map(masks, present, 3).flatten().tolist() == [1, 0, 0, 0]
    assert vote_entropy_map(masks, present, 3).flatten().tolist() == pytest.approx([0] + [math.log(2)] * 3)
    alone = torch.tensor([[True, False, False, False]])
    assert pair_agreement_map(masks, alone, 3).isnan().all()
    assert vote_entropy_map(masks, alone, 3).flatten().tolist() == [0] * 4


@pytest.mark.parametrize("agreement", [pair_agreement_map, vote_entropy_map])
def test_maps_of_agreement_on_a_volume_and_refusals(agreement):
    masks = labels(0, (2, 3, 4, 5, 6), classes=4)
    found = agreement(masks, None, 4)
    assert (found.shape, found.dtype) == ((2, 4, 5, 6), torch.float64)
    assert torch.equal(found[:, 1], agreement(masks[:, :, 1], None, 4))
    with pytest.raises(InputError, match="label 3"):
        agreement(masks, None, 3)


def test_the_published_example_of_fleiss():
    """Ten subjects, fourteen raters, five categories: kappa 0.210 (Fleiss 1971's method, a widely used example)."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    columns = [[c for c, n in enumerate(row) for _ in range(n)] for row in counts]
    masks = torch.tensor(columns, dtype=torch.uint8).T[None, :, None, :]
    assert fleiss_kappa(masks, classes=5).item() == pytest.approx(0.210, abs=5e-4)


def test_two_raters_by_hand():
    masks = pixels([0, 0, 0, 1], [0, 0, 1, 1])
    # agree on 3 of 4; shares 5/8 and 3/8: chance (25 + 9) / 64
    assert fleiss_kappa(masks).item() == pytest.approx((3 / 4 - 34 / 64) / (30 / 64))
    # 8 judgments, disagreement 2 / 8 against 2 * 5 * 3 / 56
    assert krippendorff_alpha(masks).item() == pytest.approx(1 - (2 / 8) / (30 / 56))
    assert mean_pairwise_dice(masks.bool()).item() == pytest.approx(2 / 3)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    raters=st.sampled_from([2, 3, 5, 300]),
    size=st.sampled_from([(1, 1), (2, 3), (2, 2, 2)]),
    classes=st.integers(2, 4),
    seed=st.integers(0, 10**6),
)
def test_equal_their_definitions(raters, size, classes, seed):
    masks = labels(seed, (1, raters, *size), classes)
    units = masks[0].flatten(1).T.tolist()
    np.testing.assert_allclose(fleiss_kappa(masks, None, classes), [loop_kappa(units, classes)], atol=1e-12)
    alpha = krippendorff_alpha(masks, None, classes)
    if raters * len(units) < 100:
        np.testing.assert_allclose(alpha, [loop_alpha(units)], atol=1e-12)
    order = torch.randperm(raters, generator=rng_for(seed, "order"))
    np.testing.assert_allclose(krippendorff_alpha(masks[:, order], None, classes), alpha, atol=1e-12)
    swapped = (classes - 1 - masks.int()).to(torch.uint8)  # names of classes do not matter
    np.testing.assert_allclose(fleiss_kappa(swapped, None, classes), fleiss_kappa(masks, None, classes), atol=1e-12)


def test_full_agreement_is_one_and_opposite_raters_are_below_zero():
    one = labels(1, (1, 1, 4, 4))
    same, opposite = one.expand(1, 3, 4, 4), torch.cat([one, 1 - one], dim=1)
    for metric in (fleiss_kappa, krippendorff_alpha):
        assert metric(same).item() == pytest.approx(1)
        assert metric(opposite).item() < -0.8


def test_independent_raters_agree_as_chance():
    masks = labels(2, (1, 4, 100, 100))
    for metric in (fleiss_kappa, krippendorff_alpha):
        # standard error with 6 pairs of raters on 10,000 pixels: 1 / sqrt(60,000) = .004
        assert abs(metric(masks).item()) < 0.016


def test_pairwise_dice_is_the_mean_over_pairs():
    raters = labels(3, (2, 4, 5, 5)).bool()
    pairs = list(itertools.combinations(range(4), 2))
    expected = torch.stack([dice(raters[:, i], raters[:, j]) for i, j in pairs]).mean(dim=0)
    np.testing.assert_allclose(mean_pairwise_dice(raters), expected, atol=1e-15)
    empty = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    assert mean_pairwise_dice(empty).item() == 1
    empty[0, 0] = True
    assert mean_pairwise_dice(empty).item() == pytest.approx(1 / 3)


def test_undefined_values_are_nan():
    for nothing in (torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.ones(1, 3, 2, 2, dtype=torch.uint8)):
        assert fleiss_kappa(nothing).isnan().all()
        assert krippendorff_alpha(nothing).isnan().all()
        assert pooled_krippendorff_alpha(nothing).isnan()
    alone = labels(4, (1, 1, 3, 3))
    assert fleiss_kappa(alone).isnan().all()
    assert krippendorff_alpha(alone).isnan().all()
    assert pooled_krippendorff_alpha(alone).isnan()
    assert mean_pairwise_dice(alone.bool()).isnan().all()


def test_absent_rater_is_as_if_not_listed():
    masks = labels(5, (3, 4, 3, 3), 3)
    present = torch.tensor([[True] * 4, [True, False, True, True], [False, True, False, False]])
    masks[1, 1] = 200  # never read
    for metric in (fleiss_kappa, krippendorff_alpha):
        ragged = metric(masks, present, 3)
        np.testing.assert_allclose(ragged[1:2], metric(masks[1:2, [0, 2, 3]], None, 3), atol=1e-15)
        assert ragged.isnan().tolist() == [False, False, True]
    ragged = mean_pairwise_dice(masks == 1, present)
    np.testing.assert_allclose(ragged[1:2], mean_pairwise_dice(masks[1:2, [0, 2, 3]] == 1), atol=1e-15)
    assert ragged[2].isnan()
    seen = [case[here].flatten(1).T.tolist() for case, here in zip(masks, present, strict=True)]
    pooled = pooled_krippendorff_alpha(masks, present, 3).item()
    assert pooled == pytest.approx(loop_alpha([u for case in seen for u in case]), abs=1e-12)


OK = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)


@pytest.mark.parametrize("metric", [fleiss_kappa, krippendorff_alpha, pooled_krippendorff_alpha])
@pytest.mark.parametrize(
    ("masks", "present", "classes", "says"),
    [
        (OK.float() * torch.nan, None, 2, "torch.uint8"),
        (OK[0], None, 2, "axes"),
        (OK[:, :0], None, 2, "no rater"),
        (OK[..., :0], None, 2, "no pixel"),
        (OK + 2, None, 2, "label 2"),
        (OK, None, 1, "at least 2"),
        (OK, torch.zeros(1, 2, dtype=torch.bool), 2, "no rater present"),
    ],
)
def test_refusals(metric, masks, present, classes, says):
    with pytest.raises(InputError, match=says):
        metric(masks, present, classes)


def test_refusals_of_pairwise_dice():
    with pytest.raises(InputError, match=r"torch\.bool"):
        mean_pairwise_dice(OK)
    with pytest.raises(InputError, match="at least one"):
        mean_pairwise_dice(OK[:, :0].bool())
