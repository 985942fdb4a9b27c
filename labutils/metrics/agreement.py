"""How much raters agree with each other: maps per pixel, pairwise Dice, and agreement beyond chance (kappa, alpha).

Every pixel is an item that each present rater of the case has put into one class. Chance-corrected measures are
dominated by background: cropping an image changes them while no outline moves. Report the crop with the number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labutils.core.types import as_present
from labutils.metrics.inputs import check_stack
from labutils.metrics.overlap import pairwise_dice
from labutils.metrics.votes import vote_counts


def mean_pairwise_dice(raters: Tensor, present: Tensor | None = None) -> Tensor:
    """Mean Dice over the pairs of different present raters.

    Args:
        raters: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        float64 (B,) in [0, 1]; higher is more agreement. Both empty: 1; one empty: 0; fewer than two raters: NaN.
    Raises:
        InputError: wrong axes or type, no rater or pixel, or a case without raters.
    """
    check_stack("raters", raters)
    who = as_present(raters, present)
    pairs = (who[:, :, None] & who[:, None, :]).triu(diagonal=1)
    total = torch.where(pairs, pairwise_dice(raters, raters), 0.0).sum(dim=(1, 2))
    return total / pairs.sum(dim=(1, 2))  # 0 / 0 is NaN


def pair_agreement_map(masks: Tensor, present: Tensor | None = None, classes: int = 2) -> Tensor:
    """At each pixel, the share of pairs of different present raters that chose the same class.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
    Returns:
        float64 (B, [D,] H, W) in [0, 1]; higher is more agreement, 1 where all agree. NaN in cases of one rater.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, or a label of `classes` or more.
    """
    votes, raters = vote_counts(masks, present, classes)
    pairs = (raters * (raters - 1)).double().reshape(-1, *[1] * (votes.ndim - 2))
    return (votes * (votes - 1)).sum(dim=1) / pairs  # 0 / 0 is NaN


def vote_entropy_map(masks: Tensor, present: Tensor | None = None, classes: int = 2) -> Tensor:
    """At each pixel, the entropy of the votes in nats.

    Returns:
        float64 (B, [D,] H, W), 0 where all agree to ln K where each class has as many votes; lower is more agreement.
        Of one rater: 0.
    Notes:
        Arguments and errors as `pair_agreement_map`. The entropy of R votes can be no more than ln R, and is on average
        below that of the population they were drawn from: compare cases of equally many raters.
    """
    votes, raters = vote_counts(masks, present, classes)
    shares = votes.double() / raters.reshape(-1, *[1] * (votes.ndim - 1))
    return torch.special.entr(shares).sum(dim=1)


def fleiss_kappa(masks: Tensor, present: Tensor | None = None, classes: int = 2) -> Tensor:
    """Fleiss' kappa over the pixels of each case: agreement beyond what the class shares would give by chance.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
    Returns:
        float64 (B,), at most 1; higher is more agreement; 0 at chance. NaN with fewer than two present raters, and
        where every rater put every pixel into one class: chance agreement is then 1 and nothing is left to explain.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, or a label of `classes` or more.
    Notes:
        Source: Fleiss 1971.
    """
    agreeing, totals, raters, pixels = _tallies(masks, present, classes)
    items = pixels * raters
    observed = agreeing / (items * (raters - 1))
    chance = (totals / items[:, None]).square().sum(dim=1)
    return _unless_one_class((observed - chance) / (1 - chance), totals, items)


def krippendorff_alpha(masks: Tensor, present: Tensor | None = None, classes: int = 2) -> Tensor:
    """Krippendorff's alpha for nominal classes over the pixels of each case.

    Returns:
        float64 (B,), at most 1; higher is more agreement; 0 at chance. NaN with fewer than two present raters, and
        where every rater put every pixel into one class.
    Notes:
        Arguments and errors as `fleiss_kappa`, from which it differs by a correction for few items.
        Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """
    agreeing, totals, raters, pixels = _tallies(masks, present, classes)
    items = pixels * raters
    return _unless_one_class(_alpha(items, agreeing / (raters - 1), totals), totals, items)


def pooled_krippendorff_alpha(masks: Tensor, present: Tensor | None = None, classes: int = 2) -> Tensor:
    """Krippendorff's alpha over the pixels of all cases together, each with its own set of raters: float64 ().

    Cases with one present rater are left out, as the definition asks; NaN when none remains or all is one class.
    Arguments and errors as `fleiss_kappa`.
    """
    agreeing, totals, raters, pixels = _tallies(masks, present, classes)
    paired = raters >= 2
    coincident = (agreeing[paired] / (raters[paired] - 1)).sum()
    items, shares = (pixels * raters[paired]).sum(), totals[paired].sum(dim=0)
    return _unless_one_class(_alpha(items, coincident, shares), shares, items)


def _tallies(masks: Tensor, present: Tensor | None, classes: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Ordered agreeing pairs of raters (B,), judgments per class (B, K), raters (B,), all float64; and pixels."""
    votes, raters = vote_counts(masks, present, classes)
    votes = votes.flatten(2).long()
    agreeing = (votes * (votes - 1)).sum(dim=(1, 2))
    return agreeing.double(), votes.sum(dim=2).double(), raters.double(), votes.shape[2]


def _alpha(items: Tensor, coincident: Tensor, totals: Tensor) -> Tensor:
    by_chance = (totals * (totals - 1)).sum(dim=-1)
    return 1 - (items - 1) * (items - coincident) / (items * (items - 1) - by_chance)


def _unless_one_class(score: Tensor, totals: Tensor, items: Tensor) -> Tensor:
    return torch.where((totals == items[..., None]).any(dim=-1), torch.nan, score)
