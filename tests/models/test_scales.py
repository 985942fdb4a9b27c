"""What networks with latent maps at several scales share: each belief hears the values of the coarser scales."""

import math

import pytest
import torch
from torch import nn

from labutils.consensus.majority import random_rater
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.registry import build, make_config

SMALL = {  # maps of 1 and 2 x 2 x 2 numbers
    "hier-prob-unet": {"width": 4, "levels": 4, "latents": (1, 2), "blocks": 1, "convs": 2},
    "phiseg": {"width": 4, "levels": 4, "convs": 1, "latents": (1, 2)},
}
COUNTS = {"hier-prob-unet": (1, 1), "phiseg": (4, 1)}  # how often the KL of a scale counts
IMAGE = torch.rand(2, 1, 8, 8, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 8, 8, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))
HALF = 4 * math.atanh(math.log(0.5) / 4)  # a deviation of 1/2, before the bound on its logarithm


class First(nn.Module):
    """In the place of a decoder's level: its input's first channel, which is the coarser value, in all channels."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return x[:, :1].expand(-1, self.channels, -1, -1)


def hearing(name):
    """Before a mask the first number is N(0, 1), all others N(z_1, 1); after it they are N(1, 1/4) and N(2 z_1, 1/4).

    The network's own layers lead to these beliefs, but for the level between the scales.
    """
    model = build(name, make_config(name, SMALL[name]), rng_for(0, "weights")).eval()
    for core, first, times, deviation in ((model.prior, 0.0, 1.0, 0.0), (model.posterior, 1.0, 2.0, HALF)):
        coarse, fine = core.beliefs if name == "hier-prob-unet" else core.read
        between = First(fine.in_channels)
        if name == "hier-prob-unet":
            core.up[0] = between
        else:
            core.up[0], core.join[0] = nn.Identity(), between
        with torch.no_grad():
            for belief in (coarse, fine):
                belief.weight.zero_()
                belief.bias.fill_(deviation)
            coarse.bias[0] = first
            fine.bias[:2] = 0.0
            fine.weight[:2, 0] = times
    return model


def values_of(seed):
    """The first number z_1 of each image, as an objective draws it after the raters."""
    rng = rng_for(seed, "o")
    random_rater(MASKS, BATCH.present, rng)
    return 1 + 0.5 * torch.randn(2, 1, 1, generator=rng).flatten()


@pytest.mark.parametrize("name", SMALL)
def test_the_divergence_by_hand_where_the_finer_belief_hears_the_coarser_value(name):
    r"""Of one number :math:`\log 2 + (1/4 + d^2) / 2 - 1/2` nats, d the distance of the means: 1, and then z_1.

    Both follow what the posterior draws: a prior that went its own way would be somewhere else.
    """
    model = hearing(name)
    for seed in range(3):
        z = values_of(seed)
        coarse, fine = (math.log(2) + (0.25 + d**2) / 2 - 0.5 for d in (torch.ones(2), z))
        counts = COUNTS[name]
        wanted = (counts[0] * coarse + counts[1] * 8 * fine).mean()
        assert model.objective(BATCH, 0, rng_for(seed, "o")).kl.item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_the_answer_that_is_learned_is_that_of_the_values_drawn(name):
    """The cross-entropy of the answer to what the posterior draws, by the network's own answers and the same chance."""
    model = hearing(name)
    if name == "hier-prob-unet":
        model.config = make_config(name, SMALL[name] | {"loss": "elbo"})
    one = BATCH._replace(masks=MASKS[:, :1], present=BATCH.present[:, :1])
    with torch.no_grad():
        terms, rng = model.objective(one, 0, rng_for(0, "o")), rng_for(0, "o")
        random_rater(one.masks, one.present, rng)
        first = 1 + 0.5 * torch.randn(2, 1, 1, generator=rng)[:, 0]
        others = 2 * first + 0.5 * torch.randn(2, 1, 8, generator=rng)[:, 0]
        probs = model.answers(IMAGE, torch.cat([first, others], dim=1)[:, None])[:, 0]
    by_hand = -probs.gather(1, MASKS[:, :1].long()).log().sum(dim=(1, 2, 3)).mean()
    learned = terms.finest if name == "phiseg" else terms.reconstruction
    assert learned.item() == pytest.approx(by_hand.item(), rel=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_latents_follow_the_means_of_the_posterior(name):
    """By hand: its means are 1 and twice that, and the prior's 0 and then 1; its own way would lead to 0 again."""
    prior, posterior, scales = hearing(name).latents(BATCH)
    assert scales == (1, 8)
    assert torch.allclose(posterior.mean, torch.tensor([1.0] + [2.0] * 8).expand(6, -1))
    assert torch.allclose(prior.mean, torch.tensor([0.0] + [1.0] * 8).expand(6, -1))
    assert torch.allclose(posterior.log_sigma.exp(), torch.tensor(0.5))
    assert torch.allclose(prior.log_sigma.exp(), torch.tensor(1.0))


@pytest.mark.parametrize("name", SMALL)
def test_draws_of_a_finer_scale_lie_around_the_coarser_value(name):
    """Numbers of the prior: 0 with deviation 1, and around it all others, so with deviation sqrt(2) in all."""
    drawn = hearing(name).draw(IMAGE[:1], 4000, rng_for(0, "z"))[0]
    assert drawn[:, 0].std().item() == pytest.approx(1.0, abs=0.05)
    assert drawn[:, 1:].std().item() == pytest.approx(2**0.5, abs=0.05)
    assert (drawn[:, 1:] - drawn[:, :1]).std().item() == pytest.approx(1.0, abs=0.02)
