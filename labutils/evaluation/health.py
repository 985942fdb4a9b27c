"""Is a latent vector alive? What it carries, what it moves, and whether samples differ as raters do.

A model with a latent vector z can learn to leave it alone: the posterior becomes the prior, or the decoder stops
listening; every sample is the same, and the loss is content. This **collapse** is invisible in a score of the mean;
here it is measured, per latent number:

- the **KL** of the posterior from the prior, in nats: how much seeing the mask says beyond seeing the image;
- the **activity**: the variance over masks of the posterior's mean, from the prior's mean and in its deviations. Where
  the prior is the standard normal for every image this is the activity of Burda et al. 2016 (arXiv 1509.00519); with a
  prior that depends on the image theirs would count what the image alone moves;
- how much it is **heard**: how far an answer moves when this number alone is drawn anew, beside how far two raters'
  masks lie apart. KL and activity look at what is written into z, this at what is read from it: a posterior that is
  normalized over the batch looks active beside a decoder that is deaf;

and of the whole vector its **nats**, the KL of all numbers together, and the **diversity** of samples beside that of
the raters, E[d(S,S')] and E[d(Y,Y')] without self-pairs.

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
from labutils.models.latents import Gaussian, Latents

COLLAPSED_NATS = 0.01  # a latent number that carries less has collapsed
ACTIVE = 0.01  # activity above which a latent number is active, as in Burda et al. 2016
HEARD = 0.03  # a latent number that moves answers by less than this share of the raters' difference is not heard
ALIKE = 0.1  # samples that differ by less than this share of the raters' diversity are one answer
BATCH = 32
ANSWERS = 32  # to one image, encoded once for them
DRAWS = 64  # of a posterior, where its KL from a mixture has no formula


class LatentModel(Protocol):
    """What `latent_health` asks of a model besides ``sample``."""

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch."""

    def draw(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n latent vectors from the prior of each image, (B, S, Z)."""

    def answers(self, image: Tensor, z: Tensor) -> Tensor:
        """What follows from latent vectors (B, S, Z): probabilities (B, S, K, H, W)."""


class LatentHealth(NamedTuple):
    """The state of a latent vector on some cases."""

    kl_nats: Tensor  # float64 (Z,), of each number by itself, mean over masks
    nats: float  # of the whole vector, mean over masks; what several numbers say alike counts once
    activity: Tensor  # float64 (Z,), variance over masks (divisor N - 1)
    heard: Tensor  # float64 (Z,), 0 or more; 1: drawing this number anew moves an answer as far as another rater would
    sample_diversity: float  # in [0, 1], mean over the cases that two raters judged; NaN where there is none
    rater_diversity: float  # likewise, of the same cases; good when both are equal
    masks: int  # N
    scales: tuple[int, ...] = ()  # numbers of each scale, the coarsest first, where z has several

    @property
    def kl_of_scales(self) -> Tensor:
        """Float64 (scales,): nats of the numbers of each scale together; of one vector each number is a scale."""
        return torch.stack([part.sum() for part in self.kl_nats.split(list(self._sizes))])

    @property
    def active(self) -> Tensor:
        """Bool (Z,): activity above `ACTIVE`."""
        return self.activity > ACTIVE

    @property
    def collapsed(self) -> Tensor:
        """Bool (Z,): KL below `COLLAPSED_NATS`."""
        return self.kl_nats < COLLAPSED_NATS

    @property
    def deaf(self) -> Tensor:
        """Bool (Z,): heard less than `HEARD`; false where nothing can be compared."""
        return self.heard < HEARD

    @property
    def _sizes(self) -> tuple[int, ...]:
        return self.scales or (1,) * len(self.kl_nats)

    def sentences(self) -> list[str]:
        """What is wrong, in plain words; empty where nothing is. Of a vector with scales, scale by scale."""
        told = []
        what, redrawn = "latent", "drawing it anew moves an answer by"
        if self.scales:
            what, redrawn = "scale", "drawing any number of it anew moves an answer by at most"
        silent = self.kl_of_scales < COLLAPSED_NATS
        deaf = torch.stack([part.all() for part in self.deaf.split(list(self._sizes))])
        heard = [float(part.max()) for part in self.heard.split(list(self._sizes))]
        if bool(silent.all()):
            latents = "the only latent carries" if len(self.kl_nats) == 1 else f"all {len(self.kl_nats)} latents carry"
            told.append(
                f"{latents} {self.nats:.4f} nats in all: the model has collapsed, and a sample does "
                "not depend on who draws"
            )
        else:
            told += [
                f"{what} {z} carries {float(self.kl_of_scales[z]):.4f} nats: it has collapsed, and changing it changes "
                "nothing that raters taught"
                for z in silent.nonzero()[:, 0].tolist()
            ]
        told += [
            f"{what} {z} is not heard: {redrawn} {heard[z]:.4f} of what another rater would"
            for z in (deaf & ~silent).nonzero()[:, 0].tolist()
        ]
        if self.sample_diversity < ALIKE * self.rater_diversity:  # never with NaN
            told.append(
                f"samples differ by {self.sample_diversity:.4f} and raters by {self.rater_diversity:.4f} on average: "
                "the model gives one answer where raters give several"
            )
        return told


def kl_of_latents(latents: Latents, rng: torch.Generator) -> tuple[Tensor, float]:
    """KL of the posterior from the prior, mean over masks, in nats: of each number, float64 (Z,), and of all together.

    Exact where the prior is normal, and 0 or more. From a mixture there is no formula: the mean over draws from the
    posterior, right on average; each number then is held against what the mixture says of it alone.
    """
    posterior, prior = _double(latents.posterior), _double(latents.prior)
    if isinstance(prior, Gaussian):
        each = kl_normal(posterior.mean, posterior.log_sigma, prior.mean, prior.log_sigma).mean(dim=0)
        return each, float(each.sum())
    alone, whole = [], []
    for z in posterior.draw(DRAWS, rng).unbind(dim=1):
        alone.append((posterior.log_marginals(z) - prior.log_marginals(z)).mean(dim=0))
        whole.append((posterior.log_density(z) - prior.log_density(z)).mean())
    return torch.stack(alone).mean(dim=0), float(torch.stack(whole).mean())


def activity_per_latent(latents: Latents) -> Tensor:
    """Variance over masks of the posterior's mean, from the prior's mean and in its deviations: float64 (Z,).

    Of a mixture, the mean and deviations of the whole. The divisor is N - 1; of one mask it is NaN.
    """
    prior = _double(latents.prior).moments()
    moved = (latents.posterior.mean.double() - prior.mean) / prior.log_sigma.exp()
    return moved.var(dim=0) if len(moved) > 1 else torch.full_like(moved[0], torch.nan)


def _double(belief: Any) -> Any:
    return type(belief)(*(part.double() for part in belief))


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
        heard = _heard(network, store, samples, seed, where)
    believed = beliefs_on(network, store, where)
    each, nats = kl_of_latents(believed, rng_for(seed, "nats"))
    return LatentHealth(
        each, nats, activity_per_latent(believed), heard, *spread, len(believed.posterior.mean), believed.scales
    )


@torch.no_grad()
def beliefs_on(network: Any, store: Store, device: torch.device) -> Latents:
    """What a `LatentModel` believes before and after every present mask of a store, case by case, on the CPU."""
    parts = [network.latents(batch.to(device)) for batch in all_batches(store, BATCH)]
    before, after = (_joined(tuple(part[place] for part in parts)) for place in range(2))
    return Latents(before, after, parts[0].scales)


def _joined(parts: tuple[Any, ...]) -> Any:
    """One belief of all masks, on the CPU."""
    return type(parts[0])(*(torch.cat(numbers).cpu() for numbers in zip(*parts, strict=True)))


def _heard(network: Any, store: Store, samples: int, seed: int, device: torch.device) -> Tensor:
    """Mean absolute change of an answer when one number of z is drawn anew, over that from rater to rater, (Z,).

    Both are means over cases, pixels and foreground classes; NaN where no two raters judged a case or none differ.
    """
    moved: list[Tensor] = []
    apart: list[Tensor] = []
    for batch in all_batches(store, BATCH):
        image, rng = batch.image.to(device), rng_for(seed, "heard", len(moved))
        z, other = network.draw(image, 2 * samples, rng).chunk(2, dim=1)
        before = network.answers(image, z)[:, None, :, 1:]
        change = []
        for some in torch.eye(z.shape[2], dtype=torch.bool, device=device).split(max(1, ANSWERS // samples)):
            redrawn = torch.where(some[:, None], other[:, None], z[:, None])  # (B, numbers, S, Z)
            after = network.answers(image, redrawn.flatten(1, 2))[:, :, 1:].unflatten(1, redrawn.shape[1:3])
            change.append((after - before).abs().flatten(2).mean(dim=2))
        moved.append(torch.cat(change, dim=1).T.double().cpu())
        apart.append(rater_distance(batch, store.card.classes))
    raters = torch.cat(apart)
    both = ~raters.isnan()
    differ = raters[both].mean()
    return torch.cat(moved, dim=1)[:, both].mean(dim=1) / torch.where(differ > 0, differ, torch.nan)


def rater_distance(batch: Batch, classes: int) -> Tensor:
    """Mean absolute difference of two raters' labels, over pixels and foreground classes: float64 (B,), in [0, 1].

    Pairs of different raters only; NaN for a case that fewer than two judged.
    """
    raters = batch.present.sum(dim=1).double()
    foreground = torch.arange(1, classes)[:, None, None, None]
    one_hot = (batch.masks[:, None] == foreground) & batch.present[:, None, :, None, None]
    chance = one_hot.double().sum(dim=2) / raters[:, None, None, None]
    pairs = raters / (raters - 1)  # self-pairs, which never differ, leave the mean
    distance = (2 * chance * (1 - chance)).flatten(1).mean(dim=1) * pairs
    return torch.where(raters > 1, distance, torch.nan)


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
