"""The EM under STAPLE and Dawid-Skene, on patterns counted by hand."""

import numpy as np

from labutils.consensus.em import expectation_maximization, mean_shares, vote_shares
from labutils.consensus.patterns import Patterns


def test_shares_of_votes_by_hand():
    votes, seen = np.array([[0, 2], [1, 2], [1, 0]], np.uint8), np.array([[True, True], [True, True], [True, False]])
    patterns = Patterns(votes, seen, np.array([3.0, 1.0]))
    assert vote_shares(patterns.ballots(3)).tolist() == [[1 / 3, 0], [2 / 3, 0], [0, 1]]
    np.testing.assert_allclose(mean_shares(patterns, 3), [1 / 4, 1 / 2, 1 / 4])


def test_a_class_of_prior_0_is_never_chosen():
    patterns = Patterns(np.array([[0, 1, 2], [0, 1, 2]], np.uint8), np.ones((2, 3), bool), np.ones(3))
    found = expectation_maximization(patterns, prior=np.array([0.5, 0.5, 0.0]), tolerance=0, max_iterations=3)
    assert found.posterior[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.posterior.sum(axis=0), 1)


def test_more_than_two_to_the_24_pixels_count_exactly():
    """A float32 counter stops at 2^24; the same shares of far more pixels give the same answer here."""
    votes = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 1]], np.uint8).T
    pixels = np.array([60.0, 25, 10, 3, 2])
    few, many = (
        expectation_maximization(
            Patterns(votes, np.ones(votes.shape, bool), pixels * times),
            prior=np.array([0.7, 0.3]),
            tolerance=1e-12,
            max_iterations=1000,
        )
        for times in (1, 2**26 + 1)
    )
    np.testing.assert_allclose(few.posterior, many.posterior, rtol=0, atol=1e-9)
    np.testing.assert_allclose(few.rates, many.rates, rtol=0, atol=1e-9)
