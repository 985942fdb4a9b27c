"""What is learned from and what is scored: one split by another, or all patients in turn by all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from labutils.data.splits import assert_disjoint, cross_validation
from labutils.data.store import Store, join


class Fold(NamedTuple):
    """Cases to learn from, and those that are then scored."""

    train: Store
    held: tuple[int, ...]  # rows of the division's store


class Division(NamedTuple):
    """All cases that are scored, each by what has never seen its patient."""

    store: Store
    folds: tuple[Fold, ...]

    @property
    def parts(self) -> list[tuple[int, ...]]:
        """The rows of each fold."""
        return [fold.held for fold in self.folds]


def by_split(train: Store, held: Store) -> Division:
    """One fold: learn from one split, score the other.

    Raises:
        DataError: they share a patient.
    """
    assert_disjoint({train.split: train, held.split: held})
    return Division(held, (Fold(train, tuple(range(len(held)))),))


def by_patient(stores: Sequence[Store], folds: int, seed: int = 0) -> Division:
    """Cross-validation over the patients of some splits together: each is scored by what learned from the others.

    Args:
        stores: splits of one dataset.
        folds: 2 or more, of equally many patients.
        seed: another seed gives other folds.
    Raises:
        InputError: the splits do not belong together, or there are fewer patients than folds.
        DataError: they share a patient.
    """
    assert_disjoint({store.split: store for store in stores})
    whole = join(stores)
    return Division(
        whole,
        tuple(
            Fold(replace(whole.subset(train), split=f"{whole.split}, without fold {number} of {folds}"), tuple(held))
            for number, (train, held) in enumerate(cross_validation(whole.patients, folds, seed), start=1)
        ),
    )
