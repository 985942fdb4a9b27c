"""Counting what the present raters chose; absent raters are left out, exactly as if they were not in the list."""

from __future__ import annotations

import torch
from torch import Tensor

from labutils.metrics.inputs import check_label_masks


def vote_counts(masks: Tensor, present: Tensor | None, classes: int) -> tuple[Tensor, Tensor]:
    """How many present raters chose each class.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`; the masks of absent raters are not read.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
    Returns:
        votes int32 (B, K, [D,] H, W), which sum to the number of present raters over K; and that number, int32 (B,).
    Raises:
        InputError: wrong shape or type, no rater, no pixel, fewer than two classes, or a label of `classes` or more.
    """
    who = check_label_masks(masks, present, classes)
    shown = who.reshape(*who.shape, *[1] * (masks.ndim - 2))
    votes = [((masks == label) & shown).sum(dim=1, dtype=torch.int32) for label in range(classes)]
    return torch.stack(votes, dim=1), who.sum(dim=1, dtype=torch.int32)


def foreground_votes(raters: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Present raters that marked each pixel of bool (B, R, [D,] H, W): int32 (B, [D,] H, W), and their number (B,)."""
    everybody = bool(present.all())
    narrow = torch.uint8 if raters.shape[1] < 256 else torch.int32  # bytes add up five times faster
    cases = zip(raters.view(torch.uint8), present, strict=True)
    votes = [(masks if everybody else masks[here]).sum(dim=0, dtype=narrow) for masks, here in cases]
    return torch.stack(votes).int(), present.sum(dim=1, dtype=torch.int32)
