r"""What the confusion-matrix models share: settings, the arithmetic of confusion matrices, and terms of the loss.

A confusion matrix :math:`A` of a rater has :math:`A_{ij} = p(\text{rater says } i \mid \text{truth is } j)`; each
column sums to 1. With :math:`p` the probabilities of the truth at a pixel, the rater says :math:`i` with probability
:math:`(A p)_i`: probabilities are mixed, never logits. Matrices are kept as logarithms, so that nothing underflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from labutils.consensus.majority import soft_vote
from labutils.core.checks import ConfigError, require, require_draws
from labutils.core.types import Batch
from labutils.losses import coin_vote, cross_entropy_mean, joint_nll_mean, labels_nll_mean
from labutils.models.body import BodyConfig, BodyModel

CleanTerm = Literal["none", "cross-entropy", "coin"]


@dataclass(frozen=True, kw_only=True)
class ConfusionConfig(BodyConfig):
    """Settings of a network that estimates the truth and how raters depart from it."""

    raters: int = 0  # R where raters are identified; 0: exchangeable
    start: float = 0.95  # diagonal of every matrix before training, above 1/K and below 1
    warm_up: int = 100  # steps in which the clean head learns the vote fraction and matrices are left alone
    clean: CleanTerm = "coin"  # second term of the loss, on the clean head alone
    clean_weight: float = 1.0
    coupled: bool = False  # whether the raters' term trains the clean head too, as published
    trace: float = 0.0  # weight of the mean trace / K: above 0 pulls matrices away from the identity, below 0 to it

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.raters >= 0, f"raters is {self.raters}; wanted 0 (exchangeable) or more", ConfigError)
        fits = 1 / self.classes < self.start < 1
        require(fits, f"start is {self.start}; wanted above 1/{self.classes} and below 1", ConfigError)
        require(self.warm_up >= 0, f"warm_up is {self.warm_up}; wanted 0 steps or more", ConfigError)
        require(self.clean_weight >= 0, f"clean_weight is {self.clean_weight}; wanted 0 or more", ConfigError)
        learns = self.coupled or (self.clean != "none" and self.clean_weight > 0)
        require(learns, 'nothing trains the clean head: clean is "none" and coupled is false', ConfigError)


@dataclass(frozen=True, kw_only=True)
class PerRaterConfig(ConfusionConfig):
    """Settings of a network with a confusion matrix of each rater."""

    raters: int = 4  # R
    vote: Literal["denoised", "labels"] = "denoised"  # of what the image tells a rater would say, or of labels alone
    likelihood: Literal["joint", "marginal"] = (
        "joint"  # of all raters' labels together, or of each rater's, as published
    )

    per_rater: ClassVar[bool] = True  # rater k must be the same person in every case

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.raters >= 1, f"raters is {self.raters}; wanted 1 or more", ConfigError)


class ConfusionOutput(NamedTuple):
    """What one pass gives."""

    logits: Tensor  # (B, K, H, W), of the truth, before softmax
    heads: Tensor  # (B, R, K, H, W), logits of what each rater would say; R is 0 without such heads
    log_matrices: Tensor  # (B, R, K, K, H, W), or 1 for B, H and W; the exponentials sum to 1 over the third axis


class ConfusionTerms(NamedTuple):
    """The loss and its parts: ``total = raters + heads + config.clean_weight * clean + config.trace * trace``.

    While warming up ``total = heads + clean``, clean the cross-entropy to the vote fraction, and the others are 0.
    """

    total: Tensor
    raters: Tensor  # nats, mean negative log-likelihood of the raters' labels, given the truth
    heads: Tensor  # nats, that given the image, of a head for each rater; 0 without such heads
    clean: Tensor  # nats, the clean head's own term
    trace: Tensor  # mean diagonal of the matrices


class Annotators(NamedTuple):
    """What some annotators make of some images."""

    matrices: Tensor  # float32 (B, S, K, K, H, W), each column sums to 1
    probs: Tensor  # float32 (B, S, K, H, W), of what they say, summing to 1 over K


def identity_logits(classes: int, diagonal: float) -> Tensor:
    """Logits (K, K) whose softmax over rows has `diagonal` on the diagonal and equal chances beside it."""
    beside = math.log((1 - diagonal) / (classes - 1))
    return torch.full((classes, classes), beside).fill_diagonal_(math.log(diagonal))


def said(log_probs: Tensor, log_matrices: Tensor) -> Tensor:
    r"""Log-probability of what each rater says, :math:`\log A p`.

    Args:
        log_probs: float (B, K, H, W), of the truth.
        log_matrices: float (B, R, K, K, H, W), or 1 for B, H and W; rows (third axis) are what the rater says.
    Returns:
        float32 (B, R, K, H, W); the exponentials sum to 1 over K.
    """
    return torch.logsumexp(log_probs.float()[:, None, None] + log_matrices.float(), dim=3)


def mean_diagonal(log_matrices: Tensor) -> Tensor:
    """The mean over everything of the diagonal entries, in [0, 1]: trace / K."""
    return torch.diagonal(log_matrices, dim1=2, dim2=3).exp().mean()


def clean_term(kind: CleanTerm, logits: Tensor, batch: Batch, *, identified: bool = True) -> Tensor:
    """The clean head's own term, a scalar; 0 for "none".

    "cross-entropy" is to the vote fraction: its answer is the raters' mean, doubt included. "coin" is the one to
    `labutils.losses.coin_vote`: its answer is a vote in which raters weigh as much as they are reliable.
    """
    if kind == "cross-entropy":
        return cross_entropy_mean(logits, soft_vote(batch.masks, batch.present, logits.shape[1]))
    if kind == "coin":
        probs = torch.softmax(logits.float(), dim=1)
        return cross_entropy_mean(logits, coin_vote(probs, batch.masks, batch.present, identified=identified))
    return logits.new_zeros(())


class RaterHeads(nn.Module):
    """What each rater would say of an image, learned from the rater's own labels: slips average out, habits stay."""

    def __init__(self, config: PerRaterConfig) -> None:
        super().__init__()
        self.raters = config.raters
        self.score = nn.Conv2d(config.width, config.raters * config.classes, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to logits (B, R, K, H, W)."""
        return self.score(features).unflatten(1, (self.raters, -1))


class NoHeads(nn.Module):
    """In the place of `RaterHeads`, for a vote of the labels themselves."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to an empty tensor (B, 0, 0, H, W)."""
        return features[:, None, :0][:, :0]


class CleanHeadModel(BodyModel):
    """A network whose head says what is there, apart from what raters make of it; its answers are raters'."""

    stochastic = True

    def clean(self, image: Tensor) -> Tensor:
        """What the network takes for the truth: probabilities (B, K, H, W), summing to 1 over K."""
        return torch.softmax(self.head(self.features(image)).float(), dim=1)


class PerRaterModel(CleanHeadModel):
    """A clean head that says what is there, and matrices that say what each rater makes of it."""

    config: PerRaterConfig
    matrices: nn.Module  # features (B, width, H, W) to log-matrices as `said` takes them

    def __init__(self, config: PerRaterConfig) -> None:
        super().__init__(config)
        self.rater_heads = RaterHeads(config) if config.vote == "denoised" and config.clean == "coin" else NoHeads()

    def forward(self, image: Tensor) -> ConfusionOutput:
        """The truth's logits and every rater's matrices.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        features = self.features(image)
        return ConfusionOutput(self.head(features), self.rater_heads(features), self.matrices(features))

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """What n raters drawn with replacement would say: probabilities (B, S, K, H, W), summing to 1 over K."""
        require_draws(n, rng)
        logits, _, log_matrices = self.forward(image)
        answers = said(torch.log_softmax(logits.float(), dim=1), log_matrices).exp()
        drawn = torch.randint(self.config.raters, (len(image), n), generator=rng).to(image.device)
        return answers[torch.arange(len(image), device=image.device)[:, None], drawn]

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> ConfusionTerms:
        """The named loss terms of a batch; there is no chance in them.

        Raises:
            InputError: a mask holds a class the network does not have, or there are other raters than it has.
        """
        self.require_classes(batch.masks)
        raters = batch.masks.shape[1]
        require(raters == self.config.raters, f"the network has {self.config.raters} raters and the masks {raters}")
        logits, heads, log_matrices = self.forward(batch.image)
        zero = logits.new_zeros(())
        own = labels_nll_mean(torch.log_softmax(heads, dim=2), batch.masks, batch.present) if heads.numel() else zero
        if step < self.config.warm_up:
            clean = clean_term("cross-entropy", logits, batch)
            return ConfusionTerms(own + clean, zero, own, clean, zero)
        log_probs = torch.log_softmax(logits.float(), dim=1)
        known = log_probs if self.config.coupled else log_probs.detach()
        if self.config.likelihood == "joint":
            nll = joint_nll_mean(known, log_matrices, batch.masks, batch.present)
        else:
            nll = labels_nll_mean(said(known, log_matrices), batch.masks, batch.present)
        voters = _denoised(batch, heads) if heads.numel() else batch
        clean, trace = clean_term(self.config.clean, logits, voters), mean_diagonal(log_matrices)
        total = nll + own + self.config.clean_weight * clean + self.config.trace * trace
        return ConfusionTerms(total, nll, own, clean, trace)


def _denoised(batch: Batch, heads: Tensor) -> Batch:
    """The batch with what every rater would most likely say of each image, whoever has judged it."""
    masks = heads.detach().argmax(dim=2).to(torch.uint8)
    return batch._replace(masks=masks, present=torch.ones_like(batch.present))
