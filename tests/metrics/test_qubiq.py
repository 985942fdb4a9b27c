"""The QUBIQ score: ties in fractions, a loop over thresholds, and the frozen table of which votes pass."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.qubiq import qubiq_score, thresholded_dice, votes_needed

# fewest votes that pass t/10, t = 1 to 9, for n = 2 to 8 raters
NEEDED = {
    2: [1, 1, 1, 1, 1, 2, 2, 2, 2],
    3: [1, 1, 1, 2, 2, 2, 3, 3, 3],
    4: [1, 1, 2, 2, 2, 3, 3, 4, 4],
    5: [1, 1, 2, 2, 3, 3, 4, 4, 5],
    6: [1, 2, 2, 3, 3, 4, 5, 5, 6],
    7: [1, 2, 3, 3, 4, 5, 5, 6, 7],
    8: [1, 2, 3, 4, 4, 5, 6, 7, 8],
}
# thresholds that fall exactly on a vote fraction, where > and >= differ
TIES = {2: [5], 3: [], 4: [5], 5: [2, 4, 6, 8], 6: [5], 7: [], 8: [5]}


def raters_with_votes(votes, raters):
    """One row of pixels; pixel x has votes[x] of `raters` votes."""
    return torch.tensor([[v > r for v in votes] for r in range(raters)])[None, :, None, :]


def loop_dice(found, truth):
    """found and truth: whole numbers of tenths-times-something as Fractions, one per pixel."""
    scores = []
    for t in range(1, 10):
        a = {i for i, p in enumerate(found) if p >= Fraction(t, 10)}
        b = {i for i, p in enumerate(truth) if p >= Fraction(t, 10)}
        scores.append(2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0)
    return scores


@pytest.mark.parametrize("raters", range(2, 9))
def test_tie_table_is_frozen(raters):
    fractions = [Fraction(v, raters) for v in range(raters + 1)]
    needed = [min(v for v, f in enumerate(fractions) if f >= Fraction(t, 10)) for t in range(1, 10)]
    ties = [t for t in range(1, 10) if Fraction(t, 10) in fractions]
    assert votes_needed(raters) == needed == NEEDED[raters]
    assert ties == TIES[raters]


@pytest.mark.parametrize("raters", range(2, 9))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_float_map_of_vote_fractions_is_a_perfect_answer(raters, dtype):
    masks = raters_with_votes(range(raters + 1), raters)
    mean = masks.to(dtype).mean(dim=1)
    for prediction in (mean, masks.to(dtype).sum(dim=1) * (1 / raters), masks):
        assert (thresholded_dice(prediction, masks) == 1).all()


def test_three_raters_know_three_masks():
    masks = raters_with_votes([0, 1, 2, 3], 3)
    scores = thresholded_dice(torch.full((1, 1, 4), 0.95), masks)[0].tolist()
    assert scores == [6 / 7] * 3 + [4 / 6] * 3 + [2 / 5] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_float_at_a_threshold_passes_it(tenth, dtype):
    """A tenth passes, also a few float32 steps below; a millionth below does not."""
    full = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    at = torch.tensor([[[tenth / 10]]], dtype=dtype)
    for value, passed in ((at, tenth), (at - 2e-7, tenth), (at - 2e-6, tenth - 1)):
        assert thresholded_dice(value, full)[0].tolist() == [1.0] * passed + [0.0] * (9 - passed)


def test_members_votes_by_hand():
    members = raters_with_votes([0, 1, 2], 2)
    raters = raters_with_votes([0, 2, 4], 5)
    # fractions 0, 1/2, 1 against 0, 2/5, 4/5: equal masks at .1 to .4 and .6 to .8
    assert thresholded_dice(members, raters)[0].tolist() == [1, 1, 1, 1, 2 / 3, 1, 1, 1, 0]
    assert qubiq_score(members, raters).item() == pytest.approx((7 + 2 / 3) / 9)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    raters=st.sampled_from([1, 2, 3, 6, 10, 255, 256, 300]),
    members=st.sampled_from([0, 1, 5, 10, 300]),  # 0: a float map
    size=st.sampled_from([(1, 1), (3, 4), (2, 2, 3)]),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_equals_fractions(raters, members, size, share, seed):
    rng = rng_for(seed, "qubiq")
    masks = torch.rand(2, raters, *size, generator=rng) < share
    if members:
        prediction = torch.rand(2, members, *size, generator=rng) < share
        found = [[Fraction(int(v), members) for v in case.sum(0).flatten()] for case in prediction]
    else:
        parts = torch.randint(0, 1001, (2, *size), generator=rng)
        prediction = parts.float() / 1000
        found = [[Fraction(int(v), 1000) for v in case.flatten()] for case in parts]
    truth = [[Fraction(int(v), raters) for v in case.sum(0).flatten()] for case in masks]
    scores = thresholded_dice(prediction, masks)
    assert scores.dtype == torch.float64
    assert scores.tolist() == [loop_dice(f, t) for f, t in zip(found, truth, strict=True)]
    order = torch.randperm(raters, generator=rng)
    assert torch.equal(thresholded_dice(prediction, masks[:, order]), scores)


def test_empty_masks():
    nothing = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    assert (thresholded_dice(torch.zeros(1, 2, 2), nothing) == 1).all()
    assert (thresholded_dice(torch.ones(1, 2, 2), nothing) == 0).all()
    assert (thresholded_dice(torch.zeros(1, 2, 2), ~nothing) == 0).all()
    assert (thresholded_dice(torch.full((1, 2, 2), 0.05), nothing) == 1).all()  # below the first threshold: empty


def test_absent_rater_is_as_if_not_listed():
    rng = rng_for(1, "ragged")
    masks, prediction = torch.rand(2, 5, 4, 4, generator=rng) < 0.5, torch.rand(2, 4, 4, generator=rng)
    present = torch.tensor([[True] * 5, [True, False, True, False, True]])
    scores = thresholded_dice(prediction, masks, present)
    assert torch.equal(scores[:1], thresholded_dice(prediction[:1], masks[:1]))
    assert torch.equal(scores[1:], thresholded_dice(prediction[1:], masks[1:, [0, 2, 4]]))
    np.testing.assert_allclose(qubiq_score(prediction, masks, present), scores.mean(1))


OK, MAP = torch.ones(2, 3, 4, 4, dtype=torch.bool), torch.full((2, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("prediction", "raters", "present", "says"),
    [
        (MAP * torch.nan, OK, None, "nan"),
        (MAP * 3, OK, None, "wanted values in"),
        (-MAP, OK, None, "wanted values in"),
        (MAP * torch.inf, OK, None, "wanted values in"),
        (MAP[:1], OK, None, "as the raters"),
        (MAP.long(), OK, None, "probabilities, or masks"),
        (OK[..., :3], OK, None, "second axis"),
        (OK[:, :0], OK, None, "at least one"),
        (MAP, OK[:, :0], None, "at least one"),
        (MAP, OK.float(), None, "torch.bool"),
        (MAP, OK, torch.zeros(2, 3, dtype=torch.bool), "no rater present"),
    ],
)
def test_refusals(prediction, raters, present, says):
    with pytest.raises(InputError, match=says):
        thresholded_dice(prediction, raters, present)
