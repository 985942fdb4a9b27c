"""The published confusion-matrix network: what each of its faults does, by hand, and what its repair changes."""

import math

import pytest
import torch
from torch.nn import functional

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.architecture import describe
from labutils.models.latents import kl_weight
from labutils.models.original_cm import OriginalCMConfig, gaussian
from labutils.models.registry import build, make_config

SMALL = {"width": 4, "levels": 2, "size_px": [7, 5], "latent": 4, "anneal": "none"}
IMAGE = torch.rand(2, 1, 7, 5, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 7, 5, generator=rng_for(0, "masks")) < 0.4).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))
REPAIRED = {"kl_times": 1, "second_term": False, "third_term": False, "mixed": "probabilities"}


def make(**settings):
    return build("original-cm", make_config("original-cm", SMALL | settings), rng_for(0, "weights")).eval()


def terms(step=0, batch=BATCH, **settings):
    with torch.no_grad():
        return make(**settings).objective(batch, step, rng_for(0, "objective"))


def test_the_defaults_are_the_published_settings():
    config = OriginalCMConfig()
    faults = (config.mixed, config.kl_times, config.z, config.second_term, config.third_term, config.drawn)
    assert faults == ("logits", 2, "unconditional", True, True, "batch")
    assert (config.width, config.levels, config.latent, config.beta) == (24, 3, 6, 20.0)


def test_the_total_is_the_documented_sum():
    for settings in ({}, {"kl_times": 1}, {"beta": 3.0, "second_term": False}, {"anneal": "linear", "ramp": 10}):
        got, config = terms(step=4, **settings), make(**settings).config
        wanted = got.raters + got.second + got.third + config.kl_times * kl_weight(config, 4) * got.kl
        assert got.total.item() == pytest.approx(wanted.item())


@pytest.mark.parametrize(
    ("repair", "changed"),
    [
        ({"mixed": "probabilities"}, {"raters", "third"}),
        ({"kl_times": 1}, set()),
        ({"second_term": False}, {"second"}),
        ({"third_term": False}, {"third"}),
    ],
)
def test_a_repair_changes_the_terms_it_names_and_no_other(repair, changed):
    published, repaired = terms()._asdict(), terms(**repair)._asdict()
    assert {name for name in published if published[name] != repaired[name]} == changed | {"total"}


def test_the_divergence_counts_exactly_twice_as_much():
    settings = {"beta": 3.0, "second_term": False, "third_term": False}
    twice, once = terms(kl_times=2, **settings), terms(kl_times=1, **settings)
    assert twice.kl == once.kl
    assert twice.kl > 0.1
    assert (twice.total - twice.raters).item() == pytest.approx(2 * (once.total - once.raters).item(), rel=1e-5)


def fixed(model, logits, matrix):
    """What a model says of two pixels with these logits (K, 2) under one matrix (K, K) at both."""
    logits = torch.tensor(logits)[None, :, None]
    log_matrices = torch.tensor(matrix).log()[None, None, :, :, None, None].expand(-1, -1, -1, -1, 1, 2)
    return model.said(logits, log_matrices).exp()[0, 0, :, 0]


def test_what_an_annotator_says_by_hand():
    """Two pixels, logits (0, log 3) and (0, 0): the truth is class 1 with 3/4 and 1/2."""
    logits, matrix = [[0.0, 0.0], [math.log(3), 0.0]], [[0.9, 0.2], [0.1, 0.8]]
    right = fixed(make(mixed="probabilities"), logits, matrix)
    assert right[1].tolist() == pytest.approx([0.1 * 0.25 + 0.8 * 0.75, 0.45])
    published = fixed(make(), logits, matrix)  # logits (0.2 log 3, 0.8 log 3): their difference is 0.6 log 3
    assert published[1].tolist() == pytest.approx([3**0.6 / (1 + 3**0.6), 0.5])


