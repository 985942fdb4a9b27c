r"""A distribution over confusion matrices: who might draw, and what would that person make of this image?

Idea: a clean head says what is there, :math:`p(x)`. A latent vector z says which annotator draws; a decoder turns z and
the image's features into a confusion matrix at every pixel, and that annotator says :math:`A(x, z)\, p(x)`. A prior
:math:`p(z \mid x)` proposes annotators for an image, a posterior :math:`q(z \mid x, y)` recognizes the one who drew y;
both are small convolutional networks, so any image size will do. Loss, for the mask y of one rater of each image:

.. math:: -\mathbb{E}_q \log p(y \mid A(x, z)\, p(x)) + \beta\, k(t)\, \mathrm{KL}[q(z \mid x, y) \,\|\, p(z \mid x)]

per image, divided by its pixels, k rising from 0 to 1; and the clean head's own term as in `labutils.models.confusion`.
Where raters are identified, prior and posterior also see which rater it is.

The prior mixes several normal distributions. One alone leaves holes between kinds of annotators, and draws from the
holes are of no kind: the kinds then come out in the wrong frequencies, however well each label is recognized.

A chance that nears 0 hardly feels the loss any more, since the gradient of a softmax goes with the chance. Just after
the warm-up all annotators learn what most pixels say, and a chance that went to 0 for all cannot come back for one
kind. So log-matrices are held near their start, by a square whose slope does not fade.

The posterior's summary is normalized over the batch, as in Zhu et al. 2020, and it never is wider than one: at first
it tells labels apart by little, and where noise drowns that, the decoder learns to ignore z for good.

Differences from the published model (see `labutils.models.original_cm`, which has it with its faults): probabilities
are mixed, not logits; the KL counts once; the prior looks at the image, the posterior at the label; the decoder is
convolutional; matrices start near the identity and are normalized once; the posterior is normalized over the batch;
the clean head is not trained to be the mean rater.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W); z (B, Z); log-matrices (B, 1, K, K, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import ConfigError, require, require_draws, require_shape
from labutils.core.types import Batch
from labutils.losses import labels_nll_mean
from labutils.models.blocks import AcrossBatch, ConvBlock, NearZeroConv
from labutils.models.combiner import Combiner
from labutils.models.confusion import (
    Annotators,
    CleanHeadModel,
    ConfusionConfig,
    clean_term,
    identity_logits,
    mean_diagonal,
    said,
)
from labutils.models.latents import Anneal, Gaussian, Latents, Mixture, belief, divergence, kl_weight, narrow, size


@dataclass(frozen=True, kw_only=True)
class StochasticCMConfig(ConfusionConfig):
    """Settings of the network with a distribution over confusion matrices."""

    latent: int = 6  # Z
    components: int = 4  # normal distributions that the prior mixes; 1: one, as published
    beta: float = 1.0  # weight of the KL, in nats a nat
    anneal: Anneal = "linear"  # how the KL's weight comes to `beta`
    ramp: int = 200  # steps of one rise; cyclic: a cycle is twice as long, five cycles in all
    coder_width: int = 24  # channels of prior, posterior and decoder
    hold: float = 1e-3  # weight of the mean squared distance of the log-matrices from their start

    def __post_init__(self) -> None:
        for name in ("latent", "components", "ramp", "coder_width"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        for name in ("beta", "hold"):
            require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; wanted 0 or more", ConfigError)
        super().__post_init__()


class StochasticCMOutput(NamedTuple):
    """What one pass over an image gives."""

    logits: Tensor  # (B, K, H, W), of the truth, before softmax
    proposed: (
        Tensor  # (B, numbers), p(z | x) as `labutils.models.latents.belief` reads it; of the first rater if several
    )


class StochasticCMWhole(NamedTuple):
    """What a pass through every part gives, z at the posterior's mean for an empty mask."""

    logits: Tensor  # (B, K, H, W)
    log_matrices: Tensor  # (B, 1, K, K, H, W)
    proposed: Tensor  # (B, numbers), of p(z | x)
    recognized: Tensor  # (B, 2 Z), q(z | x, y) as `labutils.models.latents.narrow` reads it


class StochasticCMTerms(NamedTuple):
    """The loss and its parts.

    ``total = raters + weight * kl / pixels + config.clean_weight * clean + config.trace * trace + config.hold * hold``,
    weight the KL's at this step. While warming up ``total`` is ``clean``, the cross-entropy to the vote fraction, and
    the others are 0.
    """

    total: Tensor
    raters: Tensor  # nats a pixel, negative log-likelihood of one rater's labels in each image
    kl: Tensor  # nats an image; of a mixture an estimate from one draw
    clean: Tensor  # nats, the clean head's own term
    trace: Tensor  # mean diagonal of the matrices
    hold: Tensor  # mean squared distance of the log-matrices from their start


