"""Sampled masks by the planted style that each is nearest to: are the styles drawn as often as they were planted?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from labutils.core.checks import require
from labutils.metrics.overlap import pairwise_dice

OTHER = -1  # of a sample that is like no style


class StyleShares(NamedTuple):
    """How often each style was drawn, over all samples of all cases."""

    shares: Tensor  # float64 (styles,), summing to 1 with `other`
    other: float  # share of samples that are like no style
    total_variation: float  # 0 (as planted) to 1; lower is better


def nearest_style(samples: Tensor, styles: Tensor, *, least: float = 0.0) -> Tensor:
    """Which style each sample is nearest to by Dice.

    Args:
        samples: bool (B, S, [D,] H, W).
        styles: bool (B, styles, [D,] H, W), the mask of each style in each case.
        least: lowest Dice, 0 to 1, at which a sample still counts as of a style; 0 forces every sample into one.
    Returns:
        int64 (B, S), the style's number, the lowest of equal ones; `OTHER` where no style's Dice is at least `least`.
    Raises:
        InputError: sizes differ, not torch.bool, no sample, style or pixel, or `least` is out of range.
    """
    require(0 <= least <= 1, f"least is {least}; wanted a Dice in [0, 1]")
    overlap, style = pairwise_dice(samples, styles).max(dim=2)
    return torch.where(overlap >= least, style, OTHER)


def style_shares(drawn: Tensor, planted: Tensor) -> StyleShares:
    """How often each style was drawn, against the planted frequencies.

    Args:
        drawn: int64 (B, S), from `nearest_style`; all samples of all cases are counted together.
        planted: float (styles,), summing to 1.
    Returns:
        `StyleShares`; the total variation is half the sum of the absolute differences, with samples like no style as
        a style that was planted with frequency 0. A few samples differ from the frequencies by chance alone.
    Raises:
        InputError: nothing was drawn, a number is of no style, or the frequencies do not sum to 1.
    """
    count = len(planted)
    known = drawn.numel() and drawn.dtype == torch.int64 and drawn.min() >= OTHER and drawn.max() < count
    require(known, f"drawn is {drawn.dtype} {tuple(drawn.shape)}; wanted some numbers of {count} styles, or {OTHER}")
    even = planted.ndim == 1 and bool((planted >= 0).all()) and abs(float(planted.sum()) - 1) < 1e-4
    require(even, f"planted is {planted.tolist()}; wanted frequencies that sum to 1")
    found = torch.bincount(drawn.flatten() + 1, minlength=count + 1).double() / drawn.numel()
    wanted = torch.cat([torch.zeros(1, device=planted.device), planted]).double()
    return StyleShares(found[1:], float(found[0]), float((found - wanted).abs().sum() / 2))
