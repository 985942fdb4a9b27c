"""Latent vectors by hand, and of models planted alive, half alive and collapsed."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import InputError
from labutils.evaluation.health import (
    LatentHealth,
    activity_per_latent,
    kl_per_latent,
    latent_health,
)
from labutils.metrics.disagreement import rater_diversity
from tests.discs import disc_store

STORE = disc_store(6)


class Normals(NamedTuple):
    mean: Tensor
    log_sigma: Tensor


class Latents(NamedTuple):
    prior: Normals
    posterior: Normals


def latents(prior, posterior):
    """From rows of (mean, sigma) for one latent number."""
    return Latents(
        *(Normals(torch.tensor(rows)[:, :1], torch.tensor(rows)[:, 1:].log()) for rows in (prior, posterior))
    )


STANDARD = [(0.0, 1.0), (0.0, 1.0)]


@pytest.mark.parametrize(
    ("prior", "posterior", "nats"),
    [
        (STANDARD, STANDARD, 0),
        (STANDARD, [(1.0, 1.0), (1.0, 1.0)], 1 / 2),  # (m1 - m2)^2 / 2
        (STANDARD, [(0.0, 1.0), (2.0, 1.0)], 1),  # the mean of 0 and 2
        ([(0.0, 2.0)], [(0.0, 1.0)], math.log(2) + 1 / 8 - 1 / 2),
        ([(0.0, 1.0)], [(0.0, 2.0)], -math.log(2) + 2 - 1 / 2),  # not the same the other way round
    ],
)
def test_kl_by_hand(prior, posterior, nats):
    assert kl_per_latent(latents(prior, posterior)).tolist() == pytest.approx([nats], abs=1e-6)


@pytest.mark.parametrize(
    ("prior", "posterior", "activity"),
    [
        (STANDARD, [(0.0, 1.0), (2.0, 1.0)], 2),  # variance of 0 and 2, divisor 1: as in Burda et al.
        ([(0.0, 2.0)] * 2, [(0.0, 1.0), (2.0, 1.0)], 1 / 2),  # in deviations of the prior
        ([(0.0, 1.0), (2.0, 1.0)], [(0.0, 1.0), (2.0, 1.0)], 0),  # moved by the image alone
        (STANDARD, [(3.0, 1.0)] * 2, 0),  # the same for every mask
    ],
)
def test_activity_by_hand(prior, posterior, activity):
    assert activity_per_latent(latents(prior, posterior)).tolist() == pytest.approx([activity], abs=1e-6)


def test_one_mask_has_no_activity():
    assert activity_per_latent(latents(STANDARD[:1], STANDARD[:1])).isnan().all()


class Planted(nn.Module):
    """z[0] is a rater's offset in pixels and draws discs of that size; z[1] says nothing. Knows the discs' places."""

    def __init__(self, alive: bool) -> None:
        super().__init__()
        self.alive = alive

    def latents(self, batch):
        case, rater = batch.present.nonzero(as_tuple=True)
        areas = batch.masks.flatten(2).sum(dim=2).double()
        area = areas[case, rater] / areas.mean(dim=1)[case] - 1
        mean = torch.stack([area * self.alive, torch.zeros_like(area)], dim=1)
        sure = torch.tensor([-2.0 * self.alive, 0.0]).expand_as(mean)
        return Latents(Normals(torch.zeros_like(mean), torch.zeros_like(mean)), Normals(mean, sure))

    def sample(self, image, n, rng):
        size = image.shape[-1]
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        distance = torch.hypot(rows - size / 2, columns - size / 2)
        radius = 4 + self.alive * torch.randn(len(image), n, generator=rng)
        labels = (distance < radius[:, :, None, None]).long()
        return functional.one_hot(labels, 2).movedim(-1, 2).float()


def test_an_alive_latent_is_told_from_a_dead_one():
    found = latent_health(Planted(alive=True), STORE, samples=8)
    assert found.masks == STORE.present.sum()
    assert found.collapsed.tolist() == [False, True]
    assert found.active.tolist() == [True, False]
    assert found.sample_diversity > 0.2
    (sentence,) = found.sentences()
    assert sentence.startswith("latent 1 carries 0.0000 nats: it has collapsed")


def test_a_collapsed_model_is_told():
    found = latent_health(Planted(alive=False), STORE, samples=4)
    assert found.collapsed.all()
    assert not found.active.any()
    assert found.sample_diversity == 0
    collapsed, alike = found.sentences()
    assert collapsed.startswith("all 2 latents carry 0.0000 nats in all: the model has collapsed")
    assert alike == (
        f"samples differ by 0.0000 and raters by {found.rater_diversity:.4f} on average: the model gives one answer "
        "where raters give several"
    )


def test_the_raters_own_diversity_has_no_self_pairs():
    found = latent_health(Planted(alive=False), STORE, samples=2)
    batch = STORE.batch(range(len(STORE)))
    assert found.rater_diversity == pytest.approx(float(rater_diversity(batch.masks == 1, batch.present, "U").mean()))


def test_absent_raters_are_not_recognized():
    present = STORE.present.copy()
    present[0, 1:] = present[1, 2] = False
    found = latent_health(Planted(alive=True), replace(STORE, present=present), samples=2)
    assert found.masks == present.sum() == STORE.present.sum() - 3


def test_one_rater_has_no_diversity_to_compare_with():
    present = np.zeros_like(STORE.present)
    present[:, 0] = True
    found = latent_health(Planted(alive=False), replace(STORE, present=present), samples=2)
    assert math.isnan(found.sample_diversity)
    assert math.isnan(found.rater_diversity)
    assert len(found.sentences()) == 1  # of the latents alone


HEALTHY = LatentHealth(torch.tensor([0.5, 0.02]), torch.tensor([1.0, 0.02]), 0.3, 0.3, 9)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"kl_nats": torch.tensor([0.5, 0.003])}, ["latent 1 carries 0.0030 nats"]),
        ({"kl_nats": torch.tensor([0.004])}, ["the only latent carries 0.0040 nats in all"]),
        ({"kl_nats": torch.tensor([0.004, 0.002])}, ["all 2 latents carry 0.0060 nats in all"]),
        ({"sample_diversity": 0.029}, ["samples differ by 0.0290 and raters by 0.3000"]),
        ({"sample_diversity": 0.031}, []),
        ({"sample_diversity": 0.0, "rater_diversity": 0.0}, []),  # raters do not differ either
    ],
)
def test_sentences(changed, said):
    sentences = HEALTHY._replace(**changed).sentences()
    assert len(sentences) == len(said)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, said, strict=True))


@pytest.mark.parametrize(
    ("network", "store", "settings", "says"),
    [
        (nn.Identity(), STORE, {}, "Identity has no latent vector"),
        (Planted(alive=True), STORE, {"samples": 1}, "samples is 1"),
        (
            Planted(alive=True),
            replace(STORE, present=np.zeros_like(STORE.present), masks=np.zeros_like(STORE.masks)),
            {},
            "has no masks",
        ),
    ],
)
def test_refusals(network, store, settings, says):
    with pytest.raises(InputError, match=says):
        latent_health(network, store, **settings)