class Encoder(nn.Module):
    """Feature maps, and which rater it is, to what is believed of z: (B, inputs, H, W) to (B, numbers)."""

    def __init__(self, inputs: int, components: int, config: StochasticCMConfig, *, contrast: bool) -> None:
        super().__init__()
        width = config.coder_width
        self.fine = ConvBlock(inputs, width, convs=1, norm="group")
        self.coarse = ConvBlock(width, 2 * width, convs=2, norm="group")
        self.rater = nn.Embedding(config.raters, 2 * width) if config.raters else None
        self.contrast = AcrossBatch(2 * width) if contrast else nn.Identity()  # in what the images of a batch differ
        self.last = nn.Linear(2 * width, size(config.latent, components))

    def forward(self, maps: Tensor, rater: Tensor | None = None) -> Tensor:
        """As `labutils.models.latents.belief` reads it; `rater` int64 (B,), None for exchangeable raters."""
        pooled = functional.avg_pool2d(self.fine(maps), 2, ceil_mode=True)
        summary = self.coarse(pooled).mean(dim=(2, 3))
        if self.rater is not None:
            summary = summary + self.rater(rater)
        return self.last(torch.relu(self.contrast(summary)))


class Decoder(Combiner):
    """z and features to a matrix at every pixel: (N, Z) and (N, width, H, W) to log-matrices (N, 1, K, K, H, W)."""

    start: Tensor

    def __init__(self, config: StochasticCMConfig) -> None:
        super().__init__(config.width, config.latent, config.coder_width, kernel_size=3)
        self.entries = NearZeroConv(config.coder_width, config.classes**2)
        self.register_buffer("start", identity_logits(config.classes, config.start), persistent=False)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """The matrices of one annotator per feature map."""
        return self.matrices(z, self.see(features))

    def matrices(self, z: Tensor, seen: Tensor) -> Tensor:
        """The same from what was seen of the features, which several annotators share."""
        classes = len(self.start)
        entries = self.entries(self.mixed(seen, z)).float().view(len(z), 1, classes, classes, *seen.shape[-2:])
        return torch.log_softmax(self.start[:, :, None, None] + entries, dim=2)


def from_start(log_matrices: Tensor, start: Tensor) -> Tensor:
    """How far matrices are from where they start: mean squared difference of all log-entries, 0 or more.

    Where an entry goes to 0 the slope in its logit grows; that of the likelihood goes to 0 with the entry.

    Args:
        log_matrices: float (B, R, K, K, H, W), or 1 for B, R, H and W.
        start: float (K, K), logits of every matrix before training, as `labutils.models.confusion.identity_logits` has
            them; on the same device.
    """
    return ((log_matrices.float() - torch.log_softmax(start, dim=0)[:, :, None, None]) ** 2).mean()


