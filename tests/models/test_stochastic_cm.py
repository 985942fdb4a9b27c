"""The distribution over confusion matrices: annealing, prior and posterior, annotators, planted styles."""

import math

import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.losses import labels_nll_mean
from labutils.models.confusion import identity_logits, said
from labutils.models.latents import Gaussian, Mixture, belief
from labutils.models.registry import build, make_config
from labutils.models.stochastic_cm import from_start
from tests.models.steps import distance, left_of, of_one_rater

SMALL = {"width": 4, "levels": 2, "warm_up": 0, "latent": 3, "anneal": "none"}
IMAGE = torch.rand(2, 1, 7, 5, generator=rng_for(0, "image"))


def make(**settings):
    return build("stochastic-cm", make_config("stochastic-cm", SMALL | settings), rng_for(0, "weights")).eval()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("raters", [0, 3])
def test_annotators_have_matrices_whose_columns_sum_to_one(classes, raters):
    model = make(classes=classes, raters=raters)
    with torch.no_grad():
        z = model.draw(IMAGE, 5, rng_for(0, "z"))
        matrices, probs = model.annotators(IMAGE, 10 * z)
    assert matrices.shape == (2, 5, classes, classes, 7, 5)
    assert torch.allclose(matrices.sum(dim=2), torch.ones(()), atol=1e-6)
    assert torch.allclose(probs.sum(dim=2), torch.ones(()), atol=1e-5)


def test_what_an_annotator_says_is_the_matrix_times_the_truth():
    model = make()
    with torch.no_grad():
        z = model.draw(IMAGE, 4, rng_for(0, "z"))
        matrices, probs = model.annotators(IMAGE, z)
        by_hand = torch.einsum("bsijhw,bjhw->bsihw", matrices, model.clean(IMAGE))
        sampled = model.sample(IMAGE, 4, rng_for(0, "z"))
    assert torch.allclose(probs, by_hand, atol=1e-6)
    assert torch.allclose(sampled, probs, atol=1e-6)


def test_z_changes_what_is_said_and_leaves_the_truth_alone():
    model = make()
    z = torch.stack([torch.full((2, 3), -8.0), torch.full((2, 3), 8.0)], dim=1)
    with torch.no_grad():
        probs = model.annotators(IMAGE, z).probs
        assert not torch.allclose(probs[:, 0], probs[:, 1], atol=1e-4)
        assert torch.equal(model.clean(IMAGE), model.clean(IMAGE))


def test_the_posterior_looks_at_the_label_and_the_prior_at_the_image():
    """In the published model neither does: z is drawn from a fixed normal distribution whatever the image."""
    model = make()
    features = model.features(IMAGE)
    empty, full = (torch.full((2, 1, 7, 5), label, dtype=torch.uint8) for label in (0, 1))
    assert not torch.allclose(*(model.posterior(model._with(features, label)) for label in (empty, full)), atol=1e-4)
    prior = model.prior(features)
    assert not torch.allclose(prior[0], prior[1], atol=1e-5)


def test_identified_raters_have_priors_of_their_own():
    model = make(raters=2)
    features = model.features(IMAGE)
    first, second = (model.prior(features, torch.full((2,), rater)) for rater in (0, 1))
    assert not torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize(("components", "kind"), [(1, Gaussian), (3, Mixture)])
def test_the_prior_mixes_as_many_distributions_as_asked_for(components, kind):
    model = make(components=components)
    assert isinstance(belief(model.prior(model.features(IMAGE)), 3), kind)
    batch = Batch(IMAGE, torch.zeros(2, 2, 7, 5, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.bool))
    prior, posterior, _ = model.latents(batch)
    assert isinstance(prior, kind)
    assert prior.moments().mean.shape == posterior.mean.shape == (4, 3)
    assert torch.isfinite(model.objective(batch, 0, rng_for(0, "o")).kl)


