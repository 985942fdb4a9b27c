"""Beliefs about a latent vector: a normal distribution, or a mixture of several where there are kinds of answers."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from labutils.losses import kl_normal

Anneal = Literal["none", "linear", "cyclic"]
LOG_SIGMA = 4.0  # log standard deviations stay within this of 0


class Gaussian(NamedTuple):
    """Independent normal numbers."""

    mean: Tensor  # float32 (B, Z)
    log_sigma: Tensor  # float32 (B, Z), natural logarithm of the standard deviation

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """n vectors for each, (B, n, Z); the gradient reaches mean and deviation."""
        batch, latent = self.mean.shape
        noise = torch.randn(batch, n, latent, generator=rng).to(self.mean.device)
        return self.mean[:, None] + self.log_sigma.exp()[:, None] * noise

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density of z (B, Z), in nats, (B,)."""
        return self.log_marginals(z).sum(dim=-1)

    def log_marginals(self, z: Tensor) -> Tensor:
        """Log-density of each number of z by itself, (B, Z) to (B, Z), in nats."""
        return torch.distributions.Normal(self.mean, self.log_sigma.exp()).log_prob(z)

    def moments(self) -> Gaussian:
        """Itself."""
        return self


class Mixture(NamedTuple):
    """M sets of independent normal numbers, one of them drawn by lot."""

    weights: Tensor  # float32 (B, M), logarithms of the chances
    mean: Tensor  # float32 (B, M, Z)
    log_sigma: Tensor  # float32 (B, M, Z)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """n vectors for each, (B, n, Z); no gradient reaches the chances."""
        which = torch.multinomial(self.weights.detach().exp().cpu(), n, replacement=True, generator=rng)
        which = which.to(self.mean.device)[:, :, None].expand(-1, -1, self.mean.shape[2])
        noise = torch.randn(which.shape, generator=rng).to(self.mean.device)
        return self.mean.gather(1, which) + self.log_sigma.gather(1, which).exp() * noise

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density of z (B, Z), in nats, (B,)."""
        return torch.logsumexp(self.weights + self._each(z).sum(dim=-1), dim=1)

    def log_marginals(self, z: Tensor) -> Tensor:
        """Log-density of each number of z by itself, (B, Z) to (B, Z), in nats; their sum is not that of z."""
        return torch.logsumexp(self.weights[:, :, None] + self._each(z), dim=1)

    def _each(self, z: Tensor) -> Tensor:
        return torch.distributions.Normal(self.mean, self.log_sigma.exp()).log_prob(z[:, None])

    def moments(self) -> Gaussian:
        """The normal distribution with the same means and standard deviations."""
        chances = self.weights.exp()[:, :, None]
        mean = (chances * self.mean).sum(dim=1)
        square = (chances * ((self.mean - mean[:, None]) ** 2 + torch.exp(2 * self.log_sigma))).sum(dim=1)
        return Gaussian(mean, 0.5 * torch.log(square))


class Latents(NamedTuple):
    """What is believed of z for each of N masks: each present rater's of each case, in that order."""

    prior: Gaussian | Mixture  # before the mask was seen
    posterior: Gaussian  # after
    scales: tuple[int, ...] = ()  # numbers of each scale, the coarsest first, where z has several; () for one vector


def size(latent: int, components: int) -> int:
    """How many numbers say a belief about Z latent numbers with M components."""
    return 2 * latent if components == 1 else components * (2 * latent + 1)


def normal(parameters: Tensor) -> Gaussian:
    """Mean and bounded log standard deviation from float (..., 2 Z), one after the other."""
    mean, log_sigma = parameters.float().chunk(2, dim=-1)
    return Gaussian(mean, LOG_SIGMA * torch.tanh(log_sigma / LOG_SIGMA))


def narrow(parameters: Tensor) -> Gaussian:
    """Mean and log standard deviation from float (..., 2 Z), the latter between -`LOG_SIGMA` and 0, and at 0 halfway.

    For a posterior. One that may be wide can drown what it knows in noise before a decoder has learned to listen, and
    one so wide that its bound is flat finds no way back.
    """
    mean, log_sigma = parameters.float().chunk(2, dim=-1)
    return Gaussian(mean, -LOG_SIGMA * torch.sigmoid(log_sigma))


def belief(parameters: Tensor, latent: int) -> Gaussian | Mixture:
    """The belief that a network's numbers say: (B, 2 Z) a normal distribution, (B, M (2 Z + 1)) a mixture of M."""
    if parameters.shape[1] == 2 * latent:
        return normal(parameters)
    parts = parameters.float().unflatten(1, (-1, 2 * latent + 1))
    mean, log_sigma = normal(parts[..., 1:])
    return Mixture(torch.log_softmax(parts[..., 0], dim=1), mean, log_sigma)


def divergence(posterior: Gaussian, prior: Gaussian | Mixture, z: Tensor) -> Tensor:
    """KL of the posterior from the prior in nats, (B,): exact for two normals, else from the one draw z (B, Z) of it.

    The estimate is right on average, and may be negative for a single draw.
    """
    if isinstance(prior, Gaussian):
        return kl_normal(*posterior, *prior).sum(dim=1)
    return posterior.log_density(z) - prior.log_density(z)


class Annealed(Protocol):
    """Settings that say how the weight of a KL comes to its value."""

    @property
    def beta(self) -> float:
        """The weight it comes to."""

    @property
    def anneal(self) -> Anneal:
        """How."""

    @property
    def ramp(self) -> int:
        """Steps of one rise."""


def kl_weight(config: Annealed, step: int) -> float:
    """Weight of the KL at a step counted from the end of the warm-up, 0 to ``config.beta``.

    "linear" rises over ``config.ramp`` steps and stays; "cyclic" rises so and stays as long again, five times over
    (Fu et al. 2019), and then stays.
    """
    if config.anneal == "none":
        return config.beta
    if config.anneal == "cyclic" and step < 10 * config.ramp:
        step %= 2 * config.ramp
    return config.beta * min(1.0, step / config.ramp)
