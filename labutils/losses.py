"""Losses: each names its reduction; targets are probabilities, so one mask, a vote and a doubt are the same kind.

All take logits (before softmax) and reduce in float32 whatever precision the network ran in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labutils.core.checks import require_same_shape


def cross_entropy_mean(logits: Tensor, target: Tensor) -> Tensor:
    r"""Cross-entropy :math:`-\sum_k t_k \log p_k`, averaged over cases and pixels, in nats.

    Args:
        logits: float (B, K, [D,] H, W).
        target: float (B, K, [D,] H, W), probabilities; the sum over K is 1 at each pixel (one-hot for one mask).
    Returns:
        float32 scalar, 0 or more, lower is better; its smallest value is the mean entropy of `target`.
    Raises:
        InputError: the shapes differ.
    """
    require_same_shape("logits", logits, "target", target)
    return -(target.float() * torch.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


def soft_dice_loss_mean(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    r"""One minus the soft Dice :math:`(2\sum p t + s)/(\sum p + \sum t + s)`, mean over cases and foreground classes.

    Args:
        logits: float (B, K, [D,] H, W); class 0 is background and does not count.
        target: float (B, K, [D,] H, W), probabilities.
        smooth: s, in pixels; it makes two empty masks a perfect match instead of 0/0.
    Returns:
        float32 scalar in [0, 1], lower is better. Source: Milletari et al. 2016, without squares in the denominator.
    Raises:
        InputError: the shapes differ.
    """
    require_same_shape("logits", logits, "target", target)
    probs = torch.softmax(logits.float(), dim=1)[:, 1:].flatten(2)
    wanted = target.float()[:, 1:].flatten(2)
    overlap = (probs * wanted).sum(dim=2)
    total = probs.sum(dim=2) + wanted.sum(dim=2)
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()
