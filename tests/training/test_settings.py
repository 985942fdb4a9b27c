"""Optimizers and learning rates."""

import pytest
import torch

from labutils.core.checks import ConfigError
from labutils.core.config import from_dict
from labutils.training.settings import FitConfig, learning_rate, make_optimizer


def rates(steps=10, **settings):
    config = FitConfig(lr=1.0, **settings)
    return [learning_rate(config, step, steps) for step in range(steps)]


def test_constant():
    assert rates(schedule="constant") == [1.0] * 10


def test_cosine_by_hand():
    got = rates(4, schedule="cosine")
    assert got == pytest.approx([1.0, 0.5 + 0.5 * 2**-0.5, 0.5, 0.5 - 0.5 * 2**-0.5])


def test_steps_by_hand():
    assert rates(8, schedule="steps") == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)


def test_warmup_rises_from_one_share_to_the_whole():
    assert rates(10, schedule="constant", warmup=0.4)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_adamw_and_sgd_carry_their_settings():
    weight = [torch.nn.Parameter(torch.ones(1))]
    adamw = make_optimizer(FitConfig(lr=0.1, weight_decay=0.2), weight)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.2
    sgd = make_optimizer(FitConfig(optimizer="sgd", lr=0.1, momentum=0.5), weight)
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "fit.epochs is 0"),
        ({"lr": 0.0}, "fit.lr is 0"),
        ({"lr": -1}, "fit.lr is -1"),
        ({"warmup": 2.0}, "fit.warmup is 2"),
        ({"patience": 3, "keep": "last"}, "needs fit.keep = best"),
        ({"patience": -1}, "fit.patience is -1"),
        ({"optimizer": "lion"}, "optimizer is 'lion'"),
        ({"goal": {"metric": "dice", "direction": "up"}}, "direction is 'up'"),
        ({"learning_rate": 1}, "no setting 'learning_rate'"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        from_dict(FitConfig, settings)
