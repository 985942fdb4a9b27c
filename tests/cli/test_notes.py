"""What is told of a dataset before a model learns from it."""

from dataclasses import replace

import pytest

from labutils.cli.notes import rater_notes, truth_notes
from labutils.data import catalog
from labutils.training.suit import model_config
from tests.discs import disc_store

VOTE = "the model follows no single rater, so its clean head learns a vote: the truth where most are right"


@pytest.mark.parametrize(
    ("model", "data", "start"),
    [
        ("unet", "planted-shared", None),
        ("global-cm", "planted-global", None),
        ("global-cm", "planted-shared", "the truth is not identified: "),
        ("stochastic-cm", "planted-shared", "the truth is not identified: "),
        ("stochastic-cm", "planted-styles", VOTE),
    ],
)
def test_a_truth_that_the_labels_do_not_say_is_noted(model, data, start):
    store = catalog.load(data, "train", limit=40)
    found = truth_notes(model_config(model, {}, store), store)
    assert [note[: len(start or "")] for note in found] == ([start] if start else [])


def test_a_flipped_rater_is_noted_and_ordinary_ones_are_not():
    store = disc_store(4, size=16)
    assert rater_notes(store) == []
    moved = store.masks.copy()
    moved[:, :, 8:] = 0  # all drew in the upper half, and the file of one is upside down
    moved[:, 2] = moved[:, 2, ::-1]
    (note,) = rater_notes(replace(store, masks=moved))
    assert note.startswith("rater 2 drew elsewhere than the others in 4 of 4 cases looked at; in one of them flipping")
