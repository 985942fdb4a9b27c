r"""The Probabilistic U-Net (Kohl et al. 2018, arXiv 1806.05034): one latent vector decides between whole answers.

Idea: a U-Net's last maps :math:`f(x)` are joined at every pixel by one and the same vector z and turned into logits by
three 1x1 layers. A prior :math:`p(z \mid x)` proposes vectors for an image; while training, a posterior
:math:`q(z \mid x, y)` recognizes the vector behind a rater's mask y. Both are encoders like the U-Net's, followed by a
mean over all pixels. Loss, for the mask of one rater of each image, drawn by lot:

.. math::

    -\mathbb{E}_q \sum_\text{pixels} \log p(y \mid x, z)
    + \beta\, \mathrm{KL}[q(z \mid x, y) \,\|\, p(z \mid x)]

per image, divided by its pixels, so that images of all sizes have losses of one scale. The sum over pixels matters:
with a mean in its place the KL outweighs what a mask says, and the posterior learns to say nothing.

Differences from the paper: maps are halved by averaging and doubled by repeating, where the paper is bilinear; weights
start as `labutils.models.blocks.initialize` draws them, not orthogonal; log standard deviations are bounded, smoothly,
so that no step can make them infinite; the image is padded inside to a size that can be halved.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W); z (B, Z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.consensus.majority import random_rater
from labutils.core.checks import ConfigError, require, require_draws, require_shape
from labutils.core.types import Batch
from labutils.losses import labels_nll_mean
from labutils.models.blocks import Norm, pad_to_multiple
from labutils.models.body import Body, BodyConfig, Levels
from labutils.models.combiner import Combiner
from labutils.models.latents import Anneal, Latents, divergence, kl_weight, normal


@dataclass(frozen=True, kw_only=True)
class ProbUNetConfig(BodyConfig):
    """Settings of the Probabilistic U-Net; the defaults are those published for LIDC."""

    width: int = 32
    levels: int = 5
    convs: int = 3
    norm: Norm = "none"
    latent: int = 6  # Z
    beta: float = 1.0  # weight of the KL, in nats a nat
    anneal: Anneal = "none"  # how the KL's weight comes to `beta`
    ramp: int = 200  # steps of one rise; cyclic: a cycle is twice as long, five cycles in all

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent", "ramp"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        require(self.beta >= 0, f"beta is {self.beta}; wanted 0 or more", ConfigError)


class ProbUNetOutput(NamedTuple):
    """What one pass over an image gives."""

    logits: Tensor  # (B, K, H, W), before softmax, for the prior's mean
    proposed: Tensor  # (B, 2 Z), p(z | x) as `labutils.models.latents.normal` reads it


class ProbUNetWhole(NamedTuple):
    """What a pass through every part gives, z at the posterior's mean for an empty mask."""

    logits: Tensor  # (B, K, H, W)
    proposed: Tensor  # (B, 2 Z), p(z | x)
    recognized: Tensor  # (B, 2 Z), q(z | x, y)


class ProbUNetTerms(NamedTuple):
    """The loss and its parts: ``total = reconstruction + weight * kl / pixels``, weight the KL's at this step."""

    total: Tensor
    reconstruction: Tensor  # nats a pixel, negative log-likelihood of one rater's mask of each image
    kl: Tensor  # nats an image


class Coder(nn.Module):
    """Maps to a normal distribution of z: (B, inputs, H, W) to (B, 2 Z), as `labutils.models.latents.normal` has it."""

    def __init__(self, inputs: int, config: ProbUNetConfig) -> None:
        super().__init__()
        self.levels = Levels(inputs, config)
        self.last = nn.Linear(config.widths[-1], 2 * config.latent)

    def forward(self, maps: Tensor) -> Tensor:
        """One distribution an image, whatever its size."""
        coarsest = self.levels(pad_to_multiple(maps, 2 ** (len(self.levels) - 1)))[-1]
        return self.last(coarsest.mean(dim=(2, 3)))


class Head(Combiner):
    """Features and z to logits: (N, width, H, W) and (N, Z) to (N, K, H, W)."""

    def __init__(self, config: ProbUNetConfig) -> None:
        super().__init__(config.width, config.latent, config.width)
        self.logits = nn.Conv2d(config.width, config.classes, kernel_size=1)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """One answer an image."""
        return self.answer(self.see(features), z)

    def answer(self, seen: Tensor, z: Tensor) -> Tensor:
        """The same from what was seen of the features, which several answers share.

        Layers of one pixel are one matrix at all pixels: as such a processor computes them in less time than as
        convolutions, where a pixel's channels lie beside one another.
        """
        x = seen.movedim(1, -1) + self.who(z)[:, None, None]
        for layer in (*self.mix, self.logits):
            conv = isinstance(layer, nn.Conv2d)
            x = functional.linear(x, layer.weight.flatten(1), layer.bias) if conv else functional.relu_(x)
        return x.movedim(-1, 1)


