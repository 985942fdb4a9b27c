r"""The EM that STAPLE and Dawid-Skene share: a hidden class per pixel, and a confusion matrix per rater.

Model: a pixel is of class j with prior :math:`\pi_j`; rater r, independently of the others and of where the pixel lies,
gives it label i with chance :math:`A_r[i, j]`. Sources: Dawid and Skene 1979; Warfield, Zou and Wells 2004. The
methods differ in where EM starts, in whether the prior is learned, and in what is done with the answer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.patterns import Estimate, Fitted, Patterns
from labutils.core.checks import require

_SMALLEST = 1e-300  # keeps log(0) finite, so that raters who contradict each other with certainty cancel


def check_steps(tolerance: float, max_iterations: int) -> None:
    """Refuse a negative tolerance and fewer than one EM step."""
    require(tolerance >= 0, f"tolerance is {tolerance}; wanted 0 or more")
    require(max_iterations >= 1, f"max_iterations is {max_iterations}; wanted at least 1")


def vote_shares(ballots: np.ndarray) -> np.ndarray:
    """The share of present raters for each class, from `Patterns.ballots` (K, R, P): float64 (K, P)."""
    votes = ballots.sum(axis=1)
    return votes / votes.sum(axis=0)


def mean_shares(patterns: Patterns, classes: int) -> np.ndarray:
    """The mean over pixels of the share of votes for each class: float64 (K,), sums to 1."""
    return vote_shares(patterns.ballots(classes)) @ patterns.pixels / patterns.pixels.sum()


def expectation_maximization(
    patterns: Patterns,
    *,
    prior: np.ndarray,
    start: np.ndarray | None = None,
    learn_prior: bool = False,
    smoothing: float = 0.0,
    tolerance: float,
    max_iterations: int,
) -> Estimate:
    """Alternate posterior and matrices until no entry of a matrix has moved by more than `tolerance`.

    Args:
        patterns: what was voted, and how often.
        prior: float64 (K,), sums to 1; a class of prior 0 is never chosen.
        start: float64 (K, K, R), matrices as in `Estimate` for the first E-step; None starts from the shares of votes
            as the posterior.
        learn_prior: whether the prior becomes the mean posterior at each step, or stays.
        smoothing: added to the count of every label under every class, 0 or more.
        tolerance: 0 or more.
        max_iterations: 1 or more.
    """
    given, pixels = patterns.ballots(len(prior)), patterns.pixels
    ballots = given.reshape(-1, len(pixels))  # (K x R, P), as the last two axes of the matrices
    rates = np.repeat(np.eye(len(prior))[:, :, None], given.shape[1], axis=2) if start is None else start
    posterior = vote_shares(given) if start is None else _posterior(ballots, rates, prior)[0]
    log_likelihood: list[float] = []
    converged = False
    while len(log_likelihood) < max_iterations and not converged:
        # from the votes there is nothing to compare the first matrices with
        comparable = start is not None or bool(log_likelihood)
        before, (rates, known) = rates, matrices_given(posterior, pixels, ballots, rates, smoothing)
        if learn_prior:
            prior = posterior @ pixels / pixels.sum()
        posterior, evidence = _posterior(ballots, rates, prior)
        penalty = smoothing * np.log(np.maximum(rates, _SMALLEST)).sum() if smoothing else 0.0
        log_likelihood.append(float(pixels @ evidence + penalty))
        converged = comparable and bool(np.abs(rates - before).max() <= tolerance)
    return Estimate(posterior, rates, known, prior, tuple(log_likelihood), len(log_likelihood), converged)


def confusion_matrices(fitted: list[Fitted], present: np.ndarray, device: torch.device) -> Tensor:
    """The matrices of each case, float64 (B, R, K, K); NaN for absent raters and for columns that nothing tells."""
    shown = [np.where(one.estimate.known[:, None], one.estimate.rates, np.nan).T for one in fitted]
    return torch.from_numpy(np.where(present[:, :, None, None], np.stack(shown), np.nan)).to(device)


def steps_taken(fitted: list[Fitted], device: torch.device) -> tuple[Tensor, Tensor]:
    """EM steps of each case, int64 (B,), and whether the tolerance was reached, bool (B,)."""
    iterations = [one.estimate.steps for one in fitted]
    return torch.tensor(iterations, device=device), torch.tensor([x.estimate.converged for x in fitted], device=device)


def matrices_given(
    posterior: np.ndarray, pixels: np.ndarray, ballots: np.ndarray, before: np.ndarray, smoothing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """M-step: the matrices, those `before` where a rater saw no pixel of a class; and whether any was seen.

    Args:
        posterior: float64 (K, P), probability of each class for each pattern; sums to 1 over K.
        pixels: float64 (P,), how many pixels have the pattern.
        ballots: float64 (K x R, P), `Patterns.ballots` with its first two axes as one.
        before: float64 (K, K, R), as in `Estimate`.
        smoothing: added to the count of every label under every class.
    Returns:
        Matrices as in `Estimate`, and bool (K, R).
    """
    tallies = ((posterior * pixels) @ ballots.T).reshape(before.shape) + smoothing
    totals = tallies.sum(axis=1, keepdims=True)
    return np.divide(tallies, totals, out=before.copy(), where=totals > 0), totals[:, 0] > 0


def _posterior(ballots: np.ndarray, rates: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E-step: probability of each class for each pattern (K, P), and the log of the pattern's own probability (P,)."""
    with np.errstate(divide="ignore"):  # a class of prior 0 stays out for good
        log_prior = np.log(prior)
    joint = log_prior[:, None] + np.log(np.maximum(rates, _SMALLEST)).reshape(len(prior), -1) @ ballots
    top = joint.max(axis=0)
    weights = np.exp(joint - top)
    total = weights.sum(axis=0)
    return weights / total, top + np.log(total)
