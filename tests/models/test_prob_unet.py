"""The Probabilistic U-Net: its head by hand, its loss by hand, what it computes once, and planted modes."""

import math

import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.latents import Gaussian, divergence, normal
from labutils.models.registry import build, make_config
from tests.models.steps import distance, doubt, left_of, of_one_rater

SMALL = {"width": 4, "levels": 2, "convs": 1, "latent": 3}
IMAGE = torch.rand(2, 1, 6, 5, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 6, 5, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))


def make(**settings):
    return build("prob-unet", make_config("prob-unet", SMALL | settings), rng_for(0, "weights")).eval()


def test_the_defaults_are_the_published_network():
    config = make_config("prob-unet")
    assert (config.widths, config.convs, config.norm, config.latent) == ((32, 64, 128, 256, 512), 3, "none", 6)
    with torch.device("meta"):
        network = type(make())(config)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 27.5


def test_the_head_is_three_layers_on_features_and_vector_together():
    """The split first layer against one 1x1 convolution on the concatenation, with the same weights."""
    head, rng = make().head, rng_for(0, "head")
    features, z = torch.randn(2, 4, 6, 5, generator=rng), torch.randn(2, 3, generator=rng)
    tiled = torch.cat([features, z[:, :, None, None].expand(-1, -1, 6, 5)], dim=1)
    weight = torch.cat([head.see.weight, head.who.weight[:, :, None, None]], dim=1)
    first = torch.conv2d(tiled, weight, head.see.bias + head.who.bias)
    assert torch.allclose(head(features, z), head.logits(head.mix(first)), atol=1e-6)


def test_one_image_is_encoded_once_however_many_answers_it_gets():
    model, calls = make(), []
    for part in (model.down[0], model.prior, model.head.see):
        part.register_forward_hook(lambda *_: calls.append(1))
    model.sample(IMAGE, 9, rng_for(0, "s"))
    assert len(calls) == 3


def test_an_answer_is_one_vector_for_all_pixels():
    model = make()
    z = torch.randn(2, 4, 3, generator=rng_for(0, "z"))
    answers = model.answers(IMAGE, z)
    assert torch.equal(answers[:, 2], model.answers(IMAGE, z[:, 2:3])[:, 0])
    features = model.features(IMAGE)
    assert torch.allclose(answers[:, 1], torch.softmax(model.head(features, z[:, 1]), dim=1), atol=1e-6)


def test_the_loss_by_hand():
    """A head that says one half everywhere, a prior N(0, 1) and a posterior N(1, 1/4) in each number."""
    model = make(beta=3.0)
    with torch.no_grad():
        for last in (model.head.logits, model.prior.last, model.posterior.last):
            last.weight.zero_()
            last.bias.zero_()
        model.posterior.last.bias[:3] = 1.0
        model.posterior.last.bias[3:] = 4 * math.atanh(math.log(0.5) / 4)  # undoes the bound on log sigma
    terms = model.objective(BATCH, 0, rng_for(0, "o"))
    each = math.log(2) + (0.25 + 1) / 2 - 0.5
    assert terms.reconstruction.item() == pytest.approx(math.log(2))
    assert terms.kl.item() == pytest.approx(3 * each, rel=1e-5)
    assert terms.total.item() == pytest.approx(math.log(2) + 3.0 * 3 * each / 30, rel=1e-5)


@pytest.mark.parametrize(("measure", "settings"), [(doubt, {"beta": 0.0}), (distance, {"beta": 1e4})])
def test_steps_down_the_total_lower_what_a_term_stands_for(measure, settings):
    assert left_of(measure, make(**settings), of_one_rater(BATCH)) < 0.99


def test_the_weight_of_the_divergence_is_that_of_the_step():
    model = make(anneal="linear", ramp=10, beta=2.0)
    for step, weight in ((0, 0.0), (5, 1.0), (50, 2.0)):
        terms = model.objective(BATCH, step, rng_for(0, "o"))
        assert (terms.total - terms.reconstruction).item() == pytest.approx(weight * terms.kl.item() / 30, abs=1e-6)