class ProbUNet(Body):
    """A U-Net whose last layers hear a latent vector, and the two encoders that propose and recognize it."""

    stochastic = True
    config: ProbUNetConfig

    def __init__(self, config: ProbUNetConfig) -> None:
        super().__init__(config)
        self.prior = Coder(config.channels, config)
        self.posterior = Coder(config.channels + config.classes, config)
        self.head = Head(config)

    def forward(self, image: Tensor) -> ProbUNetOutput:
        """The answer at the prior's mean, and the prior.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        features, proposed = self.features(image), self.prior(image)
        return ProbUNetOutput(self.head(features, normal(proposed).mean), proposed)

    def whole(self, image: Tensor) -> ProbUNetWhole:
        """A pass through every stage, for a drawing."""
        empty = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8, device=image.device)
        features, recognized = self.features(image), self.posterior(self._with(image, empty))
        logits = self.head(features, recognized[:, : self.config.latent])
        return ProbUNetWhole(logits, self.prior(image), recognized)

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n answers from the prior: probabilities (B, S, K, H, W), summing to 1 over K."""
        return self.answers(image, self.draw(image, n, rng))

    def draw(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n latent vectors from the prior of each image, (B, S, Z)."""
        require_draws(n, rng)
        self.require_image(image)
        return normal(self.prior(image)).draw(n, rng)

    def answers(self, image: Tensor, z: Tensor) -> Tensor:
        """The answers that vectors z float32 (B, S, Z) stand for: probabilities (B, S, K, H, W); one pass of the body.

        Raises:
            InputError: an argument has the wrong axes or sizes.
        """
        sizes = self.require_image(image)
        require_shape("z", z, "BSZ", B=sizes["B"], Z=self.config.latent)
        seen = self.head.see(self.features(image))
        logits = image.new_empty(len(image), z.shape[1], self.config.classes, *image.shape[-2:])
        for s in range(z.shape[1]):  # one at a time: memory of one map, and it is the same memory each time
            logits[:, s] = self.head.answer(seen, z[:, s])
        return torch.softmax(logits, dim=2)

    def reconstruct(self, image: Tensor, mask: Tensor) -> Tensor:
        """The answer at the posterior's mean: what the vector can say of a mask that it has seen.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
            mask: uint8 (B, H, W), class labels below K.
        Returns:
            probabilities (B, K, H, W).
        Raises:
            InputError: a mask holds a class the network does not have, or shapes are wrong.
        """
        self.require_classes(mask)
        sizes = self.require_image(image)
        require_shape("mask", mask, "BHW", **{letter: sizes[letter] for letter in "BHW"})
        posterior = normal(self.posterior(self._with(image, mask)))
        return self.answers(image, posterior.mean[:, None])[:, 0]

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        case, rater = batch.present.nonzero(as_tuple=True)
        recognized = self.posterior(self._with(batch.image[case], batch.masks[case, rater]))
        return Latents(normal(self.prior(batch.image)[case]), normal(recognized))

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> ProbUNetTerms:
        """The named loss terms of a batch; `rng` draws one present rater for each image, and z.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        mask = random_rater(batch.masks, batch.present, rng)
        posterior = normal(self.posterior(self._with(batch.image, mask)))
        z = posterior.draw(1, rng)[:, 0]
        log_probs = torch.log_softmax(self.head(self.features(batch.image), z).float(), dim=1)
        everybody = torch.ones(len(z), 1, dtype=torch.bool, device=z.device)
        reconstruction = labels_nll_mean(log_probs[:, None], mask[:, None], everybody)
        kl = divergence(posterior, normal(self.prior(batch.image)), z).mean()
        weight = kl_weight(self.config, step) / mask[0].numel()
        return ProbUNetTerms(reconstruction + weight * kl, reconstruction, kl)

    def _with(self, image: Tensor, mask: Tensor) -> Tensor:
        """What the posterior sees: the image, and the mask (B, H, W) as one map a class, -1/2 or 1/2."""
        one_hot = functional.one_hot(mask.long(), self.config.classes).movedim(-1, 1)
        return torch.cat([image, one_hot.to(image.dtype) - 0.5], dim=1)
