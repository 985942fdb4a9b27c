r"""Dawid-Skene: the hidden class of each pixel, the class shares, and a confusion matrix per rater, by EM.

Model: a pixel is of class j with prior :math:`\pi_j`; rater r gives it label i with chance :math:`A_r[i, j]`,
independently of the others. EM starts from the shares of votes as the posterior, as the paper does, and learns prior
and matrices together. Two classes with a fixed prior are STAPLE. Differences from the paper: absent raters, several
cases, and a named smoothing. Source: Dawid and Skene 1979.
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
)
from labutils.consensus.patterns import Estimate, Patterns, fit_cases
from labutils.core.checks import require
from labutils.metrics.inputs import check_label_masks


class DawidSkene(NamedTuple):
    """What Dawid-Skene estimates."""

    probability: Tensor  # float64 (B, K, [D,] H, W) in [0, 1], posterior of each class; sums to 1 over K
    confusion: Tensor  # float64 (B, R, K, K), [i, j] = p(rater says i | truth is j); sums to 1 over i; NaN as in Notes
    prior: Tensor  # float64 (B, K), share of each class; sums to 1 over K
    log_likelihood: tuple[tuple[float, ...], ...]  # nats, per case after each step; never falls
    iterations: Tensor  # int64 (B,), EM steps taken
    converged: Tensor  # bool (B,), whether the tolerance was reached


def dawid_skene(
    masks: Tensor,
    present: Tensor | None,
    classes: int,
    *,
    smoothing: float = 0.0,
    tolerance: float = 1e-7,
    max_iterations: int = 1000,
    pooled: bool = False,
) -> DawidSkene:
    """Dawid-Skene EM of each case, or with one matrix per rater for all cases.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody. Absent raters are left out exactly.
        classes: K, at least 2.
        smoothing: pixels added to each entry of each matrix before its columns are normed, 0 or more; 0 is the paper's.
        tolerance: EM stops when no entry of a matrix moved by more than this.
        max_iterations: EM steps at most, 1 or more.
        pooled: one prior and one matrix per rater from all cases together, repeated for each case. Rater r must be the
            same person in every case.
    Returns:
        `DawidSkene`.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, a label of `classes` or more, a
            setting out of its range, or nothing judged by two raters.
    Notes:
        A column of a matrix is NaN where the rater is absent or saw no pixel of that class. With smoothing,
        `log_likelihood` has the log of its (Dirichlet) prior added, without which the sum could fall.

        What one rater alone drew fits every matrix as well as any other: with one label per pixel any division between
        truth and error has the same likelihood, so a case of one rater (pooled: cases that all have one) is refused.
        With two raters many answers still fit equally well, and the start decides. From three on, independent raters
        who are better than chance are identified; EM may settle on an inverted answer when most err in the same way.
        A mask of another geometry is taken for a bad rater in silence; `labutils.consensus.fuse.fuse` warns of it.
    """
    who = check_label_masks(masks, present, classes)
    require(smoothing >= 0, f"smoothing is {smoothing}; wanted 0 or more pixels")
    check_steps(tolerance, max_iterations)
    _require_two(who, pooled)

    def fit(patterns: Patterns) -> Estimate:
        return expectation_maximization(
            patterns,
            prior=mean_shares(patterns, classes),
            learn_prior=True,
            smoothing=smoothing,
            tolerance=tolerance,
            max_iterations=max_iterations,
        )

    here = who.cpu().numpy()
    fitted = fit_cases(masks.cpu().flatten(2).numpy(), here, classes, pooled=pooled, fit=fit)
    probability = np.stack([[one.counted.paint(share) for share in one.posterior] for one in fitted])
    shape = (len(masks), classes, *masks.shape[2:])
    return DawidSkene(
        torch.from_numpy(probability).reshape(shape).to(masks.device),
        confusion_matrices(fitted, here, masks.device),
        torch.from_numpy(np.stack([one.estimate.prior for one in fitted])).to(masks.device),
        tuple(one.estimate.log_likelihood for one in fitted),
        *steps_taken(fitted, masks.device),
    )


def _require_two(who: Tensor, pooled: bool) -> None:
    """Refuse what cannot tell errors from truth: one label for every pixel."""
    raters = who.sum(dim=1)
    if pooled:
        require(
            bool((raters > 1).any()),
            "every case has one rater, whose labels fit any confusion matrix; wanted two raters for some case",
        )
    else:
        lone = (raters == 1).nonzero()[:, 0].tolist()
        require(
            not lone,
            f"case {lone[0] if lone else ''} has one rater, whose labels fit any confusion matrix; wanted two or more",
        )