def test_the_bound_is_the_evidence_where_everything_is_linear_and_normal():
    r"""y = 2 z + 1 + noise of deviation 1/2 and z ~ N(0, 1): y ~ N(1, 4.25), and :math:`p(z \mid y)` is normal.

    With the true posterior every draw gives the evidence; with another the bound lies below it by their divergence.
    """
    y, noise = torch.tensor([[2.2]]), 0.5
    evidence = torch.distributions.Normal(1.0, 4.25**0.5).log_prob(y).item()
    precision = 1 + 4 / noise**2
    true = Gaussian((y - 1) * 2 / noise**2 / precision, torch.full((1, 1), precision**-0.5).log())
    prior = normal(torch.zeros(1, 2))
    for other, gap in ((true, 0.0), (Gaussian(true.mean + 0.1, true.log_sigma), 0.1**2 * precision / 2)):
        draws = other.draw(200_000, rng_for(0, "z"))[0]
        said = torch.distributions.Normal(2 * draws + 1, noise).log_prob(y[0]).mean().item()
        bound = said - divergence(other, prior, other.mean).item()
        assert bound == pytest.approx(evidence - gap, abs=5e-3)


def test_latents_are_of_every_present_mask_in_order():
    model = make()
    present = torch.tensor([[True, False, True], [False, True, False]])
    prior, posterior, _ = model.latents(Batch(IMAGE, MASKS, present))
    assert prior.mean.shape == posterior.mean.shape == (3, 3)
    assert torch.equal(prior.mean[0], prior.mean[1])
    assert torch.allclose(prior.mean[2], normal(model(IMAGE).proposed).mean[1])
    one_hot = torch.stack([MASKS[1, 1] == 0, MASKS[1, 1] == 1]).float() - 0.5
    seen = torch.cat([IMAGE[1], one_hot])[None]
    assert torch.allclose(posterior.mean[2], normal(model.posterior(seen)).mean[0], atol=1e-6)


def test_wrong_arguments_are_refused():
    model = make()
    with pytest.raises(InputError, match="wanted Z = 3"):
        model.answers(IMAGE, torch.zeros(2, 1, 4))
    with pytest.raises(InputError, match="n is 0"):
        model.sample(IMAGE, 0, rng_for(0, "s"))
    with pytest.raises(InputError, match="class 2; the network has 2"):
        model.reconstruct(IMAGE, MASKS[:, 0] + 1)
    with pytest.raises(InputError, match="mask"):
        model.reconstruct(IMAGE, MASKS)
    with pytest.raises(ConfigError, match="latent is 0; wanted 1 or more"):
        make_config("prob-unet", {"latent": 0})
    with pytest.raises(ConfigError, match="beta is -1"):
        make_config("prob-unet", {"beta": -1.0})


def test_two_kinds_of_answers_are_learned_and_reconstructed():
    """Half of the masks are the dark half of the image and half the bright one."""
    image = torch.linspace(0, 1, 8).expand(8, 1, 8, 8)
    left = (image[:, 0] < 0.5).to(torch.uint8)
    batch = Batch(image, torch.stack([left, 1 - left], dim=1), torch.ones(8, 2, dtype=torch.bool))
    model = build("prob-unet", make_config("prob-unet", SMALL | {"width": 8}), rng_for(0, "weights"))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(300):
        optimizer.zero_grad()
        model.objective(batch, step, rng_for(0, step)).total.backward()
        optimizer.step()
    with torch.no_grad():
        drawn = model.sample(batch.image[:1], 200, rng_for(0, "drawn"))[0, :, 1] > 0.5
        again = model.reconstruct(batch.image, batch.masks[:, 1])[:, 1] > 0.5
    kinds = [(drawn == (side[0] > 0)).all(dim=(1, 2)).float().mean().item() for side in (left, 1 - left)]
    assert min(kinds) > 0.35
    assert torch.equal(again, batch.masks[:, 1] > 0)
