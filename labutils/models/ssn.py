r"""The Stochastic Segmentation Network (Monteiro et al. 2020, arXiv 2006.06015): a normal distribution of logit maps.

Idea: a U-Net gives for each image the mean :math:`\mu(x)` of all its logits, and a covariance of low rank beside a
diagonal, :math:`\Sigma = P P^T + D`. A sample is :math:`\mu + P\,\varepsilon + \sqrt{D}\,\varepsilon'`: the columns of
P move whole regions together, so samples are coherent without a latent network. Loss, for the mask of one rater of each
image, with M drawn logit maps, half of them mirrored at the mean:

.. math:: -\log \frac1M \sum_m \exp \sum_\text{pixels} \log \operatorname{softmax}(\eta_m)_y

per image, divided by its pixels. The mean is inside the logarithm: a mask has to be likely under *some* draws. All
draws come from one hill, so answers that exclude each other are reached through everything between them.

How often an answer is drawn is the ratio of mean and spread, and certainty their size. Both heads count in one learned
unit, exp(gain) logits, and the spread of a logit by P stays below it, so that certainty can grow and the ratio stand.
The unit begins small: while draws hardly differ each of them is heard, and the ratio is learned before certainty.

Differences from the paper: that unit, which the same distributions need (heads that count in logits learn certainty
first and hardly ever the ratio: the labels are silent on it once draws are far from the edge); the shared encoder and
decoder in the place of a network of seven levels, and no layers between its last map and the heads; logarithms of the
diagonal are bounded, smoothly, so that no step can make them infinite.

Shapes: image (B, C, H, W) float32 in [0, 1] to mean and log-diagonal (B, K, H, W) and factor (B, rank, K, H, W).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.consensus.majority import random_rater
from labutils.core.checks import ConfigError, require, require_draws
from labutils.core.types import Batch
from labutils.models.body import BodyConfig, BodyModel

LOG_DIAGONAL = 8.0  # logarithms of D stay within this of 0
LOG_UNIT = 5.0  # likewise, of the logits in one unit


@dataclass(frozen=True, kw_only=True)
class SSNConfig(BodyConfig):
    """Settings of the Stochastic Segmentation Network."""

    rank: int = 10  # columns of P
    draws: int = 20  # M, logit maps drawn for each image in a step; even
    start: float = 0.125  # logits in one unit at first

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.rank >= 1, f"rank is {self.rank}; wanted 1 or more", ConfigError)
        even = self.draws >= 2 and self.draws % 2 == 0
        require(even, f"draws is {self.draws}; wanted an even number of 2 or more", ConfigError)
        low, high = math.exp(-LOG_UNIT), math.exp(LOG_UNIT)
        fits = low < self.start < high
        require(fits, f"start is {self.start}; wanted above {low:.4f} and below {high:.0f}", ConfigError)


class SSNOutput(NamedTuple):
    """The distribution of an image's logits."""

    logits: Tensor  # (B, K, H, W), their mean
    log_diagonal: Tensor  # (B, K, H, W), natural logarithm of D
    factor: Tensor  # (B, rank, K, H, W), the columns of P

    def draw(self, n: int, rng: torch.Generator, *, mirrored: bool = False) -> Tensor:
        """n logit maps for each image, (B, n, K, H, W).

        Args:
            n: one or more.
            rng: a CPU generator.
            mirrored: whether the second half is the first, on the other side of the mean.
        """
        count, (batch, rank) = n // 2 if mirrored else n, self.factor.shape[:2]
        shape = (batch, count, *self.logits.shape[1:])
        device = self.logits.device
        together = torch.randn(batch, count, rank, generator=rng).to(device)
        alone = torch.randn(shape, generator=rng).to(device)
        away = torch.einsum("bnr,brkhw->bnkhw", together, self.factor)
        away = away + torch.exp(0.5 * self.log_diagonal)[:, None] * alone
        return self.logits[:, None] + (torch.cat([away, -away], dim=1) if mirrored else away)


class SSNTerms(NamedTuple):
    """The loss and its part: ``total = mixture / pixels``."""

    total: Tensor
    mixture: Tensor  # nats an image, negative logarithm of the mean likelihood of one rater's mask over the draws


class Unit(nn.Module):
    """Turns units into logits: all numbers times one that is learned, `start` at first."""

    def __init__(self, start: float) -> None:
        super().__init__()
        bounded = LOG_UNIT * math.atanh(math.log(start) / LOG_UNIT)
        self.gain = nn.Parameter(torch.tensor(bounded))  # natural logarithm of the logits in a unit, before its bound

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; what is learned is bounded, smoothly."""
        return x * torch.exp(LOG_UNIT * torch.tanh(self.gain / LOG_UNIT))


class SSN(BodyModel):
    """The body, three 1x1 heads, and the unit in which two of them count."""

    stochastic = True
    config: SSNConfig

    def __init__(self, config: SSNConfig) -> None:
        super().__init__(config)
        self.alone = nn.Conv2d(config.width, config.classes, kernel_size=1)
        self.together = nn.Conv2d(config.width, config.classes * config.rank, kernel_size=1)
        self.unit = Unit(config.start)

    def forward(self, image: Tensor) -> SSNOutput:
        """The distribution of the logits.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        features = self.features(image)
        log_diagonal = LOG_DIAGONAL * torch.tanh(self.alone(features).float() / LOG_DIAGONAL)
        raw = self.together(features).float().unflatten(1, (self.config.rank, self.config.classes))
        spread = raw / torch.sqrt(1 + raw.square().sum(dim=1, keepdim=True))  # below 1 in all columns together
        both = self.unit(torch.cat([self.head(features).float(), spread.flatten(1, 2)], dim=1))
        mean, *columns = both.split(self.config.classes, dim=1)
        return SSNOutput(mean, log_diagonal, torch.stack(columns, dim=1))

    def whole(self, image: Tensor) -> SSNOutput:
        """A pass through every stage, for a drawing."""
        return self.forward(image)

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n answers from the distribution: probabilities (B, S, K, H, W), summing to 1 over K; one pass of the body."""
        require_draws(n, rng)
        return torch.softmax(self.forward(image).draw(n, rng), dim=2)

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> SSNTerms:
        """The named loss terms of a batch; `rng` draws one present rater for each image, and logit maps.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        mask = random_rater(batch.masks, batch.present, rng)
        drawn = self.forward(batch.image).draw(self.config.draws, rng, mirrored=True)
        labels = mask.long()[:, None].expand(-1, self.config.draws, -1, -1)
        nats = functional.cross_entropy(drawn.flatten(0, 1), labels.flatten(0, 1), reduction="none")
        of_mask = -nats.sum(dim=(1, 2)).view(len(mask), -1)  # log-likelihood of the whole mask, of each draw
        mixture = (math.log(self.config.draws) - torch.logsumexp(of_mask, dim=1)).mean()
        return SSNTerms(mixture / mask[0].numel(), mixture)
