r"""The Hierarchical Probabilistic U-Net (Kohl et al. 2019, arXiv 1905.13077): a latent map at each coarse scale.

Idea: the decoder of a U-Net passes through scales; at each of the coarse ones it says what is believed of a small
latent map, given the image and the coarser maps, a value is drawn, and the decoder goes on with it. The first map is
one number for the whole image; the last has a number for each of 8 x 8 places. A posterior, a second network of the
same form, also sees a rater's mask, and its values are what the decoder goes on with while training. Loss, for the mask
of one rater of each image, drawn by lot, with the KL summed over scales and places:

.. math:: \lambda\,\Bigl(\overline{\textstyle\sum_{i \in \text{hard}} -\log p(y_i \mid x, z)} - \kappa\, n\Bigr)
          + \sum_l \mathrm{KL}[q_l \,\|\, p_l]

per image, divided by its pixels. The hard pixels, 2 % of the batch's, are drawn by their loss
(`labutils.losses.hard_pixels`), n is how many there are an image, the bar is a moving average, and lambda a multiplier
(`labutils.models.geco`). With ``loss="elbo"`` it is the sum over all pixels with a weight ``beta`` of the KL instead.

The posterior's last decoder level, ``posterior.up.<last>``, comes after its last belief: it belongs to the published
network, is counted, and learns nothing (`HierProbUNet.idle`).

Differences from the published code: log standard deviations are bounded, smoothly; the image is padded inside to a size
that can be halved, and the mask with it; weight decay of the optimizer stands in the place of a penalty in the loss.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W); z (B, Z), all numbers of the coarsest map first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.consensus.majority import random_rater
from labutils.core.checks import ConfigError, require
from labutils.core.types import Batch
from labutils.losses import hard_pixels, kl_normal
from labutils.models.blocks import OrthogonalConv
from labutils.models.geco import Multiplier
from labutils.models.hierarchy import Core, doubled
from labutils.models.residual import ResidualLevel
from labutils.models.scales import Choose, Descent, ScalesModel, at_mean


@dataclass(frozen=True, kw_only=True)
class HierProbUNetConfig:
    """Settings of the network; the defaults are those published for images of 128 x 128 pixels."""

    channels: int = 1  # C of the image
    classes: int = 2  # K, the background included
    width: int = 24  # channels of the finest level, doubled from level to level up to eight times as many
    levels: int = 8  # resolutions; published: as many as bring the image down to one pixel
    latents: tuple[int, ...] = (1, 1, 1, 1)  # channels of each latent map, the coarsest first
    blocks: int = 3  # residual blocks a level
    convs: int = 3  # 3x3 convolutions a block
    loss: Literal["geco", "elbo"] = "geco"
    beta: float = 1.0  # weight of the KL, of "elbo" alone
    hard: float = 0.02  # share of the batch's pixels that count, of "geco" alone
    kappa: float = 0.05  # target of the loss, nats a hard pixel
    decay: float = 0.99  # of the moving average
    rate: float = 0.01  # of the multiplier's gradient; without effect under Adam and its family
    start: float = 1.0  # the multiplier at first; in a short training less helps a prior that lags, more a silent scale

    def __post_init__(self) -> None:
        for name in ("channels", "width", "blocks", "convs"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        require(self.classes >= 2, f"classes is {self.classes}; wanted 2 or more", ConfigError)
        require(2 <= self.levels <= 10, f"levels is {self.levels}; wanted 2 to 10", ConfigError)
        fits = 1 <= len(self.latents) < self.levels and min(self.latents) >= 1
        wanted = f"1 to {self.levels - 1} numbers of 1 or more for {self.levels} levels"
        require(fits, f"latents is {self.latents}; wanted {wanted}", ConfigError)
        require(self.beta >= 0, f"beta is {self.beta}; wanted 0 or more", ConfigError)
        require(self.kappa >= 0, f"kappa is {self.kappa}; wanted 0 or more", ConfigError)
        require(0 < self.hard <= 1, f"hard is {self.hard}; wanted a share above 0, at most 1", ConfigError)
        require(0 <= self.decay < 1, f"decay is {self.decay}; wanted a share in [0, 1)", ConfigError)
        for name in ("rate", "start"):
            require(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; wanted above 0", ConfigError)

    @staticmethod
    def levels_for(height: int, width: int) -> int:
        """As many levels as bring an image down to one pixel: 7 for 64 pixels, 8 for 128, 9 for 256."""
        return 1 + math.ceil(math.log2(max(height, width, 2)))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(self.width * min(2**level, 8) for level in range(self.levels))


class HierProbUNetWhole(NamedTuple):
    """What a pass through every part gives, every value at the posterior's mean for an empty mask."""

    logits: Tensor  # (B, K, H, W)
    unused: Tensor  # (B, width, h, w), of the posterior's last decoder level
    penalty: Tensor  # (B, 1), lambda times the excess of a reconstruction loss of 0 over a target of 0