@pytest.mark.parametrize(("mixed", "moves"), [("logits", True), ("probabilities", False)])
def test_mixing_logits_depends_on_their_level(mixed, moves):
    """The clean head's softmax does not know it."""
    model, matrix = make(mixed=mixed), [[0.9, 0.2], [0.1, 0.8]]
    low, high = (fixed(model, [[level, level], [level + 1, level - 1]], matrix) for level in (0.0, 5.0))
    assert torch.allclose(low, high, atol=1e-6) != moves


def test_the_terms_by_hand():
    """From what annotators say, which the test above works out, and from the definitions of the terms."""
    model = make(drawn="image")
    one_rater = BATCH._replace(masks=MASKS[:, :1], present=BATCH.present[:, :1])
    got = terms(batch=one_rater, drawn="image")
    with torch.no_grad():
        logits, rng = model(IMAGE).logits, rng_for(0, "objective")
        torch.rand(2, generator=rng, dtype=torch.float64)  # of the rater
        posterior = gaussian(model.posterior(model.features(IMAGE)))
        probs = model.annotators(IMAGE, posterior.draw(1, rng)).probs[:, 0]
    label = MASKS[:, 0].long()
    assert got.raters.item() == pytest.approx(functional.nll_loss(probs.log(), label).item(), abs=1e-6)
    assert got.second.item() == pytest.approx(functional.cross_entropy(logits, label).item(), abs=1e-6)
    assert got.third.item() == pytest.approx(functional.nll_loss(probs.log(), logits.argmax(dim=1)).item(), abs=1e-6)
    variance = (2 * posterior.log_sigma).exp()
    by_hand = 0.5 * (variance + posterior.mean**2 - 1 - variance.log()).sum(dim=1).mean()
    assert got.kl.item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("z", ["unconditional", "conditional"])
@pytest.mark.parametrize("mixed", ["logits", "probabilities"])
def test_columns_and_answers_sum_to_one(classes, z, mixed):
    model = make(classes=classes, z=z, mixed=mixed)
    with torch.no_grad():
        drawn = model.draw(IMAGE, 5, rng_for(0, "z"))
        matrices, probs = model.annotators(IMAGE, 10 * drawn)
        sampled = model.sample(IMAGE, 5, rng_for(0, "z"))
        said = model.annotators(IMAGE, drawn).probs
    assert matrices.shape == (2, 5, classes, classes, 7, 5)
    assert (matrices.sum(dim=2) - 1).abs().max() < 1e-6
    assert (probs.sum(dim=2) - 1).abs().max() < 1e-5
    assert torch.equal(sampled, said)


@pytest.mark.parametrize(("z", "same"), [("unconditional", True), ("conditional", False)])
def test_the_unconditional_draw_does_not_depend_on_the_image(z, same):
    model = make(z=z)
    with torch.no_grad():
        first, second = (model.draw(image, 6, rng_for(0, "z")) for image in (IMAGE, 1 - IMAGE))
    assert torch.equal(first, second) == same


@pytest.mark.parametrize(("z", "sources"), [("unconditional", []), ("conditional", ["prior"])])
def test_a_drawing_shows_what_new_annotators_are_drawn_from(z, sources):
    flows = describe(make(z=z), (1, 7, 5)).flows
    assert [flow.source for flow in flows if flow.target == "proposed"] == sources
    assert [flow.target for flow in flows if flow.source == "posterior"] == ["decoder", "recognized"]


@pytest.mark.parametrize(("z", "same"), [("unconditional", True), ("conditional", False)])
def test_the_unconditional_posterior_does_not_see_the_label(z, same):
    model = make(z=z)
    with torch.no_grad():
        told = [model.latents(BATCH._replace(masks=masks)).posterior.mean for masks in (MASKS, 1 - MASKS)]
    assert told[0].shape == (6, 4)
    assert torch.equal(*told) == same


def test_matrices_do_not_see_the_image():
    model, z = make(), torch.randn(2, 3, 4, generator=rng_for(0, "z"))
    with torch.no_grad():
        matrices = [model.annotators(image, z).matrices for image in (IMAGE, 1 - IMAGE)]
    assert torch.equal(*matrices)


