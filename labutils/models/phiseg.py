r"""PHiSeg (Baumgartner et al. 2019, arXiv 1906.04045): answers drawn from coarse to fine, from latent maps alone.

Idea: an encoder sees the image; at each of several scales a latent map is believed from the encoder's map and the
value of the coarser scale. The answer is made of the latent maps only, with no way around them from the image: each
scale adds logits to those of the coarser ones, and all partial sums learn the mask. A posterior of the same form also
sees the mask. Loss, for the mask y of one rater of each image, drawn by lot, :math:`l = 0` the finest of L scales:

.. math:: \sum_l \sum_\text{pixels} -\log \operatorname{softmax}\Bigl(\sum_{m \ge l} s_m\Bigr)_y
          + \beta \sum_l 4^l\, \mathrm{KL}[q_l \,\|\, p_l]

per image, divided by its pixels; :math:`4^l` makes up for the coarser scales' fewer places. The weight of the KL may
rise to :math:`\beta` step by step, so that the scales say something before saying it costs.

Differences from the published code: maps doubled where scales join have no convolution of their own; log standard
deviations are bounded, smoothly, in the place of a softplus; a belief is read by one 1x1 layer everywhere, also at the
coarsest scale; masks and images come as they are, not less one half.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W); z (B, Z), all numbers of the coarsest map first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.consensus.majority import random_rater
from labutils.core.checks import ConfigError, require
from labutils.core.types import Batch
from labutils.losses import kl_normal
from labutils.models.body import BodyConfig, Levels
from labutils.models.latents import Anneal, kl_weight, normal
from labutils.models.scales import Choose, Descent, ScalesModel, at_mean


@dataclass(frozen=True, kw_only=True)
class PHiSegConfig(BodyConfig):
    """Settings of PHiSeg; the defaults are the published seven resolutions and five latent maps."""

    width: int = 32
    levels: int = 7
    convs: int = 3
    latents: tuple[int, ...] = (2, 2, 2, 2, 2)  # channels of each latent map, the coarsest first
    beta: float = 1.0  # weight of the KL
    anneal: Anneal = "none"  # how the KL's weight comes to `beta`
    ramp: int = 200  # steps of one rise; cyclic: a cycle is twice as long, five cycles in all

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 <= len(self.latents) <= self.levels and min(self.latents) >= 1
        wanted = f"1 to {self.levels} numbers of 1 or more for {self.levels} levels"
        require(fits, f"latents is {self.latents}; wanted {wanted}", ConfigError)
        require(self.beta >= 0, f"beta is {self.beta}; wanted 0 or more", ConfigError)
        require(self.ramp >= 1, f"ramp is {self.ramp}; wanted 1 or more", ConfigError)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first: one, two and four times the width, and six times from there on."""
        return tuple(self.width * (1, 2, 4, 6)[min(level, 3)] for level in range(self.levels))


class PHiSegWhole(NamedTuple):
    """What a pass through every part gives, every value at the posterior's mean for an empty mask."""

    logits: Tensor  # (B, K, H, W)
    proposed: Tensor  # (B, Z), the prior's means along the posterior's values


class PHiSegTerms(NamedTuple):
    """The loss and its parts: ``total = (reconstruction + weight * kl) / pixels``; the weight comes to beta."""

    total: Tensor
    reconstruction: Tensor  # nats an image, the sum over scales of the cross-entropy of the answer so far
    kl: Tensor  # nats an image, the sum over scales, the l-th from the finest times 4^l
    finest: Tensor  # nats an image, cross-entropy of the whole answer


class Beliefs(nn.Module):
    """An encoder and what it believes of each latent map, given the value of the coarser one."""

    def __init__(self, inputs: int, config: PHiSegConfig) -> None:
        super().__init__()
        widths, scales = config.widths[::-1], len(config.latents)  # the coarsest first
        self.down = Levels(inputs, config)
        self.up = nn.ModuleList(config.block(latent, 2 * config.width, 2) for latent in config.latents[:-1])
        self.join = nn.ModuleList(config.block(2 * config.width + width, width, 2) for width in widths[1:scales])
        self.read = nn.ModuleList(
            nn.Conv2d(width, 2 * latent, kernel_size=1)
            for width, latent in zip(widths[:scales], config.latents, strict=True)
        )

    def encode(self, x: Tensor) -> list[Tensor]:
        """The map of each level, the coarsest first."""
        return self.down(x)[::-1]

    def descend(self, maps: Sequence[Tensor], choose: Choose, scales: int, at: Descent | None = None) -> Descent:
        """Further down, until `scales` values are chosen."""
        features, beliefs, values = at or (maps[0], (), ())
        for scale in range(len(values), scales):
            belief = normal(self.read[scale](features).flatten(1))
            value = choose(scale, belief)
            beliefs, values = (*beliefs, belief), (*values, value)
            if scale + 1 < len(self.read):
                coarser = self.up[scale](_doubled(_as_map(value, maps[scale])))
                features = self.join[scale](torch.cat([coarser, maps[scale + 1]], dim=1))
        return Descent(features, beliefs, values)


