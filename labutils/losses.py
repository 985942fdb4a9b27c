"""Losses: each names its reduction; targets are probabilities, so one mask, a vote and a doubt are the same kind.

All take logits (before softmax) and reduce in float32 whatever precision the network ran in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from labutils.core.checks import require, require_same_shape, require_shape

BETTER = 0.05  # share of labels by which any rater is taken to do better than chance


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


def labels_nll_mean(log_said: Tensor, masks: Tensor, present: Tensor) -> Tensor:
    """Negative log-likelihood of raters' labels, averaged over the pixels that present raters judged, in nats.

    Args:
        log_said: float (B, R, K, H, W), log-probability of each label for each rater.
        masks: uint8 (B, R, H, W), class labels below K; those of absent raters are not read.
        present: bool (B, R), somebody in every case.
    Returns:
        float32 scalar, 0 or more, lower is better; every label of every present rater counts the same.
    Raises:
        InputError: the shapes differ.
    """
    sizes = require_shape("log_said", log_said, "BRKHW")
    require_shape("masks", masks, "BRHW", **{letter: sizes[letter] for letter in "BRHW"})
    require_shape("present", present, "BR", B=sizes["B"], R=sizes["R"])
    chosen = log_said.float().gather(2, masks.long()[:, :, None])[:, :, 0]
    return -chosen[present].mean()


def joint_nll_mean(log_probs: Tensor, log_matrices: Tensor, masks: Tensor, present: Tensor) -> Tensor:
    r"""Negative log-likelihood of all raters' labels together, raters independent given the truth, in nats a label.

    :math:`-\log \sum_j p_j \prod_r A^{(r)}_{y_r j}` at each pixel, summed and divided by the number of labels. It knows
    that the labels of one pixel speak of one truth, which the sum of each rater's own likelihood
    (`labels_nll_mean`) does not; with one rater a case both are the same.

    Args:
        log_probs: float (B, K, H, W), of the truth.
        log_matrices: float (B, R, K, K, H, W), or 1 for B, H and W; rows (third axis) are what the rater says.
        masks: uint8 (B, R, H, W), class labels below K; those of absent raters are not read.
        present: bool (B, R), somebody in every case.
    Returns:
        float32 scalar, 0 or more, lower is better.
    Raises:
        InputError: the shapes differ.
    """
    sizes = require_shape("log_probs", log_probs, "BKHW")
    require_shape("masks", masks, "BRHW", **{letter: sizes[letter] for letter in "BHW"})
    raters, classes = masks.shape[1], sizes["K"]
    require_shape("present", present, "BR", B=sizes["B"], R=raters)
    shape = (sizes["B"], raters, classes, classes, sizes["H"], sizes["W"])
    rows = masks.long()[:, :, None, None].expand(-1, -1, 1, classes, -1, -1)
    chances = log_matrices.float().expand(shape).gather(2, rows)[:, :, 0]  # (B, R, K, H, W), of the label if truth is j
    together = (chances * present[:, :, None, None, None]).sum(dim=1) + log_probs.float()
    return -torch.logsumexp(together, dim=1).sum() / (present.sum() * sizes["H"] * sizes["W"])


def coin_length_mean(
    probs: Tensor, masks: Tensor, present: Tensor, *, identified: bool = True, least: float = 0.1
) -> Tensor:
    r"""Nats a label that a rater's errors cost when each rater errs like a coin, averaged over labels.

    With :math:`e_r = \mathrm{mean}(1 - p_{y_r})` the share of rater r's labels that the probabilities contradict, and
    :math:`H` the entropy of a coin, it is :math:`\sum_r n_r [H(e_r) + e_r \log(K - 1)] / \sum_r n_r`, :math:`n_r` the
    number of labels. Its slope in :math:`e_r` is :math:`\log[(K - 1)(1 - e_r)/e_r]`, the weight of that rater's vote
    under such coins: whoever is contradicted seldom counts for more, whatever the classes' shares. Below `least` it
    goes on as its tangent: nobody is taken for surer than that, or the rater whom the probabilities follow would
    outweigh all others because they follow. Beyond chance, :math:`e_r > 1 - 1/K`, it goes on as a line of slope 1, so
    that contradicting everybody is no answer.

    Args:
        probs: float (B, K, H, W), summing to 1 over K.
        masks: uint8 (B, R, H, W), class labels below K; those of absent raters are not read.
        present: bool (B, R), somebody in every case.
        identified: False where raters are exchangeable: all of them share one coin, and the vote is a plain one.
        least: share of errors below which a rater's weight grows no more, above 0 and below 1 - 1/K.
    Returns:
        float32 scalar, 0 or more; log K where every rater errs as by chance; lower is better.
    Raises:
        InputError: the shapes differ.
    """
    errors, cases = _coin_errors(probs, masks, present, identified)
    others, chance = probs.shape[1] - 1, _chance(probs.shape[1], least)
    coin = errors.clamp(least, chance)
    length = torch.special.entr(coin) + torch.special.entr(1 - coin) + coin * math.log(others)
    surest = math.log(others * (1 - least) / least)
    length = length - surest * torch.relu(least - errors) + torch.relu(errors - chance)
    return (length * cases).sum() / cases.sum()


def coin_vote(probs: Tensor, masks: Tensor, present: Tensor, *, identified: bool = True, least: float = 0.1) -> Tensor:
    r"""What raters who err like coins say of each pixel together: the posterior of the class, all alike before.

    The logarithm of the odds that a rater's label is right is :math:`\log[(K - 1)(1 - e_r)/e_r]`, the slope of
    `coin_length_mean`; a class has as posterior the softmax of the weights of those who named it. The errors are those
    the probabilities tell, so that a network which learns the vote, and measures errors anew, goes down that length as
    expectation-maximization does (one coin a rater: Dawid and Skene 1979 with two parameters fewer). A cross-entropy to
    it has a slope where the network is sure and wrong; the length itself has none there.

    Args:
        probs: as for `coin_length_mean`; no gradient flows back to them.
        masks: likewise.
        present: likewise.
        identified: likewise.
        least: likewise. Everybody is taken to be right a little more often than by chance, by `BETTER`, or an answer
            that contradicts everybody would silence them all.
    Returns:
        float32 (B, K, H, W), summing to 1 over K.
    Raises:
        InputError: the shapes differ.
    """
    classes, chance = probs.shape[1], _chance(probs.shape[1], least)
    errors, _ = _coin_errors(probs.detach(), masks, present, identified)
    coin = errors.clamp(least, max(least, chance - BETTER))
    weights = torch.log((classes - 1) * (1 - coin) / coin) * present
    named = functional.one_hot(masks.long(), classes).to(weights.dtype)  # (B, R, H, W, K)
    return torch.softmax(torch.einsum("br,brhwk->bkhw", weights, named), dim=1)


def _chance(classes: int, least: float) -> float:
    chance = 1 - 1 / classes
    require(0 < least < chance, f"least is {least}; wanted above 0 and below {chance:.3g}")
    return chance


def _coin_errors(probs: Tensor, masks: Tensor, present: Tensor, identified: bool) -> tuple[Tensor, Tensor]:
    """The share of labels that probabilities contradict, and the number of cases, of each rater or of all: (R,) each.

    A rater who judged no case errs as by chance in none.
    """
    sizes = require_shape("probs", probs, "BKHW")
    require_shape("masks", masks, "BRHW", **{letter: sizes[letter] for letter in "BHW"})
    require_shape("present", present, "BR", B=sizes["B"], R=masks.shape[1])
    agreed = probs.float()[:, None].expand(-1, masks.shape[1], -1, -1, -1).gather(2, masks.long()[:, :, None])[:, :, 0]
    cases, wrong = present.sum(dim=0), ((1 - agreed).mean(dim=(2, 3)) * present).sum(dim=0)
    if not identified:
        cases, wrong = cases.sum()[None], wrong.sum()[None]
    errors = torch.where(cases > 0, wrong / cases.clamp(min=1), 1 - 1 / sizes["K"])
    return errors, cases


def kl_normal(mean: Tensor, log_sigma: Tensor, other_mean: Tensor, other_log_sigma: Tensor) -> Tensor:
    r"""KL divergence of one normal number from another, in nats, one for each entry.

    :math:`\log(s_2/s_1) + [s_1^2 + (m_1 - m_2)^2] / (2 s_2^2) - 1/2`.

    Args:
        mean: float, any shape: :math:`m_1`.
        log_sigma: of the same shape, natural logarithm of :math:`s_1`.
        other_mean: likewise :math:`m_2`, of what it diverges from.
        other_log_sigma: likewise of :math:`s_2`.
    Returns:
        of the same shape, 0 or more; 0 where both are equal. The KL of independent numbers is the sum.
    """
    gap = other_log_sigma - log_sigma
    return gap + 0.5 * (torch.exp(-2 * gap) + ((mean - other_mean) * torch.exp(-other_log_sigma)) ** 2 - 1)


def hard_pixels(nats: Tensor, share: float, rng: torch.Generator) -> Tensor:
    r"""Which pixels of a batch count, drawn by how hard they are: without replacement, a pixel's chance as its loss.

    The k largest of :math:`\log x_i + g_i` with standard Gumbel :math:`g_i` are such a draw. All images of the batch
    compete, so an easy one may keep no pixel.

    Args:
        nats: float (B, H, W), 0 or more, a loss at each pixel; no gradient reaches it.
        share: of all pixels, above 0 and at most 1; k is its number rounded down, at least 1.
        rng: a CPU generator.
    Returns:
        bool (B, H, W), true at k pixels.
    Raises:
        InputError: `share` is out of range.
    """
    require(0 < share <= 1, f"share is {share}; wanted above 0, at most 1")
    tiny = torch.finfo(torch.float32).tiny
    noise = -torch.empty(nats.shape).exponential_(generator=rng).clamp(min=tiny).log()
    scores = nats.detach().float().clamp(min=tiny).log() + noise.to(nats.device)
    chosen = torch.zeros(nats.numel(), dtype=torch.bool, device=nats.device)
    chosen[scores.flatten().topk(max(1, int(share * nats.numel()))).indices] = True
    return chosen.view(nats.shape)
