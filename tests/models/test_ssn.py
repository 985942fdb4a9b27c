"""The Stochastic Segmentation Network: its covariance, its loss by hand, and what it may not do."""

import math

import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.registry import build, make_config
from labutils.models.ssn import SSNOutput
from tests.models.steps import go_down

SMALL = {"width": 4, "levels": 2, "rank": 2, "draws": 4}
IMAGE = torch.rand(2, 1, 6, 5, generator=rng_for(0, "image"))
MASKS = (torch.rand(2, 3, 6, 5, generator=rng_for(0, "masks")) > 0.5).to(torch.uint8)
BATCH = Batch(IMAGE, MASKS, torch.ones(2, 3, dtype=torch.bool))


def make(**settings):
    return build("ssn", make_config("ssn", SMALL | settings), rng_for(0, "weights")).eval()


def test_draws_have_the_mean_and_the_covariance():
    """Two pixels of two classes, rank 1 and a diagonal of 1/4: by hand P P^T + D."""
    mean = torch.tensor([1.0, -1.0, 0.0, 2.0]).view(1, 2, 1, 2)
    column = torch.tensor([1.0, 2.0, -1.0, 0.5])
    output = SSNOutput(mean, torch.full((1, 2, 1, 2), math.log(0.25)), column.view(1, 1, 2, 1, 2))
    drawn = output.draw(40_000, rng_for(0, "d")).view(-1, 4)
    assert drawn.mean(dim=0).tolist() == pytest.approx(mean.flatten().tolist(), abs=0.04)
    wanted = torch.outer(column, column) + 0.25 * torch.eye(4)
    assert torch.allclose(drawn.T.cov(), wanted, atol=0.08)


def test_mirrored_draws_lie_on_both_sides_of_the_mean():
    with torch.no_grad():
        output = make()(IMAGE)
    drawn = output.draw(6, rng_for(0, "d"), mirrored=True)
    assert torch.allclose(drawn[:, :3] + drawn[:, 3:], 2 * output.logits[:, None].expand(-1, 3, -1, -1, -1), atol=1e-5)


def test_the_loss_by_hand():
    """Without spread all draws are the mean: one half everywhere, log 2 a pixel."""
    model = make()
    with torch.no_grad():
        for head in (model.head, model.together, model.alone):
            head.weight.zero_()
            head.bias.zero_()
        model.alone.bias.fill_(-1e3)
    terms = model.objective(BATCH, 0, rng_for(0, "o"))
    assert terms.mixture.item() == pytest.approx(30 * math.log(2), rel=1e-3)
    assert terms.total.item() == pytest.approx(math.log(2), rel=1e-3)


def test_the_mean_over_draws_is_inside_the_logarithm():
    """One column that lifts all of class 1: draws say all or nothing, so a full mask costs about log 2 and no more."""
    model = make(rank=1, draws=400)
    with torch.no_grad():
        for head in (model.head, model.together, model.alone):
            head.weight.zero_()
            head.bias.zero_()
        model.alone.bias.fill_(-1e3)
        model.together.bias[1] = 100.0  # a whole unit
        model.unit.gain.fill_(10.0)  # of exp(5 tanh 2) logits
    full = Batch(IMAGE, torch.ones(2, 1, 6, 5, dtype=torch.uint8), torch.ones(2, 1, dtype=torch.bool))
    assert model.objective(full, 0, rng_for(0, "o")).mixture.item() == pytest.approx(math.log(2), abs=0.1)


def test_a_unit_begins_as_it_is_set_and_mean_and_spread_count_in_it():
    for start in (0.125, 1.0, 3.0):
        model = make(start=start)
        assert model.unit(torch.ones(())).item() == pytest.approx(start, rel=1e-5)
        with torch.no_grad():
            output, plain = model(IMAGE), make(start=1.0)(IMAGE)
        assert torch.allclose(output.logits, start * plain.logits, atol=1e-5)
        assert torch.allclose(output.factor, start * plain.factor, atol=1e-5)
    for start in (0.0, 0.001, 1000.0):
        with pytest.raises(ConfigError, match="start is"):
            make(start=start)


def test_certainty_grows_with_the_unit_and_how_often_an_answer_is_drawn_stays():
    """Mean .3 and spread .8 / sqrt(1 + .8^2) units: positive with a chance of Phi(their ratio), whatever a unit is."""
    model = make(rank=1)
    with torch.no_grad():
        for head in (model.head, model.together, model.alone):
            head.weight.zero_()
            head.bias.zero_()
        model.head.bias[1], model.together.bias[1] = 0.3, 0.8
        model.alone.bias.fill_(-1e3)
        expected = 0.5 * math.erfc(-0.3 / (0.8 / math.sqrt(1 + 0.8**2)) / math.sqrt(2))
        certain = []
        for gain in (0.0, 4.0):
            model.unit.gain.fill_(gain)
            foreground = model.sample(IMAGE[:1], 4000, rng_for(0, "s"))[0, :, 1, 0, 0]
            assert float((foreground > 0.5).float().mean()) == pytest.approx(expected, abs=0.02)
            certain.append(float((foreground - 0.5).abs().mean()))
    assert certain[1] > 0.4 > certain[0]


@pytest.mark.parametrize("label", [0, 1])
def test_steps_down_the_total_make_the_mask_likelier(label):
    """Measured on answers that are drawn, by the mean probability of the label that all of the mask has."""
    model, batch = make(start=1.0), Batch(IMAGE, torch.full_like(MASKS, label), torch.ones(2, 3, dtype=torch.bool))

    def likely():
        with torch.no_grad():
            return model.sample(IMAGE, 50, rng_for(0, "s"))[:, :, label].mean().item()

    before = likely()
    go_down(model, batch)
    assert likely() > before + 0.02


def test_any_step_leaves_the_loss_finite():
    model = make().train()
    with torch.no_grad():
        model.alone.bias.fill_(1e6)
        model.unit.gain.fill_(1e6)
    assert torch.isfinite(model.objective(BATCH, 0, rng_for(0, "o")).total)
    assert torch.isfinite(model.sample(IMAGE, 3, rng_for(0, "s"))).all()


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="n is 0"):
        make().sample(IMAGE, 0, rng_for(0, "s"))
    for settings, told in (({"rank": 0}, "rank is 0"), ({"draws": 3}, "draws is 3; wanted an even number")):
        with pytest.raises(ConfigError, match=told):
            make(**settings)
