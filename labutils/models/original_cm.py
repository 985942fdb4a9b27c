r"""The stochastic confusion-matrix network as it was published, with its faults; each is a setting that repairs it.

Idea: a U-Net's 1x1 head gives logits :math:`l(x)` of the truth, a variational autoencoder over its last map gives a
confusion matrix A at every pixel, and an annotator says :math:`A\,l`. Loss, for the mask y of one rater:

.. math:: & \mathrm{CE}(A\,l, y) + \mathrm{CE}(l, y) \\
          & + \mathrm{CE}(A\,l, \arg\max l) \\
          & + 2\,\beta\,k(t)\,\mathrm{KL}[q(z \mid x) \,\|\, N(0, I)]

with cross-entropies averaged over pixels and a KL that is not, k rising from 0 to 1. `labutils.models.stochastic_cm` is
what we put in its place. The faults, and the setting of each:

- ``mixed``: matrices multiply logits. What an annotator says then depends on the logits' level, which the softmax of
  the clean head leaves free: adding 5 to both logits of a pixel changes nothing there and much here.
- ``kl_times``: the loss holds the KL, and the training loop adds it again.
- ``z``: the posterior sees the image and never the label, so it cannot recognize who drew; and new annotators are drawn
  from N(0, I), so that what they do has nothing to do with the image.
- ``second_term``: :math:`\mathrm{CE}(l, y)` trains the clean head on noisy labels, towards the mean rater.
- ``third_term``: :math:`\mathrm{CE}(A\,l, \arg\max l)`, with the clean head's own answer as a label, says that
  annotators do not err. Without it and the second term nothing says which output of the clean head is which class.
- ``drawn``: one rater for the whole batch, so that a step hears one person only.
- Scores: see `labutils.metrics.disagreement.ged_published_sign`, and ``dice_first`` in `labutils.evaluation.scores`.

Kept, for they are the network: one dense layer from a whole map to half as many numbers as z has, and one from z to all
matrices, so that it is built for one size of image; a softplus and then a softmax down a matrix's columns; no start
near the identity; and its U-Net, one step of which looks at a zoomed copy (`labutils.models.original_body`).

Differences from the published code, where it would not run or the project has one way for all models: masks of absent
raters are never read, weights are drawn as `labutils.models.blocks.initialize` does, the KL's weight rises with steps
and not with epochs. A repaired mixture is the likelihood of :math:`A \operatorname{softmax}(l)`.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W); z (B, Z); log-matrices (B, S, K, K, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.consensus.majority import random_rater
from labutils.core.checks import ConfigError, require, require_draws, require_shape
from labutils.core.types import Batch
from labutils.losses import labels_nll_mean
from labutils.models.confusion import Annotators, said
from labutils.models.latents import Anneal, Gaussian, Latents, divergence, kl_weight
from labutils.models.original_body import OriginalBodyConfig, OriginalBodyModel


@dataclass(frozen=True, kw_only=True)
class OriginalCMConfig(OriginalBodyConfig):
    """Settings of the published network; the defaults are the published ones, faults included."""

    latent: int = 6  # Z
    beta: float = 20.0  # weight of the KL, which is of an image, beside terms that are of a pixel
    anneal: Anneal = "linear"  # how the KL's weight comes to `beta`
    ramp: int = 188  # steps of one rise; published: three tenths of a training, here of the book's on digits
    mixed: Literal["logits", "probabilities"] = "logits"  # what the matrices multiply
    kl_times: Literal[2, 1] = 2  # how often the KL is added
    z: Literal["unconditional", "conditional"] = "unconditional"  # conditional: p(z | x) and q(z | x, y)
    second_term: bool = True  # cross-entropy of the clean head to the rater's mask
    third_term: bool = True  # cross-entropy of the annotator to the clean head's own answer
    drawn: Literal["batch", "image"] = "batch"  # for what a rater is drawn in a step

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.latent >= 2, f"latent is {self.latent}; wanted 2 or more", ConfigError)
        require(self.ramp >= 1, f"ramp is {self.ramp}; wanted 1 or more", ConfigError)
        require(self.beta >= 0, f"beta is {self.beta}; wanted 0 or more", ConfigError)


class OriginalCMOutput(NamedTuple):
    """What one pass over an image gives."""

    logits: Tensor  # (B, K, H, W), of the truth, before softmax
    proposed: Tensor  # (B, 2 Z), mean and log-variance that annotators are drawn from; unconditional: zeros


class OriginalCMWhole(NamedTuple):
    """What a pass through every part gives, z at the posterior's mean for an empty mask."""

    logits: Tensor  # (B, K, H, W)
    log_matrices: Tensor  # (B, 1, K, K, H, W)
    proposed: Tensor  # (B, 2 Z)
    recognized: Tensor  # (B, 2 Z), mean and log-variance of the posterior