@pytest.mark.parametrize(("drawn", "raters"), [("batch", {1}), ("image", {1, 2, 3})])
def test_one_rater_is_drawn_for_a_batch_or_for_each_image(drawn, raters):
    cases = 32
    masks = torch.arange(3, dtype=torch.uint8)[None, :, None, None].expand(cases, 3, 7, 5)
    batch = Batch(IMAGE[:1].expand(cases, -1, -1, -1), masks, torch.ones(cases, 3, dtype=torch.bool))
    model = make(classes=3, drawn=drawn)
    labels = [model._label(batch, rng_for(seed, "rater")) for seed in range(8)]
    assert {len(label.unique()) for label in labels} <= raters
    assert torch.stack(labels).unique().tolist() == [0, 1, 2]
    assert max(len(label.unique()) for label in labels) == max(raters)


@pytest.mark.parametrize("drawn", ["batch", "image"])
def test_masks_of_absent_raters_are_never_learned_from(drawn):
    masks = torch.stack([torch.zeros(2, 7, 5), torch.ones(2, 7, 5)], dim=1).to(torch.uint8)
    present = torch.tensor([[True, False], [False, True]])
    model = make(drawn=drawn)
    for seed in range(8):
        label = model._label(Batch(IMAGE, masks, present), rng_for(seed, "rater"))
        assert label[0].max() == 0
        assert label[1].min() == 1


@pytest.mark.parametrize("settings", [{}, {"z": "conditional"}, REPAIRED | {"z": "conditional", "third_term": True}])
def test_training_is_finite_and_lowers_what_the_terms_claim(settings):
    """200 steps: the annotators' term falls, and a KL with weight falls below one without."""
    kls = {}
    for beta in (0.0, 1.0):
        model = make(beta=beta, ramp=50, **settings).train()
        optimizer, first = torch.optim.AdamW(model.parameters(), 1e-3), None
        for step in range(200):
            got = model.objective(BATCH, step, rng_for(0, step % 3))
            assert all(torch.isfinite(term) for term in got), step
            optimizer.zero_grad()
            got.total.backward()
            optimizer.step()
            first = first or got
        kls[beta] = got.kl.item()
        assert got.raters < first.raters
    assert kls[1.0] < 0.5 * kls[0.0]


@pytest.mark.parametrize(("term", "of"), [("second_term", "clean"), ("third_term", "annotators")])
def test_a_term_left_in_lowers_what_it_claims_to_lower(term, of):
    """Second: the clean head moves to the raters' masks. Third: annotators move to the clean head's answer."""
    gaps = []
    for kept in (False, True):
        model = make(**{**REPAIRED, "beta": 0.0, term: kept}).train()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        for step in range(40):
            total = model.objective(BATCH, step, rng_for(0, step)).total
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        with torch.no_grad():
            logits, _, _, recognized = model.whole(IMAGE)
            said = model.annotators(IMAGE, recognized[:, None, :4]).probs[:, 0].log()
        votes = MASKS.float().mean(dim=1)
        target = torch.stack([1 - votes, votes], dim=1) if of == "clean" else logits.argmax(dim=1)
        gaps.append(functional.cross_entropy(logits if of == "clean" else said, target).item())
    assert gaps[1] < gaps[0] - 0.02


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="wanted Z = 4"):
        make().annotators(IMAGE, torch.zeros(2, 1, 6))
    with pytest.raises(InputError, match="n is 0"):
        make().sample(IMAGE, 0, rng_for(0, "s"))
    with pytest.raises(InputError, match="masks hold class 2; the network has 2 classes"):
        make().objective(BATCH._replace(masks=MASKS + 1), 0, rng_for(0, "o"))
    with pytest.raises(InputError, match=r"image has shape \(1, 1, 28, 28\); wanted H = 7"):
        make().sample(torch.zeros(1, 1, 28, 28), 1, rng_for(0, "s"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latent": 1}, "latent is 1"),
        ({"ramp": 0}, "ramp is 0"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"kl_times": 3}, "kl_times is 3; wanted one of 2, 1"),
        ({"mixed": "both"}, "mixed is 'both'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        make_config("original-cm", settings)
