"""Fusing with a look at the raters first: who lies elsewhere than all others is named before the masks are fused."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.majority import TIE_RULES, intersection, majority, union
from labutils.consensus.odd_raters import warn_of_odd_raters
from labutils.consensus.staple import staple
from labutils.core.checks import InputError, require_choice

WAYS = ("staple", "dawid_skene", "union", "intersection", *TIE_RULES)


def fuse(
    masks: Tensor, present: Tensor | None = None, *, by: str = "staple", names: Sequence[str] | None = None
) -> Tensor:
    """One mask per case, with an `OddRaterWarning` for each rater that disagrees grossly with all others.

    That rater is fused like any other: whether the mask is flipped or the rater of another mind, a person must say.

    Args:
        masks: bool (B, R, [D,] H, W), one mask per rater.
        present: bool (B, R), who judged each case; None for everybody.
        by: ``"staple"``, ``"dawid_skene"``: posterior of `labutils.consensus.staple.staple` or
            `labutils.consensus.dawid_skene.dawid_skene` of at least 0.5; ``"union"``, ``"intersection"``: what any or
            every rater marked; or a tie rule of `labutils.consensus.majority.majority`.
        names: what the warning calls the raters; None says "rater 0" and so on.
    Returns:
        bool (B, [D,] H, W).
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, an unknown way, another number of
            names than raters, or ``"dawid_skene"`` with one rater for a case.
    """
    require_choice("by", by, WAYS, InputError)
    warn_of_odd_raters(masks, present, names=names, stacklevel=3)
    labels = masks.to(torch.uint8)
    if by == "staple":
        return staple(masks, present).probability >= 0.5
    if by == "dawid_skene":
        return dawid_skene(labels, present, 2).probability[:, 1] >= 0.5
    if by in ("union", "intersection"):
        return (union if by == "union" else intersection)(masks, present)
    return majority(labels, present, 2, by) == 1
