"""Fusing rater masks by counting votes, every tie rule named and decided in integers.

Three public conventions give three masks: a strict majority (``2v > R``), at least half (``2v >= R``), and the class
with the most votes. With an even number of raters they differ on every tied pixel, so the rule is always an argument.
Absent raters are left out of the votes and of R, exactly as if they were not in the list.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_choice
from labutils.core.types import as_present
from labutils.metrics.inputs import check_stack
from labutils.metrics.votes import foreground_votes, vote_counts

TIE_RULES = ("strict", "half", "lowest", "highest")


def soft_vote(masks: Tensor, present: Tensor | None, classes: int) -> Tensor:
    """The fraction of present raters that chose each class.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
    Returns:
        float32 (B, K, [D,] H, W) in [0, 1]; sums to 1 over K.
    Raises:
        InputError: wrong shape or type, no rater, no pixel, fewer than two classes, or a label of `classes` or more.
    """
    votes, raters = vote_counts(masks, present, classes)
    return votes.float() / raters.reshape(-1, *[1] * (votes.ndim - 1))


def majority(masks: Tensor, present: Tensor | None, classes: int, ties: str = "strict") -> Tensor:
    """One mask per case by counting votes, under a named tie rule.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
        ties: with v the votes of a class and R the present raters of the case,
            ``"strict"``: the class with ``2v > R``, background where none has it (any K);
            ``"half"``: foreground where ``2v >= R`` (K = 2 only);
            ``"lowest"``, ``"highest"``: the class with the most votes, ties to the lowest or highest label (any K).
    Returns:
        uint8 (B, [D,] H, W), class labels.
    Raises:
        InputError: as `soft_vote`, an unknown rule, or ``"half"`` with more than two classes.
    Notes:
        For K = 2 ``"lowest"`` equals ``"strict"`` and ``"highest"`` equals ``"half"``. One rater: that rater's mask.
        A mask of another geometry votes like any other; `labutils.consensus.fuse.fuse` warns of it.
    """
    require_choice("ties", ties, TIE_RULES, InputError)
    require(ties != "half" or classes == 2, f'ties="half" with {classes} classes; two classes can both have half')
    return _decided(*vote_counts(masks, present, classes), ties)


def majority_of_others(masks: Tensor, present: Tensor | None, classes: int, ties: str = "strict") -> Tensor:
    """For each rater the majority of all others: what the rater, or a model, can be scored against independently.

    Args:
        masks: as for `majority`.
        present: likewise.
        classes: likewise.
        ties: likewise.
    Returns:
        uint8 (B, R, [D,] H, W), class labels; of an absent rater the majority of those who are there, and background
        where nobody is left.
    Raises:
        InputError: as `majority`.
    """
    require_choice("ties", ties, TIE_RULES, InputError)
    require(ties != "half" or classes == 2, f'ties="half" with {classes} classes; two classes can both have half')
    votes, raters = vote_counts(masks, present, classes)
    here = as_present(masks, present)
    fused = []
    for r in range(masks.shape[1]):  # one at a time: memory of one rater
        own = torch.stack([masks[:, r] == k for k in range(classes)], dim=1) & here[:, r].view(
            -1, *[1] * (votes.ndim - 1)
        )
        left = raters - here[:, r].to(raters.dtype)
        label = _decided(votes - own.to(votes.dtype), left, ties)
        fused.append(torch.where((left > 0).view(-1, *[1] * (label.ndim - 1)), label, 0))
    return torch.stack(fused, dim=1)


def _decided(votes: Tensor, raters: Tensor, ties: str) -> Tensor:
    """The labels (B, [D,] H, W) that votes (B, K, [D,] H, W) of so many raters (B,) give under a tie rule."""
    shared = raters.reshape(-1, *[1] * (votes.ndim - 2))
    if ties == "half":
        return (2 * votes[:, 1] >= shared).to(torch.uint8)
    most, label = votes[:, 0], torch.zeros_like(votes[:, 0], dtype=torch.uint8)
    for k in range(1, votes.shape[1]):  # torch.argmax leaves the winner of a tie open
        wins = votes[:, k] >= most if ties == "highest" else votes[:, k] > most
        most, label = torch.where(wins, votes[:, k], most), torch.where(wins, k, label)
    return torch.where(2 * most > shared, label, 0) if ties == "strict" else label


def union(masks: Tensor, present: Tensor | None = None) -> Tensor:
    """What at least one present rater marked.

    Args:
        masks: bool (B, R, [D,] H, W), one mask per rater.
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        bool (B, [D,] H, W).
    Raises:
        InputError: wrong axes or type, no rater or pixel, or a case without raters.
    """
    check_stack("masks", masks)
    return foreground_votes(masks, as_present(masks, present))[0] > 0


def intersection(masks: Tensor, present: Tensor | None = None) -> Tensor:
    """What every present rater marked; arguments, type and errors as `union`."""
    check_stack("masks", masks)
    votes, raters = foreground_votes(masks, as_present(masks, present))
    return votes == raters.reshape(-1, *[1] * (votes.ndim - 1))


def random_rater(masks: Tensor, present: Tensor | None, rng: torch.Generator) -> Tensor:
    """One present rater's mask per case, each with equal chance.

    Args:
        masks: (B, R, [D,] H, W), usually uint8 class labels.
        present: bool (B, R), who judged each case; None for everybody.
        rng: CPU generator; one draw per case whatever the number of raters.
    Returns:
        (B, [D,] H, W), type and device of `masks`.
    Raises:
        InputError: wrong shape, or a case with no rater.
    """
    if masks.ndim not in (4, 5):
        raise InputError(f"masks have shape {tuple(masks.shape)}; wanted axes (BR[D]HW)")
    who = as_present(masks, present).cpu()
    chance = torch.rand(len(who), generator=rng, dtype=torch.float64)
    rank = (chance * who.sum(dim=1)).long()  # the rank-th of the present raters, from 0
    chosen = ((who.cumsum(dim=1) == rank[:, None] + 1) & who).int().argmax(dim=1)
    return masks[torch.arange(len(who)), chosen.to(masks.device)]
