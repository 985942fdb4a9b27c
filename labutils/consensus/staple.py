r"""STAPLE: the hidden true mask and each rater's sensitivity and specificity, estimated together by EM (two classes).

Model: a pixel is foreground with prior :math:`\pi`; rater r marks a foreground pixel with probability :math:`p_r`
(sensitivity) and leaves a background pixel with :math:`q_r` (specificity), independently of the others and of where
the pixel lies. Pixels with the same votes then have the same posterior, so EM runs over the distinct vote patterns
and its cost does not depend on the image size. Source: Warfield, Zou and Wells 2004.

Conventions, all by name: the prior is the mean vote (times `confidence_weight`) and stays fixed; EM starts from the
votes' mean as the posterior; it stops when no p or q has changed by more than `tolerance`. These are ITK's, and the
result equals ITK's filter to rounding wherever that one is defined. Differences from it: float64 counts (no limit of
2^24 pixels), logarithms (hundreds of raters do not underflow to 0/0), absent raters, several cases, pooling.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from labutils.core.checks import require
from labutils.core.types import as_present
from labutils.metrics.inputs import check_stack

_CODED_RATERS = 16  # up to here a pattern is a small whole number and counting is one bincount
_SMALLEST = 1e-300  # keeps log(0) finite, so that raters who contradict each other with certainty cancel


class Staple(NamedTuple):
    """What STAPLE estimates."""

    probability: Tensor  # float64 (B, [D,] H, W) in [0, 1], posterior of foreground
    sensitivity: Tensor  # float64 (B, R) in [0, 1]; NaN for absent raters, and where nothing can be estimated
    specificity: Tensor  # float64 (B, R), likewise
    iterations: Tensor  # int64 (B,), EM steps taken
    converged: Tensor  # bool (B,), whether the tolerance was reached


class Patterns(NamedTuple):
    """Distinct vote patterns of P kinds; a rater that is not `seen` has no say in it."""

    votes: np.ndarray  # bool (P, R)
    seen: np.ndarray  # bool (P, R)
    pixels: np.ndarray  # float64 (P,), how many pixels have the pattern


class Counted(NamedTuple):
    """The patterns of one case, and where they are."""

    patterns: Patterns
    codes: np.ndarray  # int (P,), what stands for each pattern in `code`, ascending
    code: np.ndarray  # int (N,), the pattern of each pixel


class _Estimate(NamedTuple):
    posterior: np.ndarray  # (P,)
    sensitivity: np.ndarray  # (R,)
    specificity: np.ndarray  # (R,)
    iterations: int
    converged: bool


def staple(
    masks: Tensor,
    present: Tensor | None = None,
    *,
    prior: float | None = None,
    confidence_weight: float = 1.0,
    start: float | None = None,
    tolerance: float = 1e-7,
    max_iterations: int = 1000,
    pooled: bool = False,
) -> Staple:
    """Binary STAPLE of each case.

    Args:
        masks: bool (B, R, [D,] H, W), one mask per rater.
        present: bool (B, R), who judged each case; None for everybody. Absent raters are left out exactly.
        prior: share of foreground, above 0 and below 1; None takes the mean vote of the case (pooled: of all cases).
        confidence_weight: factor on the prior, above 0 and at most 1.
        start: sensitivity and specificity of every rater before the first E-step, above 0 and below 1; None starts
            from the mean vote of each pixel as its posterior, as ITK does.
        tolerance: EM stops when no sensitivity or specificity moved by more than this.
        max_iterations: EM steps at most, 1 or more.
        pooled: one sensitivity and specificity per rater from all cases together, repeated for each case. Rater r must
            be the same person in every case.
    Returns:
        `Staple`.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, or a setting out of its range.
    Notes:
        One rater: the posterior is that rater's mask. All masks empty: the posterior is 0, specificity 1, sensitivity
        NaN; all full: 1, NaN, 1. With most raters wrong in the same way EM may settle on the inverted answer.
        A mask of another geometry is taken for a bad rater in silence; `labutils.consensus.fuse.fuse` warns of it.
    """
    check_stack("masks", masks)
    who = as_present(masks, present)
    require(prior is None or 0 < prior < 1, f"prior is {prior}; wanted a share above 0 and below 1")
    require(0 < confidence_weight <= 1, f"confidence_weight is {confidence_weight}; wanted above 0, at most 1")
    require(start is None or 0 < start < 1, f"start is {start}; wanted above 0 and below 1")
    require(tolerance >= 0, f"tolerance is {tolerance}; wanted 0 or more")
    require(max_iterations >= 1, f"max_iterations is {max_iterations}; wanted at least 1")
    stacks, here = masks.cpu().flatten(2).numpy(), who.cpu().numpy()
    counted = [count_patterns(stack, seen) for stack, seen in zip(stacks, here, strict=True)]
    groups = [counted] if pooled else [[case] for case in counted]
    fits: list[_Estimate] = []
    probability = np.empty((len(stacks), stacks.shape[2]))
    for group in groups:
        together = Patterns(*(np.concatenate(part) for part in zip(*(case.patterns for case in group), strict=True)))
        fit = _expectation_maximization(together, prior, confidence_weight, start, tolerance, max_iterations)
        first = 0
        for case in group:
            table = np.zeros(case.codes[-1] + 1)
            table[case.codes] = fit.posterior[first : first + len(case.codes)]
            np.take(table, case.code, out=probability[len(fits)], mode="clip")
            fits.append(fit)
            first += len(case.codes)
    return _as_tensors(probability, fits, masks, here)


def _as_tensors(probability: np.ndarray, fits: list[_Estimate], masks: Tensor, here: np.ndarray) -> Staple:
    absent = ~torch.from_numpy(here)
    shown = [torch.from_numpy(np.stack([getattr(fit, name) for fit in fits])) for name in Staple._fields[1:3]]
    sensitivity, specificity = (rate.masked_fill(absent, torch.nan).to(masks.device) for rate in shown)
    return Staple(
        torch.from_numpy(probability).reshape(masks.shape[:1] + masks.shape[2:]).to(masks.device),
        sensitivity,
        specificity,
        torch.tensor([fit.iterations for fit in fits], device=masks.device),
        torch.tensor([fit.converged for fit in fits], device=masks.device),
    )


def count_patterns(masks: np.ndarray, seen: np.ndarray) -> Counted:
    """The distinct columns of bool masks (R, N), raters not `seen` (R,) blanked, how often and where they occur."""
    raters = len(masks)
    if raters <= _CODED_RATERS:
        code = np.zeros(masks.shape[1], np.uint16)
        for rater in np.flatnonzero(seen):
            code += masks[rater] * np.uint16(1 << rater)
        histogram = np.bincount(code)
        codes = np.flatnonzero(histogram)
        pixels = histogram[codes]
        votes = (codes[:, None] >> np.arange(raters)) & 1 == 1
    else:
        packed = np.packbits(masks & seen[:, None], axis=0)  # a pattern is a string of bytes, of any length
        rows = np.ascontiguousarray(packed.T).view(np.dtype((np.void, len(packed))))[:, 0]
        kinds, place, pixels = np.unique(rows, return_inverse=True, return_counts=True)
        codes, code = np.arange(len(kinds)), place.astype(np.uint32)
        votes = np.unpackbits(kinds.view(np.uint8).reshape(len(kinds), -1), axis=1, count=raters).astype(bool)
    return Counted(Patterns(votes, np.broadcast_to(seen, votes.shape), pixels.astype(np.float64)), codes, code)


def _expectation_maximization(
    patterns: Patterns, prior: float | None, weight: float, start: float | None, tolerance: float, max_iterations: int
) -> _Estimate:
    votes, seen, pixels = patterns
    ballots = np.concatenate([votes & seen, ~votes & seen], axis=1).astype(np.float64)  # (P, 2R): marked, left
    mean_vote = votes.sum(axis=1, where=seen) / seen.sum(axis=1)
    if mean_vote.max() == 0 or mean_vote.min() == 1:  # all empty or all full: nothing to estimate
        rates = _rates(mean_vote, pixels, ballots, np.full((2, 2, votes.shape[1]), np.nan))
        return _Estimate(mean_vote, rates[0, 0], rates[1, 1], 0, True)
    share = weight * (prior if prior is not None else pixels @ mean_vote / pixels.sum())
    guess = 1.0 if start is None else start
    rates = np.repeat([[[guess], [1 - guess]], [[1 - guess], [guess]]], votes.shape[1], axis=2)
    posterior = mean_vote if start is None else _posterior(ballots, rates, share)
    for iteration in range(1, max_iterations + 1):
        before, rates = rates, _rates(posterior, pixels, ballots, rates)
        posterior = _posterior(ballots, rates, share)
        # from the votes' mean there is nothing to compare the first rates with
        converged = (iteration > 1 or start is not None) and bool(np.abs(rates - before).max() <= tolerance)
        if converged:
            break
    return _Estimate(posterior, rates[0, 0], rates[1, 1], iteration, converged)


def _rates(posterior: np.ndarray, pixels: np.ndarray, ballots: np.ndarray, before: np.ndarray) -> np.ndarray:
    """M-step: chance (2, 2, R) that a rater marks or leaves (second axis) a foreground or background pixel (first).

    The chances `before` stay where a rater saw no pixel of that class.
    """
    weights = np.empty((2, len(pixels)))
    np.multiply(pixels, posterior, out=weights[0])
    np.subtract(pixels, weights[0], out=weights[1])
    tallies = (weights @ ballots).reshape(2, 2, -1)
    totals = tallies.sum(axis=1, keepdims=True)
    return np.divide(tallies, totals, out=before.copy(), where=totals > 0)


def _posterior(ballots: np.ndarray, rates: np.ndarray, share: float) -> np.ndarray:
    """E-step: probability that a pixel of each pattern is foreground."""
    inside, outside = np.log(np.maximum(rates, _SMALLEST)).reshape(2, -1)
    return expit(math.log(share) - math.log1p(-share) + ballots @ (inside - outside))