class OriginalCMTerms(NamedTuple):
    """The loss and its parts: ``total = raters + second + third + config.kl_times * weight * kl``, weight at this step.

    A term that the settings leave out is 0.
    """

    total: Tensor
    raters: Tensor  # nats a pixel, first term: cross-entropy of the annotator to the mask of the rater drawn
    second: Tensor  # nats a pixel, cross-entropy of the clean head to the same mask
    third: Tensor  # nats a pixel, cross-entropy of the annotator to the clean head's most probable class
    kl: Tensor  # nats an image


class Coder(nn.Module):
    """All of some maps to a normal distribution of z: (B, inputs, H, W) to mean and log-variance (B, 2 Z)."""

    def __init__(self, inputs: int, config: OriginalCMConfig) -> None:
        super().__init__()
        height, width = config.size_px
        self.squeeze = nn.Linear(inputs * height * width, config.latent // 2)
        self.last = nn.Linear(config.latent // 2, 2 * config.latent)

    def forward(self, maps: Tensor) -> Tensor:
        """One distribution an image."""
        return self.last(torch.relu(self.squeeze(maps.flatten(1))))


class StandardNormal(nn.Module):
    """In the place of a prior that looks at the image: mean 0 and log-variance 0 for any maps."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H, W) to zeros (B, 2 Z)."""
        return maps.new_zeros(len(maps), 2 * self.latent)


class DenseDecoder(nn.Module):
    """z to a matrix at every pixel, the image unseen: (N, Z) to log-matrices (N, K, K, H, W)."""

    def __init__(self, config: OriginalCMConfig) -> None:
        super().__init__()
        self.shape = (config.classes, config.classes, *config.size_px)
        self.entries = nn.Linear(config.latent, config.classes**2 * config.size_px[0] * config.size_px[1])

    def forward(self, z: Tensor) -> Tensor:
        """The matrices of one annotator per row."""
        entries = functional.softplus(self.entries(z).float()).unflatten(1, self.shape)
        return torch.log_softmax(entries, dim=1)


class OriginalCM(OriginalBodyModel):
    """The published U-Net, a clean head, and a dense variational autoencoder over confusion matrices."""

    stochastic = True
    config: OriginalCMConfig

    def __init__(self, config: OriginalCMConfig) -> None:
        super().__init__(config)
        width, sees = config.width, config.z == "conditional"
        self.prior = Coder(width, config) if sees else StandardNormal(config.latent)
        self.posterior = Coder(width + config.classes if sees else width, config)
        self.decoder = DenseDecoder(config)

    def forward(self, image: Tensor) -> OriginalCMOutput:
        """The truth's logits and what new annotators are drawn from.

        Args:
            image: float32 (B, C, H, W) in [0, 1], H and W as ``config.size_px``.
        Raises:
            InputError: as `features`.
        """
        features = self.features(image)
        return OriginalCMOutput(self.head(features), self.prior(features))

    def stages(self) -> dict[str, nn.Module]:
        """As for every network, but for an unconditional prior, which neither learns nor looks at anything."""
        return {name: part for name, part in super().stages().items() if not isinstance(part, StandardNormal)}

    def whole(self, image: Tensor) -> OriginalCMWhole:
        """A pass through every stage, for a drawing."""
        features = self.features(image)
        empty = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8, device=image.device)
        proposed, recognized = self.prior(features), self._recognize(features, empty)
        log_matrices = self.decoder(recognized[:, : self.config.latent])[:, None]
        return OriginalCMWhole(self.head(features), log_matrices, proposed, recognized)

    def clean(self, image: Tensor) -> Tensor:
        """What the network takes for the truth: probabilities (B, K, H, W), summing to 1 over K."""
        return torch.softmax(self.head(self.features(image)).float(), dim=1)

    def annotators(self, image: Tensor, z: Tensor) -> Annotators:
        """What annotators of given latent vectors make of each image, which is encoded once.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
            z: float32 (B, S, Z).
        Returns:
            their matrices, which do not depend on the image, and what they say.
        Raises:
            InputError: an argument has the wrong axes or sizes.
        """
        require_shape("z", z, "BSZ", B=len(image), Z=self.config.latent)
        return self._annotators(self.head(self.features(image)), z)

    def answers(self, image: Tensor, z: Tensor) -> Tensor:
        """What annotators of given latent vectors say, (B, S, K, H, W), as `annotators` has it."""
        return self.annotators(image, z).probs

    def _annotators(self, logits: Tensor, z: Tensor) -> Annotators:
        log_matrices = self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        return Annotators(log_matrices.exp(), self.said(logits, log_matrices).exp())

    def said(self, logits: Tensor, log_matrices: Tensor) -> Tensor:
        """Log-probability of what annotators say, by ``config.mixed``.

        Args:
            logits: float (B, K, H, W), of the truth.
            log_matrices: float (B, S, K, K, H, W).
        Returns:
            float32 (B, S, K, H, W); the exponentials sum to 1 over K.
        """
        if self.config.mixed == "probabilities":
            return said(torch.log_softmax(logits.float(), dim=1), log_matrices)
        mixed = torch.einsum("bsijhw,bjhw->bsihw", log_matrices.float().exp(), logits.float())
        return torch.log_softmax(mixed, dim=2)

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """What n annotators drawn anew would say: probabilities (B, S, K, H, W), summing to 1 over K."""
        require_draws(n, rng)
        logits, proposed = self.forward(image)
        return self._annotators(logits, gaussian(proposed).draw(n, rng)).probs

    def draw(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n latent vectors of new annotators for each image, (B, S, Z)."""
        require_draws(n, rng)
        return gaussian(self.forward(image).proposed).draw(n, rng)

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        case, rater = batch.present.nonzero(as_tuple=True)
        features = self.features(batch.image)[case]
        recognized = self._recognize(features, batch.masks[case, rater])
        return Latents(gaussian(self.prior(features)), gaussian(recognized))

    def _recognize(self, features: Tensor, label: Tensor) -> Tensor:
        """Mean and log-variance (B, 2 Z) of the posterior; only a conditional one looks at the label (B, H, W)."""
        if self.config.z == "unconditional":
            return self.posterior(features)
        one_hot = functional.one_hot(label.long(), self.config.classes).movedim(-1, 1)
        return self.posterior(torch.cat([features, one_hot.to(features.dtype)], dim=1))

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> OriginalCMTerms:
        """The named loss terms of a batch; `rng` draws raters as ``config.drawn`` says, and z.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        config, label = self.config, self._label(batch, rng)
        features = self.features(batch.image)
        logits, proposed = self.head(features).float(), gaussian(self.prior(features))
        recognized = gaussian(self._recognize(features, label))
        z = recognized.draw(1, rng)
        log_said = self.said(logits, self.decoder(z[:, 0])[:, None])
        raters, zero = nll(log_said, label), logits.new_zeros(())
        second = nll(torch.log_softmax(logits, dim=1)[:, None], label) if config.second_term else zero
        third = nll(log_said, logits.argmax(dim=1)) if config.third_term else zero
        kl = divergence(recognized, proposed, z[:, 0]).mean()
        total = raters + second + third + config.kl_times * kl_weight(config, step) * kl
        return OriginalCMTerms(total, raters, second, third, kl)

    def _label(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """The masks (B, H, W) that a step learns from.

        The rater of a batch may be absent in some of its cases: these take one of their own, as the published loader
        fills absent raters with copies of present ones.
        """
        own = random_rater(batch.masks, batch.present, rng)
        if self.config.drawn == "image":
            return own
        rater = int(torch.randint(batch.masks.shape[1], (1,), generator=rng))
        return torch.where(batch.present[:, rater, None, None], batch.masks[:, rater], own)


def nll(log_said: Tensor, label: Tensor) -> Tensor:
    """Mean negative log-likelihood over cases and pixels of one mask a case: (B, 1, K, H, W) and (B, H, W), in nats."""
    return labels_nll_mean(log_said, label[:, None], torch.ones(len(label), 1, dtype=torch.bool, device=label.device))


def gaussian(parameters: Tensor) -> Gaussian:
    """The normal distribution of mean and log-variance, one after the other: (B, 2 Z) to (B, Z) each, unbounded."""
    mean, log_variance = parameters.float().chunk(2, dim=-1)
    return Gaussian(mean, 0.5 * log_variance)