def test_steps_down_the_total_bring_what_is_believed_after_a_mask_nearer_to_what_was_before():
    masks = (torch.rand(2, 3, 7, 5, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
    model, batch = make(components=1, beta=1e4), Batch(IMAGE, masks, torch.ones(2, 3, dtype=torch.bool))
    assert left_of(distance, model, of_one_rater(batch)) < 0.9


def test_only_present_raters_are_drawn():
    model = make()
    masks = torch.stack([torch.zeros(2, 7, 5), torch.ones(2, 7, 5)], dim=1).to(torch.uint8)
    present = torch.tensor([[True, False], [True, False]])
    blank = Batch(IMAGE, torch.zeros_like(masks), torch.ones_like(present))
    for draw in range(8):
        got = model.objective(Batch(IMAGE, masks, present), 0, rng_for(draw, "o")).raters
        assert got.item() == pytest.approx(model.objective(blank, 0, rng_for(draw, "o")).raters.item())


def test_latent_vectors_of_another_size_are_refused():
    with pytest.raises(InputError, match="wanted Z = 3"):
        make().annotators(IMAGE, torch.zeros(2, 1, 4))
    with pytest.raises(InputError, match="n is 0"):
        make().sample(IMAGE, 0, rng_for(0, "s"))


def column_of(logit):
    """Log-matrix (1, 1, 2, 2, 1, 1): foreground called so with chance .95, background with the chance of `logit`."""
    background = torch.log_softmax(torch.stack([torch.zeros(()), logit]), dim=0)
    return torch.stack([background, torch.tensor([0.05, 0.95]).log()], dim=1)[None, None, :, :, None, None]


@pytest.mark.parametrize("chance", [0.05, 1e-3, 1e-6])
def test_the_slope_of_the_likelihood_fades_with_a_chance_and_that_of_the_hold_grows(chance):
    """By hand, for a mask that calls foreground a pixel that the clean head calls background with .7."""
    logit = torch.tensor(chance / (1 - chance), dtype=torch.float32).log().requires_grad_()
    log_probs = torch.tensor([0.7, 0.3]).log().view(1, 2, 1, 1)
    mask = torch.ones(1, 1, 1, 1, dtype=torch.uint8)
    nll = labels_nll_mean(said(log_probs, column_of(logit)), mask, torch.ones(1, 1, dtype=torch.bool))
    (slope,) = torch.autograd.grad(nll, logit)
    says = 0.7 * chance + 0.3 * 0.95
    assert slope.item() == pytest.approx(-chance * (1 - chance) * 0.7 / says, rel=1e-3)
    hold = from_start(column_of(logit), identity_logits(2, 0.95))
    (slope,) = torch.autograd.grad(hold, logit)
    up, down = math.log(chance / 0.05), math.log((1 - chance) / 0.95)  # of four entries, two moved
    assert hold.item() == pytest.approx((up**2 + down**2) / 4, rel=1e-3, abs=1e-9)
    assert slope.item() == pytest.approx((up * (1 - chance) - down * chance) / 2, rel=1e-3, abs=1e-6)


def test_the_hold_is_nothing_at_the_start_and_draws_a_lost_chance_back():
    """All chances to call background foreground have gone to e^-12, and half of the masks call all of it foreground."""
    masks = torch.stack([torch.zeros(2, 7, 5), torch.ones(2, 7, 5)], dim=1).to(torch.uint8)
    batch = Batch(IMAGE, masks, torch.ones(2, 2, dtype=torch.bool))
    found = {}
    for hold in (0.0, 1.0):
        model = make(hold=hold, norm="none")
        assert model.objective(batch, 0, rng_for(0, "o")).hold.item() < 1e-2
        with torch.no_grad():
            model.decoder.entries.bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))
        optimizer = torch.optim.Adam(model.decoder.entries.parameters(), 1e-2)
        for step in range(50):
            terms = model.objective(batch, step, rng_for(0, "same draw"))
            optimizer.zero_grad()
            terms.total.backward()
            optimizer.step()
        found[hold] = terms.hold.item()
    assert found[1.0] < 0.6 * found[0.0]
