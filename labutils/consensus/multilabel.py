r"""STAPLE for label maps of K classes: one hidden label map, and a confusion matrix per rater, by EM.

The model is that of `labutils.consensus.em` with a fixed prior, the mean share of votes. The conventions are those of
ITK's MultiLabelSTAPLE filter, whose labels come out: EM stops when no entry of a matrix has moved by more than
`tolerance`, each pixel takes the class of the highest posterior, and a pixel without a single highest class takes the
label `undecided`. Differences from it: logarithms (hundreds of raters do not underflow to 0), absent raters, several
cases, pooling, and another start on request.

The filter's start is told here because it is odd. It counts, for each rater, label i against the class j that has the
most votes at the pixel, and divides by *rows*: how often the vote is j when the rater says i. A tied vote has the
number K, one past the last column, and so counts as class 0 of label i + 1. With two raters, who tie wherever they
differ, the answer depends on it. ``start="votes"`` is the plain alternative. Source: Warfield, Zou and Wells 2004;
Rohlfing, Russakoff and Maurer 2004, for K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from labutils.core.checks import InputError, require, require_choice
from labutils.metrics.inputs import check_label_masks

STARTS = ("itk", "votes")
_EQUAL = 1e-9  # posteriors closer than this are a tie: logarithms round what ITK multiplies exactly


class MultilabelStaple(NamedTuple):
    """What STAPLE for K classes estimates."""

    labels: Tensor  # uint8 (B, [D,] H, W), class labels, or `undecided`
    probability: Tensor  # float64 (B, K, [D,] H, W) in [0, 1], posterior of each class; sums to 1 over K
    confusion: Tensor  # float64 (B, R, K, K), [i, j] = p(rater says i | truth is j); sums to 1 over i; NaN as in Notes
    iterations: Tensor  # int64 (B,), EM steps taken
    converged: Tensor  # bool (B,), whether the tolerance was reached


def multilabel_staple(
    masks: Tensor,
    present: Tensor | None,
    classes: int,
    *,
    undecided: int,
    prior: Sequence[float] | None = None,
    start: str = "itk",
    tolerance: float = 1e-5,
    max_iterations: int = 10_000,
    pooled: bool = False,
) -> MultilabelStaple:
    """STAPLE for K classes, of each case or with one confusion matrix per rater for all cases.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody. Absent raters are left out exactly.
        classes: K, at least 2. ITK takes the highest label of the case and one.
        undecided: label of pixels without a single highest class, 0 to 255. ITK takes K unless told.
        prior: K shares of 0 or more that sum to 1; None takes the mean share of votes of the case (pooled: of
            all cases).
        start: ``"itk"``, as the module says; ``"votes"``: the shares of votes as the posterior, as for
            `labutils.consensus.staple.staple` and `labutils.consensus.dawid_skene.dawid_skene`.
        tolerance: EM stops when no entry of a matrix moved by more than this.
        max_iterations: EM steps at most, 1 or more.
        pooled: one matrix per rater from all cases together, repeated for each case. Rater r must be the same person
            in every case.
    Returns:
        `MultilabelStaple`.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, a label of `classes` or more, an
            unknown start, or a setting out of its range.
    Notes:
        A column of a matrix is NaN where the rater is absent or saw no pixel of that class. One rater: that rater's
        labels. A mask of another geometry is taken for a bad rater in silence; `labutils.consensus.fuse.fuse` warns
        of it.
    """
    who = check_label_masks(masks, present, classes)
    require_choice("start", start, STARTS, InputError)
    require(0 <= undecided <= 255, f"undecided is {undecided}; wanted a label of 0 to 255")
    shares = None if prior is None else _check_prior(prior, classes)
    check_steps(tolerance, max_iterations)

    def fit(patterns: Patterns) -> Estimate:
        return expectation_maximization(
            patterns,
            prior=mean_shares(patterns, classes) if shares is None else shares,
            start=_voted_matrices(patterns, classes) if start == "itk" else None,
            tolerance=tolerance,
            max_iterations=max_iterations,
        )

    here = who.cpu().numpy()
    fitted = fit_cases(masks.cpu().flatten(2).numpy(), here, classes, pooled=pooled, fit=fit)
    labels = np.stack([one.counted.paint(_decide(one.posterior, undecided)) for one in fitted])
    probability = np.stack([[one.counted.paint(share) for share in one.posterior] for one in fitted])
    space = masks.shape[2:]
    return MultilabelStaple(
        torch.from_numpy(labels).reshape(len(masks), *space).to(masks.device),
        torch.from_numpy(probability).reshape(len(masks), classes, *space).to(masks.device),
        confusion_matrices(fitted, here, masks.device),
        *steps_taken(fitted, masks.device),
    )


def _check_prior(prior: Sequence[float], classes: int) -> np.ndarray:
    shares = np.asarray(prior, dtype=np.float64)
    good = shares.shape == (classes,) and bool((shares >= 0).all()) and abs(shares.sum() - 1) < 1e-6
    require(good, f"prior is {list(prior)}; wanted {classes} shares of 0 or more that sum to 1")
    return shares


def _voted_matrices(patterns: Patterns, classes: int) -> np.ndarray:
    """The filter's start (K, K, R): chance of the voted class (first axis) given the rater's label (second)."""
    ballots = patterns.ballots(classes)
    votes = ballots.sum(axis=1)
    winner = np.where((votes == votes.max(axis=0)).sum(axis=0) > 1, classes, votes.argmax(axis=0))
    won = (winner == np.arange(classes + 1)[:, None]) * patterns.pixels
    counts = (won @ ballots.reshape(-1, len(winner)).T).reshape(classes + 1, classes, -1)
    matrices = counts[:classes].copy()
    matrices[0, 1:] += counts[classes, :-1]  # a tie counts as class 0 of the next label; of the last label, nowhere
    totals = matrices.sum(axis=0, keepdims=True)
    return np.divide(matrices, totals, out=np.zeros_like(matrices), where=totals > 0)


def _decide(posterior: np.ndarray, undecided: int) -> np.ndarray:
    """The class of each pattern, uint8 (P,)."""
    highest = posterior >= posterior.max(axis=0) * (1 - _EQUAL)
    return np.where(highest.sum(axis=0) > 1, undecided, posterior.argmax(axis=0)).astype(np.uint8)
