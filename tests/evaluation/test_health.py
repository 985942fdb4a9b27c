"""Latent vectors by hand, and of models planted alive, half alive and collapsed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.evaluation.health import (
    LatentHealth,
    activity_per_latent,
    kl_of_latents,
    latent_health,
    rater_distance,
)
from labutils.metrics.disagreement import rater_diversity
from labutils.models.latents import Gaussian, Latents, Mixture
from labutils.models.registry import build, make_config
from tests.discs import disc_store

STORE = disc_store(6)


def latents(prior, posterior):
    """From rows of (mean, sigma) for one latent number."""
    return Latents(
        *(Gaussian(torch.tensor(rows)[:, :1], torch.tensor(rows)[:, 1:].log()) for rows in (prior, posterior))
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
    each, whole = kl_of_latents(latents(prior, posterior), rng_for(0, "unused"))
    assert each.tolist() == pytest.approx([nats], abs=1e-6)
    assert whole == pytest.approx(nats, abs=1e-6)


def test_kl_from_a_mixture_counts_what_two_numbers_say_alike_once():
    """Two kinds far apart, in two numbers that say the same: knowing the kind is worth log 2, by each and by both."""
    masks, kinds = 400, torch.tensor([[-9.0, -9.0], [9.0, 9.0]])
    prior = Mixture(torch.full((masks, 2), 0.5).log(), kinds.expand(masks, 2, 2), torch.zeros(masks, 2, 2))
    posterior = Gaussian(kinds.repeat(masks // 2, 1), torch.zeros(masks, 2))
    each, whole = kl_of_latents(Latents(prior, posterior), rng_for(0, "draws"))
    assert each.tolist() == pytest.approx([math.log(2)] * 2, abs=1e-3)
    assert whole == pytest.approx(math.log(2), abs=1e-3)


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
        return Latents(Gaussian(torch.zeros_like(mean), torch.zeros_like(mean)), Gaussian(mean, sure))

    def draw(self, image, n, rng):
        return torch.randn(len(image), n, 2, generator=rng)

    def sample(self, image, n, rng):
        return self.answers(image, self.draw(image, n, rng))

    def answers(self, image, z):
        size = image.shape[-1]
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        distance = torch.hypot(rows - size / 2, columns - size / 2)
        radius = 4 + self.alive * z[:, :, 0]
        labels = (distance < radius[:, :, None, None]).long()
        return functional.one_hot(labels, 2).movedim(-1, 2).float()


def test_an_alive_latent_is_told_from_a_dead_one():
    found = latent_health(Planted(alive=True), STORE, samples=8)
    assert found.masks == STORE.present.sum()
    assert found.collapsed.tolist() == [False, True]
    assert found.active.tolist() == [True, False]
    assert found.sample_diversity > 0.2
    assert found.heard[0] > 0.2
    assert found.heard[1] == 0
    assert found.deaf.tolist() == [False, True]
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


class Deaf(Planted):
    """Recognizes raters as well as `Planted`, and draws the same disc whoever draws."""

    def answers(self, image, z):
        return super().answers(image, torch.zeros_like(z))


def test_a_posterior_that_looks_active_beside_a_deaf_decoder_is_told():
    found = latent_health(Deaf(alive=True), STORE, samples=4)
    assert found.active.tolist() == [True, False]
    assert found.collapsed.tolist() == [False, True]
    assert found.heard.tolist() == [0, 0]
    assert any(sentence.startswith("latent 0 is not heard: drawing it anew") for sentence in found.sentences())


def test_a_number_that_draws_like_another_rater_is_heard_fully():
    """A sampler that copies one of two raters by lot moves, half of the time, by their distance: heard by one half."""

    class Copies(Planted):
        def draw(self, image, n, rng):
            return torch.randint(2, (len(image), n, 1), generator=rng).float()

        def answers(self, image, z):
            masks = torch.stack([torch.zeros(image.shape[-2:]), torch.ones(image.shape[-2:])])
            return functional.one_hot(masks[z[:, :, 0].long()].long(), 2).movedim(-1, 2).float()

        def latents(self, batch):
            number = super().latents(batch)
            return Latents(*(Gaussian(*(part[:, :1] for part in one)) for one in number[:2]))

    opposed = np.zeros_like(STORE.masks)
    opposed[:, 0] = 1
    present = np.zeros_like(STORE.present)
    present[:, :2] = True
    heard = latent_health(Copies(alive=True), replace(STORE, masks=opposed, present=present), samples=200).heard
    assert heard.tolist() == pytest.approx([0.5], abs=0.05)


def test_the_distance_of_raters_by_hand():
    """Three raters, four pixels: pairs differ at 2, 1 and 1 of 4, so 1/3 on average; one rater has no other."""
    masks = torch.tensor([[[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]])
    present = torch.tensor([[True] * 3, [True, False, False]])
    batch = Batch(torch.zeros(2, 1, 2, 2), masks.view(2, 3, 2, 2).to(torch.uint8), present)
    found = rater_distance(batch, 2)
    assert found[0].item() == pytest.approx(1 / 3)
    assert found[1].isnan()


HEALTHY = LatentHealth(
    torch.tensor([0.5, 0.02]), 0.51, torch.tensor([1.0, 0.02]), torch.tensor([0.6, 0.1]), 0.3, 0.3, 9
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"kl_nats": torch.tensor([0.5, 0.003])}, ["latent 1 carries 0.0030 nats"]),
        (
            {"kl_nats": torch.tensor([0.004]), "nats": 0.004, "heard": torch.tensor([0.5])},
            ["the only latent carries 0.0040 nats in all"],
        ),
        ({"kl_nats": torch.tensor([0.004, 0.002]), "nats": 0.006}, ["all 2 latents carry 0.0060 nats in all"]),
        ({"heard": torch.tensor([0.6, 0.029])}, ["latent 1 is not heard: drawing it anew moves an answer by 0.0290"]),
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


def test_a_vector_with_scales_is_told_scale_by_scale():
    """Of three numbers the last two are one scale: each is below the bar, both together are not."""
    kl, heard = torch.tensor([0.002, 0.006, 0.006]), torch.tensor([0.5, 0.001, 0.002])
    found = LatentHealth(kl, 0.014, torch.ones(3), heard, 0.3, 0.3, 9, (1, 2))
    assert found.kl_of_scales.tolist() == pytest.approx([0.002, 0.012])
    first, second = found.sentences()
    assert first.startswith("scale 0 carries 0.0020 nats: it has collapsed")
    assert second.startswith("scale 1 is not heard: drawing any number of it anew moves an answer by at most 0.0020 of")


def test_the_scales_of_a_model_are_known():
    settings = {"width": 4, "levels": 3, "latents": (1, 2), "blocks": 1, "convs": 1}
    model = build("hier-prob-unet", make_config("hier-prob-unet", settings), rng_for(0, "weights")).eval()
    found = latent_health(model, disc_store(4), samples=2)
    assert found.scales == (16, 2 * 64)
    assert found.kl_of_scales.sum() == pytest.approx(found.nats)
