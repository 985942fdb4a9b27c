"""Settings that follow the data, and networks that do not fit them."""

from dataclasses import replace

import pytest

from labutils.core.checks import ConfigError, InputError
from labutils.models.hier_prob_unet import HierProbUNetConfig
from labutils.models.registry import MODELS, make_config
from labutils.training.settings import FitConfig
from labutils.training.suit import default_goal, fit_config, model_config, require_fits, require_past_warm_up
from tests.discs import disc_store

PER_RATER = ("global-cm", "pixel-cm")


def store_of(identified, raters=3):
    store = disc_store(2, raters=raters)
    return replace(store, card=replace(store.card, identified=identified))


def test_channels_and_classes_follow_the_data():
    config = model_config("unet", {"width": 4}, disc_store(2))
    assert (config.channels, config.classes, config.width) == (1, 2, 4)


def test_channels_that_the_data_do_not_have_are_refused():
    with pytest.raises(InputError, match="the network has 3 channels and discs/train has 1"):
        model_config("unet", {"channels": 3}, disc_store(2))
    with pytest.raises(InputError, match="the network has 4 classes and discs/train has 2"):
        require_fits(make_config("unet", {"classes": 4}), disc_store(2))


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="model is 'vnet'; wanted one of 'unet'"):
        model_config("vnet", {}, disc_store(2))


@pytest.mark.parametrize("name", [*PER_RATER, "stochastic-cm"])
def test_raters_follow_data_whose_raters_are_identified(name):
    assert [model_config(name, {}, store_of(True, raters)).raters for raters in (2, 3)] == [2, 3]


def test_raters_who_are_exchangeable_are_not_followed():
    assert model_config("stochastic-cm", {}, store_of(False)).raters == 0
    assert model_config("stochastic-cm", {"raters": 0}, store_of(True)).raters == 0  # allowed: it forgets who is who
    for name, settings in (*((name, {}) for name in PER_RATER), ("stochastic-cm", {"raters": 3})):
        with pytest.raises(InputError, match=f"{name}, which follows single raters, needs rater k to be the same"):
            model_config(name, settings, store_of(False))


@pytest.mark.parametrize("name", [*PER_RATER, "stochastic-cm"])
def test_other_raters_than_the_network_s_are_refused(name):
    with pytest.raises(InputError, match="the network has 4 raters and discs/train has 3"):
        model_config(name, {"raters": 4}, store_of(True))
    config = model_config(name, {}, store_of(True))
    with pytest.raises(InputError, match="the network has 3 raters and discs/train has 2"):
        require_fits(config, store_of(True, raters=2))


def test_images_alone_have_no_raters_to_differ_in():
    config, store = model_config("global-cm", {}, store_of(True)), store_of(True, raters=2)
    require_fits(config, replace(store, masks=store.masks * 0, present=store.present & False))


def test_a_network_built_for_one_size_of_image_takes_it_from_the_data():
    assert model_config("original-cm", {}, disc_store(2)).size_px == (16, 16)
    with pytest.raises(
        InputError, match=r"built for images of \(28, 28\) pixels and those of discs/train have \(16, 16\)"
    ):
        model_config("original-cm", {"size_px": [28, 28]}, disc_store(2))


def test_a_network_that_brings_images_down_to_a_pixel_takes_its_levels_from_them():
    assert model_config("hier-prob-unet", {}, disc_store(2)).levels == 5
    assert model_config("hier-prob-unet", {"levels": 6}, disc_store(2)).levels == 6
    assert model_config("hier-prob-unet", {"latents": [1]}, disc_store(2), crop_px=8).levels == 4
    sizes = {(64, 64): 7, (128, 128): 8, (180, 256): 9, (28, 28): 6, (1, 1): 2}
    assert {size: HierProbUNetConfig.levels_for(*size) for size in sizes} == sizes


@pytest.mark.parametrize(("warm_up", "refused"), [(0, False), (5, False), (6, True), (7, True)])
def test_a_training_that_ends_in_the_warm_up_is_refused(warm_up, refused):
    """Two epochs of five cases in batches of two are six steps."""
    config, fit = make_config("global-cm", {"raters": 3, "warm_up": warm_up}), FitConfig(epochs=2, batch_size=2)
    if refused:
        with pytest.raises(ConfigError, match=f"2 epochs on 5 cases has 6 steps and model.warm_up is {warm_up}"):
            require_past_warm_up(config, fit, 5)
    else:
        require_past_warm_up(config, fit, 5)
        require_past_warm_up(make_config("unet", {}), fit, 5)


@pytest.mark.parametrize("model", MODELS)
def test_models_whose_answers_differ_are_chosen_by_them_as_a_set(model):
    goal = default_goal(model)
    assert (goal.metric, goal.direction) == (("dice", "maximize") if model == "unet" else ("ged2_v", "minimize"))


def test_the_goal_follows_the_model_unless_it_is_set():
    assert fit_config("prob-unet", {"epochs": 3}) == FitConfig(epochs=3, goal=default_goal("prob-unet"))
    own = {"goal": {"metric": "val_total", "direction": "minimize"}}
    assert fit_config("prob-unet", own).goal.metric == "val_total"