class Growth(nn.Sequential):
    """Blocks, and before each but the first a map is doubled."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, latent, h, w) to (N, width, H, W)."""
        for place, block in enumerate(self):
            x = block(_doubled(x) if place else x)
        return x


class Ladder(nn.Module):
    """Latent maps to logits: each scale's map is brought to its resolution, joined with what came before, and read."""

    def __init__(self, config: PHiSegConfig) -> None:
        super().__init__()
        scales = len(config.latents)
        offset = config.levels - scales  # a scale's logits are so many levels finer than its latent map
        widths = config.widths[:scales][::-1]  # of the resolutions of logits, the coarsest first
        self.grow = nn.ModuleList(
            Growth(config.block(latent, width, 2), *(config.block(width, width, 1) for _ in range(offset)))
            for latent, width in zip(config.latents, widths, strict=True)
        )
        self.merge = nn.ModuleList(config.block(coarse + fine, fine, 2) for coarse, fine in pairwise(widths))
        self.heads = nn.ModuleList(nn.Conv2d(width, config.classes, kernel_size=1) for width in widths)

    def forward(self, latents: Sequence[Tensor]) -> list[Tensor]:
        """Logits (N, K, H, W) of the answer after each scale, coarse to fine, all at full size."""
        answers: list[Tensor] = []
        x = latents[0]
        for scale, (latent, grow, head) in enumerate(zip(latents, self.grow, self.heads, strict=True)):
            grown = grow(latent)
            x = self.merge[scale - 1](torch.cat([_doubled(x), grown], dim=1)) if scale else grown
            times = float(2 ** (len(self.heads) - 1 - scale))
            logits = functional.interpolate(head(x).float(), scale_factor=times, mode="nearest")
            answers.append(logits + answers[-1] if answers else logits)
        return answers


class PHiSeg(ScalesModel):
    """Prior, posterior, and the ladder that makes an answer of latent maps."""

    config: PHiSegConfig

    def __init__(self, config: PHiSegConfig) -> None:
        super().__init__(config)
        self.prior = Beliefs(config.channels, config)
        self.posterior = Beliefs(config.channels + config.classes, config)
        self.ladder = Ladder(config)

    def stages(self) -> dict[str, nn.Module]:
        """The levels, joins and beliefs of prior and posterior, and the parts of the ladder."""
        parts = {"prior": self.prior, "posterior": self.posterior, "ladder": self.ladder}
        lists = {f"{name}.{n}": levels for name, part in parts.items() for n, levels in part.named_children()}
        return {f"{name}.{i}": level for name, levels in lists.items() for i, level in enumerate(levels.children())}

    def whole(self, image: Tensor) -> PHiSegWhole:
        """A pass through every stage, for a drawing."""
        empty = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8, device=image.device)
        recognized = self.recognized(image, empty, at_mean)
        maps, size = self._maps(image)
        proposed = self.along(maps, recognized.values)
        means = torch.cat([belief.mean for belief in proposed.beliefs], dim=1)
        return PHiSegWhole(self._logits(maps, proposed, size), means)

    def encode(self, image: Tensor) -> list[Tensor]:
        """The prior's encoder."""
        return self.prior.encode(image)

    def descend(self, maps: Sequence[Tensor], choose: Choose, scales: int, at: Descent | None = None) -> Descent:
        """The prior's beliefs and values."""
        return self.prior.descend(maps, choose, scales, at)

    def recognize(self, seen: Tensor, choose: Choose) -> Descent:
        """The posterior's beliefs and values."""
        return self.posterior.descend(self.posterior.encode(seen), choose, len(self.config.latents))

    def decode(self, maps: Sequence[Tensor], at: Descent) -> Tensor:
        """Logits after the finest scale."""
        return self._answers(maps, at)[-1]

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> PHiSegTerms:
        """The named loss terms of a batch; `rng` draws one present rater for each image, and the values.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        mask = random_rater(batch.masks, batch.present, rng)
        recognized = self.recognized(batch.image, mask, lambda _, belief: belief.draw(1, rng)[:, 0])
        maps, (height, width) = self._maps(batch.image)
        proposed = self.along(maps, recognized.values)
        nats = [
            functional.cross_entropy(logits[..., :height, :width], mask.long(), reduction="none").sum(dim=(1, 2)).mean()
            for logits in self._answers(maps, proposed)
        ]
        each = [kl_normal(*q, *p).sum(dim=1).mean() for q, p in zip(recognized.beliefs, proposed.beliefs, strict=True)]
        kl = torch.stack([4.0**level * one for level, one in enumerate(reversed(each))]).sum()
        reconstruction = torch.stack(nats).sum()
        total = (reconstruction + kl_weight(self.config, step) * kl) / mask[0].numel()
        return PHiSegTerms(total, reconstruction, kl, nats[-1])

    def _answers(self, maps: Sequence[Tensor], at: Descent) -> list[Tensor]:
        return self.ladder([_as_map(value, map_) for value, map_ in zip(at.values, maps, strict=False)])


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _as_map(value: Tensor, like: Tensor) -> Tensor:
    """The numbers of a scale as a map of the size of another."""
    return value.view(len(value), -1, *like.shape[-2:]).to(like.dtype)
