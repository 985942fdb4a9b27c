"""What every registered model must do; a new model is tested by adding one line to SMALL."""

import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.registry import MODELS, build, make_config, name_of
from tests.models.sizes import BUILT_FOR_ONE, pairs, sized

BODY = {"width": 4, "levels": 2}
SMALL = {
    "unet": BODY,
    "global-cm": BODY | {"raters": 3, "warm_up": 0},
    "pixel-cm": BODY | {"raters": 3, "warm_up": 0},
    "stochastic-cm": BODY | {"raters": 3, "warm_up": 0, "anneal": "none"},
    "original-cm": BODY | {"latent": 16, "anneal": "none"},
    "prob-unet": BODY | {"latent": 3},
    "hier-prob-unet": {"width": 4, "levels": 3, "latents": (1, 1), "blocks": 1, "convs": 2, "loss": "elbo"},
    "phiseg": {"width": 4, "levels": 3, "convs": 1, "latents": (1, 1)},
    "ssn": BODY | {"rank": 2, "draws": 4},
}
ONE_RATER = ("stochastic-cm", "original-cm", "prob-unet", "hier-prob-unet", "phiseg", "ssn")  # drawn for each image
UNET_OF_ONE = {"target": "random-rater"}
SIZES = [(1, 8, 8), (2, 13, 9), (1, 1, 1)]  # B, H, W


def make(name, seed=0, height=8, width=8, **settings):
    return build(name, make_config(name, sized(name, SMALL[name] | settings, height, width)), rng_for(seed, "weights"))


def make_batch(cases=2, raters=3, height=8, width=8):
    rng = rng_for(0, "batch")
    image = torch.rand(cases, 1, height, width, generator=rng)
    masks = (image[:, 0, None] + 0.3 * torch.rand(cases, raters, height, width, generator=rng) > 0.7).to(torch.uint8)
    present = torch.ones(cases, raters, dtype=torch.bool)
    present[0, -1] = raters == 1
    return Batch(image, masks, present)


def test_every_model_is_tested():
    assert set(SMALL) == set(MODELS)


@pytest.mark.parametrize(("name", "size"), pairs(SIZES))
def test_samples_are_probabilities_of_the_image_size(name, size):
    cases, height, width = size
    model = make(name, height=height, width=width).eval()
    image = make_batch(cases, height=height, width=width).image
    with torch.no_grad():
        probs = model.sample(image, 3, rng_for(0, "draw"))
    assert probs.shape == (cases, 3, 2, height, width)
    assert probs.min() >= 0
    assert torch.allclose(probs.sum(dim=2), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_weights_derive_from_the_generator_alone(name):
    """Not from global chance, which differs from process to process."""
    drawn = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn.append(make(name).state_dict())
    for key, tensor in drawn[0].items():
        assert torch.equal(tensor, drawn[1][key]), key


@pytest.mark.parametrize("name", MODELS)
def test_the_same_generator_gives_the_same_samples(name):
    model, image = make(name).eval(), make_batch().image
    with torch.no_grad():
        first, second = (model.sample(image, 4, rng_for(0, "draw")) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", MODELS)
def test_fewer_samples_than_one_and_shared_chance_are_refused(name):
    model, image = make(name).eval(), make_batch().image
    for draw in [getattr(model, method) for method in ("sample", "draw") if hasattr(model, method)]:
        with pytest.raises(InputError, match="n is 0; wanted one sample or more"):
            draw(image, 0, rng_for(0, "draw"))
        with pytest.raises(InputError, match=r"wanted a torch\.Generator"):
            draw(image, 2, None)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.bool, torch.float64])
@pytest.mark.parametrize("name", MODELS)
def test_images_of_other_numbers_are_refused(name, kind):
    model, batch = make(name).eval(), make_batch()
    image, z = batch.image.to(kind), torch.zeros(2, 1, 1)
    ways = {
        "forward": lambda: model(image),
        "sample": lambda: model.sample(image, 2, rng_for(0, "draw")),
        "draw": lambda: model.draw(image, 2, rng_for(0, "draw")),
        "clean": lambda: model.clean(image),
        "answers": lambda: model.answers(image, z.expand(-1, -1, model.draw(batch.image, 1, rng_for(0)).shape[2])),
        "reconstruct": lambda: model.reconstruct(image, batch.masks[:, 0]),
    }
    for way in [ways[method] for method in ways if hasattr(model, method)]:
        with pytest.raises(InputError, match=rf"^image is of type {kind}; wanted torch\.float32$"):
            way()


