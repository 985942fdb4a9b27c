"""Rival truths: other answers to "what is there?" that explain the same labels about as well.

Dawid-Skene by EM gives one answer. Here it is asked again: from other starts, where each rater in turn is taken to be
nearly right, and with other shares of the classes, since a rater who draws too much of a large truth looks like one who
is exact about a smaller one. The likelihood of each answer is compared with the best that any model could reach, which
is to give each pattern of votes the frequency it has: by so much, the **misfit**, the assumption that raters err
independently is wrong, and what is decided by less is not decided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labutils.consensus.em import expectation_maximization, matrices_given, mean_shares, vote_shares
from labutils.consensus.patterns import Estimate, Patterns

TRUST = 0.9  # in the rater who is taken to be right at a start; at 1 EM would never leave that rater's mask
ODDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.7, 2.0)  # factors on the odds of foreground that are tried
TOLERANCE, MAX_ITERATIONS = 1e-6, 1000  # of EM


class Answer(NamedTuple):
    """One answer of EM, beside the one found from the votes."""

    start: str  # what was asked, such as "rater 1 taken to be right"
    gain_nats: float  # log-likelihood per pixel less that of the answer from the votes; below 0 it is the less likely
    dice: float  # with the answer from the votes, mean over the foreground classes
    rater: int  # whose masks are nearest to this answer
    rater_dice: float  # how near
    dominant: bool  # whether raters mostly say the class that is there, see `dominance_of_mean`


class Rivals(NamedTuple):
    """The answer from the votes, and the others."""

    fitted: Estimate  # from the votes
    rater: int  # whose masks are nearest to it
    rater_dice: float  # how near
    misfit_nats: float  # per pixel, from the labels' own frequencies to the likeliest answer; 0 for a perfect fit
    others: tuple[Answer, ...]


def rival_answers(patterns: Patterns, classes: int) -> Rivals:
    """Fit patterns from the votes, and again from every rater and with other class shares.

    Args:
        patterns: of all cases together; some with two raters.
        classes: K.
    """
    shares = mean_shares(patterns, classes)
    fitted = _fit(patterns, shares)
    starts: dict[str, Estimate] = {}
    for rater in range(len(patterns.votes)):
        start, prior = _trusting(patterns, classes, rater)
        starts[f"rater {rater} taken to be right"] = _fit(patterns, prior, start)
    foreground = 1 - fitted.prior[0]
    for factor in ODDS if 0 < foreground < 1 else ():
        odds = factor * foreground / fitted.prior[0]
        prior = fitted.prior * (odds / (1 + odds) / foreground)
        prior[0] = 1 / (1 + odds)
        starts[f"odds of foreground times {factor}"] = _fit(patterns, prior, learn_prior=False)
    total, likelihood = patterns.pixels.sum(), fitted.log_likelihood[-1]
    truth = fitted.posterior.argmax(axis=0)
    others = []
    for name, one in starts.items():
        labels = one.posterior.argmax(axis=0)
        dice = _mean_dice(labels, truth, patterns.pixels, classes)
        gain = (one.log_likelihood[-1] - likelihood) / total
        dominant = bool((dominance_of_mean(one) > 0).all())
        others.append(Answer(name, float(gain), dice, *_nearest_rater(labels, patterns, classes), dominant))
    highest = max(one.log_likelihood[-1] for one in (fitted, *starts.values()))
    misfit = max((_best_log_likelihood(patterns) - highest) / total, 0.0)
    return Rivals(fitted, *_nearest_rater(truth, patterns, classes), float(misfit), tuple(others))


def dominance_of_mean(estimate: Estimate) -> np.ndarray:
    """By how much the mean matrix over raters favors each class that is there over the strongest other one.

    Returns:
        float64 (K,) in [-1, 1], p(a rater drawn by lot says k | k) minus p(it says the likeliest other class | k); 1
        for classes of which nothing is known.
    """
    known = estimate.known[:, None, :]
    counts = np.maximum(known.sum(axis=2), 1)
    mean = np.where(known, estimate.rates, 0).sum(axis=2) / counts  # (K truth, K said)
    own = np.diagonal(mean)
    strongest = np.where(np.eye(len(mean), dtype=bool), -1, mean).max(axis=1)
    return np.where(estimate.known.any(axis=1), own - strongest, 1.0)


def _fit(
    patterns: Patterns, prior: np.ndarray, start: np.ndarray | None = None, *, learn_prior: bool = True
) -> Estimate:
    return expectation_maximization(
        patterns,
        prior=prior,
        start=start,
        learn_prior=learn_prior,
        tolerance=TOLERANCE,
        max_iterations=MAX_ITERATIONS,
    )


def _trusting(patterns: Patterns, classes: int, rater: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices and prior to start from where one rater is taken to be right, but for some doubt that the votes fill."""
    given = patterns.ballots(classes)
    shares = vote_shares(given)
    trusted = TRUST * given[:, rater] + (1 - TRUST) * shares
    posterior = np.where(patterns.seen[rater], trusted, shares)
    before = np.repeat(np.eye(classes)[:, :, None], len(patterns.votes), axis=2)
    start, _ = matrices_given(posterior, patterns.pixels, given.reshape(-1, len(patterns.pixels)), before)
    return start, posterior @ patterns.pixels / patterns.pixels.sum()


def _best_log_likelihood(patterns: Patterns) -> float:
    """Of the model that gives each pattern its own frequency among those that the same raters saw."""
    _, group = np.unique(patterns.seen, axis=1, return_inverse=True)
    group = group.reshape(-1)
    return float(patterns.pixels @ np.log(patterns.pixels / np.bincount(group, patterns.pixels)[group]))


def _nearest_rater(labels: np.ndarray, patterns: Patterns, classes: int) -> tuple[int, float]:
    """Whose masks have the highest Dice with the labels of each pattern (P,), where the rater was present."""
    dice = [
        _mean_dice(labels[here], votes[here], patterns.pixels[here], classes)
        for votes, here in zip(patterns.votes, patterns.seen, strict=True)
    ]
    return int(np.argmax(dice)), float(np.max(dice))


def _mean_dice(a: np.ndarray, b: np.ndarray, pixels: np.ndarray, classes: int) -> float:
    """Dice over all pixels at once, mean over the foreground classes; both empty: 1."""
    scores = []
    for label in range(1, classes):
        total = pixels @ ((a == label).astype(float) + (b == label))
        scores.append(2 * (pixels @ ((a == label) & (b == label))) / total if total else 1.0)
    return float(np.mean(scores))
