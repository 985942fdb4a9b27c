"""What an epoch scores: answers as a set against the raters' own masks, by hand; and goals nobody has."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from labutils.core.checks import ConfigError
from labutils.core.runtime import rng_for
from labutils.core.types import Goal
from labutils.metrics.overlap import pairwise_iou
from labutils.models.base import Model
from labutils.models.registry import build, make_config
from labutils.training.fit import fit
from labutils.training.settings import FitConfig
from labutils.training.validation import require_goal, validation_scores
from tests.discs import disc_store

CPU = torch.device("cpu")
STORE = disc_store(3, raters=2)
SETS = Goal(metric="ged2_v", direction="minimize")


class Total(NamedTuple):
    total: Tensor


class Raters(Model):
    """Knows the store's masks: gives those of some raters in turn."""

    def __init__(self, *raters):
        super().__init__(None)
        self.raters = raters

    def sample(self, image, n, rng):
        (here,) = [i for i in range(len(STORE)) if torch.equal(STORE.batch([i]).image, image)] or [None]
        masks = STORE.batch([here]).masks.long()
        return torch.stack(
            [functional.one_hot(masks[:, self.raters[s % len(self.raters)]], 2).movedim(-1, 1) for s in range(n)], dim=1
        ).float()

    def objective(self, batch, step, rng):
        return Total(torch.tensor(1.0))


def score(network, goal=SETS):
    return validation_scores(network, STORE, FitConfig(goal=goal, batch_size=1), CPU)


def test_the_set_of_all_raters_is_at_no_distance_and_one_of_two_at_half_of_theirs():
    assert score(Raters(0, 1))["ged2_v"] == pytest.approx(0)
    apart = [
        1 - float(pairwise_iou(b.masks[:, :1] == 1, b.masks[:, 1:] == 1)) for b in map(STORE.batch, [[0], [1], [2]])
    ]
    assert min(apart) > 0
    assert score(Raters(0))["ged2_v"] == pytest.approx(sum(apart) / len(apart) / 2)


def test_answers_are_compared_as_a_set_for_the_goal_alone():
    assert sorted(score(Raters(0), Goal())) == ["dice", "iou", "val_total"]


class Mixed(Raters):
    """Its answers differ: the first is the second rater's mask, the others are the first's."""

    stochastic = True

    def sample(self, image, n, rng):
        drawn = super().sample(image, n, rng)
        drawn[:, 1:] = drawn[:, 1:2]
        return drawn


@pytest.mark.parametrize("goal", [Goal(), SETS], ids=["dice", "sets"])
def test_overlap_is_that_of_the_mean_where_answers_differ(goal):
    of_mean, of_most = score(Mixed(1, 0), goal), score(Raters(0), goal)
    assert of_mean["dice"] == of_most["dice"] != score(Raters(1), goal)["dice"]


def test_the_goal_chooses_the_epoch_and_repeats_to_the_bit():
    def train():
        settings = {"width": 2, "levels": 1, "raters": 2, "warm_up": 0}
        network = build("global-cm", make_config("global-cm", settings), rng_for(0, "weights"))
        config = FitConfig(epochs=3, batch_size=3, lr=3e-2, goal=SETS)
        return fit(network, disc_store(6, raters=2), STORE, config, device=CPU)

    first, again = train(), train()
    assert first.history == again.history
    values = [row["ged2_v"] for row in first.history]
    assert len(set(values)) > 1
    assert first.best == min(values)


@pytest.mark.parametrize("metric", ["dise", "dice_truth", "ged2_u"])
def test_a_goal_that_no_epoch_has_is_refused_with_those_there_are(metric):
    sentence = f"fit.goal.metric is '{metric}'; wanted one of dice, ged2_v, iou, lr, train_total, val_total"
    with pytest.raises(ConfigError, match=sentence):
        require_goal(Raters(0), STORE, FitConfig(goal=Goal(metric=metric), batch_size=1), CPU)


def test_the_larger_distance_is_nobodys_goal():
    with pytest.raises(ConfigError, match=r"fit.goal.metric is ged2_v; wanted fit.goal.direction = minimize"):
        FitConfig(goal=Goal(metric="ged2_v"))