@pytest.mark.parametrize("name", MODELS)
def test_images_of_half_the_width_are_taken_under_autocast(name):
    model, image = make(name).eval(), make_batch().image
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        probs = model.sample(image.bfloat16(), 2, rng_for(0, "draw"))
    assert torch.isfinite(probs).all()


@pytest.mark.parametrize("name", MODELS)
def test_labels_that_are_no_class_are_refused(name):
    model, batch = make(name).eval(), make_batch()
    wrong = {label: batch.masks.int().masked_fill(batch.image < 0.2, label) for label in (-1, 2)}
    for label, masks in wrong.items():
        ways = [lambda masks=masks: model.objective(batch._replace(masks=masks), 0, rng_for(0, "objective"))]
        if hasattr(model, "latents"):
            ways.append(lambda masks=masks: model.latents(batch._replace(masks=masks)))
        if hasattr(model, "reconstruct"):
            ways.append(lambda masks=masks: model.reconstruct(batch.image, masks[:, 0]))
        for way in ways:
            with pytest.raises(InputError, match=f"^masks hold class {label}; the network has 2 classes$"):
                way()


@pytest.mark.parametrize("name", MODELS)
def test_the_image_is_encoded_once(name):
    model, image = make(name).eval(), make_batch().image
    calls = []
    encoder = model.down if hasattr(model, "down") else model.prior.down
    encoder[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        model.sample(image, 7, rng_for(0, "draw"))
    assert len(calls) == 1


@pytest.mark.parametrize("name", MODELS)
def test_weights_depend_on_the_generator_alone_and_leave_global_chance_alone(name):
    before = torch.random.get_rng_state()
    first, same, other = make(name, 0), make(name, 0), make(name, 1)
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(first.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = make(name).train()
    model.objective(make_batch(), 0, rng_for(0, "objective")).total.backward()
    idle = getattr(model, "idle", None)  # belongs to a published network, and learns nothing there
    for parameter_name, parameter in model.named_parameters():
        if idle and parameter_name.startswith(idle):
            assert parameter.grad is None, parameter_name
            continue
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize(("name", "settings"), [(name, {}) for name in ONE_RATER] + [("unet", UNET_OF_ONE)])
def test_the_loss_is_that_of_one_rater_drawn_among_those_present(name, settings):
    """Of three raters the first is absent, and the others draw nothing and everything: a step learns from one alone."""
    model, image = make(name, **settings).eval(), make_batch(1).image
    masks = torch.tensor([1, 0, 1], dtype=torch.uint8)[None, :, None, None].expand(-1, -1, 8, 8)

    def learned(seed, *present):
        """The term that follows the mask: the first after the total."""
        return model.objective(Batch(image, masks, torch.tensor([present])), 0, rng_for(seed, "objective"))[1].item()

    drawn = []
    for seed in range(12):
        alone = [learned(seed, False, True, False), learned(seed, False, False, True)]
        assert alone[0] != pytest.approx(alone[1], rel=1e-4)
        either = learned(seed, False, True, True)
        assert either in alone
        drawn.append(alone.index(either))
    assert set(drawn) == {0, 1}


@pytest.mark.parametrize("side", [8, 1])
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_case_is_learned_from(name, side):
    """The last batch of an epoch may be that small; also where the coarsest map is a single pixel."""
    if side == 1:
        side = 4 if name in BUILT_FOR_ONE else 2 ** (SMALL[name]["levels"] - 1)
    model = make(name, height=side, width=side).train()
    terms = model.objective(make_batch(1, height=side, width=side), 0, rng_for(0, "objective"))
    assert all(torch.isfinite(term) for term in terms)
    terms.total.backward()
    slopes = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert slopes
    assert all(torch.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_falls_on_eight_cases(name):
    model, batch = make(name).train(), make_batch(8)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for step in range(120):  # a distribution over annotators first finds one answer, then tells them apart
        total = model.objective(batch, step, rng_for(0, step)).total
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_two_hundred_steps_stay_finite(name):
    model, batch = make(name).train(), make_batch()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for step in range(200):
        terms = model.objective(batch, step, rng_for(0, step))
        assert all(torch.isfinite(term) for term in terms), step
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_left_on_the_model(name):
    model, batch = make(name).train(), make_batch()
    before = set(vars(model))
    model.objective(batch, 0, rng_for(0, "o"))
    model.sample(batch.image, 2, rng_for(0, "s"))
    assert set(vars(model)) == before


@pytest.mark.parametrize("name", MODELS)
def test_the_name_is_found_again(name):
    assert name_of(make(name)) == name
