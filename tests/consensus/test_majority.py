"""Votes and tie rules against hand-worked pixels and fractions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.consensus.majority import (
    TIE_RULES,
    intersection,
    majority,
    majority_of_others,
    random_rater,
    soft_vote,
    union,
)
from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.votes import vote_counts


def pixels(*raters):
    """One case of one row: each rater is a list of labels."""
    return torch.tensor(raters, dtype=torch.uint8)[None, :, None, :]


def draw(seed, shape, classes):
    return torch.randint(0, classes, shape, generator=rng_for(seed, "masks")).to(torch.uint8)


# 4 raters, 5 pixels with 0, 1, 2, 3, 4 votes
FOUR = pixels([0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("strict", [0, 0, 0, 1, 1]),
        ("half", [0, 0, 1, 1, 1]),
        ("lowest", [0, 0, 0, 1, 1]),
        ("highest", [0, 0, 1, 1, 1]),
    ],
)
def test_two_of_four_by_hand(ties, expected):
    assert majority(FOUR, None, 2, ties).flatten().tolist() == expected


def test_union_and_intersection_by_hand():
    assert union(FOUR == 1).flatten().tolist() == [False, True, True, True, True]
    assert intersection(FOUR == 1).flatten().tolist() == [False, False, False, False, True]
    present = torch.tensor([[False, True, True, False]])
    assert union(FOUR == 1, present).flatten().tolist() == [False, False, True, True, True]
    assert intersection(FOUR == 1, present).flatten().tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("rule", [union, intersection])
def test_union_and_intersection_refuse(rule):
    with pytest.raises(InputError, match=r"torch\.bool"):
        rule(FOUR)
    with pytest.raises(InputError, match="no rater present"):
        rule(FOUR == 1, torch.zeros(1, 4, dtype=torch.bool))


def test_three_classes_by_hand():
    masks = pixels([0, 1, 2, 1], [1, 1, 2, 2], [2, 2, 2, 1], [1, 2, 2, 2])  # ties of 1 and 2 at pixels 1 and 3
    assert majority(masks, None, 3, "lowest").flatten().tolist() == [1, 1, 2, 1]
    assert majority(masks, None, 3, "highest").flatten().tolist() == [1, 2, 2, 2]
    assert majority(masks, None, 3, "strict").flatten().tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize("raters", range(1, 9))
def test_tie_rules_equal_fractions(raters):
    votes = range(raters + 1)
    masks = pixels(*[[int(r < v) for v in votes] for r in range(raters)])
    half = Fraction(1, 2)
    assert majority(masks, None, 2, "strict").flatten().tolist() == [int(Fraction(v, raters) > half) for v in votes]
    assert majority(masks, None, 2, "half").flatten().tolist() == [int(Fraction(v, raters) >= half) for v in votes]


def test_soft_vote_by_hand_and_sums_to_one():
    soft = soft_vote(FOUR, None, 2)
    assert soft.dtype == torch.float32
    assert soft.shape == (1, 2, 1, 5)
    assert soft[0, 1].flatten().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert torch.equal(soft.sum(1), torch.ones(1, 1, 5))


@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (3, 5, 2, 6, 7)])
def test_absent_rater_is_as_if_not_listed(shape):
    masks = draw(0, shape, 3)
    present = torch.ones(shape[:2], dtype=torch.bool)
    present[:, 2] = False
    kept = masks[:, [0, 1, 3, 4]]
    masks[:, 2] = 255  # never read
    assert torch.equal(soft_vote(masks, present, 3), soft_vote(kept, None, 3))
    for ties in ("strict", "lowest", "highest"):
        assert torch.equal(majority(masks, present, 3, ties), majority(kept, None, 3, ties))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    raters=st.sampled_from([1, 2, 7, 300]),
    size=st.sampled_from([1, 3]),
    classes=st.integers(2, 4),
    seed=st.integers(0, 10**6),
)
def test_votes_for_any_number_of_raters(raters, size, classes, seed):
    masks = draw(seed, (2, raters, size, size), classes)
    votes, count = vote_counts(masks, None, classes)
    assert torch.equal(votes.sum(1), count[:, None, None].expand(2, size, size))
    shuffled = masks[:, torch.randperm(raters, generator=rng_for(seed, "order"))]
    for ties in TIE_RULES if classes == 2 else ("strict", "lowest", "highest"):
        fused = majority(masks, None, classes, ties)
        assert fused.dtype == torch.uint8
        assert torch.equal(fused, majority(shuffled, None, classes, ties))
        if raters == 1:
            assert torch.equal(fused, masks[:, 0])


@pytest.mark.parametrize(("ties", "classes"), [("half", 2), ("strict", 3), ("highest", 3)])
def test_the_others_of_each_rater_are_those_that_are_left(ties, classes):
    masks = draw(3, (4, 5, 6, 7), classes)
    present = torch.rand(4, 5, generator=rng_for(0, "here")) < 0.7
    present[:, 0] = True
    others = majority_of_others(masks, present, classes, ties)
    for r in range(5):
        left = present.clone()
        left[:, r] = False
        some = left.any(dim=1)
        assert torch.equal(others[some, r], majority(masks[some], left[some], classes, ties))
        assert not others[~some, r].any()
    alone = majority_of_others(masks[:, :1], None, classes, ties)
    assert not alone.any()


def test_random_rater_is_present_uniform_and_repeatable():
    cases = 4000
    masks = torch.arange(5, dtype=torch.uint8)[None, :, None, None].expand(cases, 5, 1, 1)
    present = torch.tensor([True, False, True, True, False]).expand(cases, 5)
    drawn = random_rater(masks, present, rng_for(1, "rater"))
    assert drawn.shape == (cases, 1, 1)
    assert drawn.dtype == torch.uint8
    counts = drawn.flatten().bincount(minlength=5).tolist()
    assert counts[1] == counts[4] == 0
    # each count has standard deviation sqrt(4000 * 1/3 * 2/3) = 29.8
    assert all(abs(counts[r] - cases / 3) < 4 * 29.8 for r in (0, 2, 3))
    assert torch.equal(drawn, random_rater(masks, present, rng_for(1, "rater")))
    assert not torch.equal(drawn, random_rater(masks, present, rng_for(2, "rater")))


@pytest.mark.parametrize(
    ("masks", "present", "classes", "ties", "says"),
    [
        (FOUR.float(), None, 2, "strict", "torch.uint8"),
        (FOUR[0], None, 2, "strict", "axes"),
        (FOUR[:, :0], None, 2, "strict", "no rater"),
        (FOUR[..., :0], None, 2, "strict", "no pixel"),
        (FOUR + 2, None, 2, "strict", "label 3"),
        (FOUR, None, 1, "strict", "at least 2"),
        (FOUR, None, 2, "random", "ties"),
        (FOUR, None, 3, "half", "both have half"),
        (FOUR, torch.zeros(1, 4, dtype=torch.bool), 2, "strict", "no rater present"),
        (FOUR, torch.ones(1, 3, dtype=torch.bool), 2, "strict", "R = 4"),
    ],
)
def test_refusals(masks, present, classes, ties, says):
    with pytest.raises(InputError, match=says):
        majority(masks, present, classes, ties)


def test_random_rater_refuses_a_case_without_raters():
    with pytest.raises(InputError, match="no rater present"):
        random_rater(FOUR, torch.zeros(1, 4, dtype=torch.bool), rng_for(0))
    with pytest.raises(InputError, match="axes"):
        random_rater(FOUR[0], None, rng_for(0))
