"""The space: what is told is checked against the settings there are, and what is suggested lies in it."""

import optuna
import pytest

from labutils.core.checks import ConfigError
from labutils.core.config import from_dict, merge, to_dict
from labutils.models.registry import make_config
from labutils.search.space import Range, SearchConfig, Space, largest, require_free, require_space, suggest
from labutils.training.settings import FitConfig

BASE = {"model": to_dict(make_config("stochastic-cm")), "fit": to_dict(FitConfig())}

UNREADABLE = {
    "no high": ({"low": 1.0}, r"search\.space\.fit\.lr has low 1.0 and high None; wanted both of them, or choices"),
    "nothing": ({}, "wanted both of them, or choices"),
    "both": ({"low": 1.0, "choices": [1]}, "choices and a range; wanted one"),
    "choices on a scale": ({"log": True, "choices": [1]}, "choices and a range; wanted one"),
    "twice": ({"choices": [1, 1]}, r"choices are \[1, 1\]; wanted different ones"),
    "upside down": ({"low": 1e-2, "high": 1e-3}, "goes from 0.01 to 0.001; wanted two numbers, lowest first"),
    "endless": ({"low": 1.0, "high": float("inf")}, "goes from 1 to inf"),
    "zero on a log scale": ({"low": 0, "high": 1, "log": True}, "low is 0; wanted more than 0 on a log scale"),
    "unknown": ({"lowest": 1.0}, "has no setting 'lowest'"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_range_that_makes_no_sense_is_refused(case):
    told, sentence = UNREADABLE[case]
    with pytest.raises(ConfigError, match=sentence):
        from_dict(SearchConfig, {"space": {"fit": {"lr": told}}}, "search")


UNFIT = {
    "no such training setting": (
        "fit",
        "rate",
        Range(low=1, high=2),
        r"search\.space\.fit\.rate is no setting of a tr",
    ),
    "no such model setting": ("model", "alpha", Range(low=1, high=2), "no setting of stochastic-cm; there are anneal,"),
    "below": ("fit", "lr", Range(low=0, high=1), r"search\.space\.fit\.lr holds 0.0, and then fit\.lr is 0.0"),
    "above": ("model", "levels", Range(low=2, high=9), "holds 9, and then levels is 9; wanted 8 at most"),
    "halves": ("model", "latent", Range(low=1.5, high=4), "holds 1.5, and then model.latent is 1.5; wanted a whole"),
    "no such choice": ("model", "anneal", Range(choices=("linear", "never")), "holds 'never', and then model.anneal"),
    "choices of another kind": ("model", "coupled", Range(choices=(0, 1)), "wanted true or false"),
    "a range of words": ("model", "anneal", Range(low=0, high=1), "is no number; wanted its choices"),
    "a range of yes and no": ("fit", "augment", Range(low=0, high=1), "is no number; wanted its choices"),
    "the goal": ("fit", "goal", Range(choices=("dice",)), "cannot be searched: it says what is compared"),
    "the seed": ("fit", "seed", Range(low=0, high=9), "cannot be searched: a lucky seed"),
    "raters": ("model", "raters", Range(low=0, high=4), "cannot be searched: it follows the data"),
    "a list": ("fit", "milestones", Range(choices=(1, 2)), "it is not a single number or word"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_a_setting_cannot_be_is_refused(case):
    table, name, chosen, sentence = UNFIT[case]
    with pytest.raises(ConfigError, match=sentence):
        require_space(Space(**{table: {name: chosen}}), "stochastic-cm", BASE)


def test_what_is_given_is_not_searched():
    space = Space(model={"latent": Range(low=1, high=4)})
    require_free(space, {"model": {"beta": 1.0}, "fit": {"latent": 2}})
    with pytest.raises(
        ConfigError, match=r"model\.latent is what is searched; wanted its range in search\.space\.model"
    ):
        require_free(space, {"model": {"latent": 4}})


def test_counts_below_zero_are_refused():
    with pytest.raises(ConfigError, match="unpruned_epochs"):
        SearchConfig(unpruned_epochs=-1)


def test_a_space_comes_from_plain_values_and_goes_back():
    told = {"fit": {"lr": {"low": 1, "high": 2, "log": True}}, "model": {"width": {"choices": [4]}}}
    config = from_dict(SearchConfig, {"space": told, "seed": 3}, "search")
    assert config.space == Space(fit={"lr": Range(low=1.0, high=2.0, log=True)}, model={"width": Range(choices=(4,))})
    assert from_dict(SearchConfig, to_dict(config), "search") == config


SPACE = Space(
    model={
        "latent": Range(low=2, high=16, log=True),
        "beta": Range(low=0, high=1),
        "anneal": Range(choices=("none", "cyclic")),
    },
    fit={"lr": Range(low=1e-4, high=1e-2, log=True)},
)


def test_suggestions_lie_in_the_space_and_make_settings():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask(), SPACE, "stochastic-cm") for _ in range(40)]
    rates = [one["fit"]["lr"] for one in drawn]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 10 <= sum(rate < 1e-3 for rate in rates) <= 30  # half below the middle of a log scale
    models = [one["model"] for one in drawn]
    assert {model["anneal"] for model in models} == {"none", "cyclic"}
    assert {type(model["latent"]) for model in models} == {int}
    assert 2 <= min(model["latent"] for model in models) < max(model["latent"] for model in models) <= 16
    assert 0.3 < sum(model["beta"] for model in models) / 40 < 0.7
    assert make_config("stochastic-cm", merge(BASE, drawn[0])["model"]).latent == models[0]["latent"]


def test_the_order_in_which_a_space_is_told_does_not_matter():
    turned = Space(fit=SPACE.fit, model=dict(reversed(SPACE.model.items())))
    first, again = (
        suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask(), space, "stochastic-cm")
        for space in (SPACE, turned)
    )
    assert first == again


def test_the_largest_network_has_every_number_at_its_highest():
    space = Space(
        fit={"batch_size": Range(low=1, high=9)},
        model={"width": Range(choices=(8, 4)), "latent": Range(low=2, high=16), "anneal": Range(choices=("none",))},
    )
    assert largest(space, BASE) == {**BASE["model"], "width": 8, "latent": 16}
