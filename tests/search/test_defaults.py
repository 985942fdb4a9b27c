"""Every registered model has a space that can be searched and a goal that its epochs have."""

import pytest

from labutils.core.checks import ConfigError
from labutils.core.config import to_dict
from labutils.models.registry import MODELS, make_config
from labutils.search.defaults import default_space
from labutils.search.space import require_space
from labutils.training.settings import FitConfig

SEARCHED = {
    "unet": ["fit.lr", "model.width"],
    "global-cm": ["fit.lr", "fit.weight_decay", "model.warm_up"],
    "pixel-cm": ["fit.lr", "fit.weight_decay", "model.warm_up"],
    "stochastic-cm": ["fit.lr", "fit.weight_decay", "model.beta", "model.latent", "model.ramp"],
    "prob-unet": ["fit.lr", "fit.weight_decay", "model.beta", "model.latent"],
    "hier-prob-unet": ["fit.lr", "fit.weight_decay", "model.kappa"],
    "phiseg": ["fit.lr", "fit.weight_decay", "model.beta"],
    "ssn": ["fit.lr", "fit.weight_decay", "model.rank"],
}


def space_of(model, steps=1100):
    return default_space(model, to_dict(make_config(model)), steps)


@pytest.mark.parametrize("model", MODELS)
def test_the_space_suits_the_model(model):
    space = space_of(model)
    assert [name for name, _ in space] == SEARCHED.get(model, ["fit.lr", "fit.weight_decay"])
    require_space(space, model, {"model": to_dict(make_config(model)), "fit": to_dict(FitConfig())})


def test_ramp_and_warm_up_are_shares_of_the_steps():
    ramp = space_of("stochastic-cm").model["ramp"]
    assert (ramp.low, ramp.high) == (100, 600)  # of the thousand after a warm-up of a hundred
    short = space_of("stochastic-cm", 102).model["ramp"]
    assert (short.low, short.high) == (1, 1)
    warm_up = space_of("global-cm", 1000).model["warm_up"]
    assert (warm_up.low, warm_up.high) == (0, 300)


def test_the_bound_of_the_hierarchy_is_searched_by_its_weight():
    space = default_space("hier-prob-unet", to_dict(make_config("hier-prob-unet", {"loss": "elbo"})), 100)
    assert list(space.model) == ["beta"]


def test_a_training_that_only_warms_up_has_no_ramp():
    with pytest.raises(ConfigError, match=r"a training has 100 steps and model.warm_up is 100; wanted a warm-up that"):
        space_of("stochastic-cm", 100)
