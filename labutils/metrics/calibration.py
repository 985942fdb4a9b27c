"""Does a probability mean what it says: predicted probability against the raters' vote fraction, and volumes in mm.

The truth of a pixel is the fraction of present raters that marked it, so a model that is unsure exactly where raters
split is calibrated. Papers differ in bins, in which pixels count and in what is pooled, so their numbers differ too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from labutils.core.checks import require
from labutils.core.types import as_present
from labutils.metrics.inputs import check_against_raters, check_map, check_stack, voxel_sizes
from labutils.metrics.votes import foreground_votes


class Reliability(NamedTuple):
    """What a reliability diagram shows, one entry per bin; NaN in a bin without pixels."""

    pixels: Tensor  # int64 (B, bins)
    confidence: Tensor  # float64 (B, bins), mean predicted probability
    frequency: Tensor  # float64 (B, bins), mean vote fraction of the raters


def reliability(probs: Tensor, raters: Tensor, present: Tensor | None = None, bins: int = 10) -> Reliability:
    """Mean predicted probability and mean vote fraction per bin of predicted probability.

    Args:
        probs: float (B, [D,] H, W) in [0, 1], foreground probability, averaged over samples.
        raters: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
        bins: number of bins of equal width.
    Returns:
        `Reliability` over all pixels of each case, probability 0 included.
    Raises:
        InputError: sizes differ, NaN, values outside [0, 1], not torch.bool, no bin, rater or pixel, or a case
            without raters.
    Notes:
        Bin i holds ``i / bins <= p < (i + 1) / bins``, the last one also p = 1; the edges are rounded to the type of
        `probs`, so 3/10 computed in float32 falls in the bin that starts at 3/10.
    """
    check_stack("raters", raters)
    who = as_present(raters, present)
    check_map("probs", probs, raters)
    require(bins >= 1, f"bins is {bins}; wanted at least 1")
    votes, count = foreground_votes(raters, who)
    wide = probs if probs.dtype == torch.float64 else probs.float()
    edges = (torch.arange(1, bins, dtype=torch.float64, device=probs.device) / bins).to(wide.dtype)
    index = torch.bucketize(wide.flatten(1), edges, right=True)
    zeros = torch.zeros(len(probs), bins, dtype=torch.float64, device=probs.device)
    pixels = zeros.long().scatter_add_(1, index, torch.ones_like(index))
    confidence = zeros.scatter_add(1, index, wide.flatten(1).double()) / pixels  # 0 / 0 is NaN
    marked = zeros.scatter_add(1, index, votes.flatten(1).double())
    return Reliability(pixels, confidence, marked / (pixels * count[:, None]))


def expected_calibration_error(probs: Tensor, raters: Tensor, present: Tensor | None = None, bins: int = 10) -> Tensor:
    """Mean over pixels of the gap between confidence and vote fraction of the pixel's bin (ECE).

    Args:
        probs, raters, present, bins: as `reliability`, which also says which errors are raised.
    Returns:
        float64 (B,) in [0, 1]; lower is better.
    Notes:
        Background dominates, so values are small and depend on the crop. Source: Guo et al. 2017, with the raters'
        fraction as truth and one map of foreground probability, per case, as in Monteiro et al. 2020's LIDC code.
        Public variants pool all test pixels and leave out p = 0.
    """
    found = reliability(probs, raters, present, bins)
    gap = (found.confidence - found.frequency).abs().nan_to_num(0.0)
    return (gap * found.pixels).sum(dim=1) / found.pixels.sum(dim=1)


def average_calibration_error(probs: Tensor, raters: Tensor, present: Tensor | None = None, bins: int = 10) -> Tensor:
    """Plain mean over non-empty bins of the gap between confidence and vote fraction (ACE).

    Args:
        probs, raters, present, bins: as `reliability`, which also says which errors are raised.
    Returns:
        float64 (B,) in [0, 1]; lower is better. Every non-empty bin counts the same, however few its pixels.
    Notes:
        Source: Kahl et al. 2024 (ValUES), with 10 bins by default and the raters' fraction as truth. The
        equal-mass bins that some papers call ACE are another metric.
    """
    found = reliability(probs, raters, present, bins)
    return (found.confidence - found.frequency).abs().nanmean(dim=1)


def crps_volume(
    samples: Tensor, raters: Tensor, present: Tensor | None = None, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0)
) -> Tensor:
    r"""Continuous ranked probability score of the samples' foreground volume, averaged over the raters' volumes.

    :math:`\frac1R\sum_j \left(E|V - v_j| - \tfrac12 E|V - V'|\right)`, V the volume of a sample, v_j of a rater.

    Args:
        samples: bool (B, S, [D,] H, W).
        raters: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
        spacing_mm: ([D,] H, W) spacings for all cases, or (B, axes), in mm.
    Returns:
        float64 (B,) in mm2 (2D) or mm3 (3D), 0 or more; lower is better. One sample: the mean absolute error.
        A perfect sampler of disagreeing raters does not reach 0; see `energy_volume`.
    Raises:
        InputError: sizes differ, not torch.bool, no sample, rater or pixel, a case without raters, or a bad spacing.
    Notes:
        Expectations are over all ordered pairs (V-statistic). Source: Gneiting and Raftery 2007, equation 21.
    """
    error, within_samples, _ = _volume_gaps(samples, raters, present, spacing_mm)
    return error - within_samples / 2


def energy_volume(
    samples: Tensor, raters: Tensor, present: Tensor | None = None, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0)
) -> Tensor:
    r"""Distance of the samples' and the raters' distributions of foreground volume, :math:`\int (F - G)^2`.

    :math:`E|V - v| - \tfrac12 E|V - V'| - \tfrac12 E|v - v'|`: `crps_volume` less what the raters' own spread costs.

    Returns:
        float64 (B,) in mm2 (2D) or mm3 (3D); 0 for equal distributions, never negative; lower is better.
    Notes:
        Arguments and errors as `crps_volume`. Source: Szekely and Rizzo 2013. The CURVAS challenge 2024 replaces
        the raters' distribution by a fitted normal one; here it is the raters' own.
    """
    error, within_samples, within_raters = _volume_gaps(samples, raters, present, spacing_mm)
    return (error - within_samples / 2 - within_raters / 2).clamp(min=0)


def _volume_gaps(
    samples: Tensor, raters: Tensor, present: Tensor | None, spacing_mm: Sequence[float] | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean absolute difference of volumes: samples to raters, among samples, among raters; float64 (B,) each."""
    who = check_against_raters(samples, raters, present)
    voxel = voxel_sizes(spacing_mm, len(samples), samples.ndim - 2).prod(dim=1).to(samples.device)
    drawn, seen = samples.flatten(2).count_nonzero(dim=2), raters.flatten(2).count_nonzero(dim=2)
    pairs = [(drawn, seen), (drawn, drawn), (seen, seen)]
    everybody = torch.ones_like(drawn, dtype=torch.bool)
    weights = [(everybody, who), (everybody, everybody), (who, who)]
    gaps = [_mean_gap(*pair, *weight) * voxel for pair, weight in zip(pairs, weights, strict=True)]
    return gaps[0], gaps[1], gaps[2]


def _mean_gap(a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor) -> Tensor:
    """Mean |a_i - b_j| over the pairs that count, from whole numbers: float64 (B,)."""
    counts = in_a[:, :, None] & in_b[:, None, :]
    gaps = (a[:, :, None] - b[:, None, :]).abs() * counts
    return gaps.sum(dim=(1, 2)).double() / counts.sum(dim=(1, 2))
