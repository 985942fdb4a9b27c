"""Divisions: one split by another, and every patient held out once from what learned of all others."""

from dataclasses import replace

import numpy as np
import pytest

from labutils.core.checks import DataError, InputError
from labutils.data.folds import by_patient, by_split
from tests.discs import disc_store


def test_each_patient_is_held_out_once_and_never_learned_from_then():
    division = by_patient([disc_store(8), disc_store(6, split="validate")], folds=3)
    assert len(division.store) == 14
    assert division.store.split == "train and validate"
    assert sorted(row for part in division.parts for row in part) == list(range(14))
    for number, fold in enumerate(division.folds, start=1):
        held = {division.store.patients[row] for row in fold.held}
        assert not held & set(fold.train.patients)
        assert held | set(fold.train.patients) == set(division.store.patients)
        assert fold.train.split == f"train and validate, without fold {number} of 3"


def test_one_split_by_another_is_one_fold():
    train, held = disc_store(6), disc_store(3, split="validate")
    division = by_split(train, held)
    assert division.store is held
    assert division.folds[0].train is train
    assert division.parts == [(0, 1, 2)]


def test_a_patient_on_both_sides_is_refused():
    with pytest.raises(DataError, match="wanted every patient in one split"):
        by_split(disc_store(4), replace(disc_store(4), split="validate"))
    with pytest.raises(DataError, match="wanted every patient in one split"):
        by_patient([disc_store(4), replace(disc_store(4), split="validate")], folds=2)


def test_folds_hold_every_rater_of_ragged_splits():
    division = by_patient([disc_store(4, raters=2), disc_store(4, raters=3, split="validate")], folds=2)
    assert division.store.masks.shape[1] == 3
    assert np.array_equal(division.store.present.sum(axis=1), [2] * 4 + [3] * 4)


def test_more_folds_than_patients_are_refused():
    with pytest.raises(InputError, match="folds is 5 for 4 patients"):
        by_patient([disc_store(4), disc_store(4, split="validate")], folds=5)
