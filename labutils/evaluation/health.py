"""Is a latent vector alive? What it carries, what it moves, and whether samples differ as raters do.

A model with a latent vector z can learn to leave it alone: the posterior becomes the prior, every sample is the same,
and the loss is content. This **collapse** is invisible in a score of the mean; here it is measured, per latent number:

- the **KL** of the posterior from the prior, in nats: how much seeing the mask says beyond seeing the image;
- the **activity**: the variance over masks of the posterior's mean, from the prior's mean and in its deviations. Where
  the prior is the standard normal for every image this is the activity of Burda et al. 2016 (arXiv 1509.00519); with a
  prior that depends on the image theirs would count what the image alone moves;
- the **diversity** of samples beside that of the raters, E[d(S,S')] and E[d(Y,Y')] without self-pairs.

Nothing here is told of single raters, so exchangeable ones will do.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from labutils.core.checks import InputError, require
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.loading import all_batches
from labutils.data.store import Store
from labutils.evaluation.draws import from_model
from labutils.losses import kl_normal
from labutils.metrics.disagreement import rater_diversity, sample_diversity

COLLAPSED_NATS = 0.01  # a latent number that carries less has collapsed
ACTIVE = 0.01  # activity above which a latent number is active, as in Burda et al. 2016
ALIKE = 0.1  # samples that differ by less than this share of the raters' diversity are one answer
BATCH = 32


class Normals(Protocol):
    """Independent normal numbers for each of N masks."""

    @property
    def mean(self) -> Tensor:
        """Float (N, Z)."""

    @property
    def log_sigma(self) -> Tensor:
        """Float (N, Z), natural logarithm of the standard deviation."""


class Latents(Protocol):
    """What is believed of z for each of N masks: each present rater's of each case."""

    @property
    def prior(self) -> Normals:
        """Before the mask was seen."""

    @property
    def posterior(self) -> Normals:
        """After."""


class LatentModel(Protocol):
    """What `latent_health` asks of a model besides ``sample``."""

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch."""


class LatentHealth(NamedTuple):
    """The state of a latent vector on some cases."""

    kl_nats: Tensor  # float64 (Z,), mean over masks
    activity: Tensor  # float64 (Z,), variance over masks (divisor N - 1)
    sample_diversity: float  # in [0, 1], mean over the cases that two raters judged; NaN where there is none
    rater_diversity: float  # likewise, of the same cases; good when both are equal
    masks: int  # N

    @property
    def active(self) -> Tensor:
        """Bool (Z,): activity above `ACTIVE`."""
        return self.activity > ACTIVE

    @property
    def collapsed(self) -> Tensor:
        """Bool (Z,): KL below `COLLAPSED_NATS`."""
        return self.kl_nats < COLLAPSED_NATS

    def sentences(self) -> list[str]:
        """What is wrong, in plain words; empty where nothing is."""
        told = []
        if bool(self.collapsed.all()):
            latents = "the only latent carries" if len(self.kl_nats) == 1 else f"all {len(self.kl_nats)} latents carry"
            told.append(
                f"{latents} {float(self.kl_nats.sum()):.4f} nats in all: the model has collapsed, and a sample does "
                "not depend on who draws"
            )
        else:
            told += [
                f"latent {z} carries {float(self.kl_nats[z]):.4f} nats: it has collapsed, and changing it changes "
                "nothing that raters taught"
                for z in self.collapsed.nonzero()[:, 0].tolist()
            ]
        if self.sample_diversity < ALIKE * self.rater_diversity:  # never with NaN
            told.append(
                f"samples differ by {self.sample_diversity:.4f} and raters by {self.rater_diversity:.4f} on average: "
                "the model gives one answer where raters give several"
            )
        return told


def kl_per_latent(latents: Latents) -> Tensor:
    """KL of the posterior from the prior for each latent number, mean over masks: float64 (Z,), nats, 0 or more."""
    given = (latents.posterior.mean, latents.posterior.log_sigma, latents.prior.mean, latents.prior.log_sigma)
    return kl_normal(*(part.double() for part in given)).mean(dim=0)


def activity_per_latent(latents: Latents) -> Tensor:
    """Variance over masks of the posterior's mean, from the prior's mean and in its deviations: float64 (Z,).

    The divisor is N - 1; of one mask it is NaN.
    """
    moved = (latents.posterior.mean.double() - latents.prior.mean.double()) / latents.prior.log_sigma.double().exp()
    return moved.var(dim=0) if len(moved) > 1 else torch.full_like(moved[0], torch.nan)


def latent_health(
    network: Any, store: Store, *, samples: int = 16, seed: int = 0, device: torch.device | str = "cpu"
) -> LatentHealth:
    """Look at a trained model's latent vector on a store with raters.

    Args:
        network: a `labutils.models.base.Model` that is a `LatentModel` as well.
        store: cases with masks, preferably not those of the training.
        samples: S for the diversity, two or more.
        seed: of the draws, case by case as in `labutils.evaluation.evaluate.evaluate`.
        device: where the network runs.
    Returns:
        `LatentHealth`.
    Raises:
        InputError: the network has no latent vector, the store has no masks, or fewer than two samples are asked for.
    """
    has = callable(getattr(network, "latents", None))
    require(has, f"{type(network).__name__} has no latent vector to look at; wanted a model with latents(batch)")
    require(store.labeled, f"{store.card.name}/{store.split} has no masks to recognize raters by", InputError)
    require(samples >= 2, f"samples is {samples}; wanted 2 or more, as one differs from nothing")
    where = torch.device(device)
    spread = _diversities(network, store, samples, seed, where)
    with torch.no_grad():
        parts = [network.latents(batch.to(where)) for batch in all_batches(store, BATCH)]
    believed = _Latents(_joined([one.prior for one in parts]), _joined([one.posterior for one in parts]))
    kl_nats, activity = kl_per_latent(believed), activity_per_latent(believed)
    return LatentHealth(kl_nats, activity, *spread, len(believed.prior.mean))


class _Normals(NamedTuple):
    mean: Tensor
    log_sigma: Tensor


class _Latents(NamedTuple):
    prior: _Normals
    posterior: _Normals


def _joined(parts: list[Normals]) -> _Normals:
    return _Normals(torch.cat([part.mean.cpu() for part in parts]), torch.cat([part.log_sigma.cpu() for part in parts]))


def _diversities(network: Any, store: Store, samples: int, seed: int, device: torch.device) -> tuple[float, float]:
    """Mean diversity of samples and of raters over foreground classes and the cases that two raters judged."""
    draw = from_model(network, device)
    rows = []
    for index in (store.present.sum(axis=1) > 1).nonzero()[0].tolist():
        batch = store.batch([index])
        labels = draw(batch, samples, rng_for(seed, "draw", store.cases[index])).argmax(dim=2)
        rows += [
            (sample_diversity(labels == k, "U"), rater_diversity(batch.masks == k, batch.present, "U"))
            for k in range(1, store.card.classes)
        ]
    if not rows:
        return float("nan"), float("nan")
    of_samples, of_raters = (float(torch.cat(part).mean()) for part in zip(*rows, strict=True))
    return of_samples, of_raters
