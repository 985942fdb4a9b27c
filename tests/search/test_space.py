"""The space: ranges are checked, and what is suggested lies in them."""

import optuna
import pytest

from labutils.core.checks import ConfigError
from labutils.core.config import from_dict, merge
from labutils.search.space import SearchConfig, Space, suggest


@pytest.mark.parametrize("settings", [{"lr": (0.0, 1.0)}, {"lr": (1e-2, 1e-3)}, {"widths": ()}, {"widths": (8, 8)}])
def test_a_space_that_makes_no_sense_is_refused(settings):
    with pytest.raises(ConfigError, match=r"search\.space\."):
        Space(**settings)


def test_counts_below_zero_are_refused():
    with pytest.raises(ConfigError, match="unpruned_epochs"):
        SearchConfig(unpruned_epochs=-1)


def test_a_space_comes_from_plain_values():
    config = from_dict(SearchConfig, {"space": {"lr": [1e-3, 1], "widths": [4]}, "seed": 3}, "search")
    assert config.space == Space(lr=(1e-3, 1.0), widths=(4,))


def test_suggestions_lie_in_the_space_and_merge_into_settings():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = Space(lr=(1e-4, 1e-2), widths=(4, 8))
    drawn = [suggest(study.ask(), space) for _ in range(40)]
    rates = [one["fit"]["lr"] for one in drawn]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 10 <= sum(rate < 1e-3 for rate in rates) <= 30  # half below the middle of a log scale
    assert {one["model"]["width"] for one in drawn} == {4, 8}
    assert merge({"fit": {"lr": 1, "epochs": 2}, "model": {}}, drawn[0])["fit"] == {"lr": rates[0], "epochs": 2}
