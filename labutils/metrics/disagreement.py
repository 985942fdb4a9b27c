r"""How far a set of samples is from a set of raters: energy distance, matching, best case, and spread.

Binary masks throughout: samples bool (B, S, [D,] H, W), raters bool (B, R, [D,] H, W), distance :math:`d = 1 -` IoU of
the foreground (both empty: 0, one empty: 1). Raters with ``present`` False are left out, as if not in the list.
Everything is per case; means over cases belong to the evaluation.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_choice, require_shape, require_unit_range
from labutils.core.types import as_present
from labutils.metrics.inputs import check_against_raters, check_stack
from labutils.metrics.overlap import pairwise_dice, pairwise_iou, self_iou

ESTIMATORS = ("V", "U")
_LARGEST_MATCHING = 2048  # rows of the replicated matching; larger ones are solved as a linear program instead


def ged_squared(samples: Tensor, raters: Tensor, present: Tensor | None = None, estimator: str = "V") -> Tensor:
    r"""Squared generalized energy distance, :math:`2E[d(S,Y)] - E[d(S,S')] - E[d(Y,Y')]`.

    Args:
        samples: bool (B, S, [D,] H, W), masks drawn from the model.
        raters: bool (B, R, [D,] H, W), one mask per rater.
        present: bool (B, R), who judged each case; None for everybody.
        estimator: ``"V"`` averages over all ordered pairs, self-pairs included, as published code does;
            ``"U"`` leaves self-pairs out.
    Returns:
        float64 (B,), no unit; lower is better. V: 0 (same masks in the same shares) to 2. U: its mean is 0 when
        samples and raters come from one distribution, so single cases are often negative; NaN for a case with
        fewer than two present raters.
    Raises:
        InputError: sizes differ, not torch.bool, no sample, rater or pixel, a case without raters, an unknown
            estimator, or ``"U"`` with one sample.
    Notes:
        V exceeds U by E[d(S,S')]/S + E[d(Y,Y')]/R (means without self-pairs), so compare models only at equal S and
        equal raters. Samples copied from the case's own raters are no independent draws: U then averages
        -E[d(Y,Y')]/R, below 0.
        Source: Szekely and Rizzo 2013; Kohl et al. 2018 (arXiv 1806.05034), where the V-statistic is reported.
    """
    cross, within = _distances(samples, raters, present, estimator)
    return 2 * cross - within


def ged_published_sign(samples: Tensor, raters: Tensor, present: Tensor | None = None, estimator: str = "V") -> Tensor:
    r"""The energy distance with a wrong sign, :math:`2E[d(S,Y)] + E[d(S,S')] + E[d(Y,Y')]`: not a distance.

    It stands in the code published with the stochastic confusion-matrix network, where lower is taken for better. The
    spreads are added where they must be subtracted, so that samples that differ as the raters do are charged for it,
    and one and the same answer, where it is no farther from the raters, scores better than the raters themselves. It
    is here to show what that hides; `ged_squared` is the distance, of which arguments and errors are the same.

    Returns:
        float64 (B,), no unit, 0 (all masks equal) to 4; it says nothing of how good samples are.
    Notes:
        Only the sign is the published one. That code also leaves self-pairs out, as the estimator ``"U"`` does, and
        takes two empty masks for entirely different.
    """
    cross, within = _distances(samples, raters, present, estimator)
    return 2 * cross + within


def _distances(samples: Tensor, raters: Tensor, present: Tensor | None, estimator: str) -> tuple[Tensor, Tensor]:
    """E[d(S,Y)] and E[d(S,S')] + E[d(Y,Y')] of each case, float64 (B,); errors as `ged_squared`."""
    require_choice("estimator", estimator, ESTIMATORS, InputError)
    who = check_against_raters(samples, raters, present)
    count = samples.shape[1]
    require(estimator == "V" or count > 1, 'estimator "U" leaves self-pairs out, and there is only one sample')
    across, inside = [], []
    for case_samples, case_raters, here in zip(samples, raters, who, strict=True):
        together = torch.cat([case_samples, case_raters[here]])[None]
        distance = 1 - self_iou(together)[0]
        across.append(distance[:count, count:].mean())
        inside.append(_mean_pair(distance[:count, :count], estimator) + _mean_pair(distance[count:, count:], estimator))
    return torch.stack(across), torch.stack(inside)


def sample_diversity(samples: Tensor, estimator: str = "V") -> Tensor:
    """Mean distance between samples, E[d(S,S')].

    Args:
        samples: bool (B, S, [D,] H, W).
        estimator: as in `ged_squared`.
    Returns:
        float64 (B,) in [0, 1]; good when equal to `rater_diversity`, neither direction is better. V with one
        sample: 0; U with one sample: NaN.
    Raises:
        InputError: wrong axes or type, no sample or pixel, or an unknown estimator.
    Notes:
        Source: Monteiro et al. 2020 (arXiv 2006.06015), the V-statistic.
    """
    return rater_diversity(samples, None, estimator)


def rater_diversity(raters: Tensor, present: Tensor | None = None, estimator: str = "V") -> Tensor:
    """Mean distance between present raters, E[d(Y,Y')]: float64 (B,) in [0, 1]; the rest as `sample_diversity`."""
    require_choice("estimator", estimator, ESTIMATORS, InputError)
    check_stack("masks", raters)
    who = as_present(raters, present)
    cases = zip(raters, who, strict=True)
    return torch.stack([_mean_pair(1 - self_iou(stack[here][None])[0], estimator) for stack, here in cases])


def _mean_pair(distance: Tensor, estimator: str) -> Tensor:
    """The mean of a distance matrix (M, M), with its zero diagonal (V) or without (U; NaN for M = 1)."""
    n = len(distance)
    pairs = n * n if estimator == "V" else n * (n - 1)
    return distance.sum() / pairs if pairs else distance.new_tensor(math.nan)


def hungarian_iou(samples: Tensor, raters: Tensor, present: Tensor | None = None) -> Tensor:
    """Mean IoU of samples matched one to one with raters, the matching that maximizes it.

    Args:
        samples: bool (B, S, [D,] H, W).
        raters: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        float64 (B,) in [0, 1]; higher is better.
    Raises:
        InputError: sizes differ, not torch.bool, no sample, rater or pixel, or a case without raters.
    Notes:
        Both sets are repeated to the least common multiple of their sizes, which equals optimal transport between
        them with equal weights. Matching only min(S, R) pairs gives a different, larger number.
        Source: Kohl et al. 2019 (arXiv 1905.13077), "Hungarian-matched IoU"; the repetition to the least common
        multiple follows Zbinden et al. 2023 (arXiv 2303.08888).
    """
    who = check_against_raters(samples, raters, present)
    overlap = pairwise_iou(samples, raters).cpu().numpy()
    scores = [_best_matching(case[:, here]) for case, here in zip(overlap, who.cpu().numpy(), strict=True)]
    return torch.tensor(scores, dtype=torch.float64, device=samples.device)


def _best_matching(score: np.ndarray) -> float:
    """The largest mean of `score` (M, N) over couplings whose rows and columns have equal weights."""
    from scipy.optimize import linear_sum_assignment

    m, n = score.shape
    size = math.lcm(m, n)
    if size > _LARGEST_MATCHING:
        return _best_transport(score)
    repeated = score.repeat(size // m, axis=0).repeat(size // n, axis=1)
    rows, columns = linear_sum_assignment(repeated, maximize=True)
    return float(repeated[rows, columns].mean())


def _best_transport(score: np.ndarray) -> float:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    m, n = score.shape
    rows, columns = kron(eye_array(m), np.ones((1, n))), kron(np.ones((1, m)), eye_array(n))
    weights = np.concatenate([np.full(m, 1 / m), np.full(n, 1 / n)])
    return -float(linprog(-score.ravel(), A_eq=vstack([rows, columns]), b_eq=weights, method="highs").fun)


def dice_max(samples: Tensor, raters: Tensor, present: Tensor | None = None) -> Tensor:
    """The best Dice over the samples for each present rater, averaged over those raters.

    Args:
        samples: bool (B, S, [D,] H, W).
        raters: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        float64 (B,) in [0, 1]; higher is better, and it never falls with more samples. Both empty: 1; one empty: 0.
    Raises:
        InputError: sizes differ, not torch.bool, no sample, rater or pixel, or a case without raters.
    Notes:
        Source: Rahman et al. 2023 (arXiv 2304.04745), D_max, "maximum Dice matching"; the rule for empty masks is ours.
    """
    who = check_against_raters(samples, raters, present)
    best = pairwise_dice(samples, raters).amax(dim=1)
    return torch.where(who, best, 0.0).sum(dim=1) / who.sum(dim=1)


def ncc(probs: Tensor, raters: Tensor, present: Tensor | None = None) -> Tensor:
    r"""Correlation of where samples differ from each other with where they differ from the raters (S_NCC).

    For each case, :math:`E_{SS} = \frac1S\sum_i CE(\bar p, p_i)` and :math:`E_{SY_j} = \frac1S\sum_i CE(y_j, p_i)` are
    maps over pixels, with :math:`CE(q, p) = -\sum_k q_k \log(p_k + 10^{-8})` and :math:`\bar p` the mean of the
    samples' probabilities; the score is the mean over raters of the zero-mean normalized correlation of the two.

    Args:
        probs: float (B, S, K, [D,] H, W) in [0, 1], summing to 1 over K: soft samples, not masks.
        raters: uint8 (B, R, [D,] H, W) class labels, or bool for K = 2.
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        float64 (B,) in [-1, 1]; higher is better. NaN where the map of the samples, or of any present rater, is
        constant: the correlation is not defined there (one pixel; a sampler that ignores the image).
    Raises:
        InputError: sizes differ, NaN, values outside [0, 1], labels of K or more, no sample or rater.
    Notes:
        Source: Baumgartner et al. 2019 (arXiv 1906.04045), whose code does not guard constant maps.
    """
    who = _check_soft_samples(probs, raters, present)
    rows = []
    for soft, masks, here in zip(probs, raters, who, strict=True):
        mean, log_mean = _soft_means(soft)
        spread = -(mean * log_mean).sum(dim=0).flatten()
        labels = masks[here].long()
        errors = -log_mean.expand(len(labels), *log_mean.shape).gather(1, labels[:, None])[:, 0].flatten(1)
        rows.append(torch.stack([_correlation(spread, error) for error in errors]).mean())
    return torch.stack(rows)


def _check_soft_samples(probs: Tensor, raters: Tensor, present: Tensor | None) -> Tensor:
    letters = "BSK[D]HW" if probs.ndim == 6 else "BSKHW"
    sizes = require_shape("probs", probs, letters)
    space = {axis: sizes[axis] for axis in "BDHW" if axis in sizes}
    require_shape("raters", raters, "BR[D]HW" if "D" in space else "BRHW", **space)
    require(probs.is_floating_point(), f"probs are {probs.dtype}; wanted floating point")
    require(probs.numel() > 0, f"probs of shape {tuple(probs.shape)} hold no sample or no pixel")
    require(raters.dtype in (torch.uint8, torch.bool), f"raters are {raters.dtype}; wanted torch.uint8 or torch.bool")
    require_unit_range("probs", probs)
    who = as_present(raters, present)
    highest = int(raters.flatten(2).amax(dim=2).masked_fill(~who, 0).max())
    require(highest < sizes["K"], f"raters hold the label {highest}; wanted labels below K = {sizes['K']}")
    return who


def _soft_means(soft: Tensor) -> tuple[Tensor, Tensor]:
    """Mean probability and mean log(p + 1e-8) over samples (S, K, ...), float64 (K, ...), one sample at a time."""
    mean = torch.zeros(soft.shape[1:], dtype=torch.float64, device=soft.device)
    log_mean = torch.zeros_like(mean)
    for probs in soft:
        mean += probs
        log_mean += (probs.double() + 1e-8).log()  # 1e-8: as in the source's code
    return mean / len(soft), log_mean / len(soft)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Zero-mean normalized cross-correlation of two vectors; NaN when one is constant."""
    if a.min() == a.max() or b.min() == b.max():
        return a.new_tensor(math.nan)
    a, b = a - a.mean(), b - b.mean()
    return (a @ b) / (a.norm() * b.norm())
