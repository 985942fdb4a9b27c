"""Fused masks by hand, on one row of pixels; which ways a store allows; what a fused store keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.consensus.staple import staple
from labutils.core.checks import ConfigError, InputError
from labutils.data.fused import POOLED, PRIORS, WAYS, fused, fused_masks, ways_for
from labutils.data.store import Store
from tests.discs import disc_store

CARD = replace(disc_store(1).card, identified=True)
EXCHANGEABLE = replace(CARD, identified=False)


def store_of(votes, present=None, *, card=CARD, truth=None):
    """A store from labels by case, rater and pixel, each image one row of pixels."""
    masks = np.array(votes, np.uint8)[:, :, None]  # (N, R, 1, W)
    cases = tuple(f"case {i}" for i in range(len(masks)))
    return Store(
        image=np.zeros((len(masks), 1, *masks.shape[2:]), np.float32),
        masks=masks,
        present=np.ones(masks.shape[:2], bool) if present is None else np.array(present),
        truth=None if truth is None else np.array(truth, np.uint8)[:, None],
        spacing_mm=np.ones((len(masks), 2)),
        patients=cases,
        cases=cases,
        card=card,
        split="train",
        source="memory",
    )


FOUR = [[[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]]  # votes of 4, 2, 1 and 0


@pytest.mark.parametrize(("by", "wanted"), [("majority", [1, 0, 0, 0]), ("consensus", [1, 1, 0, 0])])
def test_votes_of_two_classes_and_their_tie(by, wanted):
    assert fused_masks(store_of(FOUR), by)[0, 0].tolist() == wanted


@pytest.mark.parametrize(("by", "wanted"), [("majority", [2, 0]), ("consensus", [2, 2])])
def test_votes_of_three_classes_and_their_tie(by, wanted):
    """A pixel with the labels 2, 2 and 1, and one with 0, 1 and 2."""
    store = store_of([[[2, 0], [2, 1], [1, 2]]], card=replace(CARD, classes=3))
    assert fused_masks(store, by)[0, 0].tolist() == wanted


@pytest.mark.parametrize("by", ["majority", "consensus", "staple", "staple-disputed"])
def test_an_absent_rater_has_no_vote(by):
    one = [[[1, 0, 1, 0], [0, 1, 0, 1]]]
    assert fused_masks(store_of(one, [[True, False]]), by)[0, 0].tolist() == [1, 0, 1, 0]


# rater 3 says the opposite of the other two in case 0 and is alone to be heard with rater 1 in case 1
PAIR = [
    [[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1]],
    [[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]],
]
HEARD = [[True, True, True], [True, False, True]]


@pytest.mark.parametrize("by", POOLED)
def test_pooling_carries_what_one_case_says_of_a_rater_to_another(by):
    """In case 1 two raters contradict each other at every pixel; case 0 says whom to believe."""
    found = fused_masks(store_of(PAIR, HEARD), by)
    assert found[:, 0].tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
    alone = staple(torch.tensor(PAIR, dtype=torch.bool)[1:, :, None], torch.tensor(HEARD)[1:]).probability
    assert torch.allclose(alone, torch.full((), 0.5, dtype=torch.float64))  # on its own nobody is to be believed


def test_a_tied_posterior_of_two_classes_is_foreground():
    tied = store_of([[[1, 0], [0, 1]]])
    for by in ("staple", "staple-disputed", "staple-pooled", "dawid-skene"):
        assert fused_masks(tied, by)[0, 0].tolist() == [1, 1], by


def test_more_classes_are_fused_by_every_way_left():
    """Two good raters and one who always says the next class, in three cases."""
    truth = np.tile([0, 0, 0, 1, 1, 2, 2], (3, 1))
    several = store_of(np.stack([truth, truth, (truth + 1) % 3], axis=1), card=replace(CARD, classes=3))
    assert set(WAYS) - set(ways_for(several)) == {"staple-disputed"}
    for by in ways_for(several):
        assert (fused_masks(several, by)[:, 0] == truth).all(), by


def test_cases_are_fused_in_parts_as_in_one(monkeypatch):
    store = disc_store(5)
    whole = {by: fused_masks(store, by) for by in ("consensus", "staple")}
    monkeypatch.setattr("labutils.data.fused._CASES", 2)
    for by, masks in whole.items():
        assert np.array_equal(fused_masks(store, by), masks)


def test_the_fused_store_has_one_rater_and_keeps_the_truth():
    store = store_of(PAIR, HEARD, truth=[[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]])
    one = fused(store, "staple-pooled")
    assert one.masks.shape == (2, 1, 1, 6)
    assert one.present.all()
    assert np.array_equal(one.masks[:, 0], store.truth)
    assert one.truth is store.truth
    assert (one.card.identified, one.card.raters) == (True, f"1: staple-pooled of {CARD.raters}")
    assert one.manifest != store.manifest


@pytest.mark.parametrize(
    ("store", "missing"),
    [
        (store_of(PAIR), set()),
        (store_of(PAIR, card=EXCHANGEABLE), set(POOLED)),
        (store_of(PAIR, [[True, False, False], [False, True, False]]), {"dawid-skene"}),
        (store_of(PAIR, card=replace(CARD, classes=3)), {"staple-disputed"}),
    ],
)
def test_ways_that_a_store_allows_and_refusals_of_the_others(store, missing):
    assert ways_for(store) == tuple(way for way in WAYS if way not in missing)
    for by in ways_for(store):
        assert fused_masks(store, by).shape == (2, 1, 6)
    for by in missing:
        with pytest.raises(InputError):
            fused_masks(store, by)


def test_every_way_with_a_prior_tells_it():
    assert set(WAYS) - set(PRIORS) == {"majority", "consensus"}


def test_an_unknown_way_and_images_alone_are_refused():
    with pytest.raises(ConfigError, match="fusing by is 'mean'; wanted one of 'majority'"):
        fused_masks(store_of(FOUR), "mean")
    with pytest.raises(InputError, match="has no masks to fuse"):
        fused_masks(store_of(FOUR, np.zeros((1, 4), bool)), "majority")
