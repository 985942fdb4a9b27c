"""Answers of EM from other starts, on vote patterns in exactly the shares that planted matrices give."""

from itertools import product

import numpy as np
import pytest

from labutils.consensus.patterns import Patterns
from labutils.consensus.rivals import ODDS, dominance_of_mean, rival_answers

RATES = np.array([[0.95, 0.9], [0.9, 0.8], [0.85, 0.7], [0.8, 0.9]])  # specificity, sensitivity
PRIOR = 0.3


def expected_patterns(rates, prior, pixels=1000.0):
    """All patterns of two classes, as often as independent raters draw them."""
    votes = np.array(list(product([0, 1], repeat=len(rates)))).T
    empty = np.where(votes == 0, rates[:, :1], 1 - rates[:, :1]).prod(axis=0)
    full = np.where(votes == 1, rates[:, 1:], 1 - rates[:, 1:]).prod(axis=0)
    shares = (1 - prior) * empty + prior * full
    return Patterns(votes.astype(np.uint8), np.ones(votes.shape, bool), pixels * shares)


def test_exact_shares_give_the_planted_matrices_and_no_misfit():
    found = rival_answers(expected_patterns(RATES, PRIOR), 2)
    np.testing.assert_allclose(found.fitted.rates[0, 0], RATES[:, 0], atol=1e-4)
    np.testing.assert_allclose(found.fitted.rates[1, 1], RATES[:, 1], atol=1e-4)
    assert found.fitted.prior[1] == pytest.approx(PRIOR, abs=1e-4)
    assert found.misfit_nats == pytest.approx(0, abs=1e-7)
    assert found.rater == 0  # who errs least


def test_every_start_comes_to_the_same_answer():
    found = rival_answers(expected_patterns(RATES, PRIOR), 2)
    from_raters = [one for one in found.others if one.start.startswith("rater")]
    assert [one.start for one in from_raters] == [f"rater {r} taken to be right" for r in range(4)]
    for one in from_raters:
        assert one.gain_nats == pytest.approx(0, abs=1e-6)
        assert one.dice == 1
        assert one.dominant


def test_other_shares_of_the_classes_are_less_likely_the_farther_they_are():
    found = rival_answers(expected_patterns(RATES, PRIOR), 2)
    gains = [one.gain_nats for one in found.others if one.start.startswith("odds")]
    below, above = gains[: sum(f < 1 for f in ODDS)], gains[sum(f < 1 for f in ODDS) :]
    assert below == sorted(below)
    assert above == sorted(above, reverse=True)
    assert max(gains) < 0


def test_two_pairs_of_copies_by_hand():
    """Two pairs of raters who copy; the pairs differ as two coins do. Either can be the truth, the votes cannot say."""
    votes = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1]], np.uint8)
    found = rival_answers(Patterns(votes, np.ones((4, 4), bool), np.full(4, 25.0)), 2)
    # a pixel has ln 4 nats; with one pair as the truth it costs ln 2 for that and ln 2 for each of the others' coins
    assert found.misfit_nats == pytest.approx(np.log(2), abs=1e-4)
    best = [one for one in found.others if one.start.startswith("rater")]
    assert [one.rater // 2 for one in best] == [0, 0, 1, 1]
    assert all(one.gain_nats > 0.1 and one.rater_dice == 1 for one in best)


def test_misfit_is_within_the_raters_who_saw_the_pixel():
    """Half of the pixels lack a rater: absence is nothing to explain."""
    whole = expected_patterns(RATES, PRIOR)
    part = expected_patterns(RATES[:3], PRIOR)
    votes = np.concatenate([part.votes, np.zeros((1, 8), np.uint8)])
    seen = np.ones((4, 8), bool)
    seen[3] = False
    both = Patterns(*(np.concatenate(pair, axis=-1) for pair in zip(whole, (votes, seen, part.pixels), strict=True)))
    assert rival_answers(both, 2).misfit_nats == pytest.approx(0, abs=1e-7)


def test_dominance_by_hand():
    estimate = rival_answers(expected_patterns(RATES, PRIOR), 2).fitted
    # mean specificity .875, mean sensitivity .825: margins .75 and .65
    np.testing.assert_allclose(dominance_of_mean(estimate), [0.75, 0.65], atol=1e-3)
    unknown = estimate._replace(known=np.array([[True] * 4, [False] * 4]))
    np.testing.assert_allclose(dominance_of_mean(unknown), [0.75, 1.0], atol=1e-3)
