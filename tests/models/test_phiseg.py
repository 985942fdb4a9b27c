"""PHiSeg: its scales, the sums of its ladder, and its loss by hand."""

import math

import pytest
import torch

from labutils.core.checks import ConfigError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.phiseg import Growth, PHiSeg, PHiSegConfig
from labutils.models.registry import build, make_config
from tests.models.steps import distance, doubt, left_of, of_one_rater

SMALL = {"width": 4, "levels": 4, "convs": 1, "latents": (1, 2)}  # maps of 1 and 2 x 2 x 2 numbers
IMAGE = torch.rand(2, 1, 8, 8, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 8, 8, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))


def make(**settings):
    return build("phiseg", make_config("phiseg", SMALL | settings), rng_for(0, "weights")).eval()


def test_the_defaults_have_the_published_levels_and_scales():
    with torch.device("meta"):
        model = PHiSeg(PHiSegConfig())
    assert model.config.widths == (32, 64, 128, 192, 192, 192, 192)
    maps = model.encode(torch.zeros(1, 1, 128, 128, device="meta"))
    assert model.shares(maps) == [2 * side**2 for side in (2, 4, 8, 16, 32)]
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == 19


def test_the_image_reaches_an_answer_through_the_latent_maps_alone():
    model, z = make(), torch.randn(2, 3, 9, generator=rng_for(0, "z"))
    assert torch.equal(model.answers(IMAGE, z), model.answers(1 - IMAGE, z))
    assert not torch.equal(model(IMAGE).z, model(1 - IMAGE).z)


def test_every_scale_adds_logits_to_those_of_the_coarser_ones():
    model = make()
    with torch.no_grad():
        for head, value in zip(model.ladder.heads, (3.0, -1.0), strict=True):
            head.weight.zero_()
            head.bias.fill_(value)
        coarse, fine = model.ladder([torch.randn(2, 1, 1, 1), torch.randn(2, 2, 2, 2)])
    assert coarse.shape == fine.shape == (2, 2, 8, 8)
    assert (coarse == 3).all()
    assert (fine == 2).all()


def test_maps_are_doubled_between_blocks_and_bilinearly_by_hand():
    row = torch.tensor([0.0, 4.0]).expand(1, 1, 2, 2)
    doubled = Growth(torch.nn.Identity(), torch.nn.Identity())(row)
    assert torch.equal(doubled, torch.tensor([0.0, 1.0, 3.0, 4.0]).expand(1, 1, 4, 4))  # a quarter off each center


def test_the_loss_by_hand():
    """Answers of one half, beliefs N(0, 1) before and N(1, 1/4) after the mask: the coarser KL counts 4 times."""
    model = make(beta=2.0)
    with torch.no_grad():
        for part in (*model.prior.read, *model.posterior.read, *model.ladder.heads):
            part.weight.zero_()
            part.bias.zero_()
        for belief in model.posterior.read:
            numbers = len(belief.bias) // 2
            belief.bias[:numbers] = 1.0
            belief.bias[numbers:] = 4 * math.atanh(math.log(0.5) / 4)  # undoes the bound on log sigma
    terms = model.objective(BATCH, 0, rng_for(0, "o"))
    each = math.log(2) + (0.25 + 1) / 2 - 0.5
    assert terms.kl.item() == pytest.approx((4 * 1 + 8) * each, rel=1e-5)
    assert terms.finest.item() == pytest.approx(64 * math.log(2))
    assert terms.reconstruction.item() == pytest.approx(2 * 64 * math.log(2))
    assert terms.total.item() == pytest.approx((128 * math.log(2) + 2 * 12 * each) / 64, rel=1e-5)


@pytest.mark.parametrize(("measure", "settings"), [(doubt, {"beta": 0.0}), (distance, {"beta": 1e4})])
def test_steps_down_the_total_lower_what_a_term_stands_for(measure, settings):
    assert left_of(measure, make(**settings), of_one_rater(BATCH)) < 0.99


def test_scales_can_be_drawn_one_by_one():
    model = make()
    still = model.sample(IMAGE, 2, rng_for(0, "s"), drawn=(False, False))
    assert torch.equal(still[:, 0], still[:, 1])
    for drawn in ("all", "global", "local"):
        answers = model.sample(IMAGE, 2, rng_for(0, "s"), drawn=drawn)
        assert not torch.equal(answers[:, 0], answers[:, 1])


def test_more_scales_than_levels_are_refused():
    with pytest.raises(ConfigError, match=r"latents is \(1, 1, 1, 1, 1\); wanted 1 to 4 numbers"):
        make(latents=(1, 1, 1, 1, 1))
    with pytest.raises(ConfigError, match="beta is -1"):
        make(beta=-1.0)
    with pytest.raises(ConfigError, match="ramp is 0"):
        make(ramp=0)


def test_the_weight_of_the_divergence_is_that_of_the_step():
    model = make(anneal="linear", ramp=10, beta=2.0)
    for step, weight in ((0, 0.0), (5, 1.0), (50, 2.0)):
        terms = model.objective(BATCH, step, rng_for(0, "o"))
        wanted = (terms.reconstruction + weight * terms.kl).item() / 64
        assert terms.total.item() == pytest.approx(wanted, rel=1e-5)
