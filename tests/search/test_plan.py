"""A plan is checked whole: the model follows the data, and what cannot be searched or compared is refused."""

from dataclasses import replace

import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.types import Goal
from labutils.search.plan import Plan
from labutils.search.space import Range, SearchConfig, Space
from labutils.training.settings import FitConfig
from labutils.training.suit import default_goal
from tests.discs import disc_store

TRAIN, VALIDATE = disc_store(8), disc_store(4, split="validate")
SMALL = {"levels": 1, "width": 2}


def exchangeable(store):
    return replace(store, card=replace(store.card, identified=False))


def plan(model, *, goal=None, train=TRAIN, space=None, **settings):
    return Plan(
        train=train,
        validate=VALIDATE,
        model=model,
        settings=SMALL | settings,
        config=FitConfig(epochs=4, batch_size=2, goal=goal or default_goal(model)),
        search=SearchConfig(space=space or Space()),
        device=torch.device("cpu"),
    )


def test_raters_and_classes_follow_the_data_and_the_model_is_named():
    made = plan("stochastic-cm", warm_up=2, coder_width=2)
    assert (made.base["model"]["raters"], made.base["model"]["classes"]) == (3, 2)
    assert made.whole()["model"]["name"] == "stochastic-cm"
    assert made.whole()["search"]["space"]["model"]["ramp"] == {"low": 1, "high": 8, "log": False, "choices": []}
    assert made.largest().config.latent == 16


def test_exchangeable_raters_are_drawn_from_and_not_followed():
    train = exchangeable(TRAIN)
    assert plan("stochastic-cm", train=train, warm_up=2, coder_width=2).base["model"]["raters"] == 0
    with pytest.raises(InputError, match="pixel-cm, which follows single raters,"):
        plan("pixel-cm", train=train)


REFUSED = {
    "model": (lambda: plan("vnet", goal=Goal()), "model is 'vnet'"),
    "goal": (
        lambda: plan("global-cm", goal=Goal(metric="dice_truth")),
        "fit.goal.metric is 'dice_truth'; wanted one of",
    ),
    "given and searched": (lambda: plan("global-cm", warm_up=3), "model.warm_up is what is searched"),
    "space": (lambda: plan("unet", space=Space(model={"beta": Range(low=1, high=2)})), "no setting of unet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched_is_refused(case):
    ask, sentence = REFUSED[case]
    with pytest.raises(ConfigError, match=sentence):
        ask()