class HierProbUNetTerms(NamedTuple):
    """The loss and its parts.

    "geco": ``total = (penalty + kl) / pixels``; "elbo": ``total = (reconstruction + beta * kl) / pixels``.
    """

    total: Tensor
    reconstruction: Tensor  # nats an image, over the pixels that count
    kl: Tensor  # nats an image, over all scales
    multiplier: Tensor  # lambda; 1 with "elbo"
    penalty: Tensor  # lambda times the moving average of `reconstruction` above the target; 0 with "elbo"


class HierProbUNet(ScalesModel):
    """Prior and posterior cores and the rest of the decoder."""

    config: HierProbUNetConfig

    def __init__(self, config: HierProbUNetConfig) -> None:
        super().__init__(config)
        sizes = {"blocks": config.blocks, "convs": config.convs}
        self.prior = Core(config.channels, config.widths, config.latents, **sizes)
        self.posterior = Core(config.channels + config.classes, config.widths, config.latents, **sizes)
        rest = config.widths[: config.levels - len(config.latents)][::-1]  # of the levels that are left, coarse to fine
        self.up = nn.ModuleList(ResidualLevel(coarse + fine, fine, **sizes) for coarse, fine in pairwise(rest))
        self.head = OrthogonalConv(config.width, config.classes, kernel_size=1)
        self.multiplier = Multiplier(config.decay, config.rate, config.start)

    @property
    def idle(self) -> tuple[str, ...]:
        """What the names of those parameters begin with that no loss reaches."""
        last = f"posterior.up.{len(self.config.latents) - 1}."
        return (last,) if self.config.loss == "geco" else (last, "multiplier.")

    def stages(self) -> dict[str, nn.Module]:
        """The levels and beliefs of both cores, the rest of the decoder, and the multiplier."""
        cores = {"prior": self.prior, "posterior": self.posterior}
        lists = {f"{name}.{part}": levels for name, core in cores.items() for part, levels in core.parts().items()}
        members = {
            f"{name}.{i}": level for name, levels in (lists | {"up": self.up}).items() for i, level in enumerate(levels)
        }
        return members | {"head": self.head, "multiplier": self.multiplier}

    def whole(self, image: Tensor) -> HierProbUNetWhole:
        """A pass through every stage, for a drawing."""
        empty = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8, device=image.device)
        seen = self.posterior.encode(self._padded(self._with(image, empty)))
        recognized = self.posterior.descend(seen, at_mean, len(self.config.latents))
        maps, size = self._maps(image)
        logits = self._logits(maps, self.along(maps, recognized.values), size)
        return HierProbUNetWhole(logits, recognized.features, self.multiplier(logits.new_zeros(len(image), 1)))

    def encode(self, image: Tensor) -> list[Tensor]:
        """The prior's encoder."""
        return self.prior.encode(image)

    def descend(self, maps: Sequence[Tensor], choose: Choose, scales: int, at: Descent | None = None) -> Descent:
        """The prior's decoder, down to the level after the last of `scales`."""
        return self.prior.descend(maps, choose, scales, at)

    def recognize(self, seen: Tensor, choose: Choose) -> Descent:
        """The posterior's encoder and decoder, without the decoder's last level."""
        return self.posterior.descend(self.posterior.encode(seen), choose, len(self.config.latents), stop=True)

    def decode(self, maps: Sequence[Tensor], at: Descent) -> Tensor:
        """The rest of the decoder, up to logits."""
        x = at.features
        for level, skip in zip(self.up, maps[len(at.values) + 1 :], strict=True):
            x = level(doubled(x, skip))
        return self.head(x)

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> HierProbUNetTerms:
        """The named loss terms of a batch; `rng` draws one present rater for each image, the values, and hard pixels.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        mask = random_rater(batch.masks, batch.present, rng)
        recognized = self.recognized(batch.image, mask, lambda _, belief: belief.draw(1, rng)[:, 0])
        maps, size = self._maps(batch.image)
        proposed = self.along(maps, recognized.values)
        each = zip(recognized.beliefs, proposed.beliefs, strict=True)
        kl = torch.stack([kl_normal(*q, *p).sum(dim=1).mean() for q, p in each]).sum()
        nats = functional.cross_entropy(self._logits(maps, proposed, size).float(), mask.long(), reduction="none")
        pixels = mask[0].numel()
        if self.config.loss == "elbo":
            reconstruction = nats.sum(dim=(1, 2)).mean()
            total = (reconstruction + self.config.beta * kl) / pixels
            return HierProbUNetTerms(total, reconstruction, kl, torch.ones_like(kl), torch.zeros_like(kl))
        hard = hard_pixels(nats, self.config.hard, rng)
        reconstruction = nats[hard].sum() / len(nats)
        target = self.config.kappa * hard.sum() / len(nats)
        penalty = self.multiplier(self.multiplier.smoothed(reconstruction) - target)
        multiplier = self.multiplier.value().detach()
        return HierProbUNetTerms((penalty + kl) / pixels, reconstruction, kl, multiplier, penalty)