class StochasticCM(CleanHeadModel):
    """The body, a clean head, and a conditional variational autoencoder over confusion matrices."""

    config: StochasticCMConfig

    def __init__(self, config: StochasticCMConfig) -> None:
        super().__init__(config)
        self.prior = Encoder(config.width, config.components, config, contrast=False)
        self.posterior = Encoder(config.width + config.classes, 1, config, contrast=True)
        self.decoder = Decoder(config)

    def forward(self, image: Tensor) -> StochasticCMOutput:
        """The truth's logits and what the image says of who might draw.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        features = self.features(image)
        return StochasticCMOutput(self.head(features), self.prior(features, self._rater(len(image), 0, image.device)))

    def whole(self, image: Tensor) -> StochasticCMWhole:
        """A pass through every stage, for a drawing."""
        features, who = self.features(image), self._rater(len(image), 0, image.device)
        empty = torch.zeros(len(image), 1, *image.shape[-2:], dtype=torch.uint8, device=image.device)
        proposed, recognized = self.prior(features, who), self.posterior(self._with(features, empty), who)
        log_matrices = self.decoder(recognized[:, : self.config.latent], features)
        return StochasticCMWhole(self.head(features), log_matrices, proposed, recognized)

    def annotators(self, image: Tensor, z: Tensor) -> Annotators:
        """What annotators of given latent vectors make of each image, which is encoded once.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
            z: float32 (B, S, Z).
        Returns:
            their matrices and what they say.
        Raises:
            InputError: an argument has the wrong axes or sizes.
        """
        sizes = self.require_image(image)
        require_shape("z", z, "BSZ", B=sizes["B"], Z=self.config.latent)
        return self._annotators(self.features(image), z)

    def answers(self, image: Tensor, z: Tensor) -> Tensor:
        """What annotators of given latent vectors say, (B, S, K, H, W), as `annotators` has it."""
        return self.annotators(image, z).probs

    def _annotators(self, features: Tensor, z: Tensor) -> Annotators:
        log_probs = torch.log_softmax(self.head(features).float(), dim=1)
        seen = self.decoder.see(features)
        matrices = [self.decoder.matrices(z[:, s], seen) for s in range(z.shape[1])]  # one at a time: memory of one map
        answers = [said(log_probs, matrix)[:, 0].exp() for matrix in matrices]
        return Annotators(torch.cat(matrices, dim=1).exp(), torch.stack(answers, dim=1))

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """What n annotators drawn from the prior would say: probabilities (B, S, K, H, W), summing to 1 over K.

        Where raters are identified, each sample first draws one of them.
        """
        require_draws(n, rng)
        features = self.features(image)
        return self._annotators(features, self._draw(features, n, rng)).probs

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        case, rater = batch.present.nonzero(as_tuple=True)
        features, who = self.features(batch.image)[case], rater if self.config.raters else None
        label = batch.masks[case, rater][:, None]
        return Latents(*self._beliefs(features, label, who))

    def _beliefs(self, features: Tensor, label: Tensor, who: Tensor | None) -> tuple[Gaussian | Mixture, Gaussian]:
        """Prior and posterior of the masks `label` (B, 1, H, W)."""
        latent = self.config.latent
        return (
            belief(self.prior(features, who), latent),
            narrow(self.posterior(self._with(features, label), who)),
        )

    def draw(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n latent vectors from the prior of each image, (B, S, Z)."""
        require_draws(n, rng)
        return self._draw(self.features(image), n, rng)

    def _draw(self, features: Tensor, n: int, rng: torch.Generator) -> Tensor:
        if not self.config.raters:
            return belief(self.prior(features, None), self.config.latent).draw(n, rng)
        of_each = [
            self.prior(features, self._rater(len(features), r, features.device)) for r in range(self.config.raters)
        ]
        which = torch.randint(self.config.raters, (len(features), n), generator=rng).to(features.device)
        rows = torch.arange(len(features), device=features.device)[:, None]
        chosen = torch.stack(of_each, dim=1)[rows, which].flatten(0, 1)
        return belief(chosen, self.config.latent).draw(1, rng).view(len(features), n, -1)

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> StochasticCMTerms:
        """The named loss terms of a batch; `rng` draws one present rater for each image, and z.

        Raises:
            InputError: a mask holds a class the network does not have, or there are other raters than it knows.
        """
        self.require_classes(batch.masks)
        config, raters = self.config, batch.masks.shape[1]
        require(config.raters in (0, raters), f"the network has {config.raters} raters and the masks {raters}")
        features = self.features(batch.image)
        logits = self.head(features)
        if step < config.warm_up:
            clean, zero = clean_term("cross-entropy", logits, batch), logits.new_zeros(())
            return StochasticCMTerms(clean, zero, zero, clean, zero, zero)
        rater = torch.multinomial(batch.present.float().cpu(), 1, generator=rng).to(features.device)  # (B, 1)
        label = batch.masks.gather(1, rater[:, :, None, None].expand(-1, -1, *batch.masks.shape[2:]))
        who = rater[:, 0] if config.raters else None
        prior, posterior = self._beliefs(features, label, who)
        z = posterior.draw(1, rng)[:, 0]
        log_matrices = self.decoder(z, features)
        log_probs = torch.log_softmax(logits.float(), dim=1)
        nll = labels_nll_mean(
            said(log_probs if config.coupled else log_probs.detach(), log_matrices), label, torch.ones_like(rater) > 0
        )
        kl = divergence(posterior, prior, z).mean()
        clean, trace = (
            clean_term(config.clean, logits, batch, identified=config.raters > 0),
            mean_diagonal(log_matrices),
        )
        hold = from_start(log_matrices, self.decoder.start)
        weight = kl_weight(config, step - config.warm_up) / label[0].numel()
        total = nll + weight * kl + config.clean_weight * clean + config.trace * trace + config.hold * hold
        return StochasticCMTerms(total, nll, kl, clean, trace, hold)

    def _with(self, features: Tensor, label: Tensor) -> Tensor:
        one_hot = functional.one_hot(label[:, 0].long(), self.config.classes).movedim(-1, 1)
        return torch.cat([features, one_hot.to(features.dtype)], dim=1)

    def _rater(self, batch: int, rater: int, device: torch.device) -> Tensor | None:
        return torch.full((batch,), rater, device=device) if self.config.raters else None
