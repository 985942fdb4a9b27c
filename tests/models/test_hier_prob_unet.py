"""The Hierarchical Probabilistic U-Net: published sizes, what is computed once, its loss by hand, and its scales."""

import math
import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.hier_prob_unet import HierProbUNet, HierProbUNetConfig
from labutils.models.registry import build, make_config
from tests.models.steps import distance, doubt, go_down, left_of, of_one_rater

SMALL = {"width": 4, "levels": 4, "latents": (1, 2), "blocks": 1, "convs": 2}  # maps of 1 and 2 x 2 x 2 numbers
IMAGE = torch.rand(2, 1, 8, 8, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 8, 8, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))
PUBLISHED_FLOPS = 23.74e9  # of a training step, for each image of 128 x 128 pixels


def make(**settings):
    return build("hier-prob-unet", make_config("hier-prob-unet", SMALL | settings), rng_for(0, "weights")).eval()


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):
        return HierProbUNet(HierProbUNetConfig())


def count(network, chosen):
    return sum(p.numel() for name, p in network.named_parameters() if chosen(name))


def test_the_defaults_have_the_published_parameters(published):
    assert count(published, lambda name: not name.startswith("multiplier")) == 21_877_230
    assert count(published, lambda name: not name.startswith(("multiplier", "posterior"))) == 11_184_166
    assert count(published, lambda name: name.startswith(published.idle)) == 1_292_928
    assert published.config.widths == (24, 48, 96, 192, 192, 192, 192, 192)


def test_a_step_computes_no_core_twice():
    model = build("hier-prob-unet", make_config("hier-prob-unet", {}), rng_for(0, "weights")).train()
    batch = Batch(torch.rand(1, 1, 128, 128), torch.zeros(1, 1, 128, 128, dtype=torch.uint8), torch.ones(1, 1) > 0)
    with FlopCounterMode(display=False) as counter:
        model.objective(batch, 0, rng_for(0, "o")).total.backward()
    assert 0.9 * PUBLISHED_FLOPS < counter.get_total_flops() <= 1.02 * PUBLISHED_FLOPS


def test_latent_maps_grow_from_one_pixel():
    model = make()
    proposed, recognized, scales = model.latents(BATCH)
    assert scales == (1, 8)
    assert proposed.mean.shape == recognized.mean.shape == (6, 1 + 2 * 4)
    assert model(IMAGE).z.shape == (2, 9)
    assert model.draw(IMAGE, 3, rng_for(0, "z")).shape == (2, 3, 9)


def test_values_that_were_drawn_give_the_answers_that_were_drawn():
    model = make()
    z = model.draw(IMAGE, 4, rng_for(0, "z"))
    assert torch.allclose(model.answers(IMAGE, z), model.sample(IMAGE, 4, rng_for(0, "z")), atol=1e-6)
    assert torch.allclose(
        model.answers(IMAGE, model(IMAGE).z[:, None])[:, 0], model(IMAGE).logits.softmax(1), atol=1e-6
    )


@pytest.mark.parametrize(
    ("drawn", "passes"),
    [("all", 3 + 3), ("global", 3 + 3), ("local", 1 + 3), ((False, False), 1 + 1), ((True, False), 3 + 3)],
)
def test_scales_above_the_first_that_is_drawn_are_decoded_once(drawn, passes):
    model, seen = make(), []
    for belief in model.prior.beliefs:
        belief.register_forward_hook(lambda *_: seen.append(1))
    answers = model.sample(IMAGE, 3, rng_for(0, "s"), drawn=drawn)
    assert answers.shape == (2, 3, 2, 8, 8)
    assert len(seen) == passes
    assert torch.equal(answers[:, 0], answers[:, 1]) == (passes == 2)


def test_a_scale_at_its_mean_stays_at_the_mean_of_what_the_coarser_ones_say():
    model = make()
    with torch.no_grad():
        model.prior.beliefs[0].bias[1] = 3.0  # a wide first scale
    z = torch.zeros(2, 1, 9)
    z[..., 0] = model.draw(IMAGE, 1, rng_for(0, "global"))[..., 0]
    maps, _ = model._maps(IMAGE)
    at = model.along(maps, [z[:, 0, :1], z[:, 0, 1:]])
    z[:, 0, 1:] = at.beliefs[1].mean
    drawn = model.sample(IMAGE, 1, rng_for(0, "global"), drawn="global")
    assert torch.allclose(drawn, model.answers(IMAGE, z), atol=1e-6)


