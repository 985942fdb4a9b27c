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

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.em import (
    check_steps,
    confusion_matrices,
    expectation_maximization,
    mean_shares,
    steps_taken,
    vote_shares,
)
from labutils.consensus.patterns import Estimate, Patterns, fit_cases
from labutils.core.checks import require
from labutils.core.types import as_present
from labutils.metrics.inputs import check_stack


class Staple(NamedTuple):
    """What STAPLE estimates."""

    probability: Tensor  # float64 (B, [D,] H, W) in [0, 1], posterior of foreground
    sensitivity: Tensor  # float64 (B, R) in [0, 1]; NaN for absent raters, and where nothing can be estimated
    specificity: Tensor  # float64 (B, R), likewise
    iterations: Tensor  # int64 (B,), EM steps taken
    converged: Tensor  # bool (B,), whether the tolerance was reached
    log_likelihood: Tensor  # float64 (B,), nats, of the votes counted in the case (pooled: in all) under the estimate


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
    disputed_only: bool = False,
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
        disputed_only: skills and the prior's mean vote come from the pixels on which present raters differ; where all
            agree, the posterior is their answer. With all pixels, much agreed background makes every specificity
            nearly 1 and the prior small. Without a disputed pixel it changes nothing.
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
    check_steps(tolerance, max_iterations)

    def fit(patterns: Patterns) -> Estimate:
        share = vote_shares(patterns.ballots(2))[1]
        agreed = (share == 0) | (share == 1)
        if not disputed_only or agreed.all():
            return _fit(patterns, prior, confidence_weight, start, tolerance, max_iterations)
        disputed = patterns._replace(pixels=np.where(agreed, 0.0, patterns.pixels))
        found = _fit(disputed, prior, confidence_weight, start, tolerance, max_iterations)
        return found._replace(posterior=np.where(agreed, [1 - share, share], found.posterior))

    labels, here = masks.cpu().flatten(2).view(torch.uint8).numpy(), who.cpu().numpy()
    fitted = fit_cases(labels, here, 2, pooled=pooled, fit=fit)
    probability = torch.from_numpy(np.stack([one.counted.paint(one.posterior[1]) for one in fitted]))
    confusion = confusion_matrices(fitted, here, masks.device)
    shape = masks.shape[:1] + masks.shape[2:]
    return Staple(
        probability.reshape(shape).to(masks.device),
        confusion[:, :, 1, 1],
        confusion[:, :, 0, 0],
        *steps_taken(fitted, masks.device),
        torch.tensor([one.estimate.log_likelihood[-1] for one in fitted], dtype=torch.float64, device=masks.device),
    )


def _fit(
    patterns: Patterns, prior: float | None, weight: float, start: float | None, tolerance: float, max_iterations: int
) -> Estimate:
    share = mean_shares(patterns, 2)[1]
    certain = share in (0, 1)  # all empty or all full: nothing to estimate, whatever the prior
    foreground = share if certain else weight * (share if prior is None else prior)
    rates = None
    if start is not None and not certain:
        rates = np.repeat([[[start], [1 - start]], [[1 - start], [start]]], len(patterns.votes), axis=2)
    estimate = expectation_maximization(
        patterns,
        prior=np.array([1 - foreground, foreground]),
        start=rates,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    return estimate._replace(steps=0, converged=True) if certain else estimate
