"""The U-Net (Ronneberger, Fischer and Brox 2015): the deterministic baseline of every table.

Idea: an encoder halves the resolution while widening the features, a decoder doubles it back, and at each level the
decoder sees the encoder's features of the same resolution.

Differences from the paper: convolutions are padded, so the output has the input's size; normalization after each
convolution; average instead of max pooling; nearest-neighbor upsampling and convolution instead of a transposed
convolution; fewer levels and channels; the loss has no border weights. The target is one random rater, the raters'
strict majority, or their vote fraction.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W). Any H and W: the image is padded inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labutils.consensus.majority import majority, random_rater, soft_vote
from labutils.core.checks import ConfigError, require, require_draws
from labutils.core.types import Batch
from labutils.losses import cross_entropy_mean, soft_dice_loss_mean
from labutils.models.body import BodyConfig, BodyModel


@dataclass(frozen=True, kw_only=True)
class UNetConfig(BodyConfig):
    """Settings of the U-Net."""

    target: Literal["random-rater", "majority", "soft"] = "soft"  # what the loss compares with
    dice_weight: float = 0.0  # weight of the soft Dice loss beside the cross-entropy

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dice_weight >= 0, f"dice_weight is {self.dice_weight}; wanted 0 or more", ConfigError)


class UNetOutput(NamedTuple):
    """What one pass gives."""

    logits: Tensor  # (B, K, H, W), before softmax


class UNetTerms(NamedTuple):
    """The loss and its parts: ``total = cross_entropy + dice_weight * dice``."""

    total: Tensor
    cross_entropy: Tensor  # nats, mean over cases and pixels
    dice: Tensor  # 1 - soft Dice, mean over cases and foreground classes


class UNet(BodyModel):
    """Encoder, decoder, one 1x1 head."""

    config: UNetConfig

    def forward(self, image: Tensor) -> UNetOutput:
        """Logits of each pixel's class.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        return UNetOutput(self.head(self.features(image)))

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """The same answer n times: probabilities (B, S, K, H, W), summing to 1 over K; `rng` is not used.

        The image is encoded once and the S axis is a view, not a copy.
        """
        require_draws(n, rng)
        probs = torch.softmax(self.forward(image).logits.float(), dim=1)
        return probs[:, None].expand(-1, n, -1, -1, -1)

    def _target(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """What the loss compares with: probabilities (B, K, H, W), by ``config.target``."""
        classes = self.config.classes
        if self.config.target == "soft":
            return soft_vote(batch.masks, batch.present, classes)
        if self.config.target == "majority":
            chosen = majority(batch.masks, batch.present, classes, ties="strict")
        else:
            chosen = random_rater(batch.masks, batch.present, rng)
        return functional.one_hot(chosen.long(), classes).movedim(-1, 1).float()

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> UNetTerms:
        """The named loss terms of a batch; `rng` chooses the rater where the target is a random one.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        target = self._target(batch, rng)
        logits = self.forward(batch.image).logits
        cross_entropy, dice = cross_entropy_mean(logits, target), soft_dice_loss_mean(logits, target)
        return UNetTerms(cross_entropy + self.config.dice_weight * dice, cross_entropy, dice)