def still(model):
    """Beliefs N(0, 1) before and N(1, 1/4) after the mask, and one half for every class."""
    with torch.no_grad():
        for part in (*model.prior.beliefs, *model.posterior.beliefs, model.head):
            part.weight.zero_()
            part.bias.zero_()
        for belief in model.posterior.beliefs:
            numbers = len(belief.bias) // 2
            belief.bias[:numbers] = 1.0
            belief.bias[numbers:] = 4 * math.atanh(math.log(0.5) / 4)  # undoes the bound on log sigma
    return model


EACH = math.log(2) + (0.25 + 1) / 2 - 0.5  # nats of one number


def test_the_bound_by_hand():
    terms = still(make(loss="elbo", beta=2.0)).objective(BATCH, 0, rng_for(0, "o"))
    assert terms.kl.item() == pytest.approx(9 * EACH, rel=1e-5)
    assert terms.reconstruction.item() == pytest.approx(64 * math.log(2))
    assert terms.total.item() == pytest.approx((64 * math.log(2) + 2 * 9 * EACH) / 64, rel=1e-5)


def test_the_constrained_loss_by_hand():
    """An eighth of 128 pixels counts: 8 an image, so the target is 8 kappa; the first average is the loss itself."""
    model = still(make(hard=0.125, kappa=0.05)).train()
    terms = model.objective(BATCH, 0, rng_for(0, "o"))
    assert terms.reconstruction.item() == pytest.approx(8 * math.log(2))
    assert terms.penalty.item() == pytest.approx(8 * math.log(2) - 8 * 0.05)
    assert terms.total.item() == pytest.approx((8 * math.log(2) - 8 * 0.05 + 9 * EACH) / 64, rel=1e-5)
    assert terms.multiplier.item() == pytest.approx(1.0)
    assert model.multiplier.average.item() == pytest.approx(8 * math.log(2))


@pytest.mark.parametrize(
    ("measure", "settings"),
    [
        (doubt, {"loss": "elbo", "beta": 0.0}),
        (distance, {"loss": "elbo", "beta": 1e4}),
        (doubt, {"hard": 1.0, "start": 1e4}),
        (distance, {"hard": 1.0, "start": 1e-6, "rate": 1e-6}),
    ],
)
def test_steps_down_the_total_lower_what_a_term_stands_for(measure, settings):
    assert left_of(measure, make(**settings), of_one_rater(BATCH)) < 0.99


@pytest.mark.parametrize(("kappa", "rises"), [(0.0, True), (100.0, False)])
def test_lambda_rises_above_the_target_and_falls_below(kappa, rises):
    """A hard pixel costs about one half to two nats at first: more than nothing, and less than a hundred."""
    model, before = make(kappa=kappa, rate=1e3), make().multiplier.value().item()
    go_down(model, BATCH, steps=3)
    after = model.multiplier.value().item()
    assert (after > 1.001 * before) if rises else (after < 0.999 * before)


def test_the_multiplier_grows_while_the_constraint_is_missed_and_all_stays_finite():
    model = make(hard=0.25).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for step in range(200):
        terms = model.objective(BATCH, step, rng_for(0, step))  # masks at random: nothing can be reconstructed
        assert all(torch.isfinite(term) for term in terms), step
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
    assert terms.multiplier > 1.05


def test_any_size_will_do():
    model = make()
    image = torch.rand(1, 1, 13, 21)
    assert model.sample(image, 2, rng_for(0, "s")).shape == (1, 2, 2, 13, 21)
    assert model.reconstruct(image, torch.ones(1, 13, 21, dtype=torch.uint8)).shape == (1, 2, 13, 21)


def test_wrong_arguments_are_refused():
    model = make()
    for drawn in ("most", "no", (True,), [True] * 3, [0, 1], ["no"] * 2, None, 0, True, {0: True, 1: False}):
        told = f"drawn is {drawn!r}; wanted one of 'all', 'global', 'local', or True or False for each of 2 scales"
        with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
            model.sample(IMAGE, 1, rng_for(0, "s"), drawn=drawn)
    with pytest.raises(InputError, match="wanted Z = 9"):
        model.answers(IMAGE, torch.zeros(2, 1, 8))
    with pytest.raises(InputError, match="class 2; the network has 2"):
        model.reconstruct(IMAGE, MASKS[:, 0] + 1)
    for settings, told in (
        ({"latents": (1, 1, 1, 1)}, r"latents is \(1, 1, 1, 1\); wanted 1 to 3 numbers of 1 or more for 4 levels"),
        ({"hard": 0.0}, "hard is 0.0; wanted a share above 0"),
        ({"decay": 1.0}, "decay is 1.0"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"kappa": -1.0}, "kappa is -1.0"),
    ):
        with pytest.raises(ConfigError, match=told):
            make_config("hier-prob-unet", SMALL | settings)
