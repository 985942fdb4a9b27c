"""Distinct columns of label maps: which there are, how many, and where."""

import numpy as np
import pytest
import torch

from labutils.consensus.patterns import Patterns, count_patterns, pool_patterns
from labutils.core.runtime import rng_for


@pytest.mark.parametrize(
    ("raters", "classes"), [(3, 2), (16, 2), (17, 2), (70, 2), (300, 2), (7, 4), (8, 4), (9, 5), (40, 3), (5, 256)]
)
def test_patterns_are_the_distinct_columns(raters, classes):
    rng = rng_for(raters, "labels", classes)
    rare = torch.rand(raters, 200, generator=rng) < 0.02
    labels = (rare * torch.randint(1, classes, rare.shape, generator=rng)).to(torch.uint8).numpy()
    seen = np.arange(raters) != 1
    expected = labels * seen[:, None]
    labels[1] = 255  # never read
    patterns, codes, code = count_patterns(labels, seen, classes)
    rebuilt = patterns.votes[:, np.searchsorted(codes, code)]
    np.testing.assert_array_equal(rebuilt, expected)
    assert len({column.tobytes() for column in patterns.votes.T}) == len(patterns.pixels)
    np.testing.assert_array_equal(patterns.pixels, np.bincount(np.searchsorted(codes, code)))
    np.testing.assert_array_equal(patterns.seen, np.broadcast_to(seen[:, None], patterns.votes.shape))


def test_values_are_painted_where_the_pattern_is():
    counted = count_patterns(np.array([[0, 2, 0, 1], [1, 1, 1, 0]], np.uint8), np.ones(2, bool), 3)
    assert counted.patterns.votes.tolist() == [[1, 0, 2], [0, 1, 1]]
    assert counted.patterns.pixels.tolist() == [1, 2, 1]
    assert counted.paint(np.array([10.0, 20.0, 30.0])).tolist() == [20, 30, 20, 10]


def test_ballots_leave_absent_raters_out():
    patterns = Patterns(np.array([[0], [1]], np.uint8), np.array([[True], [False]]), np.ones(1))
    assert patterns.ballots(2).tolist() == [[[1], [0]], [[0], [0]]]  # class 0 of both raters, then class 1


def test_pooled_patterns_count_all_cases_and_keep_absence_apart():
    labels = np.array([[[0, 1, 1], [0, 1, 0]], [[0, 1, 1], [7, 8, 9]]], np.uint8)  # 7, 8, 9 are never read
    present = np.array([[True, True], [True, False]])
    found = pool_patterns(labels, present, 2)
    rows = {
        (tuple(votes), tuple(seen)): pixels
        for votes, seen, pixels in zip(found.votes.T.tolist(), found.seen.T.tolist(), found.pixels, strict=True)
    }
    both, first = (True, True), (True, False)
    assert rows == {((0, 0), both): 1, ((1, 1), both): 1, ((1, 0), both): 1, ((0, 0), first): 1, ((1, 0), first): 2}
